"""A rule that stops an answer which takes more than it may."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._basics.text_log import size_of
from tokenstream._growing import BYTES_PER_TOKEN, GrowingUsage
from tokenstream.errors import MisuseError
from tokenstream.events import (
    PartDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tokenstream.limits import check_seconds, check_whole
from tokenstream.message import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event


class Budget:
    """Says when an answer has taken more than it may: tokens, characters, seconds, money.

    A stage over events, which gives each of them back; `stop` is the reason once
    a bound is passed. Tokens are those that the provider has counted, and from its
    last count on an estimate: four bytes of text to a token, as `stop` then says.
    Tokens that no text shows, such as hidden reasoning, are in no estimate.

    Args:
        tokens: The most tokens of the answer.
        characters: The most characters of text, refusal, reasoning and arguments.
        seconds: The most seconds since the request.
        price: Tells what token counts cost; `usage.source` is "estimated" where they are.
        most: The most that `price` may come to.

    Raises:
        MisuseError: No bound is given, or one that bounds nothing.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> budget = Budget(characters=5)
        >>> [budget.feed(TextDelta(piece)) and budget.stop for piece in ("Hello", "!")]
        [None, 'the budget of 5 characters is used up']
    """

    error: None = None
    """What went wrong: nothing, whatever comes."""

    __slots__ = (
        "_bytes",
        "_characters",
        "_counted",
        "_length",
        "_most",
        "_price",
        "_seconds",
        "_tokens",
        "_usage",
        "started_at",
        "stop",
    )

    def __init__(
        self,
        *,
        tokens: int | None = None,
        characters: int | None = None,
        seconds: float | None = None,
        price: Callable[[Usage], float] | None = None,
        most: float | None = None,
    ) -> None:
        if all(bound is None for bound in (tokens, characters, seconds, price, most)):
            raise MisuseError(
                "a Budget without a bound stops nothing: give tokens=, characters=, seconds=, "
                "or price= and most="
            )
        if (price is None) is not (most is None):
            raise MisuseError("price= tells what an answer costs, and most= how much it may: give both")
        if price is not None and not callable(price):
            raise MisuseError(f"price= is a function that takes a Usage and returns a number, not {price!r}")
        self._tokens = None if tokens is None else check_whole("tokens", tokens)
        self._characters = None if characters is None else check_whole("characters", characters)
        self._seconds = None if seconds is None else check_seconds("seconds", seconds)
        self._price = price
        self._most = None if most is None else check_seconds("most", most, unit="money")
        self.started_at: float | None = None
        """The clock at the request; the clock of the first event where nobody has told it."""
        self.begin_again()

    def begin_again(self) -> None:
        """Count another answer; the seconds go on."""
        self.stop: str | None = None
        self._usage = GrowingUsage()
        self._counted = 0
        """Tokens that the provider has counted."""
        self._bytes = self._length = 0
        """Bytes since its last count, and characters in all."""

    def fresh(self) -> Budget:
        """Return the same budget for another answer."""
        return Budget(
            tokens=self._tokens,
            characters=self._characters,
            seconds=self._seconds,
            price=self._price,
            most=self._most,
        )

    @property
    def deadline(self) -> float | None:
        """The clock at which the time is over; None where nothing bounds it, or it has not begun."""
        begun, seconds = self.started_at, self._seconds
        return None if begun is None or seconds is None or self.stop is not None else begun + seconds

    def feed(self, event: Event, *, now: float = 0.0) -> list[Event]:
        """Return the event; `stop` says whether it was one too many.

        Args:
            event: What happened.
            now: A clock reading, in seconds.
        """
        if self.started_at is None:
            self.started_at = now
        if self.stop is None:
            self._count(event)
            self.tick(now)
        return [event]

    def tick(self, now: float) -> list[Event]:
        """Look whether the time is over; `stop` says so.

        Args:
            now: A clock reading, in seconds.
        """
        deadline = self.deadline
        if deadline is not None and now >= deadline:
            self._spend(f"{self._seconds:g} seconds")
        return []

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return nothing: nothing is held."""
        return []

    def check(self) -> None:
        """Raise `error`; there is none."""

    # -- within ------------------------------------------------------------

    def _count(self, event: Event) -> None:
        if isinstance(event, UsageUpdate):
            self._usage.add(event.usage)
            counted = event.usage.output_tokens
            if counted is not None:
                self._counted, self._bytes = max(counted, self._counted), 0
        elif isinstance(event, TextDelta | ReasoningDelta | RefusalDelta):
            self._add(event.text)
        elif isinstance(event, ToolCallDelta | PartDelta):
            self._add(event.fragment)
        else:
            return
        tokens, most = self._used, self._tokens
        if self._characters is not None and self._length > self._characters:
            self._spend(f"{self._characters:,} characters")
        elif most is not None and tokens > most:
            self._spend(f"{most:,} tokens", estimated=self._bytes > 0)
        elif self._price is not None and self._most is not None:
            price: Any = self._price(self._now(tokens))
            if price != price:  # noqa: PLR0124 - nan alone differs from itself, of whatever type it is
                raise MisuseError("price= returned nan, which bounds nothing: return what the usage costs")
            if price > self._most:
                self._spend(f"{self._most:g} for the answer", estimated=self._bytes > 0)

    def _add(self, text: str) -> None:
        self._length += len(text)
        self._bytes += size_of(text)

    @property
    def _used(self) -> int:
        return self._counted + math.ceil(self._bytes / BYTES_PER_TOKEN)

    def _now(self, tokens: int) -> Usage:
        """Return the token counts, estimated where text has come since the provider's own."""
        usage = self._usage.build(final=False) or Usage()
        if not self._bytes:
            return usage
        return usage.model_copy(update={"output_tokens": tokens, "source": "estimated"})

    def _spend(self, bound: str, *, estimated: bool = False) -> None:
        by_estimate = ", by estimate" if estimated else ""
        self.stop = f"the budget of {bound} is used up{by_estimate}"

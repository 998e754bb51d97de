"""A rule that stops an answer that exceeds a budget."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._basics.elsewhere import explain_options
from tokenstream._basics.text_log import size_of
from tokenstream._growing_usage import BYTES_PER_TOKEN, GrowingUsage
from tokenstream.errors import MisuseError
from tokenstream.events import (
    PartDelta,
    ReasoningDelta,
    RefusalDelta,
    Resumed,
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
    """Stops an answer that exceeds a budget of tokens, characters, seconds or money.

    A stage over events, which returns each of them unchanged; `stop` is set to a reason
    once a bound is exceeded. Tokens are the provider's count, plus an estimate for the
    text since that count, with four bytes to a token; the reason says so if it is based
    on an estimate. Tokens without visible text, such as hidden reasoning, are not in the
    estimate.

    Args:
        tokens: The most tokens of the answer; None for no bound.
        characters: The most characters of text, refusal, reasoning and arguments; None for no bound.
        seconds: The most seconds since the request; None for no bound.
        price: Returns the cost of the given token counts; `usage.basis` is "estimated" for estimates. None
            for the price of the model that a stream asks, from the table of the extra `prices`.
        most: The highest cost; None for no bound.

    Raises:
        MisuseError: There is no bound, or a bound has no effect.

    Example:
        >>> from tokenstream.events import TextDelta
        >>> budget = Budget(characters=5)
        >>> [budget.feed(TextDelta(piece)) and budget.stop for piece in ("Hello", "!")]
        [None, 'the budget of 5 characters is used up']
    """

    error: None = None
    """Always None: this stage cannot fail."""

    __slots__ = (
        "_characters",
        "_characters_used",
        "_max_cost",
        "_reported_tokens",
        "_seconds",
        "_tokens",
        "_tokens_before",
        "_uncounted_bytes",
        "_usage",
        "_usage_before",
        "_words",
        "price",
        "started_at",
        "stop",
    )

    @explain_options()
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
        if price is not None and most is None:
            raise MisuseError("price= tells what an answer costs, and most= how much it may: give both")
        if price is not None and not callable(price):
            raise MisuseError(f"price= is a function that takes a Usage and returns a number, not {price!r}")
        self._tokens = None if tokens is None else check_whole("tokens", tokens)
        self._characters = None if characters is None else check_whole("characters", characters)
        self._seconds = None if seconds is None else check_seconds("seconds", seconds)
        self.price = price
        """Returns the cost of token counts; a stream sets it for a `most` without a price."""
        self._max_cost = None if most is None else check_seconds("most", most, unit="money")
        self._words = ""
        """The words for the highest cost; empty for the usual ones."""
        self.started_at: float | None = None
        """The clock at the request, or at the first event if the request's time is unknown."""
        self.begin_again()

    def begin_again(self) -> None:
        """Reset the counts for another answer; the seconds continue."""
        self.stop: str | None = None
        """The reason to stop the answer; None while the budget lasts."""
        self._usage = GrowingUsage()
        self._usage_before, self._tokens_before = Usage(), 0
        """The counts of the requests before the last one, and their output tokens, some of them estimated."""
        self._reported_tokens = 0
        """The provider's last count of tokens."""
        self._uncounted_bytes = self._characters_used = 0
        """Number of bytes since the provider's last count, and number of characters in total."""

    @property
    def needs_price(self) -> bool:
        """True if the budget bounds money, and has no price yet."""
        return self._max_cost is not None and self.price is None

    def allow(self, most: float, words: str) -> None:
        """Set the highest cost from now on, with its words in the reason to stop the answer."""
        self._max_cost, self._words = most, words

    def fresh(self) -> Budget:
        """Return a new Budget with the same bounds, for another answer."""
        return Budget(
            tokens=self._tokens,
            characters=self._characters,
            seconds=self._seconds,
            price=self.price,
            most=self._max_cost,
        )

    @property
    def deadline(self) -> float | None:
        """The clock reading at which no seconds are left.

        It is None without a bound, before the first event, and once a bound is exceeded.
        """
        started_at, seconds = self.started_at, self._seconds
        if started_at is None or seconds is None or self.stop is not None:
            return None
        return started_at + seconds

    def feed(self, event: Event, *, now: float = 0.0) -> list[Event]:
        """Return the event, and set `stop` if it exceeds a bound.

        Args:
            now: A clock reading, in seconds.
        """
        if self.started_at is None:
            self.started_at = now
        if self.stop is None:
            self._count(event)
            self.tick(now)
        return [event]

    def tick(self, now: float) -> list[Event]:
        """Set `stop` if no seconds are left.

        Args:
            now: A clock reading, in seconds.
        """
        deadline = self.deadline
        if deadline is not None and now >= deadline:
            self._stop_for(f"{self._seconds:g} seconds")
        return []

    def end(self, *, now: float = 0.0) -> list[Event]:
        """Return an empty list: this stage holds nothing back."""
        return []

    def check(self) -> None:
        """Do nothing: `error` is always None."""

    # -- within ------------------------------------------------------------

    def _count(self, event: Event) -> None:
        """Add an event's tokens and characters; set `stop` if they exceed a bound."""
        if isinstance(event, UsageUpdate):
            self._usage.add(event.usage)
            tokens = event.usage.output_tokens
            if tokens is not None:
                # The provider's count includes all text that has arrived so far.
                self._reported_tokens, self._uncounted_bytes = max(tokens, self._reported_tokens), 0
        elif isinstance(event, TextDelta | ReasoningDelta | RefusalDelta):
            self._add_text(event.text)
        elif isinstance(event, ToolCallDelta | PartDelta):
            self._add_text(event.fragment)
        else:
            if isinstance(event, Resumed) and event.mode != "resume":
                # Keep the counts so far: from now on, the provider counts the tokens of another request.
                used = self._tokens_used
                self._usage_before, self._tokens_before = self._build_usage(used), used
                self._usage = GrowingUsage()
                self._reported_tokens = self._uncounted_bytes = 0
            return
        self._check_bounds()

    def _check_bounds(self) -> None:
        """Set `stop` if the tokens, the characters or the cost exceed a bound."""
        used, max_tokens = self._tokens_used, self._tokens
        if self._characters is not None and self._characters_used > self._characters:
            self._stop_for(f"{self._characters:,} characters")
        elif max_tokens is not None and used > max_tokens:
            self._stop_for(f"{max_tokens:,} tokens", estimated=self._uncounted_bytes > 0)
        elif self._max_cost is not None:
            if self.price is None:
                raise MisuseError("this Budget(most=…) is in no stream, and so needs price=")
            cost: Any = self.price(self._build_usage(used))
            if cost != cost:  # noqa: PLR0124 - nan alone differs from itself, of whatever type it is
                raise MisuseError("price= returned nan, which bounds nothing: return what the usage costs")
            if cost > self._max_cost:
                self._stop_for(
                    self._words or f"{self._max_cost:g} for the answer", estimated=self._uncounted_bytes > 0
                )

    def _add_text(self, text: str) -> None:
        """Count text that no report of token counts includes yet."""
        self._characters_used += len(text)
        self._uncounted_bytes += size_of(text)

    @property
    def _tokens_used(self) -> int:
        """The provider's count of output tokens, plus an estimate for the text since that count."""
        estimated = math.ceil(self._uncounted_bytes / BYTES_PER_TOKEN)
        return self._tokens_before + self._reported_tokens + estimated

    def _build_usage(self, tokens: int) -> Usage:
        """Return the token counts, estimated if text has arrived since the provider's count."""
        usage = self._usage_before + self._usage.build(final=False)
        if not self._uncounted_bytes:
            return usage
        return usage.model_copy(update={"output_tokens": tokens, "basis": "estimated"})

    def _stop_for(self, bound: str, *, estimated: bool = False) -> None:
        """Set `stop` to the reason: the bound that is exceeded, with a note if that is an estimate."""
        by_estimate = ", by estimate" if estimated else ""
        self.stop = f"the budget of {bound} is used up{by_estimate}"

"""A rule that stops an answer that exceeds a budget."""

from __future__ import annotations

import math

from tokenstream._answer.usage import BYTES_PER_TOKEN
from tokenstream._basics.elsewhere import explain_options
from tokenstream._basics.text_log import size_of
from tokenstream.errors import MisuseError
from tokenstream.events import (
    Event,
    PartDelta,
    ReasoningDelta,
    RefusalDelta,
    Resumed,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tokenstream.limits import check_seconds, check_whole

_OF_MONEY = (
    "money is bounded with retry=Retry(attempts=1, most=0.05) of connect, and around your own request with "
    "resilient(open, Retry(attempts=1, most=Purse(most=0.05, price=…)))"
)


class Budget:
    """Stops an answer that exceeds a budget of tokens, characters or seconds.

    A stage over events, which returns each of them unchanged; `stop` is set to a reason
    once a bound is exceeded. Tokens are the provider's count, plus an estimate for the
    text since that count, with four bytes to a token; the reason says so if it is based
    on an estimate. Tokens without visible text, such as hidden reasoning, are not in the
    estimate.

    Args:
        tokens: The most tokens of the answer; None for no bound.
        characters: The most characters of text, refusal, reasoning and arguments; None for no bound.
        seconds: The most seconds since the request; None for no bound.

    Raises:
        MisuseError: No bound is given, or one is not a number above 0.

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
        "_reported_tokens",
        "_seconds",
        "_tokens",
        "_tokens_before",
        "_uncounted_bytes",
        "started_at",
        "stop",
    )

    @explain_options(most=_OF_MONEY, price=_OF_MONEY)
    def __init__(
        self, *, tokens: int | None = None, characters: int | None = None, seconds: float | None = None
    ) -> None:
        if tokens is None and characters is None and seconds is None:
            raise MisuseError("a Budget without a bound stops nothing: give tokens=, characters= or seconds=")
        self._tokens = None if tokens is None else check_whole("tokens", tokens)
        self._characters = None if characters is None else check_whole("characters", characters)
        self._seconds = None if seconds is None else check_seconds("seconds", seconds)
        self.started_at: float | None = None
        """The clock at the request, or at the first event if the request's time is unknown."""
        self.begin_again()

    def begin_again(self) -> None:
        """Reset the counts for another answer; the seconds continue."""
        self.stop: str | None = None
        """The reason to stop the answer; None while the budget lasts."""
        self._tokens_before = 0
        """The output tokens of the requests before the last one, some of them estimated."""
        self._reported_tokens = 0
        """The provider's last count of tokens."""
        self._uncounted_bytes = self._characters_used = 0
        """Number of bytes since the provider's last count, and number of characters in total."""

    def fresh(self) -> Budget:
        """Return a new Budget with the same bounds, for another answer."""
        return Budget(tokens=self._tokens, characters=self._characters, seconds=self._seconds)

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
                self._tokens_before = self._tokens_used
                self._reported_tokens = self._uncounted_bytes = 0
            return
        self._check_bounds()

    def _check_bounds(self) -> None:
        used, max_tokens = self._tokens_used, self._tokens
        if self._characters is not None and self._characters_used > self._characters:
            self._stop_for(f"{self._characters:,} characters")
        elif max_tokens is not None and used > max_tokens:
            self._stop_for(f"{max_tokens:,} tokens", estimated=self._uncounted_bytes > 0)

    def _add_text(self, text: str) -> None:
        """Count text that no report of token counts includes yet."""
        self._characters_used += len(text)
        self._uncounted_bytes += size_of(text)

    @property
    def _tokens_used(self) -> int:
        """The provider's count of output tokens, plus an estimate for the text since that count."""
        estimated = math.ceil(self._uncounted_bytes / BYTES_PER_TOKEN)
        return self._tokens_before + self._reported_tokens + estimated

    def _stop_for(self, bound: str, *, estimated: bool = False) -> None:
        """Set `stop` to the reason: the bound that is exceeded, with a note if that is an estimate."""
        by_estimate = ", by estimate" if estimated else ""
        self.stop = f"the budget of {bound} is used up{by_estimate}"

"""Adds up the costs of an answer's attempts, and bounds their sum."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.text_log import size_of
from tokenstream._sources import FunctionFailed
from tokenstream.errors import MisuseError, OutputIncomplete
from tokenstream.formats._registry import format_of_request
from tokenstream.message import Usage
from tokenstream.recovery._purse import Amount, Booking, Purse
from tokenstream.stages import Budget
from tokenstream.stream._prices import adds_cached, count_tokens, require_tariff

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._pipeline.machine import Machine
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stream._attempts import Attempt

_LEAST_BYTES_PER_TOKEN = 2
"""Fewer bytes per token than requests have on average in any language, so that enough is taken."""


class Price:
    """The price of a route for one stream: computes costs with the caller's function.

    The function is called once for the same token counts. After it has raised an exception, it is not called
    any more, and the cost is unknown.

    Args:
        function: The caller's function; None if the route has no price.
    """

    __slots__ = ("_cost", "_usage", "function")

    def __init__(self, function: Callable[[Usage], float] | None) -> None:
        self.function = function
        """The caller's function; None if there is none, or once it has raised an exception."""
        self._usage: Usage | None = None
        """The token counts for which `_cost` was computed; None before the first ones."""
        self._cost = 0.0

    def of(self, usage: Usage) -> float | None:
        """Return the cost of token counts; None if it is unknown; the caller's function may raise."""
        if self.function is None or not usage:
            return None
        if usage != self._usage:
            # While the function runs, it is not stored: if it raises an exception, it is never called again.
            function, self.function = self.function, None
            self._cost, self._usage = _check_cost(function(usage)), usage
            self.function = function
        return self._cost


class Spending:
    """Adds up the costs of all attempts, and stops the answer before the sum exceeds `Retry.most`.

    The attempt in progress is counted by a `Budget` as it arrives, also while it is held back. The budget
    estimates what the provider has not counted yet. With a purse, the bound is what was taken from it.

    Args:
        most: The bound on the sum, or the purse that bounds many answers.
        machine: Decodes the answer.
    """

    def __init__(self, most: float | Purse, machine: Machine) -> None:
        self._machine = machine
        self.purse = most if isinstance(most, Purse) else None
        """The purse from which each request takes what it may cost; None without one."""
        self.most = most.most if isinstance(most, Purse) else most
        self.spent, self._spent_tokens = 0.0, 0
        """The cost of the answers before the one that arrives now, and their tokens."""
        self._price, self._adds_cached = Price(None), False
        """The price of the current attempt's route, and True if its provider counts cached tokens apart."""
        self._now, self._tokens_now = 0.0, 0
        """The cost of the answer that arrives now, and its tokens."""
        self._taken = Amount()
        """What is taken from the purse for this answer."""
        self.budget = Budget(price=self._add_up, most=self.most or 1.0)
        """The rule that stops the answer."""
        self._refusal: str | None = None
        """The reason for which a request was not sent; None if all were."""

    def begin(self, price: Price, opener: SourceOpener, *, goes_on: bool) -> None:
        """Begin to count another attempt's costs; one that resumes has the token counts from before, too."""
        if not goes_on:
            self.spent, self._now = self.spent + self._now, 0.0
            self._spent_tokens, self._tokens_now = self._spent_tokens + self._tokens_now, 0
        self._price, self._adds_cached = price, adds_cached(opener.asked, opener.format)

    def end(self, cost: float | None, usage: Usage) -> None:
        """Note the cost of the attempt that has ended."""
        # The server may have counted less than what has arrived, or what has arrived may not be visible.
        self._now = max(cost or 0.0, self._now)
        self._tokens_now = max(count_tokens(usage, adds_cached=self._adds_cached), self._tokens_now)

    def add(self, cost: float | None, usage: Usage) -> None:
        """Add the cost of an attempt that was made beside the current one; None if it is unknown."""
        self.spent += cost or 0.0
        self._spent_tokens += count_tokens(usage, adds_cached=self._adds_cached)

    def is_used_up(self, cost: float | None) -> bool:
        """Return True if nothing is left for another attempt; a purse is asked before each request."""
        return self.purse is None and self.spent + max(cost or 0.0, self._now) >= (self.most or 0.0)

    def _add_up(self, usage: Usage) -> float:
        """Return the cost of all attempts; infinity if their tokens are more than were taken from the purse."""
        self._now = self._price.of(usage) or 0.0
        self._tokens_now = count_tokens(usage, adds_cached=self._adds_cached)
        tokens = None if self.purse is None else self.purse.tokens
        if tokens is not None and self._spent_tokens + self._tokens_now > self._taken.tokens:
            return math.inf
        return self.spent + self._now

    # -- the purse ---------------------------------------------------------

    def check(self, opener: SourceOpener) -> None:
        """Refuse a request without a price, or, for a purse, one that does not say how long its answer may be."""
        url, payload = opener.asked or ("", None)
        if callable(payload):
            # It is made, and then checked, once the attempt begins.
            return
        if self.most is not None and (opener.route is None or opener.route.price is None):
            require_tariff(opener.asked, opener.format, "Retry(most=)")
        if self.purse is not None and not opener.makes_request:
            raise MisuseError("a Purse needs requests that the library makes: use connect, and routes=")

    def reserve(self, opener: SourceOpener, attempt: Attempt, price: Price) -> None:
        """Take from the purse what an attempt may cost, before its request is sent; raise if there is no room."""
        self.check(opener)
        if self.purse is not None and attempt.mode != "resume":
            change = self._find_change(self.purse, opener, attempt, price)
            with _raise_as_function():
                self._note(self.purse, change, *self.purse.add(change, bounded=True))

    async def reserve_async(self, opener: SourceOpener, attempt: Attempt, price: Price) -> None:
        """Take from the purse as `reserve` does, without waiting in the event loop."""
        self.check(opener)
        if self.purse is not None and attempt.mode != "resume":
            change = self._find_change(self.purse, opener, attempt, price)
            with _raise_as_function():
                self._note(self.purse, change, *await Booking(self.purse, change, bounded=True).make_async())

    def _find_change(self, purse: Purse, opener: SourceOpener, attempt: Attempt, price: Price) -> Amount:
        """Return what an attempt may cost, less what is taken for the ones before it and was not spent."""
        url, payload = opener.asked or ("", None)
        limit = attempt.limit_left or opener.limit(format_of_request(url, opener.format))
        if limit is None:
            raise MisuseError(
                "a Purse takes out what an answer may cost, for which its request needs an output limit: set it, "
                "such as max_tokens, or give Retry(max_output_tokens=…)"
            )
        size = len(to_json_bytes(payload)) + (size_of(attempt.message.text) if attempt.asked else 0)
        tokens = math.ceil(size / _LEAST_BYTES_PER_TOKEN)
        usage = Usage(input_tokens=tokens, output_tokens=limit, source="estimated")
        needed = Amount.of(price.of(usage) or 0.0, tokens + limit)
        # Beside a hedge, the first request is still running.
        return needed if attempt.mode == "hedge" else needed.plus(self._total).minus(self._taken)

    def _note(self, purse: Purse, change: Amount, added: bool, spent: Amount) -> None:  # noqa: FBT001 - a result
        """Note what was taken; raise `OutputIncomplete` if there was no room."""
        if not added:
            needed = " and ".join(
                words
                for words, bound in ((f"{change.cost:.6g}", purse.most), (f"{change.tokens:,} tokens", purse.tokens))
                if bound is not None
            )
            self._refusal = (
                f"the request was not sent, for which the purse has no room: it may cost {needed}, "
                f"and {purse.describe_left(spent)} are left"
            )
            raise self._make_error(self._refusal)
        self._taken = self._taken.plus(change)
        most = math.inf if purse.most is None else self._taken.cost
        self.budget.allow(most, "what was taken from the purse for the answer")

    def take_booking(self) -> Booking | None:
        """Return what books the cost of the answer once it has ended; None if nothing is to be booked."""
        change = self._total.minus(self._taken)
        # Nothing is taken for an answer that was not sent.
        if self.purse is None or not any(self._taken):
            return None
        self._taken = self._total
        return Booking(self.purse, change) if any(change) else None

    @property
    def _total(self) -> Amount:
        """What the answer has cost so far, in all attempts."""
        return Amount.of(self.spent + self._now, self._spent_tokens + self._tokens_now)

    def find_error(self, stop_reason: str | None) -> OutputIncomplete | None:
        """Return the error of an answer that `Retry.most` has stopped or not sent; None for any other."""
        reason = self._refusal
        if reason is None and stop_reason is not None and stop_reason == self.budget.stop:
            reason = f"the answer was stopped: {stop_reason}"
        return None if reason is None else self._make_error(reason)

    def _make_error(self, reason: str) -> OutputIncomplete:
        """Return the error of an answer that has cost too much, with the partial answer."""
        message = self._machine.accumulator.message
        if message.ending == "streaming":
            message = message.model_copy(update={"ending": "stopped"})
        error = OutputIncomplete(reason, text=message.text, offset=len(message.text))
        error.partial, error.origin = message, self._machine.origin
        return error


@contextmanager
def _raise_as_function() -> Generator[None]:
    """Let an exception end the stream as it is, so that no further attempt is made because of it."""
    try:
        yield
    except Exception as error:
        raise FunctionFailed(error) from error


def _check_cost(returned: object) -> float:
    """Check what the caller's `price` function has returned, and return it; refuse all but numbers."""
    cost: Any = returned
    if isinstance(cost, bool) or not isinstance(cost, int | float) or math.isnan(cost):
        raise MisuseError(f"price= returns what the usage costs, as a number, and not {cost!r}")
    return float(cost)

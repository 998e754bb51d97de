"""Adds up the costs of an answer's attempts, and bounds their sum."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import to_json_bytes
from tokenstream._basics.text_log import size_of
from tokenstream._growing_usage import BYTES_PER_TOKEN, estimate_from
from tokenstream._sources import FunctionFailed
from tokenstream.errors import ConnectError, MisuseError, NotAStream, OutputIncomplete, StatusError
from tokenstream.formats._registry import format_of_request
from tokenstream.message import Usage
from tokenstream.recovery._purse import Amount, Booking, Purse
from tokenstream.stages import Budget
from tokenstream.stream._prices import adds_cached, count_tokens, require_tariff

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._pipeline.machine import Machine
    from tokenstream.errors import StreamError
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stream._attempts import Attempt

_UNPAID = (ConnectError, StatusError, NotAStream)
"""Errors of requests that no model has answered, and that cost nothing."""
_LEAST_BYTES_PER_TOKEN = 2
"""Fewer bytes per token than requests have on average in any language, so that enough is taken."""


class Price:
    """The price of a route for one stream: computes costs with the caller's function.

    The function is called once for the same token counts. After it has raised an exception, it is not called
    any more, and the cost is unknown.
    """

    __slots__ = ("_cost", "_usage", "function")

    def __init__(self, function: Callable[[Usage], float | None] | None) -> None:
        self.function = function
        """The caller's function; None if there is none, or once it has raised an exception."""
        self._usage: Usage | None = None
        """The token counts for which `_cost` was computed; None before the first ones."""
        self._cost: float | None = 0.0

    def of(self, usage: Usage) -> float | None:
        """Return the cost of token counts; None if it is unknown; the caller's function may raise."""
        if self.function is None or not usage:
            return None
        if usage != self._usage:
            # While the function runs, it is not stored: if it raises an exception, it is never called again.
            function, self.function = self.function, None
            cost = function(usage)
            self._cost = cost if cost is None else _check_cost(cost)
            self._usage, self.function = usage, function
        return self._cost


class Spending:
    """Adds up the costs of all attempts, and stops the answer before the sum exceeds `Retry.most`.

    The attempt in progress is counted by a `Budget` as it arrives, also while it is held back. The budget
    estimates what the provider has not counted yet. With a purse, the bound is what was taken from it.
    """

    def __init__(self, most: float | Purse, machine: Machine, opener: SourceOpener) -> None:
        self._machine = machine
        self.purse = most if isinstance(most, Purse) else None
        """The purse from which each request takes what it may cost; None without one."""
        self.most = most.most if isinstance(most, Purse) else most
        self.spent, self._spent_tokens = 0.0, 0
        """The cost of the answers before the one that arrives now, and their tokens."""
        self._price, self._opener = Price(None), opener
        """The price and the opener of the current attempt."""
        self._input: int | None = None
        """The estimated tokens of the current attempt's request; None before they are needed."""
        self._now, self._tokens_now = 0.0, 0
        """The cost of the answer that arrives now, and its tokens."""
        self._taken = Amount()
        """The amount taken from the purse for this answer."""
        self.budget = Budget(price=self._add_up, most=self.most or 1.0)
        """The rule that stops the answer."""
        self._refusal: str | None = None
        """The reason for which a request was not sent; None if all were."""

    def begin(self, price: Price, opener: SourceOpener, *, goes_on: bool) -> None:
        """Begin to count another attempt's costs; one that resumes has the token counts from before, too."""
        if not goes_on:
            self.spent, self._now = self.spent + self._now, 0.0
            self._spent_tokens, self._tokens_now = self._spent_tokens + self._tokens_now, 0
        self._price, self._opener, self._input = price, opener, None

    def end(self, cost: float | None, usage: Usage) -> None:
        """Note the cost of the attempt that has ended."""
        tokens = self._count_tokens(usage)
        if usage.basis != "reported":
            # The server may have counted less than what has arrived, or what has arrived may not be visible.
            cost, tokens = max(cost or 0.0, self._now), max(tokens, self._tokens_now)
        self._now, self._tokens_now = cost or 0.0, tokens

    def add(self, cost: float | None, usage: Usage) -> None:
        """Add the cost of an attempt that was made beside the current one; None if it is unknown."""
        self.spent += cost or 0.0
        self._spent_tokens += self._count_tokens(usage)

    def is_used_up(self, cost: float | None) -> bool:
        """Return True if nothing is left for another attempt; a purse is asked before each request."""
        return self.purse is None and self.spent + max(cost or 0.0, self._now) >= (self.most or 0.0)

    def _add_up(self, usage: Usage) -> float:
        """Return the cost of all attempts; infinity if they have more tokens than the purse has given."""
        if usage.input_tokens is None:
            if self._input is None:
                self._input = _with_input(Usage(), self._opener).input_tokens
            usage = usage.model_copy(update={"input_tokens": self._input})
        self._now = self._price.of(usage) or 0.0
        self._tokens_now = self._count_tokens(usage)
        tokens = None if self.purse is None else self.purse.tokens
        if tokens is not None and self._spent_tokens + self._tokens_now > self._taken.tokens:
            return math.inf
        return self.spent + self._now

    def _count_tokens(self, usage: Usage) -> int:
        """Return the number of tokens of a usage, as the current attempt's provider counts them."""
        opener = self._opener
        return count_tokens(usage, adds_cached=adds_cached(opener.asked, opener.format))

    # -- the purse ---------------------------------------------------------

    def check(self, opener: SourceOpener) -> None:
        """Refuse a request without a price and, for a purse, one that the library does not make."""
        if opener.asked is not None and callable(opener.asked[1]):
            # It is made, and then checked, once the attempt begins.
            return
        if self.most is not None and (opener.route is None or opener.route.price is None):
            require_tariff(opener.asked, opener.format, "Route(price=…)")
        if self.purse is not None and not opener.makes_request:
            raise MisuseError("a Purse needs requests that the library makes: use connect, and routes=")

    def reserve(self, opener: SourceOpener, attempt: Attempt, price: Price) -> None:
        """Take from the purse what an attempt may cost, before its request; raise if there is no room."""
        self.check(opener)
        if self.purse is not None and attempt.mode != "resume":
            with _raise_as_function():
                booking = self._plan_booking(self.purse, opener, attempt, price)
                self._note(booking, attempt, *booking.make())

    async def reserve_async(self, opener: SourceOpener, attempt: Attempt, price: Price) -> None:
        """Take from the purse as `reserve` does, without waiting in the event loop."""
        self.check(opener)
        if self.purse is not None and attempt.mode != "resume":
            with _raise_as_function():
                booking = self._plan_booking(self.purse, opener, attempt, price)
                self._note(booking, attempt, *await booking.make_async())

    def _plan_booking(self, purse: Purse, opener: SourceOpener, attempt: Attempt, price: Price) -> Booking:
        """Return what an attempt may cost, less what is taken for the ones before it and was not spent."""
        url = "" if opener.asked is None else opener.asked[0]
        limit = attempt.limit_left or opener.limit(format_of_request(url, opener.format))
        if limit is None:
            raise MisuseError(
                "a Purse takes out what an answer may cost, for which its request needs an output limit: "
                "set it in the payload, such as max_tokens"
            )
        size = _size_of_request(opener) + (size_of(attempt.message.text) if attempt.asked else 0)
        tokens = math.ceil(size / _LEAST_BYTES_PER_TOKEN)
        usage = Usage(input_tokens=tokens, output_tokens=limit, basis="estimated")
        cost = price.of(usage)
        if cost is None and purse.most is not None:
            raise MisuseError("a Purse of money needs a cost for each request, and price= has returned None")
        needed = Amount.of(cost or 0.0, tokens + limit)
        # Beside a hedge, the first request is still running.
        is_beside = attempt.mode == "hedge"
        change = needed if is_beside else needed.plus(self._total).minus(self._taken)
        return Booking(purse, change, bounded=True)

    def _note(self, booking: Booking, attempt: Attempt, added: bool, spent: Amount) -> None:  # noqa: FBT001 - a result
        """Note what was taken; raise `OutputIncomplete` if there was no room."""
        purse, change, _ = booking
        if not added:
            refusal = (
                "the request was not sent, because the purse has no room for it: it may take "
                f"{purse.describe(change)} of the {purse.describe(purse.bounds.minus(spent))} that are left"
            )
            if attempt.mode != "hedge":
                # Without a hedge, the first request goes on.
                self._refusal = refusal
            raise self._make_error(refusal)
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
        """The amount that the answer has cost so far, in all attempts."""
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


def is_counted(usage: Usage, error: StreamError | None) -> bool:
    """Return True if the token counts of an attempt that has ended need no estimate."""
    if usage.basis == "none":
        return isinstance(error, _UNPAID)
    return usage.basis == "reported" and bool(usage.output_tokens)


def estimate_attempt(usage: Usage, size: int, opener: SourceOpener) -> Usage:
    """Return the token counts of an attempt that has brought some bytes, with estimates of missing ones."""
    return _with_input(estimate_from(usage, size), opener)


def _with_input(usage: Usage, opener: SourceOpener) -> Usage:
    """Return a usage with an estimate of the request's tokens if the provider has not counted them."""
    if usage.input_tokens is not None or opener.asked is None:
        return usage
    tokens = math.ceil(_size_of_request(opener) / BYTES_PER_TOKEN)
    return usage.model_copy(update={"input_tokens": tokens, "basis": "estimated"})


def _size_of_request(opener: SourceOpener) -> int:
    """Return the number of bytes of a request's JSON; 0 if that is not known."""
    payload = None if opener.asked is None else opener.asked[1]
    return 0 if payload is None or callable(payload) else len(to_json_bytes(payload))


def _check_cost(returned: object) -> float:
    """Check what the caller's `price` function has returned, and return it; refuse all but numbers."""
    cost: Any = returned
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < math.inf:
        raise MisuseError(f"price= returns what the usage costs, as a number of 0 or more, and not {cost!r}")
    return float(cost)

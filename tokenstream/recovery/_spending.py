"""Adds up the costs of an answer's attempts, and bounds their sum."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tokenstream._answer.usage import GrowingUsage
from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._basics.text_log import size_of
from tokenstream.errors import CostExceeded, MisuseError, PurseUnavailable
from tokenstream.events import UsageUpdate
from tokenstream.formats._endings import find_end_sign
from tokenstream.formats._registry import format_of_request
from tokenstream.message import Usage
from tokenstream.recovery._estimates import RequestSize, estimate_attempt, measure_request
from tokenstream.recovery._ledger import Amount, PurseReply
from tokenstream.recovery._purse import Booking, Claim, Purse
from tokenstream.stages import Budget
from tokenstream.stream._prices import adds_cached, count_tokens, require_tariff

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tokenstream._pipeline.machine import Machine
    from tokenstream.events import Event
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stream._attempts import Attempt

_LEAST_BYTES_PER_TOKEN = 2
"""Fewer bytes per token than requests have on average in any language, so that enough is taken."""
_AHEAD = 8
"""The part of what was reserved for an answer that is reserved ahead, once it costs more."""
_FIRST_WAIT, _MAX_WAIT = 0.01, 0.25
"""The seconds after which a request without room asks the purse again, which double for each time."""


class CostBound(Budget):
    """The guard that stops an answer once there is no money for more of it: it counts all that arrives."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        super().__init__(tokens=1)

    def begin_again(self) -> None:
        super().begin_again()
        self._counted, self._size = GrowingUsage(), 0

    def fresh(self) -> CostBound:
        return self

    def _count(self, event: Event) -> None:
        if isinstance(event, UsageUpdate):
            self._counted.add(event.usage)
        super()._count(event)

    def _add_text(self, text: str) -> None:
        self._size += size_of(text)

    def _check_bounds(self) -> None:
        self.stop = self._spending.find_excess(self._counted.build(final=False), self._size)


class Spending:
    """Adds up the costs of all attempts, and stops the answer before the sum exceeds `Retry.most`.

    The attempt in progress is counted as it arrives, also while it is held back. What the provider has not
    counted yet is estimated. With a purse, the bound is what the purse has: once an answer costs more than
    was reserved for it, more is reserved.
    """

    def __init__(self, most: float | Purse, machine: Machine, opener: SourceOpener) -> None:
        self._machine = machine
        self.purse = most if isinstance(most, Purse) else None
        """The purse in which each request reserves what it may cost; None without one."""
        self.waits = self.purse is not None and self.purse.waits
        """True if the driver has to reserve more between two reads, with `take_more`."""
        self.most = most.most if isinstance(most, Purse) else most
        self.spent, self._spent_tokens = 0.0, 0
        """The cost of the answers before the one that arrives now, and their tokens."""
        self._opener = opener
        self._request: RequestSize | None = None
        self._now, self._tokens_now = 0.0, 0
        self._claim = None if self.purse is None else Claim(self.purse)
        """The amount that the purse has reserved for this answer; None without a purse."""
        self._lacks: Booking | None = None
        """Reserves what the answer has cost beyond what was reserved; None for nothing."""
        self.find_wait: Callable[[float], float] = lambda seconds: seconds
        """Returns the seconds to wait for room of those that are wanted; 0 if `Retry.within` is over."""
        self._wait = _FIRST_WAIT
        self.bound = CostBound(self)
        self._refusal: str | None = None
        """The reason for which a request was not sent; None if all were."""

    def begin(self, opener: SourceOpener, *, goes_on: bool) -> None:
        """Begin to count another attempt's costs; one that resumes has the token counts from before, too."""
        if not goes_on:
            self.spent, self._now = self.spent + self._now, 0.0
            self._spent_tokens, self._tokens_now = self._spent_tokens + self._tokens_now, 0
        self._opener, self._request = opener, None

    def end(self, cost: float | None, usage: Usage) -> None:
        self._now, self._tokens_now = cost or 0.0, self._count_tokens(usage)

    def add(self, cost: float | None, usage: Usage) -> None:
        """Add the cost of an attempt that was made beside the current one; None if it is unknown."""
        self.spent += cost or 0.0
        self._spent_tokens += self._count_tokens(usage)

    def is_used_up(self, cost: float | None) -> bool:
        """Return True if nothing is left for another attempt; a purse is asked before each request."""
        return self.purse is None and self.spent + max(cost or 0.0, self._now) >= (self.most or 0.0)

    def find_excess(self, usage: Usage, size: int) -> str | None:
        """Count what has arrived; return the reason to stop the answer, or None if it may go on."""
        if usage.input_tokens is None and self._request is None:
            self._request = measure_request(self._opener.sent_request or self._opener.asked)
        usage = estimate_attempt(usage, size, self._opener, self._request)
        self._now, self._tokens_now = self._opener.price.of(usage) or 0.0, self._count_tokens(usage)
        claim, cost = self._claim, self.spent + self._now
        most = math.inf if self.most is None else self.most if claim is None else claim.taken.cost
        tokens = math.inf if claim is None or claim.purse.tokens is None else claim.taken.tokens
        if cost <= most and self._spent_tokens + self._tokens_now <= tokens:
            if claim is not None:
                # A killed process has certainly spent this; the estimate of the request is higher.
                claim.sure = claim.sure.at_least(self._total)
            return None
        if find_end_sign(self._machine.link.connection.format) not in ("nothing", "doubt"):
            # All of it has arrived, and is paid for.
            return None
        if claim is None:
            estimated = ", by estimate" if usage.basis == "estimated" else ""
            return f"the budget of {most:g} for the answer is used up{estimated}"
        # A little ahead of what the answer has cost, if there is room.
        ahead = Amount(claim.taken.money // _AHEAD, claim.taken.tokens // _AHEAD)
        least = self._total.at_least(claim.taken)
        booking = Booking(claim, self._total.at_least(claim.sure), (least.plus(ahead), least), "room")
        if self.waits:
            self._lacks = booking
            return None
        self.note_booked(booking.make())
        return self.bound.stop

    def _count_tokens(self, usage: Usage) -> int:
        """Return the number of tokens of a usage, as the current attempt's provider counts them."""
        opener = self._opener
        return count_tokens(usage, adds_cached=adds_cached(opener.asked, opener.format))

    # -- the purse ---------------------------------------------------------

    def check(self, opener: SourceOpener) -> None:
        if opener.asked is not None and callable(opener.asked[1]):
            # It is made, and then checked, once the attempt begins.
            return
        if self.most is not None and not opener.price.is_given:
            require_tariff(opener.asked, opener.format)

    def reserve(self, opener: SourceOpener, attempt: Attempt) -> float:
        """Reserve what an attempt may cost, before its request; return 0, or the seconds to wait for room."""
        with self._raise_as_function():
            booking = self._plan_booking(opener, attempt)
            return 0.0 if booking is None else self._read_reply(booking, attempt, booking.make())

    async def reserve_async(self, opener: SourceOpener, attempt: Attempt) -> float:
        """Reserve what an attempt may cost as `reserve` does, without waiting in the event loop."""
        from anyio.lowlevel import checkpoint_if_cancelled

        with self._raise_as_function():
            if (booking := self._plan_booking(opener, attempt)) is None:
                return 0.0
            reply = await booking.make_async()
            # A reader who has left meanwhile sends no request.
            await checkpoint_if_cancelled()
            return self._read_reply(booking, attempt, reply)

    def _plan_booking(self, opener: SourceOpener, attempt: Attempt) -> Booking | None:
        """Return what reserves the most that an attempt may cost, in place of those before."""
        self.check(opener)
        claim = self._claim
        if claim is None or attempt.mode == "resume":
            return None
        claim.begin(self._machine.accumulator.calls.given)
        if not opener.makes_request:
            return Booking(claim, self._total, (self._total,), "room")
        request, most = self._find_needed(claim.purse, opener, attempt)
        if attempt.mode == "hedge":
            # The first request is still running beside it.
            return Booking(claim, claim.sure.plus(request), (claim.taken.plus(most),), "room")
        return Booking(claim, self._total.plus(request), (self._total.plus(most),), "wait", self._total)

    def _find_needed(self, purse: Purse, opener: SourceOpener, attempt: Attempt) -> tuple[Amount, Amount]:
        """Return what an attempt's request costs, and the most that it may cost with its answer."""
        url = "" if opener.asked is None else opener.asked[0]
        limit = attempt.limit_left or opener.limit(format_of_request(url, opener.format))
        if limit is None:
            raise MisuseError(
                "a Purse takes out what an answer may cost, for which its request needs an output limit: "
                "set it in the payload, such as max_tokens"
            )
        size, media = measure_request(opener.asked)
        size += size_of(attempt.message.text) if attempt.asked else 0
        tokens = RequestSize(size, media).count_tokens(_LEAST_BYTES_PER_TOKEN)
        amounts = list[Amount]()
        for output in (0, limit):
            cost = opener.price.of(Usage(input_tokens=tokens, output_tokens=output, basis="estimated"))
            if cost is None and purse.most is not None:
                raise MisuseError(
                    "a Purse of money needs a cost for each request, and price= has returned None"
                )
            amounts.append(Amount.of(cost or 0.0, tokens + output))
        return amounts[0], amounts[1]

    def _read_reply(self, booking: Booking, attempt: Attempt, reply: PurseReply) -> float:
        """Return 0 if there was room, or the seconds to wait for it; raise `CostExceeded` for none."""
        if reply.made == 1:
            self._wait = _FIRST_WAIT
            return 0.0
        wait, self._wait = self._wait, min(2 * self._wait, _MAX_WAIT)
        if reply.made == 0 and booking.kind == "wait" and (wait := self.find_wait(wait)) > 0:
            return wait
        purse, needed = booking.claim.purse, booking.most[0].minus(self._total)
        refusal = (
            "the request was not sent, because the purse has no room for it: it may take "
            f"{purse.describe(needed)} of the {purse.describe(purse.bounds.minus(reply.spent))} that are left"
        )
        if reply.made == 0:
            refusal += f", of which {purse.describe(reply.held)} are reserved for running requests"
        if attempt.mode != "hedge":
            # Without a hedge, the first request goes on.
            self._refusal = refusal
        raise self._make_error(refusal)

    def take_more(self) -> Booking | None:
        """Return what reserves more; None unless the answer has cost more than was reserved."""
        lacks, self._lacks = self._lacks, None
        return lacks

    def note_booked(self, reply: PurseReply) -> None:
        if self.purse is not None and reply.made != 1:
            self.bound.stop = f"the purse is empty: {self.purse.compare(reply.spent.plus(reply.held))}"

    def take_booking(self) -> Booking | None:
        """Return what books the cost of the answer once it has ended; None if nothing is to be booked."""
        claim, total = self._claim, self._total
        if claim is None or (claim.is_over and claim.taken == total):
            return None
        claim.is_over = True
        return Booking(claim, total, (total,), "note")

    @property
    def _total(self) -> Amount:
        return Amount.of(self.spent + self._now, self._spent_tokens + self._tokens_now)

    def find_error(self, stop_reason: str | None) -> CostExceeded | None:
        """Return the error of an answer that `Retry.most` has stopped or not sent; None for any other."""
        reason = self._refusal
        if reason is None and stop_reason is not None and stop_reason == self.bound.stop:
            reason = f"the answer was stopped: {stop_reason}"
        return None if reason is None else self._make_error(reason)

    def _make_error(self, reason: str) -> CostExceeded:
        error = CostExceeded(reason, text=self._machine.accumulator.message.text)
        self._machine.progress.store_on(error, "stopped")
        return error

    @contextmanager
    def _raise_as_function(self) -> Generator[None]:
        """Let an exception end the stream as it is, so that no further attempt is made because of it."""
        try:
            yield
        except Exception as error:
            if isinstance(error, PurseUnavailable):
                self._machine.progress.store_on(error, "stopped")
            raise FunctionFailed(error) from error

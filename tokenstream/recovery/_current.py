"""The current attempt at an answer, what it costs, and reports on the attempts before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._answer.usage import NO_USAGE
from tokenstream.recovery._estimates import estimate_attempt, is_counted
from tokenstream.stream._attempts import AttemptReport
from tokenstream.stream._prices import find_bill

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.message import Usage
    from tokenstream.recovery._decision import AttemptPlan
    from tokenstream.recovery._hedge import Race
    from tokenstream.recovery._received import ReceivedAnswer
    from tokenstream.recovery._spending import Spending
    from tokenstream.stream._attempts import Attempt


class CurrentAttempt:
    """The attempt that is running: its request, what it has brought, and what all attempts cost."""

    def __init__(self, answer: ReceivedAnswer, spending: Spending | None) -> None:
        self.request, self.answer, self.machine = answer.request, answer, answer.machine
        self._spending = spending
        self.race: Race | None = None
        """The race of the first two attempts; None without one, and once it is decided or left."""
        self._kept_reports: list[AttemptReport] = []
        """Reports on earlier attempts, and on this one from the call of `keep_report` on."""
        self._has_kept = False
        self._counted_before = 0
        """Number of the answer's tokens, as counted by servers on earlier connections."""
        self._cost: float | None = None
        """The cost of this attempt, as it was computed last; None before that, or if it is unknown."""
        self._is_over = False
        """True once this attempt has ended, so that its cost is known."""
        self._size_before = 0
        self._paid = NO_USAGE
        """The token counts of this request that the attempts before have, which this attempt resumes."""

    def begin(self, plan: AttemptPlan, attempt: Attempt, now: float) -> None:
        self._paid = self._counted if attempt.mode == "resume" else NO_USAGE
        if attempt.mode != "resume":
            self._size_before = 0 if attempt.mode == "restart" else self.machine.accumulator.size
        self._cost, self._is_over, self._has_kept = None, False, False
        until = self.request.begin(plan, attempt, now)
        if attempt.mode in ("restart", "pause") or self.request.is_at_limit:
            # Each request has the whole output limit.
            self._counted_before = 0
        self.begin_route(plan.opener_index, until)

    def begin_route(self, index: int, now: float | None) -> None:
        """Go to an opener; without a time, the attempt does not count for its route."""
        request = self.request
        request.go_to(index, now)
        if not self.answer.has_content:
            # Otherwise, the message has the name of the route whose text it has.
            self.machine.accumulator.route = request.route
        if self._spending is not None:
            self._spending.begin(request.opener, goes_on=request.attempt.mode == "resume")

    def count_on(self) -> None:
        """Let the server count the tokens of a continuation, beside those that were counted before."""
        # After the output limit, each request has the whole limit.
        self._counted_before = 0 if self.request.is_at_limit else self.counted_in_all

    def find_cost(self) -> float | None:
        """Compute what this attempt has cost, for its reports; return the cost of its request, or None."""
        self._is_over = True
        # If the function raises an exception, the cost is unknown.
        self._cost = None
        price = self.request.opener.price
        if price.function is None and self._spending is None:
            # The price of the table is looked up once somebody asks for the cost.
            return None
        usage, paid = self._counted, self._paid
        cost = price.of(usage) if usage else 0.0
        if cost is not None:
            # The attempts before have the cost of what this one has resumed.
            before = (price.of(paid) or 0.0) if paid and usage else 0.0
            self._cost = max(cost - before, 0.0)
            # The server's count of a whole answer is the bill; an estimate of what has come is the least.
            cost = cost if usage.basis == "reported" else max(cost, before)
        return cost

    def end(self, error: StreamError | None, now: float) -> None:
        if not self.request.attempt.number:
            # That of an earlier process counts nowhere in this one.
            return
        if self.race is not None:
            self.race.settle()
        self.request.end(error, now, has_answer=self.answer.hold.released)
        cost = self.find_cost()
        if self._spending is not None:
            self._spending.end(cost, self._counted)

    def begin_race(self, race: Race) -> None:
        self.race = race

    def end_race(self, loser: AttemptReport | None = None) -> None:
        """Go on with the winner of a race, and report on the loser; None if the second was not made."""
        self.race = None
        if loser is not None:
            self._kept_reports.append(loser)
            if self._spending is not None:
                self._spending.add(loser.cost, loser.usage)

    @property
    def has_spent_all(self) -> bool:
        """True if the costs of this and all earlier attempts have reached `Retry.most`."""
        return self._spending is not None and self._spending.is_used_up(self.find_cost())

    @property
    def reports(self) -> list[AttemptReport]:
        """Reports on all attempts so far whose requests were sent, this one included."""
        beside = [] if self.race is None else self.race.reports
        is_due = self.request.attempt.number in self.request.sent and not self._has_kept
        return [*self._kept_reports, *beside, *([self._make_report()] if is_due else [])]

    def keep_report(self) -> None:
        """Keep the report on this attempt as it is now; nothing that happens later changes it."""
        if self.request.attempt.number in self.request.sent:
            self._kept_reports.append(self._make_report())
        self._has_kept = True

    def _make_report(self) -> AttemptReport:
        # Only a continuation has a seam, and only its report has a confidence.
        seam, request = self.answer.resumption.joining.seam, self.request
        started_at = self.machine.meter.started_at
        attempt, hold = request.attempt, self.answer.hold
        # An object with the id and the model of the answer to this attempt.
        head: Any = self.answer.reader.parts
        if seam is not None:
            head = seam
        elif not hold.is_part:
            head = hold.start
        elif head.text_before is None:
            # After a pause, the message keeps the head of what was before it.
            head = self.machine.accumulator.message
        # The first attempt began with the request, whose time only the meter knows.
        times = started_at, request.begun_at or started_at, request.ended_at
        usage = self._counted if self._is_over else self._usage
        if attempt.mode == "resume" and usage == self._paid:
            # The reports before have these tokens.
            usage = NO_USAGE
        return AttemptReport(
            kind=request.kind,
            error=request.error,
            usage=usage,
            id=None if head is None else head.id,
            model=None if head is None else head.model,
            confidence=None if seam is None else seam.known_confidence,
            left_out=() if attempt.asked is None else tuple(sorted(attempt.asked.left_out)),
            # The report has a cost only once `find_cost` was called.
            _bill=find_bill(request.opener, usage, self._cost, self._paid) if self._is_over else None,
            **request.itinerary.describe(attempt, request.opener_index, self.machine.link.format, times),
        )

    @property
    def _usage(self) -> Usage:
        hold = self.answer.hold
        # The message has no events of an attempt that is held back, or was discarded.
        return self.machine.accumulator.own_usage if hold.is_part else hold.usage

    @property
    def _counted(self) -> Usage:
        """The token counts of this attempt, which has ended, with estimates of missing ones."""
        usage, hold, request = self._usage, self.answer.hold, self.request
        if request.attempt.number not in request.sent:
            return self._paid
        if is_counted(usage, request.error or self.machine.intake.error):
            # The attempts before have the tokens of an answer that this one was to resume.
            return self._paid if usage.basis == "none" else usage
        if not hold.is_part:
            size = hold.size
        else:
            size = max(0, self.machine.accumulator.size - self._size_before)
            if (seam := self.answer.resumption.joining.seam) is not None:
                size += seam.repeated
        if request.attempt.mode == "resume" and usage.basis == "none" and not size:
            return self._paid
        return estimate_attempt(usage, size, request.opener)

    @property
    def counted_in_all(self) -> int:
        # Without a count on this connection, those before it are all.
        return self._counted_before + (self.machine.accumulator.own_usage.output_tokens or 0)

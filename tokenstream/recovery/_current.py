"""The current attempt at an answer, and reports on the attempts before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tokenstream._answer.accumulator import Accumulator
from tokenstream._answer.usage import NO_USAGE
from tokenstream.errors import PositionLost, ProviderError, StatusError
from tokenstream.events import MessageStart, ProviderData, ToolCallStart
from tokenstream.message import Message, Usage
from tokenstream.recovery._estimates import estimate_attempt, is_counted
from tokenstream.stream._attempts import AttemptReport
from tokenstream.stream._prices import find_bill

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._pipeline.joining import Hold
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream._pipeline.seam import SeamJoiner
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.parts import Parts
    from tokenstream.recovery._hedge import Race
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._retry import Retry
    from tokenstream.recovery._spending import Spending
    from tokenstream.stream._attempts import Attempt, AttemptMode, RequestKind
    from tokenstream.stream._continuation import Continuation
    from tokenstream.stream._reading.silence import Silence

_GONE = frozenset({404, 410})
"""Statuses of a server that does not have the answer (any more)."""


class CurrentAttempt:
    """The record of an answer: the attempt that is running, reports on those before, and what is known."""

    def __init__(
        self,
        retry: Retry,
        resumption: Resumption,
        hold: Hold,
        itinerary: Itinerary,
        silence: Silence,
        *,
        spending: Spending | None,
        outcomes: frozenset[str],
    ) -> None:
        self.retry, self.resumption, self.machine = retry, resumption, resumption.machine
        self.itinerary, self._silence, self._spending = itinerary, silence, spending
        self.outcomes = outcomes
        self.sent = itinerary.openers[0].sent
        """The numbers of the attempts whose requests were sent."""
        self.race: Race | None = None
        """The race of the first two attempts; None without one, and once it is decided or left."""
        self.hold = hold
        self.mode: AttemptMode = "start"
        self.number = 1
        self.counted = 1
        """Number of attempts so far that count towards `Retry.attempts`."""
        self.uncounted = 0
        """Number of requests so far that do not count: their prefix was refused, or no model was asked."""
        self.opener_index = 0
        self.opener = itinerary.openers[0]
        self.continuation: Continuation | None = None
        """The continuation that this attempt requests; None for other modes."""
        self.is_at_limit = False
        """True if this attempt goes on with an answer that has reached its output limit."""
        self.kind: RequestKind = "attempt"
        self.polls = 0
        """Number of polls one after the other, the last of which is this attempt; 0 for another kind."""
        self._frames_before = 0
        """Number of the answer's payloads before this attempt."""
        self.goes_on = False
        """True if this attempt brings the rest of a paused answer."""
        self.has_content = False
        """True once content of this or an earlier attempt is in the message: a restart is then announced."""
        self.ended = False
        """True once the stream has ended, so that the reports are complete."""
        self._kept_reports: list[AttemptReport] = []
        """Reports on earlier attempts, and on this one from the call of `keep_report` on."""
        self._has_kept = False
        """True if the last of these reports is on this attempt."""
        self._error: StreamError | None = None
        self._ended_at: float | None = None
        self.counted_before = 0
        """Number of the answer's tokens, as counted by servers on earlier connections."""
        self.accepted: Hold | None = None
        """The hold of the answer that was found acceptable; None before that."""
        self.cut_calls_before: tuple[str, ...] = ()
        """The names of the calls in which the answer had broken off before this attempt."""
        self._wait = 0.0
        self._begun_at = 0.0
        """The clock reading at which this attempt began; 0 for the first attempt."""
        self._cost: float | None = None
        """The cost of this attempt, as it was computed last; None before that, or if it is unknown."""
        self._is_over = False
        """True once this attempt has ended, so that its cost is known."""
        self._size_before = self._discarded_size = 0
        """Number of bytes of the answer before this request, and of a discarded attempt."""
        self._paid = NO_USAGE
        """The token counts of this request that the attempts before have, which this attempt resumes."""
        self._discarded_usage: Usage | None = None
        """The token counts of this attempt if it failed without content, after earlier ones had delivered
        some, and so was discarded; otherwise None."""
        self._discarded_start: MessageStart | None = None
        """The head (id and model) of this attempt's answer if it was discarded; otherwise None."""

    @property
    def reader(self) -> Format:
        """The format that reads this attempt's connection."""
        return self.machine.link.connection.format

    @property
    def is_after_pause(self) -> bool:
        """True if this attempt goes on after a pause, and has brought nothing yet."""
        return (self.goes_on or self.is_at_limit) and not self.hold.released

    @property
    def next_number(self) -> int:
        return self.counted + self.uncounted + 1

    @property
    def has_answered(self) -> bool:
        """True if this attempt's request was not refused, and has brought something of the same answer."""
        reader = self.machine.link.connection.format
        # What is equal to the payload of the connection before is dropped.
        return (
            reader.frames > self._frames_before or reader.dropped > 0
        ) and self.machine.link.refusal is None

    @property
    def fetch_failed(self) -> bool:
        """True if this attempt was to bring the answer by its id, and has brought nothing of it."""
        return self.kind in ("poll", "document") and not self.has_answered

    def count_failed_fetch(self, error: StreamError, now: float) -> None:
        """Count this attempt if it was to bring the answer by its id and failed, though the server has it."""
        is_failure = self.fetch_failed and not isinstance(error, PositionLost)
        if is_failure and self.itinerary.has_left(self.opener_index):
            self.counted, self.uncounted = self.counted + 1, self.uncounted - 1
            self.itinerary.note_attempt(self.opener_index, now)

    def begin(self, attempt: Attempt, now: float, *, is_uncounted: bool, kind: RequestKind) -> None:
        """Replace the current attempt with the next one; `Retry.attempts` bounds those that are counted."""
        resumed = self._counted if attempt.mode == "resume" else NO_USAGE
        self.cut_calls_before = self.cut_calls if self.has_content else ()
        self.kind, self.polls = kind, self.polls + 1 if kind == "poll" else 0
        self._frames_before = self.machine.link.connection.format.frames
        self.number, self.mode, self.continuation = attempt.number, attempt.mode, attempt.asked
        self.is_at_limit = attempt.asked is not None and attempt.asked.at_limit
        self.goes_on = attempt.mode == "pause"
        if attempt.mode in ("restart", "pause") or self.is_at_limit:
            # Each request has the whole output limit.
            self.counted_before = 0
        if is_uncounted:
            self.uncounted += 1
        else:
            self.counted += 1
        self._wait, self._begun_at = attempt.wait, now + attempt.wait
        self._paid = resumed
        if attempt.mode != "resume":
            self._size_before = 0 if attempt.mode == "restart" else self.machine.accumulator.size
        self._discarded_usage = self._discarded_start = None
        self._is_over = False
        self._cost = self._error = self._ended_at = None
        self._has_kept = False

    def begin_route(self, index: int, now: float | None) -> None:
        """Note the opener of this attempt, whose bounds on silence apply from now on.

        The message gets the name of its route. Without a time, the attempt does not count for its route.
        """
        self.opener_index, self.opener = index, self.itinerary.openers[index]
        self._silence.apply(self.opener.deadlines)
        if now is not None:
            self.itinerary.note_attempt(index, now)
        if not self.has_content:
            # Otherwise, the message has the name of the route whose text it has.
            self.machine.accumulator.route = self.itinerary.names[index]
        if self._spending is not None:
            self._spending.begin(self.opener, goes_on=self.mode == "resume")

    def find_cost(self) -> float | None:
        """Compute what this attempt has cost, for its reports; return the cost of its request, or None."""
        self._is_over = True
        # If the function raises an exception, the cost is unknown.
        self._cost = None
        price = self.opener.price
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

    def end(self, error: StreamError | None, now: float, *, is_last: bool = False) -> None:
        """Note how this attempt has ended, and let its route remember that."""
        if self.race is not None:
            self.race.settle()
        self._error, self._ended_at = error, now
        cost = self.find_cost()
        if self._spending is not None:
            self._spending.end(cost, self._counted)
        route = self.opener.route
        if route is not None and error is not None:
            route.health.note_failure(error, now)
        elif route is not None and self.hold.released:
            route.health.note_success()
        self.ended = is_last

    def note_hedge(
        self, loser: AttemptReport, wait: float, first_began_at: float, *, second_won: bool
    ) -> None:
        """Note that a hedge was made beside the first attempt, some seconds after it; the winner goes on."""
        # Both attempts count.
        self.counted = 2
        self._kept_reports.append(loser)
        if self._spending is not None:
            self._spending.add(loser.cost, loser.usage)
        if second_won:
            self.number, self.mode, self.kind = 2, "hedge", "hedge"
            self._wait, self._begun_at = wait, first_began_at + wait

    def begin_race(self) -> None:
        """Note that the first two attempts race from now on, of which none is read yet."""
        # Each of them is silent in its own time, which the stream does not see.
        self._silence.apply(replace(self._silence.deadlines, first_event=None))

    def end_race(self) -> None:
        """Note that one of two attempts has won, by its content or because neither has any."""
        self._silence.apply(self.opener.deadlines)

    def note_discarded(self, *, always: bool = False) -> None:
        """Note that nothing of this attempt becomes part of the answer; the usage still includes its tokens.

        With `always`, the model has certainly written something, so that the attempt counts as one with
        an unknown usage even if the server has reported no tokens.
        """
        usage = self.hold.usage
        self._discarded_usage, self._discarded_start = usage, self.hold.start
        self._discarded_size = self.hold.size
        if usage or always:
            self.machine.accumulator.spend(usage)

    def spend_held(self) -> None:
        """Add the tokens of an abandoned answer to the usage, if its events are held back."""
        # The message includes the usage of released events already. Without any event, no tokens are known.
        if not self.hold.released and self.hold.held:
            self.machine.accumulator.spend(self.hold.usage)

    def begin_content(self) -> None:
        """Note that this attempt's events are delivered from now on; the message gets its route."""
        self.has_content = True
        self.machine.accumulator.route = self.itinerary.names[self.opener_index]

    @property
    def begun_at(self) -> float:
        # The first attempt began with the request, whose time only the meter knows.
        return self._begun_at or self.machine.meter.started_at

    @property
    def has_spent_all(self) -> bool:
        """True if the costs of this and all earlier attempts have reached `Retry.most`."""
        return self._spending is not None and self._spending.is_used_up(self.find_cost())

    @property
    def reports(self) -> list[AttemptReport]:
        """Reports on all attempts so far whose requests were sent, this one included."""
        beside = [] if self.race is None else self.race.reports
        is_due = self.number in self.sent and not self._has_kept
        return [*self._kept_reports, *beside, *([self._make_report()] if is_due else [])]

    def keep_report(self) -> None:
        """Keep the report on this attempt as it is now; nothing that happens later changes it."""
        if self.number in self.sent:
            self._kept_reports.append(self._make_report())
        self._has_kept = True

    def _make_report(self) -> AttemptReport:
        # Only a continuation has a seam, and only its report has a confidence.
        seam = self.resumption.joining.seam
        head, begun_at, ended_at = self._head, self.begun_at, self._ended_at
        usage = self._counted if self._is_over else self._usage
        if self.mode == "resume" and usage == self._paid:
            # The reports before have these tokens.
            usage = NO_USAGE
        return AttemptReport(
            number=self.number,
            mode=self.mode,
            kind=self.kind,
            error=self._error,
            wait=self._wait,
            began=max(0.0, begun_at - self.machine.meter.started_at),
            seconds=None if ended_at is None else max(0.0, ended_at - begun_at),
            usage=usage,
            id=None if head is None else head.id,
            model=None if head is None else head.model,
            confidence=None if seam is None else seam.known_confidence,
            left_out=() if self.continuation is None else tuple(sorted(self.continuation.left_out)),
            # The report has a cost only once `find_cost` was called.
            _bill=find_bill(self.opener, usage, self._cost, self._paid) if self._is_over else None,
            **self.itinerary.describe(self.opener_index, self.machine.link.format),
        )

    @property
    def _head(self) -> Message | MessageStart | SeamJoiner | Parts | None:
        """An object with the id and the model of the answer to this attempt; None if there is none."""
        if self.resumption.joining.seam is not None:
            return self.resumption.joining.seam
        if not self.hold.released or self.hold.was_dropped:
            return self.hold.start
        if self._discarded_usage is not None:
            return self._discarded_start
        parts = self.reader.parts
        # After a pause, the message keeps the head of what was before it.
        return self.machine.accumulator.message if parts.text_before is None else parts

    @property
    def _usage(self) -> Usage:
        """The token counts of this attempt; empty if the server reported none."""
        hold = self.hold
        if not hold.released or hold.was_dropped:
            # The message has no events of this attempt.
            return hold.usage
        return self.machine.accumulator.own_usage if self._discarded_usage is None else self._discarded_usage

    @property
    def _counted(self) -> Usage:
        """The token counts of this attempt, which has ended, with estimates of missing ones."""
        usage = self._usage
        if self.number not in self.sent:
            return self._paid
        if is_counted(usage, self._error or self.machine.intake.error):
            # The attempts before have the tokens of an answer that this one was to resume.
            return self._paid if usage.basis == "none" else usage
        if not self.hold.released or self.hold.was_dropped:
            size = self.hold.size
        elif self._discarded_usage is not None:
            size = self._discarded_size
        else:
            size = max(0, self.machine.accumulator.size - self._size_before)
        if self.mode == "resume" and usage.basis == "none" and not size:
            return self._paid
        return estimate_attempt(usage, size, self.opener)

    @property
    def counted_in_all(self) -> int:
        """The number of the answer's tokens, as servers have counted them."""
        # Without a count on this connection, those before it are all.
        return self.counted_before + (self.machine.accumulator.own_usage.output_tokens or 0)

    # -- the answer ----------------------------------------------------------

    @property
    def cut_calls(self) -> tuple[str, ...]:
        """The names of the calls in which the answer has broken off, perhaps before this attempt."""
        names = tuple(call.name for call in self.machine.accumulator.cut_calls)
        if not self.hold.released or self._discarded_usage is not None:
            # Nothing of this attempt is part of the answer.
            return names or self.cut_calls_before
        # The start of a call whose name may go on comes only with the end of the input.
        left = self.machine.intake.events_left
        return (*names, *(event.name for event in left if isinstance(event, ToolCallStart)))

    @property
    def may_resume(self) -> bool:
        """True if a later attempt may resume the answer, as far as is known before it begins."""
        return self.retry.mode in ("auto", "resume") and self.itinerary.openers[0].takes_attempt

    @property
    def can_resume(self) -> bool:
        """True if a later attempt may resume the answer, now that it has begun."""
        if self.retry.mode == "resume" or self.opener.replays:
            return True
        reader = self.reader
        if not reader.resumes:
            return False
        # The head of the answer is held, or was delivered by an earlier attempt.
        return reader.is_kept(self.machine.accumulator.message) or reader.is_kept(_head_of(self.hold.held))

    @property
    def message(self) -> Message:
        """The answer so far, but its head while all is held back; after a pause, it has the later id."""
        machine, reader = self.machine, self.reader
        if self.has_content or self.hold.released:
            message, parts = machine.accumulator.message, reader.parts
            return message if parts.text_before is None else message.model_copy(update={"id": parts.id})
        # The accumulator has no event yet, and a stop drops those that are held back.
        fields = {name: value for name, value in reader.parts.fields.items() if isinstance(name, str)}
        return Message(id=reader.parts.id, model=reader.parts.model, provider_data=fields, format=reader.name)

    def find_running(self, error: StreamError | None) -> str | None:
        """Return the id of the answer if its server may be writing it, at the caller's cost; else None."""
        if isinstance(error, ProviderError) or self.machine.link.connection.format.ended:
            return None
        cause = None if error is None else error.__cause__
        is_gone = isinstance(cause, StatusError) and cause.status in _GONE
        if is_gone or not (self.is_kept and self._was_begun_here):
            return None
        message = self.message
        return message.id if self.opener.can_fetch(message) else None

    @property
    def _was_begun_here(self) -> bool:
        """True if the answer is that of one request, which has not been continued."""
        return not self.resumption.continued and self.continuation is None

    @property
    def is_kept(self) -> bool:
        """True if the answer has a position, and its server is known to keep the answer for a replay."""
        reader = self.machine.link.connection.format
        has_position = reader.resumes and (reader.position is not None or reader.unfinished)
        return has_position and reader.is_kept(self.message)

    @property
    def position(self) -> int | str | None:
        """The position from which the server can replay the answer; None if the server cannot do that."""
        opener, machine = self.opener, self.machine
        if self.retry.mode in ("restart", "continue") or not opener.takes_attempt:
            return None
        if not self._was_begun_here:
            # The positions of a continuation do not belong to the original answer.
            return None
        resume_requested = self.retry.mode == "resume"
        reader = machine.link.connection.format
        if reader.end_sign() == "terminal":
            # The server has sent the end of the answer, so nothing is left to replay. (After a sentinel
            # without a finish reason, the end is only assumed.)
            return None
        # In mode "auto", an answer is resumed only if its server is known to keep or to replay it.
        if reader.position is not None and (resume_requested or self.is_kept):
            return reader.position
        return machine.progress.last_event_id if resume_requested or opener.replays else None


def _head_of(events: Iterable[Event]) -> Message:
    """Return a message with only the id, the model and the provider's data that events have."""
    accumulator = Accumulator()
    for event in events:
        # An accumulator writes into some events of parts, which are not its own here.
        if isinstance(event, MessageStart | ProviderData):
            accumulator.take(event)
    return accumulator.message

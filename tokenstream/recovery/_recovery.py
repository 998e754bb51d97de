"""Recovery of an answer that broke off: prepares each further attempt; drivers do the waiting."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tokenstream._pipeline.checkpoints import has_partial
from tokenstream._pipeline.hold import Hold, ends_at_once
from tokenstream._pipeline.resumption import Continue, Restart, Resume
from tokenstream.errors import (
    AnswerRejected,
    MisuseError,
    PositionLost,
    StreamError,
)
from tokenstream.formats._resume.event_log import EventLog
from tokenstream.recovery._announcing import Announcing
from tokenstream.recovery._current import CurrentAttempt
from tokenstream.recovery._judge import Judge
from tokenstream.recovery._notes import add_note_once, make_continuation_note, note_refused_seams
from tokenstream.recovery._outcome import make_content_test
from tokenstream.recovery._pauses import Pauses
from tokenstream.recovery._planning import AttemptPlan, Planner
from tokenstream.recovery._race import Race
from tokenstream.recovery._retry import Retry, check_returned_wait
from tokenstream.recovery._rules import ContinuationRules, ending_with
from tokenstream.recovery._spending import Spending
from tokenstream.stream._attempts import Attempt, AttemptDecision, AttemptReport
from tokenstream.stream._log import inform, log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.resumption import Renewal, Resumption
    from tokenstream._sources import Deferred
    from tokenstream.events import Event
    from tokenstream.limits import Deadlines
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.stream._attempts import AttemptMode
    from tokenstream.stream._pauses import Leg

_LONG_WAIT = 10.0
"""Seconds from which a wait is logged at INFO: a program that waits so long seems to hang."""


class Recovery:
    """Goes on with a broken answer: prepares the machine and the source for each further attempt.

    It has a reference to the machine but not to the driver, so that an abandoned stream can be collected.

    Args:
        retry: The caller's options.
        itinerary: The openers, in order.
        resumption: Lets further connections go on with the answer of a driver that has not read anything.
        deadlines: The stream's own bounds on silence.
    """

    def __init__(
        self, retry: Retry, itinerary: Itinerary, resumption: Resumption, deadlines: Deadlines
    ) -> None:
        # The caller's options.
        self._retry = retry
        self._itinerary, self._openers = itinerary, itinerary.openers
        self._deadlines = deadlines
        for opener in self._openers:
            opener.prefills = retry.prefill
        # The machine, which holds back the first events of the first attempt.
        self._resumption, self._joining = resumption, resumption.joining
        self._machine = machine = resumption.machine
        self._is_content: Callable[[Event], bool] = make_content_test(retry.outcomes)
        """Returns True for an event with content that no outcome can reject; it ends the holding back."""
        hold = self._make_hold(self._is_content)
        machine.hold_back(hold)

        # The parts that observe attempts and decide about them.
        self.spending = None if retry.most is None else Spending(retry.most)
        """The costs of all attempts; None if they are not limited."""
        self._current = CurrentAttempt(retry, resumption, hold, itinerary, self.spending)
        self._rules = ContinuationRules(retry, resumption)
        self._planner = Planner(
            retry,
            itinerary,
            resumption,
            self._current,
            self._rules,
            total=deadlines.total,
        )
        self._pauses = Pauses(retry, resumption, self._current, self._rules)
        self._judge = Judge(retry, resumption, self._current)
        self._announcing = Announcing(
            resumption,
            self._current,
            itinerary,
            rules=self._rules,
            pauses=self._pauses,
            aligns=retry.align,
        )
        if self._current.may_resume and machine.arrivals.reorder is None:
            machine.arrivals.log = EventLog()

        # State of the recovery so far.
        self._last_break: StreamError | None = None
        """The last error after delivered content; the stream ends with it if no continuation joins."""
        self._has_given_up = False
        """True once an attempt has failed and no further one was made; the rest of its source may be read."""
        self._answer_id: str | None = None
        """The answer's id in a relay's journal, which a request to resume names; None if it has none."""
        self._make_stage = machine.make_stage
        """Creates the stage for reasoning in tags, unless an attempt has its own; None for no stage."""
        self._race: Race | None = None
        """The race of the first two attempts; None without hedging."""

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The attempts so far, including the current one."""
        current = self._current
        running = [] if current.ended else [current.make_report(error=None, now=None)]
        return tuple(sorted([*current.reports, *running], key=lambda report: report.number))

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The stretches of the answer between its pauses; empty if it was never paused."""
        return self._pauses.legs

    @property
    def deadlines(self) -> Deadlines:
        """The bounds on silence for the current attempt: those of its route, or of the stream."""
        own = self._openers[self._current.opener_index].deadlines or self._deadlines
        # In a race, each attempt is silent in its own time, which the stream does not see.
        first_event = own.first_event if self._race is None or self._race.is_decided else None
        # The total is over all attempts.
        return replace(own, first_event=first_event, total=self._deadlines.total)

    def make_first_source(self, clock: Callable[[], float]) -> Deferred:
        """Return the source of the first attempt; with hedging, that of the winner of the first two attempts.

        Args:
            clock: Returns the time in seconds.
        """
        self._current.begin_route(0, clock())
        attempt = Attempt(
            number=1,
            mode="start",
            message=self._machine.accumulator.message,
            limit_left=self._retry.max_output_tokens,
            route=self._itinerary.name(0),
        )
        source = self._openers[0].deferred(attempt, begins=True)
        if self._retry.hedge_after is None:
            return source
        # `enters` is True, because each of the two sources may be a context manager.
        race = self._race = Race(self._retry, self._itinerary, self._current, self._machine, self._deadlines)
        return replace(source, open=partial(race.run, source.open, attempt, clock), enters=True)

    # -- the end of an attempt ---------------------------------------------

    def make_next_source(self, cause: StreamError | None, now: float) -> Deferred | None:
        """Return the source with which to continue, or None if the stream ends here.

        Args:
            cause: The error that ended the input; None after a clean end, or if the machine has the error.
            now: The time, in seconds.
        """
        # If a restarted answer differs from what was delivered, another attempt does not help.
        is_final = self._joining.differs or self._has_given_up
        error = None if is_final else self._judge.find_error(cause, now)
        if error is None:
            return None if is_final else self._go_on_after_pause(now)
        # A refusal means that this attempt was a continuation, which does not join the answer.
        current, refusal = self._current, self._joining.refusal
        if refusal is None and current.was_released:
            self._last_break = error
        sent_prefix = current.continuation is not None and current.continuation.prefix is not None
        if refusal is not None and sent_prefix:
            # The server does not continue prefixes, so the next request asks with a user's turn.
            self._openers[current.opener_index].stop_prefixes(known=False)
        had_partial = has_partial(error)
        source = self._make_planned_source(error, now)
        if source is not None or current.ended:
            return source
        if not had_partial:
            # A partial answer that was stored for the next attempt lacks what is held back. Without a next
            # attempt, that becomes a part of the answer, so the partial answer is stored again later.
            del error.partial
        self._give_up(error, cause, now)
        return None

    def _give_up(self, error: StreamError, cause: StreamError | None, now: float) -> None:
        """End the stream, because no further attempt is made.

        Args:
            error: The error that ended the last attempt.
            cause: The error that ended its input; None after a clean end, or if the machine has the error.
            now: A clock reading, in seconds.
        """
        current, refusal = self._current, self._joining.refusal
        self._has_given_up = True
        if refusal is not None and current.is_at_limit:
            # The continuation does not join the answer, which is whole without it.
            self._end_at_limit(error, now)
            return
        if current.is_behind_pause:
            # The answer is still paused, and a later request may go on with it.
            self._pauses.give_up()
        if isinstance(error, AnswerRejected) and error.outcome == "invalid":
            # The option `accept` has refused the answer.
            self._end_undelivered(error, now)
            return
        if refusal is not None:
            self._end_as_interrupted(now)
            return
        note_refused_seams(error, current.reports)
        if self._resumption.read_left_frame():
            # The answer was whole, although no attempt could confirm that.
            self._machine.finish(error, now)
            return
        # End the parts that were kept open for a continuation.
        self._machine.finish(cause, now)
        if self._judge.is_awaited:
            error.partial = self._judge.make_message().model_copy(update={"ending": ending_with(error)})
            self._end_undelivered(error, now)
            return
        if current.continuation is not None and not (current.was_released or current.is_at_limit):
            # The last attempt was a continuation that brought no content.
            add_note_once(error, make_continuation_note(current.reports))
        if isinstance(error, PositionLost):
            # It replaces the error of the refused request.
            self._machine.error = error

    def make_cancelling(self) -> Deferred | None:
        """Return a source that cancels the answer when it is opened; None if its server does not write on."""
        answer_id = self._current.find_running(None) if self._retry.pauses else None
        return None if answer_id is None else self._openers[self._current.opener_index].cancel(answer_id)

    def find_cost(self) -> None:
        """Compute the cost of the last attempt, which has ended, for its report.

        Raises:
            Exception: The function `Route.price` has raised it; this happens only once.
        """
        if not self._current.ended:
            self._current.find_cost()

    def record_end(self, error: Exception | None, now: float) -> None:
        """Record how the last attempt ended, unless that was recorded before.

        Args:
            error: The error with which the stream ends, or None.
            now: The time, in seconds.
        """
        current = self._current
        if not current.ended:
            failed = error if isinstance(error, StreamError) else None
            # After a doubtful seam, the stream ends with the error that broke off the answer.
            current.end(self._joining.refusal or failed, now)
            current.ended = True

    def _end_undelivered(self, error: StreamError, now: float) -> None:
        """End the stream with an error, and drop the held-back answer, which was not accepted."""
        self.record_end(error, now)
        # Its tokens have to be paid for, too.
        self._current.note_discarded()
        self._current.hold.drop()
        self._machine.error = error

    def _end_as_interrupted(self, now: float) -> None:
        """End the stream with the error that broke off the answer: the last continuation does not join it."""
        self.record_end(None, now)
        if self._last_break is not None:
            note_refused_seams(self._last_break, self._current.reports)
            self._machine.error = self._last_break

    # -- the next attempt --------------------------------------------------

    def _go_on_after_pause(self, now: float) -> Deferred | None:
        """Return the source of the rest of a paused answer; None if it is not paused, or does not go on."""
        current = self._current
        opener = self._openers[current.opener_index]
        attempt = self._pauses.find_pause(opener, current.next_number)
        if attempt is None:
            return None
        return self._follow_plan(AttemptPlan(attempt.mode, current.opener_index, 0.0), attempt, None, now)

    def _make_planned_source(self, error: StreamError, now: float) -> Deferred | None:
        """Return the source of the next attempt; None if no further attempt is made.

        Args:
            error: The error that ended the current attempt.
            now: A clock reading, in seconds.
        """
        current = self._current
        notes = list[str]()
        # Each decision to skip an opener leads to another plan.
        while (plan := self._planner.plan(error, now)) is not None:
            self._resumption.store_attempt_partial(error, ending_with(error))
            opener = self._openers[plan.opener_index]
            attempt = self._make_attempt(plan, error)
            if attempt is None:
                self._end_at_limit(error, now)
                return None
            # A poll asks no model, and so is nothing to decide about.
            decision = None if plan.polls else self._decide(attempt, now, notes)
            if current.ended:
                # `on_retry` has stopped the stream.
                return None
            if decision is None:
                return self._follow_plan(plan, attempt, error, now)
            if decision.verb == "stop":
                add_note_once(error, "no further attempt was made: on_retry has stopped the attempts")
                return None
            if decision.verb == "send":
                if not opener.makes_request:
                    raise MisuseError(
                        "attempt.with_payload() is for a request of connect or of a Route: your own function "
                        "makes the request of this attempt"
                    )
                return self._follow_plan(plan, replace(attempt, payload=decision.payload), error, now)
            self._itinerary.skip(plan.opener_index)
        for note in notes:
            add_note_once(error, note)
        return None

    def _decide(self, attempt: Attempt, now: float, notes: list[str]) -> AttemptDecision | None:
        """Return the decision on a planned attempt, mostly by `Retry.on_retry`; None to make the attempt.

        Args:
            attempt: The attempt, as the caller's functions get it.
            now: A clock reading, in seconds.
            notes: Gets the reason if the attempt must not be made because it would begin too late.
        """
        late = self._planner.why_late(now + attempt.wait)
        if late is not None:
            # The caller's function wants so long a wait; the next route is asked without one.
            notes.append(late)
            return attempt.skip()
        on_retry = self._retry.on_retry
        decision = None if on_retry is None else on_retry(attempt)
        if on_retry is not None and attempt.mode != "restart":
            # It was given the answer so far; before a restart, the mode tells it that this is given up.
            self._machine.delivered.note_look()
        return decision if isinstance(decision, AttemptDecision) else None

    def _follow_plan(
        self, plan: AttemptPlan, attempt: Attempt, error: StreamError | None, now: float
    ) -> Deferred:
        """Prepare the planned attempt, and return its source.

        Args:
            attempt: The attempt, as the caller's functions get it.
            error: The error that ended the current attempt; None if it has ended with a pause.
            now: A clock reading, in seconds.
        """
        current = self._current
        log(
            "attempt %d ended (%s): %s in %.2f s",
            current.number,
            type(error).__name__,
            attempt.mode,
            attempt.wait,
        )
        if attempt.wait > _LONG_WAIT:
            asked = "as the server asks" if plan.server_asks else "to give the server time"
            inform("waiting %.0f s before attempt %d, %s", attempt.wait, attempt.number, asked)
        opener = self._openers[plan.opener_index]
        opener.succeed(self._openers[current.opener_index])
        current.settles = plan.polls and self._machine.answer_format.gap == "unsettled"
        if current.settles or (plan.polls and current.polls):
            # All polls are one attempt, and what they settle belongs to the attempt that has resumed.
            self._renew_machine(plan, attempt, now)
            return replace(opener.deferred(attempt), begins=False, wait=attempt.wait)
        current.end(error, now)
        self._count_abandoned_tokens(plan.mode)
        if plan.opener_index != current.opener_index:
            # The opener before refuses to serve, or has no attempts left.
            self._itinerary.skip(current.opener_index)
        is_uncounted = plan.prefix_refused or plan.fetches or error is None
        current.begin(attempt, now, is_uncounted=is_uncounted)
        current.polls = plan.polls
        current.begin_route(plan.opener_index, None if is_uncounted else now + attempt.wait)
        if error is None:
            self._planner.begun_at = now
        if error is None or plan.mode in ("restart", "pause"):
            # Each request has the whole output limit.
            self._rules.begin_again()
        if plan.mode == "restart":
            self._pauses.begin_again()
            if current.has_content:
                # The error of the delivered answer stays, even if restarts fail before they bring content.
                self._announcing.restart_cause = self._announcing.restart_cause or error
        self._announcing.choose_alignment(plan.why, restarts=plan.mode == "restart")
        self._renew_machine(plan, attempt, now)
        # `begins=False`: the timing of the answer goes on from the first attempt.
        return replace(opener.deferred(attempt), begins=False, wait=attempt.wait)

    def _make_attempt(self, plan: AttemptPlan, error: StreamError) -> Attempt | None:
        """Return the planned attempt, as the caller's functions get it; None if no tokens are left for it.

        Args:
            error: The error that ended the current attempt.
        """
        machine, wait, current = self._machine, self._retry.wait, self._current
        opener = self._openers[plan.opener_index]
        continuation = self._rules.make_continuation(opener) if plan.mode == "continue" else None
        # A new answer may use the whole output limit, a continuation only the rest of it.
        tokens_left = self._rules.limit(opener)
        if continuation is not None and tokens_left is not None:
            tokens_left = self._rules.tokens_left(opener)
            if tokens_left is not None and tokens_left < 1:
                return None
        resumes = plan.mode == "resume" and not plan.fetches
        # A number (`sequence`) or the id of an event, depending on the server.
        position = self._current.position if resumes else None
        last_event_id = None if plan.fetches else machine.progress.last_event_id
        self._answer_id = self._find_answer_id() if plan.mode == "resume" else None
        attempt = Attempt(
            number=current.next_number,
            mode=plan.mode,
            # Before any content, only the events that are held back have the answer's id.
            message=self._current.message if resumes or plan.fetches else error.partial,
            last_event_id=position if isinstance(position, str) else last_event_id,
            sequence=position if isinstance(position, int) else None,
            answer_id=self._answer_id,
            abandoned=None if plan.mode == "resume" else self._current.find_running(error),
            error=error,
            is_repetition=not (current.was_released or isinstance(error, AnswerRejected)),
            wait=plan.wait,
            limit_left=tokens_left,
            why=plan.why,
            route=self._itinerary.name(plan.opener_index),
            asked=continuation,
            paused=self._pauses.paused if plan.mode == "pause" else None,
        )
        if callable(wait) and plan.may_wait:
            attempt = replace(attempt, wait=check_returned_wait(wait(attempt)))
        return attempt

    def _find_answer_id(self) -> str | None:
        """Return the answer's id, which a relay with a journal sends in a header and in the first event."""
        return self._machine.find_answer_id() if self._answer_id is None else self._answer_id

    def _renew_machine(self, plan: AttemptPlan, attempt: Attempt, now: float) -> None:
        """Make the machine ready for the next attempt's events, which a new hold holds back."""
        machine, continuation = self._machine, attempt.asked
        resuming_format = machine.answer_format if plan.mode == "resume" else None
        seam = None if continuation is None else self._rules.make_seam(continuation)
        # `until` returns True for the event at which the hold ends.
        if seam is not None:
            until: Callable[[Event], bool] = seam.look_for_overlap
        elif self._current.has_content and resuming_format is not None:
            # The replay goes on with the answer that the caller already reads.
            until = ends_at_once
        else:
            until = self._is_content
        self._current.hold = hold = self._make_hold(until)
        if resuming_format is None:
            # Another opener may send its answers in another format.
            machine.wanted = self._openers[plan.opener_index].format
            machine.make_stage = self._make_stage
        if resuming_format is not None:
            renewal: Renewal = Resume(resuming_format)
        elif attempt.paused is not None:
            renewal = self._pauses.begin(attempt.paused, hold)
        elif seam is not None:
            renewal = Continue(seam)
        else:
            renewal = Restart(is_aligned=self._announcing.aligns and self._current.has_content)
        self._resumption.renew(hold, now, renewal)
        can_fetch = self._openers[plan.opener_index].can_fetch(attempt.message)
        if resuming_format is not None and can_fetch and not machine.arrivals.sees_gaps:
            resuming_format.expect_gap()

    def _make_hold(self, until: Callable[[Event], bool]) -> Hold:
        """Return a hold that ends with an event for which `until` returns True."""
        return Hold(until, lambda failed: self._announcing.announce(failed=failed))

    def _end_at_limit(self, error: StreamError, now: float) -> None:
        """End the answer, because its output limit is used up."""
        self._current.end(error, now)
        self._current.ended = True
        self._resumption.end_at_limit(now, self._pauses.end_at_limit(str(error)))

    def _count_abandoned_tokens(self, mode: AttemptMode) -> None:
        """Add the tokens of the attempt that has ended to the usage, if its answer is abandoned.

        Args:
            mode: The mode of the next attempt. One that resumes goes on with the same answer, which is then
                not abandoned.
        """
        hold = self._current.hold
        if mode == "pause" and self._pauses.holds_back:
            # The events that are held back stay held back, with the tokens that they report.
            return
        # The message includes the usage of released events already. Without any event, no tokens are known.
        if mode != "resume" and not hold.released and hold.held:
            self._machine.accumulator.spend(hold.usage)

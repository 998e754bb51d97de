"""Recovery of an answer that broke off: prepares each further attempt; drivers do the waiting."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Never

from tokenstream._basics.kept_errors import forget_frames
from tokenstream._pipeline.asked import AttemptFacts
from tokenstream._pipeline.checkpoints import find_cause, has_partial
from tokenstream._pipeline.delivery_log import find_extent
from tokenstream._pipeline.joining import Hold, ends_at_once
from tokenstream._pipeline.resumption import Continue, ReadOn, Restart
from tokenstream.errors import AnswerRejected, MisuseError, PositionLost, StreamError
from tokenstream.events import Restarted, Resumed
from tokenstream.formats._registry import format_of_request
from tokenstream.message import Checkpoint, Message
from tokenstream.recovery._current import CurrentAttempt
from tokenstream.recovery._decision import AttemptPlan
from tokenstream.recovery._hedge import run_race
from tokenstream.recovery._itinerary import RunningRequest
from tokenstream.recovery._judge import find_error, make_content_test, make_message
from tokenstream.recovery._notes import (
    add_note_once,
    log_next,
    make_continuation_note,
    note_refused_seams,
    pass_notes,
)
from tokenstream.recovery._pauses import Pauses
from tokenstream.recovery._planning import Planner
from tokenstream.recovery._received import ReceivedAnswer
from tokenstream.recovery._retry import count_pauses
from tokenstream.recovery._rules import CALL_MISSING, ending_with, make_seam
from tokenstream.recovery._spending import Spending
from tokenstream.stream._attempts import Attempt, AttemptReport
from tokenstream.stream._log import warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.resumption import Renewal, Resumption
    from tokenstream._pipeline.seam import SeamJoiner
    from tokenstream._sources.kinds import LazySource
    from tokenstream.events import Event
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._retry import Retry
    from tokenstream.stream._pauses import Leg
    from tokenstream.stream._protocols import Clock
    from tokenstream.stream._reading.silence import Silence

_NOTABLE = 0.9
"""The confidence at the seam below which a continuation is logged as a warning."""


class Recovery:
    """Goes on with a broken answer: prepares the machine and the source for each further attempt."""

    def __init__(self, retry: Retry, itinerary: Itinerary, resumption: Resumption, silence: Silence) -> None:
        # The caller's options.
        self._retry = retry
        self._itinerary, self._openers = itinerary, itinerary.openers
        self._silence, self._deadlines = silence, silence.deadlines
        # The machine, which holds back the first events of the first attempt. There is no reference to the
        # driver, so that an abandoned stream can be collected.
        self._resumption, self._joining = resumption, resumption.joining
        self._machine = machine = resumption.machine
        outcomes, route = retry.outcomes, itinerary.names[0]
        self._is_content: Callable[[Event], bool] = make_content_test(outcomes)
        """Returns True for an event with content that no outcome can reject; it ends the holding back."""
        hold = Hold(self._is_content, self._announce)
        self._joining.hold_back(hold)

        # The parts that observe attempts and decide about them.
        self.spending = None if retry.most is None else Spending(retry.most, machine, self._openers[0])
        # Nothing else of the answer is known.
        message = Message(format=machine.accumulator.format, route=route)
        attempt = Attempt(number=1, mode="start", message=message, route=route)
        self._request = RunningRequest(retry, itinerary, silence, attempt)
        self._answer = ReceivedAnswer(self._request, resumption, hold, outcomes)
        self._current = CurrentAttempt(self._answer, self.spending)
        if self.spending is not None:
            for opener in self._openers:
                opener.bound_costs(self.spending)
        machine.asked.find_attempt = self.find_attempt
        self._planner = Planner(self._current, total=self._deadlines.total)
        self._pauses = Pauses(self._current)
        if self._openers[0].takes_attempt:
            machine.intake.arrivals.remember()

        # State of the recovery so far.
        self._last_break: StreamError | None = None
        """The last error after delivered content; the stream ends with it if no continuation joins."""
        self._has_given_up = False
        """True once an attempt has failed and no further one was made; the rest of its source may be read."""
        self._has_ended = False
        self._restart_cause: StreamError | None = None
        """The error of the delivered answer that a restart is about to replace; None if there is none."""

    def find_attempt(self) -> AttemptFacts:
        request = self._request
        number = request.attempt.number - request.uncounted
        return AttemptFacts(number, self._itinerary.most_attempts, request.route)

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        return tuple(sorted(self._current.reports, key=lambda report: report.number))

    def keep_answer(self) -> None:
        """Note that an answer has begun, for a reader other than the stream itself."""
        self._answer.divide()

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The stretches of the answer between its pauses; empty if it was never paused."""
        return self._pauses.legs

    def make_first_source(self, clock: Clock, kept: Checkpoint | None) -> LazySource:
        """Return the source of the first attempt; with hedging, that of the winner of the first two.

        What another process has kept is an attempt that has broken off, if it has anything of an answer.
        """
        if self.spending is not None:
            self.spending.find_wait = partial(self._wait_for_room, clock)
        if kept is not None and (kept.position is not None or find_extent(kept.messages) != "nothing"):
            return self.take_up(kept, again=False)
        self._current.begin_route(0, clock())
        attempt = self._request.attempt
        source = self._openers[0].lazy(attempt)
        if self._itinerary.hedge_after is None:
            return source
        # `enters` is True, because each of the two sources may be a context manager.
        self._request.begin_race()
        run = partial(run_race, self._current, self._deadlines, source.open, attempt, clock)
        return replace(source, open=run, enters=True)

    def take_up(self, kept: Checkpoint, *, again: bool) -> LazySource:
        """Return the source of an attempt that has broken off: that of the process which has kept it.

        All that follows is decided as after any break, and what was kept counts as delivered.

        Raises:
            MisuseError: The checkpoint cannot be read; or, for `again`, another API's servers replay it.
        """
        opener = self._openers[self._itinerary.find_index(kept.message.route)]
        # The path of a relay may be that of a provider's API.
        asked = format_of_request(
            opener.asked[0] if opener.asked and kept.format != "tokenstream" else "", opener.format
        )
        if is_other := asked not in (None, kept.format):
            if again and kept.position is not None:
                raise MisuseError(f"an answer of {kept.format} is not resumed by a request of {asked}")
            told = {name: each for name, each in (kept.state or {}).items() if name != "format"}
            kept = kept.model_copy(update={"position": None, "state": told})
        self._machine.restore(kept, may_continue=True)
        self._request.inherit(kept.message.route, again=again)
        self._answer.take_up(kept.identity)
        self._joining.end()
        self._machine.way.settle()
        self._machine.delivered.note_look()
        cause = find_cause(kept)
        # The records of a journal do not name the format.
        opener.look_ahead(self._request.attempt, is_other=is_other or kept.message.format is None)

        def fail() -> Never:
            raise cause

        async def fail_later() -> Never:
            fail()

        return replace(opener.lazy(self._request.attempt), open=fail_later if opener.is_async else fail)

    def _wait_for_room(self, clock: Clock, seconds: float) -> float:
        """Return the seconds to wait for room in a purse, which are no silence; 0 if they are over."""
        now, within = clock(), self._retry.within
        if within is not None:
            seconds = min(seconds, self._machine.meter.started_at + within - now)
        self._silence.begin_connection(now + seconds)
        return max(seconds, 0.0)

    # -- the end of an attempt ---------------------------------------------

    def make_next_source(self, cause: StreamError | None, now: float) -> LazySource | None:
        """Return the source with which to continue, or None; so is the cause if the machine has the error."""
        error = None if self._has_given_up else find_error(self._answer, cause, now)
        request, refusal = self._request, self._joining.refusal
        guarding = None if self.spending is None else self._machine.way.guarding
        if error is not None and guarding is not None and not guarding.find_price(self._current.find_cost):
            # A price raised an exception, which ends the answer.
            self._has_given_up = True
            return None
        if error is None:
            # A paused answer may go on.
            why_late = partial(self._planner.why_late, now)
            attempt = None if self._has_given_up else self._pauses.find_pause(why_late)
            if attempt is None:
                return None
            plan = AttemptPlan(attempt.mode, request.opener_index, 0.0, kind="leg")
            return self._follow_plan(plan, attempt, None, now)
        if self._answer.fetch_failed and not isinstance(error, PositionLost):
            # The server has the answer nevertheless.
            request.count_failed_fetch(error, now)
        # A refusal means that this attempt was a continuation, which does not join the answer.
        if refusal is None and self._answer.hold.released:
            self._last_break = error
        if refusal is not None and request.attempt.prefill:
            # The server does not continue prefixes, so the next request asks with a user's turn.
            request.opener.stop_prefixes(known=False)
        had_partial = has_partial(error)
        source = self._make_planned_source(error, now)
        if source is not None or self._has_ended:
            return source
        if not had_partial:
            # A partial answer that was stored for the next attempt lacks what is held back. Without a next
            # attempt, that becomes a part of the answer, so the partial answer is stored again later.
            del error.partial
        self._give_up(error, cause, now)
        return None

    def _give_up(self, error: StreamError, cause: StreamError | None, now: float) -> None:
        """End the stream, because no further attempt is made."""
        answer, refusal, intake = self._answer, self._joining.refusal, self._machine.intake
        self._has_given_up = True
        if refusal is not None and self._request.is_at_limit:
            # The continuation does not join the answer, which is whole without it.
            self._end_at_limit(error, now)
            return
        if answer.is_after_pause and (paused := self._pauses.paused) is not None:
            # The message ends with its pause, and a later request may go on with it.
            self._machine.accumulator.take(paused.finish)
        if isinstance(error, AnswerRejected) and error.outcome == "invalid":
            # The option `accept` has refused the answer, and another process asks anew.
            error.checkpoint = Checkpoint()
            self._end_undelivered(error, now)
            return
        if refusal is not None:
            # The last continuation does not join the answer, so the error that broke it off stays.
            self.record_end(None, now)
            if self._last_break is not None:
                note_refused_seams(self._last_break, self._current.reports)
                intake.fail(self._last_break)
            return
        note_refused_seams(error, self._current.reports)
        if self._resumption.read_left_frame():
            # The answer was whole, although no attempt could confirm that.
            intake.finish(error, now)
            return
        # End the parts that were kept open for a continuation.
        intake.finish(cause, now)
        pass_notes(error, intake.error)
        if self._retry.accept is not None and not answer.is_shown:
            # The answer was held back until the option has accepted it.
            error.partial = make_message(answer).model_copy(update={"ending": ending_with(error)})
            self._end_undelivered(error, now)
            return
        is_at_limit = answer.hold.released or self._request.is_at_limit
        if self._request.attempt.asked is not None and not is_at_limit:
            # The last attempt was a continuation that brought no content.
            add_note_once(error, make_continuation_note(self._current.reports))
        if isinstance(error, PositionLost):
            # It replaces the error of the refused request.
            intake.fail(error)

    def make_cancelling(self) -> LazySource | None:
        """Return a source that cancels the answer when it is opened; None if its server does not write on."""
        waits = "pause" in count_pauses(self._retry.pauses)
        answer_id = self._answer.find_running(None) if waits else None
        return None if answer_id is None else self._request.opener.cancel(answer_id)

    def find_cost(self) -> None:
        """Compute the last attempt's cost for its report; `Route.price` may raise, only once."""
        if not self._has_ended:
            self._current.find_cost()

    def record_end(self, error: Exception | None, now: float) -> None:
        if not self._has_ended:
            failed = error if isinstance(error, StreamError) else None
            # After a doubtful seam, the stream ends with the error that broke off the answer.
            self._current.end(self._joining.refusal or failed, now)
            self._has_ended = True

    def _end_undelivered(self, error: StreamError, now: float) -> None:
        """End the stream with an error, and drop the held-back answer, which was not accepted."""
        self.record_end(error, now)
        # Its tokens have to be paid for, too.
        self._answer.spend_discarded()
        self._answer.hold.drop()
        # The end of the input may have completed parts of it.
        self._machine.way.drop_unread()
        self._machine.intake.fail(error)

    # -- the next attempt --------------------------------------------------

    def _make_planned_source(self, error: StreamError, now: float) -> LazySource | None:
        """Return the source of the next attempt; None if no further attempt is made."""
        notes = list[str]()
        # Each decision to skip an opener leads to another plan.
        while (plan := self._planner.plan(error, now)) is not None:
            if plan.kind == "poll" and self._answer.reader.position is None:
                # It brings the whole answer, and not events that could be repeated.
                self._machine.intake.arrivals.forget()
            self._machine.progress.store_on(error, ending_with(error))
            attempt = self._planner.make_attempt(plan, error, self._pauses.paused)
            if attempt is None:
                self._end_at_limit(error, now)
                return None
            decision = self._planner.ask_about(attempt, now, notes, plan.kind)
            if self._has_ended:
                # `on_retry` has stopped the stream.
                return None
            if decision is None:
                return self._follow_plan(plan, attempt, error, now)
            if decision.verb == "send":
                if not self._openers[plan.opener_index].makes_request:
                    raise MisuseError(
                        "attempt.with_payload() is for a request of connect or of a Route: your own function "
                        "makes the request of this attempt"
                    )
                return self._follow_plan(plan, replace(attempt, payload=decision.payload), error, now)
            self._itinerary.skipped.add(plan.opener_index)
        for note in notes:
            add_note_once(error, note)
        return None

    def _follow_plan(
        self, plan: AttemptPlan, attempt: Attempt, error: StreamError | None, now: float
    ) -> LazySource:
        """Prepare the planned attempt, after an error or a pause, and return its source."""
        current, request, answer = self._current, self._request, self._answer
        opener = self._openers[plan.opener_index]
        is_other = plan.opener_index != request.opener_index
        other = opener.name if is_other else None
        log_next(self._machine, plan, attempt, error, find_last=self.find_attempt, other=other)
        if error is not None:
            # It is kept in a report, and not raised.
            forget_frames(error)
        opener.succeed(request.opener)
        # What has brought an unfinished answer has not failed.
        current.end(None if plan.kind == "poll" and answer.has_answered else error, now)
        current.keep_report()
        stays_held = plan.mode == "resume" or (plan.mode == "pause" and self._pauses.held)
        if not (stays_held or answer.hold.released) and answer.hold.held:
            # The message includes the usage of released events already; without any, no tokens are known.
            answer.spend_discarded(always=True)
        if is_other:
            # The opener before refuses to serve, or has no attempts left.
            self._itinerary.skipped.add(request.opener_index)
        if plan.mode == "restart":
            self._pauses.begin_again(attempt.number)
            if answer.has_content:
                # The error of the delivered answer stays, even if restarts fail before they bring content.
                self._restart_cause = self._restart_cause or error
        current.begin(plan, attempt, now)
        self._renew_machine(plan, attempt, now)
        return opener.lazy(attempt)

    def _renew_machine(self, plan: AttemptPlan, attempt: Attempt, now: float) -> None:
        """Make the machine ready for the next attempt's events, which a new hold holds back."""
        machine, continuation = self._machine, attempt.asked
        opener = self._request.opener
        resuming_format = self._answer.reader if plan.mode == "resume" else None
        seam = None if continuation is None else make_seam(self._answer, continuation)
        # `until` returns True for the event at which the hold ends.
        if seam is not None:
            until: Callable[[Event], bool] = seam.look_for_overlap
        elif self._answer.has_content and resuming_format is not None:
            # The replay goes on with the answer that the caller already reads.
            until = ends_at_once
        else:
            until = self._is_content
        hold = Hold(until, self._announce)
        if resuming_format is None:
            # Another opener may send its answers in another format.
            machine.link.expect_format(opener.format, self._itinerary.stage_of(opener))
        if resuming_format is not None:
            renewal: Renewal = ReadOn(resuming_format)
        elif attempt.paused is not None:
            renewal = self._pauses.begin(attempt.paused, hold)
        elif seam is not None:
            renewal = Continue(seam)
        else:
            renewal = Restart()
        self._answer.renew(hold, now, renewal)

    def _end_at_limit(self, error: StreamError, now: float) -> None:
        self._current.end(error, now)
        self._has_ended = True
        # Afterwards, the token counts are those of an answer that has a finish reason.
        self._current.keep_report()
        self._machine.way.end_with(self._pauses.end_at_limit(error.message), now)

    # -- the first events of an attempt ------------------------------------

    def _announce(self, failed: bool) -> list[Event] | None:  # noqa: FBT001 - the only argument
        """Return the events before an attempt's first ones; None to discard an attempt that has failed."""
        machine, answer = self._machine, self._answer
        if failed and answer.has_content:
            # The answer is still the content that was delivered before.
            answer.spend_discarded()
            return None
        # From now on, the events of this attempt are delivered.
        is_first_content = not answer.has_content
        answer.begin_content()
        if machine.intake.arrivals.log is not None and not answer.can_resume:
            machine.intake.arrivals.forget()
        restart_cause, self._restart_cause = self._restart_cause, None
        if self._request.goes_on:
            # The event that announces what follows a pause is one of those held back.
            self._pauses.complete_announcement()
            return []
        # Without content, earlier attempts leave no trace.
        return [] if is_first_content else self._announce_change(restart_cause)

    def _announce_change(self, restart_cause: StreamError | None) -> list[Event] | None:
        """Return the events that say how an attempt goes on with content that was delivered before."""
        machine = self._machine
        if self._request.attempt.mode == "resume" and restart_cause is None:
            return [Resumed(dropped=self._answer.reader.dropped)]
        if self._joining.seam is not None:
            return self._announce_continuation(self._joining.seam)
        if restart_cause is None:
            # No content that the loop has is replaced.
            return []
        restarted = Restarted(machine.accumulator.message, restart_cause)
        # The reader knows the abandoned message from earlier events, so a relay need not send it.
        restarted.is_repeat = True
        return [restarted]

    def _announce_continuation(self, seam: SeamJoiner) -> list[Event] | None:
        """Return the event to deliver before a continuation; None to discard it, because it does not join."""
        machine, least = self._machine, self._retry.seam.least
        announced = seam.make_announcement()
        confidence = announced.confidence
        if seam.misses_call or confidence < least:
            doubt = f"the confidence at the seam is {confidence}, and least={least}"
            self._joining.refuse(CALL_MISSING if seam.misses_call else doubt)
            self._answer.spend_discarded(always=True)
            return None
        if confidence < _NOTABLE:
            warn(
                "an answer was continued with confidence %s: words may be missing or doubled",
                confidence,
                of=machine,
            )
        if self._request.is_at_limit:
            # The answer had ended before.
            announced.mode = "pause"
        self._current.count_on()
        if machine.link.format != machine.accumulator.format:
            # Another API's answer is continued, whose format the message keeps.
            announced.format = machine.link.format
        return [announced]

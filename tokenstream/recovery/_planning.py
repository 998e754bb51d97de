"""The decision if and how a broken-off answer is requested again."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from tokenstream._basics.waits import retry_after_of, wait_before
from tokenstream.errors import AnswerRejected, PositionLost, ProviderError, StreamError, StreamStalled
from tokenstream.recovery._decision import (
    AttemptPlan,
    Failure,
    ModeChoice,
    NoPlan,
    OpenerFacts,
    TimeBound,
    plan,
    why_late,
)
from tokenstream.recovery._notes import add_note_once
from tokenstream.recovery._retry import check_returned_wait, count_pauses
from tokenstream.recovery._rules import (
    CALL_MISSING,
    NOT_JOINED,
    count_tokens_left,
    has_cut_call,
    is_bad_request,
    is_filtered,
    refuses_prefill,
    why_not,
)
from tokenstream.stream._attempts import Attempt, AttemptDecision
from tokenstream.stream._continuation import Continuation

if TYPE_CHECKING:
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.stream._attempts import FetchKind, RequestKind
    from tokenstream.stream._pauses import PausedAnswer

_MAX_BACKOFF = 60.0
_LEAST_POLL_WAIT, _MAX_POLL_WAIT = 0.1, 30.0
"""Bounds on the wait before a poll, in seconds: `Retry.wait` may be 0."""
_MAX_SERVER_WAIT = 300.0
"""Longest wait that a server may request, in seconds; recovery gives up on a longer wait."""


class Planner:
    """Decides if another attempt is made, and of which kind."""

    def __init__(self, current: CurrentAttempt, *, total: float | None) -> None:
        self._current, self._request, self._answer = current, current.request, current.answer
        self._retry, self._itinerary = self._request.retry, self._request.itinerary
        self._openers = self._itinerary.openers
        self._machine, self._resumption = current.machine, self._answer.resumption
        self._was_fetched = False
        """True once the finished answer was fetched by its id, because the server could not resume it."""
        self._total = total
        """Seconds after the first request in which the answer has to end; None for no deadline."""

    def plan(self, error: StreamError, now: float) -> AttemptPlan | None:
        broken, failed = self._find_facts(error, now), list[NoPlan]()
        if broken.has_spent_all:
            add_note_once(error, f"no further attempt was made: Retry.most is used up ({self._retry.most})")
        has_left = self._itinerary.has_left(self._request.opener_index, is_free=broken.is_free)
        plan = self._plan_to_go_on(broken, failed, has_left=has_left) if broken.may_go_on else None
        if plan is None and broken.may_begin_again:
            why_not = next((no_plan.why_not for no_plan in failed if no_plan.why_not is not None), None)
            indexes = self._itinerary.find_next(self._request.opener_index, now, stays=has_left)
            plan = self._plan_first(indexes, broken, failed, ModeChoice("restart", why_not))
        if plan is None:
            for note, _ in failed:
                if note is not None:
                    add_note_once(error, note)
        return plan

    def _find_facts(self, error: StreamError, now: float) -> Failure:
        """Return the facts about the answer and its error, and about the time of the next attempt."""
        request, answer = self._request, self._answer
        is_refused = self._resumption.joining.refusal is not None
        # Once it has brought something, the server has accepted the request to continue.
        continuation = None if answer.hold.released else request.attempt.asked
        fetches, head = self._find_fetch(error), self._machine.link.head
        if fetches == "poll" and head is not None and error.retry_after is None:
            # An unfinished answer may come with the wait before the next poll.
            error.retry_after = retry_after_of(head.headers)
        return Failure(
            error=error,
            now=now,
            again=request.again,
            has_content=answer.has_content,
            delivered=self._machine.delivered.extent,
            is_call_cut=answer.has_content and has_cut_call(answer),
            is_whole=answer.is_after_pause or (is_refused and request.is_at_limit),
            is_divided=answer.is_divided,
            is_out_of_time=isinstance(error, StreamStalled) and error.limit == "total",
            has_spent_all=self._current.has_spent_all,
            wants=cache(partial(self._wants, error)),
            prefix_refused=continuation is not None and self._drop_refused_prefix(error, continuation),
            request_refused=continuation is not None and is_bad_request(error),
            fetches=fetches,
            fetch_failed=answer.fetch_failed,
            is_deferred=bool(error.retry_after) and request.is_deferred(error, now),
            backoff=self._find_backoff(error, polls=fetches == "poll"),
            reconnect_after=self._resumption.reconnect_after,
            sets_wait=callable(self._retry.wait),
            bounds=self._find_bounds(),
        )

    def _plan_to_go_on(self, broken: Failure, failed: list[NoPlan], *, has_left: bool) -> AttemptPlan | None:
        """Return the plan to go on, or to begin without content; `failed` gets the openers that must not."""
        current = self._request.opener_index
        resumes = has_left and broken.fetches is not None
        # A provider's error ends the answer for good, and a lost position stays lost.
        is_lost = self._was_fetched or isinstance(broken.error, ProviderError | PositionLost)
        if has_left and not (resumes or is_lost):
            # A restart would pay for both answers.
            has_ids = bool(self._machine.link.connection.framing.last_event_id)
            goes_on = broken.has_content or has_ids or self._request.attempt.mode == "resume"
            resumes = (goes_on or self._answer.is_kept) and self._answer.position is not None
        plan = self._plan_first([current], broken, failed, ModeChoice("resume")) if resumes else None
        if plan is not None:
            self._was_fetched = self._was_fetched or plan.kind == "document"
            return plan
        # Another route cannot resume the answer, but may continue or restart it.
        indexes = self._itinerary.find_next(current, broken.now, stays=has_left and not resumes)
        return self._plan_first(indexes, broken, failed)

    def _plan_first(
        self, indexes: list[int], broken: Failure, failed: list[NoPlan], choice: ModeChoice | None = None
    ) -> AttemptPlan | None:
        """Return the plan with the first opener that can make an attempt; `failed` gets the others."""
        for index in indexes:
            if choice is None:
                facts = self._find_opener_facts(index, broken)
            else:
                facts = OpenerFacts(index=index, is_other=index != self._request.opener_index)
            planned = plan(broken, facts, choice)
            if isinstance(planned, AttemptPlan):
                return planned
            failed.append(planned)
        return None

    def _wants(self, error: StreamError, otherwise: bool) -> bool:  # noqa: FBT001 - the only argument left
        """Return True if `Retry.on` wants the error to be retried or, by default, if `otherwise` is True."""
        if self._itinerary.has_routes and is_filtered(error):
            # Another provider may answer what one has filtered, but it is only asked if the caller says so.
            is_named = not callable(self._retry.on) and "content_filter" in self._retry.outcomes
            if is_named:
                return True
            otherwise = False
        return self._retry.wants(error, otherwise=otherwise)

    def _find_backoff(self, error: StreamError, *, polls: bool) -> float | None:
        """Return the seconds before the next request, or poll, at this server; None for too long a wait."""
        # The caller's function replaces the back-off later, but not the server's wait.
        initial = 0.0 if callable(self._retry.wait) else self._retry.wait
        if polls:
            initial = 0.0 if error.retry_after else max(initial, _LEAST_POLL_WAIT)
        number = self._itinerary.used[self._request.opener_index] + 1
        return wait_before(
            self._request.polls + 2 if polls else number,
            error=error,
            initial=initial,
            maximum=_MAX_POLL_WAIT if polls else _MAX_BACKOFF,
            random=random.random(),  # noqa: S311 - not a secret
            maximum_asked=_MAX_SERVER_WAIT,
        )

    def _find_bounds(self) -> tuple[TimeBound, ...]:
        begun, within, total = self._machine.meter.started_at, self._retry.within, self._total
        bounds = [] if total is None else [TimeBound(total, "Deadlines.total", begun)]
        if within is not None:
            bounds.append(TimeBound(within, "Retry.within", begun))
        return tuple(sorted(bounds))

    def _drop_refused_prefix(self, error: StreamError, continuation: Continuation) -> bool:
        """Stop sending prefixes if a prefix was refused; return True if the next request can do without."""
        opener = self._request.opener
        if continuation.prefix is None:
            return False
        is_known_refusal = refuses_prefill(error)
        if not (is_known_refusal or is_bad_request(error)):
            return False
        opener.stop_prefixes(known=is_known_refusal)
        return opener.prefix(self._machine.accumulator.message) is None

    def _find_opener_facts(self, index: int, broken: Failure) -> OpenerFacts:
        request = self._request
        is_other = index != request.opener_index
        # Nothing of what follows the pause has arrived, so the same request is made again.
        is_paused = request.goes_on and not self._answer.hold.released and not is_other
        if is_paused or not broken.has_content or broken.is_divided:
            return OpenerFacts(index=index, is_other=is_other, is_paused=is_paused)
        obstacle = self._find_obstacle(index, broken.error)
        if not is_other and not broken.prefix_refused:
            obstacle = self._find_refusal(broken) or obstacle
        return OpenerFacts(index=index, is_other=is_other, obstacle=obstacle)

    def _find_refusal(self, broken: Failure) -> str | None:
        """Return the reason why the last attempt has shown that the answer can't be continued; or None."""
        if broken.is_refused:
            return "the server refuses the request to continue it"
        joining = self._resumption.joining
        if joining.refusal is None:
            return None
        if joining.seam is not None and joining.seam.misses_call:
            return CALL_MISSING
        # If a reader has a part of the answer, the model may find the seam at another attempt, unless that is
        # the last one; but an answer that has reached its limit is whole without it.
        begins_again = broken.again and self._itinerary.is_last(self._request.opener_index)
        is_needed = broken.delivered == "content" and not (begins_again or self._request.is_at_limit)
        return None if is_needed else NOT_JOINED

    def _find_obstacle(self, index: int, error: StreamError) -> str | None:
        opener = self._openers[index]
        attempt = Attempt(
            number=self._request.attempt.number + 1,
            mode="continue",
            message=self._machine.accumulator.message,
            error=error,
            route=self._itinerary.names[index],
        )
        opener.look_ahead(attempt, is_other=index != self._request.opener_index)
        return why_not(self._current, error, opener)

    def _find_fetch(self, error: StreamError) -> FetchKind | None:
        """Return the kind of a request for the answer by its id; None if the server may not have it."""
        request, answer, retry = self._request, self._answer, self._retry
        is_unfinished = self._machine.link.connection.format.unfinished
        if is_unfinished and "pause" in count_pauses(retry.pauses) and answer.find_running(error) is not None:
            return "poll"
        if isinstance(error, PositionLost):
            # The server cannot resume the answer, but may have it finished.
            is_needed = request.attempt.mode == "resume" and request.kind == "attempt"
        else:
            is_needed = request.kind == "document" and answer.fetch_failed
        is_known = is_needed and answer.position is not None and request.opener.can_fetch(answer.message)
        return "document" if is_known else None

    def make_attempt(
        self, plan: AttemptPlan, error: StreamError, paused: PausedAnswer | None
    ) -> Attempt | None:
        """Return the planned attempt, as the caller's functions get it; None if no tokens are left for it."""
        machine, wait, answer = self._machine, self._retry.wait, self._answer
        opener = self._openers[plan.opener_index]
        continuation, accumulator = None, machine.accumulator
        if plan.mode == "continue":
            continuation = Continuation(accumulator.message, opener.prefix(accumulator.message))
        # A new answer may use the whole output limit, a continuation only the rest of it.
        left = opener.limit(accumulator.format)
        if continuation is not None:
            left = count_tokens_left(self._current, opener)
            if left == 0:
                return None
        fetches = plan.kind in ("poll", "document")
        resumes = plan.mode == "resume" and not fetches
        # A number (`sequence`) or the id of an event, depending on the server.
        position = answer.position if resumes else None
        last_event_id = None if fetches else machine.progress.last_event_id
        attempt = Attempt(
            number=self._request.next_number,
            mode=plan.mode,
            # Before any content, only the events that are held back have the answer's id.
            message=answer.message if resumes or fetches else error.partial,
            last_event_id=position if isinstance(position, str) else last_event_id,
            sequence=position if isinstance(position, int) else None,
            answer_id=answer.name_to_relay(resumes=plan.mode == "resume"),
            abandoned=None if plan.mode == "resume" else answer.find_running(error),
            error=error,
            is_repetition=not (answer.hold.released or isinstance(error, AnswerRejected)),
            wait=plan.wait,
            limit_left=left,
            counted=0 if continuation is None else self._current.counted_in_all,
            why=plan.why,
            route=self._itinerary.names[plan.opener_index],
            asked=continuation,
            paused=paused if plan.mode == "pause" else None,
        )
        if callable(wait) and plan.may_wait:
            attempt = replace(attempt, wait=check_returned_wait(wait(attempt)))
        return attempt

    def why_late(self, begin: float) -> str | None:
        return why_late(self._find_bounds(), begin)

    def ask_about(
        self, attempt: Attempt, now: float, notes: list[str], kind: RequestKind
    ) -> AttemptDecision | None:
        """Return the decision by `Retry.on_retry` on an attempt, or None; `notes` gets why it is too late."""
        if callable(self._retry.wait):
            late = self.why_late(now + attempt.wait)
            if late is not None:
                # The caller's function wants so long a wait; the next route is asked without one.
                notes.append(late)
                return attempt.skip()
        # A poll asks no model, and so is nothing to decide about.
        on_retry = None if kind == "poll" else self._retry.on_retry
        decision = None if on_retry is None else on_retry(attempt)
        if on_retry is not None and attempt.mode != "restart":
            # It was given the answer so far; before a restart, the mode tells it that this is given up.
            self._machine.delivered.note_look()
        return decision if isinstance(decision, AttemptDecision) else None

"""The decision if and how a broken-off answer is requested again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.backoff import clamp_reconnect, wait_before
from tokenstream.accumulator import Accumulator
from tokenstream.errors import PositionLost, ProviderError, StatusError, StreamError, StreamStalled
from tokenstream.events import MessageStart, Unknown
from tokenstream.message import Message
from tokenstream.recovery._decision import ONLY_WHOLE, Ended, ModeChoice, OpenerFacts, choose, needs_candidate
from tokenstream.recovery._never import NOT_JOINED, is_bad_request, is_filtered, refuses_prefill
from tokenstream.recovery._notes import add_note_once
from tokenstream.stream._attempts import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream._pipeline.resumption import Resumption
    from tokenstream.events import Event
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._retry import Retry
    from tokenstream.recovery._rules import ContinuationRules
    from tokenstream.stream._attempts import AttemptMode

_MAX_BACKOFF = 60.0
"""Longest back-off, in seconds."""
_GONE = frozenset({404, 410})
"""Statuses of a server that does not have the answer (any more)."""
_MAX_SERVER_WAIT = 300.0
"""Longest wait that a server may request, in seconds; recovery gives up on a longer wait."""


class AttemptPlan(NamedTuple):
    """A plan for the next attempt: its mode, its opener, and the wait before it."""

    mode: AttemptMode
    opener_index: int
    wait: float
    """Seconds to wait before the attempt, unless the caller's function decides."""
    may_wait: bool = True
    """False if the attempt is made at once, so that the caller's `wait` function is not called."""
    why: str | None = None
    """Reason for restarting the answer although a continuation was wanted; otherwise None."""
    prefix_refused: bool = False
    """True if the server refused the previous attempt because of its prefix; this one then does not count."""
    server_asks: bool = False
    """True if the wait is one that the server asks for."""
    fetches: bool = False
    """True if the finished answer is fetched by its id; this attempt does not count, as it asks no model."""
    polls: bool = False
    """True if it is fetched because it had not finished when it was last asked for."""


@dataclass(slots=True)
class _AttemptEnd:
    """The end of an attempt: all that the plan for the next attempt depends on."""

    error: StreamError
    now: float
    facts: Ended
    prefix_refused: bool
    """True if a prefix was refused, and a request without a prefix is possible."""
    fetches: bool
    """True if the finished answer is fetched by its id."""
    request_refused: bool
    """True if the server has refused the request to continue the answer."""
    notes: list[str] = field(default_factory=list[str])
    """The reasons for which attempts were not made."""
    wanted: dict[bool, bool] = field(default_factory=dict[bool, bool])
    """The decisions of `Retry.on` on the error, by the default decision that was passed to it."""
    why_not: str | None = None
    """The first reason not to continue the answer; None if there is none to report."""

    def __post_init__(self) -> None:
        self.request_refused = self.request_refused or self.prefix_refused

    @property
    def is_free(self) -> bool:
        """True if the next attempt does not count towards `Retry.attempts`."""
        return self.prefix_refused or self.fetches


class Planner:
    """Decides if another attempt is made, and of which kind.

    Args:
        retry: The caller's options.
        itinerary: The openers, in order.
        resumption: Lets further connections go on with the answer.
        rules: The rules for continuing the answer.
        total: The stream's total deadline, in seconds; None for no deadline.
    """

    def __init__(
        self,
        retry: Retry,
        itinerary: Itinerary,
        resumption: Resumption,
        current: CurrentAttempt,
        rules: ContinuationRules,
        *,
        total: float | None,
    ) -> None:
        self._retry = retry
        self._itinerary, self._openers = itinerary, itinerary.openers
        self._machine, self._resumption = resumption.machine, resumption
        self._current = current
        self._rules = rules
        self._was_fetched = False
        """True once the finished answer was fetched by its id, because the server could not resume it."""
        self.begun_at = 0.0
        """Time of the last pause, or of the last poll of an answer that is written in the background, from
        which the seconds of `Retry.timeout` count; 0 before that, so that they count from the first request.
        """
        # Seconds after the first request in which new attempts may begin, each with the option that sets it.
        bounds = ((retry.timeout, "Retry.timeout"), (total, "Deadlines.total"))
        self._bounds = sorted((bound, name) for bound, name in bounds if bound is not None)

    def plan(self, error: StreamError, now: float) -> AttemptPlan | None:
        """Return the plan for the next attempt; None if no further attempt is to be made.

        Args:
            error: The error that ended the current attempt.
            now: A clock reading, in seconds.
        """
        current, facts = self._current, self._find_facts(error)
        if not (facts.may_go_on or facts.may_begin_again):
            if facts.has_spent_all:
                add_note_once(
                    error, f"no further attempt was made: Retry.most is used up ({self._retry.most})"
                )
            return None
        end = _AttemptEnd(
            error,
            now,
            facts,
            prefix_refused=self._drop_refused_prefix(error),
            fetches=self._may_fetch(error),
            request_refused=self._is_refused_continuation(error),
        )
        # An attempt that was refused for its prefix does not count, and neither does one that fetches.
        has_left = self._itinerary.has_left(current.opener_index, is_free=end.is_free)
        plan = self._plan_to_go_on(end, has_left=has_left) if facts.may_go_on else None
        if plan is None and facts.may_begin_again:
            candidates = self._find_candidates(end, has_left=has_left)
            plan = self._plan_first(candidates, end, ModeChoice("restart", end.why_not))
        if plan is None:
            for note in end.notes:
                add_note_once(error, note)
        return plan

    def _find_facts(self, error: StreamError) -> Ended:
        """Return the facts about the answer on which all decisions depend."""
        current, is_refused = self._current, self._resumption.joining.refusal is not None
        return Ended(
            mode=self._retry.mode,
            has_content=current.has_content,
            delivered=self._machine.delivered.extent,
            is_whole=current.is_behind_pause or (is_refused and current.is_at_limit),
            may_lack=self._machine.answer_format.gap in ("unsettled", "settled"),
            is_out_of_time=isinstance(error, StreamStalled) and error.limit == "total",
            has_spent_all=current.has_spent_all,
        )

    def _plan_to_go_on(self, end: _AttemptEnd, *, has_left: bool) -> AttemptPlan | None:
        """Return the plan for an attempt that goes on with the answer, or begins one that has no content yet.

        Args:
            has_left: True if another attempt may be made with the current opener.
        """
        if not (has_left and (end.fetches or self._resumes(end.error))):
            return self._plan_first(self._find_candidates(end, has_left=has_left), end)
        plan = self._plan_at(self._current.opener_index, end, ModeChoice("resume"))
        if plan is not None:
            self._was_fetched = self._was_fetched or end.fetches
        elif self._itinerary.has_routes:
            # Another route cannot resume the answer, but may continue or restart it.
            plan = self._plan_first(self._find_candidates(end, has_left=False), end)
        return plan

    def _plan_first(
        self, candidates: list[int], end: _AttemptEnd, choice: ModeChoice | None = None
    ) -> AttemptPlan | None:
        """Return the plan for an attempt with the first opener that can make one; None if none can.

        Args:
            candidates: The indexes of the openers.
            choice: The mode of the attempt; None to choose it.
        """
        plans = (self._plan_at(index, end, choice) for index in candidates)
        return next((plan for plan in plans if plan is not None), None)

    def _resumes(self, error: StreamError) -> bool:
        """Return True if the next attempt, at the same server, should resume the answer.

        Before anything was delivered, a restart would leave no trace. But if the server is still writing the
        answer, both answers would have to be paid for.
        """
        needed = self._current.has_content or self._retry.mode == "resume" or self._is_kept
        return needed and self._may_resume(error)

    def _find_candidates(self, end: _AttemptEnd, *, has_left: bool) -> list[int]:
        """Return the indexes of the openers that may make the next attempt, in order.

        Args:
            has_left: True if another attempt may be made with the current opener.
        """
        current, itinerary = self._current.opener_index, self._itinerary
        same = [current] if has_left else []
        following = itinerary.find_following(current, end.now)
        # Without routes, each failure moves on.
        return [*same, *following] if itinerary.has_routes else [*following, *same]

    def _plan_at(self, index: int, end: _AttemptEnd, choice: ModeChoice | None = None) -> AttemptPlan | None:
        """Return the plan for an attempt with one of the openers; None if it must not be made.

        Args:
            index: The index of the opener.
            choice: The mode of the attempt; None to choose it.
        """
        error, is_other = end.error, index != self._current.opener_index
        mode, why_not = choice or choose(end.facts, self._find_candidate(index, end))
        if mode is None:
            self._note_why_not(why_not, end)
            return None
        asks_anew = mode == "continue" or (mode == "restart" and end.facts.has_content)
        position_replaced = isinstance(error, PositionLost) and asks_anew
        # The next request goes to another server, or differs from the one that failed: an error that is not
        # retried by default may not occur again.
        fetches = end.fetches and mode == "resume"
        is_other_request = is_other or end.request_refused or position_replaced or fetches
        # A request without the refused prefix is made whatever `on` says.
        if not end.prefix_refused and not self._wants(end, otherwise=error.retryable or is_other_request):
            return None
        # Another server, or another request, can be tried at once.
        at_once = is_other or end.prefix_refused or fetches
        wait = 0.0 if at_once else self._wait_before(error, mode)
        if wait is None:
            return None
        # A function for the wait is called later, with the planned attempt; `Recovery._decide` then checks if
        # the attempt would begin too late.
        wait_is_set_later = callable(self._retry.wait) and not at_once
        late = None if wait_is_set_later else self.why_late(end.now + wait)
        if late is not None:
            end.notes.append(late)
            return None
        server_asks = error.retry_after is not None or (
            mode == "resume" and self._resumption.reconnect_after is not None
        )
        return AttemptPlan(
            mode,
            index,
            wait,
            not at_once,
            why=why_not,
            prefix_refused=end.prefix_refused,
            server_asks=server_asks,
            fetches=fetches,
        )

    def _note_why_not(self, why_not: str | None, end: _AttemptEnd) -> None:
        """Note the reason why the answer is not continued, if its error would have been retried."""
        if why_not is not None and (end.request_refused or self._wants(end, otherwise=end.error.retryable)):
            end.why_not = end.why_not or why_not
            end.notes.append(f"the answer was not continued: {why_not}")

    def _wants(self, end: _AttemptEnd, *, otherwise: bool) -> bool:
        """Return True if the caller wants the error of an attempt to be retried, as `Retry.on` decides.

        Args:
            otherwise: True if the error is retried by default.
        """
        if self._itinerary.has_routes and is_filtered(end.error):
            # Another provider may answer what one has filtered, but it is only asked if the caller says so.
            is_named = not callable(self._retry.on) and "content_filter" in self._retry.outcomes
            if is_named:
                return True
            otherwise = False
        # A function in `Retry.on` is called only once for each default.
        if otherwise not in end.wanted:
            end.wanted[otherwise] = self._retry.wants(end.error, otherwise=otherwise)
        return end.wanted[otherwise]

    def why_late(self, begin: float) -> str | None:
        """Return the reason why an attempt would begin too late; None if it may begin then.

        Args:
            begin: The clock reading at which the attempt would begin.
        """
        first_request = self._machine.meter.started_at
        since = {"Retry.timeout": max(first_request, self.begun_at)}
        passed = next(
            (bound for bound in self._bounds if begin - since.get(bound[1], first_request) > bound[0]), None
        )
        if passed is None:
            return None
        bound, option = passed
        return f"no further attempt was made: it would begin later than {option} allows ({bound:g} s)"

    def _is_refused_continuation(self, error: StreamError) -> bool:
        """Return True if the server has refused the request to continue the answer."""
        current = self._current
        return current.continuation is not None and not current.was_released and is_bad_request(error)

    def _drop_refused_prefix(self, error: StreamError) -> bool:
        """Stop sending prefixes if the server has refused a prefix.

        Returns:
            True if a prefix was refused, and the next request can do without one.
        """
        current = self._current
        opener, continuation = self._openers[current.opener_index], current.continuation
        if continuation is None or continuation.prefix is None or current.was_released:
            # No prefix was sent, or the server has accepted it.
            return False
        is_known_refusal = refuses_prefill(error)
        if not (is_known_refusal or is_bad_request(error)):
            return False
        opener.stop_prefixes(known=is_known_refusal)
        return opener.prefix(self._machine.accumulator.message) is None

    def _find_candidate(self, index: int, end: _AttemptEnd) -> OpenerFacts:
        """Return the facts about an opener that may make the next attempt.

        Args:
            index: The index of the opener.
        """
        current = self._current
        opener, is_other = self._openers[index], index != current.opener_index
        # Nothing of what follows the pause has arrived, so the same request is made again.
        is_paused = current.goes_on and not current.was_released and not is_other
        if is_paused or not needs_candidate(end.facts):
            return OpenerFacts(is_paused=is_paused)
        if self._retry.mode != "continue" and not opener.makes_request:
            # In mode "auto", only a request of this library is known to follow the mode "continue".
            return OpenerFacts(follows_modes=False, obstacle=None if is_other else ONLY_WHOLE)
        # A fallback whose function takes no attempt can only restart the answer. It may do so only if the
        # current opener cannot continue the answer, so the obstacle is that of the current opener.
        only_restarts = is_other and not opener.takes_attempt
        obstacle = self._find_obstacle(current.opener_index if only_restarts else index, end.error)
        if not is_other and not end.prefix_refused:
            obstacle = self._find_refusal(end) or obstacle
        return OpenerFacts(only_restarts=only_restarts, obstacle=obstacle)

    def _find_refusal(self, end: _AttemptEnd) -> str | None:
        """Return the reason why the last attempt has shown that the answer can't be continued; or None."""
        if end.request_refused:
            return "the server refuses the request to continue it"
        # If a reader has a part of the answer, the model may find the seam at the next attempt.
        is_refused = self._resumption.joining.refusal is not None and end.facts.delivered != "content"
        return NOT_JOINED if is_refused else None

    def _find_obstacle(self, index: int, error: StreamError) -> str | None:
        """Return the reason why an opener cannot continue the answer; None if it can.

        Args:
            index: The index of the opener.
            error: The error that broke off the answer.
        """
        opener = self._openers[index]
        attempt = Attempt(
            number=self._current.number + 1,
            mode="continue",
            message=self._machine.accumulator.message,
            error=error,
            route=self._itinerary.name(index),
        )
        opener.look_ahead(attempt, is_other=index != self._current.opener_index)
        return self._rules.why_not(error, opener)

    def _may_resume(self, error: StreamError) -> bool:
        """Return True if the answer has a position, and another attempt may be able to go on from there."""
        # A provider's error ends the answer for good, and a lost position stays lost.
        is_lost = self._was_fetched or isinstance(error, ProviderError | PositionLost)
        return self.position is not None and not is_lost

    def _may_fetch(self, error: StreamError) -> bool:
        """Return True if the server cannot resume the answer, but may have it finished under its id."""
        if not isinstance(error, PositionLost) or self._was_fetched or self._current.mode != "resume":
            return False
        opener = self._openers[self._current.opener_index]
        return self.position is not None and opener.can_fetch(self.message)

    @property
    def may_resume(self) -> bool:
        """True if a later attempt may resume the answer, as far as is known before it begins."""
        return self._retry.mode in ("auto", "resume") and self._openers[0].takes_attempt

    def can_resume(self, held: Iterable[Event]) -> bool:
        """Return True if a later attempt may resume the answer, now that it has begun.

        Args:
            held: The events of the answer so far, which are not delivered yet.
        """
        if self._retry.mode == "resume" or self._openers[self._current.opener_index].replays:
            return True
        machine = self._machine
        # The head of the answer is held, or was delivered by an earlier attempt.
        heads = (machine.accumulator.message, _head_of(held))
        return any(machine.answer_format.is_kept(head) for head in heads)

    @property
    def message(self) -> Message:
        """The answer so far; while all its events are still held back, only its head.

        After a pause, it has the id of what goes on, which is another one than that of the message.
        """
        current, machine = self._current, self._machine
        if current.has_content or current.hold.released:
            message, parts = machine.accumulator.message, machine.answer_format.parts
            return message if parts.text_before is None else message.model_copy(update={"id": parts.id})
        # The accumulator has no event yet, and a stop drops those that are held back.
        reader = machine.answer_format
        fields = {name: value for name, value in reader.parts.fields.items() if isinstance(name, str)}
        return Message(id=reader.parts.id, model=reader.parts.model, provider_data=fields, format=reader.name)

    def find_running(self, error: StreamError | None) -> str | None:
        """Return the id of the answer if the server may still be writing it, at the caller's cost.

        The result is None if the answer has ended, or if its server does not go on writing.

        Args:
            error: The error that ended the current attempt; None if it was stopped.
        """
        message, cause = self.message, None if error is None else error.__cause__
        has_ended = isinstance(error, ProviderError) or self._machine.answer_format.ended
        is_gone = isinstance(cause, StatusError) and cause.status in _GONE
        opener = self._openers[self._current.opener_index]
        may_run = self._was_begun_here and self._is_kept and not has_ended and not is_gone
        return message.id if may_run and opener.can_fetch(message) else None

    @property
    def _was_begun_here(self) -> bool:
        """True if the answer is that of one request, which has not been continued."""
        return not self._resumption.continued and self._current.continuation is None

    @property
    def _is_kept(self) -> bool:
        """True if the answer has a position, and its server is known to keep the answer for a replay."""
        reader = self._machine.answer_format
        return (reader.position is not None or reader.unfinished) and reader.is_kept(self.message)

    @property
    def position(self) -> int | str | None:
        """The position from which the server can replay the answer; None if the server cannot do that."""
        opener, machine = self._openers[self._current.opener_index], self._machine
        if self._retry.mode in ("restart", "continue") or not opener.takes_attempt:
            return None
        if not self._was_begun_here:
            # The positions of a continuation do not belong to the original answer.
            return None
        resume_requested = self._retry.mode == "resume"
        reader = machine.answer_format
        if reader.ended and not reader.assumed:
            # The server has sent the end of the answer, so nothing is left to replay. (After a sentinel
            # without a finish reason, the end is only assumed.)
            return None
        # In mode "auto", an answer is resumed only if its server is known to keep or to replay it.
        if reader.position is not None and (resume_requested or self._is_kept):
            return reader.position
        return machine.progress.last_event_id if resume_requested or opener.replays else None

    def _wait_before(self, error: StreamError, mode: AttemptMode) -> float | None:
        """Return the seconds to wait before an attempt; None if the server requests too long a wait.

        Args:
            error: The error that ended the attempt before.
        """
        server_wait = self._resumption.reconnect_after if mode == "resume" else None
        if server_wait is not None and error.retry_after is None:
            # The server has sent a reconnection time (`retry:`) in its event stream.
            return clamp_reconnect(server_wait)
        initial = self._retry.wait
        return wait_before(
            # The number of the next attempt, for this server.
            self._itinerary.used(self._current.opener_index) + 1,
            error=error,
            # The caller's function replaces the back-off later, but not the server's wait.
            initial=0.0 if callable(initial) else initial,
            maximum=_MAX_BACKOFF,
            random=random.random(),  # noqa: S311 - not a secret
            maximum_asked=_MAX_SERVER_WAIT,
        )


def _head_of(events: Iterable[Event]) -> Message:
    """Return a message with only the id, the model and the provider's data that events have."""
    accumulator = Accumulator()
    for event in events:
        # An accumulator writes into some events of parts, which are not its own here.
        if isinstance(event, MessageStart | Unknown):
            accumulator.take(event)
    return accumulator.message

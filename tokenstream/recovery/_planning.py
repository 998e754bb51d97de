"""The decision if and how a broken-off answer is requested again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.backoff import clamp_reconnect, wait_before
from tokenstream.errors import PositionLost, ProviderError, StreamError, StreamStalled
from tokenstream.recovery._decision import ONLY_WHOLE, Ended, ModeChoice, OpenerFacts, choose, needs_candidate
from tokenstream.recovery._never import NOT_JOINED, is_bad_request, is_filtered, refuses_prefill
from tokenstream.recovery._notes import add_note_once
from tokenstream.stream._attempts import Attempt

if TYPE_CHECKING:
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._itinerary import Itinerary
    from tokenstream.recovery._retry import Retry
    from tokenstream.recovery._rules import ContinuationRules
    from tokenstream.stream._attempts import AttemptMode

_MAX_BACKOFF = 60.0
"""Longest back-off, in seconds."""
_MAX_POLL_WAIT = 30.0
"""Longest wait between two polls, in seconds."""
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
        self._frames = 0
        """Number of payloads when the last poll was planned, to see if it has brought the answer."""
        self._polls = 0
        """Number of polls since the last one that failed."""
        # Seconds after the first request in which new attempts may begin, each with the option that sets it.
        bounds = ((retry.timeout, "Retry.timeout"), (total, "Deadlines.total"))
        self._bounds = sorted((bound, name) for bound, name in bounds if bound is not None)

    def plan(self, error: StreamError, now: float) -> AttemptPlan | None:
        """Return the plan for the next attempt; None if no further attempt is to be made.

        Args:
            error: The error that ended the current attempt.
            now: A clock reading, in seconds.
        """
        return self._plan_poll(error, now) or self._plan_attempt(error, now)

    def _plan_attempt(self, error: StreamError, now: float) -> AttemptPlan | None:
        """Return the plan for an attempt that is no poll; None if no further attempt is to be made."""
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
        needed = self._current.has_content or self._retry.mode == "resume" or self._current.is_kept
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

    def _plan_poll(self, error: StreamError, now: float) -> AttemptPlan | None:
        """Return the plan for the next poll; None if the answer is not polled.

        Args:
            error: The error that ended the current attempt; for a poll, that the answer is not complete.
            now: A clock reading, in seconds.
        """
        reader, index = self._machine.answer_format, self._current.opener_index
        # A connection may have brought the same payload as the one before, which is then dropped.
        has_answered = (reader.frames > self._frames or reader.dropped > 0) and not self._machine.refused
        if (
            not self._wants_poll(error, has_answered=has_answered)
            or self._current.find_running(error) is None
        ):
            return None
        self._polls = self._polls + 1 if has_answered else 0
        if not has_answered and not (error.retryable and self._itinerary.has_left(index)):
            return None
        if has_answered:
            self.begun_at = now
        self._frames = reader.frames
        if reader.position is None:
            # Each poll brings the whole answer, and not events that could be repeated.
            self._machine.arrivals.log = None
        # The answer is over, so the first request need not wait.
        is_over = has_answered and not reader.unfinished
        wait = 0.0 if is_over else self._wait_before_poll(error)
        # A poll that has failed counts as an attempt, and one that brings an unfinished answer does not.
        return None if wait is None else AttemptPlan("resume", index, wait, fetches=True, polls=has_answered)

    def _wants_poll(self, error: StreamError, *, has_answered: bool) -> bool:
        """Return True if the whole of the answer is needed, and if asking for it may bring it.

        Args:
            error: The error that ended the current attempt.
            has_answered: True if that attempt has brought a payload.
        """
        reader = self._machine.answer_format
        if isinstance(error, StreamStalled) and error.limit == "total":
            return False
        if reader.unfinished:
            return self._retry.pauses > 0
        # A server that was asked for the whole answer, and has sent something else, does not have it.
        return reader.gap == "unsettled" and not (self._current.settles and has_answered)

    def _wait_before_poll(self, error: StreamError) -> float | None:
        """Return the seconds to wait before the next poll; None if the server requests too long a wait."""
        initial = self._retry.wait
        return wait_before(
            1 + max(1, self._polls),
            error=error,
            initial=0.0 if callable(initial) else initial,
            maximum=_MAX_POLL_WAIT,
            random=random.random(),  # noqa: S311 - not a secret
            maximum_asked=_MAX_SERVER_WAIT,
        )

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
        return self._current.position is not None and not is_lost

    def _may_fetch(self, error: StreamError) -> bool:
        """Return True if the server cannot resume the answer, but may have it finished under its id."""
        if not isinstance(error, PositionLost) or self._was_fetched or self._current.mode != "resume":
            return False
        opener = self._openers[self._current.opener_index]
        return self._current.position is not None and opener.can_fetch(self._current.message)

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

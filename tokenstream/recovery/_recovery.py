"""Recovery of an answer that broke off: this module decides how to go on, and drivers do the waiting."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tokenstream._basics.backoff import clamp_reconnect, wait_before
from tokenstream._pipeline.hold import Hold
from tokenstream.errors import (
    MisuseError,
    PositionLost,
    ProviderError,
    StatusError,
    StreamError,
    StreamStalled,
)
from tokenstream.events import Restarted, Resumed
from tokenstream.recovery._never import JSON_ASKED, JSON_TEXT, is_bad_request, refuses_prefill
from tokenstream.recovery._outcome import find_outcome, make_shows
from tokenstream.recovery._rules import ContinuationRules, add_note_once
from tokenstream.stream._attempts import Attempt, AttemptReport
from tokenstream.stream._said import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.renewable import RenewableMachine
    from tokenstream._sources import AsyncSource, Deferred
    from tokenstream.events import Event
    from tokenstream.message import Usage
    from tokenstream.recovery._hedge import Contender
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.recovery._retry import Retry
    from tokenstream.stream._attempts import AttemptMode
    from tokenstream.stream._continuation import Continuation
    from tokenstream.stream._driver import Driver

_LONGEST_WAIT = 60.0
"""Longest back-off, in seconds."""
_LONGEST_ASKED = 300.0
"""Longest wait that a server may request, in seconds; recovery gives up on a longer wait."""

_NOT_HELD = frozenset({400, 404, 409, 410, 412, 416, 422})
"""Statuses with which a server tells a request to resume that it no longer has the answer."""
_NO_CONTENT = 204
"""Status that tells an event source to stop reconnecting."""


class _Plan(NamedTuple):
    """A plan for the next attempt."""

    mode: AttemptMode
    opener: SourceOpener
    wait: float
    why: str | None = None
    stepped: bool = False
    """True if the previous attempt was refused because of its prefix, and so does not count."""


class Recovery:
    """Decides how to go on with a broken answer, and prepares the machine for that.

    It has a reference to the machine but not to the driver, so that an abandoned stream can be collected.

    Args:
        retry: The caller's options.
        openers: The first opener, then the fallbacks.
    """

    def __init__(self, retry: Retry, openers: tuple[SourceOpener, ...]) -> None:
        self._retry = retry
        self._openers = openers
        for opener in openers:
            opener.prefills = retry.prefill
        self._at = 0
        """Index of the opener that was used last."""
        self._machine: RenewableMachine
        self._rules: ContinuationRules
        self._total: float | None = None
        self._started: float | None = None
        self._number = self._made = 1
        """The number of the current attempt, and the number of attempts that count against the budget."""
        self._free = 0
        """Number of attempts that do not count against the budget."""
        self._mode: AttemptMode = "start"
        self._wait = 0.0
        self._begun_at = 0.0
        self._hold: Hold
        self._shown = False
        """True once content of the answer was delivered, so that a restart must be announced."""
        self._over = False
        self._lost_usage: tuple[Usage | None, ...] = ()
        """Token counts of an attempt without content, after others had delivered content; else empty."""
        self._broken_by: StreamError | None = None
        """The error that broke off the delivered answer; None if there is no error, or the answer goes on."""
        self._asked: Continuation | None = None
        """The continuation that the current attempt requests; None for other modes."""
        self._aligns = retry.align
        self._until: Callable[[Event], bool] = make_shows(retry.outcomes)
        self._reports: list[AttemptReport] = []

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The attempts so far, including the current one."""
        reports = self._reports if self._over else [*self._reports, self._report(None, None)]
        return tuple(sorted(reports, key=lambda report: report.number))

    def begin(self, driver: Driver) -> Deferred:
        """Attach this object to a driver that has not read anything, and return the driver's first source.

        Args:
            driver: The stream's driver.
        """
        self._machine = cast("RenewableMachine", driver.machine)
        self._rules = ContinuationRules(self._retry, self._machine)
        self._total = driver.silence.deadlines.total
        machine = self._machine
        self._hold = Hold(self._until, self._announce)
        machine.hold_back(self._hold)
        driver.recovery = self
        attempt = Attempt(
            number=1,
            mode="start",
            message=machine.accumulator.message,
            limit_left=self._retry.max_output_tokens,
        )
        deferred = self._openers[0].deferred(attempt, begins=True)
        if self._retry.hedge_after is None:
            return deferred
        return replace(deferred, open=partial(self._race, deferred.open, attempt, driver.clock), enters=True)

    async def _race(self, opens: Any, attempt: Attempt, clock: Callable[[], float]) -> AsyncSource:  # noqa: ANN401 - an awaitable's
        """Open a source, and if that brings no content for a while, a second source; return the winner.

        Args:
            opens: Opens the first source.
            attempt: The first attempt.
            clock: Returns the time in seconds.
        """
        from tokenstream.recovery._hedge import Contender, race

        machine, opener, after = self._machine, self._openers[0], self._retry.hedge_after or 0.0
        again = opener.deferred(replace(attempt, number=2, mode="hedge"))
        first, second = (Contender(each, opener.format, machine.limits) for each in (opens, again.open))
        if self._retry.budget < 2:
            after = math.inf
        began = clock()
        winner = await race(first, second, after)
        if second.begun:
            self._note_loser(
                first if winner is second else second, hedged=winner is first, began=began, now=clock()
            )
        return winner.source()

    def _note_loser(self, loser: Contender, *, hedged: bool, began: float, now: float) -> None:
        """Report the losing attempt with its usage, which is a minimum: the provider may have gone on."""
        after = self._retry.hedge_after or 0.0
        modes: tuple[AttemptMode, AttemptMode] = ("start", "hedge")
        lost, won = (1, 0) if hedged else (0, 1)
        begun = began + after * lost
        self._reports.append(
            AttemptReport(number=lost + 1, mode=modes[lost], seconds=max(0.0, now - begun), usage=loser.usage)
        )
        self._machine.accumulator.spend(loser.usage and loser.usage.model_copy(update={"source": "partial"}))
        self._number, self._mode = won + 1, modes[won]
        self._made = 2

    # -- deciding ----------------------------------------------------------

    def replace(self, cause: StreamError | None, now: float) -> Deferred | None:
        """Return the source with which to continue, or None if the stream ends here.

        Args:
            cause: The error that ended the input; None after a clean end, or if the machine has the error.
            now: The time, in seconds.
        """
        error = None if self._machine.differs else self._find_error(cause, now)
        if error is None:
            return None
        plan = self._plan(error, now)
        if plan is None:
            # End the parts that were kept open for a continuation.
            self._machine.finish(cause, now)
            if self._asked is not None and not self._hold.released:
                add_note_once(error, _continuation_note(self._reports))
            if isinstance(error, PositionLost):
                self._machine.error = error
            return None
        return self._go_on(plan, error, now)

    def settle(self, error: Exception | None, now: float) -> None:
        """Record how the last attempt ended.

        Args:
            error: The error with which the stream ends, or None.
            now: The time, in seconds.
        """
        if not self._over:
            failed = error if isinstance(error, StreamError) and not self._machine.doubtful else None
            self._reports.append(self._report(failed, now))
            self._over = True

    def _find_error(self, cause: StreamError | None, now: float) -> StreamError | None:
        """Return the error of an answer whose input has ended or failed, or None."""
        machine = self._machine
        if machine.answered and not machine.refused and machine.error is None and cause is None:
            # The terminal event has arrived; the connection may still be open.
            return self._find_outcome()
        if machine.error is None and self._position is not None:
            error = machine.cut_short(cause)
            if error is not None:
                return self._as_position_lost(error)
        machine.finish(cause, now)
        return self._find_outcome() if machine.error is None else self._as_position_lost(machine.error)

    def _as_position_lost(self, error: StreamError) -> StreamError:
        """Return `PositionLost` if the server refused to resume from a position, otherwise the same error."""
        if self._mode != "resume" or self._hold.released:
            return error
        status = self._machine.status
        if not isinstance(error, StatusError) and status != _NO_CONTENT:
            return error
        if isinstance(error, StatusError) and (error.retryable or error.status not in _NOT_HELD):
            return error
        lost = PositionLost(f"the server cannot resume from the position it was sent ({error})")
        lost.__cause__ = error
        return lost

    def _find_outcome(self) -> StreamError | None:
        """Return the error for a finished but useless answer, if nothing of it was delivered, or None."""
        if not self._retry.outcomes or self._hold.released or self._shown:
            return None
        events = (*self._hold.held, *self._machine.left)
        return find_outcome(events, self._retry.outcomes)

    def _plan(self, error: StreamError, now: float) -> _Plan | None:
        """Return the plan for the next attempt; None if no further attempt is to be made."""
        retry = self._retry
        if isinstance(error, StreamStalled) and error.limit == "total":
            return None
        stepped = self._step_down(error)
        if self._made - stepped >= retry.budget:
            return None
        mode, why = self._choose_mode(error, stepped=stepped)
        if mode is None:
            refused = stepped or self._was_refused(error)
            if why is not None and (refused or retry.wants(error, otherwise=error.retryable)):
                add_note_once(error, f"the answer was not continued: {why}")
            return None
        further = self._goes_further(mode)
        # A permanent failure may not apply to another server or to another kind of request.
        other = (
            stepped or self._was_refused(error) or (isinstance(error, PositionLost) and mode == "continue")
        )
        if not stepped and not retry.wants(error, otherwise=error.retryable or further or other):
            return None
        opener = self._openers[self._at + further]
        wait = 0.0 if further or stepped else self._wait_before(error, mode)
        if wait is None:
            return None
        begun = self._machine.meter.started_at
        bounds = [bound for bound in (retry.timeout, self._total) if bound is not None]
        if any(now + wait - begun > bound for bound in bounds):
            return None
        return _Plan(mode, opener, wait, why, stepped=stepped)

    def _was_refused(self, error: StreamError) -> bool:
        """Return True if the server has refused the request to continue the answer."""
        return self._asked is not None and not self._hold.released and is_bad_request(error)

    def _step_down(self, error: StreamError) -> bool:
        """Stop sending prefixes if a prefix was refused; return True if a request without one is possible."""
        opener = self._openers[self._at]
        if self._asked is None or self._asked.prefix is None or self._hold.released:
            return False
        known = refuses_prefill(error)
        if not (known or is_bad_request(error)):
            return False
        opener.refuse_prefix(known=known)
        return opener.prefix(self._machine.accumulator.message) is None

    def _goes_further(self, mode: AttemptMode) -> bool:
        """Return True if the next attempt uses the next fallback."""
        if self._at + 1 == len(self._openers) or mode == "resume":
            return False
        # A fallback can continue an answer only if the mode is "continue" and its function takes the attempt.
        return mode == "restart" or (self._retry.mode == "continue" and self._openers[self._at + 1].resumes)

    def _choose_mode(self, error: StreamError, *, stepped: bool) -> tuple[AttemptMode | None, str | None]:
        """Return the mode of the next attempt or None, and the reason not to continue the answer or None.

        Args:
            error: The error that ended the attempt.
            stepped: True if a prefix was refused, and a request without a prefix is possible.
        """
        mode = self._retry.mode
        if not self._shown:
            # Nothing was delivered, so a restart leaves no trace.
            return "resume" if mode == "resume" and self._may_resume(error) else "restart", None
        if mode == "restart":
            return "restart", None
        if mode != "continue" and self._may_resume(error):
            return "resume", None
        opener = self._openers[self._at]
        if mode == "resume" or not (mode == "continue" or opener.builds):
            # The caller's `open` may only be able to request the whole answer.
            return None, None
        why = self._rules.why_not(error, opener)
        if self._was_refused(error) and not stepped:
            why = "the server refuses the request to continue it"
        if why is None:
            return "continue", None
        return "restart" if mode == "continue" else None, why

    def _may_resume(self, error: StreamError) -> bool:
        # A provider's error ends the answer for good, and a lost position stays lost.
        return self._position is not None and not isinstance(error, ProviderError | PositionLost)

    @property
    def _position(self) -> int | str | None:
        """The position from which the server can replay the answer; None if the server cannot do that."""
        opener, machine = self._openers[self._at], self._machine
        if self._retry.mode in ("restart", "continue") or not opener.resumes:
            return None
        if machine.continued or self._asked is not None:
            # The positions of a continuation do not belong to the original answer.
            return None
        asked = self._retry.mode == "resume"
        reader = machine.reader
        if reader.ended and not reader.assumed:
            return None
        if reader.position is not None and (asked or reader.is_kept(machine.accumulator.message)):
            return reader.position
        asked = asked or opener.replays
        return machine.last_event_id if asked else None

    def _wait_before(self, error: StreamError, mode: AttemptMode) -> float | None:
        """Return the seconds to wait before an attempt; None if the server requests too long a wait."""
        server_wait = self._machine.reconnect_after if mode == "resume" else None
        if server_wait is not None and error.retry_after is None:
            return clamp_reconnect(server_wait)
        initial = self._retry.wait
        return wait_before(
            self._made + 1,
            error=error,
            initial=0.0 if callable(initial) else initial,
            maximum=_LONGEST_WAIT,
            random=random.random(),  # noqa: S311 - not a secret
            maximum_asked=_LONGEST_ASKED,
        )

    # -- going on ----------------------------------------------------------

    def _go_on(self, plan: _Plan, error: StreamError, now: float) -> Deferred | None:
        """Prepare the planned attempt, and return its source; None if the stream ends here."""
        machine, retry = self._machine, self._retry
        ending: Any = "failed" if isinstance(error, ProviderError) else "truncated"
        machine.describe(error, ending)
        position = self._position if plan.mode == "resume" else None
        asked = self._rules.make_turns(plan.opener) if plan.mode == "continue" else None
        limit_left = self._rules.limit(plan.opener)
        if asked is not None and limit_left is not None:
            limit_left = self._rules.limit_left(plan.opener)
            if limit_left is not None and limit_left < 1:
                self._end_at_limit(error, now)
                return None
        attempt = Attempt(
            number=self._made + self._free + 1,
            mode=plan.mode,
            message=error.partial,
            last_event_id=position if isinstance(position, str) else machine.last_event_id,
            sequence=position if isinstance(position, int) else None,
            error=error,
            wait=plan.wait,
            limit_left=limit_left,
            why=plan.why,
            asked=asked,
        )
        if callable(retry.wait) and not plan.stepped:
            attempt = replace(attempt, wait=_check_seconds(retry.wait(attempt)))
        if retry.on_retry is not None:
            retry.on_retry(attempt)
        if self._over:
            # `on_retry` has stopped the stream.
            return None
        log(
            "attempt %d ended (%s): %s in %.2f s",
            self._number,
            type(error).__name__,
            attempt.mode,
            attempt.wait,
        )
        self._reports.append(self._report(error, now))
        kept = machine.reader if plan.mode == "resume" else None
        self._settle_usage(plan.mode)
        self._at = self._openers.index(plan.opener)
        self._number = attempt.number
        self._made, self._free = self._made + 1 - plan.stepped, self._free + plan.stepped
        self._mode, self._asked = attempt.mode, asked
        self._wait, self._begun_at = attempt.wait, now + attempt.wait
        self._lost_usage = ()
        if plan.mode == "restart":
            self._rules.begin_again()
        if self._shown and plan.mode == "restart":
            self._broken_by = self._broken_by or error
        self._aligns = retry.align or plan.why in (JSON_ASKED, JSON_TEXT)
        seam = None if asked is None else self._rules.make_seam(asked)
        until = _release_at_once if self._shown and kept is not None else self._until
        self._hold = Hold(until if seam is None else seam.decides, self._announce)
        if kept is None:
            machine.wanted = plan.opener.format
        machine.renew(self._hold, now, kept=kept, seam=seam)
        return replace(plan.opener.deferred(attempt), begins=False, wait=attempt.wait)

    def _end_at_limit(self, error: StreamError, now: float) -> None:
        """End the answer, because its output limit is used up."""
        self._reports.append(self._report(error, now))
        self._over = True
        self._machine.end_at_limit(now)

    def _settle_usage(self, mode: AttemptMode) -> None:
        """Add the tokens of an abandoned attempt to the usage, unless the message already includes them."""
        hold = self._hold
        if mode != "resume" and not hold.released and hold.held:
            self._machine.accumulator.spend(hold.usage)

    def _announce(self, failed: bool) -> list[Event] | None:  # noqa: FBT001 - one question
        """Return the events to deliver before the first events of an attempt; None to discard the attempt.

        Args:
            failed: True if the attempt failed before it brought content.
        """
        if failed and self._shown:
            # The answer is still the content that was delivered before.
            self._lost_usage = (self._hold.usage,)
            if self._hold.usage is not None:
                self._machine.accumulator.spend(self._hold.usage)
            return None
        machine, broken_by, self._broken_by = self._machine, self._broken_by, None
        shown, self._shown = self._shown, True
        if not shown:
            return []
        if self._mode == "resume":
            return [Resumed(dropped=machine.dropped)]
        if machine.seam is not None:
            return self._rules.announce(machine.seam, self._reports[-1].error)
        if broken_by is None:
            return []
        restarted = Restarted(machine.accumulator.message, broken_by)
        restarted.told_before = True
        if not self._aligns:
            return [restarted]
        machine.align(restarted)
        return []

    def _report(self, error: StreamError | None, now: float | None) -> AttemptReport:
        """Return a report on the current attempt; `now` is None while the attempt is running."""
        seam = self._machine.seam
        begun = self._begun_at or self._machine.meter.started_at
        return AttemptReport(
            number=self._number,
            mode=self._mode,
            error=error,
            wait=self._wait,
            seconds=None if now is None else max(0.0, now - begun),
            usage=self._usage,
            id=None if seam is None else seam.id,
            model=None if seam is None else seam.model,
            confidence=None if seam is None else seam.known_confidence,
        )

    @property
    def _usage(self) -> Usage | None:
        """The token counts of the current attempt."""
        if not self._hold.released:
            return self._hold.usage
        if self._lost_usage:
            return self._lost_usage[0]
        return self._machine.accumulator.own_usage


def _continuation_note(reports: list[AttemptReport]) -> str:
    """Return a note for the error of a failed continuation."""
    broken = next((report.error for report in reversed(reports) if report.mode != "continue"), None)
    return f"the request to continue the answer failed; before it, the answer had broken off ({broken})"


def _release_at_once(_: Event) -> bool:
    """Return True, so that events are released from the first event on."""
    return True


def _check_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise MisuseError(f"wait= returns a number of seconds, 0 or more, and not {value!r}")
    return float(value)

"""What is done about an answer that broke off: the decision, and all but the waiting."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tokenstream._backoff import clamp_reconnect, wait_before
from tokenstream._hold import Hold
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
from tokenstream.recovery._outcome import outcome_of, shows_but
from tokenstream.recovery._rules import ContinuationRules, note
from tokenstream.stream._attempts import Attempt, AttemptReport
from tokenstream.stream._said import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._renewable import RenewableMachine
    from tokenstream.events import Event
    from tokenstream.message import Usage
    from tokenstream.recovery._hedge import Contender
    from tokenstream.recovery._open import Opener
    from tokenstream.recovery._retry import Retry
    from tokenstream.sources import AsyncSource, Deferred
    from tokenstream.stream._attempts import AttemptMode
    from tokenstream.stream._continuation import Continuation
    from tokenstream.stream._driver import Driver

__all__ = ["Recovery"]


_LONGEST_WAIT = 60.0
"""The longest wait of our own, in seconds."""
_LONGEST_ASKED = 300.0
"""The longest wait that a server may ask for, in seconds; beyond it, asking again is given up."""


_NOT_HELD = frozenset({400, 404, 409, 410, 412, 416, 422})
"""Statuses that say of a request to resume that there is nothing to resume."""
_NO_CONTENT = 204
"""The status that says to an event source that there is nothing more."""


class _Plan(NamedTuple):
    """The next attempt."""

    mode: AttemptMode
    opener: Opener
    wait: float
    why: str | None = None
    stepped: bool = False
    """The attempt before it was refused for its prefix, and cost none."""


class Recovery:
    """Decides what is done about an answer that broke off, and makes the machine ready for it.

    It knows the machine and no driver, so that a stream which nobody holds is collected.

    Args:
        retry: What is asked again for.
        openers: What opens a source: the first one, and those to fall back on.
    """

    def __init__(self, retry: Retry, openers: tuple[Opener, ...]) -> None:
        self._retry = retry
        self._openers = openers
        for opener in openers:
            opener.prefills = retry.prefill
        self._at = 0
        """Which of them has opened the source last."""
        self._machine: RenewableMachine
        self._rules: ContinuationRules
        self._total: float | None = None
        self._started: float | None = None
        self._number = self._made = 1
        """The number of the attempt that goes on, and how many were made that cost one."""
        self._free = 0
        """Attempts that cost none."""
        self._mode: AttemptMode = "start"
        self._wait = 0.0
        self._begun_at = 0.0
        self._hold: Hold
        self._shown = False
        """Something of the answer was given: it cannot be asked for again without a word."""
        self._over = False
        self._lost_usage: tuple[Usage | None, ...] = ()
        """The token counts of an attempt that has given nothing of an answer that was shown."""
        self._broken_by: StreamError | None = None
        """What broke off the answer that was shown; None while none was, or it goes on."""
        self._asked: Continuation | None = None
        """What the attempt that goes on is to go on with; None where that is nothing."""
        self._aligns = retry.align
        self._until: Callable[[Event], bool] = shows_but(retry.outcomes)
        self._reports: list[AttemptReport] = []

    @property
    def attempts(self) -> tuple[AttemptReport, ...]:
        """The attempts so far, the one that goes on as the last."""
        reports = self._reports if self._over else [*self._reports, self._report(None, None)]
        return tuple(sorted(reports, key=lambda report: report.number))

    def begin(self, driver: Driver) -> Deferred:
        """Take over a driver that has read nothing, and return its first source.

        Args:
            driver: Drives the stream.
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
        """Open a source, and another one where it shows nothing for a while; return the one that shows.

        Args:
            opens: Opens the first one.
            attempt: What the first one asks for.
            clock: Where the time comes from, in seconds.
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
        """Report the attempt that has lost, and what it has cost; a provider may have gone on with it."""
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
        """Return the source that goes on, or None where the stream ends here.

        Args:
            cause: Why the input broke off; None where it ended cleanly, or the error is the machine's.
            now: A clock reading, in seconds.
        """
        error = None if self._machine.differs else self._find_error(cause, now)
        if error is None:
            return None
        plan = self._plan(error, now)
        if plan is None:
            # What was kept for going on is ended now.
            self._machine.finish(cause, now)
            if self._asked is not None and not self._hold.released:
                note(error, _told_before(self._reports))
            if isinstance(error, PositionLost):
                self._machine.error = error
            return None
        return self._go_on(plan, error, now)

    def settle(self, error: Exception | None, now: float) -> None:
        """Take the end of the last attempt.

        Args:
            error: What the stream ends with; None where nothing is wrong.
            now: A clock reading, in seconds.
        """
        if not self._over:
            failed = error if isinstance(error, StreamError) and not self._machine.doubtful else None
            self._reports.append(self._report(failed, now))
            self._over = True

    def _find_error(self, cause: StreamError | None, now: float) -> StreamError | None:
        """Return what is wrong with the answer as its input ends, or has failed; None where nothing is."""
        machine = self._machine
        if machine.answered and not machine.refused and machine.error is None and cause is None:
            # Its terminal event came; the connection's own end may still be read.
            return self._outcome()
        if machine.error is None and self._position is not None:
            error = machine.cut_short(cause)
            if error is not None:
                return self._resume_refused(error)
        machine.finish(cause, now)
        return self._outcome() if machine.error is None else self._resume_refused(machine.error)

    def _resume_refused(self, error: StreamError) -> StreamError:
        """Return what it means that a server has not gone on from a position, or the error as it is."""
        if self._mode != "resume" or self._hold.released:
            return error
        status = self._machine.status
        if not isinstance(error, StatusError) and status != _NO_CONTENT:
            return error
        if isinstance(error, StatusError) and (error.retryable or error.status not in _NOT_HELD):
            return error
        lost = PositionLost(f"the server does not go on from the position that it was told ({error})")
        lost.__cause__ = error
        return lost

    def _outcome(self) -> StreamError | None:
        if not self._retry.outcomes or self._hold.released or self._shown:
            return None
        events = (*self._hold.held, *self._machine.left)
        return outcome_of(events, self._retry.outcomes)

    def _plan(self, error: StreamError, now: float) -> _Plan | None:
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
                note(error, f"the answer was not continued: {why}")
            return None
        further = self._goes_further(mode)
        # What cannot succeed there may succeed with somebody else, or by another request.
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
        """Tell whether an error refuses the request to continue the answer."""
        return self._asked is not None and not self._hold.released and is_bad_request(error)

    def _step_down(self, error: StreamError) -> bool:
        """Send no prefix any more where one was refused, and tell whether that is so."""
        opener = self._openers[self._at]
        if self._asked is None or self._asked.prefix is None or self._hold.released:
            return False
        known = refuses_prefill(error)
        if not (known or is_bad_request(error)):
            return False
        opener.refuse_prefix(known=known)
        return opener.prefix(self._machine.accumulator.message) is None

    def _goes_further(self, mode: AttemptMode) -> bool:
        """Tell whether the next attempt is made with the next of those to fall back on."""
        if self._at + 1 == len(self._openers) or mode == "resume":
            return False
        # Who opens the next one knows of continuing where it was asked for by name.
        return mode == "restart" or (self._retry.mode == "continue" and self._openers[self._at + 1].resumes)

    def _choose_mode(self, error: StreamError, *, stepped: bool) -> tuple[AttemptMode | None, str | None]:
        """Return how to go on, None where there is no way; and why the answer is not continued.

        Args:
            error: What ended the attempt.
            stepped: Whether a prefix was refused, and another request can be made.
        """
        mode = self._retry.mode
        if not self._shown:
            # Nothing was shown: whoever reads sees one answer in any case.
            return "resume" if mode == "resume" and self._may_resume(error) else "restart", None
        if mode == "restart":
            return "restart", None
        if mode != "continue" and self._may_resume(error):
            return "resume", None
        opener = self._openers[self._at]
        if mode == "resume" or not (mode == "continue" or opener.builds):
            # Who opens the source may not know of any other way than to ask from zero.
            return None, None
        why = self._rules.why_not(error, opener)
        if self._was_refused(error) and not stepped:
            why = "the server refuses the request to continue it"
        if why is None:
            return "continue", None
        return "restart" if mode == "continue" else None, why

    def _may_resume(self, error: StreamError) -> bool:
        # What the provider itself has ended is over, and so is a position that it no longer holds.
        return self._position is not None and not isinstance(error, ProviderError | PositionLost)

    @property
    def _position(self) -> int | str | None:
        """The position from which the server can replay; None where it cannot."""
        opener, machine = self._openers[self._at], self._machine
        if self._retry.mode in ("restart", "continue") or not opener.resumes:
            return None
        if machine.continued or self._asked is not None:
            # A continuation has positions of its own, and none of them is one of the answer's.
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
        """Return the seconds to wait; None where the server asks for more than is of use."""
        told = self._machine.reconnect_after if mode == "resume" else None
        if told is not None and error.retry_after is None:
            return clamp_reconnect(told)
        initial = self._retry.wait
        return wait_before(
            self._made + 1,
            error=error,
            initial=0.0 if callable(initial) else initial,
            maximum=_LONGEST_WAIT,
            random=random.random(),  # noqa: S311 - no secret
            maximum_asked=_LONGEST_ASKED,
        )

    # -- going on ----------------------------------------------------------

    def _go_on(self, plan: _Plan, error: StreamError, now: float) -> Deferred | None:
        machine, retry = self._machine, self._retry
        ending: Any = "failed" if isinstance(error, ProviderError) else "truncated"
        machine.describe(error, ending)
        position = self._position if plan.mode == "resume" else None
        asked = self._rules.turns(plan.opener) if plan.mode == "continue" else None
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
            attempt = replace(attempt, wait=_seconds(retry.wait(attempt)))
        if retry.on_retry is not None:
            retry.on_retry(attempt)
        if self._over:
            # That has stopped the stream.
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
        seam = None if asked is None else self._rules.seam(asked)
        until = _at_once if self._shown and kept is not None else self._until
        self._hold = Hold(until if seam is None else seam.decides, self._announce)
        if kept is None:
            machine.wanted = plan.opener.format
        machine.renew(self._hold, now, kept=kept, seam=seam)
        return replace(plan.opener.deferred(attempt), begins=False, wait=attempt.wait)

    def _end_at_limit(self, error: StreamError, now: float) -> None:
        """End the answer, since its request allows no more of it."""
        self._reports.append(self._report(error, now))
        self._over = True
        self._machine.end_at_limit(now)

    def _settle_usage(self, mode: AttemptMode) -> None:
        """Count what an attempt has cost that is given up, and that the message does not have."""
        hold = self._hold
        if mode != "resume" and not hold.released and hold.held:
            self._machine.accumulator.spend(hold.usage)

    def _announce(self, failed: bool) -> list[Event] | None:  # noqa: FBT001 - one question
        """Return what comes before the first events of an attempt; None where it leaves no trace.

        Args:
            failed: Whether it has failed before anything showed.
        """
        if failed and self._shown:
            # What was shown before stays what there is of the answer.
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
            return self._rules.announced(machine.seam, self._reports[-1].error)
        if broken_by is None:
            return []
        restarted = Restarted(machine.accumulator.message, broken_by)
        restarted.told_before = True
        if not self._aligns:
            return [restarted]
        machine.align(restarted)
        return []

    def _report(self, error: StreamError | None, now: float | None) -> AttemptReport:
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
        """The token counts of the attempt that goes on."""
        if not self._hold.released:
            return self._hold.usage
        if self._lost_usage:
            return self._lost_usage[0]
        return self._machine.accumulator.own_usage


def _told_before(reports: list[AttemptReport]) -> str:
    """Return what is told with the error of a request to continue an answer."""
    broken = next((report.error for report in reversed(reports) if report.mode != "continue"), None)
    return f"this came of the request to continue the answer, which had broken off ({broken})"


def _at_once(_: Event) -> bool:
    """Hold nothing back behind the first event."""
    return True


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise MisuseError(f"wait= returns a number of seconds, 0 or more, and not {value!r}")
    return float(value)

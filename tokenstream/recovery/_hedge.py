"""Hedging: a second attempt begins while the first brings nothing, they race, and one of them wins."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._basics.kept_errors import FunctionFailed, forget_frames
from tokenstream._pipeline.joining import is_visible
from tokenstream._pipeline.machine import Machine
from tokenstream._sources.causes import find_foreign
from tokenstream._sources.failures import reading_error
from tokenstream.errors import StreamError
from tokenstream.recovery._estimates import estimate_attempt, is_counted
from tokenstream.stream._attempts import AttemptReport
from tokenstream.stream._log import inform
from tokenstream.stream._opening import prepare_machine
from tokenstream.stream._prices import find_bill
from tokenstream.stream._reading.items import LEAST_WAIT
from tokenstream.stream._reading.reader import CLOSING_SECONDS, raise_only, run_until_cancelled
from tokenstream.stream._reading.silence import Silence, give_way

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio import CancelScope
    from anyio.abc import TaskGroup

    from tokenstream._basics.loose import Action
    from tokenstream._sources.kinds import AsyncSource
    from tokenstream.errors import MisuseError
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.recovery._current import CurrentAttempt
    from tokenstream.recovery._open import SourceOpener
    from tokenstream.stream._attempts import Attempt
    from tokenstream.stream._protocols import Clock


_SECOND = 2


async def run_race(
    current: CurrentAttempt,
    deadlines: Deadlines,
    open_first: Any,  # noqa: ANN401 - an awaitable's
    attempt: Attempt,
    clock: Clock,
) -> AsyncSource:
    """Open a source, and if that brings no content for a while, a second one beside it; return the winner."""
    itinerary, within, machine = current.request.itinerary, current.request.retry.within, current.machine
    openers, after, began_at = itinerary.openers, itinerary.hedge_after or 0.0, clock()
    rival = itinerary.find_rival(began_at + after)
    if rival is None or (within is not None and after > within):
        # No second attempt is allowed, or none so late, so it never begins; the first opener stands in for
        # its opener.
        rival, after = 0, math.inf
    opener, other = openers[0], openers[rival]
    if other is not opener:
        other.succeed(opener)
    hedge = replace(attempt, number=_SECOND, mode="hedge", route=itinerary.names[rival])
    first = Contender(open_first, opener, machine.limits, deadlines, clock)
    second_source: Any = other.lazy(hedge)

    def open_second() -> Awaitable[AsyncSource]:
        words = "hedge to %s after %.1f s: the first attempt has brought no content"
        inform(words, other.name, after, of=machine)
        return second_source.open()  # type: ignore[no-any-return] # an awaitable

    second = Contender(open_second, other, machine.limits, deadlines, clock)
    run = Race(current, (first, second), hedge, rival, began_at)
    current.begin_race(run)
    winner = await race(first, second, after, run.settle)
    current.end_race()
    if winner is second and other is not opener:
        # Another provider's answer may be in another format.
        machine.link.expect_format(other.format, itinerary.stage_of(other))
        machine.link.connect()
    current.begin_route(rival if winner is second else 0, None)
    first.machine.dispose()
    second.machine.dispose()
    return winner.make_source()


class Race:
    """The first two attempts, which run side by side; both have a report, even if the race is left."""

    def __init__(
        self,
        current: CurrentAttempt,
        contenders: tuple[Contender, Contender],
        hedge: Attempt,
        rival: int,
        began_at: float,
    ) -> None:
        self._current, self._request, self._rival = current, current.request, rival
        self._first, self._second = contenders
        self._hedge = replace(hedge, wait=self._request.itinerary.hedge_after or 0.0)
        self._began_at = began_at

    @property
    def reports(self) -> list[AttemptReport]:
        """The report on the second attempt while the race runs; empty if its request was not sent."""
        return [self._report(second_won=False)] if _SECOND in self._request.sent else []

    def settle(self, winner: Contender | None = None) -> None:
        """Keep a report on the loser, and make the winner, by default the first, the current attempt."""
        current, itinerary = self._current, self._request.itinerary
        if current.race is not self or _SECOND not in self._request.sent:
            # It is settled, or the second request was not sent (yet).
            return
        second_won = winner is self._second
        itinerary.note_attempt(self._rival, self._began_at + self._hedge.wait)
        loser, opener_index = (self._first, 0) if second_won else (self._second, self._rival)
        report = self._report(second_won=second_won)
        self._request.end_race(self._hedge if second_won else None, self._began_at)
        current.end_race(report)
        error, route = report.error, itinerary.openers[opener_index].route
        if error is not None:
            if route is not None:
                route.health.note_failure(error, loser.over_at)
            if not error.retryable and self._rival != 0:
                # An opener of both attempts is not skipped, because it may have served the winner.
                itinerary.skipped.add(opener_index)
        # It is a minimum: the provider may have gone on writing.
        usage = loser.machine.accumulator.own_usage
        current.machine.accumulator.spend(usage.model_copy(update={"basis": "partial"}))

    def _report(self, *, second_won: bool) -> AttemptReport:
        """Return a report on the loser, with the number and the times of its own attempt."""
        loser, index, attempt = self._second, self._rival, self._hedge
        begun_at = self._began_at + attempt.wait
        started_at = self._current.machine.meter.started_at
        if second_won:
            loser, index, attempt, begun_at = self._first, 0, self._request.attempt, started_at
        opener = self._request.itinerary.openers[index]
        if loser.error is not None:
            forget_frames(loser.error)
        usage, message = loser.machine.accumulator.own_usage, loser.machine.accumulator.message
        # Without an error, the loser was only slower.
        error = loser.error if isinstance(loser.error, StreamError) else None
        if not is_counted(usage, error):
            usage = estimate_attempt(usage, 0, opener)
        return AttemptReport(
            kind="attempt" if second_won else "hedge",
            error=error,
            usage=usage,
            id=message.id,
            model=message.model,
            _bill=find_bill(opener, usage, opener.price.of(usage)),
            **self._request.itinerary.describe(
                attempt, index, loser.machine.link.format, (started_at, begun_at, loser.over_at)
            ),
        )


class Contender:
    """An attempt in a race, which reads its source up to the first content, and keeps the chunks."""

    def __init__(
        self,
        open_source: Callable[[], Awaitable[AsyncSource]],
        opener: SourceOpener,
        limits: Limits | None,
        deadlines: Deadlines,
        clock: Clock,
    ) -> None:
        self._open_source = open_source
        self._clock = clock
        self.machine = Machine(opener.format, limits=limits)
        """Decodes the chunks up to the first content; the stream decodes them again."""
        # The total is over all attempts, so the stream keeps it.
        own = give_way(replace(opener.deadlines or deadlines, total=None), opener.patience)
        self._silence = Silence(own, self.machine)
        self._source: AsyncSource | None = None
        self._chunks: deque[Any] = deque()
        self._error: Exception | None = None
        """The exception that ended the reading here; the stream gets it after the chunks."""
        self.begun = False
        self.has_content = False
        self.ended_at: float | None = None
        """The clock reading at which the attempt brought content or failed; None before that."""

    def begin(self, tasks: TaskGroup, on_end: Action) -> None:
        self.begun = True
        tasks.start_soon(run_until_cancelled, partial(self._run, on_end))

    async def _run(self, on_end: Action) -> None:
        """Read until content arrives, a deadline passes or the attempt fails, then call `on_end`."""
        from anyio import CancelScope

        self.machine.meter.begin(self._clock(), wrapped=False)
        with CancelScope() as scope:
            await self._read(scope)
        if scope.cancelled_caught:
            self._error = self._silence.next_error
        self.ended_at = self._clock()
        on_end()

    async def _read(self, scope: CancelScope) -> None:
        """Read until content arrives or the attempt fails, or until the scope ends it at a deadline."""
        try:
            self._set_deadline(scope)
            source = self._source = await self._open_source()
            self._silence.allow(source.patience)
            prepare_machine(self.machine, source)
            # An error in the chunks ends the attempt here; the stream finds it again in the same chunks.
            while not self.has_content and self.machine.intake.error is None:
                self._set_deadline(scope)
                chunk = await source.next_chunk()
                self._chunks.append(chunk)
                self.machine.intake.push(chunk, now=self._clock())
                self._look_for_content()
        except StopAsyncIteration as end:
            self._error = end
            # Only the end of the input shows if the answer is complete.
            self.machine.intake.finish(None, now=self._clock())
            self._look_for_content()
        except Exception as error:  # noqa: BLE001 - raised when the stream reads that far
            self._error = error

    def _set_deadline(self, scope: CancelScope) -> None:
        from anyio import current_time

        now = self._silence.since = self._clock()
        until = self._silence.deadline
        seconds = math.inf if until is None else max(until - now, LEAST_WAIT)
        scope.deadline = current_time() + seconds

    def _look_for_content(self) -> None:
        while not self.has_content and (event := self.machine.way.pull()) is not None:
            self.has_content = is_visible(event)

    @property
    def error(self) -> StreamError | MisuseError | None:
        """The error with which the attempt failed before it brought content; None if it did not fail."""
        if self.machine.intake.error is not None or self._error is None:
            return self.machine.intake.error
        if isinstance(self._error, StopAsyncIteration):
            # The answer is complete, although it has no content.
            return None
        foreign = find_foreign(self._error)
        if foreign is not None:
            return FunctionFailed(foreign)
        return reading_error(self._error, read_deadlines=None, begun=False)

    def make_source(self) -> AsyncSource:
        source = self._source
        if source is None:
            raise self._error or RuntimeError("the attempt was not begun")
        # A replay is read like any other source, even if its own source never waits.
        return replace(source, chunks=_PrependedChunks(self._chunks, source, self._error), instant=False)

    @property
    def over_at(self) -> float:
        return self._clock() if self.ended_at is None else self.ended_at

    async def close(self) -> None:
        from anyio import move_on_after

        source, self._source = self._source, None
        if source is not None:
            with move_on_after(CLOSING_SECONDS, shield=True):
                await source.close()


class _PrependedChunks:
    """Iterator over the chunks that were already read, then over the rest, or the error instead of it."""

    def __init__(self, chunks: deque[Any], source: AsyncSource, error: Exception | None) -> None:
        self._chunks = chunks
        self._unread = source.chunks
        self._error = error

    def __aiter__(self) -> _PrependedChunks:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - bytes, or a payload
        if self._chunks:
            return self._chunks.popleft()
        if self._error is not None:
            raise self._error
        return await self._unread.__anext__()


async def race(
    first: Contender, second: Contender, after: float, settle: Callable[[Contender | None], object]
) -> Contender:
    """Return the attempt that brings content earlier, and close the other attempt.

    The second begins if the first brings no content for `after` seconds. If neither does, the winner is
    the first attempt, unless only the first has failed.
    """
    winner: Contender | None = None
    try:
        winner = await _run_race(first, second, after)
        return winner
    finally:
        # If the race is cancelled, there is no winner, and both attempts are closed.
        settle(winner)
        for contender in (first, second):
            if contender is not winner:
                await contender.close()
            if winner is None:
                contender.machine.dispose()


async def _run_race(first: Contender, second: Contender, after: float) -> Contender:
    """Run both attempts until one brings content, the first if both do, or neither can; return the winner."""
    from anyio import Event, create_task_group, move_on_after

    try:
        async with create_task_group() as tasks:
            decided = Event()

            def check_decided() -> None:
                """Set `decided` once an attempt has content, or all that began have ended without any."""
                second_runs = second.begun and second.ended_at is None
                neither_can_win = first.ended_at is not None and not second_runs
                if first.has_content or second.has_content or neither_can_win:
                    decided.set()

            first.begin(tasks, check_decided)
            with move_on_after(after):
                await decided.wait()
            if not decided.is_set():
                second.begin(tasks, check_decided)
                await decided.wait()
            # The loser stops reading; `race` closes its source.
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        # A single error is raised itself, without the task group's exception group around it.
        raise_only(errors)
    if first.has_content or not second.begun:
        return first
    # Without content, an attempt that has failed loses to one that has not.
    second_is_better = second.has_content or (first.error is not None and second.error is None)
    return second if second_is_better else first

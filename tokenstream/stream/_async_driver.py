"""The driver for `async for` loops, on asyncio and trio.

The *machine* turns chunks into events; its `shortcut` is a fast path for most chunks. The
*pump* reads the source, in a separate task if possible.
"""

from __future__ import annotations

import math
import sys
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.kept_errors import raised_anew
from tokenstream._sources.kinds import AsyncSource, LazySource
from tokenstream.errors import MisuseError, PurseUnavailable
from tokenstream.formats._endings import CLOSED
from tokenstream.stream._cancelling import send
from tokenstream.stream._driver import Driver
from tokenstream.stream._opening import First, has_begun
from tokenstream.stream._reading.async_pump import AsyncPump
from tokenstream.stream._reading.items import END, NOTHING, WAITED, ArrivalBell, TimedItem
from tokenstream.stream._refusals import concurrent_read_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    from tokenstream.events import Event
    from tokenstream.stages._guards.asked import AnswerRule
    from tokenstream.stream._awaited_guards import AwaitedGuards
    from tokenstream.stream._options import Options


class AsyncDriver(Driver):
    """Drives a stream in the event loop that asks for its events."""

    block = "async with"  # described in `Driver`, as are the next three
    exhausted = StopAsyncIteration
    name = "AsyncStream"
    prepares_each_read = True

    def __init__(self, source: AsyncSource | LazySource, options: Options) -> None:
        try:
            super().__init__(options)
        except BaseException:
            # Nobody else can await the request. Discard it, or Python warns that it was never awaited.
            if isinstance(source, LazySource):
                source.discard()
            raise
        self._booking: Any = None
        """The amount that the next read reserves in a purse first; None for nothing."""
        self._waited = 0.0
        """Seconds for which reads without a task have waited in vain since the last item."""
        self._next_source: LazySource | None = None
        """The source to read once the previous one is closed; None if no other source is planned."""
        self.awaited_guards: AwaitedGuards | None = None
        """The guards that have to be awaited; None if the stream has none."""
        self.pump: AsyncPump = AsyncPump(source, self.clock)
        if self.pump.source is not None:
            self.open(self.pump.source)

    # -- reading -----------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        if self.verdict.error_due is None:
            self.check_events_left()
        return self

    @overload
    async def next_event(self) -> Event: ...
    @overload
    async def next_event(self, until: float | None, *, pauses: bool) -> Event | None: ...
    # Not keyword-only, as Python looks up the default of such a parameter in a dict for each call.
    async def next_event(self, until: float | None = None, pauses: bool = False) -> Event | None:  # noqa: C901, FBT001, FBT002 - what runs for every token
        """Return the next event; raise the stream's error or StopAsyncIteration at the end."""
        pump, intake = self.pump, self.machine.intake
        if pump.busy:
            raise concurrent_read_error()
        try:
            # While there is a fast path, no event is left from an earlier chunk.
            event, fast_path = None, intake.shortcut
            if fast_path is None:
                event = self.machine.way.pull()
            elif intake.now < self.earliest_deadline and (until is None or self.clock() < until):
                # Most chunks take this path. It does the same as `_advance`, without the cost of its calls.
                item, reader = next(pump.batch, None), pump.reader
                if (
                    item is None
                    and reader is not None
                    and (arrival := reader.begin_steady_wait(self.earliest_deadline, until)) is not None
                ):
                    pump.busy = True
                    try:
                        await arrival
                    finally:
                        pump.busy = False
                    item = reader.take_sole_item() or pump.take_first()
                    fast_path = intake.shortcut  # None if the stream was stopped during the wait
                if item is not None:
                    now, chunk = item
                    if fast_path is not None and chunk.__class__ is self.machine.link.unit:
                        event = fast_path(chunk, now)
                        if event is not None:
                            return event
                    else:
                        event = self.process_item(chunk, now)
                    event = event or self.machine.way.pull()
            while event is None and (until is None or self.clock() < until):
                event = await self._advance(until, pauses=pauses) or self.machine.way.pull()
                if pauses and intake.state == "resting" and not self.machine.way.waits:
                    break
        except MisuseError:
            await self._close_misused()
            raise
        except (ValueError, StopIteration) as error:  # from the machine's generator of events
            raise await self._explain(error) from None
        return event

    __anext__ = next_event

    def step(self) -> Coroutine[Any, Any, Event]:
        """Return the next event for a view; after the end, raise the stream's error each time."""
        return self._step_after_end() if self.has_ended else self.__anext__()

    def step_until(self, until: float | None, *, pauses: bool = False) -> Coroutine[Any, Any, Event | None]:
        """Return the next event for a view, or None if none has arrived by the time `until`.

        If the view `pauses`, it also gets None once only the rest of the connection is left to be read.
        """
        return self._step_after_end() if self.has_ended else self.next_event(until, pauses=pauses)

    async def step_now(self) -> Event | None:
        """Return the next event if it has already arrived, otherwise None."""
        if self.has_ended:
            return await self._step_after_end()
        return self.poll_fast() or await self._step(self._advance_now)

    def poll(self, bell: ArrivalBell) -> Coroutine[Any, Any, Event | None]:
        """Return the next event, or None if none has arrived; `bell` wakes the loop over several streams."""
        if self.verdict.end_request is not None:
            # `stop` or `close` was called, perhaps in another thread; the events that are left follow.
            self.end()
        # An awaited guard decides later, so the bell is needed even if no read of the source ever waits.
        if self.pump.listen(bell, even_if_instant=self.awaited_guards is not None):
            return self._step(partial(self._advance_without_waiting, bell))
        # The bell will not ring: the source never waits, is closed, or can no longer be given to a task.
        return self.__anext__()

    @property
    def waits_in_time(self) -> bool:
        """True if a read can stop waiting at a given time without losing anything."""
        return self.has_ended or self.pump.waits_in_time

    async def open_now(self) -> None:
        # A failed attempt may be retried with another source; after a final error, nothing is read.
        while self.is_unopened and self.machine.intake.state == "reading":
            if self._next_source is not None:
                await self._replace_ended_source(self._next_source)
            now, item = await self.next_item()
            self.process_item(item, now)

    async def wait_open(self, first: First) -> None:
        """Read until the head or the first event, which a loop still gets; raise the answer's error."""
        while not has_begun(self, first):
            try:
                event = await self._step(self._advance)
            except StopAsyncIteration:
                break
            if event is not None:
                self.machine.way.give_again(event)
                return
        if self.has_ended and self.error is not None:
            raise raised_anew(self.error)

    async def _advance_now(self) -> Event | None:
        """Read a chunk that has already arrived; return its event, or None if there is no chunk or event."""
        if self.machine.intake.state == "sliced":
            self.pass_slice()
            return None
        if self._next_source is not None or not self.prepare_read():
            return None
        item = await self._take_arrived()
        return None if item is None else self.process_item(item[1], item[0])  # a chunk, and its time

    def poll_fast(self) -> Event | None:
        """Return the next event if the machine's fast path produces it; after None, try `poll`."""
        intake, pump = self.machine.intake, self.pump
        fast_path = intake.shortcut
        # `poll` checks deadlines, refuses a second read, and waits for guards.
        if fast_path is None or intake.now >= self.earliest_deadline or pump.busy or self.awaited_guards:
            return None
        item = next(pump.batch, None) or pump.take_new_item()
        if item is None:
            return None
        now, chunk = item
        # An item of another class than the machine's unit (bytes, or str for text) is no ordinary chunk.
        return (
            fast_path(chunk, now)
            if chunk.__class__ is self.machine.link.unit
            else self.process_item(chunk, now)
        )

    async def _advance_without_waiting(self, bell: ArrivalBell) -> Event | None:
        """Take arrived chunks until one produces an event; return it, or None: then the task sets `bell`."""
        pump, event = self.pump, None
        while event is None and not self._waits_for_guards:
            if self.machine.intake.state == "sliced":
                self.pass_slice()
            elif not self.prepare_read():
                if not pump.release():  # the reading task has to close the source before the end
                    break
                event = await self._advance()
            elif self._next_source is not None:
                if not pump.release():  # the reading task has to close the previous source first
                    break
                await self._replace_ended_source(self._next_source)
                self.begin_polling(bell)
            elif self._booking is not None:
                await self._book(self._booking)
            else:
                item = pump.take_item()
                if item is None:
                    break
                event = self.process_item(item[1], item[0])  # a pair: the time of its arrival, the item
            event = event or self.machine.way.pull()
        return event

    def begin_polling(self, bell: ArrivalBell) -> None:
        """Begin to read for a loop over several streams.

        For a source that never waits, `bell` is set only if the stream has guards that are awaited.
        """
        if not self.has_ended and not self.pump.begun:
            self._begin()
            self.pump.listen(bell, even_if_instant=self.awaited_guards is not None)

    def idle_until(self, since: float) -> float | None:
        """Return the time at which a deadline passes if nothing has arrived `since`; None for no deadline."""
        if self._waits_for_guards:
            return self.deadline  # that of a guard, too
        has_input_ended = self.machine.intake.state in CLOSED or self.has_ended
        if has_input_ended or self._next_source is not None:
            return None  # no source is being read, so nothing can be late
        return self.find_read_limit(self.pump.since or since)  # the former: the start of a read in progress

    def expire(self) -> None:
        """Apply the deadlines; called if nothing has arrived by the time that `idle_until` returned."""
        if self._waits_for_guards:
            self._check_deadlines(self.clock())  # of the guards; the source is not being read
        else:
            self.process_item(WAITED, self.clock())

    def finish_polling(self) -> bool:
        """End the reading task; return True if chunks that it has already read can still be taken."""
        self.pump.release()
        return self.pump.has_task and self._next_source is None  # a new source has nothing to take yet

    @property
    def _waits_for_guards(self) -> bool:
        """True if every held-back event waits for the verdict of a guard."""
        return self.awaited_guards is not None and self.machine.way.waits

    async def _step_after_end(self) -> Event:
        """Raise the stream's error, or end the loop."""
        self.machine.way.pull_stopped()  # views deliver no `Stopped` event of a guard
        await self.close_source(quiet=True)
        if self.error is not None:
            raise raised_anew(self.error)
        raise StopAsyncIteration

    async def _step(self, advance: Callable[[], Awaitable[Event | None]]) -> Event | None:
        """Return the next event; None if the chunk that `advance` has read has produced none."""
        if self.pump.busy:
            raise concurrent_read_error()
        try:
            event = self.machine.way.pull()  # may be left from an earlier chunk
            if event is None:
                event = await advance() or self.machine.way.pull()
        except MisuseError:
            await self._close_misused()
            raise
        except (ValueError, StopIteration) as error:  # from the machine's generator of events
            raise await self._explain(error) from None
        return event

    # -- ending ------------------------------------------------------------

    @property
    def is_unopened(self) -> bool:
        """True if the source, or the one that will replace it, still has to be opened."""
        return self.pump.lazy is not None or self._next_source is not None

    @property
    def closed(self) -> bool:
        return self.pump.closed or (self.has_ended and self.pump.has_ended)  # the latter after `stop`

    def stop(self, reason: str | None = None) -> None:
        self.verdict.request_end(reason or "stop")
        self.pump.call_soon(self.end)

    def add_awaitable_guard(self, rule: AnswerRule, *, awaited: bool) -> None:
        """Let a guard's function be awaited in separate tasks, if it is `awaited` or returns awaitables."""
        from tokenstream.stream._awaited_guards import AwaitedGuards

        if self.awaited_guards is None:
            self.awaited_guards = AwaitedGuards(self.machine, self.pump)
        self.awaited_guards.add(rule, awaited=awaited)

    def end(self) -> None:
        """Stop the stream; must be called in the thread of the event loop."""
        if self.awaited_guards is not None:
            self.awaited_guards.cancel()
        if not self.has_ended:
            try:
                self.cut_short("stopped", self.verdict.end_request)
            finally:
                self.pump.stop()

    async def close(self, *, failed: bool = False) -> None:
        """Close the source; with `failed`, neither replace nor delay the error that is being raised."""
        self.record_closing()
        try:
            self.cut_short("stopped", "closed")
            if self.awaited_guards is not None:
                await self.awaited_guards.close()
        except BaseException:
            await self.close_source(failed=True)
            raise
        await self.close_source(failed=failed)

    async def close_source(self, *, failed: bool = False, quiet: bool = False) -> None:
        """Close the source, if no other caller has; a second caller waits until the source is closed.

        With `quiet`, an error of closing is logged instead of raised, because the caller did not ask to
        close.
        """
        try:
            error = await self.pump.close(failed=failed)
            if (cancelling := self.take_cancelling()) is not None:
                await send(cancelling, self)
        finally:
            if (booking := self.take_booking()) is not None:
                await booking.make_async()
        if error is not None:
            if is_of_signal(error) or not (failed or quiet):
                raise error
            self.note_unclosed(error, failed=failed)

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        """Warn about a stream that was dropped unclosed, and give up its source without waiting."""
        if is_finalizing():
            # The interpreter is exiting: modules are already gone, and the process closes the connection.
            return
        pump = getattr(self, "pump", None)
        if pump is None:
            return  # the constructor failed
        # A source that is lent is closed by another object.
        is_lent = pump.source is not None and pump.source.lent
        try:
            if pump.unclosed and not is_lent:
                warnings.warn(
                    f"{self!r} was never closed: use `async with`", ResourceWarning, source=self, stacklevel=2
                )
        finally:
            # In `finally`, because warnings may be turned into errors.
            if not is_lent:
                pump.abandon()
            self.machine.dispose()

    # -- within ------------------------------------------------------------

    async def _advance(self, until: float | None = None, *, pauses: bool = False) -> Event | None:
        """Read a chunk, but at a pause none of the rest; return an event of the fast path, else None.

        At the end of the stream, this raises the stream's error or StopAsyncIteration.
        """
        if self.awaited_guards is not None and self.machine.way.waits:
            await self._await_guards(self.awaited_guards, until)
            return None
        if self.machine.intake.state == "sliced":
            await self._pass_slice()
            return None
        if self.prepare_read():
            if pauses and self.machine.intake.state == "resting":
                return None
            if self._next_source is not None:
                await self._replace_ended_source(self._next_source)
            if self._booking is not None:
                await self._book(self._booking)
                return None
            # A pair: the time of its arrival, and a chunk or the like.
            item = next(self.pump.batch, None) or await self.next_item(until)
            return self.process_item(item[1], item[0])
        # Nothing is left to read.
        had_ended = self.has_ended
        are_events_left = not had_ended and self.conclude()
        # The caller pulls the events that `conclude` has released, or the `Stopped` event of a guard.
        if are_events_left or self.machine.way.stopped_event is not None:
            return None
        if not had_ended:
            self.verdict.error_due = self.error  # if the closing is cancelled, the next read raises it
        await self.close_source(failed=self.verdict.error_due is not None, quiet=True)
        # The loop raises the error once; a later read only ends the loop.
        error, self.verdict.error_due = self.verdict.error_due, None
        if error is not None:
            raise raised_anew(error)
        raise StopAsyncIteration

    async def _pass_slice(self) -> None:
        """Apply the deadlines between two slices of a compressed chunk, and let other tasks run."""
        from anyio.lowlevel import checkpoint

        self.pump.busy = True
        try:
            await checkpoint()
        finally:
            self.pump.busy = False
        if self.machine.intake.state == "sliced":
            self.pass_slice()

    async def _await_guards(self, guards: AwaitedGuards, until: float | None) -> None:
        """Wait for the verdict of a guard on which every held-back event depends, or until a deadline."""
        until = min((limit for limit in (self.deadline, until) if limit is not None), default=None)
        with self.pump.hold():
            await guards.wait(None if until is None else max(until - self.clock(), 0.0))
        if self.machine.way.waits and not self.has_ended:
            self._check_deadlines(self.clock())

    def book(self, booking: Any) -> None:  # noqa: ANN401 - a `Booking`
        self._booking = booking  # the next read makes it, in a thread

    async def _book(self, booking: Any) -> None:  # noqa: ANN401 - a `Booking`
        """Reserve more in a purse, unless the stream was stopped; a cancelled call is repeated."""
        with self.pump.hold():
            try:
                self.note_booked(await booking.make_async())
            except PurseUnavailable as error:
                self._booking = None
                self.fail_booking(error)
        self._booking = None

    async def _replace_ended_source(self, source: LazySource) -> None:
        """Close the source that has ended, and go on with `source`, unless the stream was stopped."""
        await self.close_source(failed=True)  # an error of the closing must not prevent the next attempt
        if not self.has_ended:
            self.pump.replace(source)
        self._next_source = None

    def release_source(self) -> None:
        self.pump.stop()  # this asks the reading task to close the source

    def replace_source(self, source: LazySource) -> None:
        self._next_source = source  # the next read closes the current source first

    async def next_item(self, until: float | None = None, *, timed: bool = True) -> TimedItem:
        """Return the next item from the source, with the time of its arrival; `END` after a stop."""
        pump = self.pump
        if pump.busy:
            raise concurrent_read_error()
        if self.verdict.end_request is not None:
            self.end()  # another thread called `stop`, and the event loop has not run its callback yet
        if self.has_ended:
            return 0.0, END
        pump.busy = True
        try:
            if not pump.begun:
                self._begin()
            item = pump.take_item()
            began = self.clock()
            if item is None and not timed:
                item = await pump.read(until)
            elif item is None:
                since = pump.since if pump.has_task else began - self._waited
                item = await self._wait_steadily(until) or await pump.read(
                    self.find_read_limit(since, until), steady_deadline=self._steady_deadline
                )
            self._waited = self._waited + self.clock() - began if item[1] is WAITED else 0.0
        finally:
            pump.busy = False
        return item

    async def _wait_steadily(self, until: float | None) -> TimedItem | None:
        """Wait for the next item, or `NOTHING` at `until`, with an earlier timer; None for `pump.read`."""
        limit = (
            self.machine.way.guarded_until if until is None else min(until, self.machine.way.guarded_until)
        )
        pump, reader = self.pump, self.pump.reader
        arrival = None if reader is None else reader.begin_steady_wait(self._steady_deadline, limit)
        if reader is None or arrival is None:
            return None
        await arrival
        item = reader.take_sole_item() or pump.take_first()
        if item is None and until is not None and self.clock() >= until:
            return until, NOTHING
        return item

    @property
    def _steady_deadline(self) -> float:
        """The `earliest_deadline`, as long as a chunk can only postpone deadlines; otherwise NaN."""
        intake = self.machine.intake
        is_steady = intake.state == "reading" and not (
            intake.resting or self.machine.way.waits or intake.arrivals.holds_frames
        )
        return self.earliest_deadline if is_steady and intake.now < self.earliest_deadline else math.nan

    def _begin(self) -> None:
        """Check that the guards have a task group, then start timing the request."""
        if self.awaited_guards is not None:
            self.awaited_guards.check()
        if self.pump.lazy is not None:
            self.begin_request(self.pump.lazy)

    async def _take_arrived(self) -> TimedItem | None:
        """Return an item that has already arrived, with the time of its arrival; None if none has arrived."""
        if self.awaited_guards is not None:
            self.awaited_guards.check()  # refuses a guard that needs a task outside of `async with`
        self.pump.busy = True
        try:
            return await self.pump.take_arrived()
        finally:
            self.pump.busy = False

    def open(self, source: AsyncSource) -> None:  # type: ignore[override] # a pump opens its own kind
        self.pump.set_source(source)  # instead of the `LazySource` that was opened
        super().open(source)

    async def _close_misused(self) -> None:
        """Close the source if a mistake of the calling code has ended the stream."""
        if self.has_ended:
            await self.close_source(failed=True)

    async def _explain(self, error: ValueError | StopIteration) -> Exception:
        """Return the exception to raise in place of one that the machine's generator of events has raised."""
        if isinstance(error, ValueError):  # perhaps because the generator has a second reader
            self.raise_pull_error(error)
        # The generator has ended: a Ctrl-C or the like has interrupted it.
        await self.close_source(failed=True)
        return self.break_off()

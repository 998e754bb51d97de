"""The task that reads an asynchronous source ahead of the loop.

A loop that is cancelled, for example by a timeout around `anext`, must lose nothing,
but most sources cannot be read any further after a cancelled read. So a separate task opens,
reads and closes the source, and the loop takes the chunks from that task.
"""

from __future__ import annotations

import math
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, cast

from tokenstream._basics.kept_errors import FunctionFailed
from tokenstream._sources.kinds import SKIPPED, AsyncSource, LazySource, SourceHolder
from tokenstream.stream._reading.host import Alarm, Host, pass_turn
from tokenstream.stream._reading.items import (
    END,
    LEAST_WAIT,
    MAX_AHEAD,
    NOTABLE_SECONDS,
    WAITED,
    BusyTime,
    SourceFailed,
    SourceOpened,
)
from tokenstream.stream._reading.wake import shut_down

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from anyio import CancelScope, Event
    from anyio.abc import TaskGroup

    from tokenstream.stream._protocols import Clock
    from tokenstream.stream._reading.items import ArrivalBell, TimedItem

_MAX_BYTES_AHEAD = 256 * 1024
"""Maximum number of bytes to read ahead in large chunks; the last chunk may exceed it."""
_LARGE_CHUNK = 2 * _MAX_BYTES_AHEAD // MAX_AHEAD
"""Size up to which `MAX_AHEAD` chunks are at most twice as many bytes, so that no sum is needed."""
_TURNS = 8
"""Number of turns of the event loop in which a client reads and passes on what its socket already holds."""
CLOSING_SECONDS = 5.0
"""Time that a source may take to close after the waiting task was cancelled or failed."""
_MAX_LEFTOVER = 1_000
"""Maximum number of chunks, already arrived, to read from a closed body before its generator ends."""
RUNNING: set[asyncio.Task[None]] = set()
"""Running tasks; the event loop itself has only weak references to them."""


class Reader(SourceHolder["AsyncSource"]):
    """Reads a source in a separate task.

    A reader has no reference to the stream, so that an abandoned stream can be garbage
    collected, which ends its reader.
    """

    def __init__(self, source: AsyncSource | LazySource, clock: Clock, host: Host) -> None:
        self.set_source(source)
        self.since: float | None = None
        """Time at which the read in progress began; None between two reads."""
        self.has_ended = False
        self.stopped = False
        """True once the task was asked to end."""
        self.closing_error: Exception | None = None
        self._ahead = MAX_AHEAD
        """Number of items that may be held for the loop; 1 for a source of which none is read ahead."""
        self._clock = clock
        self._host = host
        self._items: list[TimedItem] = []
        """The items that the loop has not taken yet, each with the time of its arrival."""
        self._bell: ArrivalBell | None = None
        self._alarm: Alarm | None = None
        """The bell of a loop on asyncio that waits for this reader alone; None before the first wait."""
        self._has_run = False
        """True once the task was let run before a wait."""
        self._grace_ends = math.inf
        """Time at which a wait ends whose time limit has come, as returned by `time.monotonic`."""
        self._room_event: Event | None = None
        """Set once the loop takes items; None unless the task waits for that."""
        self._end_event: Event | None = None
        """Set once the task has ended; None unless somebody waits for that."""
        self._task_scope: CancelScope | None = None
        """Surrounds everything that the task does."""
        self._read_scope: CancelScope | None = None
        """Surrounds only the reading."""
        self._closed = False
        """True once the source is closed or being closed."""

    def start(self, tasks: TaskGroup | None) -> None:
        """Start the task, in a task group or, on asyncio, by itself."""
        if tasks is not None:
            tasks.start_soon(self._run, name="tokenstream reader")
            return
        task: asyncio.Task[None] = self._host.loop.create_task(self._run(), name="tokenstream reader")
        # asyncio itself has only a weak reference to the task.
        RUNNING.add(task)
        task.add_done_callback(self._on_done)
        self._store_task(task)

    def _store_task(self, task: asyncio.Task[None]) -> None:
        """Store the task, if a subclass needs it."""

    # -- for the loop ------------------------------------------------------

    def take_items(self) -> list[TimedItem]:
        items, self._items = self._items, []
        if self._room_event is not None and (self._ahead > 1 or not items or self.rings):
            # The task waits until fewer items are held, or until another one is asked for.
            self._room_event.set()
        return items

    def take_sole_item(self) -> TimedItem | None:
        """Return the item that has arrived, if it is the only one and the task does not wait for room."""
        items = self._items
        return items.pop() if len(items) == 1 and self._room_event is None else None

    @property
    def has_item(self) -> bool:
        return bool(self._items)

    @property
    def rings(self) -> bool:
        """True if the reader rings the bell of a loop that also reads other streams."""
        return self._bell is not None and self._bell is not self._alarm

    def listen(self, bell: ArrivalBell) -> None:
        """From now on, ring this bell whenever something arrives, to wake the loop that waits for it."""
        self._bell = bell
        if self._alarm is not None:
            self._alarm.cancel()

    @property
    def is_loop_over(self) -> bool:
        return self._host.is_over()

    def check_host(self) -> None:
        """Refuse to read while an earlier loop still runs; if it has ended, add an error to the items."""
        if not self._host.check_running():
            from tokenstream._sources.failures import ended_loop_error

            self.abandon()
            self.has_ended = True
            # An open source can only be closed in its own loop, so it counts as closed.
            self._closed = self.source is not None
            self._items.append((self._clock(), SourceFailed(ended_loop_error())))

    async def wait(
        self, seconds: float | None, *, steady_deadline: float = math.nan, until: float = math.inf
    ) -> bool:
        """Wait until something has arrived or the task has ended; return False after the time limit.

        `steady_deadline` is the stream's `earliest_deadline` if chunks can only postpone deadlines now,
        otherwise NaN: later waits reuse this wait's timer while that value stays the same
        (`begin_steady_wait`). `until` is the time at which the caller stops waiting, which `seconds`
        respects.
        """
        if self._items or self.has_ended:
            self._grace_ends = math.inf
            return True
        seconds = self._give_grace(seconds)
        if self._host.name == "asyncio":
            if not self._has_run:
                # The task was just started. Letting it run once costs a fraction of a timer.
                self._has_run = True
                await pass_turn()
            # A wait whose timer is used again would not ask for an item.
            steady_deadline = steady_deadline if self._ahead > 1 else math.nan
            has_arrived = await self._wait_for_alarm(seconds, steady_deadline, until)
        else:
            has_arrived = await self._wait_for_bell(seconds)
        self._grace_ends = math.inf
        return has_arrived or (seconds is not None and seconds <= LEAST_WAIT and await self._give_turns())

    async def _give_turns(self) -> bool:
        """Let the task run some more, on a machine that is too busy to have done so in a short wait."""
        from anyio.lowlevel import checkpoint

        for _ in range(_TURNS):
            if self._items or self.has_ended:
                return True
            await checkpoint()
        return bool(self._items or self.has_ended)

    def _give_grace(self, seconds: float | None) -> float | None:
        """Return seconds that let the task read what its socket holds; waits that are cancelled add up."""
        if seconds is None or seconds >= LEAST_WAIT:
            self._grace_ends = math.inf
            return seconds
        now = monotonic()
        self._grace_ends = min(self._grace_ends, now + LEAST_WAIT)
        return max(seconds, self._grace_ends - now)

    async def _wait_for_bell(self, seconds: float | None) -> bool:
        """Wait with anyio; return False after the time limit."""
        from anyio import Event, move_on_after
        from anyio.lowlevel import checkpoint

        await checkpoint()
        if self._items or self.has_ended:
            return True
        earlier_bell, arrival = self._bell, Event()
        self._bell = arrival
        try:
            with move_on_after(seconds):
                await arrival.wait()
        finally:
            self._restore_bell(earlier_bell)
        return arrival.is_set()

    async def _wait_for_alarm(self, seconds: float | None, steady_deadline: float, until: float) -> bool:
        """Wait on asyncio, without the cost of anyio's cancel scopes."""
        if self._items or self.has_ended:
            return True
        earlier_bell = self._bell
        alarm = self._bell = self._alarm = self._alarm or Alarm(self._host.loop)
        due = math.inf if seconds is None else monotonic() + seconds
        alarm.set_timer(due)
        alarm.steady_deadline, alarm.until = steady_deadline, until
        try:
            while (rung_at := await alarm.begin()) is not None:
                # Only the timer has rung, perhaps for an earlier wait.
                if self._items or self.has_ended:
                    # This came between the timer and this line, and so found no wait to end.
                    break
                if rung_at >= due:
                    return False
                alarm.set_timer(due)
                alarm.steady_deadline = steady_deadline
        finally:
            if earlier_bell is not None and earlier_bell is not alarm:
                self._restore_bell(earlier_bell)
        return True

    def begin_steady_wait(self, earliest_deadline: float, until: float | None) -> asyncio.Future[Any] | None:
        """Begin to wait for the next item on asyncio, with the timer of an earlier wait, which costs less.

        Call this only once all items that were taken are returned. Await the future, then take the items;
        if there are none, the timer has rung, and the caller has to check the deadlines. The result is
        None if no earlier wait has set a timer that is early enough and for the same `earliest_deadline`,
        or if there is nothing to wait for.
        """
        alarm = self._alarm
        # Once the task has ended, or rings another loop's bell, the alarm has no such deadline.
        if (
            alarm is None
            or alarm.steady_deadline != earliest_deadline
            or self._items
            or (until is not None and alarm.until > until)
            or not self._host.is_running()
        ):
            return None
        return alarm.begin()

    def _restore_bell(self, bell: ArrivalBell | None) -> None:
        """Use an earlier bell again, and ring it now, because arrivals during the wait did not ring it."""
        self._bell = bell
        if bell is not None:
            self.listen(bell)
            bell.set()

    def stop(self) -> None:
        """End the task, which closes the source."""
        self.stopped = True
        if not self._host.is_running():
            # The event loop is over, and so is the task.
            return
        self._cancel_read()
        self._ring()

    def wake(self) -> None:
        """End a wait for the next item; the result is `WAITED`, as after a time limit."""
        if self.rings or (self._alarm is not None and self._alarm.has_waiter):
            self._put_item(self._clock(), WAITED)

    def _cancel_read(self) -> None:
        """Cancel the opening or the read in progress, but not the closing of the source."""
        if self._read_scope is not None:
            self._read_scope.cancel()
        elif self._task_scope is not None and self.lazy is not None:
            self._task_scope.cancel()

    async def close(self, *, failed: bool = False) -> None:
        """End the task and wait until the source is closed, even if this call is cancelled.

        With `failed`, the wait is short, because an error or a cancellation is being raised.
        """
        if self.has_ended and self._closed:
            # The task itself has closed the source.
            self.stopped = True
            return
        from anyio import move_on_after

        if not self.has_ended and not self._host.is_running():
            # In another event loop than the task's, the task can only be told to end. If its own loop goes
            # on, `check_running` raises the error; if that loop is over, there is no task to wait for.
            self.abandon()
            if not self._host.check_running():
                return
        self.stop()
        try:
            if not failed:
                await self._wait_for_end()
        finally:
            # After an error or a cancellation, wait for `CLOSING_SECONDS` at most; then cancel the closing.
            with move_on_after(CLOSING_SECONDS, shield=True):
                await self._wait_for_end()
                if not self._closed:
                    # The event loop ended before the task began.
                    await self._close()
            if self._task_scope is not None and not self.has_ended:
                self._task_scope.cancel()

    async def _wait_for_end(self) -> None:
        if not self.has_ended:
            from anyio import Event

            self._end_event = self._end_event or Event()
            await self._end_event.wait()

    def abandon(self) -> None:
        """End the task from any thread, without waiting; its source delivers nothing more."""
        if not self.has_ended:
            self._host.call(self.stop)
        if self.source is not None:
            shut_down(self.source.socket)

    # -- the task ----------------------------------------------------------

    async def _run(self) -> None:
        from anyio import CancelScope, current_time

        # The scope is shielded, because only the stream may end this task: a cancellation from
        # outside would leave the task group instead of the error that the `async with` block
        # raised. The scope surrounds everything, because a context manager that opens the source
        # may hold its own scope until it exits, and scopes must exit in order.
        patience = CLOSING_SECONDS
        try:
            with CancelScope(shield=True) as task_scope:
                self._task_scope = task_scope
                try:
                    if not self.stopped:
                        await self._open_and_read()
                    patience = math.inf
                finally:
                    self.since = None
                    # A task cancelled from outside must not hold up the shutdown of its event loop.
                    task_scope.deadline = current_time() + patience
                    await self._close()
        finally:
            self._mark_ended()

    async def _open_and_read(self) -> None:
        """Open the source if necessary, and read it to its end, an error or a cancellation."""
        from anyio import CancelScope

        try:
            source = self.source or await self._open()
            with CancelScope() as self._read_scope:
                if not self.stopped:
                    await self._read(source)
        except StopAsyncIteration:
            # Raised by the source's iterator at its end.
            self._put_item(self._clock(), END)
        except Exception as error:  # noqa: BLE001 - raised in the loop, in its place
            self._put_item(self._clock(), SourceFailed(error))
        except BaseException as error:  # noqa: BLE001 - raised again, unless the loop raises it
            self._keep_for_loop(error)

    def _keep_for_loop(self, error: BaseException) -> None:
        """Let the loop raise what is no `Exception`; raise an exit, and a cancellation from outside, here."""
        import asyncio

        from anyio import get_cancelled_exc_class

        is_kept = not isinstance(error, get_cancelled_exc_class())
        if isinstance(error, asyncio.CancelledError) and self.lazy is not None:
            task = asyncio.current_task()
            is_kept = task is not None and not task.cancelling()
        if is_kept:
            self._put_item(self._clock(), SourceFailed(FunctionFailed(error)))
        # asyncio ends a forgotten task by a GeneratorExit.
        is_closed = isinstance(error, GeneratorExit) and self._host.name == "asyncio"
        if not is_kept or is_closed or isinstance(error, KeyboardInterrupt | SystemExit):
            raise error

    async def _open(self) -> AsyncSource:
        """Open the source; that counts as a read in progress, which begins now."""
        self.since = self._clock()
        opened: AsyncSource = await cast("LazySource", self.lazy).open()
        self.set_source(opened)
        self._put_item(self._clock(), SourceOpened(opened))
        return opened

    async def _read(self, source: AsyncSource) -> None:
        """Read chunks until the source ends, and wait whenever too many of them are held for the loop."""
        clock, read_chunk, convert = self._clock, source.chunks.__anext__, source.convert
        if source.paced:
            self._ahead = 1
        ahead = self._ahead
        self.since = clock()
        while not self.stopped:
            chunk = await read_chunk()
            now = self.since = clock()
            items, is_large = self._items, False
            if chunk.__class__ is bytes:
                # Smaller chunks reach the limit of items before the limit of bytes.
                is_large = len(chunk) > _LARGE_CHUNK
            elif convert is not None:
                chunk = convert(chunk)
                if chunk is SKIPPED:
                    continue
            items.append((now, chunk))
            # For an item after others that nobody has taken yet, the bell has rung.
            if len(items) == 1 and self._bell is not None:
                self._bell.set()
            if is_large or len(items) >= ahead:
                await self._wait_for_room(now)
            # The next read may wait for long; it must not keep items in memory that the loop has taken.
            del items, chunk

    async def _wait_for_room(self, began: float) -> None:
        """Wait until the loop has taken chunks; report a wait that `began` long ago as `BusyTime`."""
        from anyio import Event

        # No read is in progress during the wait.
        self.since = None
        while self._is_full:
            self._room_event = Event()
            await self._room_event.wait()
            self._room_event = None
        now = self.since = self._clock()
        if now - began > NOTABLE_SECONDS:
            self._put_item(now, BusyTime(now - began))

    @property
    def _is_full(self) -> bool:
        """True if as many items or bytes are held for the loop as may be."""
        if len(self._items) >= self._ahead:
            return True
        return sum([len(item) for _, item in self._items if item.__class__ is bytes]) >= _MAX_BYTES_AHEAD

    async def _close(self) -> None:
        """Close the source, or discard a request that was not sent; store the error of closing."""
        self._closed = True
        source = self.source
        if source is None:
            if self.lazy is not None:
                self.lazy.discard()
            return
        try:
            if self._task_scope is not None and self._task_scope.cancel_called and not source.enters:
                # The source was opened although the opening had been cancelled.
                from anyio import move_on_after

                with move_on_after(CLOSING_SECONDS, shield=True):
                    await close_source(source)
            else:
                await close_source(source)
        except Exception as error:  # noqa: BLE001 - raised when the stream is closed
            self.closing_error = error

    def _put_item(self, now: float, item: object) -> None:
        self._items.append((now, item))
        self._ring()

    def _ring(self) -> None:
        if self._bell is not None:
            self._bell.set()

    def _mark_ended(self) -> None:
        """Record that nothing more arrives, and wake the tasks that wait for the end or for an item."""
        self.has_ended = True
        if self._end_event is not None:
            self._end_event.set()
        self._ring()
        if self._alarm is not None:
            self._alarm.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        """Record the end of the task, even if the task never began."""
        RUNNING.discard(task)
        if not task.cancelled():
            # A KeyboardInterrupt has already left the loop; asyncio warns if nobody retrieves it here.
            task.exception()
        self._mark_ended()


async def close_source(source: AsyncSource) -> None:
    """Close a source; if its chunks are a generator, finish that generator.

    An httpx body is a generator that reads from other generators. Trio warns about every generator
    that is garbage collected unfinished; a cancelled read finishes all of them.
    """
    await source.close()
    if getattr(source.chunks, "ag_frame", None) is None:
        return
    from anyio import CancelScope

    # An error only means that the generator is over, as intended.
    with CancelScope() as scope, suppress(Exception):
        scope.cancel()
        # The first reads may return chunks that had arrived, before one has to wait and is cancelled.
        for _ in range(_MAX_LEFTOVER):
            await source.chunks.__anext__()


async def run_until_cancelled(work: Callable[[], Awaitable[object]]) -> None:
    """Run the function of a task that others cancel once they do not need it any more; end quietly then.

    If the cancellation ended the task, anyio would keep it in a frame of its own traceback, together with
    all that the function had, until the garbage collector finds both.
    """
    from anyio import get_cancelled_exc_class

    running = work()
    del work
    with suppress(get_cancelled_exc_class()):
        await running


async def enter_group(host: Host | None) -> TaskGroup | None:
    """Enter a task group on trio, where each task needs one, and return it; None without trio."""
    if host is None or host.name != "trio":
        return None
    from anyio import create_task_group

    return await create_task_group().__aenter__()


async def leave_group(tasks: TaskGroup) -> None:
    """Leave a task group whose tasks are over, without wrapping errors in a group."""
    try:
        await tasks.__aexit__(None, None, None)
    except BaseExceptionGroup as errors:
        # A Ctrl-C struck the reading task.
        raise_only(errors)


def raise_only(errors: BaseExceptionGroup) -> NoReturn:
    """Raise the only error of a group that is handled, or the group itself if it has several.

    The error keeps what it was caused by. The group would become its context, and each would hold the other.
    """
    only, *others = errors.exceptions
    error = errors if others else only
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        # The traceback of the error has this frame.
        del errors, error, context, only, others

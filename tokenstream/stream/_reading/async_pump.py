"""The pump of an `async for` loop, which opens, reads and closes a source.

A `Reader` reads the source in a separate task; a `DirectReader` reads it in the loop's own task.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from itertools import chain
from operator import length_hint
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import AsyncSource, LazySource, SourceHolder
from tokenstream.errors import MisuseError
from tokenstream.stream._reading.direct_reader import DirectReader
from tokenstream.stream._reading.host import Host, find_host
from tokenstream.stream._reading.items import LOST, WAITED, ArrivalBell, TimedItem
from tokenstream.stream._reading.reader import RUNNING, Reader, enter_group, leave_group
from tokenstream.stream._reading.reader_native import NativeReader
from tokenstream.stream._reading.wake import shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator

    from anyio.abc import TaskGroup

    from tokenstream._basics.loose import Action
    from tokenstream.stream._protocols import Clock


class AsyncPump(SourceHolder["AsyncSource"]):
    """Reads a source for one reader at a time, in a separate task if that is useful and possible.

    A task is useful unless the source never waits, or loses nothing when a read is cancelled.
    A task is possible on asyncio, and on trio inside `async with`. `stop` may be called from
    any thread or task. Between two reads the source may be replaced.
    """

    def __init__(self, source: AsyncSource | LazySource, clock: Clock) -> None:
        self._clock = clock
        self._host: Host | None = None
        """The event loop in which the source is read; None before the first read."""
        self._tasks: TaskGroup | None = None
        """On trio, inside of `async with`, the group of the reading task; otherwise None."""
        self._entered = False
        """True inside the `async with` block of the stream, or of a merge."""
        self.busy = False
        self.replace(source)

    @contextmanager
    def hold(self) -> Generator[None]:
        """Let nobody read inside the block."""
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    def replace(self, source: AsyncSource | LazySource) -> None:
        """Read from another source from now on; the previous source must already be closed."""
        self.set_source(source)
        self._closed = False
        self.reader: Reader | DirectReader | None = None
        """Reads the source; None before the first read."""
        self.batch: Iterator[TimedItem] = iter(())
        """Items that have arrived, each with the time of its arrival."""

    def put_back(self, items: Iterable[TimedItem]) -> None:
        """Give items back to the pump, so that the next reads return them before all other items."""
        self.batch = chain(items, self.batch)

    # -- reading -----------------------------------------------------------

    @property
    def since(self) -> float | None:
        """Time at which the read in progress began; None between two reads."""
        return None if self.reader is None else self.reader.since

    @property
    def begun(self) -> bool:
        return self.reader is not None

    def take_item(self) -> TimedItem | None:
        """Return the next item that has already arrived, in a pair after its time of arrival; or None."""
        item = next(self.batch, None)
        if item is not None:
            return item
        if self.reader is None:
            self.reader = self._start_reader()
        else:
            self.reader.check_host()
        return self.take_first()

    def take_new_item(self) -> TimedItem | None:
        """Return the next item that the reading task has read; None if it has read none, or there is no task.

        Call it only after all items that were taken from the task before (`batch`) have been returned.
        """
        reader = self.reader
        # Any other reader than a `Reader` has no task that reads ahead.
        if not isinstance(reader, Reader) or not reader.has_item:
            return None
        return self.take_item()

    def find_turn(self, *, has_waited: bool) -> bool | None:
        """Return True if something has arrived, else False; None if another read is of no use.

        Only a task goes on with a read that `has_waited` in vain.
        """
        reader = self.reader
        if not isinstance(reader, Reader):
            return None
        return length_hint(self.batch) > 0 or reader.has_item

    @property
    def will_ring(self) -> bool:
        """True if no item is left to take, and the next one will ring the bell passed to `listen`."""
        reader = self.reader
        if not isinstance(reader, Reader) or not reader.rings or reader.has_item or reader.has_ended:
            return False
        # Of most iterators the length is known; otherwise, assume that an item is left.
        return length_hint(self.batch, 1) == 0

    async def take_arrived(self) -> TimedItem | None:
        """Return the next item that has already arrived, or None.

        The reading task, if there is one, gets the chance to run once, and so to read what has arrived.
        """
        item = self.take_item()
        if item is not None:
            return item
        if not isinstance(self.reader, DirectReader):
            from anyio.lowlevel import checkpoint

            # Let the reading task run.
            await checkpoint()
            return self.take_item()
        if self._needs_no_task:
            # The time limit of this read is now; a read that it ends loses nothing.
            return await self.read(self._clock())
        return None

    async def read(self, until: float | None, *, steady_deadline: float = math.nan) -> TimedItem:
        """Wait for the next item, or until a time for `WAITED`; return it after the time of its arrival.

        Cancelling this call loses nothing if a separate task reads the source. Without a task, a source
        may not survive the cancellation; then the next item is `LOST`. `steady_deadline` is that of
        `Reader.wait`.
        """
        reader = self.reader
        if reader is None:
            reader = self.reader = self._start_reader()
        seconds = None if until is None else max(until - self._clock(), 0.0)
        if isinstance(reader, Reader):
            has_arrived = await reader.wait(
                seconds, steady_deadline=steady_deadline, until=math.inf if until is None else until
            )
        else:
            has_arrived = await reader.wait(seconds)
        # Those after the first one are for the next reads.
        item = self.take_first()
        if item is None:
            # If something had arrived, then an earlier, cancelled call has taken it.
            item = (self._clock(), LOST if has_arrived else WAITED)
        return item

    def take_first(self) -> TimedItem | None:
        """Take all items from the reader, and return the first one; None if there are none.

        Call it only once a read has begun, and all items that were taken before (`batch`) were returned.
        """
        self.batch = iter(() if self.reader is None else self.reader.take_items())
        return next(self.batch, None)

    def listen(self, bell: ArrivalBell, *, even_if_instant: bool = False) -> bool:
        """Ring a bell whenever an item arrives, from now on; return False if the bell will not ring.

        A task reads the source from now on, even if the loop itself could read it. The bell does not ring
        for a source that is closed, or can no longer be given to a task, or never waits. With
        `even_if_instant`, it also rings for a source that never waits.
        """
        reader = self.reader
        if self.held is None:
            return False
        # A source that never waits can be read at any time, and so needs no bell.
        without_task = self._is_instant and not even_if_instant
        # A `DirectReader` has no task. While it is intact, a task can take its place: its source is open, no
        # read is in progress, and no item was lost or is still to be taken.
        can_continue_in_task = isinstance(reader, DirectReader) and reader.is_intact and not without_task
        if reader is None or can_continue_in_task:
            # On trio without a task group, the new reader is a `DirectReader` again.
            reader = self.reader = self._start_reader(without_task=without_task)
        if isinstance(reader, DirectReader):
            if reader.is_intact and not without_task:
                raise MisuseError(
                    "on trio, tasks read several streams side by side: "
                    "read them inside `async with merge(...) as merged`"
                )
            # It is too late for a task, or a task would be useless: the caller reads without the bell.
            return False
        reader.listen(bell)
        return True

    def check_host(self) -> None:
        """Refuse to wait for a source that is read in another event loop."""
        if self._host is not None:
            self._host.check_running()

    @property
    def has_task(self) -> bool:
        """True if a task reads the source, or read the source before."""
        return isinstance(self.reader, Reader)

    def release(self) -> bool:
        """Let the reading task close the source; return True if no reading task is left."""
        reader = self.reader
        if not isinstance(reader, Reader) or reader.has_ended:
            return True
        if not reader.stopped:
            reader.stop()
        # A task never ends if its event loop was ended before.
        return reader.is_loop_over

    def _start_reader(self, *, without_task: bool | None = None) -> Reader | DirectReader:
        """Start to read the source, with a task or, by default if the source needs none, without."""
        source = self.held
        if source is None:
            raise RuntimeError("the source is closed")
        host = self._host = self._host or find_host()
        without_task = self._needs_no_task if without_task is None else without_task
        # On trio, only a task group can start a task.
        has_no_group = host is not None and host.name == "trio" and self._tasks is None
        if without_task or host is None or has_no_group:
            return DirectReader(source, self._clock, host)
        # The cheaper `NativeReader` starts a task of asyncio, and cannot hold a context manager open.
        is_native = host.name == "asyncio" and self._tasks is None and not source.enters
        reader_type = NativeReader if is_native else Reader
        reader = reader_type(source, self._clock, host)
        reader.start(self._tasks)
        return reader

    @property
    def waits_in_time(self) -> bool:
        """True if a read can stop waiting at a given time without losing anything."""
        host = self._host or find_host()
        # A task is needed if cancelling the read would lose data; trio starts one only in a task group.
        return host is None or host.name != "trio" or self._tasks is not None or self._needs_no_task

    @property
    def _needs_no_task(self) -> bool:
        """True if the source never waits, or loses nothing when a read is cancelled."""
        source = self.source
        return source is not None and (source.instant or source.survives)

    @property
    def _is_instant(self) -> bool:
        """True if the source never waits."""
        return self.source is not None and self.source.instant

    # -- within `async with` -----------------------------------------------

    async def open_tasks(self) -> None:
        """Make it possible to start tasks, for example for guards; on trio, open a task group for them."""
        self._entered = True
        self._host = self._host or find_host()
        is_trio = self._host is not None and self._host.name == "trio"
        if not is_trio or self._tasks is not None or self.held is None:
            # asyncio needs no group; on trio, there is one already, or the source is closed.
            return
        self._tasks = await enter_group(self._host)
        self._continue_in_task()

    def _continue_in_task(self) -> None:
        """Read in a task from now on, if the source was read without a task before the `async with` block."""
        if isinstance(self.reader, DirectReader) and self.reader.is_intact:
            # The next read starts another reader, now with a task.
            self.reader = None

    def share_tasks(self, tasks: TaskGroup | None) -> bool:
        """Use a merge's tasks (None on asyncio); return False inside the stream's own `async with` block."""
        if self._entered:
            return False
        self._entered, self._tasks, self._host = True, tasks, self._host or find_host()
        self._continue_in_task()
        return True

    def leave_tasks(self) -> None:
        """Stop using the task group of a merge; the merge itself ends the tasks."""
        self._entered, self._tasks = False, None

    async def close_tasks(self) -> None:
        """Close the task group, without passing an exception of the `async with` block to its tasks."""
        tasks, self._tasks = self._tasks, None
        self._entered = False
        if tasks is not None:
            await leave_group(tasks)

    @property
    def can_start_task(self) -> bool:
        """True if another task can be started beside the reading task."""
        # With a task group, or on asyncio, which needs none; in both cases, only inside `async with`.
        return self._tasks is not None or (
            self._entered and self._host is not None and self._host.name == "asyncio"
        )

    def spawn(self, function: Callable[..., Coroutine[Any, Any, None]], *args: object) -> bool:
        """Start a task beside the reading task; return False on trio without a task group.

        If `can_start_task`, the new task ends within the `async with` block.
        """
        if self._tasks is not None:
            self._tasks.start_soon(function, *args)
        elif self._host is None or self._host.name == "trio":
            return False
        else:
            task = self._host.loop.create_task(function(*args), name="tokenstream guard")
            # asyncio itself has only a weak reference to the task.
            RUNNING.add(task)
            task.add_done_callback(RUNNING.discard)
        return True

    def wake(self) -> None:
        """Make a read in progress return without an item."""
        if self.reader is not None:
            self.reader.wake()

    # -- ending ------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True if the source is closed, or the event loop of its reader has ended."""
        return self._closed or (self.reader is not None and self.reader.is_loop_over)

    @property
    def has_ended(self) -> bool:
        """True once nothing reads the source any more."""
        return self.reader is not None and self.reader.has_ended

    def call_soon(self, function: Action) -> None:
        """Call a function in the thread of the event loop; at once in that thread, or without any loop."""
        host = self._host
        # `call` returns False if the loop has ended.
        if host is None or host.is_running() or not host.call(function):
            function()

    def stop(self) -> None:
        """End a read in progress, and let the reading task close the source."""
        lazy = self.lazy
        if self.reader is None and lazy is not None:
            # The source was not opened yet, and never will be.
            self.set_source(None)
            self._closed = True
            lazy.discard()
        elif self.reader is None and self.source is not None:
            # Nobody has read the source: on asyncio, a new reading task closes it.
            self.reader = self._start_reader()
        if self.reader is not None:
            self.reader.stop()

    async def close(self, *, failed: bool = False) -> Exception | None:
        """Close the source, and return the error of closing or None; a second caller only waits.

        With `failed`, closing must not delay the error that is being raised.
        """
        source = self.held
        self.set_source(None)
        self._closed = True
        reader = self.reader
        if reader is None:
            if source is None:
                return None
            # Nothing was read: this reader only closes the source.
            reader = self.reader = DirectReader(source, self._clock, self._host or find_host())
        if reader.has_ended and source is None:
            # An earlier call has closed the source.
            return None
        await reader.close(failed=failed)
        error, reader.closing_error = reader.closing_error, None
        return error

    @property
    def unclosed(self) -> bool:
        """True if the source is open, and neither closed nor being closed."""
        if self.reader is not None:
            return self.held is not None and not self.reader.stopped
        return self.source is not None

    def abandon(self) -> None:
        """Give up the source without waiting: end its task, or leave the source to the garbage collector."""
        reader = self.reader
        if reader is None and self.lazy is not None:
            self.lazy.discard()
        elif reader is not None and self.held is not None:
            reader.abandon()
        elif self.source is not None:
            shut_down(self.source.socket)

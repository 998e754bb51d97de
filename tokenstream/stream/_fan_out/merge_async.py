"""The merge of several streams in one `async for` loop."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from tokenstream._basics.elsewhere import refuse_block
from tokenstream._basics.members import show_members
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._fan_out.lanes import K, MergeBase
from tokenstream.stream._read_errors import concurrent_read_error
from tokenstream.stream._reading.alarm import Alarm
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._reading.reader import leave_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from types import TracebackType
    from typing import Self

    from anyio.abc import TaskGroup

    from tokenstream.stream._fan_out.lanes import Labelled
    from tokenstream.stream._reading.async_pump import AsyncPump


@show_members
class AsyncMerge(MergeBase[K, AsyncStream, AsyncDriver]):
    """Asynchronous iterator over the labelled events of several streams, which are read at the same time.

    Each stream has its own reading task, as without a merge. On trio, these tasks
    need `async with`.

    Args:
        streams: The streams by label.
        fail_fast: True to end all streams when the first stream fails.
    """

    __slots__ = ("_alarm", "_busy", "_shared", "_tasks")

    def __init__(self, streams: Mapping[K, AsyncStream], *, fail_fast: bool) -> None:
        super().__init__(streams, fail_fast=fail_fast)
        self._busy = False
        """True while a read is in progress."""
        self._alarm: Alarm | None = None
        """Wakes a loop on asyncio; None before the first wait, and on trio."""
        self._shared: list[AsyncPump] = []
        """The pumps that use the task group."""
        self._tasks: TaskGroup | None = None
        """On trio, inside of `async with`, the group of the reading tasks; otherwise None."""

    def __aiter__(self) -> AsyncIterator[Labelled[K]]:
        self._check_events_left()
        return self

    async def __anext__(self) -> Labelled[K]:
        """Return the next event of any stream; raise `ConcurrentRead` while another task waits for one."""
        if self._busy:
            raise concurrent_read_error()
        self._busy = True
        try:
            return await self._next_event()
        finally:
            self._busy = False

    async def aclose(self) -> None:
        """Close all streams; the messages keep the content read so far. Closing twice does no harm."""
        await self._close(failed=False)

    async def __aenter__(self) -> Self:
        """Make it possible to start the reading tasks; on trio, open a task group for them."""
        host = find_host()
        if host is not None and host.name == "trio" and self._tasks is None:
            from anyio import create_task_group

            tasks = create_task_group()
            await tasks.__aenter__()
            self._tasks = tasks
        pumps = [driver.pump for driver in self._drivers]
        # `share_tasks` returns False for a stream inside its own `async with` block, which has its own tasks.
        self._shared += [pump for pump in pumps if pump.share_tasks(self._tasks)]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all streams, and then the task group."""
        try:
            await self._close(failed=error is not None)
        finally:
            for pump in self._shared:
                pump.leave_tasks()
            self._shared.clear()
            tasks, self._tasks = self._tasks, None
            if tasks is not None:
                await leave_group(tasks)

    # -- within ------------------------------------------------------------

    async def _next_event(self) -> Labelled[K]:
        """Return the next event of any stream; wait for one if none has arrived.

        At the end of all streams, this raises the first error of a stream, or else StopAsyncIteration.
        """
        if self._live_count < 0:
            # This is the first call.
            self._begin()
        if self._events_until_pause <= 0 or self._is_alarm_due:
            # Events without a wait between them would keep other tasks from running, and deadlines unchecked.
            await self._pause()
        while self._live_count:
            lane = self._next_lane()
            if lane is None:
                await self._wait()
                continue
            driver = lane.driver
            try:
                event = driver.poll_fast() or await driver.poll(lane.entry)
            except Exception as error:  # noqa: BLE001 - `_handle_error` raises unexpected ones again
                self._handle_error(lane, error)
                continue
            if event is not None:
                return self._label_event(lane, event)
            # Nothing has arrived: `lane.entry`, the bell, puts the stream back into the queue when it rings.
            self._dequeue(lane)
        failure = self._take_error()
        if failure is None:
            raise StopAsyncIteration
        await self._close(failed=True)
        raise failure.with_traceback(None)

    async def _pause(self) -> float | None:
        """Let the reading tasks run; return the seconds until deadlines must be checked, None for never."""
        from anyio.lowlevel import checkpoint

        await checkpoint()
        self._schedule_pause()
        return self._handle_alarms()

    async def _wait(self) -> None:
        """Wait until a stream may have an event, or its deadlines must be checked."""
        queue, host = self._queue, find_host()
        if host is None or host.name != "asyncio":
            await self._wait_with_anyio()
            return
        if self._alarm is None or self._alarm.loop is not host.loop:
            self._alarm = Alarm(host.loop)
        seconds = self._handle_alarms()
        if not queue.entries:
            alarm = queue.waiter = self._alarm
            alarm.set_timer(math.inf if seconds is None else time.monotonic() + seconds)
            try:
                await alarm.begin()
            finally:
                queue.waiter = None
            # During the wait, the reading tasks have run.
            self._schedule_pause()

    async def _wait_with_anyio(self) -> None:
        """Do what `_wait` does, outside of asyncio: with an anyio event and a time limit for each wait."""
        from anyio import Event, move_on_after

        queue, seconds = self._queue, await self._pause()
        if queue.entries:
            return
        waiter = queue.waiter = Event()
        try:
            with move_on_after(seconds):
                await waiter.wait()
        finally:
            queue.waiter = None

    async def _close(self, *, failed: bool) -> None:
        """Close all streams at the same time, and wait until all of them are closed.

        Args:
            failed: True if another error is being raised: closing must neither replace nor delay it.
        """
        if self._alarm is not None:
            self._alarm.cancel()
        for driver in self._drivers:
            driver.record_closing()
            driver.end()
        errors: list[Exception] = []

        async def close(driver: AsyncDriver) -> None:
            """Close one stream; keep its error, to be raised once all streams are closed."""
            try:
                await driver.close(failed=failed)
            except Exception as error:  # noqa: BLE001 - the other streams must still be closed
                errors.append(error)

        # Closing these streams waits for their reading tasks to end, so they are closed at the same time.
        with_task = [driver for driver in self._drivers if not driver.pump.release()]
        if with_task:
            from anyio import create_task_group

            async with create_task_group() as tasks:
                for driver in with_task:
                    tasks.start_soon(close, driver)
        # Closing the streams above once more does no harm.
        for driver in self._drivers:
            await close(driver)
        if errors:
            raise errors[0]


refuse_block(AsyncMerge, is_async=True)

"""The merge of several streams in one loop, `for` or `async for`, and the function that makes it."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Self, overload

from tokenstream._basics.elsewhere import explain_options, refuse_block
from tokenstream._basics.kept_errors import raised_anew
from tokenstream._basics.untrusted import is_mapping
from tokenstream._sources.kinds import class_name_of
from tokenstream.errors import MisuseError
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._base import StreamBase
from tokenstream.stream._fan_out.lanes import K, LabelledEvent, MergeBase, MergeLane
from tokenstream.stream._reading.host import Alarm, find_host
from tokenstream.stream._reading.reader import enter_group, leave_group
from tokenstream.stream._refusals import concurrent_read_error
from tokenstream.stream._sync import Stream
from tokenstream.stream._sync_driver import SyncDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from anyio.abc import TaskGroup

    from tokenstream.stream._reading.async_pump import AsyncPump


class Merge(MergeBase[K, Stream, SyncDriver]):
    """Iterator over the labelled events of several streams, which are read at the same time.

    From the first read on, a thread for each stream reads ahead.

    Args:
        streams: The streams by label.
        fail_fast: True to end all streams when the first stream fails.
    """

    def __init__(self, streams: Mapping[K, Stream], *, fail_fast: bool) -> None:
        super().__init__(streams, fail_fast=fail_fast)
        # Reentrant, like the lock of a stream.
        self._lock = threading.RLock()
        # The reading threads set it when a stream may have an event.
        self._arrival = self._queue.waiter = threading.Event()

    def __iter__(self) -> Iterator[LabelledEvent[K]]:
        self._check_events_left()
        return self

    def __next__(self) -> LabelledEvent[K]:
        """Return the next event of any stream; refuse while another thread waits for one."""
        if not self._lock.acquire(blocking=False):
            raise concurrent_read_error()
        try:
            return self._next_event()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close all streams; the messages keep the content read so far. Closing twice does no harm."""
        self._close(quiet=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._close(quiet=error is not None)

    # -- within ------------------------------------------------------------

    def _next_event(self) -> LabelledEvent[K]:
        """Return the next event of any stream; wait for one if none has arrived.

        At the end of all streams, this raises the first error of a stream, or else StopIteration.
        """
        if self._live_count < 0:
            # This is the first call.
            self._begin()
        if self._is_alarm_due:
            # Check the deadlines of a stream, even while other streams deliver events.
            self._handle_alarms()
        while self._live_count:
            lane = self._next_lane()
            if lane is None:
                self._wait()
                continue
            # If the bell rings from now on, `_dequeue` puts the stream back into the queue.
            lane.entry.was_rung = False
            try:
                event = lane.driver.poll(lane.entry)
            except Exception as error:  # noqa: BLE001 - `_handle_error` raises unexpected ones again
                self._handle_error(lane, error)
            else:
                if event is not None:
                    return self._label_event(lane, event)
                self._dequeue(lane)
        failure = self._take_error()
        if failure is None:
            raise StopIteration
        self._close(quiet=True)
        raise raised_anew(failure)

    def _dequeue(self, lane: MergeLane[K, SyncDriver]) -> None:
        """Take a stream without an event out of the queue, unless an event has arrived meanwhile."""
        super()._dequeue(lane)
        if lane.entry.was_rung and not lane.has_ended:
            # A thread rang the entry after `poll` had found nothing, but before the lane left
            # the queue.
            lane.entry.set()

    def _wait(self) -> None:
        """Wait until a stream may have an event, or its deadlines must be checked."""
        self._arrival.clear()
        seconds = self._handle_alarms()
        if not self._queue.numbers:
            self._arrival.wait(seconds)

    def _close(self, *, quiet: bool) -> None:
        """Close all streams, after waking their threads; with `quiet`, errors of closing are only logged."""
        # All threads are asked to end first, so that the waits for them below overlap.
        for driver in self._drivers:
            driver.record_closing()
            driver.pump.finish()
        errors: list[Exception] = []
        for driver in self._drivers:
            try:
                driver.close(quiet=quiet)
            except Exception as error:  # noqa: BLE001 - the other streams must still be closed
                errors.append(error)
        if errors:
            raise errors[0]


refuse_block(Merge, is_async=False)


class _NoStreams(Merge[K]):
    """A merge without streams; a sync or async loop over it ends at once."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[LabelledEvent[K]]:
        return self

    async def __anext__(self) -> LabelledEvent[K]:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing: there is no stream to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Do nothing: there is no stream to close."""


@overload
def merge(streams: Mapping[K, Stream], *, fail_fast: bool = True) -> Merge[K]: ...
@overload
def merge(streams: Mapping[K, AsyncStream], *, fail_fast: bool = True) -> AsyncMerge[K]: ...
@explain_options('takes a dict: write merge({"a": a, "b": b})')
def merge(streams: Mapping[K, Any], *, fail_fast: bool = True) -> Merge[K] | AsyncMerge[K]:
    r"""Read several streams at the same time, in one loop over their events with the streams' labels.

    The events of each stream keep their order, and a fast stream does not delay a slow stream.
    All requests are sent together. The end of `with` closes all streams. `streams` has the
    streams, whose views may also be read; `messages` has their answers, and `errors` their errors.

    Args:
        streams: The streams by label: all `Stream`, for a `for` loop, or all `AsyncStream`, for
            an `async for` loop.
        fail_fast: True to end all streams when the first stream fails: events that have arrived are
            delivered, the other streams are stopped, and the error is raised. False to raise the
            error once the other streams are over.

    Raises:
        MisuseError: The argument is not a mapping of streams, or mixes both kinds.
        StreamError: A stream has failed; a note and `failed` have its label. Raised in the loop.

    Example:
        >>> from tokenstream import Stream, merge
        >>> left = Stream(["Hel", "lo"], format="pieces")
        >>> right = Stream(["Good ", "bye"], format="pieces")
        >>> with merge({"left": left, "right": right}) as merged:
        ...     labels = {label for label, event in merged}
        >>> sorted(labels), merged.messages["right"].text
        (['left', 'right'], 'Good bye')
    """
    kind = _find_common_kind(streams)
    if kind is None:
        # Without streams, nothing shows the kind of the loop, so this merge supports both.
        return _NoStreams(streams, fail_fast=fail_fast)
    if kind is AsyncStream:
        return AsyncMerge(streams, fail_fast=fail_fast)
    return Merge(streams, fail_fast=fail_fast)


def _find_common_kind(streams: object) -> type[Stream | AsyncStream] | None:
    """Return the class of the streams in a mapping, each of one kind and there once; None if it is empty."""
    if not is_mapping(streams):
        raise MisuseError(
            'merge takes streams by their labels, merge({"search": stream, "write": other}), '
            f"not {class_name_of(streams)}"
        )
    labels: dict[int, object] = {}
    kinds: dict[type[Stream | AsyncStream], object] = {}
    for label, stream in streams.items():
        kind = next((kind for kind in (Stream, AsyncStream) if isinstance(stream, kind)), None)
        if kind is None and isinstance(stream, StreamBase):
            raise MisuseError(f"{label!r} is one of several readers: merge takes the stream itself")
        if kind is None:
            raise MisuseError(
                f"merge takes streams, and {label!r} is {class_name_of(stream)}: wrap it in a Stream"
            )
        other = labels.setdefault(id(stream), label)
        if other != label:
            raise MisuseError(f"{label!r} and {other!r} are the same stream: give it one label")
        kinds.setdefault(kind, label)
    if len(kinds) > 1:
        raise MisuseError(
            f"{kinds[Stream]!r} is a Stream and {kinds[AsyncStream]!r} an AsyncStream: merge one kind only"
        )
    return next(iter(kinds), None)


class AsyncMerge(MergeBase[K, AsyncStream, AsyncDriver]):
    """Asynchronous iterator over the labelled events of several streams, which are read at the same time.

    Each stream has its own reading task, as without a merge. On trio, these tasks
    need `async with`.

    Args:
        streams: The streams by label.
        fail_fast: True to end all streams when the first stream fails.
    """

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

    def __aiter__(self) -> AsyncIterator[LabelledEvent[K]]:
        self._check_events_left()
        return self

    async def __anext__(self) -> LabelledEvent[K]:
        """Return the next event of any stream; refuse while another task waits for one."""
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
        if self._tasks is None:
            self._tasks = await enter_group(find_host())
        pumps = [driver.pump for driver in self._drivers]
        # `share_tasks` returns False for a stream inside its own `async with` block, which has its own tasks.
        self._shared += [pump for pump in pumps if pump.share_tasks(self._tasks)]
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
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

    async def _next_event(self) -> LabelledEvent[K]:
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
        raise raised_anew(failure)

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
        self._handle_alarms()
        if not queue.numbers:
            alarm = queue.waiter = self._alarm
            alarm.set_timer(self._alarms[0][0] if self._alarms else math.inf)
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
        if queue.numbers:
            return
        waiter = queue.waiter = Event()
        try:
            with move_on_after(seconds):
                await waiter.wait()
        finally:
            queue.waiter = None

    async def _close(self, *, failed: bool) -> None:
        """Close all streams at the same time, and wait until all of them are closed."""
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

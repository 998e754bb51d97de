"""Sharing a stream among several consumers in `async for` loops, in any tasks of one event loop.

A *hub* reads the stream for all *readers*, each of which has a *cursor* in the stream.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import refuse_block
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._fan_out.hub import BroadcastBase, Hub
from tokenstream.stream._fan_out.queue import PATIENCE
from tokenstream.stream._fan_out.reader import ReaderDriver, ReaderFacts
from tokenstream.stream._reading.host import find_host
from tokenstream.stream._refusals import concurrent_read_error
from tokenstream.stream._views.choices import AsyncStreamOfEvents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

    import anyio

    from tokenstream._basics.loose import Action
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.stream._fan_out.queue import Finder, FoundT, ReaderCursor
    from tokenstream.stream._reading.async_pump import AsyncPump


class AsyncHub(Hub[AsyncDriver]):
    """Reads a stream once for all readers of a broadcast, in any tasks of one event loop."""

    def __init__(self, driver: AsyncDriver) -> None:
        if driver.pump.busy:
            raise concurrent_read_error()
        super().__init__(driver)
        self._current: Action | None = None
        """A function that returns the running task; None before the first read."""
        self._wake_event: anyio.Event | None = None
        """Set to make waiting readers look again; None if no reader waits."""
        self._room_event: anyio.Event | None = None
        """Set once the queue has room again; None if no reader waits for room."""

    def identify_caller(self) -> object:
        """Return the current task, or the current thread outside of any task."""
        current: Any = self._current
        if current is not None:
            try:
                return current() or threading.current_thread()
            except RuntimeError:
                # A source that needs no event loop may also be read in another loop, or in none.
                self._current = None
        host = find_host()
        if host is None:
            return threading.current_thread()
        # The function is `asyncio.current_task` or `trio.lowlevel.current_task`.
        library = sys.modules[host.name]
        self._current = current = getattr(library, "lowlevel", library).current_task
        return current() or threading.current_thread()

    async def wait_for(
        self, cursor: ReaderCursor, find_item: Finder[FoundT], until: float | None, *, pauses: bool = False
    ) -> FoundT | None:
        """Read, or wait for another reader, until `find_item` returns an item, or the time `until` is over.

        The arguments, the result and the errors are those of `SyncHub.wait_for`.
        """
        if cursor.in_use:
            raise concurrent_read_error()
        cursor.in_use = True
        try:
            while (item := find_item()) is None:
                if self.has_ended:
                    # This raises the stream's error, or the exception that ends the reader's loop.
                    await self.driver.step()
                if self.has_waited(until, pauses=pauses):
                    return None
                await self._read_or_wait(cursor, until)
        finally:
            self.end_reading(cursor)
        return item

    async def look_now(
        self, find_item: Finder[FoundT], read: Callable[[], Awaitable[Event | None]]
    ) -> FoundT | None:
        """Return the result of `find_item`; if that is None, `read` what has arrived, and call it again."""
        caller = self.identify_caller()
        if (item := find_item()) is None and self._may_read(caller):
            await self._read(caller, read)
            item = find_item()
        if item is None and self.has_ended:
            # This raises the stream's error, or the exception that ends the reader's loop.
            await self.driver.step()
        return item

    def make_reader(self, name: str | None = None) -> AsyncBroadcastReader:
        """Return a new reader, named in error messages by a name, or by a number if that is None."""
        return AsyncBroadcastReader(_AsyncReaderDriver(self, self.add_reader(name)), 0)

    def make_broadcast(self, cursor: ReaderCursor) -> tuple[AsyncBroadcast, AsyncDriver]:
        return AsyncBroadcast(self), _AsyncReaderDriver(self, cursor, is_stream=True)

    async def run_alone(self, function: Callable[[], Awaitable[object]]) -> None:
        """Wait until no reader uses the driver, then call a function while all readers wait."""
        caller = self.identify_caller()
        while self.leader is not None:
            if self.leader is caller:
                # Code that the read itself has called would wait for itself.
                raise concurrent_read_error()
            await self._wait(None)
        with self.lead(caller):
            await function()

    def wake(self) -> None:
        """Wake the tasks that wait for an event, and ring the bells that wake loops over several streams.

        An `anyio.Event` can be set only once, so tasks that wait later get a new one.
        """
        super().wake()
        event, self._wake_event = self._wake_event, None
        if event is not None:
            event.set()

    def announce_room(self) -> None:
        """Wake the loops that wait for several streams, and the task that waits for room in a full queue."""
        super().announce_room()
        room, self._room_event = self._room_event, None
        if room is not None:
            room.set()

    async def close(self, *, failed: bool = False) -> None:
        """Close the stream for all readers."""
        # Between two reads the pump is marked as busy, so that only this hub can use it.
        self.free_pump()
        try:
            await self.driver.close(failed=failed)
        finally:
            self.announce_end()

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, for all readers; any thread or task may call this."""
        self.driver.stop(reason)
        # Only the thread of the event loop can wake the readers.
        self.driver.pump.call_soon(self.announce_end)

    def announce_end(self) -> None:
        self.wake()
        self.announce_room()
        self.notify_listeners()

    async def remove_reader(self, cursor: ReaderCursor) -> None:
        """Forget a reader, and let the readers that wait for it go on."""
        cursor.is_closed = True
        self.wake()
        self.announce_room()

    # -- within ------------------------------------------------------------

    async def _read_or_wait(self, cursor: ReaderCursor, until: float | None) -> None:
        """Read one event for all readers; wait instead while another reader reads or the queue is full."""
        caller = self.identify_caller()
        if self.leader is not None:
            if self.leader is caller:
                # Code that the read itself has called, such as a guard, tries to read the stream.
                raise concurrent_read_error()
            await self._wait(until)
        elif self.check_slow(caller, recheck=self.watcher is cursor):
            if self.watcher is None:
                self.watcher = cursor
            # Only the watcher looks for room; its read wakes the other readers.
            if self.watcher is cursor:
                await self._wait_for_room(until)
            else:
                await self._wait(until)
        elif self.driver.has_ended:
            # After the end, `step_until` would drop the `Stopped` event of a guard.
            await self._read(caller, self.driver.__anext__)
        else:
            pauses = not self.driver.rests  # once, so that views look at what has arrived
            await self._read(caller, partial(self.driver.step_until, until, pauses=pauses))

    async def _wait(self, until: float | None) -> None:
        """Wait until `wake` is called, or until a time."""
        import anyio

        self.driver.pump.check_host()
        if self._wake_event is None:
            self._wake_event = anyio.Event()
        if until is None:
            await self._wake_event.wait()
            return
        with anyio.move_on_after(max(until - self.driver.clock(), 0.0)):
            await self._wake_event.wait()

    async def _wait_for_room(self, until: float | None) -> None:
        """Wait until a full queue may have room, for `PATIENCE` at most."""
        import anyio

        self.driver.pump.check_host()
        self._room_event = anyio.Event()
        seconds = PATIENCE if until is None else min(max(until - self.driver.clock(), 0.0), PATIENCE)
        with anyio.move_on_after(seconds):
            await self._room_event.wait()

    async def _read(self, caller: object, read: Callable[[], Awaitable[Event | None]]) -> None:
        """Read one event for all readers, in the task `caller`."""
        with self.lead(caller):
            self.publish(await read())
        self.notify_listeners()


if TYPE_CHECKING:

    class _AsyncReads(ReaderDriver, AsyncDriver):  # type: ignore[misc, override] # some members are the hub's
        """For type checkers, a reader's driver has all members of the stream's driver."""

else:
    _AsyncReads = ReaderDriver


class _AsyncReaderDriver(_AsyncReads):
    """The driver of one reader of a broadcast, which any task may use."""

    __slots__ = ()

    if TYPE_CHECKING:
        hub: AsyncHub
        pump: AsyncPump

    def __aiter__(self) -> AsyncIterator[Event]:
        """Return this driver, unless all events of this reader were read: then refuse another loop."""
        self.check_events_left()
        return self

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, for all readers."""
        self.hub.stop(reason)

    def expire(self) -> None:
        # While a full queue prevents all reads, the stream does not count as silent.
        if not self.is_reading and not self.hub.is_full:
            self.hub.driver.expire()
            self.hub.wake()

    def poll_fast(self) -> None:
        """Return None, because a reader has no fast path: `poll` also wakes the other readers."""

    def __anext__(self) -> Coroutine[Any, Any, Event]:  # type: ignore[override] # without `until`
        event: Coroutine[Any, Any, Event] = self.next_event()
        return event


class AsyncBroadcast(BroadcastBase):
    """One stream for several consumers that come and go; see `AsyncStream.broadcast`.

    Example:
        >>> import asyncio
        >>> from tokenstream import AsyncStream
        >>> async def main() -> list[str]:
        ...     hub = AsyncStream(["The ", "sky"], format="pieces").broadcast()
        ...     readers = [hub.reader(), hub.reader()]
        ...     return [message.text for message in await asyncio.gather(*(one.final() for one in readers))]
        >>> asyncio.run(main())
        ['The sky', 'The sky']
    """

    __slots__ = ()

    _hub: AsyncHub

    def reader(self, *, name: str | None = None) -> AsyncBroadcastReader:
        """Return a new reader, which begins at the start of the answer.

        Args:
            name: The reader's name in error messages; None for a number.
        """
        return self._hub.make_reader(name)


class AsyncBroadcastReader(ReaderFacts, AsyncStreamOfEvents):
    """One of several consumers of a stream, with the views and events of a stream.

    One task at a time may use a reader. Closing it, or dropping it unclosed, affects
    neither the stream nor the other readers.
    """

    async def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; the error's `.partial` has the answer so far.
            OutputIncomplete: `Retry.most` has stopped the answer, or not sent its request.
        """
        step = self._driver.step
        while True:
            try:
                await step()
            except StopAsyncIteration:
                return self._take_final()

    async def run(self, router: Router) -> ToolResults:
        """Read to the end and call the router's handlers; see `AsyncStream.run`.

        If a handler raises an exception, only this reader is closed.
        """
        from tokenstream.stream._running import run_async

        # The driver itself returns the news for views, but handlers need the events.
        return await run_async(self._driver.event_driver, self._cursors, router)

    async def aclose(self) -> None:
        """Close this reader; the stream and the other readers go on. Closing twice does no harm."""
        await self._reader_driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


refuse_block(AsyncBroadcastReader, is_async=True)

"""Sharing a stream among several consumers in `for` loops, in one thread or several.

A *hub* reads the stream for all *readers*, each of which has a *cursor* in the stream.
"""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import refuse_block
from tokenstream._sources.kinds import SourceHolder
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._fan_out.hub import BroadcastBase, Hub
from tokenstream.stream._fan_out.queue import PATIENCE
from tokenstream.stream._fan_out.reader import ReaderDriver, ReaderFacts, SharedCursor
from tokenstream.stream._reading.pump import Pump
from tokenstream.stream._refusals import concurrent_read_error
from tokenstream.stream._sync_driver import SyncDriver
from tokenstream.stream._views.choices import StreamOfEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokenstream._basics.loose import Action
    from tokenstream._pipeline.glance import Pull
    from tokenstream.errors import AnswerFailure
    from tokenstream.events import Event
    from tokenstream.message import Message
    from tokenstream.router import Router, ToolResults
    from tokenstream.stream._fan_out.queue import Finder, FoundT, ReaderCursor
    from tokenstream.stream._reading.items import ArrivalBell, TimedItem


class SyncHub(Hub[SyncDriver]):
    """Reads a stream once for all readers of a broadcast, which may be used in any threads."""

    def __init__(self, driver: SyncDriver) -> None:
        pump = driver.pump
        # No other thread may read while the pump is replaced.
        if not pump.begin_read():
            raise concurrent_read_error()
        # Reentrant, because a guard or a listener, which is called under the lock, may stop the stream
        # or read a view.
        self.lock = threading.RLock()
        """Held while the message grows, and by every thread that looks at it."""
        self._changed = threading.Condition(self.lock)
        """Wakes all waiting readers."""
        self.reads_ahead = False
        """True once a reader has asked for a thread that reads the source."""
        self._room = threading.Condition(self.lock)
        """Wakes the one thread that waits until a full queue has room; see `Hub.watcher`."""
        driver.pump = self._pump = SharedPump(pump, self.lock)
        pump.end_read()
        super().__init__(driver)

    def __del__(self) -> None:
        """Let the stream be read without this hub's lock, as before; the hub's creation may have failed."""
        super().__del__()
        pump = getattr(self, "_pump", None)
        if pump is not None:
            pump.end_sharing()

    def wait_for(
        self, cursor: ReaderCursor, find_item: Finder[FoundT], until: float | None, *, pauses: bool = False
    ) -> FoundT | None:
        """Read, or wait for another reader, until `find_item` returns an item; return None if time is up.

        A reader that `pauses` also gets None once only the rest of the connection is left to be read.
        """
        with self.lock:
            if cursor.in_use:
                raise concurrent_read_error()
            cursor.in_use = True
            try:
                while (item := find_item()) is None:
                    if self.has_ended:
                        # This raises the stream's error, or the exception that ends the reader's loop.
                        self.driver.step()
                    if self.has_waited(until, pauses=pauses):
                        return None
                    self._read_or_wait(cursor, until)
            finally:
                self.end_reading(cursor)
        return item

    def look_now(self, find_item: Finder[FoundT], read: Pull) -> FoundT | None:
        """Return the result of `find_item`; if that is None, `read` what has arrived, and call it again."""
        with self.lock:
            caller = self.identify_caller()
            if (item := find_item()) is None and self._may_read(caller):
                self._read(caller, read)
                item = find_item()
            if item is None and self.has_ended:
                # This raises the stream's error, or the exception that ends the reader's loop.
                self.driver.step()
        return item

    def make_reader(self, name: str | None = None) -> BroadcastReader:
        """Return a new reader, named in error messages by a name, or by a number if that is None."""
        return BroadcastReader(_SyncReaderDriver(self, self.add_reader(name)), 0)

    def make_broadcast(self, cursor: ReaderCursor) -> tuple[Broadcast, SyncDriver]:
        return Broadcast(self), _SyncReaderDriver(self, cursor, is_stream=True)

    def run_alone(self, function: Action) -> None:
        """Wait until no reader uses the driver, then call a function while all readers wait."""
        with self.lock:
            caller = self.identify_caller()
            while self.leader is not None:
                if self.leader is caller:
                    # Code that the read itself has called would wait for itself.
                    raise concurrent_read_error()
                self._changed.wait()
            with self.lead(caller):
                function()

    def end(self, function: Action) -> None:
        """Call a function that ends the stream, and wake all readers."""
        with self.lock:
            # Between two reads the pump seems busy, and the driver would leave the ending to that read.
            self.free_pump()
            try:
                function()
            finally:
                # From now on, the pump refuses reads again.
                self.driver.pump.busy = True
                self.wake()
                self.announce_room()
        self.notify_listeners()

    def wake(self) -> None:
        """Wake the threads that wait for the stream, and the loops that also read other streams."""
        super().wake()
        self._changed.notify_all()

    def announce_room(self) -> None:
        """Wake the thread that waits for room in a full queue, and the loops that also read other streams."""
        super().announce_room()
        self._room.notify_all()

    def begin_polling(self, bell: ArrivalBell) -> None:
        """Begin to read for a loop over several streams, under the lock; `bell` is rung on each arrival."""
        with self.lock:
            super().begin_polling(bell)

    def close(self, *, quiet: bool = False) -> None:
        """Close the stream for all readers; if `quiet`, errors of closing the source are only logged."""
        self.end(partial(self.driver.close, quiet=quiet))

    def remove_reader(self, cursor: ReaderCursor) -> None:
        """Forget a reader, and let the readers that wait for it go on."""
        cursor.is_closed = True
        with self.lock:
            self.wake()
            self.announce_room()

    # -- within ------------------------------------------------------------

    def _read_or_wait(self, cursor: ReaderCursor, until: float | None) -> None:
        """Read one event for all readers; wait instead while another reader reads or the queue is full."""
        caller = self.identify_caller()
        if self.leader is not None:
            if self.leader is caller:
                # Code that the read itself has called, such as a guard, tries to read the stream.
                raise concurrent_read_error()
            self._wait(self._changed, until)
        elif self.check_slow(caller, recheck=self.watcher is cursor):
            if self.watcher is None:
                self.watcher = cursor
            # Only the watcher looks for room, every `PATIENCE` seconds, because slow readers may be gone
            # without notice; its read wakes the other readers.
            if self.watcher is cursor:
                self._wait(self._room, until, PATIENCE)
            else:
                self._wait(self._changed, until)
        else:
            if self.reads_ahead and not self.driver.waits_in_time:
                self.run_alone(self.driver.read_ahead)
            pauses = not self.driver.rests  # once, so that views look at what has arrived
            if self.driver.has_ended:
                # After the end, `step_until` would drop the `Stopped` event of a guard.
                self._read(caller, self.driver.__next__)
            else:
                self._read(caller, partial(self.driver.step_until, until, pauses=pauses))

    def _wait(
        self, condition: threading.Condition, until: float | None, max_seconds: float = threading.TIMEOUT_MAX
    ) -> None:
        seconds = max_seconds if until is None else max(until - self.driver.clock(), 0.0)
        condition.wait(min(seconds, max_seconds))

    def _read(self, caller: object, read: Pull) -> None:
        """Read one event for all readers, in the thread `caller`."""
        with self.lead(caller):
            self.publish(read())
        # Listeners are called without the lock, so that they may wait for another thread.
        self.lock.release()
        try:
            self.notify_listeners()
        finally:
            self.lock.acquire()


class _LockedSharedCursor(SharedCursor[ItemT]):
    """A cursor in an answer to which another thread may be adding."""

    _hub: SyncHub

    def ready(self) -> ItemT | None:
        with self._hub.lock:
            return super().ready()

    def after(self, event: object) -> ItemT | None:
        with self._hub.lock:
            return super().after(event)

    def end(self) -> ItemT | None:
        with self._hub.lock:
            return super().end()


if TYPE_CHECKING:

    class _SyncReads(ReaderDriver, SyncDriver):  # type: ignore[misc, override] # some members are the hub's
        """For type checkers, a reader's driver has all members of the stream's driver."""

else:
    _SyncReads = ReaderDriver


class _SyncReaderDriver(_SyncReads):
    """The driver of one reader of a broadcast, which any thread may use."""

    __slots__ = ()

    cursor_type = _LockedSharedCursor

    if TYPE_CHECKING:
        hub: SyncHub
        pump: Pump

    def __iter__(self) -> Iterator[Event]:
        """Return this driver, unless all events of this reader were read: then refuse another loop."""
        with self.hub.lock:
            self.check_events_left()
        return self

    def __next__(self, pauses: bool = False) -> Event:  # noqa: FBT001, FBT002 - as in `SyncDriver`
        event: Event = self.next_event()
        return event

    def read_all(self) -> None:
        try:
            while True:
                self.step()
        except StopIteration:
            pass

    @property
    def waits_in_time(self) -> bool:
        hub = self.hub
        return hub.reads_ahead or hub.driver.waits_in_time

    def read_ahead(self) -> None:
        """Let a thread read the source from the next read on, so that a read can have a time limit.

        If another reader is reading now, that read goes on without a thread. For this reader that makes no
        difference, because its wait for the other reader can have a time limit anyway.
        """
        self.hub.reads_ahead = True

    def expire(self) -> None:
        with self.hub.lock:
            # While a full queue prevents all reads, the stream does not count as silent.
            if not self.is_reading and not self.hub.is_full:
                self.hub.run_alone(self.hub.driver.expire)

    def fall_back(self, error: AnswerFailure) -> None:
        self.hub.end(partial(self.hub.driver.fall_back, error))

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, for all readers."""
        self.hub.end(partial(self.hub.driver.stop, reason))


class Broadcast(BroadcastBase):
    """One stream for several consumers that come and go; see `Stream.broadcast`.

    Example:
        >>> from tokenstream import Stream
        >>> with Stream(["Hel", "lo"], format="pieces") as stream:
        ...     hub = stream.broadcast()
        ...     one, two = hub.reader(), hub.reader()
        ...     print(next(one.text), list(two.text), list(one.text))
        Hel ['Hel', 'lo'] ['Hello']
    """

    __slots__ = ()

    _hub: SyncHub

    def reader(self, *, name: str | None = None) -> BroadcastReader:
        """Return a new reader, which begins at the start of the answer.

        Args:
            name: The reader's name in error messages; None for a number.
        """
        return self._hub.make_reader(name)


class BroadcastReader(ReaderFacts, StreamOfEvents):
    """One of several consumers of a stream, with the views and events of a stream.

    One thread at a time may use a reader. Closing it, or dropping it unclosed, affects
    neither the stream nor the other readers.
    """

    def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; the error's `.partial` has the answer so far.
            OutputIncomplete: `Retry.most` has stopped the answer, or not sent its request.
        """
        self._driver.read_all()
        return self._take_final()

    def run(self, router: Router) -> ToolResults:
        """Read to the end and call the router's handlers; see `Stream.run`.

        If a handler raises an exception, only this reader is closed.
        """
        from tokenstream.stream._running import run

        # The driver itself returns the news for views, but handlers need the events.
        return run(self._driver.event_driver, self._cursors, router)

    def close(self) -> None:
        """Close this reader; the stream and the other readers go on. Closing twice does no harm."""
        self._reader_driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


refuse_block(BroadcastReader, is_async=False)


class SharedPump(Pump):
    """A pump that releases a broadcast's lock while it waits, so that other threads can read the message."""

    def __init__(self, pump: Pump, lock: Any) -> None:  # noqa: ANN401 - an RLock, whose class is not public
        # This pump replaces the given pump, and takes over its state.
        for name in (*SourceHolder.__slots__, *Pump.__slots__):
            setattr(self, name, getattr(pump, name))
        self._lock = lock
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def replace(self, source: Any) -> None:  # noqa: ANN401 - a source, opened or not
        super().replace(source)
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def put_back(self, items: Iterable[TimedItem]) -> None:
        super().put_back(items)
        # With `direct`, the driver would read without releasing the lock.
        self.direct = None

    def end_sharing(self) -> None:
        """Read without the lock from now on: the broadcast is gone, so that nobody holds its lock."""
        self._lock = None

    def read(self, until: float | None) -> object:
        """Read the next item until a time, as the base class does, without holding the lock."""
        return self._wait_unlocked(super().read, until)

    def wait_for_retry(self, until: float | None) -> object:
        """Wait, without holding the lock, until the next attempt may begin; return `WAITED`."""
        return self._wait_unlocked(super().wait_for_retry, until)

    def _wait_unlocked(self, wait: Callable[[float | None], object], until: float | None) -> object:
        """Wait without holding the lock, which nobody else needs once the sharing has ended."""
        lock = self._lock
        if lock is None:
            return wait(until)
        lock.release()
        try:
            return wait(until)
        finally:
            lock.acquire()

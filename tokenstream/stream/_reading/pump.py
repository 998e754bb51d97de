"""The pump of a `for` loop, which opens, reads and closes a source; any thread may stop it."""

from __future__ import annotations

import math
import threading
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import SKIPPED, LazySource, LimitRead, SourceHolder, SyncSource
from tokenstream.stream._reading.items import END, LOST, WAITED, SourceFailed, SourceOpened
from tokenstream.stream._reading.read_limit import LEAST_SECONDS, ReadLimit
from tokenstream.stream._reading.wake import ReadTimer, shut_down

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenstream.stream._driver import Driver
    from tokenstream.stream._protocols import Clock
    from tokenstream.stream._reading.items import ArrivalBell, TimedItem
    from tokenstream.stream._reading.read_ahead import ReadAhead

_LONG_SECONDS = 590.0
"""Time limit from which on the transport's own timeout suffices for the head; a timer needs a thread."""


class Pump(SourceHolder["SyncSource"]):
    """Reads a source for one reader at a time.

    Call `begin_read` before a read and `end_read` after it; `stop` and `close` may be
    called from any thread. Between two reads the source may be replaced.
    """

    __slots__ = (
        "_clock",
        "_limit",
        "_read_ahead",
        "_socket",
        "_stopped",
        "_wake_event",
        "busy",
        "chunks",
        "closed",
        "direct",
        "limit_read",
        "lock",
        "pending",
    )

    def __init__(self, source: SyncSource | LazySource, clock: Clock) -> None:
        self._clock = clock
        self._stopped = False
        self._wake_event: threading.Event | None = None
        """Set to end a wait between two sources; None when no wait is in progress."""
        # Reentrant, so that Ctrl-C between `acquire` and the `try` after it does not lock out this thread.
        self.lock = threading.RLock()
        """Held by the reading thread."""
        self.busy = False
        """True while a read is in progress, in this thread or in another one."""
        self.pending = False
        """True from a read's start until its item is stored: after a Ctrl-C between, it may be lost."""
        self.replace(source)

    def replace(self, source: SyncSource | LazySource) -> None:
        """Read from another source from now on; the previous source must already be closed."""
        self.closed = False
        self._read_ahead: ReadAhead | None = None
        """The reading thread; None if the loop itself reads."""
        self.chunks: Iterator[Any] | None = None
        """The chunks of the open source; None until it is opened."""
        self.limit_read: LimitRead | None = None
        """Limits the source's next read to a number of seconds; None if its reads cannot be limited."""
        self.direct: Iterator[Any] | None = None
        """The chunks, if a read is only a call of `next`, which drivers then make themselves; else None."""
        self._limit: ReadLimit | None = None
        """Limits the waits of the source's reads; None if they are not limited."""
        self._socket = source.socket
        if isinstance(source, LazySource):
            self.lazy, self.source = source, None
        else:
            self.lazy, self.source = None, source
            self.chunks = source.chunks
            self.limit_read = source.limit_read
            self.direct = None if self.limit_read is not None else self.chunks

    def limit_waits(self, driver: Driver) -> None:
        """Limit the waits of the open source by a driver's deadlines, if the source can do that.

        A source that a thread reads needs no limit, since the loop's wait for the thread has one.
        """
        source = self.source
        if source is not None and source.keep_limit is not None and self._read_ahead is None:
            self._limit = ReadLimit(driver)
            source.keep_limit(self._limit)

    def _end_limit(self) -> None:
        """Stop limiting the source's waits, because a thread is going to read it."""
        if self._limit is not None:
            self._limit.turn_off()
            self._limit = None

    @property
    def needs_no_limit(self) -> bool:
        """True if the source itself applies the deadlines, or if nothing could end its reads."""
        return self._limit is not None or self._socket is None

    @property
    def can_be_woken(self) -> bool:
        """True if a thread can be woken from its read: by its socket, or because it looks up now and then."""
        source = self.source or self.lazy
        return self._socket is not None or getattr(source, "read_ahead", None) is not None

    def put_back(self, items: Iterable[TimedItem]) -> None:
        """Give items back, with their times, so that the next reads return them before all other items."""
        self.chunks = chain([item for _, item in items], self.chunks or ())
        # A source whose reads can be limited is not read directly, as its limit has to be set first.
        self.direct = None if self.limit_read is not None else self.chunks

    def listen(self, bell: ArrivalBell | None) -> None:
        """Let a thread open and read the source, and set a `bell` when something has arrived."""
        reader, source = self._read_ahead, self.source
        if reader is None:
            # Hardly any stream needs a thread.
            from tokenstream.stream._reading.read_ahead import ReadAhead

            if self.lazy is not None:
                # The thread also opens the source.
                reader = ReadAhead((), self.lazy.socket, self.lazy)
            elif self.chunks is None or source is None:
                # The source is closed.
                return
            elif source.read_ahead is not None:
                # The source is one answer of a shared connection, whose reads can then be limited.
                reader = ReadAhead(self.chunks, self._socket, limit_read=source.read_ahead())
            else:
                if self.limit_read is not None:
                    # The thread waits without a limit; only the loop's wait for the thread has one.
                    self.limit_read(None)
                self._end_limit()
                reader = ReadAhead(self.chunks, self._socket)
            # From now on, chunks come from the thread, and never directly from the source.
            self._read_ahead = self.chunks = reader
            self.limit_read, self.direct = reader.limit_read, None
        reader.bell = bell

    @property
    def has_item(self) -> bool:
        """True if the next read returns at once, because the thread has an item for it."""
        return self._read_ahead is not None and self._read_ahead.has_item

    def find_turn(self, *, has_waited: bool) -> bool | None:
        """Return True if something may have arrived that the source can still deliver, else False.

        The result is None if another read is of no use, such as of a source whose last read `has_waited` in
        vain, and has ended it thereby.
        """
        if self._limit is not None:
            return None if has_waited else True
        has_connection = self._read_ahead is not None or self._socket is not None
        return self.has_item if self.limit_read is not None and has_connection else None

    @property
    def will_ring(self) -> bool:
        """True if all items were taken, and the thread will ring the bell of `listen` for the next one."""
        reader = self._read_ahead
        return reader is not None and reader.bell is not None and not reader.has_item

    @property
    def begun(self) -> bool:
        """True once the source is open, whether a thread or the loop reads it."""
        return self.chunks is not None

    def finish(self) -> bool:
        """End the reading thread, whose items can still be taken; return False if there is no such thread."""
        if self._read_ahead is None:
            return False
        self._read_ahead.finish()
        return True

    def read_ahead(self) -> None:
        """Let a thread open and read the source, so that a read can have a time limit."""
        if self.limit_read is not None:
            # The source's reads can be limited without a thread.
            return
        if self.source is None or self.source.read_ahead is None:
            self.listen(None)
        else:
            # The source is one answer of a shared connection, which a thread reads from now on.
            self.limit_read, self.direct = self.source.read_ahead(), None

    # -- reading -----------------------------------------------------------

    def begin_read(self) -> bool:
        """Begin to read; return False if a read is already in progress."""
        if self.busy or not self.lock.acquire(blocking=False):
            return False
        self.busy = True
        return True

    def end_read(self) -> None:
        """End the read, so that other threads can read."""
        self.busy = False
        self.lock.release()

    def read(self, until: float | None) -> Any:  # noqa: ANN401 - a chunk, or an item of `_items`
        """Return the next chunk, or an item of `_reading.items` that says why no chunk has arrived.

        Ctrl-C may strike between any two statements, so the order matters:

        1. `pending` becomes True.
        2. The source is read.
        3. The caller stores the item.
        4. The caller sets `pending` to False.

        A read that finds `pending` True returns `LOST`, since an item may be lost.
        """
        if self.pending:
            # An interrupted generator has ended, which would look like the end of the source. With
            # another kind of source, a chunk may be lost.
            return LOST
        timer = None
        try:
            self.pending = True
            if self._stopped:
                return END
            chunks = self.chunks
            seconds = None if until is None else max(until - self._clock(), 0.0)
            if chunks is None:
                return self._open(seconds) if self._wait_for_retry(seconds) else WAITED
            if self.limit_read is not None:
                self.limit_read(seconds)
            elif seconds is not None and self._socket is not None:
                # The timer ends the read, and the source with it.
                with ReadTimer(self._socket, seconds) as timer:
                    return self._next_chunk(chunks)
            return self._next_chunk(chunks)
        except Exception as error:  # noqa: BLE001 - raised later, after the events before it
            return WAITED if self._is_timeout(error, timer) else SourceFailed(error)

    def _is_timeout(self, error: Exception, timer: ReadTimer | None) -> bool:
        """Return True if a read has failed only because its time was over, for example by a timer."""
        from tokenstream._sources.causes import find_foreign

        if find_foreign(error) is not None:
            return False
        if timer is not None:
            was_limited = timer.fired
        else:
            # If a thread reads, it raises `ReadTimeout`; a TimeoutError is then an error of the source.
            from tokenstream.stream._reading.read_ahead import ReadTimeout

            timeout_error = TimeoutError if self._read_ahead is None else ReadTimeout
            was_limited = self.limit_read is not None and isinstance(error, timeout_error)
        return was_limited or (self._limit is not None and self._limit.has_passed(error))

    @property
    def awaits_retry(self) -> bool:
        """True while the source may not be opened yet, because of a delay before a retry."""
        return self.lazy is not None and self.lazy.wait > 0

    def wait_for_retry(self, until: float | None) -> Any:  # noqa: ANN401 - an item of `_items`
        """Wait until the source may be opened, and return `WAITED`; the next read opens the source."""
        self._wait_for_retry(None if until is None else max(until - self._clock(), 0.0))
        return WAITED

    def convert(self, item: object) -> Any:  # noqa: ANN401 - a payload, or an item of `_items`
        """Convert an item that a driver has taken from `direct` itself, to what `read` would have returned.

        To take chunks from `direct`, the iterator of the source, is faster than to call `read`.

        | item                               | result                                               |
        |------------------------------------|------------------------------------------------------|
        | an object that the source converts | its payload; the next chunk, if the object is skipped |
        | `SourceFailed`, after a deadline   | `WAITED`, because the error only ended the wait      |
        | any other, such as `END`           | the same item                                        |

        An exception of the conversion is returned as `SourceFailed`.
        """
        if isinstance(item, SourceFailed):
            return WAITED if self._is_timeout(item.error, None) else item
        source = self.source
        if item is END or source is None or source.convert is None:
            return item
        try:
            payload = source.convert(item)
            # An open source has `chunks`; the empty iterator only stands in for None.
            return self._next_chunk(self.chunks or iter(())) if payload is SKIPPED else payload
        except Exception as error:  # noqa: BLE001 - as in `read`
            return SourceFailed(error)

    def _next_chunk(self, chunks: Iterator[Any]) -> Any:  # noqa: ANN401 - a chunk, or END
        """Return the next chunk, or `END`, or the `SourceOpened` of a source that the thread has opened."""
        if self.source is not None:
            return self.source.next_chunk(chunks, END)
        item: Any = next(chunks, END)
        if item.__class__ is SourceOpened:
            # The thread has opened the source and goes on reading.
            opened: Any = item.source
            self.set_source(opened)
            self._socket = opened.socket
        return item

    def _wait_for_retry(self, seconds: float | None) -> bool:
        """Wait until the source may be opened or `stop` is called; return False if the time was too short."""
        lazy = self.lazy
        if lazy is None or lazy.wait <= 0:
            return True
        wait = lazy.wait if seconds is None else min(lazy.wait, seconds)
        lazy.wait -= wait
        # Set the event first, so that a `stop` in another thread either finds it or is seen below.
        self._wake_event = threading.Event()
        if not self._stopped:
            self._wake_event.wait(wait)
        self._wake_event = None
        return lazy.wait <= 0

    def _open(self, seconds: float | None) -> Any:  # noqa: ANN401 - an item of `_items`
        """Open the source; `SourceOpened`, `WAITED`, `END` after `stop`, or `LOST` if it was interrupted."""
        if self._stopped:
            return END
        lazy, self.lazy = self.lazy, None
        if lazy is None:
            # Ctrl-C interrupted an earlier call after it had taken the source, as the line above does.
            return LOST
        until = math.inf if seconds is None else self._clock() + seconds
        if lazy.limit_open is not None and seconds is not None:
            # A little longer, so that the deadline has passed when the transport gives up.
            lazy.limit_open(lambda: max(until - self._clock(), 0.0) + LEAST_SECONDS)
        timer: ReadTimer | None = None
        try:
            if self._socket is None or seconds is None or seconds >= _LONG_SECONDS:
                # For so long a wait, the transport's own timeout suffices.
                source = lazy.open()
            else:
                # A server that sends the head byte by byte keeps the transport's own timeout from firing.
                with ReadTimer(self._socket, seconds) as timer:
                    source = lazy.open()
        except Exception as error:
            from tokenstream._sources.causes import find_foreign, is_timeout

            is_over = self._clock() >= until and is_timeout(error.__cause__ or error)
            if (is_over or (timer is not None and timer.fired)) and find_foreign(error) is None:
                return WAITED
            raise
        self.replace(source)
        if isinstance(source, LazySource):
            # It is to be opened again after a wait.
            return WAITED
        return SourceOpened(source, late=timer is not None and timer.fired)

    # -- ending ------------------------------------------------------------

    def stop(self) -> None:
        """Make a read in another thread return, at once if its socket is known."""
        # Set before `pending` is read, while the reading thread sets `pending` before it reads
        # this attribute. So at least one of the two threads sees what the other has set.
        self._stopped = True
        wake_event = self._wake_event
        if wake_event is not None:
            wake_event.set()
        if self.pending:
            shut_down(self._socket)
        reader = self._read_ahead
        if reader is not None:
            reader.stop()

    def close(self) -> None:
        """Close the source, unless it is closed already; raise an error of closing."""
        lazy, source = self.lazy, self.source
        try:
            # Cleared first, because closing a source may call this method again.
            self.lazy, self.source, self.closed = None, None, True
            if source is not None:
                if self._read_ahead is None:
                    source.close()
                else:
                    self._read_ahead.close(source.close)
            elif lazy is not None:
                if self._read_ahead is None:
                    lazy.discard()
                else:
                    # The thread may have opened the source meanwhile, which `drop` then closes.
                    self._read_ahead.close(self._read_ahead.drop)
        except Exception:
            # The source counts as closed even if closing it has failed.
            raise
        except BaseException:
            # After a Ctrl-C, the next call closes the source.
            self.lazy, self.source = lazy, source
            raise

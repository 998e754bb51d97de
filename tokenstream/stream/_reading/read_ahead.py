"""The thread that reads a source ahead of a `for` loop, so that the loop can wait with a time limit."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tokenstream._sources.kinds import LazySource, LimitRead, SyncSource, keep
from tokenstream.stream._log import log
from tokenstream.stream._reading.items import MAX_AHEAD, ArrivalBell, SourceOpened
from tokenstream.stream._reading.wake import shut_down

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenstream._basics.loose import Action, AnyFunction

CHECK_SECONDS = 0.1
"""Interval at which a thread that cannot be woken checks whether to go on."""
_CLOSING_SECONDS = 5.0
"""Time within which a source's read should return once its socket is shut down."""


class ReadTimeout(TimeoutError):
    """Nothing arrived within the read's time limit."""


class ReadAhead:
    """Iterator over chunks that a thread reads; a read that reaches its time limit loses nothing.

    Args:
        chunks: The chunks, which only the thread reads from now on.
        socket: Returns the socket whose shutdown wakes the thread; None if no socket is known.
        opening: The source that the thread opens first, instead of `chunks`; the thread then
            delivers a `SourceOpened` before the source's chunks.
        limit_read: Limits the source's next read to a number of seconds without losing chunks, so that
            the thread notices that it should end.
    """

    def __init__(
        self,
        chunks: Iterable[Any],
        socket: AnyFunction | None,
        opening: LazySource | None = None,
        limit_read: LimitRead | None = None,
    ) -> None:
        self._chunks = chunks
        self._limit_read = limit_read
        self._socket = socket
        self._opening = opening
        self._opened: SyncSource | None = None
        """The source that the thread has opened; None before that."""
        self.bell: ArrivalBell | None = None
        """Wakes a loop that also reads other streams when something has arrived; None without such a loop."""
        self._changed = threading.Condition()
        """Wakes both sides: the loop that waits for items, and the thread that waits for room."""
        self._items: deque[Any] = deque()
        """Items that the thread has read, and the loop has not taken yet."""
        self._seconds: float | None = None
        """Longest time for which the loop waits for an item; None for no limit."""
        self._is_reading = True
        """True while the thread waits for the source."""
        self._has_ended = False
        self._error: BaseException | None = None
        """The source's error, which the loop raises after the items that were read before the error."""
        self._stopped = False
        """True once the loop needs no more items, not even those that were read."""
        self._is_ending = False
        """True once the thread was asked to end; items that it has read can still be taken."""
        self._woken = False
        """True once the socket is shut down, so that the thread's read returns soon."""
        self._close: Action | None = None
        """Closes the source, if the thread has to do so; otherwise None."""
        self._thread = threading.Thread(target=self._run, name="tokenstream reader", daemon=True)
        self._thread.start()

    def limit_read(self, seconds: float | None) -> None:
        """Limit the next read to this many seconds; None for no limit."""
        self._seconds = None if seconds is None else min(seconds, threading.TIMEOUT_MAX)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - whatever a source gives
        """Return the next chunk, or the source's error once all chunks before it were returned.

        After the time that `limit_read` allows, this raises `ReadTimeout`.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._has_ended or self._stopped, self._seconds)
            if self._stopped:
                raise StopIteration
            if self._items:
                item = self._items.popleft()
                # The thread may wait for room.
                self._changed.notify_all()
                return item
            if not self._has_ended:
                raise ReadTimeout
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    @property
    def has_item(self) -> bool:
        """True if the next read returns at once."""
        # The end of the source is like an item, but not an end of the thread that `finish` asked for.
        return bool(self._items) or self._stopped or (self._has_ended and not self._is_ending)

    def stop(self) -> None:
        """Make a read in progress return."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._ring()

    def finish(self) -> None:
        """End the thread as soon as possible; items that it has read can still be taken."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            is_blocked = self._is_reading and not self._has_ended
        if is_blocked and not self._woken:
            # The thread waits in a read, from which this wakes it.
            self._woken = shut_down(self._socket)

    def drop(self) -> None:
        """Close the source if the thread has opened it, or else discard the request."""
        if self._opening is not None:
            self._opening.discard()
        elif self._opened is not None:
            self._opened.close()

    def close(self, close_source: Action) -> None:
        """End the thread and close the source.

        If the thread waits in a read that cannot be woken, the thread closes the source itself
        when that read returns.
        """
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            is_blocked = self._is_reading and not self._has_ended
        self._ring()
        # With `_limit_read`, the thread checks at intervals whether it should end.
        ends_soon = not is_blocked or self._woken or self._limit_read is not None
        if ends_soon or shut_down(self._socket):
            self._thread.join(_CLOSING_SECONDS)
        with self._changed:
            if not self._has_ended:
                self._close = close_source
                return
        close_source()

    def _run(self) -> None:
        """Read the source to its end, in the thread."""
        try:
            if self._opening is None or self._open(self._opening):
                limit_read = self._limit_read
                for item in self._chunks if limit_read is None else self._read_patiently(limit_read):
                    if not self._put_item(keep(item)):
                        break
        except BaseException as error:  # noqa: BLE001 - the loop raises it
            self._error = error
        finally:
            with self._changed:
                self._has_ended = True
                close = self._close
                self._changed.notify_all()
            self._ring()
            if close is not None:
                # The `close` method did not wait for this thread, which therefore closes the source.
                try:
                    close()
                except Exception as error:  # noqa: BLE001 - a source may raise anything; no caller could catch it
                    log("closing the source failed: %s", type(error).__name__)

    def _open(self, opening: LazySource) -> bool:
        """Open the source after its delay; return False if the thread should end."""
        source: Any = opening
        while isinstance(source, LazySource):
            with self._changed:
                self._is_reading = False
                if self._changed.wait_for(lambda: self._should_end, source.wait):
                    return False
                self._is_reading, self._opening = True, None
            source = source.open()
        self._opened = source
        self._chunks, self._socket = source.chunks, source.socket
        return self._put_item(SourceOpened(source))

    def _read_patiently(self, limit_read: LimitRead) -> Iterator[Any]:
        """Yield the chunks, and check at intervals whether the thread should end."""
        chunks = iter(self._chunks)
        while not self._should_end:
            limit_read(CHECK_SECONDS)
            with suppress(TimeoutError):
                # The iterator itself stands for its end, since it cannot be one of its own items.
                item = next(chunks, chunks)
                if item is chunks:
                    return
                yield item

    def _put_item(self, item: object) -> bool:
        """Pass an item to the loop; wait while too many are held; return False if the thread should end."""
        with self._changed:
            if self._should_end:
                return False
            self._is_reading = False
            self._items.append(item)
            self._changed.notify_all()
            self._ring()
            self._changed.wait_for(lambda: self._should_end or len(self._items) < MAX_AHEAD)
            self._is_reading = True
            return not self._should_end

    @property
    def _should_end(self) -> bool:
        return self._stopped or self._is_ending

    def _ring(self) -> None:
        """Wake the loop that reads this stream together with other streams, if there is one."""
        if self.bell is not None:
            self.bell.set()

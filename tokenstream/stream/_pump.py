"""The pump of a `for` loop: it opens, reads and closes a source, and is stopped from anywhere."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenstream.sources import Deferred, SyncSource
from tokenstream.sources._kinds import SKIPPED
from tokenstream.stream._items import END, LOST, WAITED, Failed, Opened
from tokenstream.stream._read_ahead import Late, ReadAhead
from tokenstream.stream._wake import Watch, shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokenstream.stream._items import Bell

__all__ = ["Pump"]

_LONG_SECONDS = 590.0
"""A wait for the head that is left to the transport's timeout: a timer is a thread, which takes its time."""


class Pump:
    """Reads a source for one reader at a time.

    Whoever reads enters first, and leaves when done; `stop` and `close` may be
    called from anywhere. Between two reads the source may be replaced.

    Args:
        source: The source, opened or not.
        clock: Where the time comes from, in seconds.
    """

    __slots__ = (
        "_ahead",
        "_clock",
        "_socket",
        "_stopped",
        "_woken",
        "bound",
        "busy",
        "chunks",
        "closed",
        "direct",
        "lock",
        "pending",
        "source",
    )

    def __init__(self, source: SyncSource | Deferred, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._stopped = False
        self._woken: threading.Event | None = None
        """Set to end a wait between two sources; None while there is none."""
        # Reentrant, so that Ctrl-C between taking it and the `try` behind locks out no one here.
        self.lock = threading.RLock()
        """Held by the thread that reads."""
        self.busy = False
        """A read is in progress, in this thread or in another one."""
        self.pending = False
        """The source is being read, or what it gave is not in its place. Still True after Ctrl-C."""
        self.replace(source)

    def replace(self, source: SyncSource | Deferred) -> None:
        """Read from another source from here on; the one before is to be closed already."""
        self.source: SyncSource | Deferred | None = source
        self.closed = False
        """The source was closed."""
        self._ahead: ReadAhead | None = None
        """The thread that reads; None where the loop itself does."""
        self.chunks: Iterator[Any] | None = None
        """The chunks of the open source; None until it is opened."""
        self.bound: Callable[[float | None], object] | None = None
        """Tells the source how long its next read may take, where it can be told."""
        self.direct: Iterator[Any] | None = None
        """The chunks, where a read needs no more than to ask for the next one: drivers do that themselves."""
        self._socket = source.socket
        if isinstance(source, SyncSource):
            self.chunks = source.chunks
            self.bound = source.bound
            self.direct = None if source.bound is not None else source.chunks

    def put_back(self, items: Iterable[Any]) -> None:
        """Give these items again before what is still to be read."""
        self.chunks = chain(items, self.chunks or ())
        self.direct = None if self.bound is not None else self.chunks

    def listen(self, bell: Bell) -> None:
        """Have a thread open and read the source from here on, and a bell rung when something has come."""
        ahead, source = self._ahead, self.source
        if ahead is None:
            if isinstance(source, Deferred):
                ahead = ReadAhead((), source.socket, source)
            elif self.chunks is None or source is None:
                return
            elif source.read_ahead is not None:
                ahead = ReadAhead(self.chunks, self._socket, bound=source.read_ahead())
            else:
                if self.bound is not None:
                    self.bound(None)
                ahead = ReadAhead(self.chunks, self._socket)
            self._ahead, self.chunks, self.bound, self.direct = ahead, ahead, ahead.bound, None
        ahead.bell = bell

    @property
    def has_come(self) -> bool:
        """A read comes back at once, because a thread has brought something."""
        return self._ahead is not None and self._ahead.has_come

    @property
    def will_ring(self) -> bool:
        """A thread rings a bell when it has brought something, and has brought nothing that is not taken."""
        ahead = self._ahead
        return ahead is not None and ahead.bell is not None and not ahead.has_come

    @property
    def begun(self) -> bool:
        """A thread reads the source, or the loop does."""
        return self.chunks is not None

    def finish(self) -> bool:
        """Have a thread that reads end, and tell whether there is one; what it has brought stays."""
        if self._ahead is None:
            return False
        self._ahead.finish()
        return True

    def read_ahead(self) -> None:
        """Have a thread read the open source from here on, so that a read can be given a time."""
        if self.chunks is None or self.bound is not None:
            return
        if isinstance(self.source, SyncSource) and self.source.read_ahead is not None:
            self.bound = self.source.read_ahead()
        else:
            ahead = self._ahead = ReadAhead(self.chunks, self._socket)
            self.chunks, self.bound = ahead, ahead.bound
        self.direct = None

    # -- reading -----------------------------------------------------------

    def enter(self) -> bool:
        """Begin to read, unless somebody else does; False says so."""
        if self.busy or not self.lock.acquire(blocking=False):
            return False
        self.busy = True
        return True

    def leave(self) -> None:
        """Let others read."""
        self.busy = False
        self.lock.release()

    def read(self, until: float | None) -> Any:  # noqa: ANN401 - a chunk, or an item of `_items`
        """Return the next chunk, or the item that says why there is none.

        Whoever reads sets `pending` to False once the item is in its place: where
        Ctrl-C comes before that, it is lost, and the next read says so.

        Args:
            until: The clock at which to stop waiting, as far as the source can be told; None for ever.
        """
        if self.pending:
            # A generator is over then, and ends silently; what another source gave may be lost.
            return LOST
        watch = None
        try:
            self.pending = True
            if self._stopped:
                return END
            chunks = self.chunks
            seconds = None if until is None else max(until - self._clock(), 0.0)
            if chunks is None:
                return self._open(seconds) if self._wait(seconds) else WAITED
            if self.bound is not None:
                self.bound(seconds)
            elif seconds is not None and self._socket is not None:
                with Watch(self._socket, seconds) as watch:
                    return self._next(chunks)
            return self._next(chunks)
        except Exception as error:  # noqa: BLE001 - the stream raises it after what came before it
            if watch is None:
                # A source that is read in a thread may raise a TimeoutError of its own.
                late = TimeoutError if self._ahead is None else Late
                waited = self.bound is not None and isinstance(error, late)
            else:
                waited = watch.fired
            return WAITED if waited else Failed(error)

    @property
    def is_waiting(self) -> bool:
        """The source is to be opened, but not yet."""
        return isinstance(self.source, Deferred) and self.source.wait > 0

    def wait(self, until: float | None) -> Any:  # noqa: ANN401 - an item of `_items`
        """Wait until the source is to be opened, and open it with the next read.

        Args:
            until: The clock at which to stop waiting; None for as long as it takes.
        """
        self._wait(None if until is None else max(until - self._clock(), 0.0))
        return WAITED

    def convert(self, item: object) -> Any:  # noqa: ANN401 - a payload, or an item of `_items`
        """Return the payload that an item of `direct` holds; where it holds none, the next chunk."""
        source = self.source
        own = item is END or item.__class__ is Failed
        if own or not isinstance(source, SyncSource) or source.convert is None:
            return item
        try:
            found = source.convert(item)
            return self._next(self.chunks or iter(())) if found is SKIPPED else found
        except Exception as error:  # noqa: BLE001 - as in `read`
            return Failed(error)

    def _next(self, chunks: Iterator[Any]) -> Any:  # noqa: ANN401 - a chunk, or END
        source = self.source
        if isinstance(source, SyncSource):
            return source.next_chunk(chunks, END)
        item: Any = next(chunks, END)
        if item.__class__ is Opened:
            # A thread has opened it, and reads on.
            opened: Any = item.source
            self.source, self._socket = opened, opened.socket
        return item

    def _wait(self, seconds: float | None) -> bool:
        """Wait until the source is to be opened, and tell whether it is; `stop` ends it.

        Args:
            seconds: The longest to wait; None for as long as it takes.
        """
        source = self.source
        if not isinstance(source, Deferred) or source.wait <= 0:
            return True
        wait = source.wait if seconds is None else min(source.wait, seconds)
        source.wait -= wait
        self._woken = threading.Event()
        if not self._stopped:
            self._woken.wait(wait)
        self._woken = None
        return source.wait <= 0

    def _open(self, seconds: float | None) -> Any:  # noqa: ANN401 - an item of `_items`
        if self._stopped:
            return END
        deferred, self.source = self.source, None
        if not isinstance(deferred, Deferred):
            return LOST
        watch: Watch | None = None
        if self._socket is None or seconds is None or seconds >= _LONG_SECONDS:
            source = deferred.open()
        else:
            # A server that drips the head keeps the transport's own timeout from firing.
            with Watch(self._socket, seconds) as watch:
                try:
                    source = deferred.open()
                except Exception:
                    if watch.fired:
                        return WAITED
                    raise
        self.replace(source)
        return Opened(source, late=watch is not None and watch.fired)

    # -- ending ------------------------------------------------------------

    def stop(self) -> None:
        """Have a read in another thread come back: at once where its socket can be reached."""
        # Before the look at `pending`, which the reader sets before it looks here: one sees the other.
        self._stopped = True
        woken = self._woken
        if woken is not None:
            woken.set()
        if self.pending:
            shut_down(self._socket)
        ahead = self._ahead
        if ahead is not None:
            ahead.stop()

    def close(self) -> None:
        """Close the source once; what that raises is raised."""
        source = self.source
        try:
            # At once, because closing a source may lead back here.
            self.source, self.closed = None, True
            if isinstance(source, SyncSource):
                if self._ahead is None:
                    source.close()
                else:
                    self._ahead.close(source.close)
            elif source is not None:
                if self._ahead is None:
                    source.discard()
                else:
                    self._ahead.close(self._ahead.drop)
        except Exception:
            raise
        except BaseException:
            # Ctrl-C: whoever comes next closes it.
            self.source = source
            raise

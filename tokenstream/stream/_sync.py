"""The driver for `for` loops."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from tokenstream._elsewhere import no_block
from tokenstream.errors import ConcurrentRead, MisuseError
from tokenstream.sources import Deferred, SyncSource, sync_source
from tokenstream.stream._aspects import Aspects
from tokenstream.stream._core import END, NOTABLE_SECONDS, concurrent
from tokenstream.stream._silence import REST_SECONDS
from tokenstream.stream._wake import Watch, shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message
    from tokenstream.sources._typing import SyncReadable

__all__ = ["Stream"]

_LONG_SECONDS = 600.0
"""A wait for the head that is left to the transport's timeout: a timer is a thread, which takes its time."""


class Stream(Aspects):
    r"""Read the streamed answer of a model in a `for` loop.

    Iterating gives every event; `text`, `reasoning` and `tool_calls` are views
    of one aspect each. The source is closed at the end of the input, on an
    error, by `stop` or `close`, and at the end of `with`; `break` alone leaves
    it open, and reading may go on.

    Args:
        source: A response (httpx, httpx2, requests, urllib3), an SDK's stream, an iterable of bytes,
            text or payloads, a context manager of one, or a body that is at hand: bytes, text,
            a path, a file.
        format: The format's name or a format object; None to find it out.
        limits: Bounds on untrusted input.
        deadlines: Bounds on silence.
        started_at: Reading of `clock` when the request went out.
        clock: Where the time comes from, in seconds.
        pings: Whether signs of life become `Ping` events.

    Raises:
        StreamError: In the loop that meets it, after everything that came before;
            `.partial` holds what had arrived.

    Example:
        >>> body = [b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"]
        >>> with Stream(body, format="text") as stream:
        ...     print([piece for piece in stream.text], stream.message.ending)
        ['Hel', 'lo'] complete
    """

    __slots__ = (
        "_bound",
        "_chunks",
        "_lock",
        "_ready_at",
        "_rest_until",
        "_socket",
        "_source",
        "_waiting",
        "_watch",
    )

    def __init__(
        self,
        source: SyncReadable,
        *,
        format: str | Format | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        started_at: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        pings: bool = False,
    ) -> None:
        self._source: SyncSource | Deferred | None = None
        found = sync_source(source)
        super().__init__(
            format=format,
            limits=limits,
            deadlines=deadlines,
            started_at=started_at,
            clock=clock,
            pings=pings,
        )
        self._source = found
        self._chunks: Iterator[Any] | None = None
        # Reentrant, so that Ctrl-C between taking it and the `try` behind locks out no one here.
        self._lock = threading.RLock()
        self._bound: Callable[[float | None], object] | None = None
        """Says how long the next read may take, where the source can be told."""
        self._socket: Callable[[], Any] | None = None
        """Finds the socket of what is being waited for."""
        self._waiting = False
        """Whether the source is being read, which may block, or was until Ctrl-C broke that off."""
        self._watch: Watch | None = None
        self._responses = None
        self._rest_until: float | None = None
        """When the rest of the body is given up, once the answer itself is at its end."""
        self._ready_at = 0.0
        """The clock since when there is something to read."""
        if isinstance(found, SyncSource):
            self._attach(found)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        self._enter_loop()
        return self

    def __next__(self) -> Event:
        if self._reading or not self._lock.acquire(False):  # noqa: FBT003 - a keyword takes twice as long
            raise self._busy()
        try:
            self._reading = True
            machine = self._machine
            event = self._pull() if machine.shortcut is None else None
            while event is None:
                plain = machine.plain and machine.now < self._due
                event = (self._read() if plain else self._advance()) or self._pull()
        except ValueError as error:
            self._misread(error)
        except StopIteration:
            self._ended()
            raise
        finally:
            # As in `_let_go`, whose call would cost each event.
            self._reading = False
            self._lock.release()
            if self._stopping is not None:
                self._end_from_outside(quiet=True)
        return event

    def _take_all(self) -> None:
        """Read to the end, or until somebody stops it.

        Raises:
            StopIteration: It is read to its end.
            StreamError: The answer failed.
        """
        if self._reading or not self._lock.acquire(blocking=False):
            raise self._busy()
        try:
            self._reading = True
            machine = self._machine
            event = self._pull() if machine.shortcut is None else None
            while self._stopping is None:
                if event is None:
                    plain = machine.plain and machine.now < self._due
                    event = self._read() if plain else self._advance()
                event = self._pull() if event is None or machine.shortcut is None else None
        except ValueError as error:
            self._misread(error)
        except StopIteration:
            self._ended()
            raise
        finally:
            self._let_go()

    def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; what had arrived is on the error.
        """
        while True:
            try:
                # What asks for no event is not held up by each of them.
                (self._step if self._over else self._take_all)()
            except StopIteration:
                return self.message

    # -- ending ------------------------------------------------------------

    def stop(self, reason: str | None = None) -> None:
        """End the stream here: what has been read is kept, the rest is not read.

        It never blocks, and may be called from any thread. A read that is in
        progress in another thread ends at once where its socket can be reached
        (HTTP/1.1 over httpx, httpx2 or urllib3), and otherwise with the source's
        next answer; the loop there ends as at the end of the answer.

        Args:
            reason: Why, for the log.
        """
        self._ask_to_stop(reason or "stop")
        self._end_from_outside(quiet=True)

    def close(self) -> None:
        """Close the source; what has been read is kept. Closing twice is fine."""
        self._close()

    def _close(self, *, quiet: bool = False) -> None:
        self._close_early()
        self._end_from_outside(quiet=quiet)

    def __enter__(self) -> Self:
        if self._closed_early:
            self._enter_loop()
        if isinstance(self._source, Deferred) and not self._over:
            try:
                self._open_now()
            except ConcurrentRead:
                raise
            except BaseException:
                # Ctrl-C: a block that was not entered is not left either.
                self._close(quiet=True)
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unopened = self._settle_unopened() if error is None else None
        self._close(quiet=(error or unopened) is not None)
        if unopened is not None:
            raise unopened

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if is_finalizing():
            # The interpreter exits: modules are gone already, closing may crash it (CPython 3.13),
            # and the connection is closed with the process.
            return
        source = getattr(self, "_source", None)
        try:
            if isinstance(source, SyncSource) and not self._closed:
                warnings.warn(
                    f"{self!r} was never closed: use `with`", ResourceWarning, source=self, stacklevel=2
                )
        finally:
            # The warning may be an error.
            if source is not None:
                self._close_source(quiet=True)

    # -- within ------------------------------------------------------------

    def _ended(self) -> None:
        """Close the source where decoding was broken off, and raise what the loop is to see then."""
        if not self._over:
            self._close_source(quiet=True)
            raise self._decoding_broke() from None

    def _let_go(self) -> None:
        self._reading = False
        self._lock.release()
        if self._stopping is not None:
            # Quiet: an event may be on its way, or another error.
            self._end_from_outside(quiet=True)

    def _step(self) -> Event:
        """Return the next event for a view, which meets the same error each time."""
        if self._over:
            if self._source is not None:
                # Ctrl-C came between the end and the closing.
                self._end_from_outside(quiet=True)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopIteration
        return self.__next__()

    def _open_now(self) -> None:
        """Open the source before the first read, as a read."""
        if self._reading or not self._lock.acquire(blocking=False):
            raise concurrent()
        try:
            self._reading = True
            self._read()
        finally:
            self._let_go()

    def _open_first(self) -> None:
        deferred, self._source = self._source, None
        if not isinstance(deferred, Deferred):
            self._lose()
            return
        self._begin_request(deferred)
        self._socket = deferred.socket
        now = self._clock()
        patience = self._silence.patience(now, now)
        if self._socket is None or patience is None or patience >= _LONG_SECONDS:
            self._attach(deferred.open())
            return
        # A server that drips the head keeps the transport's own timeout from firing.
        with Watch(self._socket, patience) as self._watch:
            source = deferred.open()
        self._attach(source)
        if self._watch.fired:
            self._waited_in_vain(now)

    def _attach(self, source: SyncSource) -> None:
        self._source = source
        self._chunks = source.chunks
        self._socket = source.socket
        self._bound = source.bound
        self._ready_at = self._clock()
        self._opened(source)

    def _advance(self) -> Event | None:
        """Read a chunk, and return its event where it was seen at a glance.

        At the end of the stream raise its error, or StopIteration.
        """
        if self._wants_more():
            return self._read_rest() if self._machine.answered else self._read()
        if self._over:
            self._close_source(quiet=True)
            raise StopIteration
        if not self._settle():
            self._close_source(quiet=True)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopIteration
        return None

    def _read(self) -> Event | None:
        if self._waiting:
            # A generator is over then, and ends silently; what another source gave may be lost.
            self._lose()
            return None
        machine, clock, chunks = self._machine, self._clock, self._chunks
        now = clock()
        if now - machine.now > NOTABLE_SECONDS and chunks is not None:
            self._silence.was_away(now - (machine.now if machine.meter.chunks else self._ready_at))
        try:
            self._waiting = True
            stopped = self._stopping
            if stopped is not None:
                self._end_inside()
                return None
            if chunks is None:
                self._open_first()
                self._waiting = False
                return None
            if self._bound is not None:
                self._bound(self._silence.patience(now, now))
            chunk: Any = next(chunks, END)
        except Exception as error:  # noqa: BLE001 - it is raised after what came before it
            self._waiting = False
            self._failed(error, now)
            return None
        if self._stopping is not None:
            self._end_inside()
            return None
        event = machine.give(chunk, clock()) if chunk.__class__ is bytes else self._take_read(chunk)
        # Not in a `finally`: until here Ctrl-C may have come between a chunk and its place.
        self._waiting = False
        return event

    def _take_read(self, chunk: Any) -> Event | None:  # noqa: ANN401 - what the source gives, or END
        try:
            return self._take(chunk, self._clock())
        except MisuseError:
            self._cut("stopped", "misuse")
            self._close_source(quiet=True)
            raise

    def _read_rest(self) -> Event | None:
        """Read what belongs to the connection's end, for as long as that is worth its reuse."""
        now = time.monotonic()
        if self._rest_until is None:
            self._rest_until = now + REST_SECONDS
        if now >= self._rest_until:
            self._machine.finish(None, self._clock())
            return None
        if self._socket is None:
            return self._read()
        with Watch(self._socket, self._rest_until - now) as self._watch:
            return self._read()

    def _failed(self, error: Exception, since: float) -> None:
        """Take what the source raised.

        Args:
            error: That.
            since: The clock when the read began.
        """
        if self._stopping is not None:
            self._end_inside()
        elif (self._watch is not None and self._watch.fired) or (
            self._bound is not None and isinstance(error, TimeoutError)
        ):
            self._waited_in_vain(since)
        else:
            misuse = self._broke(error)
            if misuse is not None:
                self._close_source(quiet=True)
                raise misuse

    def _busy(self) -> Exception:
        """Return what is raised for a read while another thread has the stream."""
        if self._stopping is not None or self._over:
            return StopIteration()
        return concurrent()

    def _end_inside(self) -> None:
        """Stop in the thread that reads."""
        self._cut("stopped", self._stopping)
        self._close_source(quiet=True)

    def _end_from_outside(self, *, quiet: bool = False) -> None:
        """Stop here, or have a read that is in progress do so."""
        if self._reading or not self._lock.acquire(blocking=False):
            # The reader looks for this when it comes back; nothing is waited for here.
            if self._waiting:
                shut_down(self._socket)
            return
        try:
            self._cut("stopped", self._stopping)
            self._close_source(quiet=quiet)
        finally:
            self._lock.release()

    def _close_source(self, *, quiet: bool = False) -> None:
        """Close the source once.

        Args:
            quiet: Whether what fails here is only logged: another error is on its way,
                or nobody has asked to close.
        """
        source = self._source
        try:
            # At once, because closing a source may lead back here.
            self._source, self._closed = None, True
            if isinstance(source, SyncSource):
                source.close()
            elif source is not None:
                source.discard()
        except Exception as error:
            if not quiet:
                raise
            self._unclosed(error)
        except BaseException:
            # Ctrl-C: whoever comes next closes it.
            self._source = source
            raise


no_block(Stream, is_async=False)

"""The driver for `for` loops."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources import Deferred, SyncSource, sync_source
from tokenstream.stream._core import END, StreamBase, concurrent
from tokenstream.stream._views import Choice, ToolCallView, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message

__all__ = ["Stream"]


class Stream(StreamBase):
    r"""Read the streamed answer of a model in a `for` loop.

    Iterating gives every event; `text`, `reasoning` and `tool_calls` are views
    of one aspect each. The source is closed at the end of the input, on an
    error, by `stop` or `close`, and at the end of `with`; `break` alone leaves
    it open, and reading may go on.

    Args:
        source: An httpx or httpx2 response, or an iterable of bytes.
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

    __slots__ = ("_chunks", "_source")

    def __init__(
        self,
        source: Any,  # noqa: ANN401 - told apart by what it can do
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
        if isinstance(found, SyncSource):
            self._attach(found)

    # -- reading -----------------------------------------------------------

    def __iter__(self) -> Iterator[Event]:
        self._enter_loop()
        return self

    def __next__(self) -> Event:
        machine = self._machine
        try:
            event = self._pull() if machine.shortcut is None else None
            while event is None:
                event = self._advance() or self._pull()
        except ValueError as error:
            self._misread(error)
        except StopIteration:
            if self._over:
                raise
            self._close_source(quiet=True)
            raise self._decoding_broke() from None
        return event

    @property
    def text(self) -> View[str]:
        """The answer's text as it arrives: a view of `str` pieces."""
        return self.choice(0).text

    @property
    def reasoning(self) -> View[str]:
        """The model's reasoning as it arrives: a view of `str` pieces."""
        return self.choice(0).reasoning

    @property
    def tool_calls(self) -> ToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return self.choice(0).tool_calls

    def choice(self, index: int) -> Choice:
        """Return the views of one of several alternative answers, from 0."""
        return Choice(self, self._machine.accumulator, index)

    def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; what had arrived is on the error.
        """
        while True:
            try:
                self._step()
            except StopIteration:
                return self.message

    # -- ending ------------------------------------------------------------

    def stop(self, reason: str | None = None) -> None:
        """End the stream here: what has been read is kept, the rest is not read.

        From another thread or task it ends the read that is in progress with the
        source's next answer; that read closes the source.

        Args:
            reason: Why, for the log.
        """
        self._cut("stopped", reason)
        if not self._reading:
            self._close_source()

    def close(self) -> None:
        """Close the source; what has been read is kept. Closing twice is fine."""
        self._close()

    def _close(self, *, quiet: bool = False) -> None:
        self._closed_early = self._closed_early or not self._over
        self._cut("stopped", "closed")
        # A read that is in progress elsewhere closes the source when it comes back.
        if not self._reading:
            self._close_source(quiet=quiet)

    def __enter__(self) -> Self:
        if self._closed_early:
            self._enter_loop()
        if isinstance(self._source, Deferred) and not self._over:
            self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(quiet=error is not None)

    def __del__(self) -> None:
        if isinstance(getattr(self, "_source", None), SyncSource) and not self._closed:
            warnings.warn(
                f"{self!r} was never closed: use `with`", ResourceWarning, source=self, stacklevel=2
            )
            self._close_source()

    # -- within ------------------------------------------------------------

    def _step(self) -> Event:
        """Return the next event for a view, which meets the same error each time."""
        if self._over:
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopIteration
        return self.__next__()

    def _open_first(self) -> None:
        deferred, self._source = self._source, None
        if isinstance(deferred, Deferred):
            self._sent()
            self._attach(deferred.open())
        else:
            # The request went out, and whoever waited for its answer was broken off.
            self._lose()

    def _attach(self, source: SyncSource) -> None:
        self._source = source
        self._chunks = source.chunks
        self._opened(source.head, source.waits)

    def _advance(self) -> Event | None:
        """Read a chunk, and return its event where it was seen at a glance.

        At the end of the stream raise its error, or StopIteration.
        """
        if self._wants_more():
            return self._read()
        if self._over:
            self._close_source()
            raise StopIteration
        if not self._settle():
            self._close_source(quiet=self._error is not None)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopIteration
        return None

    def _read(self) -> Event | None:
        if self._reading:
            raise concurrent()
        self._reading = True
        try:
            if self._chunks is None:
                self._open_first()
                return None
            chunk = next(self._chunks, END)
        except Exception as error:
            misuse = self._broke(error)
            if misuse is not None:
                self._close_source(quiet=True)
                raise misuse from error
            return None
        except BaseException:
            self._left_reading()
            if self._over:
                self._close_source(quiet=True)
            raise
        finally:
            self._reading = False
        try:
            return self._take(chunk)
        except MisuseError:
            self._cut("stopped", "misuse")
            self._close_source(quiet=True)
            raise

    def _close_source(self, *, quiet: bool = False) -> None:
        """Close the source once.

        Args:
            quiet: Whether another error is on its way, which must not be hidden.
        """
        source, self._source, self._closed = self._source, None, True
        if not isinstance(source, SyncSource):
            return
        try:
            source.close()
        except Exception as error:
            if not quiet:
                raise
            self._unclosed(error)

"""The driver for `async for` loops, on asyncio and trio."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources import AsyncSource, Deferred, async_source
from tokenstream.stream._core import END, StreamBase, concurrent
from tokenstream.stream._views import AsyncChoice, AsyncToolCallView, AsyncView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Self

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message

__all__ = ["AsyncStream"]

_REST_SECONDS = 0.5
"""How long to wait for the end of a body after the answer's own end."""


class AsyncStream(StreamBase):
    r"""Read the streamed answer of a model in an `async for` loop.

    Iterating gives every event; `text`, `reasoning` and `tool_calls` are views
    of one aspect each. The source is closed at the end of the input, on an
    error, by `stop` or `aclose`, and at the end of `async with`; `break` alone
    leaves it open, and reading may go on.

    Args:
        source: An asynchronous httpx or httpx2 response, or an asynchronous iterable of bytes.
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
        >>> import asyncio
        >>> async def main() -> str:
        ...     async def body():
        ...         yield b"data: Hel\n\n"
        ...         yield b"data: lo\n\ndata: [DONE]\n\n"
        ...     async with AsyncStream(body(), format="text") as stream:
        ...         return (await stream.final()).text
        >>> asyncio.run(main())
        'Hello'
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
        self._source: AsyncSource | Deferred | None = None
        found = async_source(source)
        super().__init__(
            format=format,
            limits=limits,
            deadlines=deadlines,
            started_at=started_at,
            clock=clock,
            pings=pings,
        )
        self._source = found
        self._chunks: AsyncIterator[Any] | None = None
        if isinstance(found, AsyncSource):
            self._attach(found)

    # -- reading -----------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        self._enter_loop()
        return self

    async def __anext__(self) -> Event:
        machine = self._machine
        try:
            event = self._pull() if machine.shortcut is None else None
            while event is None:
                event = await self._advance() or self._pull()
        except ValueError as error:
            self._misread(error)
        except StopIteration:
            await self._close_source(quiet=True)
            raise self._decoding_broke() from None
        return event

    @property
    def text(self) -> AsyncView[str]:
        """The answer's text as it arrives: a view of `str` pieces."""
        return self.choice(0).text

    @property
    def reasoning(self) -> AsyncView[str]:
        """The model's reasoning as it arrives: a view of `str` pieces."""
        return self.choice(0).reasoning

    @property
    def tool_calls(self) -> AsyncToolCallView:
        """The answer's tool calls, each as soon as it is whole: a view of `ToolCall`."""
        return self.choice(0).tool_calls

    def choice(self, index: int) -> AsyncChoice:
        """Return the views of one of several alternative answers, from 0."""
        return AsyncChoice(self, self._machine.accumulator, index)

    async def final(self) -> Message:
        """Read to the end and return the answer.

        Raises:
            StreamError: The answer failed; what had arrived is on the error.
        """
        while True:
            try:
                await self._step()
            except StopAsyncIteration:
                return self.message

    # -- ending ------------------------------------------------------------

    def stop(self, reason: str | None = None) -> None:
        """End the stream here: what has been read is kept, the rest is not read.

        From another thread or task it ends the read that is in progress with the
        source's next answer; that read closes the source.

        The source is closed by the read that meets this, or by `aclose`.

        Args:
            reason: Why, for the log.
        """
        self._cut("stopped", reason)

    async def aclose(self) -> None:
        """Close the source; what has been read is kept. Closing twice is fine."""
        await self._close()

    async def _close(self, *, shielded: bool = False) -> None:
        self._closed_early = self._closed_early or not self._over
        self._cut("stopped", "closed")
        # A read that is in progress elsewhere closes the source when it comes back.
        if not self._reading:
            await (self._close_shielded() if shielded else self._close_source())

    async def __aenter__(self) -> Self:
        if self._closed_early:
            self._enter_loop()
        if isinstance(self._source, Deferred) and not self._over:
            await self._read()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close(shielded=error is not None)

    def __del__(self) -> None:
        if isinstance(getattr(self, "_source", None), AsyncSource) and not self._closed:
            warnings.warn(
                f"{self!r} was never closed: use `async with`", ResourceWarning, source=self, stacklevel=2
            )

    # -- within ------------------------------------------------------------

    async def _step(self) -> Event:
        """Return the next event for a view, which meets the same error each time."""
        if self._over:
            await self._close_source()
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopAsyncIteration
        return await self.__anext__()

    def _attach(self, source: AsyncSource) -> None:
        self._source = source
        self._chunks = source.chunks
        self._opened(source.head, source.waits)

    async def _advance(self) -> Event | None:
        """Read a chunk, and return its event where it was seen at a glance.

        At the end of the stream raise its error, or StopAsyncIteration.
        """
        if self._wants_more():
            return await (self._read_rest() if self._machine.answered else self._read())
        if self._over:
            await self._close_source()
            raise StopAsyncIteration
        if not self._settle():
            await self._close_source(quiet=self._error is not None)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopAsyncIteration
        return None

    async def _read(self) -> Event | None:
        if self._reading:
            raise concurrent()
        self._reading = True
        try:
            chunks = self._chunks
            if chunks is None:
                await self._open_first()
                return None
            chunk = await chunks.__anext__()
        except StopAsyncIteration:
            chunk = END
        except Exception as error:
            misuse = self._broke(error)
            if misuse is not None:
                await self._close_source(quiet=True)
                raise misuse from error
            return None
        except BaseException:
            self._left_reading()
            if self._over:
                await self._close_shielded()
            raise
        finally:
            self._reading = False
        try:
            return self._take(chunk)
        except MisuseError:
            self._cut("stopped", "misuse")
            await self._close_source(quiet=True)
            raise

    async def _read_rest(self) -> Event | None:
        """Read what belongs to the connection's end, for as long as that is worth its reuse."""
        from anyio import move_on_after

        with move_on_after(_REST_SECONDS):
            return await self._read()
        self._machine.finish(None, self._clock())
        return None

    async def _open_first(self) -> None:
        deferred, self._source = self._source, None
        if isinstance(deferred, Deferred):
            self._sent()
            self._attach(await deferred.open())
        else:
            # The request went out, and whoever waited for its answer was broken off.
            self._lose()

    async def _close_shielded(self) -> None:
        """Close the source although a cancellation is on its way."""
        from anyio import CancelScope

        with CancelScope(shield=True):
            await self._close_source(quiet=True)

    async def _close_source(self, *, quiet: bool = False) -> None:
        """Close the source once.

        Args:
            quiet: Whether another error is on its way, which must not be hidden.
        """
        source, self._source, self._closed = self._source, None, True
        if not isinstance(source, AsyncSource):
            return
        try:
            await source.close()
        except Exception as error:
            if not quiet:
                raise
            self._unclosed(error)

"""The driver for `async for` loops, on asyncio and trio."""

from __future__ import annotations

import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

from tokenstream._elsewhere import no_block
from tokenstream.errors import MisuseError
from tokenstream.sources import AsyncSource, Deferred, async_source
from tokenstream.stream._aspects import AsyncAspects
from tokenstream.stream._core import Away, Failed, Opened, concurrent
from tokenstream.stream._direct import Direct
from tokenstream.stream._host import running
from tokenstream.stream._reader import Reader, left

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import Self

    from anyio.abc import TaskGroup

    from tokenstream.events import Event
    from tokenstream.formats.base import Format
    from tokenstream.limits import Deadlines, Limits
    from tokenstream.message import Message
    from tokenstream.sources._typing import AsyncReadable
    from tokenstream.stream._host import Host

__all__ = ["AsyncStream"]


class AsyncStream(AsyncAspects):
    r"""Read the streamed answer of a model in an `async for` loop.

    Iterating gives every event; `text`, `reasoning` and `tool_calls` are views
    of one aspect each. The source is closed at the end of the input, on an
    error, by `stop` or `aclose`, and at the end of `async with`; `break` alone
    leaves it open, and reading may go on.

    Args:
        source: An asynchronous response (httpx, httpx2, aiohttp), an SDK's stream, an asynchronous
            iterable of bytes, text or payloads, an awaitable or an asynchronous context manager
            of one, or a body that is at hand.
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

    __slots__ = ("_batch", "_host", "_reader", "_source", "_tasks")

    def __init__(
        self,
        source: AsyncReadable,
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
        try:
            super().__init__(
                format=format,
                limits=limits,
                deadlines=deadlines,
                started_at=started_at,
                clock=clock,
                pings=pings,
            )
        except BaseException:
            # A request that was to be awaited here can be awaited by nobody else.
            if isinstance(found, Deferred):
                found.discard()
            raise
        self._source = found
        self._reader: Reader | Direct | None = None
        self._batch: Iterator[tuple[float, Any]] = iter(())
        """What the reader has brought."""
        self._host: Host | None = None
        self._tasks: TaskGroup | None = None
        self._responses = None
        if isinstance(found, AsyncSource):
            self._attach(found)

    # -- reading -----------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Event]:
        self._enter_loop()
        return self

    async def __anext__(self) -> Event:
        if self._reading:
            raise concurrent()
        machine = self._machine
        try:
            event = self._pull() if machine.shortcut is None else None
            while event is None:
                item = next(self._batch, None) if machine.plain and machine.now < self._due else None
                event = (await self._advance() if item is None else self._take_item(*item)) or self._pull()
        except MisuseError:
            if self._over:
                await self._close_source(failed=True)
            raise
        except ValueError as error:
            self._misread(error)
        except StopIteration:
            await self._close_source(failed=True)
            raise self._decoding_broke() from None
        return event

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

    @property
    def closed(self) -> bool:
        """Whether the source is closed: after the end, an error, `stop` or `aclose`."""
        # What was stopped is closed by the task that reads it.
        reader = self._reader
        return self._closed or (reader is not None and (reader.homeless or (self._over and reader.over)))

    def stop(self, reason: str | None = None) -> None:
        """End the stream here: what has been read is kept, the rest is not read.

        It never blocks, and may be called from any thread or task. A read that is
        in progress ends at once, and its loop as at the end of the answer. The
        source is closed by the task that reads it; where there is none (on trio
        outside `async with`) by the next read or by `aclose`.

        Args:
            reason: Why, for the log.
        """
        self._ask_to_stop(reason or "stop")
        host = self._host
        if host is None or host.is_running() or not host.call(self._stop_here):
            self._stop_here()

    def _stop_here(self) -> None:
        """Stop in the thread of the event loop."""
        if self._over:
            return
        self._cut("stopped", self._stopping)
        source = self._source
        if self._reader is None and isinstance(source, Deferred):
            self._source, self._closed = None, True
            source.discard()
        elif self._reader is None:
            # On asyncio there is somebody to close what nobody has read.
            self._reader = self._new_reader()
        if self._reader is not None:
            self._reader.stop()

    async def aclose(self) -> None:
        """Close the source; what has been read is kept. Closing twice is fine."""
        await self._close()

    async def _close(self, *, failed: bool = False) -> None:
        self._close_early()
        self._cut("stopped", "closed")
        await self._close_source(failed=failed)

    async def __aenter__(self) -> Self:
        if self._closed_early:
            self._enter_loop()
        if self._reading and isinstance(self._source, Deferred):
            # Before anything is begun that would have to be ended here.
            raise concurrent()
        await self._open_tasks()
        try:
            while isinstance(self._source, Deferred) and self._machine.plain:
                await self._read()
        except BaseException:
            await self._close(failed=True)
            await self._close_tasks()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        unopened = self._settle_unopened() if error is None else None
        try:
            await self._close(failed=(error or unopened) is not None)
        finally:
            await self._close_tasks()
        if unopened is not None:
            raise unopened

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if is_finalizing():
            # The interpreter exits: modules are gone already, and the connection goes with the process.
            return
        source = getattr(self, "_source", None)
        reader = self._reader if source is not None else None
        if source is None or (reader is not None and reader.stopped):
            return
        if isinstance(source, Deferred) and reader is None:
            source.discard()
            return
        try:
            warnings.warn(
                f"{self!r} was never closed: use `async with`", ResourceWarning, source=self, stacklevel=2
            )
        finally:
            # The warning may be an error.
            (reader or Direct(source, self._clock, self._host)).abandon()

    # -- within ------------------------------------------------------------

    async def _step(self) -> Event:
        """Return the next event for a view, which meets the same error each time."""
        if self._over:
            await self._close_source(quiet=True)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopAsyncIteration
        return await self.__anext__()

    def _attach(self, source: AsyncSource) -> None:
        self._source = source
        self._opened(source)

    async def _advance(self) -> Event | None:
        """Read a chunk, and return its event where it was seen at a glance.

        At the end of the stream raise its error, or StopAsyncIteration.
        """
        if self._wants_more():
            item = next(self._batch, None)
            return await self._read() if item is None else self._take_item(*item)
        if self._over:
            await self._close_source(quiet=True)
            raise StopAsyncIteration
        if not self._settle():
            await self._close_source(failed=self._error is not None, quiet=True)
            if self._error is not None:
                raise self._error.with_traceback(None)
            raise StopAsyncIteration
        return None

    async def _read(self) -> Event | None:
        """Wait for what comes next, and return its event where it was seen at a glance."""
        if self._reading:
            raise concurrent()
        if self._stopping is not None:
            # Another thread asked for it, and the loop has not come to that yet.
            self._stop_here()
            return None
        self._reading = True
        try:
            if self._reader is None:
                self._reader = self._new_reader()
            else:
                self._reader.stay_at_home()
            return None if self._reader is None else await self._wait_for(self._reader)
        finally:
            self._reading = False

    def _new_reader(self) -> Reader | Direct | None:
        """Return what reads the source: a task of its own, where one is of use and can be had."""
        source = self._source
        if source is None:
            return None
        host = self._host = self._host or running()
        if isinstance(source, Deferred):
            self._begin_request(source)
        own = isinstance(source, AsyncSource) and (source.instant or source.survives)
        if own or host is None or (host.name == "trio" and self._tasks is None):
            return Direct(source, self._clock, host)
        reader = Reader(source, self._clock, host)
        reader.start(self._tasks)
        return reader

    async def _wait_for(self, reader: Reader | Direct) -> Event | None:
        items = reader.take()
        if not items:
            since = reader.since
            arrived = await reader.wait(self._silence.patience(self._clock(), since))
            if self._over:
                return None
            items = reader.take()
            if not items:
                if arrived:
                    self._lose()
                else:
                    self._waited_in_vain(since)
                return None
        self._batch = iter(items)
        return self._take_item(*next(self._batch))

    def _take_item(self, now: float, item: Any) -> Event | None:  # noqa: ANN401 - what the reader has brought
        """Take what the reader has brought, and return its event where it was seen at a glance."""
        if item.__class__ is bytes:
            return self._machine.give(item, now)
        if isinstance(item, Away):
            self._silence.was_away(item.seconds)
        elif isinstance(item, Opened):
            self._attach(item.source)
        else:
            return self._take_rarity(now, item)
        return None

    def _take_rarity(self, now: float, item: Any) -> Event | None:  # noqa: ANN401 - what the reader has brought
        try:
            if not isinstance(item, Failed):
                return self._take(item, now)
            misuse = self._broke(item.error)
            if misuse is not None:
                raise misuse
        except MisuseError:
            self._cut("stopped", "misuse")
            if self._reader is not None:
                self._reader.stop()
            raise
        return None

    # -- tasks -------------------------------------------------------------

    async def _open_tasks(self) -> None:
        """Make room for a task; on trio a block is needed for that."""
        self._host = self._host or running()
        own = isinstance(self._source, AsyncSource) and (self._source.instant or self._source.survives)
        trio = self._host is not None and self._host.name == "trio"
        if not trio or own or self._tasks is not None or self._over:
            return
        from anyio import create_task_group

        tasks = create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        if isinstance(self._reader, Direct) and self._reader.intact:
            # What was read outside the block goes on in a task.
            self._reader = None

    async def _close_tasks(self) -> None:
        """Leave the block as it was entered: what the body raised is none of the tasks' business."""
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            await left(tasks)

    # -- closing -----------------------------------------------------------

    async def _close_source(self, *, failed: bool = False, quiet: bool = False) -> None:
        """Close the source once; whoever comes second waits as well.

        Args:
            failed: Whether another error is on its way, which must be neither hidden nor held up.
            quiet: Whether what fails here is only logged, because nobody has asked to close.
        """
        source, self._source, self._closed = self._source, None, True
        if self._reader is None:
            if source is None:
                return
            self._reader = Direct(source, self._clock, self._host or running())
        if self._reader.over and source is None:
            return
        await self._reader.close(failed=failed)
        error, self._reader.closing_error = self._reader.closing_error, None
        if error is not None:
            if not (failed or quiet):
                raise error
            self._unclosed(error, failed=failed)


no_block(AsyncStream, is_async=True)

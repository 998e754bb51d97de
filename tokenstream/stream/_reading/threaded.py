"""The sync view of an asynchronous object: a thread with an event loop of its own reads the object."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from tokenstream._sources.awaited import discard_unread
from tokenstream._sources.kinds import AsyncSource, LazySource, MakeAsyncSource, SyncSource, open_up_async

if TYPE_CHECKING:
    from tokenstream._basics.loose import Action

_END = object()
"""Reported by the thread when the source has no more chunks."""


def from_asynchronous(source: object, make_source: MakeAsyncSource) -> LazySource:
    """Return a source that opens, reads and closes an asynchronous object in a thread.

    The object must not be bound to an event loop. The thread starts with the first read, and ends when
    the stream closes the source. It reads one chunk for each read of the stream, so nothing piles up.
    """
    reader = _ThreadReader(source, make_source)
    return LazySource(reader.open, discard=reader.discard, socket=lambda: reader)


class _ThreadReader:
    """Reads an asynchronous source for a sync stream.

    Opening, all reads and closing happen in one task, because a cancel scope must be left in the task that
    has entered it.
    """

    def __init__(self, source: object, make_source: MakeAsyncSource) -> None:
        self._source, self._make_source = source, make_source
        self._reports: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        """The items that the thread has read, each with None, or None with the error that was raised."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        """Set to have the thread read one more chunk."""
        self._is_asked = False
        """True from the request for a chunk until the chunk is taken, also across a read that timed out."""
        self._is_over = False
        """True once `shutdown` or `close` was called: no read waits any longer."""
        self._seconds: float | None = None
        self._closing_error: BaseException | None = None
        self._thread = threading.Thread(
            # The source sees the caller's context variables.
            target=copy_context().run,
            args=(self._run,),
            name="tokenstream event loop",
            daemon=True,
        )

    # -- in the thread of the stream ---------------------------------------

    def open(self) -> SyncSource:
        """Start the thread, and return the source that it has opened; TimeoutError after `shutdown`."""
        self._thread.start()
        try:
            opened: AsyncSource = self._take()
        except StopIteration:
            raise TimeoutError from None
        return SyncSource(
            self,
            self.close,
            opened.head,
            opened.coding,
            socket=lambda: self,
            messages=opened.messages,
            limit_read=self._limit_read,
            asked=opened.asked,
            convert=opened.convert,
            reading=opened.reading,
        )

    def discard(self) -> None:
        """Discard an object that will never be read."""
        discard_unread(self._source, self._make_source)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - whatever a source gives
        """Return the next item; after a TimeoutError, the next read goes on with the same item."""
        if not self._is_asked:
            self._is_asked = True
            self._schedule(self._wanted.set)
        return self._take()

    def _limit_read(self, seconds: float | None) -> None:
        self._seconds = None if seconds is None else min(seconds, threading.TIMEOUT_MAX)

    def _take(self) -> Any:  # noqa: ANN401 - whatever a source gives
        if self._is_over:
            raise StopIteration
        try:
            item, error = self._reports.get(timeout=self._seconds)
        except Empty:
            raise TimeoutError from None
        self._is_asked = False
        if error is not None:
            raise error
        if item is _END:
            raise StopIteration
        return item

    def close(self) -> None:
        """Close the source and end the thread; raise the error of closing."""
        self.shutdown()
        # A source may be dropped in any thread, also in this one.
        if self._thread.ident is None or self._thread is threading.current_thread():
            return
        self._thread.join()
        error, self._closing_error = self._closing_error, None
        if error is not None:
            raise error

    # -- in any thread -----------------------------------------------------

    def shutdown(self, how: int = 0) -> None:
        """End a read that waits, and all reads after it."""
        self._is_over = True
        if self._task is not None:
            self._schedule(self._task.cancel)
        self._reports.put((_END, None))

    def _schedule(self, function: Action) -> None:
        """Call a function in the thread's event loop, unless the loop has ended."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)

    # -- in the thread of the event loop -----------------------------------

    def _run(self) -> None:
        """Run the event loop until the source is closed."""
        try:
            asyncio.run(self._read())
        except asyncio.CancelledError:
            # By `shutdown`, or by the source itself, which then has no more chunks.
            pass
        except BaseException as error:  # noqa: BLE001 - passed on to the stream
            self._closing_error = error
        finally:
            self._reports.put((_END, None))

    async def _read(self) -> None:
        """Open the source, read a chunk whenever one is wanted, and close the source when cancelled."""
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._is_over:
            # `shutdown` may not have found the task.
            self.discard()
            return
        try:
            source = await open_up_async(self._make_source(self._source))
        except Exception as error:  # noqa: BLE001 - raised in the thread of the stream
            self._reports.put((None, error))
            return
        try:
            self._reports.put((source, None))
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                self._reports.put(await _next_item(source))
        finally:
            await source.close()


async def _next_item(source: AsyncSource) -> tuple[Any, BaseException | None]:
    """Return the next item and None, or None and the error."""
    try:
        return await source.chunks.__anext__(), None
    except StopAsyncIteration:
        return _END, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - raised in the thread of the stream
        return None, error

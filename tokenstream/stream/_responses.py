"""The answers on one connection, one after the other, each a stream of its own."""

# It is a part of the two drivers, in a module of its own, and uses what they keep to themselves.
# ruff: noqa: SLF001

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, StreamError
from tokenstream.sources import AsyncSource, SyncSource
from tokenstream.stream._async import AsyncStream
from tokenstream.stream._core import END, LOST, Away, Failed, Opened, broken_off, concurrent
from tokenstream.stream._shared import Shared
from tokenstream.stream._sync import Stream
from tokenstream.stream._view import Uncopied

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tokenstream.stream._sorter import Lane

__all__ = ["AsyncResponses", "Responses"]


class _Response(Stream):
    """One answer of a connection: all that a stream can do, but the connection is not its own."""

    __slots__ = ()

    def __del__(self, is_finalizing: Callable[[], bool] = bool) -> None:
        """Do nothing: there is nothing of its own to be closed."""


class _AsyncResponse(AsyncStream):
    """One answer of a connection: all that a stream can do, but the connection is not its own."""

    __slots__ = ()

    def __del__(self, is_finalizing: Callable[[], bool] = bool) -> None:
        """Do nothing: there is nothing of its own to be closed."""


class Responses(Uncopied):
    """The answers on one connection, in a `for` loop; each is a `Stream` with an ending of its own.

    What is left unread of one is read before the next is given. The loop ends
    with the connection, which only the stream that they come from closes.

    Args:
        stream: That stream.
    """

    __slots__ = ("_current", "_shared", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._shared = Shared(stream)
        self._current: Stream | None = None

    def __iter__(self) -> Iterator[Stream]:
        self._shared.enter()
        return self

    def __next__(self) -> Stream:
        shared = self._shared
        self._read_rest()
        while shared.several is None:
            self._read()
        if shared.gives_whole():
            self._stream._chunks = chain(shared.kept, _raising(shared.failure), self._stream._chunks or ())
            self._current = self._stream
            return self._stream
        while (lane := shared.next_lane()) is None:
            if shared.over or not shared.several:
                raise StopIteration
            self._read()
        messages = _Messages(self, lane)
        bound = None if self._stream._bound is None else messages.bound
        source = SyncSource(messages, lane.drop, messages=True, bound=bound)
        response = self._current = _Response(source, **shared.options(lane))
        shared.live.add(response)
        return response

    def _read_rest(self) -> None:
        """Read what is left of the answer that was given last; what goes wrong in it is its own affair."""
        current, self._current = self._current, None
        if current is None or current.closed:
            return
        over = self._shared.over
        try:
            current.final()
        except StreamError:
            if current is self._stream or self._shared.over is not over:
                # Nobody else would tell why no more answers come.
                raise

    def message(self, lane: Lane, seconds: float | None) -> Any:  # noqa: ANN401 - bytes, or a payload
        """Return the next message of an answer; None at its end.

        Args:
            lane: Where its messages are sorted to.
            seconds: How long to wait, where the connection can be told; None for ever.

        Raises:
            TimeoutError: It did not come in time.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while (message := lane.take()) is None:
            if lane.ended:
                self._shared.check(lane)
                return None
            self._read(None if until is None else max(until - time.monotonic(), 0.0))
        return message

    def _read(self, seconds: float | None = None) -> None:
        """Read one chunk of the connection, as the stream itself would."""
        stream = self._stream
        if stream._reading or not stream._lock.acquire(blocking=False):
            raise concurrent()
        try:
            stream._reading = True
            self._read_inside(seconds)
        finally:
            stream._reading = False
            stream._lock.release()
            if stream._stopping is not None:
                stream._end_from_outside(quiet=True)
            if self._shared.over and self._shared.several:
                stream._close_source(quiet=True)

    def _read_inside(self, seconds: float | None) -> None:
        shared, stream = self._shared, self._stream
        chunk: Any = END
        failure: Exception | None = None
        try:
            stream._waiting = True
            if stream._stopping is None and not stream._over:
                if shared.sorter is None:
                    stream._open_first() if stream._chunks is None else None
                    shared.open()
                    return
                if stream._bound is not None:
                    stream._bound(seconds)
                chunk = next(stream._chunks or iter(()), END)
                if chunk is not END and stream._stopping is None:
                    shared.take(chunk, chunk)
                    return
        except Exception as error:
            if stream._bound is not None and isinstance(error, TimeoutError):
                raise
            failure = error
        except BaseException:
            if stream._bound is None:
                # A generator is over then, and ends silently; what another source gave may be lost.
                shared.end(broken_off())
            raise
        finally:
            stream._waiting = False
        shared.end(failure)


class _Messages:
    """Gives the messages of one answer."""

    __slots__ = ("_lane", "_responses", "_seconds")

    def __init__(self, responses: Responses, lane: Lane) -> None:
        self._responses = responses
        self._lane = lane
        self._seconds: float | None = None

    def bound(self, seconds: float | None) -> None:
        """Say how long the next message may be waited for."""
        self._seconds = seconds

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - bytes, or a payload
        message = self._responses.message(self._lane, self._seconds)
        if message is None:
            raise StopIteration
        return message


def _raising(error: Exception | None) -> Iterator[Any]:
    """Raise what was raised already, in its place."""
    if error is not None:
        raise error
    yield from ()


class AsyncResponses(Uncopied):
    """The answers on one connection, in an `async for` loop; each is an `AsyncStream` with its own ending.

    What is left unread of one is read before the next is given. The loop ends
    with the connection, which only the stream that they come from closes.

    Args:
        stream: That stream.
    """

    __slots__ = ("_current", "_shared", "_stream")

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream
        self._shared = Shared(stream)
        self._current: AsyncStream | None = None

    def __aiter__(self) -> AsyncIterator[AsyncStream]:
        self._shared.enter()
        return self

    async def __anext__(self) -> AsyncStream:
        shared = self._shared
        await self._read_rest()
        while shared.several is None:
            await self._read()
        if shared.gives_whole():
            self._stream._batch = chain(shared.kept, self._stream._batch)
            self._current = self._stream
            return self._stream
        while (lane := shared.next_lane()) is None:
            if shared.over or not shared.several:
                raise StopAsyncIteration
            await self._read()
        source = AsyncSource(_AsyncMessages(self, lane), _dropping(lane), messages=True, survives=True)
        response = self._current = _AsyncResponse(source, **shared.options(lane))
        shared.live.add(response)
        return response

    async def _read_rest(self) -> None:
        """Read what is left of the answer that was given last; what goes wrong in it is its own affair."""
        current = self._current
        if current is not None and not current.closed:
            over = self._shared.over
            try:
                await current.final()
            except StreamError:
                if current is self._stream or self._shared.over is not over:
                    # Nobody else would tell why no more answers come.
                    self._current = None
                    raise
        self._current = None

    async def message(self, lane: Lane) -> Any:  # noqa: ANN401 - bytes, or a payload
        """Return the next message of an answer; None at its end."""
        while (message := lane.take()) is None:
            if lane.ended:
                self._shared.check(lane)
                return None
            await self._read()
        return message

    async def _read(self) -> None:
        """Read one chunk of the connection, as the stream itself would; a cancelled read loses nothing."""
        shared, stream = self._shared, self._stream
        if stream._reading:
            raise concurrent()
        stream._reading = True
        try:
            now, item = await self._next_item()
        finally:
            stream._reading = False
        try:
            self._take(now, item)
        except MisuseError as error:
            shared.end(error)
        if shared.over and shared.several:
            await stream._close_source(failed=shared.failure is not None, quiet=True)

    async def _next_item(self) -> tuple[float, Any]:
        """Return what comes next, and when it came."""
        stream = self._stream
        while not stream._over and stream._stopping is None:
            item = next(stream._batch, None)
            if item is not None:
                return item
            if stream._reader is None:
                stream._reader = stream._new_reader()
            else:
                stream._reader.stay_at_home()
            reader: Any = stream._reader
            items = reader.take()
            if not items:
                since = reader.since
                # It is the answers that are waited for with deadlines.
                patience = None if self._shared.several else stream._silence.patience(stream._clock(), since)
                arrived = await reader.wait(patience)
                items = reader.take()
                if not items and not stream._over:
                    now = stream._clock()
                    stalled = None if arrived else stream._silence.look(now, since)
                    if arrived or stalled is not None:
                        return now, LOST if stalled is None else Failed(stalled)
            stream._batch = iter(items)
        if not stream._over:
            stream._stop_here()
        return 0.0, END

    def _take(self, now: float, item: Any) -> None:  # noqa: ANN401 - what the reader has brought
        shared, stream = self._shared, self._stream
        if isinstance(item, Opened):
            stream._attach(item.source)
        if shared.sorter is None and isinstance(stream._source, AsyncSource):
            shared.open()
        if isinstance(item, Opened | Away):
            return
        if isinstance(item, Failed):
            self._end(now, item, item.error)
        elif item is LOST:
            self._end(now, item, broken_off())
        elif item is END:
            self._end(now, item, None)
        else:
            shared.take(item, (now, item))

    def _end(self, now: float, item: object, failure: Exception | None) -> None:
        # The stream itself ends with the same, where it is read after all.
        self._shared.kept.append((now, item))
        self._shared.end(failure)


class _AsyncMessages:
    """Gives the messages of one answer."""

    __slots__ = ("_lane", "_responses")

    def __init__(self, responses: AsyncResponses, lane: Lane) -> None:
        self._responses = responses
        self._lane = lane

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - bytes, or a payload
        message = await self._responses.message(self._lane)
        if message is None:
            raise StopAsyncIteration
        return message


def _dropping(lane: Lane) -> Callable[[], Any]:
    async def drop() -> None:
        lane.drop()

    return drop

"""Reads pipes in chunks, with a time limit and without losing anything; other sources item by item."""

from __future__ import annotations

import io
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenstream._connection.head import LOWEST_ERROR_STATUS, ResponseHead
from tokenstream._connection.status import make_status_error
from tokenstream._sources import requests
from tokenstream._sources.aiohttp import is_aiohttp
from tokenstream._sources.find import async_source, sync_source
from tokenstream._sources.httpx import is_response as is_httpx
from tokenstream._sources.kinds import AsyncSource, SyncSource, do_nothing
from tokenstream._sources.plain import CHUNK_SIZE, close_object, from_file, is_file
from tokenstream._sources.requests import is_http_client
from tokenstream.framing._content_coding import ContentDecoder
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.stream._reading.read_ahead import ReadAhead
from tokenstream.stream._refusals import interrupted_read_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


_ERROR_BODY = 65_536
"""Maximum number of bytes of an error response that are read."""


class PatientPipe:
    """Iterator over the chunks of a pipe whose reads end after a time without data, and lose nothing.

    Args:
        pipe: A pipe that blocks, with or without a buffer.
    """

    def __init__(self, pipe: Any) -> None:  # noqa: ANN401 - a file of the io module
        import select

        self._pipe = pipe
        self._read: Callable[[int], bytes] = getattr(pipe, "read1", pipe.read)
        self._seconds: float | None = None
        self._has_buffered = False
        """True if the buffer of the pipe holds data, of which `poll` knows nothing."""
        self._poll = select.poll()
        self._poll.register(pipe.fileno(), select.POLLIN)
        if hasattr(pipe, "peek"):
            # A pipe that does not block shows what is in its buffer without waiting for more.
            os.set_blocking(pipe.fileno(), False)
            try:
                self._has_buffered = bool(pipe.peek(1))
            finally:
                os.set_blocking(pipe.fileno(), True)

    def limit_read(self, seconds: float | None) -> None:
        """Limit each read from now on to a number of seconds; None for no limit."""
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """Return the next chunk; raise TimeoutError if no data came in time."""
        milliseconds = None if self._seconds is None else self._seconds * 1000
        if not self._has_buffered and not self._pipe.closed and not self._poll.poll(milliseconds):
            raise TimeoutError
        self._has_buffered = False
        if chunk := self._read(CHUNK_SIZE):
            return chunk
        raise StopIteration


def find_pipe(source: Any) -> PatientPipe | None:  # noqa: ANN401 - known by its methods
    """Return the patient reader of a pipe; None for anything else, and on Windows, which has none."""
    binary = getattr(source, "buffer", source)
    if not isinstance(binary, io.BufferedReader | io.FileIO) or os.name != "posix":
        return None
    return PatientPipe(binary) if stat.S_ISFIFO(os.fstat(binary.fileno()).st_mode) else None


def may_block(source: object) -> bool:
    """Return True for a file whose reads may wait for data: all but files on disk and in memory."""
    if not is_file(source) or isinstance(source, io.BytesIO | io.StringIO):
        return False
    fileno = getattr(source, "fileno", None)
    if fileno is None:
        return True
    try:
        return not stat.S_ISREG(os.fstat(fileno()).st_mode)
    except OSError:
        # A file in memory, or an object that only looks like a file.
        return False


class SyncChunks:
    """Reads a synchronous source: a pipe in chunks and in a thread, so that a wait can have a time limit.

    The thread ends with the reading. Where a read cannot be limited, as on Windows or for a socket, the
    thread ends once that read returns.

    Args:
        source: A pipe, a file, a response, or an iterable of items.
    """

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - known by its methods
        self._source = source
        self._thread: ReadAhead | None = None
        self.is_instant = isinstance(source, list | tuple)
        """True if everything is there, so that no read waits."""
        if is_response(source):
            found = sync_source(source)
            self._items = _read_body(found) if isinstance(found, SyncSource) else iter(())
        elif not is_file(source):
            self._items = iter(source)
        else:
            # It checks that the file can be read.
            self._items = iter(from_file(source).chunks)
            if may_block(source):
                pipe = find_pipe(source)
                chunks: Iterator[Any] = self._items if pipe is None else pipe
                limit = None if pipe is None else pipe.limit_read
                self._items = self._thread = ReadAhead(chunks, None, limit_read=limit)

    def __del__(self) -> None:
        self.release()

    @property
    def is_pipe(self) -> bool:
        """True for a pipe that is still read, which blocks its writer once it is full."""
        return self._thread is not None

    def read(self, seconds: float | None) -> object:
        """Return the next chunk or item; raise ReadTimeout if a pipe has none within `seconds`."""
        if self._thread is not None:
            self._thread.limit_read(seconds)
        return next(self._items)

    def release(self) -> None:
        """End the thread; the source stays open."""
        thread, self._thread = getattr(self, "_thread", None), None
        if thread is not None:
            thread.close(do_nothing)

    def close(self) -> None:
        thread, self._thread = self._thread, None
        close = getattr(self._source, "close", do_nothing)
        if thread is not None:
            thread.close(close)
        else:
            close()


def is_response(source: object) -> bool:
    of_requests = requests.is_requests(source) or requests.is_urllib3(source)
    return is_httpx(source) or of_requests or is_http_client(source) or is_aiohttp(source)


def is_byte_stream(source: object) -> bool:
    """Return True for an asynchronous stream of bytes: one of asyncio, of trio, or of anyio."""
    if (hasattr(source, "at_eof") and hasattr(source, "read")) or hasattr(source, "receive_some"):
        return True
    if not hasattr(source, "receive"):
        return False
    from anyio.abc import ByteReceiveStream

    # Its streams of objects have the same method.
    return isinstance(source, ByteReceiveStream)


def is_asynchronous(source: object) -> bool:
    """Return True for a source that is read in `async for`: a byte stream, an iterable, or a response."""
    if is_httpx(source):
        stream = getattr(source, "stream", None)
        return hasattr(stream, "__aiter__") and not hasattr(stream, "__iter__")
    return is_aiohttp(source) or hasattr(source, "__aiter__") or is_byte_stream(source)


class _Body:
    """Undoes the content coding of a response's chunks, and keeps the body of an error response."""

    def __init__(self, source: SyncSource | AsyncSource) -> None:
        coding = source.coding
        self._decoder = ContentDecoder(coding, limits=DEFAULT_LIMITS) if coding else None
        self._head: ResponseHead | None = source.head
        self._error_body = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the bytes of a chunk, those of a compressed one in slices; none of an error response."""
        for piece in (chunk,) if self._decoder is None else self._decoder.slices(chunk):
            if not self._has_failed:
                yield piece
                continue
            self._error_body += piece[:_ERROR_BODY]
            if len(self._error_body) >= _ERROR_BODY:
                self.end()
        if self._decoder is not None:
            self._decoder.check()

    def end(self) -> None:
        """Raise `StatusError` if the response has an error status."""
        if self._head is not None and self._has_failed:
            raise make_status_error(self._head, bytes(self._error_body), DEFAULT_LIMITS)

    @property
    def _has_failed(self) -> bool:
        return self._head is not None and (self._head.status or 0) >= LOWEST_ERROR_STATUS


def _read_body(source: SyncSource) -> Iterator[Any]:
    body = _Body(source)
    for chunk in source.chunks:
        yield from body.feed(chunk)
    body.end()


async def _read_body_async(source: AsyncSource) -> AsyncIterator[Any]:
    from anyio.lowlevel import checkpoint

    body = _Body(source)
    async for chunk in source.chunks:
        for number, piece in enumerate(body.feed(chunk)):
            if number:
                # Few compressed bytes may be a whole second of work: other tasks, and a time-out, may run.
                await checkpoint()
            yield piece
    body.end()


class AsyncChunks:
    """Reads an asynchronous source: a stream of bytes in chunks, anything else item by item.

    Args:
        source: A stream of asyncio, trio or anyio, a response, or an asynchronous iterable.
    """

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - known by its methods
        self._source = source
        self._items: Any = None
        """The iterator over the items; None for a stream of bytes."""
        self._is_broken = False
        """True once a read was cancelled that does not survive it."""
        if is_response(source):
            found = async_source(source)
            self._items = _read_body_async(found) if isinstance(found, AsyncSource) else aiter(source)
        elif not is_byte_stream(source):
            self._items = aiter(source)

    @property
    def is_pipe(self) -> bool:
        """True for a stream of bytes, such as a pipe, which blocks its writer once it is full."""
        return self._items is None

    async def read(self) -> object:
        """Return the next chunk or item; raise StreamInterrupted if a cancelled read broke the source."""
        if self._items is None:
            return await self._read_chunk()
        if self._is_broken:
            raise interrupted_read_error()
        self._is_broken = hasattr(self._items, "ag_frame")
        item = await anext(self._items)
        self._is_broken = False
        return item

    async def _read_chunk(self) -> bytes:
        source = self._source
        chunk = b""
        if hasattr(source, "at_eof"):
            chunk = await source.read(CHUNK_SIZE)
        elif hasattr(source, "receive_some"):
            chunk = await source.receive_some(CHUNK_SIZE)
        else:
            from anyio import EndOfStream

            with suppress(EndOfStream):
                chunk = await source.receive()
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        if self._items is not None:
            await close_object(self._items)
        if self._items is not self._source:
            await close_object(self._source)

"""Recording of responses of HTTP clients, by replacing their methods that read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from tokenstream._sources.aiohttp import from_aiohttp
from tokenstream._sources.requests import (
    from_http_client,
    from_requests,
    from_urllib3,
    raw_response_of,
    was_read,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tokenstream._sources import SyncSource
    from tokenstream._sources.typing import (
        AiohttpResponse,
        BotocoreEventStream,
        HTTPClientResponse,
        RequestsResponse,
        Urllib3Response,
    )
    from tokenstream.testing._record.notes import Notes

ReadT = TypeVar("ReadT")


def note_requests(response: RequestsResponse, notes: Notes) -> None:
    """Record the body of a response of requests: at once if it was read already, else as it is read."""
    notes.note_method(response)
    source = from_requests(response)
    if was_read(response):
        notes.note_complete(source)
    else:
        _note_reads(response.raw, source, notes)


def note_urllib3(response: Urllib3Response, notes: Notes) -> None:
    """Record the body of a urllib3 response: at once if it was read already, else while it is read."""
    source = from_urllib3(response)
    if was_read(response):
        notes.note_complete(source)
    else:
        _note_reads(response, source, notes)


def note_event_stream(stream: BotocoreEventStream, notes: Notes) -> None:
    """Record the body of an event stream of Amazon Bedrock, which only a POST request can open."""
    notes.method = "POST"
    note_urllib3(raw_response_of(stream), notes)


def note_http_client(response: HTTPClientResponse, notes: Notes) -> None:
    """Record the body of a response of http.client while it is read."""
    _note_reads(response, from_http_client(response), notes)


def _note_reads(raw: object, source: SyncSource, notes: Notes) -> None:
    """Record the bytes that are read from a response, by replacing its methods that read."""
    notes.note_head(source.head, source.coding)
    wrap_reads(raw, notes, raw)


def wrap_reads(raw: object, notes: Notes, replacement: object) -> None:
    """Give an object the methods of another one that read and close it, so that the bytes are recorded."""
    wrappers = _ReadWrappers(raw, notes)
    for name, wrap in _WRAPPERS.items():
        method = getattr(raw, name, None)
        if method is not None:
            setattr(replacement, name, wrap(wrappers, method))


class _ReadWrappers:
    """Replacements for the methods that read a response; each records the bytes that it returns."""

    def __init__(self, raw: object, notes: Notes) -> None:
        self._raw = raw
        self._notes = notes
        self._in_method = False
        """True while a replaced method runs: if it calls another, the bytes are recorded only once."""

    def wrap_read(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method like `read(size)`, so that the bytes that it returns are recorded."""

        def note_result(data: bytes, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            """Record the bytes that the method returned, and the end of the body."""
            amount = options.get("amt", args[0] if args else None)
            if data:
                self._notes.see(data, is_decoded=self._decodes(args, options))
            # A read that asks for 0 bytes gets none even before the end.
            is_empty = not data and amount != 0
            # Without an amount, `read` reads to the end; methods such as `read1` may return less.
            reads_all = method.__name__ == "read" and (amount is None or amount < 0)
            if is_empty or reads_all:
                self._notes.end()

        return self._wrap(method, note_result)

    def wrap_read_into(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method like `readinto(buffer)`, so that the bytes put into the buffer are recorded."""

        def note_result(count: int, args: tuple[Any, ...], _: object) -> None:
            """Record the `count` bytes that a read has put into the buffer; if it is 0, the body's end."""
            buffer = args[0]
            if count:
                # Without arguments of its own on the content coding, the read follows the response's setting.
                self._notes.see(memoryview(buffer)[:count], is_decoded=self._decodes((), {}))
            elif len(buffer):
                # Nothing was read although the buffer has room: the body has ended.
                self._notes.end()

        return self._wrap(method, note_result)

    def _wrap(
        self, method: Callable[..., Any], note_result: Callable[[Any, Any, Any], None]
    ) -> Callable[..., Any]:
        """Wrap a method so that its result is recorded.

        If another wrapped method calls the method, only the result of the other one is recorded.
        """

        def read_and_note(*args: object, **options: object) -> object:
            if self._in_method:
                # Another wrapped method has called this one, and notes the bytes.
                return method(*args, **options)
            result = self._call_method(method, args, options)
            note_result(result, args, options)
            return result

        return read_and_note

    def wrap_chunk_iterator(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a generator method that reads from the connection itself, so that each chunk is recorded."""

        def read_chunked(*args: object, **options: object) -> Iterator[Any]:
            """Yield the chunks that the response's own method yields, and add each to the recording."""
            chunks = method(*args, **options)
            # The arguments of urllib3's method are the amount and `decode_content`.
            is_decoded = bool(options.get("decode_content", args[1] if len(args) > 1 else None))
            # `_call_method` ends the recording if the read fails. At the end, `next` returns None.
            while (chunk := self._call_method(next, (chunks, None), {})) is not None:
                self._notes.see(chunk, is_decoded=is_decoded)
                yield chunk
            self._notes.end()

        return read_chunked

    def wrap_body_iterator(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a generator method that reads through other wrapped methods, so that its end is recorded."""

        def stream(*args: object, **options: object) -> Iterator[Any]:
            """Yield what the response's own method yields; then mark the end of the recorded body."""
            yield from method(*args, **options)
            self._notes.end()

        return stream

    def wrap_close(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the method that closes the response, so that it also ends the recording."""

        def close() -> None:
            """Close the response, and write the recording of the bytes read so far."""
            try:
                method()
            finally:
                # After a failed read urllib3 closes first; `_call_method` then reports the failure.
                if not self._in_method:
                    self._notes.stop()

        return close

    def _call_method(self, method: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401 - what the method returns
        """Call a method of the response; if it raises, write the recording with that failure."""
        self._in_method = True
        try:
            return method(*args, **options)
        except BaseException as error:
            self._notes.note_read_error(error, final=True)
            raise
        finally:
            self._in_method = False

    def _decodes(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Return True if a read undoes the content coding, as urllib3 can; http.client never does."""
        # The arguments of urllib3's methods are the amount and `decode_content`.
        decode = options.get("decode_content", args[1] if len(args) > 1 else None)
        if decode is None:
            # The response's own setting counts.
            decode = getattr(self._raw, "decode_content", False)
        return bool(decode)


_WRAPPERS: dict[str, Callable[[_ReadWrappers, Any], Any]] = {
    "close": _ReadWrappers.wrap_close,
    "read": _ReadWrappers.wrap_read,
    "read1": _ReadWrappers.wrap_read,
    "read_chunked": _ReadWrappers.wrap_chunk_iterator,
    "readinto": _ReadWrappers.wrap_read_into,
    "readline": _ReadWrappers.wrap_read,
    "stream": _ReadWrappers.wrap_body_iterator,
}
"""Maps names of methods to the functions that wrap them; no response has all these methods."""


def note_aiohttp(response: AiohttpResponse, notes: Notes) -> None:
    """Record the body of an aiohttp response: at once if it was read already, else as it is read."""
    notes.method = response.method
    source = from_aiohttp(response)
    # aiohttp keeps a body that was read as a whole; it is None otherwise.
    whole_body = getattr(response, "_body", None)
    notes.note_head(source.head, source.coding)
    if whole_body is not None:
        notes.see(whole_body)
        notes.end()
        return
    response.content = NotedContent(response.content, notes)  # type: ignore[misc, assignment] # it has the same methods
    for name in ("close", "release"):
        setattr(response, name, _wrap_close(getattr(response, name), notes))


def _wrap_close(method: Callable[[], Any], notes: Notes) -> Callable[[], Any]:
    """Return a replacement for a close method, which also ends the recording."""

    def close() -> object:
        """Close the response, and end the recording, even if closing fails."""
        try:
            return method()
        finally:
            notes.stop()

    return close


class NotedContent:
    """Replaces the body object of an aiohttp response, and records the bytes that are read from it."""

    def __init__(self, content: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's, with all ways of reading
        self._content = content
        self._content_class: Any = type(content)
        """The body's class, whose iteration methods are run on this object."""
        self._notes = notes
        self._unread = b""
        """Bytes that arrived before an error and have not been returned yet."""

    def __getattr__(self, name: str) -> object:
        if name == "_content":
            # `__init__` was not called, as in a copy: the lookup below would never end.
            raise AttributeError(name)
        if name.startswith("iter_"):
            # Bind the iteration methods to this object, so that they read through the methods below.
            return getattr(self._content_class, name).__get__(self)
        return getattr(self._content, name)

    def __aiter__(self) -> object:
        return self._content_class.__aiter__(self)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes; all of the body if `n` is negative."""
        data: bytes = await self._await_read(self._content.read(n))
        # A negative `n` reads to the end; 0 bytes are returned for `n` = 0 even before the end.
        self._note(data, is_end=n < 0 or (not data and n > 0))
        return data

    async def readany(self) -> bytes:
        """Read the bytes that have arrived."""
        return self._note_read(await self._await_read(self._content.readany()))

    async def readline(self, **options: object) -> bytes:
        """Read a line."""
        return self._note_read(await self._await_read(self._content.readline(**options)))

    async def readuntil(self, *args: object, **options: object) -> bytes:
        """Read up to a separator."""
        return self._note_read(await self._await_read(self._content.readuntil(*args, **options)))

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes."""
        data: bytes = await self._await_read(self._content.readexactly(n))
        self._note(data, is_end=False)
        return data

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read the bytes of one transfer chunk that have arrived; the second value is True at its end."""
        data, chunk_ended = await self._await_read(self._content.readchunk())
        # At the end of the body, aiohttp returns (b"", False).
        self._note(data, is_end=not data and not chunk_ended)
        return data, chunk_ended

    def read_nowait(self, n: int = -1) -> bytes:
        """Return buffered bytes without waiting."""
        data: bytes = self._content.read_nowait(n)
        self._note(data, is_end=False)
        return data

    def _read_nowait(self, n: int) -> bytes:
        """Return all bytes that had arrived before an error and were not read, whatever `n` is.

        The method replaces aiohttp's private one of this name.
        """
        unread, self._unread = self._unread, b""
        return unread

    def _note_read(self, data: bytes) -> bytes:
        """Record the bytes that a read has returned, and return them."""
        self._note(data, is_end=not data)
        return data

    def _note(self, data: bytes, *, is_end: bool) -> None:
        """Add bytes that were read to the recording; at the end of the body, write the recording."""
        if data:
            self._notes.see(data)
        if is_end:
            self._notes.end()

    async def _await_read(self, awaitable: Awaitable[ReadT]) -> ReadT:
        """Return the result of a read of the body; if it fails, record the bytes it took, and the failure."""
        try:
            return await awaitable
        except EOFError as error:
            # The body ended before the requested number of bytes.
            self._note(getattr(error, "partial", b""), is_end=True)
            raise
        except Exception as error:
            # aiohttp raises an error even if earlier bytes are unread: take these bytes out first.
            read_buffered = getattr(self._content, "_read_nowait", None)
            self._unread = read_buffered(-1) if read_buffered is not None else b""
            self._note(self._unread, is_end=False)
            self._notes.note_read_error(error, final=True)
            raise

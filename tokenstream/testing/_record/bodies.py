"""Functions that note the body of a response while the application reads it, with any method.

*Noting* means adding the bytes to the `Notes`, from which the recording is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._sources import from_response
from tokenstream._sources.aiohttp import from_aiohttp, is_aiohttp
from tokenstream._sources.boto3 import is_event_stream, raw_response_of, stream_of
from tokenstream._sources.http_client import from_http_client, is_http_client
from tokenstream._sources.kinds import named
from tokenstream._sources.requests import from_requests, from_urllib3, is_requests, is_urllib3, was_read
from tokenstream.errors import MisuseError
from tokenstream.stream._tap.body import can_watch_body, watch_body
from tokenstream.stream._tap.wrappers import response_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream._sources import AsyncSource, SyncSource
    from tokenstream.testing._record.notes import Notes


def note_body(source: Any, notes: Notes) -> bool:  # noqa: ANN401 - told apart by what it can do
    """Start noting the body of a response, or of the response that an SDK's stream reads.

    Returns:
        False if the source neither is nor contains a response.

    Raises:
        MisuseError: The body was read or closed before.
    """
    source = stream_of(source)
    response = response_of(source)
    if response is not None:
        note_httpx(response, notes)
        return True
    for is_one, note in _KINDS:
        if is_one(source):
            note(source, notes)
            return True
    return False


# -- httpx, httpx2 -----------------------------------------------------------


def note_httpx(response: Any, notes: Notes) -> None:  # noqa: ANN401 - httpx's or httpx2's
    """Note the body of an httpx or httpx2 response: at once if it was read already, else as it is read."""
    notes.method = _method_of(response)
    if can_watch_body(response):
        watch_body(response, notes)
    elif hasattr(response, "_content"):
        _note_complete(from_response(response), notes)
    else:
        raise _already_read(response)


def _method_of(response: Any) -> str:  # noqa: ANN401 - httpx's, httpx2's or of requests
    try:
        return response.request.method or ""
    except (AttributeError, RuntimeError):
        # A response constructed in code has no request.
        return ""


def _note_complete(source: SyncSource, notes: Notes) -> None:
    """Note a body that has arrived completely, and write the recording."""
    notes.opened(source.head, source.coding)
    for chunk in source.chunks:
        if chunk:
            notes.see(chunk)
    notes.end()


def _already_read(response: object) -> MisuseError:
    return MisuseError(f"{named(response)} was read or closed before; record it before that")


# -- requests, urllib3, boto3, http.client -----------------------------------


def _note_requests(response: Any, notes: Notes) -> None:  # noqa: ANN401 - of requests
    notes.method = _method_of(response)
    source = from_requests(response)
    if was_read(response):
        _note_complete(source, notes)
    else:
        _note_reads(response.raw, source, notes)


def _note_urllib3(response: Any, notes: Notes) -> None:  # noqa: ANN401 - of urllib3
    source = from_urllib3(response)
    if was_read(response):
        _note_complete(source, notes)
    else:
        _note_reads(response, source, notes)


def _note_event_stream(stream: Any, notes: Notes) -> None:  # noqa: ANN401 - of botocore
    notes.method = "POST"
    _note_urllib3(raw_response_of(stream), notes)


def _note_http_client(response: Any, notes: Notes) -> None:  # noqa: ANN401 - of http.client
    _note_reads(response, from_http_client(response), notes)


def _note_reads(raw: Any, source: SyncSource, notes: Notes) -> None:  # noqa: ANN401 - a response that is read
    notes.opened(source.head, source.coding)
    reads = _Reads(raw, notes)
    for name, replacement in _REPLACED.items():
        own = getattr(raw, name, None)
        if own is not None:
            setattr(raw, name, replacement(reads, own))


class _Reads:
    """Replacements for the methods that read a response; each notes the bytes that it returns.

    Args:
        raw: The response.
        notes: Receives the bytes.
    """

    def __init__(self, raw: Any, notes: Notes) -> None:  # noqa: ANN401 - of urllib3 or http.client
        self._raw = raw
        self._notes = notes
        self._inside = False
        """True while a replaced method runs: if it calls another, the bytes are noted only once."""

    def read(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method that returns bytes, and whose first argument is their largest number."""

        def note(data: Any, args: Any, options: Any) -> None:  # noqa: ANN401 - what it gave and took
            amount = options.get("amt", args[0] if args else None)
            if data:
                self._notes.see(data, plain=self._is_plain(args, options))
            # An empty result, or a read without a bound, means that the body has ended.
            if (not data and amount != 0) or (own.__name__ == "read" and (amount is None or amount < 0)):
                self._notes.end()

        return self._wrap(own, note)

    def read_into(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a method whose first argument is a buffer to fill, and which returns the number of bytes."""

        def note(count: Any, args: Any, _: Any) -> None:  # noqa: ANN401 - what it gave and took
            if count:
                self._notes.see(memoryview(args[0])[:count], plain=self._is_plain((), {}))
            elif len(args[0]):
                self._notes.end()

        return self._wrap(own, note)

    def _wrap(self, own: Callable[..., Any], note: Callable[[Any, Any, Any], None]) -> Callable[..., Any]:
        """Wrap a method so that its result is noted, unless another wrapped method calls it."""

        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - what it takes and gives
            if self._inside:
                return own(*args, **options)
            given = self._run_method(own, args, options)
            note(given, args, options)
            return given

        return call

    def iterate(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a generator method that reads from the connection itself."""

        def read_chunked(*args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as it takes
            chunks = own(*args, **options)
            plain = bool(options.get("decode_content", args[1] if len(args) > 1 else None))
            while (chunk := self._run_method(next, (chunks, None), {})) is not None:
                self._notes.see(chunk, plain=plain)
                yield chunk
            self._notes.end()

        return read_chunked

    def iterate_to_end(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a generator method that reads the body to its end through other wrapped methods."""

        def stream(*args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as it takes
            yield from own(*args, **options)
            self._notes.end()

        return stream

    def close(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the method that closes the response."""

        def close() -> None:
            try:
                own()
            finally:
                # After a failed read urllib3 closes first; `_run_method` then reports the failure.
                if not self._inside:
                    self._notes.stop()

        return close

    def _run_method(self, own: Callable[..., Any], args: Any, options: Any) -> Any:  # noqa: ANN401 - as the method
        """Call a method of the response; if it raises, write the recording with that failure."""
        self._inside = True
        try:
            return own(*args, **options)
        except BaseException as error:
            self._notes.broke(error, final=True)
            raise
        finally:
            self._inside = False

    def _is_plain(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Return True if a read removes the content coding, as urllib3 can; http.client never does."""
        asked = options.get("decode_content", args[1] if len(args) > 1 else None)
        return bool(getattr(self._raw, "decode_content", False) if asked is None else asked)


_REPLACED: dict[str, Callable[[_Reads, Any], Any]] = {
    "close": _Reads.close,
    "read": _Reads.read,
    "read1": _Reads.read,
    "read_chunked": _Reads.iterate,
    "readinto": _Reads.read_into,
    "readline": _Reads.read,
    "stream": _Reads.iterate_to_end,
}


# -- aiohttp -----------------------------------------------------------------


def _note_aiohttp(response: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's
    """Note the body of an aiohttp response: at once if it was read already, else as it is read."""
    notes.method = response.method
    source: AsyncSource = from_aiohttp(response)
    read = getattr(response, "_body", None)
    notes.opened(source.head, source.coding)
    if read is not None:
        notes.see(read)
        notes.end()
        return
    response.content = _NotedContent(response.content, notes)
    for name in ("close", "release"):
        setattr(response, name, _wrap_close(getattr(response, name), notes))


def _wrap_close(own: Callable[[], Any], notes: Notes) -> Callable[[], Any]:
    """Return a replacement for a close method, which also ends the recording."""

    def close() -> Any:  # noqa: ANN401 - what aiohttp returns
        try:
            return own()
        finally:
            notes.stop()

    return close


class _NotedContent:
    """Replaces the body object of an aiohttp response, and notes the bytes that are read from it.

    Args:
        content: The body.
        notes: Receives the bytes.
    """

    def __init__(self, content: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's
        self._content = content
        self._kind: Any = type(content)
        self._notes = notes
        self._left = b""
        """Bytes that arrived before an error and have not been returned yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the body has
        if name == "_content":
            raise AttributeError(name)
        if name.startswith("iter_"):
            # Bind the iteration methods to this object, so that they read through the methods below.
            return getattr(self._kind, name).__get__(self)
        return getattr(self._content, name)

    def __aiter__(self) -> Any:  # noqa: ANN401 - aiohttp's iterator
        return self._kind.__aiter__(self)

    async def read(self, n: int = -1) -> bytes:
        """Read at most `n` bytes; all of the body if `n` is negative."""
        data: bytes = await self._await_read(self._content.read(n))
        self._note(data, over=n < 0 or (not data and n > 0))
        return data

    async def readany(self) -> bytes:
        """Read the bytes that have arrived."""
        return self._note_some(await self._await_read(self._content.readany()))

    async def readline(self, **options: Any) -> bytes:  # noqa: ANN401 - as aiohttp
        """Read a line."""
        return self._note_some(await self._await_read(self._content.readline(**options)))

    async def readuntil(self, *args: Any, **options: Any) -> bytes:  # noqa: ANN401 - as aiohttp
        """Read up to a separator."""
        return self._note_some(await self._await_read(self._content.readuntil(*args, **options)))

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes."""
        data: bytes = await self._await_read(self._content.readexactly(n))
        self._note(data, over=False)
        return data

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read the bytes of one transfer chunk that have arrived."""
        data, ended = await self._await_read(self._content.readchunk())
        self._note(data, over=not data and not ended)
        return data, ended

    def read_nowait(self, n: int = -1) -> bytes:
        """Return buffered bytes without waiting."""
        data: bytes = self._content.read_nowait(n)
        self._note(data, over=False)
        return data

    def _read_nowait(self, n: int) -> bytes:
        """Return the bytes that had arrived before an error, and were not read."""
        left, self._left = self._left, b""
        return left

    def _note_some(self, data: bytes) -> bytes:
        self._note(data, over=not data)
        return data

    def _note(self, data: bytes, *, over: bool) -> None:
        if data:
            self._notes.see(data)
        if over:
            self._notes.end()

    async def _await_read(self, read: Any) -> Any:  # noqa: ANN401 - what it gives
        """Await a read of the body; if the read fails, write the recording with that failure."""
        try:
            return await read
        except EOFError as error:
            # The body ended before the requested number of bytes.
            self._note(getattr(error, "partial", b""), over=True)
            raise
        except Exception as error:
            # aiohttp raises an error even if earlier bytes are unread: take these bytes out first.
            take = getattr(self._content, "_read_nowait", None)
            self._left = take(-1) if take is not None else b""
            self._note(self._left, over=False)
            self._notes.broke(error, final=True)
            raise


_KINDS: list[tuple[Callable[[Any], bool], Callable[[Any, Notes], None]]] = [
    (is_requests, _note_requests),
    (is_urllib3, _note_urllib3),
    (is_event_stream, _note_event_stream),
    (is_http_client, _note_http_client),
    (is_aiohttp, _note_aiohttp),
]

"""Bodies of responses that are noted as they are read, whoever reads them and by whichever method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources import from_response
from tokenstream.sources._aiohttp import from_aiohttp, is_aiohttp
from tokenstream.sources._boto3 import beneath, is_event_stream, stream_of
from tokenstream.sources._http_client import from_http_client, is_http_client
from tokenstream.sources._kinds import named
from tokenstream.sources._requests import from_requests, from_urllib3, is_requests, is_urllib3, was_read
from tokenstream.stream._tap_beside import response_of
from tokenstream.stream._tap_body import can_be_shown, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tokenstream.sources import AsyncSource, SyncSource
    from tokenstream.testing._record_notes import Notes

__all__ = ["note_body", "note_httpx"]


def note_body(source: Any, notes: Notes) -> bool:  # noqa: ANN401 - told apart by what it can do
    """Have the body noted of a response, or of the response that something stands on.

    Returns:
        Whether there is one.

    Raises:
        MisuseError: It was read or closed before.
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
    """Have the body of a response of httpx or httpx2 noted, now where it is at hand."""
    notes.method = _method_of(response)
    if can_be_shown(response):
        show(response, notes)
    elif hasattr(response, "_content"):
        _note_at_hand(from_response(response), notes)
    else:
        raise _read_before(response)


def _method_of(response: Any) -> str:  # noqa: ANN401 - httpx's, httpx2's or of requests
    try:
        return response.request.method or ""
    except (AttributeError, RuntimeError):
        # A response that was made by hand has no request.
        return ""


def _note_at_hand(source: SyncSource, notes: Notes) -> None:
    notes.opened(source.head, source.coding)
    for chunk in source.chunks:
        if chunk:
            notes.see(chunk)
    notes.end()


def _read_before(response: object) -> MisuseError:
    return MisuseError(f"{named(response)} was read or closed before; record it before that")


# -- requests, urllib3, boto3, http.client -----------------------------------


def _note_requests(response: Any, notes: Notes) -> None:  # noqa: ANN401 - of requests
    notes.method = _method_of(response)
    source = from_requests(response)
    if was_read(response):
        _note_at_hand(source, notes)
    else:
        _note_reads(response.raw, source, notes)


def _note_urllib3(response: Any, notes: Notes) -> None:  # noqa: ANN401 - of urllib3
    source = from_urllib3(response)
    if was_read(response):
        _note_at_hand(source, notes)
    else:
        _note_reads(response, source, notes)


def _note_event_stream(stream: Any, notes: Notes) -> None:  # noqa: ANN401 - of botocore
    notes.method = "POST"
    _note_urllib3(beneath(stream), notes)


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
    """The methods by which a response is read, each with a note of what it gives.

    Args:
        raw: The response.
        notes: Where to note it.
    """

    def __init__(self, raw: Any, notes: Notes) -> None:  # noqa: ANN401 - of urllib3 or http.client
        self._raw = raw
        self._notes = notes
        self._inside = False
        """Whether one of them is at work, which may call another."""

    def read(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that returns bytes, and takes how many first."""

        def note(data: Any, args: Any, options: Any) -> None:  # noqa: ANN401 - what it gave and took
            amount = options.get("amt", args[0] if args else None)
            if data:
                self._notes.see(data, plain=self._is_plain(args, options))
            # Nothing is what the end gives, and what is asked for without a bound comes to the end.
            if (not data and amount != 0) or (own.__name__ == "read" and (amount is None or amount < 0)):
                self._notes.end()

        return self._noting(own, note)

    def read_into(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that fills a buffer."""

        def note(count: Any, args: Any, _: Any) -> None:  # noqa: ANN401 - what it gave and took
            if count:
                self._notes.see(memoryview(args[0])[:count], plain=self._is_plain((), {}))
            elif len(args[0]):
                self._notes.end()

        return self._noting(own, note)

    def _noting(self, own: Callable[..., Any], note: Callable[[Any, Any, Any], None]) -> Callable[..., Any]:
        """Return a method of which a note is taken, unless another one calls it."""

        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - what it takes and gives
            if self._inside:
                return own(*args, **options)
            given = self._done(own, args, options)
            note(given, args, options)
            return given

        return call

    def iterate(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that gives chunks, and reads them itself."""

        def read_chunked(*args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as it takes
            chunks = own(*args, **options)
            plain = bool(options.get("decode_content", args[1] if len(args) > 1 else None))
            while (chunk := self._done(next, (chunks, None), {})) is not None:
                self._notes.see(chunk, plain=plain)
                yield chunk
            self._notes.end()

        return read_chunked

    def to_the_end(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method that gives what others read, until the end."""

        def stream(*args: Any, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as it takes
            yield from own(*args, **options)
            self._notes.end()

        return stream

    def close(self, own: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method that closes."""

        def close() -> None:
            try:
                own()
            finally:
                # Where reading breaks, urllib3 closes first: how it broke is still to be told.
                if not self._inside:
                    self._notes.stop()

        return close

    def _done(self, own: Callable[..., Any], args: Any, options: Any) -> Any:  # noqa: ANN401 - as the method
        self._inside = True
        try:
            return own(*args, **options)
        except BaseException as error:
            self._notes.broke(error, final=True)
            raise
        finally:
            self._inside = False

    def _is_plain(self, args: tuple[Any, ...], options: dict[str, Any]) -> bool:
        """Tell whether urllib3 takes the content coding off; http.client does not know any."""
        asked = options.get("decode_content", args[1] if len(args) > 1 else None)
        return bool(getattr(self._raw, "decode_content", False) if asked is None else asked)


_REPLACED: dict[str, Callable[[_Reads, Any], Any]] = {
    "close": _Reads.close,
    "read": _Reads.read,
    "read1": _Reads.read,
    "read_chunked": _Reads.iterate,
    "readinto": _Reads.read_into,
    "readline": _Reads.read,
    "stream": _Reads.to_the_end,
}


# -- aiohttp -----------------------------------------------------------------


def _note_aiohttp(response: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's
    notes.method = response.method
    source: AsyncSource = from_aiohttp(response)
    read = getattr(response, "_body", None)
    notes.opened(source.head, source.coding)
    if read is not None:
        notes.see(read)
        notes.end()
        return
    response.content = _Content(response.content, notes)
    for name in ("close", "release"):
        setattr(response, name, _closing(getattr(response, name), notes))


def _closing(own: Callable[[], Any], notes: Notes) -> Callable[[], Any]:
    def close() -> Any:  # noqa: ANN401 - what aiohttp returns
        try:
            return own()
        finally:
            notes.stop()

    return close


class _Content:
    """Stands for the body of a response of aiohttp, and notes what is read of it.

    Args:
        content: The body.
        notes: Where to note it.
    """

    def __init__(self, content: Any, notes: Notes) -> None:  # noqa: ANN401 - aiohttp's
        self._content = content
        self._kind: Any = type(content)
        self._notes = notes
        self._left = b""
        """What had come before an error, and was not asked for yet."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what the body has
        if name == "_content":
            raise AttributeError(name)
        if name.startswith("iter_"):
            # These read with the methods of the object that they are asked of.
            return getattr(self._kind, name).__get__(self)
        return getattr(self._content, name)

    def __aiter__(self) -> Any:  # noqa: ANN401 - aiohttp's iterator
        return self._kind.__aiter__(self)

    async def read(self, n: int = -1) -> bytes:
        """Read so many bytes at most; to the end without a number."""
        data: bytes = await self._awaited(self._content.read(n))
        self._note(data, over=n < 0 or (not data and n > 0))
        return data

    async def readany(self) -> bytes:
        """Read what has come."""
        return self._noted(await self._awaited(self._content.readany()))

    async def readline(self, **options: Any) -> bytes:  # noqa: ANN401 - as aiohttp
        """Read a line."""
        return self._noted(await self._awaited(self._content.readline(**options)))

    async def readuntil(self, *args: Any, **options: Any) -> bytes:  # noqa: ANN401 - as aiohttp
        """Read up to a separator."""
        return self._noted(await self._awaited(self._content.readuntil(*args, **options)))

    async def readexactly(self, n: int) -> bytes:
        """Read so many bytes."""
        data: bytes = await self._awaited(self._content.readexactly(n))
        self._note(data, over=False)
        return data

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read what has come of a chunk of the wire."""
        data, ended = await self._awaited(self._content.readchunk())
        self._note(data, over=not data and not ended)
        return data, ended

    def read_nowait(self, n: int = -1) -> bytes:
        """Return what is there."""
        data: bytes = self._content.read_nowait(n)
        self._note(data, over=False)
        return data

    def _read_nowait(self, n: int) -> bytes:
        """Return what was left where an error came."""
        left, self._left = self._left, b""
        return left

    def _noted(self, data: bytes) -> bytes:
        self._note(data, over=not data)
        return data

    def _note(self, data: bytes, *, over: bool) -> None:
        if data:
            self._notes.see(data)
        if over:
            self._notes.end()

    async def _awaited(self, read: Any) -> Any:  # noqa: ANN401 - what it gives
        try:
            return await read
        except EOFError as error:
            # Fewer bytes came than were asked for.
            self._note(getattr(error, "partial", b""), over=True)
            raise
        except Exception as error:
            # An error overtakes what came before it and was not read yet.
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

"""Adapters for httpx and httpx2 responses, and for objects that have one, such as SDK streams."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import ref

from tokenstream._connection.head import LOWEST_ERROR_STATUS, make_head
from tokenstream._sources.kinds import AsyncSource, SyncSource, do_nothing, is_response_like
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream._basics.loose import Action, FromHTTPX
    from tokenstream._connection.head import ResponseHead
    from tokenstream._sources.kinds import SupportsReadLimit

_NAMES = ("iter_raw", "aiter_raw", "status_code", "headers", "stream")

_RESPONSE_ATTRIBUTES = ("response", "http_response", "_response")
"""Names of attributes with the response: in streams of httpx-sse and SDKs, in raw responses, in helpers."""


def is_response(source: object) -> bool:
    """Return True for an httpx or httpx2 response."""
    return is_response_like(source, _NAMES, "status_code")


def from_response(response: FromHTTPX, close: Action | None = None) -> SyncSource:
    """Return the source through which a `Stream` reads an httpx or httpx2 response.

    `close` also closes what was opened for the response; by default, only the response is closed.
    """
    head = _head_of(response)
    if _was_read(response):
        # httpx has decoded this body, so the source has no content coding.
        return SyncSource(iter([response.content]), close or do_nothing, head)
    if not isinstance(response.stream, Iterable):
        raise MisuseError("the response is asynchronous: read it with AsyncStream, in `async for`")
    return SyncSource(
        response.iter_raw(),
        close or response.close,
        head,
        head.content_coding,
        socket=_find_socket_reader(response),
        patience=_find_request_timeout(response),
        keep_limit=_find_limiter(response),
    )


def from_async_response(response: FromHTTPX) -> AsyncSource:
    """Return the source through which an `AsyncStream` reads an asynchronous httpx or httpx2 response."""
    head = _head_of(response)
    if _was_read(response):
        from tokenstream._sources.plain import read_at_once

        return read_at_once(from_response(response))
    if not isinstance(response.stream, AsyncIterable):
        raise MisuseError("the response is not asynchronous: read it with Stream, in `for`")
    return AsyncSource(
        response.aiter_raw(),
        response.aclose,
        head,
        head.content_coding,
        socket=_find_socket_reader(response),
        patience=_find_request_timeout(response),
    )


def _was_read(response: FromHTTPX) -> bool:
    """Return True if the body was read to its end and is stored in the response."""
    return bool(response.is_stream_consumed) and hasattr(response, "_content")


def _find_request_timeout(response: FromHTTPX) -> float | None:
    """Return the read timeout that the client or the request has; None for none, 0 if it is not known."""
    request: FromHTTPX = getattr(response, "_request", None)
    timeouts: dict[str, Any] = {} if request is None else request.extensions.get("timeout") or {}
    read: float | None = timeouts.get("read", 0.0)
    return read


def _find_socket_reader(response: FromHTTPX) -> Action | None:
    """Return the function that returns an open response's socket; None if it has none for itself."""
    stream = response.extensions.get("network_stream")
    if stream is None or not response.extensions.get("http_version", b"").startswith(b"HTTP/1"):
        return None
    return lambda: None if response.is_closed else stream.get_extra_info("socket")


def _find_limiter(response: FromHTTPX) -> Callable[[SupportsReadLimit], object] | None:
    """Return the function that limits the reads of a response; None if it has no network connection."""
    stream = response.extensions.get("network_stream")
    if not callable(getattr(stream, "read", None)):
        return None
    if response.extensions.get("http_version", b"").startswith(b"HTTP/1"):
        return lambda limit: _limit_own(response, stream, limit)
    # Over HTTP/2, other responses may use the same connection.
    return lambda limit: _limit_shared(response, stream, limit)


class _LimitedRead:
    """Replaces the method `read` of a connection's network stream, to give each read a timeout of its own.

    httpcore itself uses one timeout for the whole body. But while a `Stream` waits for its first event, it
    accepts a longer silence than later in the answer.

    Args:
        response: The response that alone uses the connection. Only weak references to it and to the network
            stream are kept, because that stream has this object even after the response is over.
    """

    def __init__(self, response: FromHTTPX, stream: object, limit: SupportsReadLimit) -> None:
        self._response = ref(response)
        self._stream = ref(stream)
        self._limit = limit

    def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes of the connection; the timeout is the client's own, in seconds."""
        stream, response = self._stream(), self._response()
        # A connection whose response is closed is in its pool again, and belongs to another response.
        if response is not None and not response.is_closed:
            timeout = self._limit.seconds(timeout)
        # The method of the class, because the stream's own attribute is this object.
        kind: Any = stream.__class__
        data: bytes = kind.read(stream, max_bytes, timeout)
        return data


def _limit_own(response: object, stream: Any, limit: SupportsReadLimit) -> None:  # noqa: ANN401 - of httpx and httpcore
    # A network stream that is not httpcore's own may refuse attributes or weak references.
    with suppress(AttributeError, TypeError):
        stream.read = _LimitedRead(response, stream, limit)


class _SharedTimeouts(dict[str, Any]):
    """The timeouts of a request over HTTP/2, which httpcore looks up before each read from the connection.

    A read that timed out would break the connection for all its answers. So the wait for data
    happens in the look-up, before the read begins: if that wait takes too long, only one answer ends.

    Args:
        timeouts: The client's own timeouts.
        wait: Waits for data; takes the client's timeout for a read, and returns the one to use.
    """

    def __init__(self, timeouts: dict[str, Any], wait: Callable[[float | None], float | None]) -> None:
        super().__init__(timeouts)
        self._wait = wait

    def get(self, key: str, default: object = None) -> object:
        """Return a timeout; for the one of a read, first wait until there is something to read."""
        own = super().get(key, default)
        return self._wait(own) if key == "read" else own


def _limit_shared(response: object, stream: object, limit: SupportsReadLimit) -> None:
    request = getattr(response, "_request", None)
    if request is not None:
        timeouts: dict[str, Any] = request.extensions.get("timeout") or {}
        request.extensions["timeout"] = _SharedTimeouts(timeouts, lambda own: limit.wait(stream, own))


def _head_of(response: FromHTTPX) -> ResponseHead:
    request = getattr(response, "_request", None)
    return make_head(
        response.status_code, response.headers.items(), response.reason_phrase, _url_of(response), request
    )


def _url_of(response: FromHTTPX) -> str:
    try:
        return str(response.url)
    except RuntimeError:
        # A response that was created by hand has no request, and therefore no address.
        return ""


def response_beneath(source: object) -> FromHTTPX:
    """Return the response that a stream object has in an attribute; None if there is none."""
    has_items = isinstance(source, Iterable | AsyncIterable)
    for name in _RESPONSE_ATTRIBUTES:
        response: FromHTTPX = getattr(source, name, None)
        if response is not None and is_response(response):
            # An object that has items may have an empty response, such as litellm's of a whole answer.
            is_empty = getattr(response, "_content", None) == b""
            if not (is_empty and has_items):
                return response
    return None


def refused_response(error: Exception) -> FromHTTPX:
    """Return the error response of an SDK's exception if its body is unread; else None."""
    response: Any = getattr(error, "response", None)
    # "is False" and not "not", because any attribute of a mock may exist.
    is_open = is_response(response) and response.is_closed is False
    if not is_open or response.is_stream_consumed is not False:
        return None
    return response if response.status_code >= LOWEST_ERROR_STATUS else None


def from_holder(source: object, response: FromHTTPX) -> SyncSource:
    """Return a source for a `Stream` that reads the response which an object has, such as an SDK's stream.

    Closing the source also closes the object, so that an SDK can clean up.
    """
    _refuse_begun(source, response)
    if _was_read(response):
        # Nothing is open.
        return from_response(response)
    close_holder = getattr(source, "close", None)

    def close() -> None:
        """Close the object that holds the response, if it can be closed, and then the response."""
        try:
            if callable(close_holder):
                close_holder()
        finally:
            response.close()

    return from_response(response, close)


def from_async_holder(source: object, response: FromHTTPX) -> AsyncSource:
    """Return a source for an `AsyncStream` that reads the response which an object has; see `from_holder`."""
    _refuse_begun(source, response)
    response_source = from_async_response(response)
    if response_source.instant:
        # The body was read already, so nothing is open.
        return response_source

    async def close() -> None:
        from tokenstream._sources.plain import close_object

        try:
            await close_object(source)
        finally:
            await response.aclose()

    return replace(response_source, close=close)


def _refuse_begun(source: object, response: FromHTTPX) -> None:
    """Refuse an object that was partly read, which stays open: its response cannot be read again."""
    is_half_read = response.is_stream_consumed and not response.is_closed
    has_whole_body = hasattr(response, "_content")
    if not is_half_read or has_whole_body:
        return
    if isinstance(source, Iterable):
        advice = "Stream(chunk for chunk in stream)"
    elif isinstance(source, AsyncIterable):
        advice = "AsyncStream(chunk async for chunk in stream)"
    else:
        # The response itself refuses to be read.
        return
    raise MisuseError(
        "a part of the stream was already read; pass it unread, or read the rest of it "
        f"through its own loop: {advice}"
    )

"""Adapter for httpx and httpx2 responses."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any

from tokenstream._connection.head import ResponseHead, lower_header_names
from tokenstream._sources.kinds import AsyncSource, SyncSource, do_nothing, is_response_like
from tokenstream._sources.plain import read_at_once
from tokenstream.errors import MisuseError

_NAMES = ("iter_raw", "aiter_raw", "status_code", "headers", "stream")


def is_response(source: object) -> bool:
    """Return True for an httpx or httpx2 response."""
    return is_response_like(source, _NAMES, "status_code")


def from_response(response: Any) -> SyncSource:  # noqa: ANN401 - httpx's or httpx2's
    """Return the source of an httpx or httpx2 response for a `Stream`.

    Raises:
        MisuseError: The response is asynchronous.
    """
    head = _head_of(response)
    if _was_read(response):
        # httpx has decoded this body, so the source has no content coding.
        return SyncSource(iter([response.content]), do_nothing, head)
    if not isinstance(response.stream, Iterable):
        raise MisuseError("the response is asynchronous: read it with AsyncStream, in `async for`")
    return SyncSource(
        response.iter_raw(), response.close, head, head.content_coding, socket=lambda: _socket_of(response)
    )


def from_async_response(response: Any) -> AsyncSource:  # noqa: ANN401 - httpx's or httpx2's
    """Return the source of an asynchronous httpx or httpx2 response for an `AsyncStream`.

    Raises:
        MisuseError: The response is not asynchronous.
    """
    head = _head_of(response)
    if _was_read(response):
        return read_at_once(from_response(response))
    if not isinstance(response.stream, AsyncIterable):
        raise MisuseError("the response is not asynchronous: read it with Stream, in `for`")
    return AsyncSource(
        response.aiter_raw(), response.aclose, head, head.content_coding, socket=lambda: _socket_of(response)
    )


def _was_read(response: Any) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    """Return True if the body was read to its end and is stored in the response."""
    return bool(response.is_stream_consumed) and hasattr(response, "_content")


def _socket_of(response: Any) -> Any:  # noqa: ANN401 - httpx's or httpx2's, and a socket of any backend
    """Return the socket of an HTTP/1 response; None for HTTP/2, where responses share a connection."""
    version = response.extensions.get("http_version", b"")
    stream = response.extensions.get("network_stream")
    is_http1 = version.startswith(b"HTTP/1")
    if stream is None or response.is_closed or not is_http1:
        return None
    return stream.get_extra_info("socket")


def _head_of(response: Any) -> ResponseHead:  # noqa: ANN401 - httpx's or httpx2's
    """Return the head of a response in this library's form."""
    return ResponseHead(
        status=response.status_code,
        headers=lower_header_names(response.headers.items()),
        reason=response.reason_phrase,
        url=_url_of(response),
    )


def _url_of(response: Any) -> str:  # noqa: ANN401 - httpx's or httpx2's
    try:
        return str(response.url)
    except RuntimeError:
        # A response that was created by hand has no request, and therefore no address.
        return ""

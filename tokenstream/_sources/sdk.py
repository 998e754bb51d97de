"""Adapter for SDK streams, and for other objects that have an httpx or httpx2 response."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream._connection.status import LOWEST_ERROR_STATUS
from tokenstream._sources.httpx import from_async_response, from_response, is_response
from tokenstream._sources.plain import close_object
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream._basics.loose import FromHTTPX
    from tokenstream._sources.kinds import AsyncSource, SyncSource

_RESPONSE_ATTRIBUTES = ("response", "http_response", "_response")
"""Names of attributes with the response: in streams of httpx-sse and SDKs, in raw responses, in helpers."""


def response_beneath(source: object) -> FromHTTPX:
    """Return the response that a stream object has in an attribute; None if there is none."""
    for name in _RESPONSE_ATTRIBUTES:
        response = getattr(source, name, None)
        if response is not None and is_response(response) and not _is_empty_response(response, source):
            return response
    return None


def _is_empty_response(response: object, source: object) -> bool:
    """Return True if an object's response was read and is empty, but the object itself has items.

    A litellm stream is such an object if it iterates over an answer that came whole.
    """
    return getattr(response, "_content", None) == b"" and isinstance(source, Iterable | AsyncIterable)


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
    response_source = from_response(response)
    if response_source.socket is None:
        # The body was read already, so nothing is open.
        return response_source
    close_holder = getattr(source, "close", None)

    def close() -> None:
        """Close the object that holds the response, if it can be closed, and then the response."""
        try:
            if callable(close_holder):
                close_holder()
        finally:
            response.close()

    return replace(response_source, close=close)


def from_async_holder(source: object, response: FromHTTPX) -> AsyncSource:
    """Return a source for an `AsyncStream` that reads the response which an object has; see `from_holder`."""
    _refuse_begun(source, response)
    response_source = from_async_response(response)
    if response_source.instant:
        # The body was read already, so nothing is open.
        return response_source

    async def close() -> None:
        try:
            await close_object(source)
        finally:
            await response.aclose()

    return replace(response_source, close=close)


def _refuse_begun(source: object, response: FromHTTPX) -> None:
    """Raise for an object that was partly read, because the response's beginning cannot be read again.

    Raises:
        MisuseError: The object was partly read. It stays open, so that it can still be iterated.
    """
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

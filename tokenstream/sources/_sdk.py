"""Stream objects of SDKs, and other objects that hold a response of httpx or httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources._httpx import from_async_response, from_response, is_response
from tokenstream.sources._plain import closed_by

if TYPE_CHECKING:
    from tokenstream.sources._kinds import AsyncSource, SyncSource

_LOWEST_ERROR_STATUS = 400
_WHERE = ("response", "http_response", "_response")
"""Attributes that hold the response: in httpx-sse's and SDKs' streams, raw responses, and helpers."""


def response_beneath(source: object) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return the response that a stream object holds, or None."""
    for name in _WHERE:
        found = getattr(source, name, None)
        if found is not None and is_response(found) and not _is_empty_beside(found, source):
            return found
    return None


def _is_empty_beside(response: Any, source: object) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    """Return True if the response is read and empty, while the object itself has items to give.

    litellm's streams over a whole answer hold such a response.
    """
    return getattr(response, "_content", None) == b"" and isinstance(source, Iterable | AsyncIterable)


def refused_response(error: Exception) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return the unread error response of an SDK's exception, or None."""
    found: Any = getattr(error, "response", None)
    is_unread = is_response(found) and found.is_stream_consumed is False and found.is_closed is False
    return found if is_unread and found.status_code >= _LOWEST_ERROR_STATUS else None


def from_holder(source: Any, response: Any) -> SyncSource:  # noqa: ANN401 - told apart by what they can do
    """Return the source of the response that an object holds, for a `Stream`.

    Closing it also closes the object, for the sake of an SDK's own clean-up.
    """
    _refuse_begun(source, response)
    found = from_response(response)
    if found.socket is None:
        # The body was read already, so nothing is open.
        return found
    own = getattr(source, "close", None)

    def close() -> None:
        try:
            if callable(own):
                own()
        finally:
            response.close()

    return replace(found, close=close)


def from_async_holder(source: Any, response: Any) -> AsyncSource:  # noqa: ANN401 - as above
    """Return the source of the response that an object holds, for an `AsyncStream`; see `from_holder`."""
    _refuse_begun(source, response)
    found = from_async_response(response)
    if found.instant:
        # The body was read already, so nothing is open.
        return found

    async def close() -> None:
        try:
            await closed_by(source)
        finally:
            await response.aclose()

    return replace(found, close=close)


def _refuse_begun(source: Any, response: Any) -> None:  # noqa: ANN401 - as above
    """Refuse an object that was partly read, because its response cannot be read from the start any more.

    Raises:
        MisuseError: The object was partly read; it stays open, so that its own loop can go on.
    """
    if not response.is_stream_consumed or response.is_closed or hasattr(response, "_content"):
        return
    if isinstance(source, Iterable):
        way = "Stream(chunk for chunk in stream)"
    elif isinstance(source, AsyncIterable):
        way = "AsyncStream(chunk async for chunk in stream)"
    else:
        return
    raise MisuseError(
        "a part of the stream was already read; pass it unread, or read the rest of it "
        f"through its own loop: {way}"
    )

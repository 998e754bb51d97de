"""Stream objects of SDKs, and what else stands on a response of httpx or httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.sources._httpx import from_async_response, from_response, is_response
from tokenstream.sources._plain import closed_by

if TYPE_CHECKING:
    from tokenstream.sources._kinds import AsyncSource, SyncSource

__all__ = ["from_async_holder", "from_holder", "refused_response", "response_beneath"]

_LOWEST_ERROR_STATUS = 400
_WHERE = ("response", "http_response", "_response")
"""Where an object has its response: httpx-sse's and SDKs' streams, raw responses, helpers."""


def response_beneath(source: object) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return the response on which a stream object stands, or None."""
    for name in _WHERE:
        found = getattr(source, name, None)
        if found is not None and is_response(found) and not _is_empty_beside(found, source):
            return found
    return None


def _is_empty_beside(response: Any, source: object) -> bool:  # noqa: ANN401 - httpx's or httpx2's
    """Tell whether a response that was read holds nothing, and the object has what it gives elsewhere.

    litellm's streams that are made of a whole answer stand on such a response.
    """
    return getattr(response, "_content", None) == b"" and isinstance(source, Iterable | AsyncIterable)


def refused_response(error: Exception) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return the response that an SDK has raised over without reading its body, or None."""
    found: Any = getattr(error, "response", None)
    is_unread = is_response(found) and found.is_stream_consumed is False and found.is_closed is False
    return found if is_unread and found.status_code >= _LOWEST_ERROR_STATUS else None


def from_holder(source: Any, response: Any) -> SyncSource:  # noqa: ANN401 - told apart by what they can do
    """Return the response beneath an object as a `Stream` reads it; the object is closed, too.

    What an SDK has hung on the closing of its own object happens so.
    """
    _refuse_begun(source, response)
    found = from_response(response)
    if found.socket is None:
        # Its body is at hand, and nothing is open.
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
    """Return the response beneath an object as an `AsyncStream` reads it; the object is closed, too."""
    _refuse_begun(source, response)
    found = from_async_response(response)
    if found.instant:
        # Its body is at hand, and nothing is open.
        return found

    async def close() -> None:
        try:
            await closed_by(source)
        finally:
            await response.aclose()

    return replace(found, close=close)


def _refuse_begun(source: Any, response: Any) -> None:  # noqa: ANN401 - as above
    """Refuse an object of which something was read: the response beneath has no more of that to give.

    Raises:
        MisuseError: The object itself goes on, and is left open for that.
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
        "a part of the stream was read before; hand it over unread, or read what is still to come of it "
        f"through a loop of its own: {way}"
    )

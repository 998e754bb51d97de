"""Stream objects of SDKs, and what else stands on a response of httpx or httpx2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tokenstream.sources._httpx import from_async_response, from_response, is_response
from tokenstream.sources._plain import closed_by

if TYPE_CHECKING:
    from tokenstream.sources._kinds import AsyncSource, SyncSource

__all__ = ["from_async_holder", "from_holder", "response_beneath"]

_WHERE = ("response", "http_response", "_response")
"""Where an object has its response: httpx-sse's and SDKs' streams, raw responses, helpers."""


def response_beneath(source: object) -> Any:  # noqa: ANN401 - httpx's or httpx2's
    """Return the response on which a stream object stands, or None."""
    for name in _WHERE:
        found = getattr(source, name, None)
        if found is not None and is_response(found):
            return found
    return None


def from_holder(source: Any, response: Any) -> SyncSource:  # noqa: ANN401 - told apart by what they can do
    """Return the response beneath an object as a `Stream` reads it; the object is closed, too.

    What an SDK has hung on the closing of its own object happens so.
    """
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

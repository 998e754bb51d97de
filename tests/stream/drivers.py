"""Run one scenario through both drivers: what a user sees must be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from tests.stream.bodies import AsyncSource, Source
from tokenstream import AsyncStream, Stream
from tokenstream.errors import StreamError


def observed(
    stream: Stream | AsyncStream, source: Source | AsyncSource, items: list[Any], error: object
) -> dict[str, Any]:
    """Return all that can be told of a stream that was read."""
    return {
        "items": items,
        "error": type(error),
        "message": stream.message,
        "messages": stream.messages,
        "format": stream.format,
        "departures": {name: (noted.count, noted.first_event) for name, noted in stream.departures.items()},
        "closed": source.closed,
        "chunks": stream.metrics.chunks,
        "partial": getattr(error, "partial", None),
        "seen": getattr(error, "events_seen", None),
        "bytes": getattr(error, "bytes_seen", None),
    }


def read_sync(
    chunks: list[bytes], view: Callable[[Any], Any], cause: Exception | None = None, **options: Any
) -> dict[str, Any]:
    """Read a body to its end through `Stream`."""
    source, items, error = Source(chunks, cause), [], None
    stream = Stream(source, **options)
    try:
        for item in view(stream):
            items.append(item)
    except StreamError as caught:
        error = caught
    return observed(stream, source, items, error)


def read_async(
    chunks: list[bytes],
    view: Callable[[Any], Any],
    cause: Exception | None = None,
    backend: str = "asyncio",
    **options: Any,
) -> dict[str, Any]:
    """Read a body to its end through `AsyncStream`."""

    async def main() -> dict[str, Any]:
        source, items, error = AsyncSource(chunks, cause), [], None
        stream = AsyncStream(source, **options)
        try:
            async for item in view(stream):
                items.append(item)
        except StreamError as caught:
            error = caught
        return observed(stream, source, items, error)

    return anyio.run(main, backend=backend)

"""Run one scenario through both drivers: what a user sees must be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from tests.stream.bodies import AsyncSource, Source
from tests.support.either import Each, at_once
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
        "departures": dict(stream.departures),
        "closed": source.closed,
        "chunks": stream.metrics.chunks,
        "partial": getattr(error, "partial", None),
        "seen": getattr(error, "events_seen", None),
        "bytes": getattr(error, "bytes_seen", None),
    }


async def _read(stream: Any, source: Source | AsyncSource, view: Callable[[Any], Any]) -> dict[str, Any]:
    items, error = [], None
    try:
        async for item in Each(view(stream)):
            items.append(item)
    except StreamError as caught:
        error = caught
    return observed(stream, source, items, error)


def read_sync(
    chunks: list[bytes], view: Callable[[Any], Any], cause: Exception | None = None, **options: Any
) -> dict[str, Any]:
    source = Source(chunks, cause)
    return at_once(_read(Stream(source, **options), source, view))


def read_async(
    chunks: list[bytes],
    view: Callable[[Any], Any],
    cause: Exception | None = None,
    backend: str = "asyncio",
    **options: Any,
) -> dict[str, Any]:
    async def main() -> dict[str, Any]:
        source = AsyncSource(chunks, cause)
        return await _read(AsyncStream(source, **options), source, view)

    return anyio.run(main, backend=backend)

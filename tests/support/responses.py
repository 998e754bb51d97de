"""Responses of a provider: bodies that end, and bodies that break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import anyio
import httpx

from tests.support.either import client_in
from tests.support.loopback import EVENT_STREAM


def streamed(chunks: Iterable[bytes]) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": EVENT_STREAM}, content=b"".join(chunks))


def client_of(colour: str, *bodies: bytes) -> Any:
    left = iter(bodies)
    return client_in(colour, lambda _: streamed([next(left)]))


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that yields its chunks, and then breaks, if there is an error to raise."""

    def __init__(self, chunks: Iterable[bytes], error: Exception | None = None) -> None:
        self._chunks, self._error = chunks, error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            await anyio.lowlevel.checkpoint()
            yield chunk

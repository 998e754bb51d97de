"""Plays an answer that takes several attempts, through either driver, on asyncio and on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from tokenstream import AsyncStream, Message, Retry, Stream, aresilient, resilient
from tokenstream.errors import StreamError
from tokenstream.recovery import Attempt, AttemptReport

in_each_world = pytest.mark.parametrize("world", ["sync", "asyncio", "trio"])
"""Runs a test with `Stream`, and with `AsyncStream` on either event loop."""

Body = Sequence[Any]
"""What an attempt is given: chunks, and an exception where it breaks."""


@dataclass
class Played:
    """What a user had in hand at the end of the loop."""

    given: list[Any] = field(default_factory=list[Any])
    message: Message = field(default_factory=Message)
    error: StreamError | None = None
    reports: tuple[AttemptReport, ...] = ()
    asked: list[Attempt] = field(default_factory=list[Attempt])
    closed: list[int] = field(default_factory=list[int])
    """The bodies that were closed, by their number from 0."""


class PlayedBody:
    def __init__(self, number: int, chunks: Body, played: Played) -> None:
        self._number = number
        self._chunks = list(chunks)
        self._played = played

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._chunks:
            raise StopIteration
        chunk = self._chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self._played.closed.append(self._number)


class AsyncBody:
    def __init__(self, body: PlayedBody) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await anyio.lowlevel.checkpoint()
        try:
            return next(self._body)
        except StopIteration:
            raise StopAsyncIteration from None

    async def aclose(self) -> None:
        self._body.close()


def play(
    world: str,
    bodies: Sequence[Body | Exception | Callable[[Attempt], Body]],
    retry: Retry,
    view: Callable[[Any], Any] = iter,
    **options: Any,
) -> Played:
    """Read an answer to its end, or to its error."""
    played = Played()

    def opened(attempt: Attempt) -> PlayedBody:
        number = len(played.asked)
        played.asked.append(attempt)
        body = bodies[number]
        if callable(body):
            body = body(attempt)
        if isinstance(body, Exception):
            raise body
        return PlayedBody(number, body, played)

    if world == "sync":
        with resilient(opened, retry, **options) as stream:
            _read_sync(stream, view, played)
    else:
        anyio.run(_read_async, opened, retry, view, played, options, backend=world)
    return played


def _read_sync(stream: Stream, view: Callable[[Any], Any], played: Played) -> None:
    try:
        for item in view(stream):
            played.given.append(item)
    except StreamError as error:
        played.error = error
        # Before the block ends, so that nothing else has closed it.
        assert stream.closed
    played.message, played.reports = stream.message, stream.attempts


async def _read_async(
    opened: Callable[[Attempt], PlayedBody],
    retry: Retry,
    view: Callable[[Any], Any],
    played: Played,
    options: dict[str, Any],
) -> None:
    async def opened_async(attempt: Attempt) -> AsyncBody:
        await anyio.lowlevel.checkpoint()
        return AsyncBody(opened(attempt))

    async with aresilient(opened_async, retry, **options) as stream:
        try:
            async for item in stream if view is iter else view(stream):
                played.given.append(item)
        except StreamError as error:
            played.error = error
        played.message, played.reports = stream.message, stream.attempts
    assert isinstance(stream, AsyncStream)
    assert stream.closed

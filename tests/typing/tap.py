"""What editors infer of `tap`: items keep the stream's own type; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import assert_type

from tokenstream import Limits, tap
from tokenstream.stream._tap.tap import AsyncTap, Tap


class Chunk:
    """An SDK's object."""


class Manager:
    """An SDK's context manager, which inherits from nothing."""

    def __enter__(self) -> Iterable[Chunk]:
        raise NotImplementedError

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        raise NotImplementedError


class AsyncManager:
    async def __aenter__(self) -> AsyncIterable[Chunk]:
        raise NotImplementedError

    async def __aexit__(self, kind: object, error: object, traceback: object) -> None:
        raise NotImplementedError


def loops(stream: Iterable[Chunk]) -> None:
    """The loop's own objects keep their type."""
    for chunk in (tapped := tap(stream)):
        assert_type(chunk, Chunk)
    assert_type(tapped, Tap[Chunk])
    assert_type(iter(tapped), Iterator[Chunk])
    assert_type(next(tapped), Chunk)
    with tap(stream, format="openai-chat", limits=Limits(), started_at=0.0) as entered:
        assert_type(entered, Tap[Chunk])


def managers(own: Manager, standard: AbstractContextManager[Iterable[Chunk]]) -> None:
    """A context manager's stream decides."""
    with tap(own) as stream:
        assert_type(stream, Tap[Chunk])
    with tap(standard) as stream:
        assert_type(stream, Tap[Chunk])


async def asynchronous_loops(
    stream: AsyncIterable[Chunk],
    waiting: Awaitable[AsyncIterable[Chunk]],
    own: AsyncManager,
    standard: AbstractAsyncContextManager[AsyncIterable[Chunk]],
) -> None:
    async for chunk in (tapped := tap(stream)):
        assert_type(chunk, Chunk)
    assert_type(tapped, AsyncTap[Chunk])
    assert_type(aiter(tapped), AsyncIterator[Chunk])
    assert_type(await anext(tapped), Chunk)
    async with tap(waiting) as awaited:
        assert_type(awaited, AsyncTap[Chunk])
    async with tap(own) as entered:
        assert_type(entered, AsyncTap[Chunk])
    async with tap(standard) as entered:
        assert_type(entered, AsyncTap[Chunk])

"""One program that reads sync and async objects alike: the sync ones never have to be waited for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, TypeVar

import anyio
import httpx
import pytest

from tokenstream import AsyncStream, Stream, aconnect, connect
from tokenstream.errors import StreamError

T = TypeVar("T")

_END = object()


def run_in(colour: str, program: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run a program on trio for "trio", without an event loop for "sync", and else on asyncio."""
    if colour == "sync":
        return at_once(program(*args))
    return anyio.run(program, *args, backend="trio" if colour == "trio" else "asyncio")


def in_each_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test without an event loop, on asyncio and on trio; its first argument says in which colour."""
    colour = next(iter(inspect.signature(test).parameters))

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        run_in(arguments[colour], functools.partial(test, **arguments))

    in_each: Callable[..., None] = pytest.mark.parametrize(colour, ["sync", "asyncio", "trio"])(run)
    return in_each


def connect_in(colour: str) -> Callable[..., Any]:
    if colour == "sync":
        return connect
    return aconnect


def client_in(colour: str, handle: Callable[[httpx.Request], httpx.Response]) -> Any:
    made = httpx.Client if colour == "sync" else httpx.AsyncClient
    return made(transport=httpx.MockTransport(handle))


def stream_in(colour: str) -> Callable[..., Any]:
    return Stream if colour == "sync" else AsyncStream


def read_whole(colour: str, make_stream: Callable[[], Any]) -> Any:
    """Read a stream to its end inside its block; return the stream, whose message is whole."""

    async def read() -> Any:
        async with inside(make_stream()) as stream:
            await got(stream.final())
        return stream

    return run_in(colour, read)


def read_all(
    colour: str, make_stream: Callable[[], Any], view: Callable[[Any], Any] = iter
) -> tuple[list[Any], Any, StreamError | None]:
    """Read a stream inside its block; return what the loop was given, the stream, and the error.

    Args:
        view: What is read of the stream; by default its events.
    """
    given: list[Any] = []

    async def read() -> Any:
        async with inside(make_stream()) as stream:
            try:
                async for item in Each(stream if view is iter else view(stream)):
                    given.append(item)
            except StreamError as error:
                return stream, error
        return stream, None

    return given, *run_in(colour, read)


def at_once(program: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that reads only sync objects to its end, and return its result."""
    try:
        program.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a sync object was waited for")


async def got(value: Any) -> Any:
    return await value if isawaitable(value) else value


@asynccontextmanager
async def inside(manager: Any) -> AsyncGenerator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as entered:
            yield entered
    else:
        with manager as entered:
            yield entered


class Each:
    """The items of an iterable of either kind, for `async for`."""

    def __init__(self, items: Any) -> None:
        self._is_async = hasattr(items, "__aiter__")
        self._items: Any = aiter(items) if self._is_async else iter(items)

    def __aiter__(self) -> Each:
        return self

    async def __anext__(self) -> Any:
        if self._is_async:
            return await self._items.__anext__()
        item = next(self._items, _END)
        if item is _END:
            raise StopAsyncIteration
        return item

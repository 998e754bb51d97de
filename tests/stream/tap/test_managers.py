"""`tap` around context managers and awaitables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Generator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.stream.tap.support import PAYLOADS, WHOLE, Items, later, opened, payloads
from tokenstream import tap
from tokenstream.errors import ConnectError, MisuseError


@asynccontextmanager
async def opened_later(source: Items) -> AsyncGenerator[AsyncIterator[Any]]:
    try:
        yield later(source)
    finally:
        source.close()


class Refused:
    """A request that fails."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __enter__(self) -> Items:
        raise self._error

    def __exit__(self, *raised: object) -> None:
        """Nothing was entered."""


class Request:
    """The same, asynchronous."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __await__(self) -> Generator[Any, Any, AsyncIterator[Any]]:
        raise self._error


@pytest.mark.anyio
async def test_entering_the_tap_enters_what_it_taps() -> None:
    """A manager's stream is tapped, the clock begins with the request, and leaving leaves the manager."""
    sources = [Items(payloads()), Items(payloads())]
    with tap(opened(sources[0])) as first:
        got = list(first)
    async with tap(opened_later(sources[1])) as second:
        assert got == [item async for item in second]

    assert [1, 1] == [source.closed for source in sources]
    assert [WHOLE] * 2 == [first.message, second.message]
    assert ["request"] * 2 == [first.metrics.started, second.metrics.started]


@pytest.mark.anyio
async def test_a_manager_that_swallows_an_exception_goes_on_doing_so() -> None:
    """What `__exit__` answers is passed on, and it is told of the exception."""
    told: list[object] = []

    def fail(error: Exception) -> None:
        raise error

    class Manager:
        def __enter__(self) -> Items:
            return Items(payloads())

        def __exit__(self, kind: object, error: object, traceback: object) -> bool:
            told.append(error)
            return True

    class AsyncManager:
        async def __aenter__(self) -> AsyncIterator[Any]:
            return later(payloads())

        async def __aexit__(self, kind: object, error: object, traceback: object) -> bool:
            told.append(error)
            return True

    raised = [KeyError("a"), KeyError("b")]
    with tap(Manager()) as first:
        next(first)
        fail(raised[0])
    async with tap(AsyncManager()) as second:
        fail(raised[1])

    assert told == raised
    assert ["stopped", "stopped"] == [first.message.ending, second.message.ending]


@pytest.mark.anyio
async def test_an_awaitable_is_awaited_on_entering() -> None:
    """`async with tap(client.create(…))` sends the request, and taps what comes of it."""

    async def request() -> AsyncIterator[Any]:
        return later(payloads())

    async with tap(request()) as tapped:
        got = [item async for item in tapped]

    assert (got, tapped.message) == (PAYLOADS, WHOLE)


@pytest.mark.anyio
@pytest.mark.parametrize("raised", [ConnectionRefusedError(), KeyboardInterrupt(), LookupError()], ids=repr)
async def test_a_request_that_fails_raises_what_it_would_have_raised(raised: BaseException) -> None:
    """The exception passes; beside it stands that no answer came."""
    request: Awaitable[AsyncIterator[Any]] = Request(raised)
    first, second = tap(Refused(raised)), tap(request)
    with pytest.raises(type(raised)) as met, first:
        pass
    with pytest.raises(type(raised)) as met_too:
        await second.__aenter__()

    assert met.value is met_too.value is raised
    failed = isinstance(raised, OSError)
    assert ["failed" if failed else "stopped"] * 2 == [first.message.ending, second.message.ending]
    assert isinstance(first.error, ConnectError) is isinstance(second.error, ConnectError) is failed


@pytest.mark.anyio
async def test_what_is_not_open_yet_says_how_to_open_it() -> None:
    """A loop over a manager is told to enter it; nothing is entered by surprise."""
    with pytest.raises(MisuseError, match=r"with tap\(…\) as stream"):
        iter(tap(opened(Items())))
    with pytest.raises(MisuseError, match="async with tap"):
        await anext(tap(opened_later(Items())))

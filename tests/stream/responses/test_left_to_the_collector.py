"""Nothing of the answers on one connection waits for the garbage collector, however they were left."""

from __future__ import annotations

import json
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from websockets.exceptions import ConnectionClosedOK

from tests._sources.sockets import answer
from tests.formats.test_langchain_protocol import AGENT
from tests.stream.responses.support import LIMITS, SESSION, AsyncItems, Items
from tests.stream.responses.test_of_openai import answer as response
from tests.stream.responses.test_second_answers import body, chat
from tests.support.either import Each, at_once, got, inside
from tests.support.tables import in_one_test
from tests.support.uncollected import left_by, left_by_async
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError, StreamError, TokenStreamError

ONE, TWO = answer("resp_1", "a", "b"), answer("resp_2", "1", "2")
TURNS = [each for pair in zip(ONE[1:], TWO[1:], strict=True) for each in pair]
RESPONSES = [*response("resp_1", "a", "b"), *response("resp_2", "1", "2"), *response("resp_3", "x")]


class _Connection:
    """The methods by which a WebSocket is known."""

    def send(self, message: str) -> None:
        """Take nothing: the answers are written down already."""

    def ping(self) -> None:
        """Take nothing, either."""


class Socket(_Connection, Items):
    """A WebSocket for `for` loops, each of whose messages is a whole payload."""

    def recv(self, timeout: float | None = None) -> str:
        if not self.items:
            raise self.error or ConnectionClosedOK(None, None)
        return json.dumps(self.next())


class AsyncSocket(_Connection, AsyncItems):
    async def recv(self) -> str:
        await anyio.lowlevel.checkpoint()
        if not self.items:
            raise self.error or ConnectionClosedOK(None, None)
        return json.dumps(self.next())

    async def aclose(self) -> None:
        self.closed = True

    close: Any = aclose


SOURCES: dict[str, list[Any]] = {
    "responses": RESPONSES,
    "realtime": [SESSION, *ONE, LIMITS, *TWO, *answer("resp_3", "x")],
    "realtime in turns": [SESSION, ONE[0], TWO[0], LIMITS, *TURNS],
    "a graph": AGENT,
    "one body": body(chat("1", "a"), chat("2", "b"), chat("3", "c")),
}


each_source = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "a graph")) for name in SOURCES]
)


async def whole(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            await got(each.final())


async def unread(stream: Any) -> None:
    async with inside(stream):
        async for _ in Each(stream.responses):
            pass


async def half_read(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            await anext(Each(each))


async def stopped(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            await anext(Each(each))
            each.stop()


async def loop_left(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            await anext(Each(each))
            break


async def loop_left_behind_an_answer(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            await got(each.final())
            break


async def left_by_an_exception(stream: Any) -> None:
    with suppress(KeyError):
        async with inside(stream):
            async for each in Each(stream.responses):
                await anext(Each(each))
                raise KeyError


async def parent_closed_first(stream: Any) -> None:
    first = await anext(Each(stream.responses))
    await anext(Each(first))
    await got((stream.close if isinstance(stream, Stream) else stream.aclose)())
    with suppress(StreamError):
        await got(first.final())


async def kept_longer(stream: Any) -> None:
    async with inside(stream):
        first = await anext(Each(stream.responses))
    del stream
    with suppress(TokenStreamError):
        await got(first.final())


async def shared(stream: Any) -> None:
    async with inside(stream):
        async for each in Each(stream.responses):
            one, two = each.tee(2)
            await anext(Each(one.text), None)
            await got(two.final())


READERS = [
    whole,
    unread,
    half_read,
    stopped,
    loop_left,
    loop_left_behind_an_answer,
    left_by_an_exception,
    parent_closed_first,
    kept_longer,
    shared,
]


def make_source(name: str, *, is_async: bool = False) -> Any:
    items = SOURCES[name]
    if name == "responses":
        return (AsyncSocket if is_async else Socket)(*items)
    return (AsyncItems if is_async else Items)(*items)


@each_source
@in_one_test("read", READERS)
def test_answers_leave_nothing(name: str, read: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    assert left_by(lambda: at_once(read(Stream(make_source(name))))) == {}


@pytest.mark.anyio
@each_source
async def test_asynchronous_answers_leave_nothing(name: str) -> None:
    async def run() -> None:
        for read in READERS:
            await read(AsyncStream(make_source(name, is_async=True)))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    assert await left_by_async(run) == {}


def breaking(items: list[Any]) -> Iterator[Any]:
    yield from items[:6]
    raise ConnectionResetError("the peer is gone")


async def breaking_later(items: list[Any]) -> AsyncIterator[Any]:
    for item in items[:6]:
        await anyio.lowlevel.checkpoint()
        yield item
    raise ConnectionResetError("the peer is gone")


@each_source
def test_a_connection_that_breaks_leaves_nothing(name: str) -> None:
    def run() -> None:
        for read in (whole, unread, half_read):
            with suppress(TokenStreamError):
                at_once(read(Stream(breaking(SOURCES[name]))))

    assert left_by(run) == {}


@pytest.mark.anyio
@each_source
async def test_an_asynchronous_connection_that_breaks_leaves_nothing(name: str) -> None:
    async def run() -> None:
        for read in (whole, unread, half_read):
            with suppress(TokenStreamError):
                await read(AsyncStream(breaking_later(SOURCES[name])))
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    assert await left_by_async(run) == {}


WHOLE = [SESSION, *ONE, *TWO]
ERRORS: list[Callable[[], Exception]] = [
    lambda: ConnectionResetError("the peer is gone"),
    lambda: MisuseError("not like this"),
]


@in_one_test("make_error", ERRORS, ids=["a broken connection", "a mistake"])
def test_a_connection_that_breaks_after_whole_answers_leaves_nothing(
    make_error: Callable[[], Exception],
) -> None:
    def breaking_behind() -> Iterator[Any]:
        yield from WHOLE
        raise make_error()

    def run() -> None:
        for read in (whole, unread, loop_left_behind_an_answer):
            with suppress(TokenStreamError):
                at_once(read(Stream(breaking_behind())))

    assert left_by(run) == {}


def test_the_error_after_whole_answers_tells_where_the_source_has_failed() -> None:
    source = Items(*WHOLE, error=ConnectionResetError("the peer is gone"))
    heard = list[str]()
    with pytest.raises(StreamError) as caught:
        heard.extend(each.final().text for each in Stream(source).responses)
    cause = caught.value.__cause__

    assert cause is source.error
    assert cause is not None
    assert "next" == traceback.extract_tb(cause.__traceback__)[-1].name

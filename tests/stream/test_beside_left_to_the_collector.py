"""Nothing of views, of readers beside others, of merges and of guards waits for the garbage collector."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.either import Each, at_once, got, inside
from tests.support.tables import in_one_test
from tests.support.uncollected import areading, left_by, left_by_async
from tests.support.wire import DONE, chat, chat_call
from tokenstream import AsyncStream, Stream, merge
from tokenstream.errors import MisuseError, StreamError, TokenStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BODY = [
    chat({"role": "assistant", "content": ""}),
    *(chat({"content": text}) for text in ('[{"a": ', "1", '}, {"a"', ": 2}]")),
    chat(chat_call(0, '{"a":', id="c1", name="f")),
    chat(chat_call(0, " 1}")),
    chat(chat_call(1, '{"a":', id="c2", name="f")),
    chat(chat_call(1, " 2}")),
    chat({}, "tool_calls"),
    DONE,
]
CUT = BODY[:4]


def reading(body: list[bytes]) -> Iterator[bytes]:
    yield from body


@pytest.fixture(scope="module", autouse=True)
def known_shapes() -> None:
    """Have the format know the shapes of this answer before anything is counted.

    All answers of a process share a bounded memo of shapes. Where other tests have filled it, it makes room
    for a new one only now and then, which would be while a run is counted.
    """
    for _ in range(100):
        Stream(reading(BODY)).final()


VIEWS: list[Callable[[Any], Any]] = [
    lambda stream: stream,
    lambda stream: stream.text.smooth(),
    lambda stream: stream.partials(list),
    lambda stream: stream.items(dict),
    lambda stream: stream.tool_calls,
    lambda stream: stream.tool_partials(f=dict),
    lambda stream: stream.tool_calls.when_complete(),
]


# -- views and readers -----------------------------------------------------------------


async def left_early(stream: Any, view: Callable[[Any], Any]) -> None:
    async with inside(stream):
        await anext(Each(view(stream)), None)


async def kept_longer(stream: Any, view: Callable[[Any], Any]) -> None:
    async with inside(stream):
        kept = Each(view(stream))
        await anext(kept, None)
    del stream
    with suppress(TokenStreamError):
        async for _ in kept:
            pass


async def readers_left_early(stream: Any, view: Callable[[Any], Any]) -> None:
    async with inside(stream):
        one, two = stream.tee(2)
        await anext(Each(view(one)), None)
        await got(two.final())


async def readers_closed(stream: Any, view: Callable[[Any], Any]) -> None:
    async with inside(stream):
        hub = stream.broadcast()
        async with inside(hub.reader()) as one, inside(hub.reader()) as two:
            await anext(Each(view(one)), None)
            await anext(Each(view(two)), None)


async def readers_in_tasks(stream: Any, view: Callable[[Any], Any]) -> None:
    async def listen(reader: Any) -> None:
        async with reader:
            await anext(view(reader), None)

    async with stream:
        hub = stream.broadcast()
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(listen, hub.reader())
            tasks.start_soon(hub.reader().final)


def read_all(read: Any) -> None:
    for view in VIEWS:
        at_once(read(Stream(reading(BODY)), view))


@pytest.mark.parametrize("read", [left_early, kept_longer, readers_left_early, readers_closed])
def test_a_view_that_is_left_leaves_nothing(read: Any) -> None:
    assert left_by(lambda: read_all(read)) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("read", [left_early, kept_longer, readers_left_early, readers_in_tasks])
async def test_an_asynchronous_view_that_is_left_leaves_nothing(read: Any) -> None:
    # What is kept of a type is made when a value of it comes, which a reader on trio may see late.
    read_all(kept_longer)

    async def run() -> None:
        for view in VIEWS:
            await read(AsyncStream(areading(BODY)), view)

    assert await left_by_async(run) == {}


# -- several streams in one loop -------------------------------------------------------


MERGES: dict[str, tuple[list[list[bytes]], int]] = {
    "whole": ([BODY, BODY], 1_000),
    "left early": ([BODY, BODY], 3),
    "cut": ([BODY, CUT], 1_000),
}
"""The bodies, and how many events are read at most."""


async def merged(name: str, open_stream: Callable[[list[bytes]], Any]) -> None:
    bodies, left = MERGES[name]
    with suppress(StreamError):
        async with inside(merge({at: open_stream(body) for at, body in enumerate(bodies)})) as together:
            async for _ in Each(together):
                left -= 1
                if not left:
                    break
    assert len(together.errors) == bodies.count(CUT)


@in_one_test("name", MERGES)
def test_a_merge_leaves_nothing(name: str) -> None:
    assert left_by(lambda: at_once(merged(name, lambda body: Stream(reading(body))))) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("name", MERGES)
async def test_an_asynchronous_merge_leaves_nothing(name: str) -> None:
    assert await left_by_async(lambda: merged(name, lambda body: AsyncStream(areading(body)))) == {}


# -- guards, and streams that are not made ---------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("reason", [None, "enough"])
async def test_an_awaited_guard_leaves_nothing(reason: str | None) -> None:
    async def judge(_: object) -> str | None:
        await anyio.lowlevel.checkpoint()
        return reason

    async def run() -> None:
        async with AsyncStream(areading(BODY)).guard(judge, first_tokens=2) as stream:
            async for _ in stream.text:
                pass
        assert stream.stop_reason == reason

    assert await left_by_async(run) == {}


@pytest.mark.anyio
async def test_a_stream_that_cannot_be_resumed_leaves_nothing() -> None:
    with Stream(reading(BODY)) as begun:
        next(begun)
        checkpoint = begun.checkpoint()

    def run() -> None:
        with pytest.raises(MisuseError, match="cannot be resumed"):
            Stream.from_checkpoint(checkpoint, reading(BODY))

    async def run_async() -> None:
        with pytest.raises(MisuseError, match="cannot be resumed"):
            AsyncStream.from_checkpoint(checkpoint, areading(BODY))

    assert left_by(run) == {}
    assert await left_by_async(run_async) == {}

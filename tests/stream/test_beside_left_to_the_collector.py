"""Nothing of views, of readers beside others, of merges and of guards waits for the garbage collector."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

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


def left_early(view: Callable[[Any], Any]) -> None:
    with Stream(reading(BODY)) as stream:
        next(view(stream), None)


def kept_longer(view: Callable[[Any], Any]) -> None:
    with Stream(reading(BODY)) as stream:
        kept = view(stream)
        next(kept, None)
    del stream
    with suppress(TokenStreamError):
        list(kept)


def readers_left_early(view: Callable[[Any], Any]) -> None:
    with Stream(reading(BODY)) as stream:
        one, two = stream.tee(2)
        next(view(one), None)
        two.final()


def readers_closed(view: Callable[[Any], Any]) -> None:
    with Stream(reading(BODY)) as stream:
        hub = stream.broadcast()
        with hub.reader() as one, hub.reader() as two:
            next(view(one), None)
            next(view(two), None)


@pytest.mark.parametrize("read", [left_early, kept_longer, readers_left_early, readers_closed])
def test_a_view_that_is_left_leaves_nothing(read: Callable[[Any], None]) -> None:
    def run() -> None:
        for view in VIEWS:
            read(view)

    assert left_by(run) == {}


async def left_early_async(view: Callable[[Any], Any]) -> None:
    async with AsyncStream(areading(BODY)) as stream:
        await anext(view(stream), None)


async def kept_longer_async(view: Callable[[Any], Any]) -> None:
    async with AsyncStream(areading(BODY)) as stream:
        kept = view(stream)
        await anext(kept, None)
    del stream
    with suppress(TokenStreamError):
        _ = [each async for each in kept]


async def readers_left_early_async(view: Callable[[Any], Any]) -> None:
    async with AsyncStream(areading(BODY)) as stream:
        one, two = stream.tee(2)
        await anext(view(one), None)
        await two.final()


async def readers_in_tasks(view: Callable[[Any], Any]) -> None:
    async def listen(reader: Any) -> None:
        async with reader:
            await anext(view(reader), None)

    async with AsyncStream(areading(BODY)) as stream:
        hub = stream.broadcast()
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(listen, hub.reader())
            tasks.start_soon(hub.reader().final)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "read", [left_early_async, kept_longer_async, readers_left_early_async, readers_in_tasks]
)
async def test_an_asynchronous_view_that_is_left_leaves_nothing(read: Any) -> None:
    for view in VIEWS:
        # What is kept of a type is made when a value of it comes, which a reader on trio may see late.
        kept_longer(view)

    async def run() -> None:
        for view in VIEWS:
            await read(view)

    assert await left_by_async(run) == {}


# -- several streams in one loop -------------------------------------------------------


def merged(*bodies: list[bytes], most: int = 1_000) -> None:
    streams = {place: Stream(reading(body)) for place, body in enumerate(bodies)}
    with suppress(StreamError), merge(streams) as together:
        for _ in zip(range(most), together, strict=False):
            pass
    assert len(together.errors) == bodies.count(CUT)


async def merged_async(*bodies: list[bytes], most: int = 1_000) -> None:
    streams = {place: AsyncStream(areading(body)) for place, body in enumerate(bodies)}
    with suppress(StreamError):
        async with merge(streams) as together:
            left = most
            async for _ in together:
                left -= 1
                if not left:
                    break
    assert len(together.errors) == bodies.count(CUT)


MERGES: dict[str, Callable[[Any], Any]] = {
    "whole": lambda merge: merge(BODY, BODY),
    "left early": lambda merge: merge(BODY, BODY, most=3),
    "cut": lambda merge: merge(BODY, CUT),
}


@in_one_test("run", MERGES.values(), ids=MERGES)
def test_a_merge_leaves_nothing(run: Callable[[Any], None]) -> None:
    assert left_by(lambda: run(merged)) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("run", MERGES.values(), ids=MERGES)
async def test_an_asynchronous_merge_leaves_nothing(run: Callable[[Any], Any]) -> None:
    assert await left_by_async(lambda: run(merged_async)) == {}


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

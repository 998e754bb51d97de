"""Nothing of an answer waits for the garbage collector once its stream is dropped, however it ended.

A program with a large heap collects rarely, and would hold thousands of ended answers until then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import anyio
import httpx
import pytest

from tests.stream.bodies import Later, later
from tests.support.either import Each, at_once, got, inside
from tests.support.tables import in_one_test
from tests.support.uncollected import areading, left_by, left_by_async
from tests.support.wire import DONE, chat, chat_call
from tokenstream import AsyncStream, Decoder, Job, Retry, Routes, Stream, aconnect, merge, relay, tap
from tokenstream.errors import MisuseError, StreamError, TokenStreamError
from tokenstream.formats import _registry as registry
from tokenstream.formats import custom

BODY = [
    chat({"role": "assistant", "content": ""}),
    *(chat({"content": text}) for text in ("The", " quick", " brown", " fox", " jumps", " far")),
    chat(chat_call(0, '{"a":', id="c1", name="f")),
    chat(chat_call(0, " 1}")),
    chat({}, "tool_calls"),
    DONE,
]
"""An answer with text, and a tool call."""
CUT = BODY[:5]


def reading(body: list[bytes]) -> Iterator[bytes]:
    yield from body


async def _whole(stream: Any) -> None:
    async with inside(stream):
        async for _ in Each(stream):
            pass
    assert stream.message.complete


async def _left_early(stream: Any) -> None:
    async with inside(stream):
        events = Each(stream)
        for _ in range(4):
            await anext(events)
    assert stream.message.ending == "stopped"


async def _views(stream: Any) -> None:
    async with inside(stream):
        assert (
            "".join([piece async for piece in Each(stream.text.words())]) == "The quick brown fox jumps far"
        )
        assert [call.arguments async for call in Each(stream.tool_calls)] == [{"a": 1}]
    assert stream.metrics.events
    assert stream.checkpoint().messages


async def _responses(stream: Any) -> None:
    async with inside(stream):
        assert [(await got(each.final())).complete async for each in Each(stream.responses)] == [True]


every_way = pytest.mark.parametrize("run", [_whole, _left_early, _views, _responses])


@pytest.mark.parametrize("source", [list, reading], ids=["list", "generator"])
@every_way
def test_a_stream_leaves_nothing(run: Any, source: Any) -> None:
    assert left_by(lambda: at_once(run(Stream(source(BODY))))) == {}


@pytest.mark.parametrize("protocol", ["anthropic", "openai-responses", "ui-message", "ag-ui"])
def test_an_answer_in_any_format_leaves_nothing(protocol: Any) -> None:
    body = [*relay.encode(Stream(BODY), protocol)]

    assert left_by(lambda: at_once(_whole(Stream(body)))) == {}


@pytest.mark.anyio
@pytest.mark.parametrize("source", [Later, later], ids=["iterator", "generator"])
@every_way
async def test_an_asynchronous_stream_leaves_nothing(run: Any, source: Any) -> None:
    assert await left_by_async(lambda: run(AsyncStream(source(BODY)))) == {}


@pytest.mark.parametrize("body", [BODY, CUT, []], ids=["whole", "cut", "nothing"])
def test_a_decoder_leaves_nothing(body: list[bytes]) -> None:
    def unended() -> None:
        decoder = Decoder()
        for chunk in body:
            decoder.feed(chunk)

    def ended() -> None:
        decoder = Decoder()
        for chunk in body:
            decoder.feed(chunk)
        decoder.end()
        assert (decoder.error is None) == (body is BODY)

    assert left_by(unended) == {}
    assert left_by(ended) == {}


def test_format_objects_leave_nothing() -> None:
    """An application makes one for its options, and each answer is read by another that is made like it."""
    kinds = [registry.load(name) for name in registry.names()]

    assert left_by(lambda: [kind() for kind in kinds]) == {}


def test_an_answer_of_an_own_format_leaves_nothing() -> None:
    def run() -> None:
        with Stream(BODY, format=custom(text="choices.0.delta.content", sentinel="[DONE]")) as stream:
            assert "quick" in "".join(stream.text)

    assert left_by(run) == {}


@pytest.mark.parametrize("body", [BODY, CUT], ids=["whole", "cut"])
def test_a_tap_leaves_nothing(body: list[bytes]) -> None:
    def run() -> None:
        tapped = tap(reading(body))
        assert list(tapped) == body
        assert tapped.message.complete == (body is BODY)

    assert left_by(run) == {}


@pytest.mark.parametrize("most", [100, 1], ids=["whole", "left early"])
def test_a_tap_of_a_response_leaves_nothing_of_the_answer(most: int) -> None:
    """A response of httpx refers to its body, which refers to it; the tap is no part of that."""
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Chunks(BODY)))

    def run() -> None:
        with httpx.Client(transport=transport) as client, client.stream("GET", "https://a.example/") as head:
            tapped = tap(head)
            for _ in zip(range(most), tapped.iter_lines(), strict=False):
                pass
            tapped.close()
        assert tapped.message.complete == (most > 1)

    assert {*left_by(run)} <= {"ShownBody", "_SyncWatchedBody.__iter__"}


class Chunks(httpx.SyncByteStream):
    def __init__(self, body: list[bytes]) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield from self._body


class Waiting(httpx.AsyncByteStream):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await anyio.sleep(self._seconds)
        for chunk in BODY:
            yield chunk


@pytest.mark.anyio
@pytest.mark.parametrize("waits", [(60, 0), (0.02, 60)], ids=["the second wins", "the first wins"])
async def test_a_race_leaves_nothing(waits: tuple[float, float]) -> None:
    left: list[float] = []

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Waiting(left.pop(0)))

    async def run() -> None:
        left[:] = waits
        address, retry = "https://api.example/v1/chat/completions", Retry(routes=Routes(hedge_after=0.001))
        async with aconnect(address, json={"model": "m"}, client=client, retry=retry) as stream:
            assert (await stream.final()).complete
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        assert await left_by_async(run) == {}


# -- views, readers beside others, merges and guards -----------------------------------


ITEMS = [
    chat({"role": "assistant", "content": ""}),
    *(chat({"content": text}) for text in ('[{"a": ', "1", '}, {"a"', ": 2}]")),
    chat(chat_call(0, '{"a":', id="c1", name="f")),
    chat(chat_call(0, " 1}")),
    chat(chat_call(1, '{"a":', id="c2", name="f")),
    chat(chat_call(1, " 2}")),
    chat({}, "tool_calls"),
    DONE,
]
CUT_ITEMS = ITEMS[:4]


@pytest.fixture(scope="module", autouse=True)
def known_shapes() -> None:
    """Have the format know the shapes of this answer before anything is counted.

    All answers of a process share a bounded memo of shapes. Where other tests have filled it, it makes room
    for a new one only now and then, which would be while a run is counted.
    """
    for _ in range(100):
        Stream(reading(ITEMS)).final()


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
        at_once(read(Stream(reading(ITEMS)), view))


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
            await read(AsyncStream(areading(ITEMS)), view)

    assert await left_by_async(run) == {}


# -- several streams in one loop -------------------------------------------------------


MERGES: dict[str, tuple[list[list[bytes]], int]] = {
    "whole": ([ITEMS, ITEMS], 1_000),
    "left early": ([ITEMS, ITEMS], 3),
    "cut": ([ITEMS, CUT_ITEMS], 1_000),
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
    assert len(together.errors) == bodies.count(CUT_ITEMS)


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
        async with AsyncStream(areading(ITEMS)).guard(judge, first_tokens=2) as stream:
            async for _ in stream.text:
                pass
        assert stream.stop_reason == reason

    assert await left_by_async(run) == {}


@pytest.mark.anyio
async def test_a_stream_that_cannot_be_resumed_leaves_nothing() -> None:
    with Stream(reading(ITEMS)) as begun:
        next(begun)
        checkpoint = begun.checkpoint()

    def run() -> None:
        with pytest.raises(MisuseError, match="cannot be resumed"):
            Stream(reading(ITEMS), job=Job("job", checkpoint=checkpoint))

    async def run_async() -> None:
        with pytest.raises(MisuseError, match="cannot be resumed"):
            AsyncStream(areading(ITEMS), job=Job("job", checkpoint=checkpoint))

    assert left_by(run) == {}
    assert await left_by_async(run_async) == {}

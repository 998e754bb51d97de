"""Nothing of an answer waits for the garbage collector once its stream is dropped, however it ended.

A program with a large heap collects rarely, and would hold thousands of ended answers until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from tests.stream.bodies import Later, later
from tests.support.either import Each, at_once, got, inside
from tests.support.uncollected import left_by, left_by_async
from tests.support.wire import DONE, chat, chat_call
from tokenstream import AsyncStream, Decoder, Retry, Routes, Stream, aconnect, relay, tap
from tokenstream.formats import _registry as registry
from tokenstream.formats import custom

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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


def _generator(body: list[bytes]) -> Iterator[bytes]:
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


@pytest.mark.parametrize("source", [list, _generator], ids=["list", "generator"])
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
        tapped = tap(_generator(body))
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

"""`relay.respond`: any format in, any protocol out, over ASGI, to a reader that may be slow or go away."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast

import anyio
import httpx
import pytest
from fastapi import FastAPI, Response
from litestar import Litestar, post
from litestar.config.compression import CompressionConfig
from litestar.types import ASGIApp
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from tests.support import encoders, wire
from tests.support.asgi import Client, response_to
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Deadlines, Steps, Stream, aconnect, relay, testing
from tokenstream.errors import MisuseError, StreamError, StreamStalled
from tokenstream.events import (
    Finish,
    PartDone,
    PartStart,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
)
from tokenstream.message import TextPart, ToolCall
from tokenstream.relay._asgi.response_type import StarletteResponse

pytestmark = pytest.mark.anyio

SCRIPT = (
    testing.script(id="chat-1", model="model-1")
    .text("Let me ", "look.")
    .tool_call("get_weather", ('{"city": ', '"Oslo"', "}"), id="call_1")
    .usage(input_tokens=3, output_tokens=4)
    .finish("tool_calls")
)
CHUNKS = SCRIPT.chunks("anthropic")
HTTP = sorted(name for name in encoders.READ_BACK if name != "ndjson")


class Source:
    """Gives chunks, then nothing more until it is closed."""

    def __init__(self, *chunks: bytes, ends: bool = False, pause: float = 0.0) -> None:
        self._chunks, self._ends, self._pause = iter(chunks), ends, pause
        self.closed = anyio.Event()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await anyio.sleep(self._pause)
        chunk = next(self._chunks, None)
        if chunk is not None:
            return chunk
        if not self._ends:
            await anyio.sleep_forever()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed.set()


def upstream(reply: Callable[[httpx.Request], httpx.Response]) -> AsyncStream:
    client = httpx.AsyncClient(transport=httpx.MockTransport(reply))
    return aconnect("https://made.up/v1/chat/completions", json={}, client=client)


async def sent(stream: Any, **options: Any) -> Client:
    return await response_to(relay.respond(stream, **options))


@pytest.mark.parametrize("protocol", HTTP)
async def test_what_is_sent_in_any_protocol_reads_as_the_same_answer(protocol: Any) -> None:
    """A relay is a transcoder: what a protocol has a place for arrives, and the response says what it is."""
    client = await sent(AsyncStream(Source(*CHUNKS, ends=True)), protocol=protocol)
    read = Stream(client.body, format=protocol if protocol != "text" else "text").final()

    assert (200, True) == (client.status, client.ended)
    assert client.headers["content-type"] == encoders.load(protocol).content_type
    assert ("no-cache, no-transform", "no") == (
        client.headers["cache-control"],
        client.headers["x-accel-buffering"],
    )
    assert read.text == "Let me look."
    assert read.tool_calls == () or read.tool_calls[0].arguments == {"city": "Oslo"}


async def test_a_run_a_reader_of_a_shared_stream_and_any_events_are_sent_as_well() -> None:
    shared = AsyncStream(Source(*CHUNKS, ends=True))
    reader = shared.broadcast().reader()
    with Steps() as run, run.step("plan") as step:
        step.follow(Stream(["Let me ", "look."], format="pieces")).final()
    events = [event async for event in AsyncStream(Source(*CHUNKS, ends=True))]

    async def given() -> AsyncIterator[Any]:
        for event in events:
            yield event

    for source in (reader, given()):
        client = await sent(source, protocol="ui-message")
        assert Stream(client.body).final().text == "Let me look."
    # What tells that a run is over is the run's and not an answer's.
    assert b'"Let me look."' in (await sent(run.events(), protocol="ui-message")).body


async def test_a_slow_reader_of_a_shared_stream_catches_up() -> None:
    shared = AsyncStream(Source(*CHUNKS, ends=True)).broadcast()
    slow = Client(slow=partial(anyio.sleep, 0.005))

    await slow.call(relay.respond(shared.reader(), protocol="ui-message"))

    assert Stream(slow.body).final().text == "Let me look."
    assert slow.ended


REMARKED: list[Any] = [
    PartStart(TextPart(phase="commentary")),
    TextDelta("I'll look it up."),
    PartDone(),
    PartStart(TextPart(phase="final_answer"), part=1),
    TextDelta("It is ", part=1),
    TextDelta("5 °C.", part=1),
    PartDone(part=1),
    Finish("stop"),
]


def remarked(*, breaks: bool = False) -> AsyncStream:
    """Return an answer with a remark before it; one that breaks lacks its last words."""
    written = [*relay.encode(REMARKED, "tokenstream")]
    return AsyncStream(Source(*written[: 5 if breaks else None], ends=True), format="tokenstream")


async def test_the_answer_alone_is_sent_as_text() -> None:
    streams = [remarked(), remarked(), remarked(), remarked()]
    whole, answer, words, made = streams
    sources: list[Any] = [whole, answer.answer, words.answer.words(), lambda: made.answer]
    bodies = [(await sent(source, protocol="text")).body for source in sources]

    said = ["".join(Stream(body, format="text").text) for body in bodies]
    assert said == ["I'll look it up.It is 5 °C.", *["It is 5 °C."] * 3]
    assert bodies[1].endswith(b"data: It is \n\ndata: 5 \xc2\xb0C.\n\ndata: [DONE]\n\n")
    assert b"data:  5" in bodies[2]
    assert all(stream.closed for stream in streams)


async def test_a_page_that_gets_our_own_events_can_fold_the_remarks() -> None:
    client = await sent(remarked())
    message = Stream(client.body).final()

    assert (message.text, message.answer) == ("I'll look it up.It is 5 °C.", "It is 5 °C.")


async def test_an_answer_alone_that_breaks_off_says_so() -> None:
    client = await sent(remarked(breaks=True).answer, protocol="text")

    assert b"event: error" in client.body
    assert b"[DONE]" not in client.body


async def test_a_text_is_stopped_as_its_stream() -> None:
    source = Source(*[*relay.encode(REMARKED, "tokenstream")][:5])
    stream = AsyncStream(source, format="tokenstream")
    client = Client()
    async with client.calling(relay.respond(stream.answer, protocol="text")):
        await client.until(lambda: b"It is" in client.body)
        client.leave()
        with anyio.fail_after(PATIENCE):
            await source.closed.wait()

    assert (stream.message.ending, stream.stop_reason) == ("stopped", "its reader has gone")


async def test_a_text_is_sent_as_text_alone() -> None:
    """Another protocol would lack the rest of the answer; and only a stream is closed by a relay."""
    async with remarked() as stream:
        with pytest.raises(MisuseError, match='protocol="text"'):
            relay.respond(stream.answer, protocol="ui-message")
        with pytest.raises(MisuseError, match='protocol="text"'):
            relay.respond(stream.broadcast().reader().answer, protocol="text")


async def test_what_cannot_be_sent_is_refused_before_anything_is_asked() -> None:
    """A source of the other colour, and an unknown protocol, are mistakes of the caller."""
    other = Stream(CHUNKS)
    other.close()
    wrong: list[Any] = [other, CHUNKS, None]
    for source in wrong:
        with pytest.raises(MisuseError, match="AsyncStream"):
            relay.respond(source, protocol="ui-message")
    async with AsyncStream(Source(ends=True)) as stream:
        with pytest.raises(MisuseError, match="not a protocol of the relay"):
            relay.respond(stream, protocol=cast("Any", "made-up"))
        with contextlib.suppress(StreamError):
            await stream.final()


@pytest.mark.parametrize("protocol", [name for name in HTTP if name not in ("tokenstream", "ndjson")])
async def test_what_does_not_fit_its_part_is_left_out(protocol: Any) -> None:
    """Reasoning in a part that was text, and a call's pieces after its end: the answer goes on without."""
    call = ToolCall(id="a", name="pay", arguments_text="{}", complete=True)

    async def events() -> AsyncIterator[Any]:
        yield TextDelta("Hi", part=0)
        yield ToolCallStart("a", "pay", part=1)
        yield ToolCallDone(call, part=1)
        yield ToolCallDelta("a", "2", part=1)
        yield ReasoningDelta("secret", part=0)
        yield Finish("stop")

    client = await sent(events(), protocol=protocol)
    message = Stream(client.body, format=protocol).final()

    assert (200, True, "Hi", "") == (client.status, client.ended, message.text, message.reasoning)


@pytest.mark.parametrize(
    ("status", "headers", "told", "kind"),
    [
        (429, {"retry-after": "7"}, 429, "rate_limited"),
        (529, {}, 503, "overloaded"),
        (404, {}, 502, "invalid_request"),
        (401, {}, 502, "authentication"),
        (504, {}, 504, "server"),
        (500, {}, 502, "server"),
    ],
)
async def test_an_upstream_that_fails_before_its_first_event_is_a_status(
    status: int, headers: dict[str, str], told: int, kind: str
) -> None:
    def refuse(error: dict[str, Any], _: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=error, headers=headers)

    for words in ("made_up", "server_error"):
        error = {"error": {"message": "secret: Internal server error", "type": words}}
        client = await sent(upstream(partial(refuse, error)), protocol="ui-message")

        assert (told, kind) == (client.status, client.json["error"]["type"])
        assert client.headers.get("retry-after") == headers.get("retry-after")
        assert "application/json" == client.headers["content-type"]
        assert str(len(client.body)) == client.headers["content-length"]
        assert b"secret" not in client.body


async def test_a_failure_after_the_head_is_an_event_of_the_protocol() -> None:
    client = await sent(AsyncStream(Source(*CHUNKS[:5], ends=True)), protocol="openai-chat")
    late = await sent(
        AsyncStream(Source(ends=True, pause=0.1)),
        protocol="openai-chat",
        timing=relay.Timing(open_within=0.01, keep_alive=None),
    )

    assert (200, True) == (client.status, client.ended) == (late.status, late.ended)
    assert late.body.startswith(b":")
    for cut, text in ((client, "Let me look."), (late, "")):
        with pytest.raises(StreamError) as caught:
            Stream(cut.body, format="openai-chat").final()
        assert caught.value.partial.text == text


@pytest.mark.parametrize(
    ("deadlines", "began"), [(Deadlines(first_event=0.05), False), (Deadlines(idle_bytes=0.1), True)]
)
async def test_a_silence_that_is_too_long_ends_the_answer(deadlines: Deadlines, began: bool) -> None:
    """The stream's own deadlines hold: 504 before the first event, an event of the protocol afterwards."""
    source = Source(*CHUNKS[: 4 if began else 0])
    client = await sent(AsyncStream(source, deadlines=deadlines))

    assert client.status == (200 if began else 504)
    assert source.closed.is_set()
    if began:
        with pytest.raises(StreamStalled):
            Stream(client.body).final()


@pytest.mark.slow
async def test_a_slow_reader_gets_larger_deltas_in_place_of_a_queue() -> None:
    words = [f"word{number} " for number in range(400)]
    chunks = [*(wire.chat({"content": word}) for word in words), wire.chat({}, "stop"), wire.DONE]
    client = Client(slow=lambda: anyio.sleep(0.01))
    stream = AsyncStream(Source(*chunks, ends=True, pause=0.0002))
    await client.call(relay.respond(stream, protocol="openai-chat"))

    assert Stream(client.body).final().text == "".join(words)
    assert len(client.bodies) < len(words) / 2


@pytest.mark.slow
async def test_a_time_of_grace_lets_the_answer_come_to_its_end() -> None:
    """What the application keeps of it is whole then; after that time it is closed."""
    whole = AsyncStream(Source(*CHUNKS, ends=True, pause=0.01))
    cut = AsyncStream(Source(*CHUNKS[:4]))

    async def read_and_leave(stream: AsyncStream) -> None:
        client = Client()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                client.call, relay.respond(stream, protocol="openai-chat", timing=relay.Timing(grace=0.5))
            )
            await client.until(lambda: client.status is not None)
            client.leave()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read_and_leave, whole)
        tasks.start_soon(read_and_leave, cut)

    assert ("complete", "stopped") == (whole.message.ending, cut.message.ending)
    assert whole.closed
    assert cut.closed


async def test_the_head_alone_asks_no_provider() -> None:
    asked: list[httpx.Request] = []

    def reply(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(500)

    stream = upstream(reply)
    client = await response_to(relay.respond(stream, protocol="ui-message"), "HEAD")

    assert ([], 200, b"", True) == (asked, client.status, client.body, client.ended)
    assert stream.closed


async def passing_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def answer(**options: Any) -> StarletteResponse:
    return relay.respond(AsyncStream(Source(*CHUNKS, ends=True)), protocol="openai-chat", **options)


def starlette_app() -> Any:
    async def endpoint(_: Any) -> Any:
        return answer()

    middlewares = [Middleware(GZipMiddleware, minimum_size=1), Middleware(BaseHTTPMiddleware, passing_on)]
    return Starlette(routes=[Route("/", endpoint, methods=["POST"])], middleware=middlewares)


def fastapi_app() -> Any:
    app = FastAPI()
    app.add_middleware(GZipMiddleware, minimum_size=1)

    @app.post("/")
    async def endpoint() -> Response:
        return answer()

    @app.post("/bare")
    async def bare():  # type: ignore[no-untyped-def] # noqa: ANN202 - most write it so
        return answer()

    assert app.openapi()["paths"].keys() == {"/", "/bare"}
    return app


def litestar_app() -> Any:
    @post("/")
    async def endpoint() -> ASGIApp:
        return answer()

    config = CompressionConfig(backend="gzip", minimum_size=1)
    return Litestar([endpoint], compression_config=config, openapi_config=None, logging_config=None)


def plain_app() -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer()(scope, receive, send)

    return app


@pytest.mark.parametrize("app", [starlette_app, fastapi_app, litestar_app, plain_app])
async def test_every_framework_sends_each_event_for_itself(app: Callable[[], Any]) -> None:
    """An endpoint returns it, or it is called; middlewares that compress leave it alone."""
    client = await response_to(app())

    assert (200, True) == (client.status, client.ended)
    assert client.headers["content-type"].startswith("text/event-stream")
    pieces = client.bodies
    if client.headers.get("content-encoding") == "gzip":
        # Litestar compresses all there is, and flushes after each message.
        unpacked = zlib.decompressobj(31)
        pieces = [piece for piece in map(unpacked.decompress, pieces) if piece]
    assert len(pieces) > 3
    assert all(piece.endswith(b"\n\n") for piece in pieces)
    assert Stream(b"".join(pieces)).final().text == "Let me look."

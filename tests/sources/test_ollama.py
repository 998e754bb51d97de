"""The streams of ollama's SDK, over real connections: chat and generate, as JSON lines."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from tests.sources import scenarios
from tests.sources.scenarios import ENDS, WAYS, AsyncOpener, Body, Opener
from tests.support.loopback import LAST_CHUNK, Loopback, chunked, head, http_chunk, sized
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, tap
from tokenstream.errors import MisuseError, ProviderError, StatusError, StreamTruncated

ollama = needed("ollama")

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]

NDJSON = "application/x-ndjson"


def line(*, done: bool = False, **fields: Any) -> bytes:
    payload = {"model": "m", "created_at": "2026-11-20T09:26:59.678947Z", **fields, "done": done}
    return json.dumps(payload, ensure_ascii=False).encode() + b"\n"


def _said(text: str, **more: Any) -> bytes:
    return line(message={"role": "assistant", "content": text, **more})


END: dict[str, Any] = {
    "done_reason": "stop",
    "total_duration": 482007750,
    "prompt_eval_count": 16,
    "eval_count": 51,
}
CALL = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
CHAT = Body(
    "ollama",
    [
        _said("", thinking="Hm.") + _said("Let "),
        _said("me "),
        _said("see – 🌊."),
        _said("", tool_calls=[CALL]) + line(done=True, message={"role": "assistant", "content": ""}, **END),
    ],
    ["Let ", "me ", "see – 🌊."],
)
GENERATE = Body(
    "ollama",
    [
        line(response="Let "),
        line(response="me "),
        line(response="see – 🌊."),
        line(done=True, response="", context=[105, 2364], **END),
    ],
    ["Let ", "me ", "see – 🌊."],
)

ASKED: list[dict[str, str]] = [{"role": "user", "content": "Weather?"}]


@contextmanager
def _chat(url: str) -> Generator[Any]:
    with ollama.Client(host=url) as client:
        yield client.chat("m", ASKED, stream=True)


@contextmanager
def _generate(url: str) -> Generator[Any]:
    with ollama.Client(host=url) as client:
        yield client.generate("m", "Weather?", stream=True)


@asynccontextmanager
async def _async_chat(url: str) -> AsyncGenerator[Any]:
    async with ollama.AsyncClient(host=url) as client:
        yield await client.chat("m", ASKED, stream=True)


@asynccontextmanager
async def _async_unawaited(url: str) -> AsyncGenerator[Any]:
    async with ollama.AsyncClient(host=url) as client:
        yield client.chat("m", ASKED, stream=True)


@asynccontextmanager
async def _async_generate(url: str) -> AsyncGenerator[Any]:
    async with ollama.AsyncClient(host=url) as client:
        yield await client.generate("m", "Weather?", stream=True)


OPENERS = {"chat": (_chat, CHAT), "generate": (_generate, GENERATE)}
ASYNC_OPENERS = {
    "chat": (_async_chat, CHAT),
    "chat not awaited": (_async_unawaited, CHAT),
    "generate": (_async_generate, GENERATE),
}
each_opener = pytest.mark.parametrize(("opener", "body"), OPENERS.values(), ids=OPENERS)
each_async_opener = pytest.mark.parametrize(("opener", "body"), ASYNC_OPENERS.values(), ids=ASYNC_OPENERS)
# On trio the SDK's own loops leave generators behind, of which trio warns.
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@each_opener
def test_a_stream_of_the_sdk_gives_what_its_bytes_give(opener: Opener, body: Body) -> None:
    """The payloads are made of the SDK's objects: same pieces, same message, nothing to remark."""
    scenarios.gives_what_plain_bytes_give(opener, body)


@on_asyncio
@each_async_opener
async def test_an_async_stream_of_the_sdk_gives_what_its_bytes_give(opener: AsyncOpener, body: Body) -> None:
    """The same for `async for`, also where it is awaited first."""
    await scenarios.gives_what_plain_bytes_give_async(opener, body)


@each_opener
def test_each_line_is_there_as_soon_as_it_was_sent(opener: Opener, body: Body) -> None:
    """Nothing is read ahead of what was asked for."""
    scenarios.gives_each_event_at_once(opener, body, "chunked")


@on_asyncio
@each_async_opener
async def test_each_line_is_there_at_once_in_an_async_loop(opener: AsyncOpener, body: Body) -> None:
    """The same for `async for`."""
    await scenarios.gives_each_event_at_once_async(opener, body, "chunked")


@pytest.mark.parametrize("end", ENDS)
@each_opener
def test_a_cut_connection_is_no_end(opener: Opener, body: Body, end: Any) -> None:
    """The stream raises and keeps the partial."""
    scenarios.tells_a_cut_from_an_end(opener, body, end)


@on_asyncio
@each_async_opener
async def test_a_cut_connection_is_no_end_in_an_async_loop(opener: AsyncOpener, body: Body) -> None:
    """The same for `async for`."""
    await scenarios.tells_a_cut_from_an_end_async(opener, body)


def test_a_stream_that_ends_before_its_last_line_is_truncated() -> None:
    """The SDK's own loop ends as if all were well; nothing had said that the answer was done."""
    with (
        Loopback(chunked(CHAT.frames[:2])) as server,
        _chat(server.url) as source,
        pytest.raises(StreamTruncated) as caught,
    ):
        Stream(source).final()

    assert "Let me " == caught.value.partial.text


@pytest.mark.parametrize("way", WAYS)
@each_opener
def test_the_server_sees_the_connection_closed(opener: Opener, body: Body, way: str) -> None:
    """By `close`, at the end of `with`, and by `stop`."""
    scenarios.closes(opener, body, way)


@on_asyncio
@pytest.mark.parametrize("way", WAYS)
@each_async_opener
async def test_the_server_sees_the_connection_of_an_async_stream_closed(
    opener: AsyncOpener, body: Body, way: str
) -> None:
    """By `aclose`, at the end of `async with`, and by `stop`."""
    await scenarios.closes_async(opener, body, way)


REFUSAL = b'{"error":"model \'m\' not found"}'


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
    """Of the SDK's exception the status and the server's words are left."""
    with Loopback(sized(REFUSAL, status=404, content_type="application/json")) as server:
        with _chat(server.url) as source, pytest.raises(StatusError, match="'m' not found") as caught:
            Stream(source).final()
        assert (404, "invalid_request", False) == (
            caught.value.status,
            caught.value.kind,
            caught.value.retryable,
        )
        async with _async_unawaited(server.url) as source:
            stream = AsyncStream(source)
            with pytest.raises(StatusError, match="'m' not found"):
                await stream.final()
            await stream.aclose()


@on_asyncio
async def test_a_refusal_says_when_to_ask_again() -> None:
    """The SDK's exception has no headers; those of the client's error beneath it count."""
    busy = sized(REFUSAL, status=503, headers=[("Retry-After", "7")], content_type="application/json")
    with Loopback(busy) as server:
        with _chat(server.url) as source, pytest.raises(StatusError) as caught:
            Stream(source).final()

        assert (503, 7.0) == (caught.value.status, caught.value.retry_after)
        async with _async_unawaited(server.url) as source:
            with pytest.raises(StatusError) as caught:
                await AsyncStream(source).final()

        assert (503, 7.0) == (caught.value.status, caught.value.retry_after)


def test_an_error_line_is_the_provider_speaking() -> None:
    """The SDK raises it; what came before is kept."""
    failed = b'{"error":"an error was encountered while running the model: unexpected EOF"}\n'
    with (
        Loopback(chunked([*CHAT.frames[:2], failed])) as server,
        _chat(server.url) as source,
        pytest.raises(ProviderError, match="unexpected EOF") as caught,
    ):
        Stream(source).final()

    assert "Let me " == caught.value.partial.text


@each_opener
def test_the_servers_own_content_type_is_understood(opener: Opener, body: Body) -> None:
    """The bytes beneath are JSON lines, and read as such without the SDK."""
    script = [
        head(content_type=NDJSON, headers=[("Transfer-Encoding", "chunked")]),
        *map(http_chunk, body.frames),
        LAST_CHUNK,
    ]
    with Loopback(script) as server, opener(server.url) as source:
        assert body.message == Stream(source).final()


@each_opener
def test_beside_the_loop_over_the_sdk_the_message_grows(opener: Opener, body: Body) -> None:
    """`tap` yields the SDK's own objects, and sees all of the answer."""
    with Loopback(chunked(body.frames)) as server, opener(server.url) as source:
        tapped = tap(source)
        kinds = {type(item).__module__.partition(".")[0] for item in tapped}

    assert {"ollama"} == kinds
    assert body.message == tapped.message
    assert tapped.error is None


@on_asyncio
@each_async_opener
async def test_beside_an_async_loop_over_the_sdk_the_message_grows(opener: AsyncOpener, body: Body) -> None:
    """The same for `async for`."""
    with Loopback(chunked(body.frames)) as server:
        async with opener(server.url) as source:
            tapped: Any = tap(source)
            async with tapped:
                _ = [item async for item in tapped]

    assert body.message == tapped.message
    assert tapped.error is None


def test_a_whole_answer_asks_whether_stream_was_forgotten() -> None:
    """The object that `chat` gives without `stream=True` is no stream."""
    whole = line(done=True, message={"role": "assistant", "content": "Hi"}, **END)
    with (
        Loopback(sized(whole, content_type="application/json")) as server,
        ollama.Client(host=server.url) as client,
    ):
        answer = client.chat("m", ASKED)
    with pytest.raises(MisuseError, match="was stream=True forgotten"):
        Stream(answer)

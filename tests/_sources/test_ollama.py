"""The streams of ollama's SDK, over real connections: chat and generate, as JSON lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests._sources.scenarios import Body, Opener, body_of
from tests._sources.sdks import AtOnce, Closing, Cut, Garbage, Reading, on_asyncio, opening, opening_async
from tests.support.loopback import LAST_CHUNK, Loopback, chunked, head, http_chunk, sized
from tests.support.packages import needed
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError, ProviderError, StatusError, StreamTruncated

ollama = needed("ollama")

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

NDJSON = "application/x-ndjson"


def line(*, done: bool = False, **fields: Any) -> bytes:
    payload = {"model": "m", "created_at": "2026-11-20T09:26:59.678947Z", **fields, "done": done}
    return json.dumps(payload, ensure_ascii=False).encode() + b"\n"


END: dict[str, Any] = {
    "done_reason": "stop",
    "total_duration": 482007750,
    "prompt_eval_count": 16,
    "eval_count": 51,
}
CHAT = body_of("ollama", testing.script().reasoning("Hm."))
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


_chat = opening(lambda url: ollama.Client(host=url), lambda client: client.chat("m", ASKED, stream=True))
_generate = opening(
    lambda url: ollama.Client(host=url), lambda client: client.generate("m", "Weather?", stream=True)
)
_async_chat = opening_async(
    lambda url: ollama.AsyncClient(host=url),
    lambda client: client.chat("m", ASKED, stream=True),
    is_awaited=True,
)
_async_unawaited = opening_async(
    lambda url: ollama.AsyncClient(host=url), lambda client: client.chat("m", ASKED, stream=True)
)
_async_generate = opening_async(
    lambda url: ollama.AsyncClient(host=url),
    lambda client: client.generate("m", "Weather?", stream=True),
    is_awaited=True,
)


OPENERS = {"chat": (_chat, CHAT), "generate": (_generate, GENERATE)}
ASYNC_OPENERS = {
    "chat": (_async_chat, CHAT),
    "chat not awaited": (_async_unawaited, CHAT),
    "generate": (_async_generate, GENERATE),
}
each_opener = pytest.mark.parametrize(("opener", "body"), OPENERS.values(), ids=OPENERS)


class TestStreams(Reading, AtOnce, Cut, Closing, Garbage):
    """What holds for the streams of any SDK; the payloads are made of its objects."""

    openers = OPENERS
    async_openers = ASYNC_OPENERS
    items = "ollama."


def test_a_stream_that_ends_before_its_last_line_is_truncated() -> None:
    """The SDK's own loop ends as if all were well; nothing had said that the answer was done."""
    with (
        Loopback(chunked(CHAT.frames[:2])) as server,
        _chat(server.url) as source,
        pytest.raises(StreamTruncated) as caught,
    ):
        Stream(source).final()

    assert "Let me " == caught.value.partial.text


REFUSAL = b'{"error":"model \'m\' not found"}'


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
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


def test_a_whole_answer_asks_whether_stream_was_forgotten() -> None:
    """The object that `chat` gives without `stream=True` is no stream."""
    whole = line(done=True, message={"role": "assistant", "content": "Hi"}, **END)
    with (
        Loopback(sized(whole, content_type="application/json")) as server,
        ollama.Client(host=server.url) as client,
    ):
        answer = client.chat("m", ASKED)
    with pytest.raises(MisuseError, match="pass stream=True"):
        Stream(answer)

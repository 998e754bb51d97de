"""The streams of huggingface_hub's clients, over real connections: chat, and TGI's own route."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from tests._sources import scenarios
from tests._sources.scenarios import CHAT, ENDS, Body, Opener
from tests._sources.sdks import AtOnce, Garbage, Reading, on_asyncio, opening, opening_async
from tests.stream.bodies import chunk
from tests.support.loopback import LAST_CHUNK, Loopback, chunked, head, http_chunk
from tests.support.packages import needed
from tests.support.wire import DONE, sse
from tokenstream import AsyncStream, Stream
from tokenstream.errors import ProviderError, StatusError, StreamInterrupted, StreamTruncated

hub = needed("huggingface_hub")

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]

ASKED: list[dict[str, str]] = [{"role": "user", "content": "Weather?"}]
TEXTS = ["Let ", "me ", "see – 🌊."]


@pytest.fixture(autouse=True)
def own_pool() -> Generator[None]:
    """Close the connections that the library keeps for all its clients."""
    yield
    hub.close_session()


def token(text: str, index: int, **fields: Any) -> bytes:
    """One token, as TGI sends it: without a space behind the colon."""
    inner = {"id": index, "text": text, "logprob": -0.5, "special": False}
    payload = {"index": index, "token": inner, "generated_text": None, "details": None, **fields}
    return sse(payload).replace(b"data: ", b"data:", 1)


OVER = token(
    "",
    4,
    generated_text="".join(TEXTS),
    details={"finish_reason": "eos_token", "generated_tokens": 4, "input_length": 7, "seed": None},
)
TOKENS = Body("tgi", [*[token(text, place) for place, text in enumerate(TEXTS, 1)], OVER], TEXTS)


def _client(url: str) -> Any:
    return hub.InferenceClient(base_url=f"{url}/v1", api_key="k")


def _async_client(url: str) -> Any:
    return hub.AsyncInferenceClient(base_url=f"{url}/v1", api_key="k")


_chat = opening(_client, lambda client: client.chat_completion(ASKED, stream=True))
_created = opening(
    _client, lambda client: client.chat.completions.create(messages=ASKED, model="m", stream=True)
)
_generate = opening(
    lambda url: hub.InferenceClient(base_url=url, api_key="k"),
    lambda client: client.text_generation("Weather?", stream=True, details=True),
)
_async_chat = opening_async(
    _async_client, lambda client: client.chat_completion(ASKED, stream=True), is_awaited=True
)
_async_unawaited = opening_async(_async_client, lambda client: client.chat_completion(ASKED, stream=True))
_async_generate = opening_async(
    lambda url: hub.AsyncInferenceClient(base_url=url, api_key="k"),
    lambda client: client.text_generation("Weather?", stream=True, details=True),
    is_awaited=True,
)


OPENERS = {"chat": (_chat, CHAT), "create": (_created, CHAT), "generate": (_generate, TOKENS)}
ASYNC_OPENERS = {
    "chat": (_async_chat, CHAT),
    "chat not awaited": (_async_unawaited, CHAT),
    "generate": (_async_generate, TOKENS),
}
each_opener = pytest.mark.parametrize(("opener", "body"), OPENERS.values(), ids=OPENERS)


class TestStreams(Reading, AtOnce, Garbage):
    """What holds for the streams of any SDK; the payloads are made of its objects."""

    openers = OPENERS
    async_openers = ASYNC_OPENERS
    items = "huggingface_hub."


@pytest.mark.parametrize("end", ENDS)
@each_opener
def test_a_cut_connection_is_no_end(opener: Opener, body: Body, end: Any) -> None:
    """The stream raises and keeps the partial."""
    script = [*chunked(body.frames)[:3], end]
    with Loopback(script) as server, opener(server.url) as source:
        with pytest.raises(StreamInterrupted) as caught:
            Stream(source).final()

        assert caught.value.retryable
        assert "".join(body.pieces[:2]).startswith(caught.value.partial.text)


@each_opener
def test_a_body_that_ends_early_is_truncated(opener: Opener, body: Body) -> None:
    """The SDK's own loop ends there as if all had come."""
    with Loopback(chunked(body.frames[:2])) as server, opener(server.url) as source:
        with pytest.raises(StreamTruncated) as caught:
            Stream(source).final()

        assert "".join(body.pieces[:2]) == caught.value.partial.text


def test_what_the_sdk_has_no_field_for_is_read_too() -> None:
    """Reasoning in a delta, and what else a server adds within and around it."""
    frames = [
        chunk({"role": "assistant", "content": "", "reasoning_content": "Hm."}),
        chunk(
            {"content": "Yes"},
            "stop",
            usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "cost": 0.5},
        ),
        DONE,
    ]
    with Loopback(chunked(frames)) as server, _chat(server.url) as source:
        message = Stream(source).final()

    assert Stream(frames).final() == message
    assert ("Hm.", "Yes") == (message.reasoning, message.text)


def test_plain_text_is_taken_as_pieces() -> None:
    """Without `details=True` the SDK gives nothing but text, of which no format can be found out."""
    with (
        Loopback(chunked(TOKENS.frames)) as server,
        hub.InferenceClient(base_url=server.url, api_key="k") as client,
    ):
        source = client.text_generation("Weather?", stream=True)
        stream = Stream(source, format="pieces")

        assert TEXTS == [piece for piece in stream.text if piece]
        assert "complete" == stream.message.ending


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("generation", "server"),
        ("incomplete_generation", "server"),
        ("overloaded", "overloaded"),
        ("validation", "invalid_request"),
        ("moon", "unknown"),
    ],
)
@pytest.mark.parametrize("opener", [_generate, _chat], ids=["generate", "chat"])
def test_an_error_line_that_the_sdk_raises_is_the_provider_speaking(
    opener: Opener, kind: str, expected: str
) -> None:
    body = TOKENS if opener is _generate else CHAT
    error = sse({"error": "it broke", "error_type": kind})
    with (
        Loopback(chunked([body.frames[0], error])) as server,
        opener(server.url) as source,
        pytest.raises(ProviderError, match="it broke") as caught,
    ):
        Stream(source).final()

    assert expected == caught.value.kind
    assert body.pieces[0] == caught.value.partial.text
    assert isinstance(caught.value.__cause__, hub.errors.TextGenerationError)


@on_asyncio
async def test_a_refused_request_is_a_status_error() -> None:
    """What is awaited by the stream is told in our words."""
    await scenarios.raises_what_a_status_means(_async_unawaited)


@on_asyncio
async def test_a_refusal_of_unknown_length_says_why() -> None:
    """The SDK raises without reading it; what it says is read from the response itself."""
    said = b'{"error": {"message": "slow down", "type": "rate_limit_error"}}'
    busy = [head(429, "application/json", [("Transfer-Encoding", "chunked"), ("Retry-After", "7")])]
    with Loopback([*busy, http_chunk(said), LAST_CHUNK]) as server:
        async with _async_unawaited(server.url) as source:
            with pytest.raises(StatusError, match="slow down") as caught:
                await AsyncStream(source).final()

    assert (429, "rate_limited", 7.0) == (caught.value.status, caught.value.kind, caught.value.retry_after)

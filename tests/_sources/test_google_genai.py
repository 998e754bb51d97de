"""The streams of google-genai's SDK, over real connections, and the messages of Google's gRPC clients."""

from __future__ import annotations

import json
from types import new_class
from typing import Any

import pytest

from tests._sources.scenarios import FRAMINGS, Body, body_of
from tests._sources.sdks import (
    GARBAGE,
    AtOnce,
    Closing,
    Cut,
    Garbage,
    Reading,
    on_asyncio,
    opening,
    opening_async,
    seen,
)
from tests.formats.gemini.payloads import STOP, USAGE, Payload, call, chunk, text, thought, value
from tests.support.loopback import Loopback, chunked, sized
from tests.support.packages import needed
from tests.support.wire import sse
from tokenstream import AsyncStream, Stream, testing
from tokenstream.errors import MisuseError, ProviderError, StatusError, StreamTruncated
from tokenstream.message import MediaPart, TextPart

genai = needed("google.genai")
proto = needed("proto")

# Importing the SDK takes seconds on a busy machine.
pytestmark = [
    pytest.mark.not_quick,
    pytest.mark.anyio,
    # The SDK inherits from a class of aiohttp's that warns of it.
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),
]

# The SDK's objects do not keep the order of an object's keys, so that of the arguments is the same in both.
CONTENT = Body(
    "gemini",
    [
        sse(chunk(thought("Hm.")) | {"usageMetadata": USAGE}) + sse(chunk(text("Let "))),
        sse(chunk(text("me "))),
        sse(chunk(text("see – 🌊."))),
        b"".join(
            [
                sse(chunk(call("get_weather", {"thoughtSignature": "+/8="}, args={"city": "Oslo"}))),
                sse(chunk({"inlineData": {"data": "+/8=", "mimeType": "image/png"}})),
                sse(chunk(text("", thoughtSignature="+/8="), finish="STOP") | {"usageMetadata": USAGE}),
            ]
        ),
    ],
    ["Let ", "me ", "see – 🌊."],
)
CALLED = Body(
    "gemini",
    [
        sse(chunk(text("Let "))),
        sse(chunk(text("me "))),
        sse(chunk(text("see."))),
        b"".join(
            [
                sse(chunk(call("get_weather", willContinue=True))),
                sse(chunk(value("$.city", stringValue="Os", willContinue=True))),
                sse(chunk(value("$.city", stringValue="lo"))),
                sse(chunk(call())),
                sse(STOP),
            ]
        ),
    ],
    ["Let ", "me ", "see."],
)


STEPS = body_of("gemini-interactions", testing.script().reasoning(signature="+/8="))
ASKED: dict[str, Any] = {"model": "gemini-x", "contents": "Weather?"}
INTERACTED: dict[str, Any] = {"model": "gemini-x", "input": "Weather?", "stream": True}


def _client(url: str) -> Any:
    return genai.Client(api_key="k", http_options={"base_url": url, "retry_options": {"attempts": 1}})


_content = opening(_client, lambda client: client.models.generate_content_stream(**ASKED))
_interaction = opening(_client, lambda client: client.interactions.create(**INTERACTED))
_observed = opening(_interaction, seen)
_async_content = opening_async(
    lambda url: _client(url).aio,
    lambda client: client.models.generate_content_stream(**ASKED),
    is_awaited=True,
)
_async_unawaited = opening_async(
    lambda url: _client(url).aio, lambda client: client.models.generate_content_stream(**ASKED)
)
_async_interaction = opening_async(
    lambda url: _client(url).aio, lambda client: client.interactions.create(**INTERACTED), is_awaited=True
)


WAYS_IN = {
    "content": (_content, CONTENT),
    "streamed call": (_content, CALLED),
    "interaction": (_interaction, STEPS),
    "interaction observed": (_observed, STEPS),
}
ASYNC_WAYS_IN = {
    "content": (_async_content, CONTENT),
    "content not awaited": (_async_unawaited, CALLED),
    "interaction": (_async_interaction, STEPS),
}
INTERACTIONS = {"interaction": (_interaction, STEPS)}
ASYNC_INTERACTIONS = {"interaction": (_async_interaction, STEPS)}


class TestStreams(Reading, Cut):
    """Content is taken from the objects that the SDK yields, interactions from the response beneath."""

    openers = WAYS_IN
    async_openers = ASYNC_WAYS_IN
    items = "google."


class TestInteractions(AtOnce, Closing):
    """What only the response beneath can give."""

    openers = INTERACTIONS
    async_openers = ASYNC_INTERACTIONS
    framings = FRAMINGS


class TestGarbage(Garbage):
    """The SDK raises errors of its own that quote what came."""

    openers = WAYS_IN
    async_openers = ASYNC_WAYS_IN
    # Of an interaction, any JSON is a whole answer to the SDK, and so no stream at all.
    garbage = {name: sent for name, sent in GARBAGE.items() if name not in ("another object", "an array")}  # noqa: RUF012


def test_a_clean_end_without_a_finish_reason_is_truncated() -> None:
    """The SDK itself says nothing of it."""
    with Loopback(chunked(CONTENT.frames[:2])) as server, _content(server.url) as source:
        stream = Stream(source)
        with pytest.raises(StreamTruncated) as caught:
            stream.final()

    assert caught.value.partial is not None
    assert caught.value.partial.text == "Let me "


ERROR: Payload = {
    "error": {
        "code": 503,
        "message": "busy",
        "status": "UNAVAILABLE",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
    }
}


@pytest.mark.parametrize("written", [sse(ERROR), json.dumps(ERROR, indent=2).encode()])
def test_an_error_in_the_stream_is_the_providers(written: bytes) -> None:
    """The SDK raises its own; what the provider said is told as from bytes."""
    with Loopback(chunked([CONTENT.frames[0], written])) as server, _content(server.url) as source:
        stream = Stream(source)
        with pytest.raises(ProviderError, match="busy") as caught:
            stream.final()

    error = caught.value
    assert (error.kind, error.code, error.retryable, error.retry_after) == ("overloaded", "503", True, 17.0)
    assert stream.message.text == "Let "


@pytest.mark.parametrize("body", [ERROR, [ERROR]])
def test_a_refused_request_is_a_status_error(body: Any) -> None:
    """Content is asked for with the first read, so what the SDK raises then is told as ours."""
    refusal = sized(json.dumps(body).encode(), status=503, content_type="application/json")
    with Loopback(refusal) as server, _content(server.url) as source, pytest.raises(StatusError) as caught:
        Stream(source).final()

    error = caught.value
    assert (error.status, error.kind, error.retry_after) == (503, "overloaded", 17.0)


@on_asyncio
async def test_a_refused_interaction_says_why() -> None:
    """The SDK reads the body away, and keeps it in its exception."""
    said = b'{"error": {"message": "slow down", "type": "rate_limit_error"}}'
    with Loopback(sized(said, status=429, content_type="application/json")) as server:
        async with _client(server.url).aio as client:
            with pytest.raises(StatusError, match="slow down") as caught:
                await AsyncStream(client.interactions.create(**INTERACTED)).final()

    assert (429, "rate_limited") == (caught.value.status, caught.value.kind)


def test_a_whole_answer_is_no_stream() -> None:
    answer = genai.types.GenerateContentResponse.model_validate(chunk(text("a"), finish="STOP"))
    with pytest.raises(MisuseError, match="a whole answer"):
        Stream(answer)

    assert Stream([answer]).final().text == "a"


# -- gRPC ---------------------------------------------------------------------------


def _message(name: str, **fields: Any) -> Any:
    """Return a class of messages as those of Google's gRPC clients."""
    named = {"__module__": __name__, "__qualname__": name}
    return type(proto.Message)(name, (proto.Message,), {**named, **fields})


def _fill_reasons(names: dict[str, Any]) -> None:
    names["__module__"] = __name__
    names["FINISH_REASON_UNSPECIFIED"] = 0
    names["STOP"] = 1


def _response() -> Any:
    blob = _message(
        "Blob", mime_type=proto.Field(proto.STRING, number=1), data=proto.Field(proto.BYTES, number=2)
    )
    part = _message(
        "Part",
        text=proto.Field(proto.STRING, number=2, oneof="kind"),
        inline_data=proto.Field(blob, number=3, oneof="kind"),
        thought_signature=proto.Field(proto.BYTES, number=13),
    )
    content = _message("Content", parts=proto.RepeatedField(part, number=1))
    reason = new_class("FinishReason", (proto.Enum,), exec_body=_fill_reasons)
    candidate = _message(
        "Candidate", content=proto.Field(content, number=1), finish_reason=proto.Field(reason, number=2)
    )
    usage = _message("Usage", candidates_token_count=proto.Field(proto.INT32, number=2))
    return _message(
        "Response",
        candidates=proto.RepeatedField(candidate, number=1),
        usage_metadata=proto.Field(usage, number=4),
        response_id=proto.Field(proto.STRING, number=7),
    )


RESPONSE = _response()
PARTS: list[list[Payload]] = [
    [{"text": "Hel"}],
    [{"text": "lo", "thought_signature": b"\xfb\xff"}],
    [{"inline_data": {"mime_type": "image/png", "data": b"\xfb\xff"}}],
]


def _chunks() -> list[Any]:
    chunks = [
        RESPONSE({"candidates": [{"content": {"parts": parts}}], "response_id": "r1"}) for parts in PARTS
    ]
    last = {"candidates": [{"finish_reason": 1}], "usage_metadata": {"candidates_token_count": 3}}
    return [*chunks, RESPONSE(last)]


@pytest.mark.parametrize(
    "made_of", [list, lambda chunks: [RESPONSE.pb(chunk) for chunk in chunks]], ids=["proto-plus", "protobuf"]
)
def test_messages_of_grpc_clients_are_payloads(made_of: Any) -> None:
    """Messages of gRPC become the JSON that the API sends over HTTP."""
    message = Stream(iter(made_of(_chunks()))).final()

    assert message.parts == (
        TextPart(text="Hel", complete=True),
        TextPart(text="lo", complete=True, provider_data={"thoughtSignature": "+/8="}),
        MediaPart(mime_type="image/png", data=b"\xfb\xff", complete=True),
    )
    assert (message.id, message.finish_reason) == ("r1", "stop")
    assert message.usage.output_tokens == 3


def test_dicts_that_were_made_of_messages_are_payloads_too() -> None:
    for options in ({}, {"use_integers_for_enums": False}):
        stream = Stream([RESPONSE.to_dict(each, **options) for each in _chunks()])

        assert stream.final().text == "Hello"
        assert stream.message.raw_finish_reason == "STOP"
        with pytest.raises(StreamTruncated):
            Stream([RESPONSE.to_dict(each, **options) for each in _chunks()[:-1]]).final()


class Response:
    """A response as Vertex AI's own SDK has it: around a message, with `to_dict` and little else."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def to_dict(self) -> Any:
        return RESPONSE.to_dict(self._message, use_integers_for_enums=False)


def test_objects_around_messages_are_payloads() -> None:
    message = Stream(iter([Response(each) for each in _chunks()])).final()

    assert (message.text, message.finish_reason, message.id) == ("Hello", "stop", "r1")
    assert [part.data for part in message.parts if isinstance(part, MediaPart)] == [b"\xfb\xff"]


def test_dumps_of_the_sdks_objects_are_payloads() -> None:
    signed = {"text": "a", "thoughtSignature": "-_8="}
    sent = [chunk(signed), chunk({"inlineData": {"data": "-_8=", "mimeType": "image/png"}}, finish="STOP")]
    answers = [genai.types.GenerateContentResponse.model_validate(each) for each in sent]
    expected = Stream(answers).final()
    made: list[Any] = [{}, {"exclude_none": True}, {"mode": "json"}, {"by_alias": True, "mode": "json"}]
    for options in made:
        message = Stream([each.model_dump(**options) for each in answers]).final()

        assert (message.parts, message.finish_reason) == (expected.parts, "stop")
        assert message.parts[0] == TextPart(
            text="a", complete=True, provider_data={"thoughtSignature": "+/8="}
        )

"""Gemini: spellings, whole answers, how a chunk is recognised, and dicts that clients made of objects."""

from __future__ import annotations

import json
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest

from tests.formats.gemini.payloads import STOP, USAGE, Payload, chunk, text, thought
from tests.formats.gemini.support import gemini, one
from tests.formats.told import tell
from tests.support import registry
from tests.support.formats import Gemini
from tests.support.tables import in_one_test
from tokenstream import Decoder, Stream
from tokenstream.errors import StreamTruncated
from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.message import MediaPart, Message, TextPart

SNAKE: Payload = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "a", "thought": True},
                    {"function_call": {"name": "f", "args": {"a_b": 1}}, "thought_signature": "c2ln"},
                ],
            },
            "finish_reason": "STOP",
            "safety_ratings": [{"category": "X"}],
        }
    ],
    "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 4},
    "model_version": "gemini-x",
    "response_id": "r1",
}


def test_names_may_be_written_with_underscores() -> None:
    """Proxies and Python clients write names with underscores."""
    told = gemini(SNAKE)

    assert told.message.reasoning == "a"
    assert told.message.tool_calls[0].arguments == {"a_b": 1}
    assert told.message.tool_calls[0].provider_data == {"thoughtSignature": "c2ln", "made_up_id": True}
    assert (told.message.id, told.reason) == ("r1", "tool_calls")
    assert told.message.usage.output_tokens == 4
    assert told.events[0].raw == SNAKE


def test_only_the_parts_may_be_written_with_underscores() -> None:
    """The spelling is looked at where it can differ."""
    told = gemini(chunk({"inline_data": {"mime_type": "image/png", "data": "AAAA"}}), chunk(finish="STOP"))

    assert told.parts == (MediaPart(mime_type="image/png", data=b"\0\0\0", complete=True),)


def test_deep_values_keep_their_names() -> None:
    """What is nested deeper than any of the API's own fields is not looked at."""
    deep: Any = {"a_b": 1}
    for _ in range(80):
        deep = {"x": deep}
    told = gemini({"some_field": deep, **chunk(text("a"), finish="STOP")})

    assert json.dumps(deep) == json.dumps(told.data["someField"])


def test_bytes_that_a_client_spells_in_another_alphabet_are_those_of_the_api() -> None:
    """Payloads of SDKs' objects have base64 for URLs; signatures go back as the server sent them."""
    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"), plain=True)
    assert getattr(told.parts[0], "provider_data", None) == {"thoughtSignature": "a+/b"}

    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"))
    assert getattr(told.parts[0], "provider_data", None) == {"thoughtSignature": "a-_b"}


def test_what_sdks_add_to_an_answer_is_left_out() -> None:
    """The HTTP head and the like are none of the answer."""
    told = gemini(chunk(text("a"), finish="STOP") | {"sdkHttpResponse": {"headers": {}}, "parsed": {"a": 1}})

    assert told.data == {}


def test_a_chunk_in_an_envelope_is_read() -> None:
    """Google's command-line tools wrap each chunk as `response`."""
    told = gemini({"response": chunk(text("a"), finish="STOP"), "traceId": "t"})

    assert told.message.text == "a"
    assert told.data == {"traceId": "t"}


def test_a_whole_answer_is_one_chunk() -> None:
    """`generateContent` answers so, indented over many lines."""
    decoder = Decoder()
    whole = chunk(thought("b"), text("a"), finish="STOP") | {"usageMetadata": USAGE}
    decoder.feed(json.dumps(whole, indent=2).encode())
    decoder.end()

    assert decoder.format == "gemini"
    assert (decoder.message.text, decoder.message.reasoning, decoder.message.complete) == ("a", "b", True)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n "])
def test_an_array_is_read_as_it_arrives(start: bytes) -> None:
    """Without `alt=sse`: each chunk is out with its closing brace."""
    decoder = Decoder(content_type="application/json; charset=UTF-8")
    body = start + json.dumps([chunk(text("Hel")), chunk(text("lo")), STOP], indent=2).encode()
    seen = [event for at in range(len(body)) for event in decoder.feed(body[at : at + 1])]
    first = next(i for i in range(len(body)) if decoder_at(body[: i + 1]).message.text)

    assert [event.text for event in seen if isinstance(event, TextDelta)] == ["Hel", "lo"]
    assert body[: first + 1].endswith(b"}")
    assert decoder.end() == [] or decoder.message.complete
    assert decoder.message.ending == "complete"


def decoder_at(body: bytes) -> Decoder:
    decoder = Decoder()
    decoder.feed(body)
    return decoder


@in_one_test(
    ("payload", "answer"),
    [
        (chunk(text("a")), True),
        (SNAKE, True),
        ({"candidates": []}, True),
        ({"response": {"candidates": []}}, True),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, True),
        ({"usageMetadata": USAGE, "modelVersion": "g"}, True),
        ({"usage_metadata": {}, "response_id": "r"}, True),
        ({"usageMetadata": USAGE}, None),
        ({"candidates": "x"}, False),
        ({"candidates": ["x"]}, False),
        ({"modelVersion": "g"}, False),
        ({"promptFeedback": "x"}, False),
        ({"usageMetadata": USAGE, "serverContent": {}}, False),
        ({"candidates": [], "choices": []}, False),
        ({"type": "x", "candidates": []}, False),
        ({}, False),
    ],
)
def test_a_chunk_is_known_by_its_fields(payload: Payload, answer: bool | None) -> None:
    """Usage alone may be another protocol's, so a later payload decides."""
    assert Gemini.recognises(payload, "") is answer
    if answer:
        assert registry.detect(payload, "") == ("gemini", False)


def test_reasoning_events_carry_their_signature() -> None:
    told = one(thought("a", thoughtSignature="c2ln"))

    assert [(e.text, e.signature) for e in told.events if isinstance(e, ReasoningDelta)] == [
        ("a", None),
        ("", "c2ln"),
    ]


class Word(StrEnum):
    """A finish reason as google-genai's objects have it."""

    STOP = "STOP"


class Number(IntEnum):
    """A finish reason as proto-plus has it."""

    STOP = 1


def candidate(*parts: Payload, **fields: Any) -> Payload:
    return {"candidates": [{"content": {"parts": list(parts)}, **fields}]}


@pytest.mark.parametrize("reason", Word)
def test_a_dump_with_bytes_and_enumerations_is_read_as_the_api_sends_it(reason: Enum) -> None:
    """What pydantic's `model_dump()` gives: nothing of it is in JSON's own types."""
    blob = {"inline_data": {"data": b"\xfb\xff", "mime_type": "image/png"}}
    signed = {"text": "a", "thought_signature": b"\xfb\xff"}
    message = Stream([candidate(signed), candidate(blob, finish_reason=reason)]).final()

    assert message.parts == (
        TextPart(text="a", complete=True, provider_data={"thoughtSignature": "+/8="}),
        MediaPart(mime_type="image/png", data=b"\xfb\xff", complete=True),
    )
    assert (message.finish_reason, message.raw_finish_reason) == ("stop", "STOP")
    assert Message.model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("reason", [Number.STOP, 1, "STOP", "stop"])
def test_a_finish_reason_is_known_by_its_number_and_in_any_case(reason: object) -> None:
    """Clients spell it as they like."""
    assert Stream([candidate(text("a"), finish_reason=reason)]).final().finish_reason == "stop"


@pytest.mark.parametrize("number", [6, 7, 8])
def test_a_number_that_is_a_filter_in_both_apis_is_a_filter(number: int) -> None:
    """Which one cannot be told; the number stays."""
    message = Stream([candidate(text("a"), finish_reason=number)]).final()

    assert (message.finish_reason, message.raw_finish_reason) == ("content_filter", str(number))


def test_a_finish_reason_that_a_client_filled_in_is_none() -> None:
    """A cut is a cut, although each chunk names the reason that stands for none."""
    unset = {"finish_reason": "FINISH_REASON_UNSPECIFIED", "safety_ratings": []}
    stream = Stream([candidate(text("a"), **unset), candidate(text("b"), **unset)])
    with pytest.raises(StreamTruncated):
        stream.final()

    assert stream.message.parts == (TextPart(text="ab"),)
    assert stream.message.finish_reason is None


def test_on_the_wire_the_same_word_is_a_finish_reason() -> None:
    """The API leaves out what is not set, so there somebody set it."""
    told = tell(Gemini(), json.dumps(chunk(text("a"), finish="FINISH_REASON_UNSPECIFIED")).encode())

    assert (told.reason, told.ending) == ("unknown", "complete")


@pytest.mark.parametrize(
    "inner",
    [
        {"usageMetadata": {"promptTokenCount": 1}, "modelVersion": "m"},
        {"usage_metadata": {"prompt_token_count": 1}},
    ],
)
def test_a_wrapped_chunk_without_candidates_is_read(inner: Payload) -> None:
    told = tell(Gemini(), {"response": inner}, {"response": chunk(text("a"), finish="STOP")})

    assert (told.message.text, told.message.complete) == ("a", True)
    assert told.message.usage.input_tokens == 1
    assert Gemini.recognises({"response": inner}, "") is not False


def test_a_wrapped_refusal_of_the_prompt_is_read() -> None:
    refused: Payload = {"response": {"promptFeedback": {"blockReason": "SAFETY"}}}
    message = Stream([refused]).final()

    assert (message.finish_reason, message.raw_finish_reason) == ("content_filter", "SAFETY")

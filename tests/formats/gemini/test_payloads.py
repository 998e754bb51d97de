"""Gemini: spellings, whole answers, and how a chunk is recognised."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.formats.gemini.payloads import STOP, USAGE, Payload, chunk, text, thought
from tests.formats.gemini.support import gemini, one
from tests.support import registry
from tests.support.formats import Gemini
from tests.support.tables import in_one_test
from tokenstream import Decoder
from tokenstream.events import ReasoningDelta, TextDelta
from tokenstream.message import MediaPart

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
    assert (told.message.id, told.message.finish_reason) == ("r1", "tool_calls")
    assert told.message.usage.output_tokens == 4
    assert told.events[0].raw == SNAKE


def test_only_the_parts_may_be_written_with_underscores() -> None:
    """The spelling is looked at where it can differ."""
    told = gemini(chunk({"inline_data": {"mime_type": "image/png", "data": "AAAA"}}), chunk(finish="STOP"))

    assert told.message.parts == (MediaPart(mime_type="image/png", data=b"\0\0\0", complete=True),)


def test_deep_values_keep_their_names() -> None:
    """What is nested deeper than any of the API's own fields is not looked at."""
    deep: Any = {"a_b": 1}
    for _ in range(80):
        deep = {"x": deep}
    told = gemini({"some_field": deep, **chunk(text("a"), finish="STOP")})

    assert json.dumps(deep) == json.dumps(told.message.provider_data["someField"])


def test_bytes_that_a_client_spells_in_another_alphabet_are_those_of_the_api() -> None:
    """Payloads of SDKs' objects have base64 for URLs; signatures go back as the server sent them."""
    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"), plain=True)
    assert getattr(told.message.parts[0], "provider_data", None) == {"thoughtSignature": "a+/b"}

    told = gemini(chunk(text("", thoughtSignature="a-_b"), finish="STOP"))
    assert getattr(told.message.parts[0], "provider_data", None) == {"thoughtSignature": "a-_b"}


def test_what_sdks_add_to_an_answer_is_left_out() -> None:
    """The HTTP head and the like are none of the answer."""
    told = gemini(chunk(text("a"), finish="STOP") | {"sdkHttpResponse": {"headers": {}}, "parsed": {"a": 1}})

    assert told.message.provider_data == {}


def test_a_chunk_in_an_envelope_is_read() -> None:
    """Google's command-line tools wrap each chunk as `response`."""
    told = gemini({"response": chunk(text("a"), finish="STOP"), "traceId": "t"})

    assert told.message.text == "a"
    assert told.message.provider_data == {"traceId": "t"}


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

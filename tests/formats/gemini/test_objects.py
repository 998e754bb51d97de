"""Gemini: dicts that Python clients made of their objects, and what they fill in."""

from __future__ import annotations

import json
from enum import Enum, IntEnum, StrEnum
from typing import Any

import pytest

from tests.formats.gemini.payloads import Payload, chunk, text
from tests.formats.told import tell
from tests.support.formats import Gemini
from tokenstream import Stream
from tokenstream.errors import StreamTruncated
from tokenstream.message import MediaPart, Message, TextPart


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

    assert (told.message.finish_reason, told.message.ending) == ("unknown", "complete")


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

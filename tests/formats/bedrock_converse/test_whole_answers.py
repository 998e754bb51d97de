"""Answers of Converse, which are not streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokenstream import Stream
from tokenstream.events import ToolCallDone
from tokenstream.message import (
    Citation,
    MediaPart,
    Message,
    OpaquePart,
    Part,
    ReasoningPart,
    ServerToolResult,
    TextPart,
    ToolCall,
)

USAGE = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}


def answer(*blocks: Any, reason: str | None = "end_turn", **fields: Any) -> dict[str, Any]:
    output = {"message": {"role": "assistant", "content": list(blocks)}}
    return {"output": output, "stopReason": reason, "usage": USAGE, **fields}


def read(payload: dict[str, Any]) -> tuple[Message, set[str]]:
    stream = Stream([json.dumps(payload).encode()])
    message = stream.final()

    assert "bedrock-converse" == stream.format
    departures = set(stream.departures.details)
    departures.remove("not_streamed")
    return message, departures


def parts(*blocks: Any) -> tuple[Part, ...]:
    message, departures = read(answer(*blocks))

    assert set() == departures
    return message.parts


def test_an_answer_that_was_not_streamed_is_a_whole_message() -> None:
    message, departures = read(
        answer(
            {"text": "Hel"},
            {"text": "lo"},
            metrics={"latencyMs": 9},
            additionalModelResponseFields={"/stop_sequence": "x"},
        )
    )

    assert set() == departures
    assert ("Hello", "stop", "end_turn", "complete", "assistant") == (
        message.text,
        message.finish_reason,
        message.raw_finish_reason,
        message.ending,
        message.role,
    )
    assert {
        "metrics": {"latencyMs": 9},
        "additionalModelResponseFields": {"/stop_sequence": "x"},
    } == message.provider_data
    assert (7, 3, 10) == (message.usage.input_tokens, message.usage.output_tokens, message.usage.total_tokens)


def test_a_call_has_its_arguments_as_values_and_is_handed_out_once() -> None:
    calls = [
        {"toolUse": {"toolUseId": "t1", "name": "now", "input": {"zone": "Zürich"}}},
        {"toolUse": {"toolUseId": "t2", "name": "stop", "input": {}}},
        {"toolUse": {"toolUseId": "t3", "name": "go"}},
    ]
    stream = Stream([json.dumps(answer(*calls, reason="tool_use")).encode()])
    handed = [event.call for event in stream if isinstance(event, ToolCallDone)]

    assert [
        ToolCall(id="t1", name="now", arguments_text='{"zone": "Zürich"}', complete=True),
        ToolCall(id="t2", name="stop", arguments_text="{}", complete=True),
        ToolCall(id="t3", name="go", arguments_text="", complete=True),
    ] == handed
    assert tuple(handed) == stream.message.tool_calls
    assert ["not_streamed"] == list(stream.departures.details)


def test_blocks_are_the_parts_that_they_are_in_a_stream() -> None:
    citation = {"title": "Laws", "location": {"web": {"url": "https://laws.example"}}}

    assert (
        ReasoningPart(text="Hm", signature="c2ln", complete=True),
        ReasoningPart(redacted="AAA=", complete=True),
        TextPart(text="So it is.", complete=True),
        Citation(url="https://laws.example", title="Laws", cites=2, provider_data=citation),
        ServerToolResult(id="t1", name="", content=[{"text": "3"}], complete=True),
        MediaPart(mime_type="image/png", data=b"\x00\x00", complete=True, provider_data=None),
        OpaquePart(type="guardContent", data={"text": {"text": "a"}}, complete=True),
    ) == tuple(
        part.model_copy(update={"provider_data": None}) if isinstance(part, MediaPart) else part
        for part in parts(
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "c2ln"}}},
            {"reasoningContent": {"redactedContent": "AAA="}},
            {"citationsContent": {"content": [{"text": "So "}, {"text": "it is."}], "citations": [citation]}},
            {"toolResult": {"toolUseId": "t1", "content": [{"text": "3"}]}},
            {"image": {"format": "png", "source": {"bytes": "AAA="}}},
            {"guardContent": {"text": {"text": "a"}}},
        )
    )


@pytest.mark.parametrize("name", ["toolUse", "reasoningContent", "citationsContent"])
def test_a_block_of_the_wrong_type_is_carried(name: str) -> None:
    message, _ = read(answer({name: 3}))

    assert (OpaquePart(type=name, data={name: 3}, complete=True),) == message.parts


def test_text_of_the_wrong_type_is_counted() -> None:
    message, departures = read(answer({"text": 3}))

    assert ("", {"delta_misfits", "answer_empty"}) == (message.text, departures)
    assert ["text"] == list(message.provider_data)


def test_a_stop_reason_of_the_wrong_type_is_none() -> None:
    """The answer is whole all the same, since it came in one piece."""
    message, departures = read(answer({"text": "a"}, reason=None))

    assert ("complete", None, {"finish_missing"}) == (message.ending, message.finish_reason, departures)


def test_the_response_of_boto3_is_read_without_its_head() -> None:
    """Handed over as a payload; what boto3 adds of HTTP is none of the answer's."""
    message = Stream([{"ResponseMetadata": {"HTTPStatusCode": 200}, **answer({"text": "Hello"})}]).final()

    assert ("Hello", {}) == (message.text, message.provider_data)


def test_a_whole_answer_after_the_same_in_pieces_is_taken_once() -> None:
    stream = Stream(
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "Hello"}}},
            {"messageStop": {"stopReason": "end_turn"}},
            answer({"text": "Hello"}),
        ]
    )

    assert "Hello" == stream.final().text
    assert "content_twice" in stream.departures.details

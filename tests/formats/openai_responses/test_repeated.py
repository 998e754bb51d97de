"""Numbered events of the Responses API that come twice, one right after the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream, testing
from tokenstream.framing import SSEParser

_ANSWER = (
    testing.script()
    .reasoning("Hm ", "hm ", "hm ", "hm.")
    .text(*(["la "] * 9), "la!")
    .tool_call("sing", {"song": "la la la la la la", "times": 3})
    .usage(input_tokens=5, output_tokens=7)
    .finish("tool_calls")
)
_CHUNKS = [*_ANSWER.chunks("openai-responses")]
_PAYLOADS: list[dict[str, Any]] = [json.loads(event.data) for event in SSEParser().feed(b"".join(_CHUNKS))]
_ONCE = Stream(_CHUNKS).final()


def _chunks(payloads: list[dict[str, Any]]) -> list[bytes]:
    return [sse(payload, event=payload["type"]) for payload in payloads]


def _whole(payloads: list[dict[str, Any]]) -> list[bytes]:
    return [b"".join(_chunks(payloads))]


def _decoded(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return payloads


@in_one_test("at", range(len(_PAYLOADS) - 1))
@pytest.mark.parametrize("source", [_chunks, _whole, _decoded])
def test_an_event_with_the_number_and_content_of_the_one_before_it_is_dropped(at: int, source: Any) -> None:
    with Stream(source(_PAYLOADS[: at + 1] + _PAYLOADS[at:]), format="openai-responses") as stream:
        calls = [call.arguments_text for call in stream.tool_calls]

    assert _ONCE.parts == stream.message.parts
    assert _ONCE.usage == stream.message.usage
    assert [_ONCE.tool_calls[0].arguments_text] == calls
    assert ["frame_repeated"] == [*stream.departures.details]


@pytest.mark.parametrize("source", [_chunks, _whole, _decoded])
def test_an_answer_whose_events_all_come_twice_is_the_same_answer(source: Any) -> None:
    twice = [payload for payload in _PAYLOADS[:-1] for _ in range(2)] + _PAYLOADS[-1:]
    with Stream(source(twice), format="openai-responses") as stream:
        message = stream.final()

    assert _ONCE.parts == message.parts
    assert len(_PAYLOADS) - 1 == stream.departures.details["frame_repeated"]


@pytest.mark.parametrize("source", [_chunks, _whole, _decoded])
@pytest.mark.parametrize("number", [0, None])
def test_numbers_that_all_events_share_identify_none(source: Any, number: int | None) -> None:
    """Some servers number no event, or each alike: equal pieces are then several pieces."""
    alike = [{**payload, "sequence_number": number} for payload in _PAYLOADS]
    with Stream(source(alike), format="openai-responses") as stream:
        message = stream.final()

    assert _ONCE.parts == message.parts
    assert not stream.departures

"""Events of Realtime that come twice, one right after the other, with the ids by which they are known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.tables import in_one_test
from tokenstream import Stream, testing

_ANSWER = (
    testing.script()
    .text(*(["la "] * 9), "la!")
    .tool_call("sing", {"song": "la la la la la la", "times": 3})
    .usage(input_tokens=5, output_tokens=7)
    .finish("tool_calls")
)
_PAYLOADS: list[dict[str, Any]] = [
    {**json.loads(line), "event_id": f"event_{number}"}
    for number, line in enumerate(b"".join(_ANSWER.chunks("openai-realtime")).splitlines())
]
_ONCE = Stream(_PAYLOADS, format="openai-realtime").final()


def _messages(payloads: list[dict[str, Any]]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def _decoded(payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return payloads


@pytest.mark.parametrize("source", [_messages, _decoded])
def test_an_answer_whose_events_all_come_twice_is_the_same_answer(source: Any) -> None:
    twice = [payload for payload in _PAYLOADS for _ in range(2)]
    message = Stream(source(twice), format="openai-realtime").final()

    assert _ONCE.parts == message.parts


@pytest.mark.parametrize("source", [_messages, _decoded])
@pytest.mark.parametrize("id", ["event_1", None])
def test_ids_that_all_events_share_identify_none(source: Any, id: str | None) -> None:
    """Some servers send no ids, or the same one each time: equal pieces are then several pieces."""
    alike = [{**payload, "event_id": id} for payload in _PAYLOADS]
    with Stream(source(alike), format="openai-realtime") as stream:
        message = stream.final()

    assert _ONCE.parts == message.parts
    assert not stream.departures


def _other() -> list[dict[str, Any]]:
    """Return the same answer as another response, with ids of its own."""
    renamed = json.dumps(_PAYLOADS)
    for name in ("resp_", "item_", "msg_", "call_", "event_"):
        renamed = renamed.replace(f'"{name}', f'"{name}other_')
    payloads: list[dict[str, Any]] = json.loads(renamed)
    return payloads


@in_one_test("at", range(2, len(_PAYLOADS)))
def test_an_event_of_a_response_that_has_ended_is_not_of_the_next(at: int) -> None:
    other = _other()
    for place in (0, len(other) // 2, len(other)):
        payloads = [*_PAYLOADS, *other[:place], _PAYLOADS[at], *other[place:]]
        alone = Stream([*_PAYLOADS, *other], format="openai-realtime").final()
        message = Stream(payloads, format="openai-realtime").final()

        assert alone.parts == message.parts
        assert alone.finish_reason == message.finish_reason

"""Calls that all begin before any of their arguments, whose pieces name no call."""

from __future__ import annotations

from typing import Any, TypeAlias

import pytest

from tests.support.tables import in_one_test
from tokenstream import Stream
from tokenstream.events import ToolCallDone

Payload: TypeAlias = dict[str, Any]


def _anthropic(calls: list[str], pieces: list[str]) -> list[Payload]:
    blocks = [{"type": "tool_use", "id": f"id-{name}", "name": name, "input": {}} for name in calls]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": []}},
        *({"type": "content_block_start", "content_block": block} for block in blocks),
        *({"type": "content_block_delta", "delta": delta} for delta in deltas),
        *({"type": "content_block_stop"} for _ in calls),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]


def _bedrock(calls: list[str], pieces: list[str]) -> list[Payload]:
    tools = [{"toolUse": {"toolUseId": f"id-{name}", "name": name}} for name in calls]
    return [
        {"messageStart": {"role": "assistant"}},
        *({"contentBlockStart": {"start": tool}} for tool in tools),
        *({"contentBlockDelta": {"delta": {"toolUse": {"input": piece}}}} for piece in pieces),
        *({"contentBlockStop": {}} for _ in calls),
        {"messageStop": {"stopReason": "tool_use"}},
    ]


def _cohere(calls: list[str], pieces: list[str]) -> list[Payload]:
    def event(kind: str, **call: Any) -> Payload:
        return {"type": f"tool-call-{kind}", "delta": {"message": {"tool_calls": call}}}

    return [
        {"type": "message-start", "id": "m", "delta": {"message": {"role": "assistant"}}},
        *(event("start", id=f"id-{name}", type="function", function={"name": name}) for name in calls),
        *(event("delta", function={"arguments": piece}) for piece in pieces),
        *({"type": "tool-call-end"} for _ in calls),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]


def _interactions(calls: list[str], pieces: list[str]) -> list[Payload]:
    steps = [{"type": "function_call", "id": f"id-{name}", "name": name} for name in calls]
    deltas = [{"type": "arguments_delta", "arguments": piece} for piece in pieces]
    return [
        {"event_type": "interaction.created", "interaction": {"id": "i", "status": "in_progress"}},
        *({"event_type": "step.start", "step": step} for step in steps),
        *({"event_type": "step.delta", "delta": delta} for delta in deltas),
        *({"event_type": "step.stop"} for _ in calls),
        {"event_type": "interaction.completed", "interaction": {"id": "i", "status": "requires_action"}},
    ]


def _chat(calls: list[str], pieces: list[str], **place: int) -> list[Payload]:
    def chunk(function: Payload, **fields: Any) -> Payload:
        return {
            "choices": [{"index": 0, "delta": {"tool_calls": [{**place, "function": function, **fields}]}}]
        }

    return [
        *(chunk({"name": name, "arguments": ""}, id=f"id-{name}", type="function") for name in calls),
        *(chunk({"arguments": piece}) for piece in pieces),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]


def _chat_at_zero(calls: list[str], pieces: list[str]) -> list[Payload]:
    return _chat(calls, pieces, index=0)


def _responses(calls: list[str], pieces: list[str]) -> list[Payload]:
    head = {"id": "r", "object": "response", "output": []}
    items = [{"type": "function_call", "call_id": f"id-{name}", "name": name} for name in calls]
    return [
        {"type": "response.created", "response": {**head, "status": "in_progress"}},
        *({"type": "response.output_item.added", "item": item} for item in items),
        *({"type": "response.function_call_arguments.delta", "delta": piece} for piece in pieces),
        {"type": "response.completed", "response": {**head, "status": "completed"}},
    ]


WIRES = {
    "anthropic": _anthropic,
    "bedrock-converse": _bedrock,
    "cohere": _cohere,
    "gemini-interactions": _interactions,
    "openai-chat": _chat,
    "openai-chat, all at index 0": _chat_at_zero,
    "openai-responses": _responses,
}
ARGUMENTS = ['{"bird":"tern"}', '{"at":["sea"]}', '{"n":{"is":"{"}}']
NAMES = ["ring", "find", "count"]


def _read(wire: str, calls: list[str], pieces: list[str]) -> tuple[list[tuple[str, str]], str]:
    """Return the calls that are handed out, by name, and the ending of the answer."""
    format: Any = wire.partition(",")[0]
    stream = Stream(WIRES[wire](calls, pieces), format=format)
    done = [
        (event.call.name, event.call.arguments_text) for event in stream if isinstance(event, ToolCallDone)
    ]
    return sorted(done), stream.message.ending


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("size", [2, 5, 99])
@pytest.mark.parametrize("count", [2, 3])
def test_pieces_that_name_no_call_come_in_the_order_of_the_calls(wire: str, size: int, count: int) -> None:
    """The end of a value is the end of its call; also where pieces would be read at a glance."""
    whole = ARGUMENTS[:count]
    pieces = [text[at : at + size] for text in whole for at in range(0, len(text), size)]
    expected = sorted(zip(NAMES, whole, strict=False))

    assert (expected, "complete") == _read(wire, NAMES[:count], pieces)


@in_one_test("wire", WIRES)
@in_one_test(
    "pieces",
    [
        pytest.param(ARGUMENTS[:1], id="too few"),
        pytest.param(['{"a":', '{"b":', "1}", "2}"], id="in turns"),
        pytest.param(['{"a":[', '{"b":1}', "]}"], id="one inside the other"),
        pytest.param(ARGUMENTS, id="too many"),
        pytest.param(["{}", *ARGUMENTS[:2]], id="an empty object first"),
        pytest.param([ARGUMENTS[0], '{"at":'], id="one cut"),
    ],
)
def test_calls_that_cannot_be_told_apart_are_not_handed_out(wire: str, pieces: list[str]) -> None:
    """Neither with another's arguments nor without any: the message keeps them, unfinished."""
    handed_out, _ = _read(wire, NAMES[:2], pieces)

    assert [] == handed_out


@in_one_test("wire", WIRES)
def test_an_empty_object_is_the_arguments_of_one_call(wire: str) -> None:
    assert [("find", ARGUMENTS[0]), ("ring", "{}")] == _read(wire, NAMES[:2], ["{}", ARGUMENTS[0]])[0]


@in_one_test("wire", WIRES)
def test_calls_whose_pieces_follow_each_start_are_as_ever(wire: str) -> None:
    """A call that begins behind pieces of another one ends that, also where it has no end of its own."""
    first, second = (WIRES[wire](NAMES[at : at + 1], [ARGUMENTS[at]]) for at in range(2))
    is_own = [payload not in second or payload == first[0] for payload in first]
    joined = [payload for payload, own in zip(first, is_own, strict=True) if own]
    joined += [payload for payload in second if payload not in first[:1]]
    format: Any = wire.partition(",")[0]
    stream = Stream(joined, format=format)
    done = {event.call.name: event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)}

    assert dict(zip(NAMES, ARGUMENTS[:2], strict=False)) == done


def test_a_tool_that_takes_nothing_gets_no_piece() -> None:
    """What the request has offered tells whose the only arguments are."""
    tools = [
        {"name": "ring", "input_schema": {"type": "object", "properties": {}}},
        {"name": "find", "input_schema": {"type": "object", "properties": {"bird": {"type": "string"}}}},
    ]
    stream = Stream(_anthropic(NAMES[:2], ARGUMENTS[:1]), format="anthropic", tools=tools)
    done = {event.call.name: event.call.arguments_text for event in stream if isinstance(event, ToolCallDone)}

    assert {"ring": "", "find": ARGUMENTS[0]} == done

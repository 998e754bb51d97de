"""A call whose arguments come again on its own index is one call, in every format with fragments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from tests.support.tables import in_one_test
from tests.support.wire import sses
from tokenstream import Stream
from tokenstream.events import ToolCallDelta

Payload: TypeAlias = dict[str, Any]


def anthropic(pieces: list[str]) -> list[Payload]:
    block = {"type": "tool_use", "id": "a", "name": "pay", "input": {}}
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "usage": {}}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *[{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]


def ag_ui(pieces: list[str]) -> list[Payload]:
    return [
        {"type": "RUN_STARTED", "threadId": "t", "runId": "r"},
        {"type": "TOOL_CALL_START", "toolCallId": "a", "toolCallName": "pay"},
        *[{"type": "TOOL_CALL_ARGS", "toolCallId": "a", "delta": piece} for piece in pieces],
        {"type": "TOOL_CALL_END", "toolCallId": "a"},
        {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"},
    ]


def cohere(pieces: list[str]) -> list[Payload]:
    def call(**fields: Any) -> Payload:
        return {"message": {"tool_calls": fields}}

    first = call(id="a", type="function", function={"name": "pay", "arguments": ""})
    deltas = [call(function={"arguments": piece}) for piece in pieces]
    return [
        {"type": "message-start", "id": "m"},
        {"type": "tool-call-start", "index": 0, "delta": first},
        *[{"type": "tool-call-delta", "index": 0, "delta": delta} for delta in deltas],
        {"type": "tool-call-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}},
    ]


def openai_chat(pieces: list[str]) -> list[Payload]:
    first = {"index": 0, "id": "a", "function": {"name": "pay", "arguments": ""}}
    items = [first, *[{"index": 0, "function": {"arguments": piece}} for piece in pieces]]
    return [
        *[{"choices": [{"index": 0, "delta": {"tool_calls": [item]}}]} for item in items],
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    ]


WIRES: list[tuple[str, Callable[[list[str]], list[Payload]]]] = [
    ("anthropic", anthropic),
    ("ag-ui", ag_ui),
    ("cohere", cohere),
    ("openai-chat", openai_chat),
]


@in_one_test(("format", "write"), WIRES, ids=[format for format, _ in WIRES])
@in_one_test(
    "pieces",
    [
        ['{"usd":', " 100}", '{"usd": 100}'],
        ['{"usd":', " 100}", '{"usd":100}'],
        ['{"usd":', " 1", "00}", '{"usd": 100}', '{"usd": 100}'],
    ],
    ids=["whole", "other spaces", "twice"],
)
@in_one_test("size", [1, 50, 10_000])
def test_arguments_that_come_again_are_read_once(
    format: Any, write: Callable[[list[str]], list[Payload]], pieces: list[str], size: int
) -> None:
    """The tool runs once, and the deltas are the arguments."""
    body = b"".join(sses(*write(pieces)))
    stream = Stream([body[at : at + size] for at in range(0, len(body), size)], format=format)
    given = "".join(event.fragment for event in stream if isinstance(event, ToolCallDelta))
    message = stream.final()

    assert [("a", "pay", '{"usd": 100}', True)] == [
        (call.id, call.name, call.arguments_text, call.complete) for call in message.tool_calls
    ]
    assert ('{"usd": 100}', "tool_calls") == (given, message.finish_reason)
    assert "call_repeated" in stream.departures.details

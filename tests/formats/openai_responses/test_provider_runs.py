"""Calls of tools that the provider has run itself: nobody is to run them again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_responses.payloads import Payload, created, delta, done, ended
from tests.formats.openai_responses.payloads import event as said
from tests.support.chunkings import several
from tests.support.wire import sse
from tokenstream import Message, Stream, ToolCall
from tokenstream.message import ServerToolCall

_SEARCH: Payload = {"type": "custom_tool_call", "id": "ctc_7", "call_id": "xs_7", "name": "x_user_search"}


def _read(body: list[bytes]) -> tuple[Message, list[str]]:
    stream = Stream(body)
    calls = [call.name for call in stream.tool_calls]
    return stream.message, calls


def _searched(tools: object) -> bytes:
    """Return an answer of xAI (2026-11), which reports a search of its own like a call of a custom tool."""
    whole = {**_SEARCH, "input": "tides", "status": "completed"}
    fields = {} if tools is None else {"tools": tools}
    payloads = [
        created(**fields),
        {"type": "response.output_item.added", "output_index": 0, "item": {**_SEARCH, "input": ""}},
        said("custom_tool_call_input.delta", item_id="ctc_7", delta="tid"),
        said("custom_tool_call_input.done", item_id="ctc_7", input="tides"),
        done(whole),
        delta("Low at six.", 1, item_id="msg_1"),
        ended(output=[whole], **fields),
    ]
    return b"".join(sse(payload) for payload in payloads)


_OWN: list[Payload] = [{"type": "x_search"}, {"type": "function", "name": "x_user_search", "parameters": {}}]


@pytest.mark.parametrize("tools", [_OWN, [*_OWN, {"type": "custom", "name": "other"}]])
def test_a_call_of_a_custom_tool_that_was_not_offered_is_the_providers(tools: list[Payload]) -> None:
    for body in several(_searched(tools), len(tools)).values():
        message, calls = _read(body)
        (call,) = [part for part in message.parts if isinstance(part, ServerToolCall)]
        assert ("x_user_search", "tides", []) == (call.name, call.arguments_text, calls)
        assert ("Low at six.", "stop", "complete") == (message.text, message.finish_reason, message.ending)


@pytest.mark.parametrize(
    "tools",
    [
        None,
        [],
        [{"type": "custom", "name": "x_user_search"}],
        [{"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "x_user_search"}]}],
        [{"type": "tool_search"}],
    ],
)
def test_any_other_call_of_a_custom_tool_is_handed_out(tools: Any) -> None:
    message, calls = _read([_searched(tools)])
    assert (["x_user_search"], "tool_calls") == (calls, message.finish_reason)


@pytest.mark.parametrize("answered", [1, 2])
def test_no_call_with_a_result_in_the_same_answer_waits(answered: int) -> None:
    """The call was handed out before its result came (LocalAI's MCP, 2026-08), and so stays a call."""
    payloads, items = [created()], []
    for number in range(2):
        call_id = f"fc_{number}"
        items.append(
            {"type": "function_call", "id": call_id, "call_id": call_id, "name": "sum", "arguments": "{}"}
        )
        if number < answered:
            output = {"type": "function_call_output", "id": f"o_{number}", "call_id": call_id, "output": "42"}
            items.append(output)
    payloads += [done(item, index) for index, item in enumerate(items)]
    message, calls = _read([b"".join(sse(payload) for payload in [*payloads, ended(output=items)])])
    assert ["sum", "sum"] == calls == [part.name for part in message.parts if isinstance(part, ToolCall)]
    assert [("fc_0", "42"), ("fc_1", "42")][:answered] == [(each.id, each.output) for each in message.results]
    assert {1: "tool_calls", 2: "stop"}[answered] == message.finish_reason

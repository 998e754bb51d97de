"""Calls of custom tools, whose input is free text, in the protocols of interfaces, which know only JSON."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from tests.relay.encode.support import list_payloads
from tokenstream import Stream, relay
from tokenstream.events import (
    Event,
    Finish,
    MessageStart,
    StepStart,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStart,
    ToolResult,
)
from tokenstream.message import ToolCall

_INPUT = 'ls -l "é" \\ | wc\n\t🌊 {"a": 1} end'
_INPUTS = [_INPUT, "", '"', "plain words", "{}", "null", "\\u0041", "\u2028 \x00"]
_PROTOCOLS: list[relay.ProtocolName] = ["ui-message", "ag-ui"]


def _events(text: str, size: int, *, whole: bool = True) -> list[Event]:
    """Return an answer with a call of a custom tool, between a text and a call of a function."""
    call = ToolCall(id="c1", name="shell", arguments_text=text, type="custom", complete=True)
    function = ToolCall(id="c2", name="add", arguments_text='{"a":1}', complete=True)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    events: list[Event] = [
        MessageStart(model="m"),
        TextDelta("Look: ", part=0),
        ToolCallStart("c1", "shell", "custom", part=1),
        *(ToolCallDelta("c1", piece, part=1) for piece in pieces),
    ]
    if whole:
        events += [
            ToolCallDone(call, part=1),
            ToolCallStart("c2", "add", part=2),
            ToolCallDelta("c2", '{"a":1}', part=2),
            ToolCallDone(function, part=2),
            Finish("tool_calls"),
        ]
    return events


def _input_in(payloads: list[dict[str, Any]], id: str) -> str:
    mine = [each for each in payloads if each.get("toolCallId") == id]
    return "".join(each.get("inputTextDelta", each.get("delta", "")) for each in mine)


@pytest.mark.parametrize("protocol", _PROTOCOLS)
@pytest.mark.parametrize("text", _INPUTS)
def test_the_input_of_a_custom_tool_is_a_json_string(
    protocol: relay.ProtocolName, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for size in range(1, len(text) + 2):
        payloads = list_payloads(_events(text, size), protocol)
        assert text == json.loads(_input_in(payloads, "c1"))
        assert {"a": 1} == json.loads(_input_in(payloads, "c2"))
        body = b"".join(relay.encode(_events(text, size), protocol))
        calls = Stream(body).final().tool_calls
        assert [("shell", text), ("add", {"a": 1})] == [(call.name, call.arguments) for call in calls]

    assert [] == [record for record in caplog.records if "left out" in record.message]


def test_a_page_with_usechat_gets_the_text_as_the_input() -> None:
    """Providers of the AI SDK send the text as the input, and not an object around it."""
    payloads = list_payloads(_events(_INPUT, 3), "ui-message")
    [start] = [each for each in payloads if each["type"] == "tool-input-start" and each["toolCallId"] == "c1"]
    [given] = [
        each for each in payloads if each["type"] == "tool-input-available" and each["toolCallId"] == "c1"
    ]

    assert "shell" == start["toolName"]
    assert ("shell", _INPUT) == (given["toolName"], given["input"])


def test_a_call_that_was_cut_off_cannot_be_run() -> None:
    """In AG-UI each call has an end, but the input of this one is no JSON; useChat gets no input at all."""
    run = list_payloads(_events(_INPUT, 5, whole=False), "ag-ui")
    chunks = list_payloads(_events(_INPUT, 5, whole=False), "ui-message")

    with pytest.raises(json.JSONDecodeError):
        json.loads(_input_in(run, "c1"))
    assert "tool-input-available" not in {each["type"] for each in chunks}


@pytest.mark.parametrize("protocol", _PROTOCOLS)
def test_the_result_of_a_custom_call_reaches_the_page(protocol: relay.ProtocolName) -> None:
    call = ToolCall(id="c1", name="shell", arguments_text='{"a": 1}', type="custom", complete=True)
    events: list[Event] = [
        MessageStart(model="m"),
        StepStart("s1", "shell", cause=call),
        ToolResult("c1", "done"),
    ]
    payloads = list_payloads(events, protocol)

    given = [each["input"] for each in payloads if each["type"] == "tool-input-available"]
    assert given == (['{"a": 1}'] if protocol == "ui-message" else [])
    assert any("done" in json.dumps(each) for each in payloads)

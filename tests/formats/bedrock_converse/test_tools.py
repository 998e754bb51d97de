"""Converse: tool calls, and tools that Bedrock runs itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.bedrock.payloads import START, arguments, block, delta, finish, stop, text, tool
from tests.formats.bedrock_converse.support import answer, read
from tests.formats.told import Told
from tokenstream.events import PartDelta, ToolCallDelta
from tokenstream.message import ServerToolCall, ServerToolResult, ToolCall


def test_a_tool_call_is_handed_out_when_its_block_stops() -> None:
    came = read(START, tool(1, type="tool_use"), arguments(1, ""), arguments(1, '{"a"'), arguments(1, ": 1}"))
    assert [] == came.calls
    came = read(
        START,
        tool(1, type="tool_use"),
        arguments(1, ""),
        arguments(1, '{"a"'),
        arguments(1, ": 1}"),
        stop(1),
        end=False,
    )

    assert [ToolCall(id="t1", name="now", arguments_text='{"a": 1}', complete=True)] == came.calls
    assert ['{"a"', ": 1}"] == [event.fragment for event in came.events if isinstance(event, ToolCallDelta)]


def test_a_call_without_arguments_waits_for_the_end_of_the_answer() -> None:
    for after in (finish("tool_use"), tool(1, "t2"), text(1, "a"), block(1, image={"format": "png"})):
        frames = [START, tool(0), arguments(0, ""), stop(0), after]
        came = read(*frames, finish("tool_use"))

        assert [] == read(*frames, end=False).calls
        assert ("t1", "", {}) == (came.calls[0].id, came.calls[0].arguments_text, came.calls[0].arguments)


@pytest.mark.parametrize("fragment", ["", "12", '{"path": "/tm'])
def test_a_call_that_the_token_limit_cut_is_never_handed_out(fragment: str) -> None:
    came = read(START, tool(0), arguments(0, fragment), stop(0), finish("max_tokens"))

    assert [] == came.calls
    assert [(fragment, False)] == [(call.arguments_text, call.complete) for call in came.message.tool_calls]
    assert "length" == came.reason


def test_a_stop_after_a_call_means_the_call() -> None:
    """Some models say `end_turn` for both."""
    came = answer(tool(0), arguments(0, "{}"), stop(0))

    assert ("tool_calls", "end_turn") == (came.reason, came.raw_reason)


def test_what_a_call_says_of_itself_is_kept_for_the_next_request() -> None:
    (call,) = answer(tool(0, cache="x"), arguments(0, "{}"), stop(0)).calls

    assert {"cache": "x"} == call.provider_data


def test_a_tool_that_bedrock_runs_itself_is_none_of_the_clients() -> None:
    came = answer(
        tool(0, name="nova_grounding", type="server_tool_use"),
        arguments(0, '{"query"'),
        arguments(0, ': "a"}'),
        stop(0),
        block(1, toolResult={"toolUseId": "t1", "type": "nova_grounding_result", "status": "success"}),
        delta(1, toolResult=[{"text": "On"}]),
        delta(1, toolResult=[{"text": "e"}, {"json": {"a": 1}}, {"text": "Two"}]),
        stop(1),
    )

    assert (
        ServerToolCall(
            id="t1",
            name="nova_grounding",
            arguments_text='{"query": "a"}',
            complete=True,
            provider_data={"type": "server_tool_use"},
        ),
        ServerToolResult(
            id="t1",
            name="nova_grounding_result",
            content=[{"text": "One"}, {"json": {"a": 1}}, {"text": "Two"}],
            complete=True,
            provider_data={"status": "success"},
        ),
    ) == came.parts
    assert [] == came.calls
    assert "stop" == came.reason
    assert {} == came.departures
    assert ['{"query"', ': "a"}'] == [event.fragment for event in came.events if isinstance(event, PartDelta)]


def test_a_result_shows_as_soon_as_its_first_piece_came() -> None:
    events = [START, block(0, toolResult={"toolUseId": "t1"}), delta(0, toolResult=[{"text": "On"}])]

    def content(came: Told) -> Any:
        return came.parts[0].content

    assert [] == content(read(*events[:2], end=False))
    assert [{"text": "On"}] == content(read(*events, end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult={"text": "e"}), stop(0), end=False))
    assert [{"text": "One"}] == content(read(*events, delta(0, toolResult=[{"text": "e"}])))

"""Anthropic: tool calls, and tools that the provider runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import (
    PING,
    STOP,
    answer,
    arguments,
    block,
    finish,
    read,
    start,
    stop,
    tool,
)
from tests.formats.anthropic.support import HELLO
from tests.support.tables import in_one_test
from tokenstream.events import ToolResult
from tokenstream.message import ServerToolCall, ServerToolResult


def test_a_tool_call_is_handed_out_at_its_block_stop() -> None:
    """The empty object in its start is a placeholder that the fragments replace."""
    came = read(
        start(), tool(0), arguments(0, ""), arguments(0, '{"path": '), arguments(0, '"/srv"}'), stop(0)
    )

    assert [(call.id, call.name, call.arguments, call.complete) for call in came.calls] == [
        ("toolu_1", "rm", {"path": "/srv"}, True)
    ]
    assert came.truncated


@in_one_test(
    "after, handed_out",
    [
        pytest.param([finish("max_tokens"), STOP], [], id="the token limit"),
        pytest.param([], [], id="a cut"),
        pytest.param([STOP], ["toolu_1"], id="the end without a reason"),
        pytest.param([finish("tool_use"), STOP], ["toolu_1"], id="the call"),
    ],
)
@in_one_test("text", ["", " ", "12", "true", "[]", '"{}"'])
def test_a_call_without_an_object_waits_for_what_ended_it(
    text: str, after: list[Any], handed_out: list[str]
) -> None:
    """A block is stopped, too, where the token limit cut it: 12 looks whole, and may be the start of 123."""
    came = read(start(), tool(0), arguments(0, text), stop(0), *after)

    assert [call.id for call in came.calls] == handed_out
    assert [call.complete for call in came.message.tool_calls] == [bool(handed_out)]
    assert [call.arguments_text for call in came.message.tool_calls] == [text]


@pytest.mark.parametrize("text", ["12", "true", "[]", '"{}"'])
def test_a_call_without_an_object_is_handed_out_once_another_block_starts(text: str) -> None:
    """The answer goes on, so that the token limit has cut nothing."""
    came = read(start(), tool(0), arguments(0, text), stop(0), block(1, "text", text=""))

    assert [call.arguments_text for call in came.calls] == [text]


@pytest.mark.parametrize("text", ["", " "])
def test_a_call_without_arguments_waits_for_the_end_of_the_answer(text: str) -> None:
    frames = [start(), tool(0), arguments(0, text), stop(0), block(1, "text", text=""), stop(1)]

    assert read(*frames).calls == []
    assert [call.arguments_text for call in read(*frames, finish("tool_use"), STOP).calls] == [text]


def test_a_call_whose_object_is_whole_is_handed_out_where_its_block_stops() -> None:
    """The end of an object cannot be mistaken, so nothing waits for what comes next."""
    came = read(start(), tool(0), arguments(0, ' {"a": '), arguments(0, "1}"), stop(0))

    assert [call.arguments for call in came.calls] == [{"a": 1}]


def test_arguments_may_be_in_the_start_of_a_call() -> None:
    """An input without fragments is the arguments; with fragments it is none."""
    whole = read(*answer(tool(0, input={"path": "/ö"}), stop(0)))
    replaced = read(*answer(tool(0, input={"path": "/ö"}), arguments(0, "{}"), stop(0)))

    assert [call.arguments_text for call in whole.calls] == ['{"path": "/ö"}']
    assert whole.departures == {"arguments_parsed": 1}
    assert [call.arguments_text for call in replaced.calls] == ["{}"]


def test_arguments_that_are_in_the_start_as_text_are_taken_as_they_are() -> None:
    """Some gateways write them as JSON in a string."""
    came = read(*answer(tool(0, input='{"path": "/"}'), stop(0)))

    assert [call.arguments for call in came.calls] == [{"path": "/"}]


def test_who_made_a_call_is_kept_with_it() -> None:
    came = read(*answer(tool(0, caller={"type": "direct"}), stop(0)))

    assert came.calls[0].provider_data == {"caller": {"type": "direct"}}


def test_arguments_that_are_no_json_are_kept_and_not_handed_out() -> None:
    came = read(*answer(tool(0), arguments(0, '{"path": /srv'), stop(0), *HELLO))

    assert came.calls == []
    assert [(call.arguments_text, call.complete) for call in came.message.tool_calls] == [
        ('{"path": /srv', False)
    ]
    assert came.departures == {"call_invalid": 1, "part_index_reused": 1}
    assert came.text == "Hello"


@pytest.mark.parametrize("kind", ["server_tool_use", "mcp_tool_use", "new_tool_use"])
def test_tools_that_the_provider_runs_are_never_handed_out(kind: str) -> None:
    came = read(
        *answer(
            block(0, kind, id="srv_1", name="search", input={}, server_name="docs"),
            arguments(0, '{"query": '),
            arguments(0, '"cats"}'),
            stop(0),
        )
    )

    assert came.message.parts == (
        ServerToolCall(
            id="srv_1",
            name="search",
            arguments_text='{"query": "cats"}',
            complete=True,
            provider_data={"type": kind, "server_name": "docs"},
        ),
    )
    assert (came.calls, came.message.tool_calls) == ([], ())
    assert came.message.finish_reason == "stop"


def test_a_server_tool_may_have_its_arguments_in_its_start() -> None:
    came = read(*answer(block(0, "server_tool_use", id="srv_1", name="s", input={"q": 1}), stop(0)))

    assert [part.arguments_text for part in came.message.parts if isinstance(part, ServerToolCall)] == [
        '{"q": 1}'
    ]


@pytest.mark.parametrize(
    "kind, content",
    [
        ("web_search_tool_result", [{"type": "web_search_result", "url": "https://example.org"}]),
        (
            "web_search_tool_result",
            {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"},
        ),
        ("code_execution_tool_result", {"type": "code_execution_result", "stdout": "1", "return_code": 0}),
        ("mcp_tool_result", [{"type": "text", "text": "hi"}]),
        ("new_tool_result", None),
    ],
)
def test_results_of_server_tools_are_parts_and_their_errors_are_content(kind: str, content: Any) -> None:
    came = read(
        *answer(block(0, kind, tool_use_id="srv_1", content=content, is_error=False), stop(0), PING, *HELLO)
    )

    error = "max_uses_exceeded" if "_error" in str(content) else None
    assert came.message.parts[0] == ServerToolResult(
        id="srv_1", name=kind, content=content, complete=True, provider_data={"is_error": False}, error=error
    )
    assert [ToolResult("srv_1", content, error, provider_executed=True)] == [
        event for event in came.events if isinstance(event, ToolResult)
    ]
    assert came.error is None


def test_the_error_of_an_mcp_server_is_in_the_content() -> None:
    content = [{"type": "text", "text": "no such city"}]
    start = block(0, "mcp_tool_result", tool_use_id="srv_1", content=content, is_error=True)
    came = read(*answer(start, stop(0), *HELLO))

    assert [ToolResult("srv_1", content, "no such city", provider_executed=True)] == [
        event for event in came.events if isinstance(event, ToolResult)
    ]

"""Anthropic: tool calls, also without their start, stop or name, and tools that the provider runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.anthropic.payloads import (
    PING,
    STOP,
    Payload,
    answer,
    arguments,
    block,
    finish,
    read,
    start,
    stop,
    text,
    tool,
)
from tests.formats.anthropic.support import HELLO
from tests.support.tables import in_one_test
from tokenstream.events import ToolResult
from tokenstream.message import OpaquePart, ServerToolCall, ServerToolResult


def test_a_tool_call_is_handed_out_at_its_block_stop() -> None:
    """The empty object in its start is a placeholder that the fragments replace.

    The end of an object cannot be mistaken, even behind a space, so nothing waits for what comes next.
    """
    came = read(
        start(), tool(0), arguments(0, ""), arguments(0, ' {"path": '), arguments(0, '"/srv"}'), stop(0)
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

    assert came.parts == (
        ServerToolCall(
            id="srv_1",
            name="search",
            arguments_text='{"query": "cats"}',
            complete=True,
            provider_data={"type": kind, "server_name": "docs"},
        ),
    )
    assert (came.calls, came.message.tool_calls) == ([], ())
    assert came.reason == "stop"


def test_a_server_tool_may_have_its_arguments_in_its_start() -> None:
    came = read(*answer(block(0, "server_tool_use", id="srv_1", name="s", input={"q": 1}), stop(0)))

    assert [part.arguments_text for part in came.parts if isinstance(part, ServerToolCall)] == ['{"q": 1}']


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
    assert came.parts[0] == ServerToolResult(
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


@pytest.mark.parametrize(
    "fragments, handed_out",
    [(['{"a": 1}'], ["toolu_1", "toolu_2"]), (['{"a"'], ["toolu_2"]), ([], ["toolu_2"])],
)
def test_a_call_on_a_used_index_is_another_call(fragments: list[str], handed_out: list[str]) -> None:
    came = read(
        *answer(
            tool(0),
            *[arguments(0, fragment) for fragment in fragments],
            tool(0, call_id="toolu_2"),
            arguments(0, "{}"),
            stop(0),
        )
    )

    assert handed_out == [call.id for call in came.calls]
    assert len(came.message.tool_calls) == 2


@in_one_test("ends_at", ["once", "the end", "never"])
def test_parallel_calls_without_any_index_keep_their_order(ends_at: str) -> None:
    blocks: list[Payload] = [block(0, "text", text=""), text(0, "I look.")]
    blocks += [stop(0)] if ends_at == "once" else []
    for number, city in enumerate(("Rome", "Oslo", "Bern"), 1):
        blocks.append(tool(number, city.lower(), f"toolu_{number}"))
        blocks += [arguments(number, piece) for piece in ("", '{"city": ', f'"{city}"}}')]
        blocks += [stop(number)] if ends_at == "once" else []
    blocks += [stop(number) for number in range(4)] if ends_at == "the end" else []
    came = read(*[{**payload, "index": None} for payload in answer(*blocks, reason="tool_use")])

    assert ("I look.", None) == (came.message.text, came.error)
    assert [(call.name, call.arguments) for call in came.calls] == [
        ("rome", {"city": "Rome"}),
        ("oslo", {"city": "Oslo"}),
        ("bern", {"city": "Bern"}),
    ]
    assert came.calls == list(came.message.tool_calls)


def test_a_start_in_the_middle_of_a_call_cuts_it() -> None:
    """A proxy asks again under the same id, and splices the answers: only the second has whole calls."""
    came = read(*answer(tool(0), arguments(0, '{"a": 1}'), start(), tool(0, call_id="toolu_2"), stop(0)))

    assert [call.id for call in came.calls] == ["toolu_2"]
    assert came.departures == {"start_repeated": 1, "part_unclosed": 1, "call_open_at_end": 1}


@in_one_test("place", range(1, 7))
def test_a_start_of_the_same_answer_cuts_no_call(place: int) -> None:
    """With the same id, and without the start of a block, only this event was sent again."""
    call = [tool(0), arguments(0, '{"a": '), arguments(0, "1}"), stop(0), finish("tool_use")]
    events = [start(), *call, STOP]
    came = read(*events[:place], start(), *events[place:])

    assert [call.arguments for call in came.calls] == [{"a": 1}]
    assert came.departures == {"start_twice" if place == 1 else "start_repeated": 1}


def test_arguments_without_a_call_are_carried() -> None:
    came = read(*answer(arguments(0, "{}")))

    assert (came.calls, came.departures) == ([], {"part_unopened": 1, "answer_empty": 1})
    assert came.data["input_json_delta"] == [arguments(0, "{}")]


def test_a_call_without_a_name_is_no_call() -> None:
    came = read(*answer(tool(0, name=""), arguments(0, "{}"), stop(0)))

    assert came.calls == []
    assert came.parts == (
        OpaquePart(
            type="tool_use",
            data={"type": "tool_use", "id": "toolu_1", "name": "", "input": {}},
            complete=True,
        ),
    )
    assert came.departures == {"call_nameless": 1, "delta_misfits": 1}


def test_a_call_without_an_id_gets_one() -> None:
    came = read(*answer(tool(0, call_id=""), stop(0)))

    assert (came.calls[0].id != "", came.departures) == (True, {"call_id_missing": 1})


def test_arguments_in_the_start_of_a_cut_call_are_kept() -> None:
    came = read(start(), tool(0, input={"a": 1}))

    assert (came.calls, came.message.tool_calls[0].arguments_text) == ([], '{"a": 1}')

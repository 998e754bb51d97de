"""The Interactions API: function calls, and tools that the provider runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.gemini_interactions.support import completed, created, delta, read, start, step, stop
from tokenstream.errors import StreamTruncated
from tokenstream.events import ToolCallDelta
from tokenstream.message import OpaquePart, ServerToolCall, ServerToolResult, ToolCall


def test_the_arguments_of_a_call_come_in_fragments() -> None:
    """The empty object in its start only holds their place."""
    told = step(
        "function_call",
        delta(0, "arguments_delta", arguments='{"a"'),
        delta(0, "arguments_delta", arguments=": 1}"),
        delta(0, "thought_signature", signature="c2ln"),
        id="c1",
        name="f",
        arguments={},
        signature="",
        more=1,
    )

    assert told.calls == [
        ToolCall(
            id="c1",
            name="f",
            arguments_text='{"a": 1}',
            complete=True,
            provider_data={"signature": "c2ln", "more": 1},
        )
    ]
    assert told.reason == "tool_calls"
    assert [e.fragment for e in told.events if isinstance(e, ToolCallDelta)] == ['{"a"', ": 1}"]
    assert told.rules == set()


@pytest.mark.parametrize(
    ("arguments", "text", "rules"),
    [
        ({}, "{}", set()),
        (None, "{}", set()),
        ({"a": "é"}, '{"a": "é"}', set()),
        ('{"a": 1}', '{"a": 1}', {"arguments_unparsed"}),
    ],
)
def test_a_call_without_fragments_has_the_arguments_of_its_start(
    arguments: Any, text: str, rules: set[str]
) -> None:
    told = step("function_call", id="c1", name="f", arguments=arguments)

    assert [done.arguments_text for done in told.calls] == [text]
    assert told.rules == rules


def test_a_call_may_come_in_a_delta() -> None:
    """Previews of the API sent calls in deltas, with name, id and arguments."""
    told = step("function_call", delta(0, "function_call", id="c1", name="f", arguments={"a": 1}))

    assert [(done.id, done.name, done.arguments) for done in told.calls] == [("c1", "f", {"a": 1})]


def test_a_call_without_a_name_is_carried() -> None:
    told = step("function_call", id="c1", arguments={})

    assert told.kinds == ["opaque"]
    assert told.rules == {"call_nameless"}


@pytest.mark.parametrize(
    ("status", "handed_out"),
    [("requires_action", 1), ("completed", 1), ("incomplete", 0), ("cancelled", 0), ("budget_exceeded", 0)],
)
def test_a_call_that_was_not_stopped_is_whole_where_the_interaction_ended_of_itself(
    status: str, handed_out: int
) -> None:
    told = read(
        created(),
        start(0, "function_call", id="c1", name="f", arguments={}),
        delta(0, "arguments_delta", arguments="{}"),
        start(1, "function_call", id="c2", name="g", arguments={}),
        completed(status),
    )

    assert [done.name for done in told.calls] == ["f"] * handed_out
    assert "part_unclosed" in told.rules


def test_a_call_that_the_input_cut_is_never_handed_out() -> None:
    told = read(
        created(),
        start(0, "thought", signature="c2ln"),
        start(1, "function_call", id="c1", name="f", arguments={}),
        delta(1, "arguments_delta", arguments="{}"),
        start(2, "google_search_call", id="s1"),
    )

    assert told.calls == []
    assert isinstance(told.error, StreamTruncated)
    assert told.kinds == ["reasoning", "tool_call", "server_tool_call"]
    assert getattr(told.parts[0], "signature", None) == "c2ln"


def test_what_the_provider_runs_is_none_of_the_applications() -> None:
    told = read(
        created(),
        start(0, "google_search_call", id="s1", signature=""),
        delta(0, "google_search_call", arguments={"queries": ["cats"]}, signature="c2ln"),
        stop(0),
        start(1, "google_search_result", call_id="s1"),
        delta(1, "google_search_result", result=[{"title": "Cats"}], is_error=False),
        stop(1),
        completed(),
    )

    assert told.parts == (
        ServerToolCall(
            id="s1",
            name="google_search_call",
            arguments_text='{"queries": ["cats"]}',
            complete=True,
            provider_data={
                "type": "google_search_call",
                "id": "s1",
                "signature": "c2ln",
                "arguments": {"queries": ["cats"]},
            },
        ),
        ServerToolResult(
            id="s1",
            name="google_search_result",
            content=[{"title": "Cats"}],
            complete=True,
            provider_data={
                "type": "google_search_result",
                "call_id": "s1",
                "result": [{"title": "Cats"}],
                "is_error": False,
            },
        ),
    )
    assert told.reason == "stop"


def test_the_arguments_of_a_hosted_tool_may_come_in_fragments_too() -> None:
    told = step(
        "mcp_server_tool_call",
        delta(0, "arguments_delta", arguments='{"q": '),
        delta(0, "arguments_delta", arguments="1}"),
        delta(0, "mcp_server_tool_call", server_name="docs"),
        id="m1",
        name="find",
    )
    data = {"type": "mcp_server_tool_call", "id": "m1", "name": "find", "server_name": "docs"}

    assert told.parts == (
        ServerToolCall(id="m1", name="find", arguments_text='{"q": 1}', complete=True, provider_data=data),
    )


def test_the_arguments_of_a_hosted_tool_may_be_text() -> None:
    told = step("code_execution_call", id="m1", arguments="x = 1")

    assert getattr(told.parts[0], "arguments_text", None) == "x = 1"


@pytest.mark.parametrize("kind", ["user_input", "hologram", ""])
def test_a_step_of_another_type_is_carried_as_it_came(kind: str) -> None:
    told = step(kind, delta(0, kind, more=1), x=2)
    carried = {"type": kind, "x": 2, "more": 1}

    assert told.parts == (OpaquePart(type=kind, data=carried, complete=True),)

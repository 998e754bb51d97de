"""Cohere v2: tool calls."""

from __future__ import annotations

from tests.formats.cohere.payloads import (
    answer,
    arguments,
    block,
    end,
    event,
    frame,
    start,
    stop,
    text,
    tool,
    tool_stop,
)
from tests.formats.cohere.support import read
from tests.support.formats import Cohere


def test_a_call_is_handed_out_when_its_end_comes() -> None:
    cohere = Cohere()
    for payload in (start(), tool(0), arguments(0, '{"path"'), arguments(0, ': "/srv"}')):
        assert "ToolCallDone" not in [type(each).__name__ for each in cohere.feed(frame(payload))]
    [done] = cohere.feed(frame(tool_stop(0)))

    assert "ToolCallDone" == type(done).__name__
    assert "ToolCallDone" not in [type(each).__name__ for each in cohere.feed(frame(end("TOOL_CALL")))]


def test_parallel_calls_have_indexes_of_their_own() -> None:
    """Content blocks are counted apart, so index 0 may be both."""
    came = read(
        *answer(
            block(0),
            text(0, "So."),
            stop(0),
            tool(0, "a", "a_1"),
            tool(1, "b", "b_1"),
            arguments(1, '{"b": 1}'),
            arguments(0, '{"a": 1}'),
            tool_stop(1),
            tool_stop(0),
            reason="TOOL_CALL",
        )
    )

    assert [("b_1", {"b": 1}), ("a_1", {"a": 1})] == [(call.id, call.arguments) for call in came.calls]
    assert ("tool_calls", {}) == (came.message.finish_reason, came.departures)


def test_a_call_that_the_token_limit_may_have_cut_is_not_handed_out() -> None:
    came = read(*answer(tool(0), tool_stop(0), reason="MAX_TOKENS"))

    assert ([], ["rm"], "length") == (
        came.calls,
        [call.name for call in came.message.tool_calls],
        came.message.finish_reason,
    )
    assert {"call_open_at_end": 1} == came.departures


def test_a_call_without_its_end_is_closed_by_the_finish_reason() -> None:
    """Whole arguments are handed out, and the missing end is counted."""
    came = read(*answer(block(0), tool(0), arguments(0, '{"a": 1}'), reason="TOOL_CALL"))

    assert [{"a": 1}] == [call.arguments for call in came.calls]
    assert {"part_unclosed": 2} == came.departures


def test_a_stop_with_calls_is_tool_calls() -> None:
    """What was accumulated decides, not the provider's word."""
    came = read(*answer(tool(0), arguments(0, "{}"), tool_stop(0)))

    assert ("tool_calls", "COMPLETE") == (came.message.finish_reason, came.message.raw_finish_reason)


def test_fields_of_a_call_that_have_no_place_stay_with_it() -> None:
    call = {
        "id": "a_1",
        "type": "function",
        "n": 1,
        "function": {"name": "a", "arguments": "{}", "strict": True},
    }
    came = read(*answer(event("tool-call-start", {"tool_calls": call}, index=0), tool_stop(0)))

    assert {"n": 1, "strict": True} == came.calls[0].provider_data


def test_arguments_that_come_as_values_are_written_as_json() -> None:
    """Cohere's documents say that arguments are text, so values are counted."""
    came = read(*answer(tool(0, arguments={"a": 1}), tool_stop(0), reason="TOOL_CALL"))

    assert (['{"a": 1}'], {"arguments_parsed": 1}) == (
        [call.arguments_text for call in came.calls],
        came.departures,
    )


def test_a_call_without_a_name_is_an_unknown_part() -> None:
    came = read(*answer(tool(0, ""), arguments(0, "{}"), tool_stop(0)))

    assert ([], ["opaque"]) == (came.calls, [part.kind for part in came.message.parts])
    assert 1 == came.departures["call_nameless"]
    assert "tool-call-delta" in came.message.provider_data


def test_a_list_of_calls_in_one_event_is_counted_on() -> None:
    """The documents have an object there."""
    calls = [
        {"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("a", "b")
    ]
    came = read(*answer(event("tool-call-start", {"tool_calls": calls}, index=0), tool_stop(0), tool_stop(1)))

    assert ["a", "b"] == [call.id for call in came.calls]

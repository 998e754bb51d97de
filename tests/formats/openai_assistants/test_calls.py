"""Assistants: calls of the application's functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_assistants.support import (
    CALLS,
    DONE_RUN,
    FINISHED,
    START,
    delta,
    function,
    read,
    run,
    step,
    step_delta,
    text,
    waits,
)
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded
from tokenstream.events import ToolCallDelta
from tokenstream.limits import Limits


def test_calls_are_handed_out_when_the_run_waits_for_them() -> None:
    """Their fragments add up, and the run has them whole."""
    got = read(
        *START, *CALLS, waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_2", "now", "")), FINISHED
    )

    assert [("call_1", "get_weather", {"city": "Oslo"}), ("call_2", "now", {})] == [
        (call.id, call.name, call.arguments) for call in got.calls
    ]
    assert ("tool_calls", "requires_action") == (got.message.finish_reason, got.message.raw_finish_reason)
    assert ['{"city": ', '"Oslo"}'] == [
        event.fragment for event in got.events if isinstance(event, ToolCallDelta)
    ]
    assert set() == got.rules


def test_calls_that_only_the_run_tells_of_are_handed_out_too() -> None:
    """Without deltas, or with some of them missing."""
    got = read(
        *START,
        *CALLS[:2],
        waits(("call_1", "get_weather", '{"city": "Oslo"}'), ("call_3", "ls", {"a": 1})),
        FINISHED,
    )

    assert [('{"city": "Oslo"}', "call_1"), ('{"a": 1}', "call_3")] == [
        (call.arguments_text, call.id) for call in got.calls
    ]


def test_a_run_that_does_not_say_what_it_waits_for_waits_for_what_came() -> None:
    """The calls of its steps."""
    got = read(*START, *CALLS, run("requires_action"), FINISHED)

    assert ["call_1", "call_2"] == [call.id for call in got.calls]


@in_one_test("pieces", [CALLS[:3], [CALLS[0], CALLS[2]], [*CALLS[:2], CALLS[1], CALLS[2]], CALLS[:2]])
def test_the_call_that_the_run_waits_for_has_the_arguments_that_count(pieces: Any) -> None:
    """Pieces of others may have come, some may be lost, and some doubled."""
    got = read(*START, *pieces, waits(("call_1", "get_weather", '{"city": "Bergen"}')), FINISHED)

    assert [{"city": "Bergen"}] == [call.arguments for call in got.calls]
    assert {"arguments_rewritten"} >= got.rules


@pytest.mark.parametrize("arguments", [None, "", 7])
def test_arguments_that_the_run_leaves_out_are_those_of_the_deltas(arguments: Any) -> None:
    got = read(*START, *CALLS[:3], waits(("call_1", "get_weather", arguments)), FINISHED)

    assert [{"city": "Oslo"}] == [call.arguments for call in got.calls]


@pytest.mark.parametrize(
    "frames",
    [
        [DONE_RUN, FINISHED],
        [run("cancelled"), FINISHED],
        [run("incomplete"), FINISHED],
        [step("failed"), DONE_RUN, FINISHED],
        [step("cancelled"), run("requires_action"), FINISHED],
        [FINISHED],
        [],
    ],
)
def test_calls_that_the_run_does_not_wait_for_are_never_handed_out(frames: Any) -> None:
    got = read(*START, *CALLS, *frames)

    assert [] == got.calls
    assert [False, False] == [call.complete for call in got.message.tool_calls]


def test_a_call_that_was_answered_before_is_not_made_again() -> None:
    """The stream of the answers tells of the step that made it."""
    made = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": "7"}}
    got = read(run("queued"), step("completed", made), delta(text("It is 7.")), DONE_RUN, FINISHED)

    assert () == got.message.tool_calls
    assert "It is 7." == got.message.text
    assert ["thread.run.step"] == got.unknown


def test_a_fragment_for_a_call_that_was_handed_out_is_counted() -> None:
    got = read(
        *START,
        *CALLS[:3],
        waits(("call_1", "get_weather", None)),
        step_delta(function(0, arguments="x")),
        FINISHED,
    )

    assert ['{"city": "Oslo"}'] == [call.arguments_text for call in got.message.tool_calls]
    assert {"call_after_done"} == got.rules


def test_a_call_without_a_name_is_carried() -> None:
    got = read(
        *START, step_delta(function(0, "call_1", arguments="{}")), waits(("call_1", "", "{}")), FINISHED
    )

    assert [] == got.calls
    assert {"call_nameless"} == got.rules
    assert ["tool_call", "tool_call"] == got.unknown


def test_a_call_without_an_id_gets_one() -> None:
    """And arguments that are values are written as JSON."""
    call = {"index": "0", "function": {"name": "f", "arguments": {"a": 1}}}
    got = read(*START, step_delta(call), run("requires_action"), FINISHED)

    assert [("call_0", '{"a": 1}')] == [(call.id, call.arguments_text) for call in got.calls]
    assert {"call_id_missing", "arguments_parsed"} == got.rules


def test_more_calls_than_the_limit_end_the_stream() -> None:
    """Indexes come from the server."""
    frames = [step_delta(function(n, f"c{n}", name="f")) for n in range(3)]

    assert isinstance(read(*START, *frames, limits=Limits(tool_calls=2)).error, LimitExceeded)

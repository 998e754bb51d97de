"""Assistants: tools that the provider runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.openai_assistants.support import (
    DONE_RUN,
    FINISHED,
    START,
    delta,
    interpreter,
    read,
    step,
    step_delta,
    text,
    whole,
)
from tests.support.tables import in_one_test
from tests.support.wire import sse
from tokenstream import Stream
from tokenstream.message import ServerToolCall, ServerToolResult


def test_code_that_the_provider_runs_is_no_call_of_ours() -> None:
    """Its input comes in pieces, and its outputs with the end of its step."""
    logs = {"type": "logs", "logs": "4\n"}
    got = whole(
        step_delta(interpreter(0, "call_1", input="", outputs=[])),
        step_delta(interpreter(input="2 ")),
        step_delta(interpreter(input="+ 2")),
        step("completed", interpreter(0, "call_1", input="2 + 2", outputs=[logs])),
        delta(text("4")),
    )

    assert [] == got.calls
    assert [
        ServerToolCall(id="call_1", name="code_interpreter", arguments_text="2 + 2", complete=True),
        ServerToolResult(id="call_1", name="code_interpreter", content=[logs], complete=True),
    ] == [*got.message.parts[:2]]
    assert "4" == got.message.text
    assert set() == got.rules


@pytest.mark.parametrize(
    "ending",
    [[DONE_RUN, FINISHED], [FINISHED], [step("completed", interpreter(0, "call_1")), DONE_RUN, FINISHED]],
)
def test_outputs_of_deltas_are_the_result_where_the_step_tells_none(ending: Any) -> None:
    """Pieces of logs are joined, by their index."""
    image = {"index": 1, "type": "image", "image": {"file_id": "file_1"}}
    got = read(
        *START,
        step_delta(
            interpreter(0, "call_1", input="f()", outputs=[{"index": 0, "type": "logs", "logs": "a"}])
        ),
        step_delta(interpreter(outputs=[{"index": 0, "logs": "b"}, image, {"type": "logs", "logs": "c"}])),
        *ending,
    )

    results = [part for part in got.message.parts if isinstance(part, ServerToolResult)]
    assert [
        [
            {"type": "logs", "logs": "ab"},
            {"type": "image", "image": {"file_id": "file_1"}},
            {"type": "logs", "logs": "c"},
        ]
    ] == [part.content for part in results]


def test_a_search_of_files_is_a_call_and_its_results() -> None:
    """Which only the whole step tells."""
    found = [{"file_id": "file_1", "score": 0.9}]
    search = {"index": 0, "id": "call_1", "type": "file_search", "file_search": {}}
    over = {
        "id": "call_1",
        "type": "file_search",
        "file_search": {"ranking_options": {"ranker": "r"}, "results": found},
    }
    got = whole(step_delta(search), step("completed", over))
    told = whole(step("completed", over))

    assert ["server_tool_call", "server_tool_result"] == got.kinds
    assert found == got.message.parts[1].model_dump()["content"]
    assert {"ranking_options": {"ranker": "r"}} == told.message.parts[0].model_dump()["provider_data"]


def test_a_tool_without_a_result_has_none() -> None:
    assert ["server_tool_call"] == whole(step_delta({"type": "moon", "moon": {"input": "x"}})).kinds


def test_input_that_comes_after_its_step_is_counted() -> None:
    """The call is what it was."""
    got = whole(
        step_delta(interpreter(0, "c", input="a")),
        step("completed", interpreter(0, "c", input="a")),
        step_delta(interpreter(input="b")),
    )

    assert "a" == got.message.parts[0].model_dump()["arguments_text"]
    assert {"part_after_close"} == got.rules


@in_one_test("pieces", [["2 "], ["2 ", "+ "], ["2 ", "+ ", "2"], []])
@in_one_test("late", [True, False])
def test_input_is_whole_though_its_last_pieces_are_lost_or_late(pieces: list[str], late: bool) -> None:
    """The end of the step repeats all of it."""
    rest = ["2 ", "+ ", "2"][len(pieces) :] if late else []
    events = [
        *START,
        step_delta(interpreter(0, "c", input="")),
        *[step_delta(interpreter(input=piece)) for piece in pieces],
        step("completed", interpreter(0, "c", input="2 + 2")),
        *[step_delta(interpreter(input=piece)) for piece in rest],
        DONE_RUN,
    ]
    message = Stream([sse(payload, event=name) for name, payload in events]).final()

    assert ["2 + 2"] == [part.model_dump()["arguments_text"] for part in message.parts]


def test_a_step_may_fail_and_the_run_go_on() -> None:
    """Its error is in the message's data."""
    error = {"code": "server_error", "message": "m"}
    got = whole(step("failed", last_error=error), delta(text("a")))

    assert error == got.message.provider_data["last_error"]
    assert ("a", "complete") == (got.message.text, got.message.ending)

"""Runs of agents that speak AG-UI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.ag_ui.support import CALL, END, HELLO, RESULT, START
from tests.formats.ag_ui.test_subagents import FINISHED, STARTED, TEXT
from tests.steps.hosted.support import follow, tree
from tests.support.tables import in_one_test
from tokenstream import Steps
from tokenstream.errors import StreamTruncated

RUN = [START, *CALL, STARTED, *TEXT, FINISHED, RESULT, *HELLO, END]
BELOW: list[Any] = [("weather", "done", "", [("scout", "done", "I look out.", [])])]


def test_tools_and_subagents_are_steps() -> None:
    """The subagent is below the tool that has called it."""
    run = follow(RUN)

    assert tree(run) == [("ag-ui", "done", "Hello", BELOW)]
    (turn,) = run.turns
    (tool,) = turn.step.steps
    assert (turn.result, turn.session, run.agent) == ("Hello", "t", "ag-ui")
    assert tool.cause is not None
    assert (tool.cause.arguments, tool.result) == ({"city": "Oslo"}, "sun")
    assert (tool.steps[0].agent, tool.steps[0].result) == ("scout", "sun")


def test_envelopes_of_tanstack_ai_are_followed() -> None:
    """They have the positions of the events."""
    assert tree(follow([{"id": str(at), "chunk": event} for at, event in enumerate(RUN)])) == [
        ("ag-ui", "done", "Hello", BELOW)
    ]


def test_a_run_that_is_cut_anywhere_has_failed() -> None:
    """What had come of it stays."""
    for place in range(1, len(RUN)):
        with Steps() as run, pytest.raises(StreamTruncated):
            list(run.follow(RUN[:place]))
        assert [turn.state for turn in run.turns] == ["failed"], place


def test_steps_that_the_agent_names_are_steps() -> None:
    """Each run of a thread is a turn."""
    steps = [{"type": "STEP_STARTED", "stepName": "plan"}, {"type": "STEP_FINISHED", "stepName": "plan"}]
    run = follow([START, *steps, *HELLO, END, START, *HELLO, END])

    assert tree(run) == [
        ("ag-ui", "done", "Hello", [("plan", "done", "", [])]),
        ("ag-ui", "done", "Hello", []),
    ]


def test_a_subagent_that_fails_does_not_fail_the_run() -> None:
    """The agent may go on without it."""
    failed = {"type": "SUBAGENT_ERROR", "subagentRunId": "s", "message": "lost", "code": "c"}
    run = follow([START, {**STARTED, "parentToolCallId": None}, *TEXT, failed, *HELLO, END])

    (turn,) = run.turns
    (scout,) = turn.step.steps
    assert (turn.state, scout.state, "lost" in str(scout.error)) == ("done", "failed", True)
    assert scout.text == "I look out."


_ENDS: list[tuple[dict[str, Any], str]] = [
    ({"type": "RUN_ERROR", "message": "no credit", "code": "quota"}, "failed"),
    ({**END, "outcome": {"type": "interrupt", "interrupts": [{"id": "i1", "reason": "approval"}]}}, "done"),
]


@in_one_test(("end", "state"), _ENDS)
def test_a_run_ends_with_an_error_or_waits(end: dict[str, Any], state: str) -> None:
    """The steps of subagents that are still open end with the run."""
    run = follow([START, STARTED, *TEXT[:2], *HELLO, end])

    assert [turn.state for turn in run.turns] == [state]
    assert run.turns[0].step.text == "Hello"

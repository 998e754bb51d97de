"""Claude Code with two subagents that go on after the result of the turn that began them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.steps.agents.support import FOLDER, chunkings_of, cuts_of, follow, tools_of
from tests.steps.told import told

BODY = (FOLDER / "sessions" / "claude-code-own-background-after-result.jsonl").read_bytes()
LINES = BODY.splitlines(keepends=True)


def test_an_agent_that_outlives_its_turn_goes_on_beside_the_turns() -> None:
    run, _, error = follow(BODY)
    agents = [step for step in run.steps if step.name == "Agent"]

    assert error is None
    assert [turn.state for turn in run.turns] == ["done"] * 4
    # A turn has the tokens that its subagents have spent up to its result.
    assert [turn.usage.output_tokens for turn in run.turns] == [37, 19, 9, 9]
    assert run.total_usage.output_tokens == 74
    said = [[message.text for message in turn.step.messages] for turn in run.turns]
    assert said == [["I delegate twice.", "The answer is 7."], *[["The answer is 7."]] * 3]
    assert [(agent.state, agent.result) for agent in agents] == [
        ("done", "Sub ONE result."),
        ("done", "Sub TWO result."),
    ]
    assert [tools_of(agent) for agent in agents] == [
        [("Bash", "done", "sub ONE")],
        [("Bash", "done", "sub TWO")],
    ]
    assert [agent.messages[-1].text for agent in agents] == ["Sub ONE result.", "Sub TWO result."]


def test_it_has_the_call_that_began_it() -> None:
    """The step in the turn has what came before the result, and the same cause."""
    run, _, _ = follow(BODY)
    begun = run.turns[0].step.steps
    agents = [step for step in run.steps if step.name == "Agent"]

    assert [step.state for step in begun] == ["stopped", "stopped"]
    assert [step.message.text for step in begun if step.message] == ["Sub ONE looks.", "Sub TWO looks."]
    assert [step.cause for step in begun] == [step.cause for step in agents]


@pytest.mark.slow
def test_lines_that_come_twice_and_every_chunking_change_nothing() -> None:
    """Every line has an id."""
    expected = told(follow(BODY)[0])

    assert told(follow([each for line in LINES for each in (line, line)])[0]) == expected
    for source in chunkings_of(BODY, "after-result"):
        assert told(follow(source)[0]) == expected


@pytest.mark.slow
def test_no_turn_is_done_without_its_result() -> None:
    """Cut anywhere: an agent that still runs is stopped, and a turn without a result has failed."""
    for cut in cuts_of(BODY, "after-result"):
        run, given, error = follow(BODY[:cut])
        results = sum(line["type"] == "result" for line in given)

        states = [turn.state for turn in run.turns]
        assert states == ["done"] * results + ["failed"] * (len(states) - results)
        # A beginning of the first line alone is no line of an agent.
        assert (error is None) == (results == len(states) > 0)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_task_may_end_with_an_update_alone(*, asynchronous: bool) -> None:
    main: dict[str, Any] = {"session_id": "s", "parent_tool_use_id": None}
    call = {"type": "tool_use", "id": "c", "name": "Agent", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": "launched" if asynchronous else "Seven."}
    lines: list[dict[str, Any]] = [
        {"type": "system", "subtype": "init", "tools": [], **main},
        {"type": "assistant", "message": {"id": "m1", "content": [call]}, **main},
        {
            "type": "system",
            "subtype": "task_started",
            "task_id": "t",
            "tool_use_id": "c",
            "is_backgrounded": asynchronous,
            **main,
        },
        *[{"type": "user", "message": {"content": [result]}, **main}] * asynchronous,
        {
            "type": "assistant",
            "message": {"id": "m2", "content": [{"type": "text", "text": "Seven."}]},
            **main,
            "parent_tool_use_id": "c",
        },
        {
            "type": "system",
            "subtype": "task_updated",
            "task_id": "t",
            "patch": {"status": "completed"},
            **main,
        },
        *[{"type": "user", "message": {"content": [result]}, **main}] * (not asynchronous),
        {"type": "result", "is_error": False, "result": "7", **main},
    ]

    run, _, _ = follow([json.dumps(line) for line in lines])

    assert tools_of(run.turns[0].step) == [("Agent", "done", "Seven.")]

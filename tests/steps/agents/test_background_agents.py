"""Claude Code with subagents in the background: they go on beside later turns, and past their results."""

from __future__ import annotations

import json

import pytest

from tests.steps.agents.claude_code import INIT, calls, ended, noted, returned, said, words
from tests.steps.agents.support import (
    FOLDER,
    assert_same_in_all_chunkings,
    assert_same_twice,
    body_of,
    cuts_of,
    follow,
    tools_of,
)

NAMES = sorted(f"background/{path.stem}" for path in (FOLDER / "background").glob("*.jsonl"))
OUTLIVES = "sessions/claude-code-own-background-after-result"
"""Two subagents that go on after the result of the turn that began them."""
every_recording = pytest.mark.parametrize("name", [*NAMES, OUTLIVES])


@pytest.mark.parametrize("name", NAMES)
def test_each_turn_has_its_own_answers_tokens_and_cost(name: str) -> None:
    """The lines are: two times `init`, with all answers between and after them, then two results."""
    run, _, error = follow(body_of(name), agent="claude-code")
    first, second = run.turns
    (agent,) = first.step.steps
    (command,) = agent.steps

    assert error is None
    assert [message.text for message in first.step.messages] == ["I delegate.", "The answer is 7."]
    assert [message.text for message in second.step.messages] == ["The answer is 7."]
    assert [message.text for message in agent.messages] == ["Sub looks.", "Sub result: 7"]
    assert (agent.state, agent.result, command.name, command.result) == (
        "done",
        "Sub result: 7",
        "Bash",
        "sub",
    )
    # The first result comes when the second turn has its answer: what the agent counts beyond the first
    # turn, such as its subagent, is in the second.
    assert [turn.usage.output_tokens for turn in run.turns] == [29, 18]
    assert [turn.cost for turn in run.turns] == [0.0041, 0.0]
    assert (run.total_usage.input_tokens, run.total_usage.output_tokens) == (790, 47)


def test_an_agent_that_outlives_its_turn_goes_on_beside_the_turns() -> None:
    run, _, error = follow(body_of(OUTLIVES))
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


def test_an_agent_that_outlives_its_turn_has_the_call_that_began_it() -> None:
    """The step in the turn has what came before the result, and the same cause."""
    run, _, _ = follow(body_of(OUTLIVES))
    begun = run.turns[0].step.steps
    agents = [step for step in run.steps if step.name == "Agent"]

    assert [step.state for step in begun] == ["stopped", "stopped"]
    assert [step.message.text for step in begun if step.message] == ["Sub ONE looks.", "Sub TWO looks."]
    assert [step.cause for step in begun] == [step.cause for step in agents]


@every_recording
def test_lines_that_come_twice_change_nothing(name: str) -> None:
    """Every line has an id."""
    assert_same_twice(body_of(name).splitlines(keepends=True))


@pytest.mark.slow
def test_every_chunking_of_an_agent_that_outlives_its_turn_gives_the_same_run() -> None:
    assert_same_in_all_chunkings(body_of(OUTLIVES), OUTLIVES)


@pytest.mark.slow
@every_recording
def test_no_turn_is_done_without_its_result(name: str) -> None:
    """Cut anywhere: a turn that waits for its result has failed, and keeps its answers."""
    body = body_of(name)
    whole = follow(body)[0]
    for cut in cuts_of(body, name):
        run, given, error = follow(body[:cut])
        results = sum(line["type"] == "result" for line in given)
        states = [turn.state for turn in run.turns]

        assert states == ["done"] * results + ["failed"] * (len(states) - results)
        # A beginning of the first line alone is no line of an agent.
        assert (error is None) == (results == len(states) > 0)
        for turn, whole_turn in zip(run.turns, whole.turns, strict=False):
            said = "\n".join(message.text for message in turn.step.messages)
            assert "\n".join(message.text for message in whole_turn.step.messages).startswith(said)


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_task_may_end_with_an_update_alone(*, asynchronous: bool) -> None:
    result = returned("c", "launched" if asynchronous else "Seven.")
    lines = [
        INIT,
        said("m1", calls("c", "Agent")),
        noted("task_started", task_id="t", tool_use_id="c", is_backgrounded=asynchronous),
        *[result] * asynchronous,
        said("m2", words("Seven."), parent="c"),
        noted("task_updated", task_id="t", patch={"status": "completed"}),
        *[result] * (not asynchronous),
        ended("7"),
    ]

    run, _, _ = follow([json.dumps(line) for line in lines])

    assert tools_of(run.turns[0].step) == [("Agent", "done", "Seven.")]

"""Claude Code with a subagent in the background: the next turn begins before the result of the last one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.steps.agents.support import follow
from tests.steps.told import told

_FOLDER = Path(__file__).parent / "recordings" / "background"
NAMES = sorted(path.stem for path in _FOLDER.glob("*.jsonl"))


def lines_of(name: str) -> list[bytes]:
    return (_FOLDER / f"{name}.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("name", NAMES)
def test_each_turn_has_its_own_answers_tokens_and_cost(name: str) -> None:
    """The lines are: two times `init`, with all answers between and after them, then two results."""
    run, _, error = follow(lines_of(name), agent="claude-code")
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


@pytest.mark.parametrize("name", NAMES)
def test_lines_that_come_twice_change_nothing(name: str) -> None:
    """Every line has an id."""
    lines = lines_of(name)

    assert told(follow([each for line in lines for each in (line, line)])[0]) == told(follow(lines)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_turn_is_done_without_its_result(name: str) -> None:
    """Cut after each line: a turn that waits for its result has failed, and keeps its answers."""
    lines = lines_of(name)
    whole = follow(lines)[0]
    for cut in range(1, len(lines)):
        run, _, error = follow(lines[:cut], agent="claude-code")
        results = sum(json.loads(line).get("type") == "result" for line in lines[:cut])
        states = [turn.state for turn in run.turns]

        assert states == ["done"] * results + ["failed"] * (len(states) - results)
        assert (error is None) == (results == len(states))
        for turn, whole_turn in zip(run.turns, whole.turns, strict=False):
            said = "\n".join(message.text for message in turn.step.messages)
            assert "\n".join(message.text for message in whole_turn.step.messages).startswith(said)

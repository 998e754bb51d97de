"""Lines whose fields have wrong types or are missing: they may say nothing, but they break nothing."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.steps.agents.support import FOLDER, follow
from tests.steps.agents.test_other_agents import AMP
from tests.steps.told import told
from tests.support.recordings import OURS, events_of, ours
from tokenstream.steps import Step

_RECORDED = {path.stem: path for path in sorted(FOLDER.rglob("*.jsonl"))}
_MADE = {"amp": AMP}
_HOSTED = {
    **{name: name for name in ("anthropic-agents", "mistral-conversations", "ag-ui")},
    "langchain-protocol": "langgraph",
}
"""The names of hosted agents, by the formats of their events."""
_EVENTS = [each.name for each in ours() if each.format in _HOSTED and (OURS / f"{each.name}.sse").exists()]
_WRONG: list[Any] = [None, True, 0, -1, 1.5, "", "x", [], ["a", None], [[]], {}, {"type": "text"}, 10**30]


def spoil(value: Any, random_: random.Random) -> Any:
    """Return a value in which some fields are missing, and others are of another type."""
    if random_.random() < 0.06:
        return random_.choice(_WRONG)
    if isinstance(value, dict):
        return {key: spoil(inner, random_) for key, inner in value.items() if random_.random() > 0.03}
    return [spoil(inner, random_) for inner in value] if isinstance(value, list) else value


def are_over(steps: tuple[Step, ...]) -> bool:
    return all(step.ended is not None and are_over(step.steps) for step in steps)


@pytest.mark.few_rows(8)
@pytest.mark.parametrize("name", [*_RECORDED, *_MADE, *_EVENTS])
def test_spoilt_lines_raise_nothing_but_errors_of_a_stream(name: str) -> None:
    """All steps have ended after them, and each line that is an object has reached the loop."""
    if name in _MADE:
        agent, lines = name, _MADE[name]
    elif name in _EVENTS:
        agent, lines = _HOSTED[name.partition("/")[0]], events_of(name)
    else:
        agent = name.partition("-own" if "-own" in name else "-")[0]
        lines = [json.loads(line) for line in _RECORDED[name].read_bytes().splitlines()]
    random_ = random.Random(name)
    for _ in range(20):
        spoilt = [spoil(line, random_) for line in lines]
        body = b"".join([json.dumps(line).encode() + b"\n" for line in spoilt])

        run, given, _ = follow(body, agent=agent)

        assert given == [line for line in spoilt if isinstance(line, dict)]
        assert are_over(run.steps)
        assert told(run)

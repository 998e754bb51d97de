"""Events of hosted agents with wrong values: a run ends, and nothing but errors of a stream is raised."""

from __future__ import annotations

import json
import random

import pytest

from tests.steps.agents.test_hostile_lines import are_over, spoil
from tests.steps.told import told
from tests.support.recordings import OURS, events_of, ours
from tokenstream import Steps
from tokenstream.errors import StreamError

_AGENTS = {
    **{name: name for name in ("anthropic-agents", "mistral-conversations", "ag-ui")},
    "langchain-protocol": "langgraph",
}
"""The names of the agents, by the formats of their events."""
_NAMES = [each.name for each in ours() if each.format in _AGENTS and (OURS / f"{each.name}.sse").exists()]


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("name", _NAMES)
def test_spoilt_events_raise_nothing_but_errors_of_a_stream(name: str) -> None:
    """All steps have ended after them, whatever the events say."""
    source = random.Random(name)
    for _ in range(25):
        lines = [json.dumps(spoil(each, source)) for each in events_of(name)]
        with Steps() as run:
            try:
                for _line in run.follow(lines, agent=_AGENTS[name.partition("/")[0]]):
                    pass
            except StreamError:
                pass

        assert are_over(run.steps)
        assert told(run)

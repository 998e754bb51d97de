"""The example of an agent's run shows what happens in it while it happens."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT


@pytest.mark.slow
def test_the_example_shows_two_agents_at_once_and_the_tree_at_the_end() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "agent_steps.py")],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    shown, _, tree = done.stdout.partition("\n\n")
    lines = [line.split(maxsplit=2) for line in shown.splitlines()]
    said = "".join(line[21:] for line in shown.splitlines() if line.startswith("helper: the museums  "))

    assert {"planner:", "helper:"} == {line[0] for line in lines}
    assert "beginsThe ship is always dry.done" == said
    assert shown.index("helper: the museums  begins") < shown.index("helper: the weather  done")
    assert ["a", "├─", "├─", "│", "├─", "└─"] == [line.split()[0] for line in tree.splitlines()]
    assert '│  └─ look_up city="Oslo" done' in tree

"""The form of examples/recipe_form.py fills in, with rich and without."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT

_LAST = "Crêpes with lemon: 52 minutes, for 4"


def _run(*arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "recipe_form.py"), "--fast", *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8", "COLUMNS": "140"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_without_rich_each_line_is_printed_once_when_it_is_finished() -> None:
    """In the order of the recording: a name, ingredients, steps, a tip, and the result."""
    printed = _run("--plain")
    labels = [line[:13].strip() for line in printed[:-2]]

    assert _LAST == printed[-1]
    assert ["name", "serves", "vegetarian"] == labels[:3]
    assert [f"ingredient {at}" for at in range(1, 6)] == labels[3:8]
    assert [f"step {at}" for at in range(1, 5)] == [label for label in labels if label.startswith("step")]
    assert "tip" == labels[-1]
    assert "ingredient 1  250 g flour" in printed


@pytest.mark.slow
def test_with_rich_the_form_is_drawn_with_every_line_finished() -> None:
    """Where nobody watches, rich draws the last state alone."""
    drawn = "\n".join(_run())

    assert drawn.endswith(_LAST)
    assert 3 + 5 + 4 + 1 == drawn.count("✓")
    assert "▌" not in drawn

"""The form of examples/recipe_form.py fills in, with rich and without."""

from __future__ import annotations

from pathlib import Path

from tests.cookbook.programs import run_program
from tests.cookbook.watched import watch_program

_LAST = "Crêpes with lemon: 52 minutes, for 4"


def test_without_rich_each_line_is_printed_once_when_it_is_finished(tmp_path: Path) -> None:
    done = run_program("recipe-form", tmp_path, "--fast", "--plain")
    printed = done.stdout.splitlines()
    labels = [line[:13].strip() for line in printed[:-2]]

    assert (_LAST, "") == (printed[-1], done.stderr)
    assert ["name", "serves", "vegetarian"] == labels[:3]
    assert [f"ingredient {at}" for at in range(1, 6)] == labels[3:8]
    assert [f"step {at}" for at in range(1, 5)] == [label for label in labels if label.startswith("step")]
    assert "tip" == labels[-1]
    assert "ingredient 1  250 g flour" in printed


def test_with_rich_the_form_is_drawn_with_every_line_finished(tmp_path: Path) -> None:
    """Where nobody watches, rich draws the last state alone."""
    drawn = run_program("recipe-form", tmp_path, "--fast", COLUMNS="140").stdout.rstrip()

    assert drawn.endswith(_LAST)
    assert 3 + 5 + 4 + 1 == drawn.count("✓")
    assert "▌" not in drawn


def test_the_form_fills_in_while_the_answer_arrives(tmp_path: Path) -> None:
    """A text grows, with a cursor, until the model has finished it."""
    with watch_program("recipe-form", tmp_path) as program:
        assert "│ ✓ " not in program.see("▌")
        assert "Crêpes with lemon" in program.see("ingredient 1")
        program.see(_LAST)

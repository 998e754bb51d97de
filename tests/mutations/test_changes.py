"""The changes are those that a test should notice; the rest of a module stays as it is."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from tests.mutations.changes import changes, drawn, found_again
from tests.project import PACKAGE


@pytest.mark.parametrize(
    "line, changed",
    [
        ("if a < b:\n f()", ["if (a <= b):\n f()", "if a < b:\n if 0: f()"]),
        ("x = a is None and b", ["x = (a is not None) and b", "x = (a is None or b)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a + 1", ["x = (a - 1)", "x = a + (2)"]),
        ("x = 'a' + b", []),
        ("while more(): break", ["while (not more()): break", "while more(): continue"]),
        ("self.x = True", ["if 0: self.x = True", "self.x = False"]),
        ("raise ValueError(1 + 1)", ["if 0: raise ValueError(1 + 1)"]),
        (
            "x[a if b else c] = [d for d in e if f(d)]",
            [
                "if 0: x[a if b else c] = [d for d in e if f(d)]",
                "x[a if (not b) else c] = [d for d in e if f(d)]",
                "x[a if b else c] = [d for d in e if (not f(d))]",
            ],
        ),
        ("x: dict[str, Literal[1]] = {}", []),
        (
            "def f(a: Literal[1] = 2) -> Literal[3]: return a",
            [
                "def f(a: Literal[1] = (3)) -> Literal[3]: return a",
                "def f(a: Literal[1] = 2) -> Literal[3]: return None and (a)",
            ],
        ),
    ],
)
def test_one_thing_is_changed_at_a_time(line: str, changed: list[str]) -> None:
    """A comparison, a condition, a constant, a result or a statement; messages and annotations stay."""
    assert changed == [change.apply(line) for change in changes(line)]


def test_letters_of_several_bytes_do_not_move_a_change() -> None:
    """Python counts columns in bytes."""
    line = "x = {'é…': not a}"

    assert ["x = {'é…': (a)}"] == [change.apply(line) for change in changes(line)]


def test_a_change_knows_its_function_and_the_lines_of_which_one_runs_whenever_it_does() -> None:
    """Code outside of functions runs as the module is imported, when no change has been made yet."""
    source = "x = 1\nclass A:\n    x = 2\n    def f(self, y=3):\n        call(\n            4,\n        )\n"
    found = [change for change in changes(source) if isinstance(ast.parse(change.before).body[0], ast.Expr)]

    assert [("", "1", 1, 1), ("", "2", 3, 3), ("", "3", 4, 4), ("A.f", "4", 5, 7)] == [
        (change.scope, change.before, *change.lines) for change in found if change.before.isdigit()
    ]


@pytest.mark.slow
def test_every_change_can_be_read_by_python() -> None:
    """A change that is no Python would be noticed by each test, and would say nothing about any."""
    for change in drawn(["framing/_sse.py", "formats/_kit/parts.py", "_pipeline/joining.py"], 90, 0):
        ast.parse(change.apply((PACKAGE / change.module).read_text(encoding="utf-8")))


def test_a_change_is_found_again_where_its_line_has_moved() -> None:
    change, *_ = drawn(["framing/_ndjson.py"], 1, 0)

    assert change == found_again(replace(change, line=change.line + 9, start=change.start + 9, lines=(0, 0)))
    assert found_again(replace(change, scope="elsewhere")) is None

"""The changes are those that a test should notice; the rest of a module stays as it is."""

from __future__ import annotations

import ast

import pytest

from tests.mutations.__main__ import drawn
from tests.mutations.changes import changes
from tests.mutations.targets import TARGETS
from tests.project import PACKAGE, ROOT


@pytest.mark.parametrize(
    "line, changed",
    [
        ("if a < b: f()", ["if (a <= b): f()", "if a < b: pass"]),
        ("x = a is None and b", ["x = (a is not None) and b", "x = (a is None or b)"]),
        ("x = not a", ["x = (a)"]),
        ("x = a + 1", ["x = (a - 1)", "x = a + (2)"]),
        ("x = 'a' + b", []),
        ("while more(): break", ["while (not more()): break", "while more(): continue"]),
        ("self.x = True", ["pass", "self.x = False"]),
        ("raise ValueError(1 + 1)", []),
        ("x: dict[str, Literal[1]] = {}", []),
        (
            "def f(a: Literal[1] = 2) -> Literal[3]: return a",
            [
                "def f(a: Literal[1] = (3)) -> Literal[3]: return a",
                "def f(a: Literal[1] = 2) -> Literal[3]: return None",
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


@pytest.mark.slow
@pytest.mark.parametrize("module", TARGETS)
def test_every_change_of_a_module_can_be_read_by_python(module: str) -> None:
    """A change that is no Python would be noticed by each test, and would say nothing about any."""
    source = (PACKAGE / module).read_text(encoding="utf-8")
    found = changes(source)

    assert len(found) > 20
    for change in found[::10]:
        ast.parse(change.apply(source))


@pytest.mark.slow
def test_the_same_seed_draws_the_same_changes() -> None:
    """As many of each module."""
    modules = ["framing/_sse.py", "_decoder.py"]
    first, again, other = drawn(modules, 7, 1), drawn(modules, 7, 1), drawn(modules, 7, 2)

    assert first == again != other
    assert [3, 4] == [[module for module, _ in first].count(module) for module in modules]


def test_the_tests_of_each_module_exist() -> None:
    """A path that is gone would be an error of pytest, which looks like a change that was noticed."""
    assert [] == [path for paths in TARGETS.values() for path in paths if not (ROOT / path).exists()]

"""The page on departures says what the code does: the same rules, in the same words, all in use."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.project import PACKAGE, ROOT, parsed
from tokenstream.departures import RULES

_PAGE = (ROOT / "docs" / "departures.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
# The repairs of partial JSON are noted, too, and have a list of their own.
_PATHS = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "departures.py" and "partial_json" not in path.parts
]


def _strings(tree: ast.AST) -> set[str]:
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def _choices(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.IfExp):
        return _choices(expression.body) | _choices(expression.orelse)
    return _strings(expression) if isinstance(expression, ast.Constant) else set()


def _noted(tree: ast.AST) -> set[str]:
    """Return the names that stand in the calls of anything named `note`."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note"
        for argument in node.args[:1]
        for name in _choices(argument)
    }


@cache
def _used() -> set[str]:
    """Return all strings of the package."""
    return {text for path in _PATHS for text in _strings(parsed(path))}


def test_the_page_gives_each_rule_in_the_words_of_the_code() -> None:
    """A reader of `stream.departures[name].rule` finds the same sentence on the page."""
    assert RULES == {name: rule.replace("`", "") for name, rule, _ in _ROW.findall(_PAGE)}


def test_the_page_gives_each_rule_once() -> None:
    """A rule stands in one table only."""
    names = [name for name, _, _ in _ROW.findall(_PAGE)]

    assert sorted(RULES) == sorted(names)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_applied_somewhere(name: str) -> None:
    """A rule that no code applies any more leaves the list."""
    assert name in _used()


def test_no_departure_is_noted_that_has_no_rule() -> None:
    """A name that is noted is one of the closed list; a misspelt one would be a KeyError at a user's."""
    unknown = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path in _PATHS
        for name in _noted(parsed(path))
        if name not in RULES
    }

    assert set() == unknown


def test_the_check_of_the_names_sees_the_code() -> None:
    """The names are found where they are noted: as a literal, and in a choice between two."""
    code = ast.parse('parts.note("a" if word == "x" else "b")\nself.note("c", event=1)\nother("d")')

    assert {"a", "b", "c"} == _noted(code)

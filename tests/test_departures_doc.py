"""The page on departures says what the code does: the same rules, in the same words, all in use."""

from __future__ import annotations

import ast
import re

from tests.project import PACKAGE, ROOT, parsed_with, source_of
from tests.support.tables import in_one_test
from tokenstream.departures import RULES

_PAGE = (ROOT / "docs" / "reference" / "departures.md").read_text(encoding="utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
# The repairs of partial JSON are noted, too, and have a list of their own.
_PATHS = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "departures.py" and "partial_json" not in path.parts
]


def _choices(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.IfExp):
        return _choices(expression.body) | _choices(expression.orelse)
    if isinstance(expression, ast.Constant) and isinstance(expression.value, str):
        return {expression.value}
    return set()


def _noted(tree: ast.AST) -> set[str]:
    """Return the names that stand in the calls of anything named `note`."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note"
        for argument in node.args[:1]
        for name in _choices(argument)
    }


def test_the_page_gives_each_rule_in_the_words_of_the_code() -> None:
    """A reader of `stream.departures[name].rule` finds the same sentence on the page."""
    assert RULES == {name: rule.replace("`", "") for name, rule, _ in _ROW.findall(_PAGE)}


def test_the_page_gives_each_rule_once() -> None:
    """A rule stands in one table only."""
    names = [name for name, _, _ in _ROW.findall(_PAGE)]

    assert sorted(RULES) == sorted(names)


@in_one_test("name", RULES)
def test_a_rule_is_applied_somewhere(name: str) -> None:
    """A rule that no code applies any more leaves the list."""
    assert any(f'"{name}"' in source_of(path) for path in _PATHS)


def test_no_departure_is_noted_that_has_no_rule() -> None:
    """A name that is noted is one of the closed list; a misspelt one would be a KeyError at a user's."""
    chosen = [(path, _noted(module)) for path, module in parsed_with(r'\.note\((?!\s*")', _PATHS)]
    literal = [(path, {*re.findall(r'\.note\(\s*"(\w+)"', source_of(path))}) for path in _PATHS]
    unknown = {
        f"{path.relative_to(PACKAGE).as_posix()}: {name}"
        for path, names in chosen + literal
        for name in names
        if name not in RULES
    }

    assert set() == unknown
    assert len(set().union(*(names for _, names in literal))) > len(RULES) / 2


def test_the_check_of_the_names_sees_the_code() -> None:
    """The names are found where they are noted: as a literal, and in a choice between two."""
    code = ast.parse('parts.note("a" if word == "x" else "b")\nself.note("c", event=1)\nother("d")')

    assert {"a", "b", "c"} == _noted(code)

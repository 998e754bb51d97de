"""The names that went stand in no page, no example and no docstring: only CHANGELOG's table has them.

The table stands below the heading "Renamed". Each cell of its first column has names in backticks, in the
form that a program has: `StreamClosed`, `relay.routes`, or `Retry(timeout=…)` for an option. An option is
found in calls of its function alone, and a name of a module also where it is imported: the same word with
another meaning, such as the `timeout=` of httpx, is none of them.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.project import PACKAGE, ROOT, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TABLE = re.compile(r"^#+ Renamed\n(?P<rows>(?:(?!#+ ).*\n?)*)", re.MULTILINE)
_OLD = re.compile(r"^\|(?P<names>(?:[^|\\]|\\.)*)\|", re.MULTILINE)
_WITHIN_A_CALL = r"(?:[^()]|\((?:[^()]|\([^()]*\))*\))*?"
"""Matches what may stand before an option, calls within calls included."""
_CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _old_names(text: str) -> list[str]:
    """Return the names in the first column of the table."""
    rows = _TABLE.search(text)
    cells = [cell["names"] for cell in _OLD.finditer(rows["rows"])] if rows else []
    return [name for cell in cells for name in re.findall("`([^`]+)`", cell)]


def _pattern_of(name: str) -> str:
    """Return the pattern that finds a name where a program would have it."""
    name = re.sub(r"^tokenstream\.(?=\w+[.(])", "", name.removesuffix("…)"))
    function, is_option, option = name.partition("(")
    if is_option:
        return rf"\b{re.escape(function)}\({_WITHIN_A_CALL}(?<![\w.]){re.escape(option)}"
    module, _, last = name.rpartition(".")
    imported = (
        rf"|from tokenstream\.{re.escape(module)} import (?:\([^)]*|[^(\n]*)\b{last}\b"
        if module and last.isidentifier()
        else ""
    )
    return rf"(?<!\w){re.escape(name)}(?!\w){imported}"


def _found(names: list[str], text: str) -> list[str]:
    # Most texts do not have the name's last word, which is searched for sooner than the pattern.
    likely = [name for name in names if re.findall(r"\w+", name)[-1] in text]
    return [name for name in likely if re.search(_pattern_of(name), text)]


def _pages_and_programs() -> Iterator[tuple[str, str]]:
    """Yield each text that users read, with its path."""
    yield "CHANGELOG.md", _TABLE.sub("", _CHANGELOG)
    paths = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.py")]
    for path in [*paths, *(ROOT / "examples").rglob("*.py")]:
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def _docstrings() -> Iterator[tuple[str, str]]:
    """Yield the docstrings of each module, with its path."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in PACKAGE.rglob("*.py"):
        nodes = [node for node in ast.walk(parsed(path)) if isinstance(node, kinds)]
        yield path.name, "\n".join(ast.get_docstring(node) or "" for node in nodes)


@pytest.mark.parametrize(
    "read",
    [_pages_and_programs, pytest.param(_docstrings, marks=pytest.mark.slow)],
    ids=["pages", "docstrings"],
)
def test_no_old_name_stands_outside_the_table_of_the_changelog(
    read: Callable[[], Iterator[tuple[str, str]]],
) -> None:
    """A program that is copied from a page has no old name in it."""
    names = _old_names(_CHANGELOG)

    assert names, "the changelog has no table of old and new names"
    assert {} == {path: found for path, text in read() if (found := _found(names, text))}


@pytest.mark.parametrize(
    ("name", "program", "other"),
    [
        ("`Retry(timeout=…)`", "Retry(wait=f(g(1), 2),\n timeout=3)", "connect(retry=Retry(), timeout=3)"),
        ("`tokenstream.relay.routes`", "relay.routes(journal)", "app.routes"),
        (
            "`relay.routes`",
            "from tokenstream.relay import (\n    respond,\n    routes,\n)",
            "Retry(routes=[])",
        ),
        ("`StreamClosed`", "except StreamClosed:", "JournalStreamClosed"),
        ("`usage.source`", "report.usage.source", "source = usage"),
    ],
)
def test_an_old_name_is_found_in_its_own_meaning(name: str, program: str, other: str) -> None:
    """The same word with another meaning is none, and neither are names in the second column."""
    names = _old_names(
        f"## Renamed\n\n| old | new |\n|---|---|\n| {name} | `other` |\n\n### Fixed\n\n- `it`\n"
    )

    assert [name.strip("`")] == names == _found(names, program)
    assert [] == _found(names, other)

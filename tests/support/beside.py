"""Test data outside the checkout, in `../shared`; it may be missing.

`python -m tests.support.beside` prints the tests that read it: .ci/run runs the README's test
command without the data, and then these tests with it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping

import pytest

from tests.project import ROOT

SHARED = ROOT.parent / "shared"
"""Recordings of real servers and verified cases, read from there."""


def _needs(folder: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not (SHARED / folder).exists(),
        reason=f"reads {what} from ../shared/{folder}, which is not part of this repository",
    )


needs_recordings = _needs("recordings", "recordings of real servers")
"""Skips a test, with a reason, if the recordings of real servers are missing."""
needs_cases = _needs("cases", "verified cases of SSE and JSON")
"""Skips a test, with a reason, if the verified cases are missing."""


def readers(sources: Mapping[str, str], origin: str) -> list[str]:
    """Return the names whose statement leads back to `origin`, also through names of other modules.

    A test leads to the fixtures that it takes. The name of a statement that defines none is empty.

    Args:
        sources: The source of each module, by its dotted name.
        origin: A name with its module, as `tests.support.beside.SHARED`.
    """
    trees = {module: ast.parse(source) for module, source in sources.items()}
    statements = [
        (module, set(_defined(statement)), set(_mentioned(statement, names)))
        for module, tree in trees.items()
        for names in [_Names(module, tree)]
        for statement in tree.body
    ]
    found = {origin}
    before = 0
    while before < len(found):
        before = len(found)
        for module, defined, mentioned in statements:
            if not found.isdisjoint(mentioned):
                found.update(f"{module}.{name}" for name in defined)
    return sorted(name for name in found if name.rpartition(".")[0] in sources)


class _Names:
    def __init__(self, module: str, tree: ast.Module) -> None:
        self._module = module
        self._imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def whole(self, name: str) -> str:
        return self._imported.get(name, f"{self._module}.{name}")


def _defined(statement: ast.stmt) -> list[str]:
    """Return the names that a statement of a module defines; "" stands for one that defines none."""
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    return [node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _stores(node)] or [""]


def _mentioned(statement: ast.stmt, names: _Names) -> Iterator[str]:
    """Yield what a statement reads, takes or imports."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not _stores(node):
            yield names.whole(node.id)
        elif isinstance(node, ast.arg):
            yield names.whole(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{names.whole(node.value.id)}.{node.attr}"
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def reading_tests() -> list[str]:
    """Return the tests that read the data, as pytest takes them: functions, classes, and whole files."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests").rglob("*.py")
    }
    sources = {module: (ROOT / path).read_text(encoding="utf-8") for module, path in paths.items()}
    found = {paths[module]: set[str]() for module in paths if module.rpartition(".")[2].startswith("test_")}
    for name in readers(sources, "tests.support.beside.SHARED"):
        module, _, short = name.rpartition(".")
        if paths[module] in found:
            found[paths[module]].add(short)
    return [
        test
        for path, names in sorted(found.items())
        for test in (
            [path] if names & _OF_ALL else sorted(f"{path}::{name}" for name in names if _is_test(name))
        )
    ]


_OF_ALL = {"", "pytestmark"}
"""Statements that every test of a module depends on."""


def _is_test(name: str) -> bool:
    return name.startswith(("test", "Test"))


if __name__ == "__main__":
    sys.stdout.write("\n".join([*reading_tests(), ""]))

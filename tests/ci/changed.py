"""Finds the tests that wait, and those among them that a change concerns.

It needs no package, because `.ci/run` asks before any is installed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
WAITING = (
    "tests/session",
    "tests/stream",
    "tests/_request",
    "tests/relay",
    "tests/recovery",
    "tests/faults",
    "tests/_sources",
    "tests/cli",
    "tests/call_store",
    "tests/compare/sdks",
    "tests/steps",
    "tests/testing",
    "tests/router",
    "tests/otel",
    "tests/terminal",
    "tests/support",
    "tests/ci",
)
"""The folders whose tests wait for clocks, threads, sockets or processes."""
_IMPORT = re.compile(r"^\s*(?:from (tests[\w.]*) import (\([^)]*\)|.*)|import (tests\.[\w.]+))", re.MULTILINE)
"""An import of a module of the tests: parsing all of them would take seconds."""


def concerned_since() -> list[str]:
    """Return the modules of tests that wait and that the present work concerns: all if nothing tells."""
    base = begun_at()
    return concerned(changed_since(base)) if base else modules_that_wait()


def begun_at() -> str:
    """Return the revision with which the present work began; nothing if the history does not tell.

    That is the one from which it has left its upstream, or the last one that is a day older than the newest.
    """
    try:
        head, seconds = _git("log", "-1", "--format=%H %ct").split()
        day_before = _git("rev-list", "-1", f"--before={int(seconds) - 86_400}", head).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    try:
        left = _git("merge-base", head, "@{upstream}").strip()
    except subprocess.CalledProcessError:
        left = head
    return day_before if left == head else left


def changed_since(base: str) -> list[str]:
    """Return the files that differ from a revision, those included that git does not know yet."""
    told = [
        _git("diff", "--name-only", "--diff-filter=d", base),
        _git("ls-files", "--others", "--exclude-standard"),
    ]
    return sorted({line for text in told for line in text.splitlines()})


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def modules_that_wait() -> list[str]:
    found = [path for folder in WAITING for path in (ROOT / folder).rglob("test_*.py")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def concerned(changed: Iterable[str]) -> list[str]:
    """Return the modules of tests that wait and that a change concerns.

    Those are the changed ones, those that import a changed module of the tests, and the folder of a room of
    the library in which something has changed.
    """
    changed = [*changed]
    rooms = tuple(f"{_room_of(path)}/" for path in changed if path.startswith("tokenstream/"))
    helpers = {path for path in changed if path.startswith("tests/")}
    return [
        module
        for module in modules_that_wait()
        if module.startswith(rooms) or not helpers.isdisjoint(with_imports(module))
    ]


def _room_of(path: str) -> str:
    """Return the folder of the tests of a module of the library."""
    return Path("tests", *Path(path).parts[1:2]).as_posix()


def with_imports(module: str) -> set[str]:
    """Return the paths of a module of the tests and of all that it imports of them, directly or not."""
    found, left = {module}, [module]
    while left:
        new = _imported_by(left.pop()) - found
        found |= new
        left += new
    return found


@cache
def _imported_by(module: str) -> set[str]:
    names: set[str] = set()
    for package, imported, alone in _IMPORT.findall((ROOT / module).read_text(encoding="utf-8")):
        # What is imported may be a module itself.
        names |= {package or alone, *(f"{package}.{name}" for name in re.findall(r"\w+", imported))}
    paths = {f"{name.replace('.', '/')}{end}" for name in names for end in (".py", "/__init__.py")}
    return {path for path in paths if (ROOT / path).is_file()}

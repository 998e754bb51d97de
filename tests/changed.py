"""Check what a change concerns, in about a minute, and say what a reviewer would ask.

python -m tests.changed [BASE]

BASE is the revision that you began with, "main" if you leave it out. Run are: ruff and mypy on the changed
files, the tests of the budget and of the public names, and the tests that are changed, use a changed module
or have its name.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.ci.changed import changed_since, with_imports
from tests.project import ROOT

_ALWAYS = [
    "tests/house",
    "tests/test_public_api.py",
    "tests/docs/test_made_tables.py",
    "tests/docs/test_docs_path.py",
]
_NOT_HERE = "not slow and not browser and not site and not cookbook and not agents"
_COMMON_WORDS = {"__init__", "_base", "parts", "values", "words", "kinds"}
"""Names of modules that say nothing about which tests are theirs."""


def concerned(changed: list[str]) -> list[str]:
    """Return the files of tests that are changed, import what is changed, or are those of a module."""
    modules = [path for path in changed if path.startswith("tokenstream/") and path.endswith(".py")]
    found = {test for module in modules for test in files_of(module)}
    helpers = {path for path in changed if path.startswith("tests/")}
    return sorted(found | {test for test in _texts() if not with_imports(test).isdisjoint(helpers)})


def files_of(module: str) -> set[str]:
    """Return the files of tests that name a private module, or have its name or that of a folder above it."""
    path, texts = Path(module).with_suffix(""), _texts()
    name = ".".join(path.parts).removesuffix(".__init__")
    found = {test for test, text in texts.items() if "._" in name and name in text}
    words = {test: {Path(test).stem.removeprefix("test_"), *Path(test).parts[1:-1]} for test in texts}
    for part in reversed(path.parts[1:]):
        named = {test for test in texts if part.strip("_") in words[test] and part not in _COMMON_WORDS}
        if named:
            return found | named
    return found


@cache
def _texts() -> dict[str, str]:
    tests = (ROOT / "tests").rglob("test_*.py")
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in tests}


def questions(changed: list[str]) -> Iterator[str]:
    """Yield what a reviewer asks about a change with these files."""
    package = any(path.startswith("tokenstream/") for path in changed)
    if package and not any(path.startswith("tests/") for path in changed):
        yield "No test has changed: which one shows the user's need, and fails without your change?"
    if package and "CHANGELOG.md" not in changed:
        yield "CHANGELOG.md has no line about it: does no user notice?"
    if package and not any(path.startswith(("docs/", "README")) for path in changed):
        yield "No page has changed: does each sentence of docs about this still hold?"
    if any(path.startswith("docs/reports/") for path in changed):
        yield "Tables in docs/reports are written at a release: is yours a page that people write?"


def main() -> int:
    """Run the checks, print the questions; return the exit status."""
    base = sys.argv[1] if len(sys.argv) > 1 else "main"
    changed = changed_since(base)
    files = [path for path in changed if path.endswith(".py") and "/_data/" not in path]
    tests = concerned(changed)
    sys.stdout.write(f"{len(changed)} files differ from {base}; {len(tests)} files of tests concern them\n")
    steps = (
        [["ruff", "check", *files], ["ruff", "format", "--check", *files], ["mypy", *files]] if files else []
    )
    steps.append(["pytest", "-q", "-m", _NOT_HERE, *_ALWAYS, *tests])
    failed = []
    for step in steps:
        sys.stdout.write(f"--- {' '.join(step[:2])}\n")
        sys.stdout.flush()
        if subprocess.run([sys.executable, "-m", *step], cwd=ROOT, check=False).returncode:
            failed.append(step[0])
    sys.stdout.writelines(f"A reviewer will ask: {question}\n" for question in questions(changed))
    if failed:
        sys.stdout.write(f"Not passed: {', '.join(dict.fromkeys(failed))}\n")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

"""The programs of the README and of docs/quickstarts.md have no fault for a type checker, as they stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokenstream
from tests.docs_pages import blocks
from tests.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.slow
_SOURCES = Path(tokenstream.__file__).parents[1]
_CHECKERS: dict[str, list[str]] = {
    "mypy": ["--strict", "--config-file=", "--cache-dir=cache", "."],
    "pyright": ["--project", "pyrightconfig.json"],
}


def _programs() -> dict[str, str]:
    """Return each quickstart, the README's first program, and its twelve tasks, which are one program."""
    quickstarts = (ROOT / "docs" / "quickstarts.md").read_text(encoding="utf-8")
    programs = {f"quickstart_{block.line}.py": block.code for block in blocks(quickstarts, "python")}
    first, *tasks = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    return {**programs, "readme.py": first.code, "tasks.py": "\n".join(task.code for task in tasks)}


def _check(checker: str, programs: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a type checker on programs, with the options of one who has none of their own but "strict"."""
    pytest.importorskip(checker, reason=f'needs {checker}, which `pip install ".[lint]"` installs')
    for name, code in programs.items():
        (folder / name).write_text(code, encoding="utf-8")
    settings = {"pythonVersion": "3.11"}
    is_installed = "site-packages" in _SOURCES.parts
    beside = {} if is_installed else {"extraPaths": [str(_SOURCES)]}
    (folder / "pyrightconfig.json").write_text(json.dumps({**settings, **beside}), encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", checker, *_CHECKERS[checker]],
        cwd=folder,
        env={**os.environ, "MYPYPATH": "" if is_installed else str(_SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("checker", _CHECKERS)
def test_a_type_checker_finds_no_fault_in_the_programs(checker: str, tmp_path: Path) -> None:
    """A newcomer pastes a program into an editor that checks types."""
    programs = _programs()
    checked = _check(checker, programs, tmp_path)

    assert len(programs) > 12
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("checker", _CHECKERS)
def test_a_type_checker_finds_a_word_that_usage_does_not_have(checker: str, tmp_path: Path) -> None:
    """The checker sees the library's types, so that the test above means something."""
    code = "from tokenstream import Message\nprint(Message().usage.output_token)\n"
    checked = _check(checker, {"misspelt.py": code}, tmp_path)

    assert checked.returncode != 0
    assert "output_token" in checked.stdout

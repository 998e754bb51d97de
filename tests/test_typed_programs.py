"""The programs of README.md, docs/index.md and docs/quickstarts.md have no fault for a type checker.

They are checked as they stand, but for blocks with `await` at their top, which stand in a function as in a
program of the reader's: each is made the body of one.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tokenstream
from tests.docs_pages import Block, blocks
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
    """Return each quickstart, the README's program, and the first page, which is one program."""
    quickstarts = (ROOT / "docs" / "quickstarts.md").read_text(encoding="utf-8")
    programs = {f"quickstart_{block.line}.py": block.code for block in blocks(quickstarts, "python")}
    for name, page in {"readme.py": "README.md", "first_page.py": "docs/index.md"}.items():
        text = (ROOT / page).read_text(encoding="utf-8")
        programs[name] = "\n".join(map(_as_statements, blocks(text, "python")))
    return programs


def _as_statements(block: Block) -> str:
    """Return the code of a block, in a function if it awaits outside of one."""
    compiled = compile(block.code, "<block>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if not compiled.co_flags & inspect.CO_COROUTINE:
        return block.code
    return f"async def line_{block.line}() -> None:\n{textwrap.indent(block.code, '    ')}"


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

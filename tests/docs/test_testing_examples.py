"""The tests that the pages on testing show are real files that pass, and short beside their counterparts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import blocks
from tests.project import ROOT
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import testing
from tokenstream.testing import faults

pytestmark = pytest.mark.not_quick

_FOLDER = ROOT / "examples" / "testing"
_FILES = sorted(_FOLDER.glob("*.py"))
_PAIRS = {
    "test_tool_call.py": "test_tool_call_with_respx.py",
    "test_openai.py": "test_openai_with_mocks.py",
    "test_broken.py": "test_broken_with_respx.py",
}
"""Each test, and the same one as it is written without this library."""


@pytest.mark.slow
def test_the_tests_that_the_page_shows_pass() -> None:
    needed("openai")
    # Loading what else is installed takes longer than the tests do, and none of them needs it.
    plain = ["-q", "-p", "no:cacheprovider", "-p", "tokenstream.testing._pytest.entry", "-c", os.devnull]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", *plain, str(_FOLDER)],
        cwd=_FOLDER,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr), done.stdout


@in_one_test("file", _FILES, ids=lambda file: file.name)
def test_a_page_shows_the_file_as_it_is(file: Path) -> None:
    """Nobody reads another test than the one that was run."""
    pages = [ROOT / "docs" / "guides" / name for name in ("testing.md", "testing/details.md")]
    shown = f"# {file.relative_to(ROOT).as_posix()}\n{file.read_text(encoding='utf-8')}"

    assert shown in [block.code for page in pages for block in blocks(page.read_text(encoding="utf-8"), "py")]


@pytest.mark.parametrize(("ours", "theirs"), _PAIRS.items())
def test_the_honest_test_is_the_shorter_one(ours: str, theirs: str) -> None:
    """Less than two thirds of the lines, and of the characters, of the same test by other means."""
    mine, other = ((_FOLDER / name).read_text(encoding="utf-8") for name in (ours, theirs))

    assert 3 * len(mine.splitlines()) < 2 * len(other.splitlines())
    assert 3 * len(mine) < 2 * len(other)


_PLAYS = {"astream", "chunks", "events", "formats", "message", "messages", "recording", "stream"}
"""What a script has besides its steps."""


def test_the_page_lists_the_steps_of_a_script_and_the_faults() -> None:
    page = (ROOT / "docs" / "guides" / "testing" / "details.md").read_text(encoding="utf-8")
    steps = {name for name in dir(testing.script()) if not name.startswith("_")} - _PLAYS

    assert steps == _first_cells(page, "| method | effect |")
    assert set(faults.__all__) - {"Fault", "combined"} == _first_cells(page, "| fault | effect |")


def _first_cells(page: str, head: str) -> set[str]:
    tables = [part.partition("\n\n")[0] for part in page.split(head)[1:]]
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()[2:]]
    return {name for cell in cells for name in re.findall(r"`(\w+)", cell)}

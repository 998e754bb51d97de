"""The programs of README.md and of the documentation have no fault for a type checker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs_pages import PAGES
from tests.typed_pages import CHECKERS, check, programs_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_finds_no_fault_in_the_programs(checker: str, tmp_path: Path) -> None:
    """A newcomer pastes a program into an editor that checks types."""
    pytest.importorskip(checker, reason=f'needs {checker}, which `pip install ".[lint]"` installs')
    programs = programs_of(PAGES)
    checked = check(checker, programs, tmp_path)

    assert programs
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_finds_a_word_that_usage_does_not_have(checker: str, tmp_path: Path) -> None:
    """The checker sees the library's types, so that the test above means something."""
    pytest.importorskip(checker, reason=f'needs {checker}, which `pip install ".[lint]"` installs')
    code = "from tokenstream import Message\nprint(Message().usage.output_token)\n"
    checked = check(checker, {"misspelt.py": code}, tmp_path)

    assert checked.returncode != 0
    assert "output_token" in checked.stdout

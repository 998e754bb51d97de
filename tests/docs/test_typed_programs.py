"""The programs of README.md and of the documentation have no fault for a type checker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import PAGES
from tests.docs.typed_pages import CHECKERS, check, programs_of

pytestmark = pytest.mark.slow


_MISSPELT = "from tokenstream import Message\nprint(Message().usage.output_token)\n"


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_finds_no_fault_in_the_programs(checker: str, tmp_path: Path) -> None:
    """A newcomer pastes a program into an editor that checks types.

    The checker sees the library's types: it finds a word that usage does not have.
    """
    pytest.importorskip(checker, reason=f'needs {checker}, which `pip install ".[lint]"` installs')
    programs = programs_of(PAGES, checker)
    checked = check(checker, {**programs, "misspelt.py": _MISSPELT}, tmp_path)
    faults = [line for line in checked.stdout.splitlines() if "error: " in line]

    assert programs
    assert len(faults) == 1, checked.stdout + checked.stderr
    assert "misspelt.py" in faults[0]
    assert "output_token" in faults[0]

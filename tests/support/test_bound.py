"""A test that costs more than it may fails, with the figure and the ways out."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_TESTS = """
import pytest

def test_dear():
    sum(range(10_000_000))

@pytest.mark.slow
def test_slow():
    sum(range(10_000_000))

def test_cheap():
    pass
"""


@pytest.mark.slow
def test_what_costs_too_much_has_to_be_marked_as_slow(tmp_path: Path) -> None:
    """Others pass, and so does a slow one."""
    (tmp_path / "test_it.py").write_text(_TESTS, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.bound", "test_it.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "TOKENSTREAM_MOST_SECONDS": "0.02"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "3 passed" in ran.stdout
    assert "1 error" in ran.stdout
    assert "test_it.py::test_dear takes 0." in ran.stdout
    assert "more than 0.02 s: make it cheaper, or mark it `slow`" in ran.stdout

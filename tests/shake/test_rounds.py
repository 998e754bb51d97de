"""Rounds of tests, and what is told of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.shake.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the rounds start in a moment."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


_FAILS_AT_THE_SECOND_TIME = """
import pathlib

SEEN = pathlib.Path(__file__).with_name("seen")

def test_fails_later():
    seen = SEEN.exists()
    SEEN.touch()
    assert not seen

def test_passes():
    assert True
"""


def test_what_failed_is_reported_with_its_round_and_the_seed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A green round has one line, and the end says how often each test failed."""
    (tmp_path / "test_it.py").write_text(_FAILS_AT_THE_SECOND_TIME, encoding="utf-8")

    status = _shake(tmp_path, "--rounds", "2", "--seed", "5")
    told = capsys.readouterr().out.splitlines()

    assert status == 1
    assert [line.partition(" s: ")[2].partition(" in ")[0] for line in told if line.startswith("round ")] == [
        "2 passed",
        "1 failed, 1 passed",
    ]
    assert [line.partition(", ")[2].partition(",")[0] for line in told if line.startswith("round ")] == [
        "--seed 5",
        "--seed 6",
    ]
    assert told[-1].startswith("1 × ")
    assert told[-1].endswith("test_it.py::test_fails_later")


def test_no_test_begins_when_the_time_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would fail is not seen then."""
    (tmp_path / "test_it.py").write_text("def test_it(): assert False", encoding="utf-8")

    assert _shake(tmp_path, "--rounds", "1", "--minutes", "0") == 0
    assert "no tests ran" in capsys.readouterr().out


def _shake(folder: Path, *options: str) -> int:
    """Shake tests that nothing of the project's settings concerns, in two processes if there are enough."""
    processes = ("-p", "tests.support.forked", "--processes", "2")
    settings = ("-c", os.devnull, "--rootdir", str(folder))
    return main([str(folder), *options, "--busy", "0", "--", *processes, *settings])

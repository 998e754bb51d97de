"""Tests in forked processes: each is run once, and is told as in one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here"),
]

_TESTS = """
import os
import pathlib
import pytest

@pytest.fixture(scope="session", autouse=True)
def noted():
    yield
    pathlib.Path(f"ended-{os.getpid()}").touch()

@pytest.mark.parametrize("number", range(100))
def test_it(number):
    pathlib.Path(f"ran-{number}-{os.getpid()}").touch(exist_ok=False)
    print("said by", number)
    if number == 30:
        pytest.skip("not today")
    assert number not in (7, 70)
"""


def _run(folder: Path, *options: str, tests: str = _TESTS) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "tests.support.forked", *options]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_test_is_run_once_and_told(tmp_path: Path) -> None:
    """Failures have their output, and each process ends the fixtures that it began."""
    done = _run(tmp_path, "--processes", "3")

    assert done.returncode == 1
    assert "2 failed, 97 passed, 1 skipped" in done.stdout
    assert "not today" in done.stdout
    assert re.findall(r"said by (\d+)", done.stdout) in (["7", "70"], ["70", "7"])
    assert {f"ran-{number}" for number in range(100)} == {
        path.name.rpartition("-")[0] for path in tmp_path.glob("ran-*")
    }
    assert len([*tmp_path.glob("ran-*")]) == 100
    assert len([*tmp_path.glob("ended-*")]) == 3


def test_the_first_failure_ends_all_processes_if_that_is_asked_for(tmp_path: Path) -> None:
    """As `-x` does in one process."""
    done = _run(tmp_path, "--processes", "3", "-x")

    assert done.returncode == 1
    assert "stopping after 1 failures" in done.stdout


def test_a_process_that_dies_is_told_with_the_test_that_it_ran(tmp_path: Path) -> None:
    """What the others have found is told, too."""
    done = _run(
        tmp_path, "--processes", "2", tests=_TESTS.replace("== 30", "== 30: os._exit(5)\n    if number == -1")
    )

    assert done.returncode == 3
    assert "a process died in test_it.py::test_it[30]" in done.stdout

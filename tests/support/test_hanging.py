"""What is said of a test that hangs: the tasks of its loop, and the lines at which they wait."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_HANGS = """
import asyncio

async def never():
    await asyncio.Event().wait()

def test_that_hangs():
    asyncio.run(never())
"""


@pytest.mark.slow
def test_the_report_of_a_test_that_hangs_names_it_and_what_waits(tmp_path: Path) -> None:
    hanging = tmp_path / "test_it.py"
    hanging.write_text(_HANGS)
    options: list[Any] = [
        "-p",
        "tests.support.hanging",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--timeout",
        "1",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(hanging)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert "test_that_hangs hangs." in done.stdout
    assert " in never\n" in done.stdout

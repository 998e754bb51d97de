"""The example of an answer that is stopped early asks again, and is paid for no word more than it shows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT


@pytest.mark.slow
def test_the_wrong_turn_is_left_after_twelve_words_and_the_better_request_is_answered() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "refine.py")],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    first, answered, stopped, second, metal, complete = (line.strip() for line in done.stdout.splitlines())

    assert ("? When does mercury melt?", "[stopped after 12 words]") == (first, stopped)
    assert answered.startswith("Mercury is the planet")
    assert f"{first} I meant the metal, not the planet." == second
    assert metal.startswith("Mercury melts at 38.8 degrees")
    assert "[complete after 20 words]" == complete

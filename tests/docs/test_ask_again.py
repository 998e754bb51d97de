"""examples/ask_again.py asks a second time, and says why."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

from tests.project import ROOT

if TYPE_CHECKING:
    import pytest


def test_the_model_is_told_what_was_wrong_and_writes_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "ask_again.py"), run_name="__main__")
    printed = capsys.readouterr().out.splitlines()

    assert "The output is not valid:" == printed[0]
    assert printed[1].startswith("- minutes: should be a valid integer")
    assert printed[1].endswith(', not "a few"')
    assert "Tea: 5 minutes, after 2 requests" == printed[-1]

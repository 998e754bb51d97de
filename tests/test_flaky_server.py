"""The example of an answer that survives three cuts prints it once."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT

_NOTE = re.compile(r"\n  \[(\w+): asking again in \d\.\d s\](?=\n)")


@pytest.mark.slow
def test_the_text_is_printed_once_and_each_cut_has_its_line() -> None:
    """Taking the three lines away leaves the text as it was said."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "flaky_server.py")],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    shown, _, reports = done.stdout.partition("\n\nattempt 1, ")
    said = " ".join(_NOTE.sub("", shown).split())

    assert ["StreamInterrupted", "StreamTruncated", "StatusError"] == _NOTE.findall(shown)
    assert said.startswith("A river does not mind a stone. It parts, goes around on both sides, and")
    assert said.endswith("hears nothing of the stone at all.")
    assert 1 == said.count("river does") == said.count("both sides")
    assert "ending: complete; each word came once: True" == reports.splitlines()[-1]
    assert "attempt 4, " in reports

"""The example of an answer that breaks off prints it once and whole, in each of the three ways to go on."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.project import PACKAGE, ROOT

_NOTE = re.compile(r"\n  \[(\w+): (\w+) in \d\.\d s\]")


@pytest.mark.slow
def test_the_text_is_printed_once_and_each_break_has_its_line() -> None:
    """Taking the lines away leaves the text as it was said, three times."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "flaky_server.py")],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    modes = re.split(r"^--- (\w+)\n", done.stdout, flags=re.MULTILINE)[1:]
    shown = dict(zip(modes[::2], modes[1::2], strict=True))

    assert {
        "resume": [("StreamTruncated", "resume")],
        "continue": [("StreamTruncated", "continue")],
        "restart": [("StreamInterrupted", "restart"), ("StatusError", "restart")],
    } == {mode: _NOTE.findall(told) for mode, told in shown.items()}
    for mode, told in shown.items():
        said, _, report = _NOTE.sub("", told).strip().rpartition("\n")
        assert said.startswith("A river does not mind a stone. It parts, goes around on both sides, and"), (
            mode
        )
        assert said.endswith("hears nothing of the stone at all. "), mode
        assert 1 == said.count("river does") == said.count("both sides"), mode
        assert report.endswith("complete; each word came once: True"), mode

"""A program of the cookbook that runs in an emulated terminal, so that a test sees what a user sees."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cookbook.programs import environment, write_program
from tests.support.terminals import Terminal


class Watched:
    """A running program and its terminal.

    Args:
        keyboard: The terminal's end that the user has.
    """

    def __init__(self, process: subprocess.Popen[bytes], keyboard: int) -> None:
        self.process = process
        self._keyboard = keyboard
        self._terminal = Terminal(80, 24)

    def type(self, text: str) -> None:
        os.write(self._keyboard, text.encode())

    def see(self, text: str) -> str:
        """Wait until the terminal shows a text, and return its rows."""
        due = time.monotonic() + 20
        while text not in (rows := "\n".join(self._terminal.texts)):
            assert time.monotonic() < due, rows
            if select.select([self._keyboard], [], [], 0.1)[0]:
                try:
                    written = os.read(self._keyboard, 65_536)
                except OSError:  # Linux reports the program's end like this.
                    pytest.fail(f"the program ended:\n{rows}")
                self._terminal.feed(written.decode("utf-8", "ignore"))
        return rows


@contextmanager
def watch_program(recipe: str, folder: Path, *arguments: str, **variables: str) -> Generator[Watched]:
    """Run a page's program in a terminal of 80 columns."""
    if os.name != "posix":
        pytest.skip("Windows has no such terminals")
    ours, theirs = os.openpty()
    command = [sys.executable, str(write_program(recipe, folder)), *arguments]
    sizes = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, cwd=folder, env=environment(**sizes, **variables), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            yield Watched(process, ours)
        finally:
            process.kill()
            os.close(ours)

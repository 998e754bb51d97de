"""The same in tmux, a terminal that nobody here wrote: it wraps rows anew, and keeps a scrollback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.support.timing import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, which systems' packages bring"),
]

_PLAYER = """
import os, pathlib, sys, time
from tests.terminal.blocks import ANSWER, blocks_of
from tokenstream.terminal import MarkdownPrinter

told, asked = (pathlib.Path(name) for name in sys.argv[1:])
with MarkdownPrinter() as printer:
    for number, block in enumerate(blocks_of(ANSWER, 6)):
        printer.show(block)
        if number % 11 == 10:
            # tmux has read all of it by then.
            time.sleep(0.05)
            told.write_text(str(number))
            while f"{number} {tuple(os.get_terminal_size())}" != asked.read_text():
                time.sleep(0.01)
told.write_text("all")
time.sleep(60)
"""
_SEEN_ONCE = (
    *("Cafés in", "Two of us", "everything", "naïve", "def café", "first", "second", "third", "2 last"),
    *(f"step({number})" for number in range(15)),
    *("city", "京 0 ", "京 11 ", "It is said", "cold", "The end"),
)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Callable[..., str]]:
    server = str(tmp_path / "server")

    def run(*arguments: str) -> str:
        command = ["tmux", "-S", server, "-f", os.devnull, *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout

    yield run
    run("kill-server")


def test_a_resize_in_tmux_loses_nothing_and_doubles_nothing(tmux: Callable[..., str], tmp_path: Path) -> None:
    """A window is made narrower, wider, lower and higher, also where the environment has another size."""
    told, asked = tmp_path / "told", tmp_path / "asked"
    told.touch()
    asked.touch()
    environment = [f"-ePYTHONPATH={ROOT}", "-ePYTHONUTF8=1", "-eCOLUMNS=80", "-eLINES=24"]
    player = [sys.executable, "-c", _PLAYER, str(told), str(asked)]
    tmux("new-session", "-d", "-x60", "-y12", *environment, *player)
    sizes = cycle([(40, 12), (40, 8), (60, 8), (60, 14), (80, 14), (44, 14), (44, 9), (60, 12)])
    reached = ""
    while reached != "all":
        if (now := told.read_text()) in {"", reached}:
            time.sleep(0.01)
        elif (reached := now) != "all":
            columns, lines = next(sizes)
            tmux("resize-window", f"-x{columns}", f"-y{lines}")
            asked.write_text(f"{reached} {(columns, lines)}")
    wait_for(lambda: "The end" in tmux("capture-pane", "-p", "-S-"))
    tmux("resize-window", "-x80", "-y20")
    shown = tmux("capture-pane", "-p", "-S-")

    assert dict.fromkeys(_SEEN_ONCE, 1) == {words: shown.count(words) for words in _SEEN_ONCE}

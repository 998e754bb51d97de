"""The demo of a coding agent, piped and in a terminal."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest

from tests.cli.commands import RECORDINGS, run
from tests.project import ROOT
from tests.support.packages import needed
from tokenstream.cli import main
from tokenstream.cli._demo import coding as demo_coding
from tokenstream.cli._demo.screen import RichScreen
from tokenstream.testing import faults


@pytest.mark.slow
def test_a_pipe_gets_the_steps_the_tree_and_the_turn() -> None:
    """A line where a step begins and one where it ends; one of the tools fails, and the turn goes on."""
    done = run("demo", "coding", "--fast")
    lines = done.stdout.decode().splitlines()

    assert (0, b"") == (done.returncode, done.stderr)
    assert "claude-code (claude-code) begins" in lines
    assert "  Bash for toolu_1 begins" in lines
    assert "claude-code is done: I will run two commands. It said hello." in lines
    assert any(line.startswith("two commands done ") for line in lines)
    assert any(re.match("   └─ Bash command=.* failed ", line) for line in lines)
    assert ["1", "done", "400", "+", "29", "$0.0016", "It", "said", "hello."] == lines[-1].split()


def test_the_steps_are_shown_while_the_agent_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the agent ends too early, what it has done is shown, and the error."""
    recording = demo_coding.load_run()
    cut = recording.with_fault(faults.cut(at=recording.body.index(b'"tool_result"')))
    monkeypatch.setattr(demo_coding, "load_run", lambda: cut)

    assert 1 == main(["demo", "coding", "--fast"])
    shown = capsys.readouterr().out
    assert "  Bash for toolu_1 begins\n" in shown
    assert "claude-code is failed: StreamTruncated: " in shown
    assert "\nStreamTruncated: claude-code ended without the line that ends a turn" in shown


def test_a_terminal_shows_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree is drawn again with each line of the agent."""
    console: Any = needed("rich.console")
    output = StringIO()
    screen = RichScreen(console.Console(file=output, force_terminal=True, width=100, color_system=None))
    monkeypatch.setattr(demo_coding, "open_screen", lambda: screen)

    assert 0 == demo_coding.run(fast=True)
    shown = output.getvalue()
    assert shown.count("two commands: ") > 10
    assert "… Bash" in shown
    last = shown.rpartition("two commands: ")[2]
    assert "✓ claude-code" in last
    assert "✗ Bash" in last


def test_the_recording_is_that_of_the_real_program() -> None:
    """The demo plays the recording with which the reader of Claude Code is tested."""
    tested = ROOT / "tests/steps/agents/recordings/claude-code-own-two-tools-partial.jsonl"

    assert tested.read_bytes() == (RECORDINGS / "coding" / "claude-code.jsonl").read_bytes()


def test_the_lines_come_one_after_the_other() -> None:
    """Without `--fast`, the demo takes some seconds, and not minutes."""
    times = [at for at, _ in demo_coding.load_run().arrivals]

    assert len(times) > 10
    assert times == sorted(set(times))
    assert 2 < times[-1] < 20

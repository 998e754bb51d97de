"""The demo of a run of agents, piped and in a terminal."""

from __future__ import annotations

import re
import sys
from io import StringIO
from typing import Any

import pytest

from tests.cli.commands import run
from tests.support.packages import needed
from tokenstream.cli import main
from tokenstream.cli._demo import agents as demo_agents
from tokenstream.cli._demo.screen import RichScreen
from tokenstream.testing._serve.server import refusal


@pytest.mark.slow
def test_a_pipe_gets_a_line_where_a_step_begins_and_one_where_it_ends() -> None:
    """With what was said, and the tree at the end."""
    done = run("demo", "agents", "--fast")
    lines = done.stdout.decode().splitlines()
    begun = [line.strip().split()[0] for line in lines if line.endswith(" begins")]

    assert (0, b"") == (done.returncode, done.stderr)
    assert {"plan", "weather", "guide", "get_forecast", "find_museums", "look", "write"} == set(begun)
    assert 2 == begun.count("get_forecast")
    assert "  get_forecast is failed: there is no forecast for Oslo on Sunday yet" in lines
    assert any(re.match(r"├─ weather city=.* \(weather agent\) done", line) for line in lines)


def test_two_agents_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins before the first has ended."""
    monkeypatch.setattr(sys, "stdout", output := StringIO())
    assert 0 == main(["demo", "agents", "--fast"])
    shown = output.getvalue()

    assert max(shown.index("weather (weather agent)"), shown.index("guide (guide agent)")) < min(
        shown.index("\nweather is done"), shown.index("\nguide is done")
    )


@pytest.mark.slow
def test_a_terminal_shows_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn again and again, each step with what it says."""
    console: Any = needed("rich.console")
    output = StringIO()
    screen = RichScreen(console.Console(file=output, force_terminal=True, width=100, color_system=None))
    monkeypatch.setattr(demo_agents, "open_screen", lambda: screen)

    assert 0 == demo_agents.run(fast=True)
    last = output.getvalue().rpartition("a weekend in Oslo: ")[2]
    assert "✗ get_forecast" in last
    assert "✓ weather (weather agent)" in last
    assert "it is dry in a ship." in last


def test_a_run_whose_server_fails_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the step that has met it; the exit status is 1."""
    monkeypatch.setattr(demo_agents, "reply_of", lambda *_, **__: refusal(400, "out of order"))

    assert 1 == main(["demo", "agents", "--fast"])
    assert "plan is failed: StatusError: " in capsys.readouterr().out


def test_an_output_that_fails_ends_the_run_with_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in `… demo agents | head -5`, which is told as for any other command."""

    class Closed(StringIO):
        def write(self, text: str, /) -> int:
            if "begins" in text:
                raise BrokenPipeError
            return super().write(text)

    monkeypatch.setattr(sys, "stdout", Closed())

    with pytest.raises(BrokenPipeError):
        demo_agents.run(fast=True)


def test_the_demo_of_agents_takes_less_than_fifteen_seconds() -> None:
    """The pauses that the server makes, two agents at once, are about seven."""
    pauses = {
        name: sum(delay for delay, _ in demo_agents.reply_of(name, fast=False).chunks)
        for name in ("plan", "weather-1", "weather-2", "guide-1", "guide-2", "write")
    }

    assert sum(pauses.values()) < 15

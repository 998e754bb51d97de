"""A process is killed between the start of a call, its effect and its end: it has no second effect."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.call_store.places import flushed
from tests.project import ROOT
from tests.support.redis_servers import RedisServer, server

__all__ = ["server"]

BOOKED = ["booked 12", "booked 12", "booked 13"]
UNKNOWN = "It is not know"


def run(server: RedisServer, effects: Path, place: str) -> tuple[int, list[str]]:
    """Run a process to its end, and return its status and what came of each call."""
    program = [sys.executable, "-m", "tests.call_store.killed", server.path, str(effects), place]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "effects_of_first", "then"),
    [
        pytest.param("before begin", [], BOOKED, marks=pytest.mark.slow),
        ("after begin", [], [UNKNOWN, *BOOKED[1:]]),
        pytest.param("before the effect", [], [UNKNOWN, *BOOKED[1:]], marks=pytest.mark.slow),
        pytest.param("after the effect", ["12"], [UNKNOWN, *BOOKED[1:]], marks=pytest.mark.slow),
        ("before finish", ["12"], [UNKNOWN, *BOOKED[1:]]),
        pytest.param("after finish", ["12"], BOOKED, marks=pytest.mark.slow),
    ],
)
def test_a_call_of_a_killed_process_has_no_second_effect(
    server: RedisServer, tmp_path: Path, place: str, effects_of_first: list[str], then: list[str]
) -> None:
    """Before the call began, or after its end, the next process knows all; between them, it says so."""
    effects = tmp_path / "effects"
    effects.touch()
    with flushed(server):
        status, _ = run(server, effects, place)
        assert -signal.SIGKILL == status
        assert effects_of_first == effects.read_text().split()
        time.sleep(0.3)

        assert (0, then) == run(server, effects, "nowhere")
        assert (0, then) == run(server, effects, "nowhere")

    # The first call has had its effect, or it is the one that nobody knows about.
    first = ["12"] if then == BOOKED or effects_of_first else []
    assert [*first, "12", "13"] == effects.read_text().split()

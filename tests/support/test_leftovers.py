"""Things that a test leaves behind are told at that test, with the place where it made them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.project import ROOT
from tests.support.leftovers import left_behind

if TYPE_CHECKING:
    from pathlib import Path

_LEAVES = """
import socket

import pytest

from tests.support import leftovers

leftovers._SECONDS = 0.01
kept = []

@pytest.fixture(scope="module")
def shared():
    kept.append(socket.socket())
    yield
    kept[0].close()

def test_that_shares(shared):
    pass

def test_that_leaves(shared):
    kept.append(socket.socket())

def test_that_closes_what_was_left():
    kept.pop().close()

def test_that_fails():
    kept.append(socket.socket())
    assert False

@getattr(pytest.mark, "cook" + "book")
def test_that_runs_another_program():
    kept.append(socket.socket())

@pytest.mark.leaves_behind("so that another test finds it")
def test_on_purpose():
    kept.append(socket.socket())

@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_that_leaves_garbage():
    circle = [socket.socket()]
    circle.append(circle)
"""


def test_a_socket_is_reported_until_it_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        [told] = left_behind(0)

    assert "an open socket, made in tests/support/test_leftovers.py:" in told
    assert left_behind(0) == []


def test_a_thread_is_reported_until_it_has_ended() -> None:
    go_on = threading.Event()
    thread = threading.Thread(target=lambda: go_on.wait(30), name="lasting")
    thread.start()
    [told] = left_behind(0)
    go_on.set()

    assert "the thread lasting, in tests/support/test_leftovers.py:" in told
    assert left_behind(30) == []


def test_a_child_is_reported_until_it_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        [told] = left_behind(0)

    assert f"the process {child.pid}, started in tests/support/test_leftovers.py:" in told
    assert left_behind(30) == []


def test_a_loop_is_reported_until_it_is_closed_and_its_tasks_even_then() -> None:
    """Nothing runs them any more, and what they hold stays open."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(60), name="waiting")
    assert any("an open event loop" in each for each in left_behind(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    [told] = left_behind(0)
    assert "a task of a closed event loop" in told
    assert "name='waiting'" in told
    del task, loop


@pytest.mark.slow
@pytest.mark.parametrize("asked", [False, True], ids=["always", "asked"])
def test_the_test_that_leaves_something_is_the_one_that_fails(tmp_path: Path, *, asked: bool) -> None:
    """A shared fixture may keep things, a test may do so on purpose, and one that fails is told only once.

    Tests of other programs fail only where that is asked for.
    """
    leaving = tmp_path / "test_it.py"
    leaving.write_text(_LEAVES)
    environment = {name: value for name, value in os.environ.items() if name != "TOKENSTREAM_LEFTOVERS"}
    if asked:
        environment["TOKENSTREAM_LEFTOVERS"] = "1"
    options = ["-p", "tests.support.leftovers", "-p", "no:cacheprovider", "-c", "/dev/null", "-rA"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(leaving)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    words = [line.split() for line in done.stdout.splitlines() if line.startswith(("ERROR ", "FAILED "))]

    other = {("ERROR", "test_that_runs_another_program")} if asked else set[tuple[str, str]]()
    assert {(word, test.rpartition("::")[2]) for word, test, *_ in words} == {
        ("ERROR", "test_that_leaves"),
        ("FAILED", "test_that_fails"),
        *other,
    }
    # The summary may tell it once more.
    told, _, _ = done.stdout.partition("short test summary info")
    assert told.count("The test leaves behind:\n  an open socket") == 1 + asked

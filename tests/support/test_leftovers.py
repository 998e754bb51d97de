"""Things that a test leaves behind are told at that test, with the place where it made them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading

from tests.support.leftovers import left_behind


def test_a_socket_is_reported_until_it_is_closed() -> None:
    """The line is the one that made it, although a class of Python's library has made the object."""
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

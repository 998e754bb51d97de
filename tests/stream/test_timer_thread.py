"""One thread makes the timed calls of all streams of a process, and ends when there are none left."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.stream.bodies import chunk
from tests.support.loopback import LAST_CHUNK, Loopback, chunked_head, http_chunk
from tests.support.timing import PATIENCE, wait_for
from tests.support.wire import DONE
from tokenstream import connect
from tokenstream.limits import Deadlines
from tokenstream.stream._reading import wake
from tokenstream.stream._reading.wake import TimerThread

_LATER = 3_600.0
"""Seconds that no test waits for."""


def _threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "tokenstream-timers"}


@pytest.fixture
def set_call() -> Callable[[float, Callable[[], object]], Any]:
    """Set a call of a thread that ends at once if nothing is left to do."""
    return TimerThread(idle=0.0).set


def test_calls_are_made_at_their_times(set_call: Any) -> None:
    made, last = list[str](), threading.Event()
    later = set_call(_LATER, lambda: made.append("later"))
    set_call(0.0, lambda: made.append("first"))
    wait_for(lambda: made == ["first"])
    set_call(0.0, last.set)

    assert last.wait(PATIENCE)
    assert (made, later.was_made) == (["first"], False)
    later.cancel()


@pytest.mark.parametrize("seconds", [_LATER, 5.0])
def test_the_thread_is_woken_only_for_a_call_before_its_next_look(seconds: float) -> None:
    """A process with many short answers sets and cancels calls: far ones, and one of seconds at each end."""
    timers = TimerThread()
    told: list[str] = []
    condition = vars(TimerThread)["_changed"].__get__(timers)
    wait, notify = condition.wait, condition.notify

    def note_wait(seconds: float | None = None) -> Any:
        told.append("waits")
        return wait(seconds)

    def note_notify() -> None:
        told.append("is woken")
        notify()

    condition.wait, condition.notify = note_wait, note_notify
    timers.set(seconds, lambda: None).cancel()
    wait_for(lambda: told == ["waits"])
    for _ in range(100):
        timers.set(seconds, lambda: None).cancel()
    made = threading.Event()
    timers.set(0.05, made.set)

    assert made.wait(PATIENCE)
    assert told[:3] == ["waits", "is woken", "waits"]


def test_a_cancelled_call_is_never_made(set_call: Any) -> None:
    made, last = list[str](), threading.Event()
    held, gate = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(PATIENCE)

    set_call(0.0, hold)
    assert held.wait(PATIENCE)
    due = set_call(0.0, lambda: made.append("due"))
    due.cancel()
    set_call(0.0, last.set)
    gate.set()

    assert last.wait(PATIENCE)
    assert (made, due.was_made, due.is_over) == ([], False, True)


def test_a_call_that_has_begun_is_waited_for() -> None:
    timers = TimerThread(idle=0.0)
    begun, gate, order = threading.Event(), threading.Event(), list[str]()

    def call() -> None:
        begun.set()
        gate.wait(PATIENCE)
        order.append("called")

    timed = timers.set(0.0, call)
    assert begun.wait(PATIENCE)

    def cancel() -> None:
        timed.cancel()
        order.append("cancelled")

    canceller = threading.Thread(target=cancel)
    canceller.start()
    gate.set()
    canceller.join(PATIENCE)

    assert ["called", "cancelled"] == order
    assert timed.was_made


def test_many_calls_take_one_thread_which_then_ends(set_call: Any) -> None:
    before, seen, made = _threads(), set[threading.Thread](), list[int]()

    def call(number: int) -> None:
        seen.update(_threads() - before)
        made.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: set_call(0.0, lambda: call(number)), range(200)))
    wait_for(lambda: len(made) == 200)
    wait_for(lambda: not _threads() - before)

    assert sorted(made) == [*range(200)]
    # A thread that has ended is followed by another one, never joined by it.
    assert all(not thread.is_alive() for thread in seen)


def test_cancelled_calls_do_not_pile_up() -> None:
    timers = TimerThread()
    for _ in range(1_000):
        timers.set(_LATER, lambda: None).cancel()

    assert len(timers) <= 64


def test_a_call_that_raises_stops_no_other(set_call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told, last = list[Any](), threading.Event()
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail() -> None:
        raise ValueError("a call of mine")

    set_call(0.0, fail)
    set_call(0.0, last.set)

    assert last.wait(PATIENCE)
    assert ["a call of mine"] == [str(each.exc_value) for each in told]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")
def test_a_forked_process_has_its_own_thread_and_no_call_of_its_parent() -> None:
    """A fork takes only the thread that forks: the child waits for no other and does no work of theirs."""
    timers, made = TimerThread(), list[int]()
    of_parent = timers.set(_LATER, lambda: made.append(1))
    process = os.fork()
    if process == 0:
        status = 1
        try:
            called = threading.Event()
            timers.set(0.0, called.set)
            status = 0 if called.wait(PATIENCE) and len(timers) == 0 else 2
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)

    assert os.waitstatus_to_exitcode(ended) == 0
    assert len(timers) == 1
    of_parent.cancel()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(wake, "timers", TimerThread())
    started, start = list[str](), threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    return started


def test_an_answer_of_a_transport_in_memory_needs_no_thread(started: list[str]) -> None:
    """No connection is there to shut down if a read takes too long."""
    content = [chunk({"content": "Hi"}, "stop"), DONE]
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=iter(content)))
    with httpx.Client(transport=transport) as client, connect("http://x.test", client=client) as stream:
        assert stream.final().text == "Hi"

    assert [] == started


def test_requests_with_a_deadline_share_one_thread(started: list[str]) -> None:
    body = [chunked_head(), http_chunk(chunk({"content": "Hi"}, "stop")), http_chunk(DONE), LAST_CHUNK]
    with Loopback(body, body, body) as server:
        for _ in range(3):
            with connect(server.url, json={}, deadlines=Deadlines(first_event=60.0)) as stream:
                assert stream.final().text == "Hi"

    assert 1 == started.count("tokenstream-timers")

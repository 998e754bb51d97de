"""A test that leaves something behind fails itself, and not a later one that it is in the way of.

Left behind is what the test has made and what lives on after its fixtures: sockets and event loops that are
open, tasks that are pending, threads and children that run. What goes away by itself gets time to do so.
Fixtures of modules and of the session may keep what they make.

Nothing is searched for: what is made is noted as it is made, and a test that has made nothing costs a few
microseconds. Only where something is open does the garbage collector look for what nobody can close any more:
it warns, and the warning fails the test as any other, unless the test expects it.

A test that leaves something on purpose is marked `leaves_behind`, with the reason. Those of browsers,
programs and frameworks, which keep connections and threads for later, may leave something, unless
TOKENSTREAM_LEFTOVERS is set, as the lane of shaken tests does.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from functools import wraps
from types import FrameType
from typing import Any, NamedTuple

import pytest

from tests.project import ROOT

_SECONDS = 10.0
"""Seconds for what is about to end by itself, as a thread that has been told to."""
_MAY_LEAVE = ("agents", "browser", "cookbook", "site")
"""Marks of tests that may leave something."""
_CACHED = ("Trio thread ", "litellm-logging_", "tokenstream-timers")
"""The beginnings of the names of threads that a library keeps for later, and that end by themselves."""


class _Made(NamedTuple):
    """An object that may be left behind."""

    reference: Callable[[], Any]
    place: str


_made: list[_Made] = []
"""The sockets, loops and children that the test has made."""
_known: set[threading.Thread] = set()
"""The threads that began before the test, or in a fixture that lives longer."""
_failed: set[str] = set()
"""The test if it has failed: what it leaves then is a consequence."""


def pytest_configure(config: pytest.Config) -> None:
    """Note what is made from now on."""
    config.addinivalue_line("markers", "leaves_behind(reason): leaves something behind on purpose")
    for kind in (socket.socket, subprocess.Popen, asyncio.BaseEventLoop):
        _note_each(kind)


def _note_each(kind: type[Any]) -> None:
    """Note each object of a class as it is made."""
    make = kind.__init__

    @wraps(make)
    def make_noted(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        _made.append(_Made(weakref.ref(self), _place_of(sys._getframe(1))))  # noqa: SLF001 - as `inspect` does

    kind.__init__ = make_noted


def _place_of(frame: FrameType | None) -> str:
    """Return the innermost line of the project among a frame and those that have called it."""
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_SOURCES):
            return f"{file.removeprefix(_ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "outside of the project"


_ROOT = f"{ROOT}/"
_SOURCES = (f"{_ROOT}tests/", f"{_ROOT}tokenstream/")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin to note what is of this test."""
    _made.clear()
    _failed.clear()
    _known.clear()
    _known.update(threading.enumerate())


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    """Let a fixture that several tests share keep what it makes."""
    if fixturedef.scope == "function":
        return (yield)
    count, threads = len(_made), {*threading.enumerate()}
    try:
        return (yield)
    finally:
        del _made[count:]
        _known.update({*threading.enumerate()} - threads)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        _failed.add(item.nodeid)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has left something behind."""
    result = yield
    is_looked_for = "TOKENSTREAM_LEFTOVERS" in os.environ or not _may_leave(item)
    if is_looked_for and not _failed and item.get_closest_marker("leaves_behind") is None:
        left = left_behind(_SECONDS)
        if left:
            pytest.fail("\n".join(["The test leaves behind:", *left]), pytrace=False)
    return result


def _may_leave(item: pytest.Item) -> bool:
    """Return True for a test that may leave something, unless all are asked."""
    is_marked = any(item.get_closest_marker(name) for name in _MAY_LEAVE)
    return is_marked or item.path.is_relative_to(ROOT / "tests" / "compare" / "frameworks")


def left_behind(seconds: float) -> list[str]:
    """Return what the test has made and not ended, with the places where it was made.

    Args:
        seconds: The longest wait for what ends by itself.
    """
    due = time.monotonic() + seconds
    is_collected = False
    while left := [*_what_is_left()]:
        if not is_collected and not _new_threads():
            gc.collect()
            is_collected = True
        elif time.monotonic() > due:
            break
        else:
            time.sleep(0.002)
    return left


def _what_is_left() -> Iterator[str]:
    for thread in _new_threads():
        frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - nothing else tells where it is
        yield f"  the thread {thread.name}, in {_place_of(frame)}"
    for reference, place in _made:
        match reference():
            case socket.socket() as each if each.fileno() != -1:
                yield f"  an open socket, made in {place}: {each!r}"
            case subprocess.Popen() as child if child.poll() is None:
                yield f"  the process {child.pid}, started in {place}: {child.args!r:.200}"
            case asyncio.BaseEventLoop() as loop if not loop.is_closed():
                yield f"  an open event loop, made in {place}"
            case asyncio.BaseEventLoop() as loop:
                for task in asyncio.all_tasks(loop):
                    yield f"  a task of a closed event loop, made in {place}: {task!r:.400}"
            case _:
                pass


def _new_threads() -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in _known and not thread.name.startswith(_CACHED)
    ]

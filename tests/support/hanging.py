"""A test that hangs says which task waits where: pytest-timeout itself shows threads, and an idle loop."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Generator, Iterator
from types import FrameType
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item) -> Generator[None, object, object]:
    """Print what the tasks wait for, before pytest-timeout prints the threads and fails the test."""
    result = yield
    fail = signal.getsignal(signal.SIGALRM)
    if callable(fail):

        def tell(number: int, frame: FrameType | None) -> None:
            sys.stderr.write("\n".join([f"{item.nodeid} hangs.", *waiting_tasks(), ""]))
            fail(number, frame)

        signal.signal(signal.SIGALRM, tell)
    return result


def waiting_tasks() -> list[str]:
    """Return the tasks of the event loop that runs in this thread, each with the places where it waits."""
    return [line for name, coroutine in [*_of_asyncio(), *_of_trio()] for line in [name, *_places(coroutine)]]


def _of_asyncio() -> Iterator[tuple[str, Any]]:
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:  # no loop runs here
        return
    for task in sorted(tasks, key=lambda task: task.get_name()):
        yield f"asyncio task {task.get_name()}", task.get_coro()


def _of_trio() -> Iterator[tuple[str, Any]]:
    # Where trio runs, it is loaded.
    lowlevel = getattr(sys.modules.get("trio"), "lowlevel", None)
    try:
        left = [lowlevel.current_root_task()] if lowlevel else []
    except RuntimeError:  # no loop runs here
        return
    while left:
        task = left.pop()
        yield f"trio task {task.name}", task.coro
        left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]


def _places(waiting: Any) -> Iterator[str]:
    """Yield the line of each coroutine that another one awaits, the innermost last."""
    while waiting is not None:
        frame = _part(waiting, "frame")
        if frame is not None:
            yield f"  {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
        waiting = _part(waiting, "await") or _part(waiting, "yieldfrom")


def _part(waiting: Any, name: str) -> Any:
    """Return an attribute of a coroutine, or of a generator that serves as one."""
    found = (getattr(waiting, f"{kind}_{name}", None) for kind in ("cr", "ag", "gi"))
    return next((part for part in found if part is not None), None)

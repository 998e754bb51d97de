"""Times of events, on machines that are busy with something else now and then."""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 2.0
"""Seconds within which a stream must do what it is asked, and its server must see it; most take 0.02.

Nothing else in these tests happens before a minute is over, and a busy machine is late.
"""
PATIENCE = 60.0
"""Seconds after which a test stops waiting for what has to happen; less than a test may take."""
_REST = 0.02
"""Seconds for which a thread must be seen to wait."""
_WAITING = frozenset(
    {"__enter__", "get_events", "get_next_frame", "read", "readinto", "recv", "recv_into", "select", "wait"}
)
"""Names of the functions, of Python's library and of clients, in which a thread waits."""


def own_threads() -> set[threading.Thread]:
    """Return the threads that the library runs, but for the one that a process keeps for all timers."""
    names = ("tokenstream ", "replay-")
    return {thread for thread in threading.enumerate() if thread.name.startswith(names)}


class TooLate(AssertionError):
    """Something happened too late: the library is slow, or the machine is busy."""


def at_once(since: float, until: float | None) -> None:
    """Assert that two readings of `time.monotonic()` are at most `AT_ONCE` apart."""
    assert until is not None
    if until - since >= AT_ONCE:
        msg = f"{until - since:.3f} s instead of less than {AT_ONCE:g} s"
        raise TooLate(msg)


def tried_again(test: Callable[P, T]) -> Callable[P, T]:
    """Run a test, also an asynchronous one, up to four times in all if something in it came too late.

    A busy machine is late now and then; a slow library is late each time.
    """
    if inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        async def tried_async(*args: P.args, **options: P.kwargs) -> Any:
            for _ in range(3):
                with contextlib.suppress(TooLate):
                    return await test(*args, **options)
            return await test(*args, **options)

        return cast("Callable[P, T]", tried_async)

    @functools.wraps(test)
    def tried(*args: P.args, **options: P.kwargs) -> T:
        for _ in range(3):
            with contextlib.suppress(TooLate):
                return test(*args, **options)
        return test(*args, **options)

    return tried


def wait_for(
    happened: Callable[[], bool], *, seconds: float = PATIENCE, seen: Callable[[], object] | None = None
) -> None:
    """Poll until another thread or process has made a condition true that nothing reports.

    Args:
        happened: Returns True once the condition holds.
        seconds: Time after which the test fails.
        seen: Returns what there is instead, for the test's report.
    """
    due = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < due, "it did not happen" if seen is None else seen()
        time.sleep(0.002)


def settled(number: Callable[[], int], *, seconds: float = 0.1) -> int:
    """Return a number that other threads count up, once it has stayed the same for some time."""
    due = time.monotonic() + PATIENCE
    seen, since = number(), time.monotonic()
    while time.monotonic() - since < seconds:
        assert time.monotonic() < due, "it goes on"
        time.sleep(0.002)
        if number() != seen:
            seen, since = number(), time.monotonic()
    return seen


def at_rest(thread: threading.Thread) -> None:
    """Return once another thread waits, for bytes, an event or a lock, or has ended.

    One that looks now and then whether to go on waits too.
    """
    due = time.monotonic() + PATIENCE
    since = time.monotonic()
    while thread.is_alive() and time.monotonic() - since < _REST:
        assert time.monotonic() < due, "the thread does not wait"
        time.sleep(0.002)
        if not _waits(thread):
            since = time.monotonic()


@contextlib.contextmanager
def meanwhile(act: Callable[[], object], *, once: Callable[[], object] = lambda: True) -> Generator[None]:
    """Call a function in another thread while the block waits for something that does not come.

    Args:
        act: The function, such as one that ends the wait.
        once: Returns what is true once the block has come so far that it begins to wait.
    """
    reader = threading.current_thread()

    def run() -> None:
        try:
            wait_for(lambda: bool(once()))
            at_rest(reader)
        finally:
            # Also if that failed: the block would wait for ever.
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _waits(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 - nothing else tells where it is
    if frame is None or frame.f_code.co_name not in _WAITING:
        return False
    caller = frame.f_back
    while caller is not None and caller.f_code.co_filename == threading.__file__:
        if caller.f_code.co_name == "start":
            # It has only begun a thread of its own.
            return False
        caller = caller.f_back
    return True

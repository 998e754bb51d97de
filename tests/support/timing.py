"""Times of events, on machines that are busy with something else now and then."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import ParamSpec

__all__ = ["AT_ONCE", "TooLate", "at_once", "tried_again", "wait_for"]

P = ParamSpec("P")

AT_ONCE = 0.1
"""Seconds within which a stream must do what it is asked, and its server must see it."""
_PATIENCE = 4.0
"""Seconds after which a test stops waiting; less than a test may take."""


class TooLate(AssertionError):
    """Something happened too late: the library is slow, or the machine is busy."""


def at_once(since: float, until: float | None) -> None:
    """Assert that two readings of `time.monotonic()` are at most `AT_ONCE` apart."""
    assert until is not None
    if until - since >= AT_ONCE:
        msg = f"{until - since:.3f} s instead of less than {AT_ONCE:g} s"
        raise TooLate(msg)


def tried_again(test: Callable[P, None]) -> Callable[P, None]:
    """Run a test a second time if something in it came too late.

    A busy machine is late now and then; a slow library is late each time.
    """

    @functools.wraps(test)
    def tried(*args: P.args, **options: P.kwargs) -> None:
        try:
            test(*args, **options)
        except TooLate:
            test(*args, **options)

    return tried


def wait_for(happened: Callable[[], bool]) -> None:
    """Poll until another thread has made a condition true that nothing reports."""
    due = time.monotonic() + _PATIENCE
    while not happened():
        assert time.monotonic() < due, "it did not happen"
        time.sleep(0.002)

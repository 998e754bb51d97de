"""Clocks of a test's own, where `testing.VirtualClock` moves too little or too evenly."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tokenstream.stream._options import enter_clock, leave_clock

P = ParamSpec("P")
T = TypeVar("T")


def on(clock: Callable[[], float], make: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Return what a function returns whose streams and runs read a clock."""
    enter_clock(clock)
    try:
        return make(*args, **options)
    finally:
        leave_clock()

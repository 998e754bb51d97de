"""The clocks by which recordings are played."""

from __future__ import annotations

import math
import time

import pytest

from tokenstream.testing import VirtualClock
from tokenstream.testing._recordings.clock import as_clock


def test_a_virtual_clock_stands_still_until_it_is_told_to_go_on() -> None:
    """Nothing but its user moves it."""
    clock = VirtualClock(5)
    clock.advance(0)
    clock.advance(90.5)

    assert 95.5 == clock()
    assert "VirtualClock(95.5)" == repr(clock)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_a_clock_goes_forward(seconds: float) -> None:
    """Neither backwards nor for ever."""
    clock = VirtualClock()
    with pytest.raises(ValueError, match="forward by a number of seconds"):
        clock.advance(seconds)

    assert 0.0 == clock()


def test_waiting_by_a_virtual_clock_takes_no_time() -> None:
    """The time has passed at once; what has passed already changes nothing."""
    clock = VirtualClock()

    assert (0.0, 0.0) == (clock.until(90), clock.until(30))
    assert 90 == clock()


def test_waiting_by_a_real_clock_takes_what_is_left() -> None:
    """It says how long, and never less than nothing."""
    readings = iter([10.0, 10.0, 10.0])
    clock = as_clock(lambda: next(readings))

    assert (2.5, 0.0) == (clock.until(12.5), clock.until(3))
    assert 10.0 == clock()


def test_a_clock_is_taken_as_it_is() -> None:
    """A virtual one is shared with whoever made it; without any there is a new one each time."""
    mine = VirtualClock()

    assert mine is as_clock(mine)
    assert as_clock(None) is not as_clock(None)
    assert abs(as_clock(time.monotonic)() - time.monotonic()) < 1

"""The clocks by which recordings are played."""

from __future__ import annotations

import math

import pytest

from tokenstream import testing
from tokenstream.testing import VirtualClock


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


def test_a_clock_is_taken_as_it_is() -> None:
    """A virtual one is shared with whoever made it; without any there is a new one each time."""
    mine, silence = VirtualClock(), testing.script()

    assert mine is testing.transport(silence, clock=mine).clock
    assert testing.transport(silence).clock is not testing.transport(silence).clock

"""Clocks for replays: a virtual clock, which moves only when it is advanced, and a clock for real time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from tokenstream.stream._options import current_clock, enter_clock, leave_clock

if TYPE_CHECKING:
    from collections.abc import Callable


class ReplayClock(ABC):
    """A clock by which a replay waits, and which the streams made in its `with` block read."""

    __slots__ = ()

    @abstractmethod
    def __call__(self) -> float:
        """Return the reading, in seconds."""

    @abstractmethod
    def until(self, moment: float) -> float:
        """Return the seconds of real time to wait until `moment`, a reading of this clock; 0 if it is past.

        A virtual clock advances to the moment instead, and returns 0.
        """

    def __enter__(self) -> Self:
        # Calling the bound method is faster than calling the clock, and a stream does it for each chunk.
        enter_clock(self.__call__)
        return self

    def __exit__(self, *_: object) -> None:
        leave_clock()


class VirtualClock(ReplayClock):
    """A clock that does not move until it is advanced, so that waiting takes no real time.

    Streams, taps and runs that are made in its `with` block read it, also after the block. Another thread
    or task is not affected.

    Args:
        now: The first reading, in seconds.

    Example:
        >>> from tokenstream import Stream
        >>> with VirtualClock() as clock:
        ...     stream = Stream(["Hello"], format="pieces")
        >>> clock.advance(90)
        >>> stream.final().text, stream.metrics.duration
        ('Hello', 90.0)
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = float(now)

    def __call__(self) -> float:
        """Return the reading, in seconds."""
        return self._now

    def __repr__(self) -> str:
        return f"VirtualClock({self._now:g})"

    def advance(self, seconds: float) -> None:
        """Advance the clock.

        Args:
            seconds: Number of seconds, 0 or more.

        Raises:
            ValueError: The number is negative, infinite or not a number.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"a clock goes forward by a number of seconds, and not by {seconds}")
        self._now += seconds

    def until(self, moment: float) -> float:
        """Advance the clock to a moment; return 0, because no real time has to pass.

        Args:
            moment: A reading of this clock; a moment in the past changes nothing.
        """
        self._now = max(self._now, moment)
        return 0.0


class _RealClock(ReplayClock):
    """A clock from the caller, which is assumed to follow real time."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read

    def __call__(self) -> float:
        return self._read()

    def until(self, moment: float) -> float:
        return max(0.0, moment - self._read())


def as_clock(clock: Callable[[], float] | None) -> VirtualClock | _RealClock:
    """Return a clock by which a replay can wait; without one that of the block, or a new virtual clock."""
    if clock is None:
        clock = getattr(current_clock(), "__self__", None)
        return clock if isinstance(clock, VirtualClock) else VirtualClock()
    return clock if isinstance(clock, VirtualClock) else _RealClock(clock)

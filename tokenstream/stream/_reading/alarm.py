"""The alarm of a reader on asyncio: it wakes the task that waits for the next item.

One timer serves many waits, since making and cancelling a timer costs more than the rest of a wait.
Two rules keep this right:

- The timer never rings later than a wait may last. It may ring earlier: then the task looks at its
  deadlines, and waits again.
- While a stream is steady, its deadlines only move later, whatever arrives. So a timer that was early
  enough for one wait is early enough for the next ones, and no deadline has to be computed for them.
  `steady_deadline` names the steady state for which this holds, by its earliest deadline; it is forgotten
  when the timer rings.
"""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Alarm:
    """Wakes one task of asyncio: when something arrives, or at a given time.

    An alarm has no reference to its reader, so that a stream that was dropped can be garbage-collected
    although its timer rings minutes later.
    """

    __slots__ = ("_due", "_find_loop", "_timer", "_waiter", "loop", "steady_deadline", "until")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        from asyncio import get_running_loop

        self._find_loop = get_running_loop
        self.loop = loop
        """The event loop of the task."""
        self._waiter: asyncio.Future[float | None] | None = None
        """The wait in progress; None if no task waits."""
        self._timer: asyncio.TimerHandle | None = None
        """Rings at `_due`; None if no time is set."""
        self._due = math.inf
        """Time at which the timer rings, as returned by `time.monotonic`; infinity without a timer."""
        self.steady_deadline = math.nan
        """The stream's `earliest_deadline` for which the timer rings early enough; NaN if there is none."""
        self.until = math.inf
        """Earliest time limit of a wait, by the stream's clock, for which the timer rings early enough."""

    @property
    def has_waiter(self) -> bool:
        """True while a task waits."""
        return self._waiter is not None and not self._waiter.done()

    def begin(self) -> asyncio.Future[float | None]:
        """Begin a wait; await the future that is returned.

        Its result is None if something has arrived. If only the timer has rung, it is the time that was
        set with `set_timer`.
        """
        waiter = self._waiter = self.loop.create_future()
        return waiter

    def begin_here(self) -> asyncio.Future[float | None] | None:
        """Begin a wait as `begin` does; return None in a task of another event loop, or in none."""
        try:
            if self._find_loop() is not self.loop:
                return None
        except RuntimeError:
            return None
        waiter = self._waiter = self.loop.create_future()
        return waiter

    def set(self) -> None:
        """Wake the task, because something has arrived."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            # The wait may have been cancelled.
            if not waiter.done():
                waiter.set_result(None)

    def set_timer(self, due: float) -> None:
        """Wake the task at a time at the latest, as returned by `time.monotonic`."""
        if due < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(max(due - monotonic(), 0.0), self._ring)
            self._due = due

    def cancel(self) -> None:
        """Cancel the timer, because nothing more arrives."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due, self.steady_deadline = None, math.inf, math.nan

    def _ring(self) -> None:
        """Wake the task, because the time has come."""
        waiter, due = self._waiter, self._due
        self.cancel()
        self._waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_result(due)

"""Limits the reads of a `for` loop by the stream's deadlines, as timeouts of the source's own connection.

A loop that waits in `recv` can only be woken by that call's own timeout, or by shutting down the socket in
another thread. A shutdown may hit a connection that was returned to its pool a moment ago, and needs a
thread. So the thread that reads sets the timeout of each `recv`, which costs less than a microsecond.
"""

from __future__ import annotations

import math
import selectors
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenstream.stream._driver import Driver

LEAST_SECONDS = 0.001
"""Shortest timeout: 0 would mean not to wait at all, and a socket's clock may be this much ahead of ours."""
_MOST_SECONDS = 1e8
"""Timeouts above three years count as none: some systems cannot represent them."""
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
"""Waits for one socket; unlike epoll, poll opens no file."""


class ReadLimit:
    """Limits how long each wait of a source for its connection may take, by the stream's deadlines.

    When a wait takes longer, the source raises a timeout and is over. The deadline then counts as passed.

    Args:
        driver: The driver whose deadlines apply. Only a weak reference is kept, because the driver has
            the source, and the source has this object.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = weakref.ref(driver)
        self._last_arrival: tuple[int, float] | None = None
        """Number of chunks that had arrived when the read in progress began, and the time of the last one."""
        self._is_off = False
        """True if no further read is limited; see `turn_off`."""
        self._until: float | None = None
        """Time at which the read in progress has to end; None for never."""
        self._applies = False
        """True if the last wait was limited by a deadline, and not by the connection's own timeout."""

    def turn_off(self) -> None:
        """Limit no further read, because another thread reads, and the loop waits with a limit itself."""
        self._is_off = True

    def seconds(self, own: float | None) -> float | None:
        """Return the seconds that the next wait may take, at most the client's `own` timeout, or None."""
        driver = self._driver()
        if driver is None or self._is_off:
            # The stream was dropped (the reference is weak), or another thread reads.
            self._applies = False
            return own
        now = driver.clock()
        last_arrival = (driver.machine.meter.chunks, driver.machine.intake.now)
        if last_arrival != self._last_arrival:
            # A new read: a read may wait several times, for bytes that do not make up a chunk.
            self._last_arrival, self._until = last_arrival, _find_due_time(driver, now)
        left = math.inf if self._until is None else max(self._until - now, 0.0) + LEAST_SECONDS
        self._applies = left < (_MOST_SECONDS if own is None else own)
        return left if self._applies else own

    def has_passed(self, error: Exception) -> bool:
        """Return True if an exception of the source means that a deadline has passed."""
        from tokenstream._sources.causes import is_timeout

        driver = self._driver()
        if driver is None or not self._applies or self._until is None or not is_timeout(error):
            return False
        # The connection has measured the time with a clock of its own, which the stream need not share.
        return driver.clock() > self._until

    def wait(self, stream: object, own: float | None) -> float | None:
        """Wait until a connection that several HTTP/2 answers share has data; return its client's timeout.

        A read that timed out would break the connection for all of them, so only this wait has a
        deadline: TimeoutError means that nothing was read, and that the other answers go on. `own` is the
        timeout that the caller's client has set; both are in seconds. `stream` is httpcore's network
        stream.
        """
        left = self.seconds(own)
        if self._applies and not _has_data(stream, left):
            raise TimeoutError("no data came on the shared connection in time")
        return left


def _find_due_time(driver: Driver, now: float) -> float | None:
    """Return when a read that begins now must end, and its source and answer with it; None for never."""
    machine, silence = driver.machine, driver.silence
    if driver.is_after_end:
        return driver.limits_after_end().until
    silence.since = now
    idle = silence.deadlines.idle_bytes
    if idle is not None and now + idle <= driver.earliest_deadline:
        # The usual case: no other deadline can pass before this one.
        return now + idle
    deadline = silence.deadline
    until = machine.way.guarded_until if deadline is None else min(deadline, machine.way.guarded_until)
    return None if until == math.inf else until


def _has_data(stream: Any, seconds: float | None) -> bool:  # noqa: ANN401 - a network stream of httpcore
    """Wait for data on a connection; return False if none came in time."""
    tls = stream.get_extra_info("ssl_object")
    if tls is not None and tls.pending():
        # The data were decrypted already, so the socket itself may be empty.
        return True
    with _Selector() as selector:
        try:
            selector.register(stream.get_extra_info("socket"), selectors.EVENT_READ)
        except (KeyError, OSError, ValueError):
            # The socket is closed, or there is none: the read that follows shows that.
            return True
        return bool(selector.select(seconds))

"""The deadlines of a program that reads an agent's output: only its own waiting counts as silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.limits import Deadlines
from tokenstream.stream._reading.silence import make_stalled_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamStalled

AGENT_DEADLINES = Deadlines(idle_bytes=None)
"""The default: a tool may work for minutes, in which its agent prints nothing at all."""


class Patience:
    """Measures how long a program has waited for an agent, and tells how long it may go on.

    Args:
        deadlines: The longest waits.
        clock: Returns the time in seconds.
    """

    def __init__(self, deadlines: Deadlines, clock: Callable[[], float]) -> None:
        self._deadlines = deadlines
        self._clock = clock
        self._started: float | None = None
        """Time of the first wait; None before it."""
        self._wait_began = 0.0
        self._has_content = False
        """True once a first line or message has come."""
        self._without_bytes = 0.0
        """Seconds of waiting since the last byte."""
        self._without_content = 0.0
        """Seconds of waiting since the last line or message."""

    def begin_wait(self, *, is_resting: bool = False) -> float | None:
        """Begin to wait; return the longest time in seconds for which to wait, or None for no limit.

        Args:
            is_resting: True if the agent has nothing to do, or waits for an answer: no silence is too long.

        Raises:
            StreamStalled: The whole time is over, although the agent is not silent.
        """
        now = self._wait_began = self._clock()
        if self._started is None:
            self._started = now
        total = self._deadlines.total
        if total is not None and now - self._started > total:
            raise make_stalled_error("total", total)
        if is_resting:
            self._without_bytes = self._without_content = 0.0
        waits = self._list_waits(now, is_resting=is_resting)
        return max(min((left for left, _, _ in waits), default=0.0), 0.0) if waits else None

    def end_wait(self, *, has_bytes: bool) -> None:
        """Record the end of a wait.

        Args:
            has_bytes: True if bytes have come; False after a cancellation.
        """
        waited = self._clock() - self._wait_began
        self._without_bytes = 0.0 if has_bytes else self._without_bytes + waited
        self._without_content += waited

    def note_content(self) -> None:
        """Record that what has come was a line or a message."""
        self._has_content = True
        self._without_content = 0.0

    def make_error(self) -> StreamStalled:
        """Return the error for a wait that was too long."""
        waits = self._list_waits(self._wait_began, is_resting=False)
        _, limit, seconds = min(waits)
        return make_stalled_error(limit, seconds)

    def _list_waits(self, now: float, *, is_resting: bool) -> list[tuple[float, str, float]]:
        """Return the seconds that are left of each deadline that applies, with its name and its length."""
        deadlines, started = self._deadlines, now if self._started is None else self._started
        if is_resting:
            starts = [(started, "total", deadlines.total)]
        elif self._has_content:
            starts = [
                (now - self._without_bytes, "idle_bytes", deadlines.idle_bytes),
                (now - self._without_content, "idle_content", deadlines.idle_content),
                (started, "total", deadlines.total),
            ]
        else:
            starts = [
                (now - self._without_content, "first_event", deadlines.first_event),
                (started, "total", deadlines.total),
            ]
        return [
            (start + seconds - now, limit, seconds) for start, limit, seconds in starts if seconds is not None
        ]

"""Limits for reading after the terminal event, where only the end of the body is expected.

A server may keep a finished stream open and send heartbeats for minutes. So reading stops at a
limit of bytes or of time, or at the first heartbeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tokenstream._pipeline.machine import Machine

REST_SECONDS = 0.5
"""Longest wait for the end of the body after the terminal event."""
_MAX_BYTES_AFTER_END = 64 * 1024
"""Maximum number of bytes to read after the terminal event, so that the connection can be reused."""


class RestLimits(NamedTuple):
    """Limits for reading after the terminal event of one connection."""

    size: int
    """Number of bytes of the whole connection at which to stop."""
    comments: int
    """Number of comments at the terminal event; one more is a heartbeat."""
    until: float
    """Time at which to stop."""

    @classmethod
    def begin(cls, machine: Machine, now: float) -> RestLimits:
        """Return the limits for the time after a terminal event: for bytes, for seconds, and for comments."""
        return cls(
            size=machine.meter.bytes + _MAX_BYTES_AFTER_END,
            comments=machine.comments,
            until=now + REST_SECONDS,
        )

    def allow(self, machine: Machine, now: float) -> bool:
        """Return True while no limit is reached; the first comment after the terminal event reaches one."""
        return machine.meter.bytes < self.size and machine.comments == self.comments and now < self.until

"""The memory of a route: failures that take the route out for a while, and its speed."""

from __future__ import annotations

import math
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

from tokenstream.errors import AnswerRejected

if TYPE_CHECKING:
    from tokenstream.errors import StreamError

_SHARE_OF_LAST = 0.3
"""The share of the last answer in the average of the times to the first content."""
_CALLERS_FAULTS = frozenset({"invalid_request", "context_length"})
"""Kinds of errors that the request has caused, and not the server."""


class RouteHealth:
    """Remembers how a route's attempts have ended, for all streams that use the route, in any thread.

    | state | changes |
    |---|---|
    | in | *out* after `failures` failures within `within` seconds |
    | out | *on trial* after `pause` seconds: the next stream that needs the route makes one attempt |
    | on trial | *in* if that attempt succeeds, else *out* again; another trial after `pause` seconds |

    Args:
        failures: Number of failures that take the route out; None to keep it in.
        within: Seconds in which these failures have to occur.
        pause: Seconds for which the route is out.
    """

    __slots__ = (
        "_failed_at",
        "_failures",
        "_lock",
        "_out_until",
        "_pause",
        "_within",
        "latency",
        "worked_at",
    )

    def __init__(self, failures: int | None, within: float, pause: float) -> None:
        self._failures, self._within, self._pause = failures, within, pause
        self._lock = Lock()
        self._failed_at: deque[float] = deque(maxlen=failures)
        """Clock readings of the last failures."""
        self._out_until: float | None = None
        """Clock reading from which an attempt may be made; None while the route is in."""
        self.latency: float | None = None
        """Seconds from the request to the first content, averaged over the last answers; infinity if all
        attempts have failed, and None before the first one has ended."""
        self.worked_at = -math.inf
        """Clock reading at which an attempt succeeded last."""

    def is_out(self, now: float) -> bool:
        """Return True if no attempt may be made now.

        Args:
            now: A clock reading, in seconds.
        """
        return self._out_until is not None and now < self._out_until

    def begin_attempt(self, now: float) -> bool:
        """Begin an attempt if one may be made now; return False if none may.

        An attempt on trial keeps other streams out until the route has worked, or `pause` has passed.

        Args:
            now: A clock reading, in seconds.
        """
        with self._lock:
            is_out = self.is_out(now)
            if self._out_until is not None and not is_out:
                self._out_until = now + self._pause
            return not is_out

    def note_content(self, seconds: float) -> None:
        """Note how many seconds have passed from a request to its first content."""
        with self._lock:
            before = seconds if self.latency is None or math.isinf(self.latency) else self.latency
            self.latency = before + _SHARE_OF_LAST * (seconds - before)

    def note_success(self, now: float) -> None:
        """Note that an attempt has brought an answer to its end.

        Args:
            now: A clock reading, in seconds.
        """
        with self._lock:
            self._failed_at.clear()
            self._out_until, self.worked_at = None, now

    def note_failure(self, error: StreamError, now: float) -> None:
        """Note that an attempt has failed; an error that the request has caused does not count.

        Args:
            now: A clock reading, in seconds.
        """
        if isinstance(error, AnswerRejected) or error.kind in _CALLERS_FAULTS:
            return
        with self._lock:
            if self.latency is None:
                # It was tried, so the order by latency does not begin with it any more.
                self.latency = math.inf
            if self._failures is None:
                return
            self._failed_at.append(now)
            was_out = self._out_until is not None
            is_full = len(self._failed_at) == self._failures
            fails_often = is_full and now - self._failed_at[0] <= self._within
            if was_out or fails_often:
                self._out_until = now + self._pause

"""How an answer arrives: while it is written, or held back on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Pace", "Pacing", "PacingVerdict"]

PacingVerdict: TypeAlias = Literal["streams", "whole", "bursts", "unclear"]
"""How the events came: one after the other, all at once, in bursts; or too few of them to tell."""

_TOGETHER = 0.01
"""Seconds within which what arrives counts as having come together."""
_MANY = 5
"""Events that come together where a model would have taken its time for them."""
_MOST_OF_ALL = 0.8
"""The share of all events that comes so, where something holds them back."""
_NOTABLE = 0.1
"""Seconds of silence before a burst that a reader notices."""
_FEWEST = 10
"""Events below which an answer that comes at once may just be short."""
_PER_SECOND = 1000
"""Events per second that no model writes."""
_EQUAL = 1.1
"""How much larger than the smallest the largest of equal bursts may be."""
_BUFFER = 1024
"""Bytes of which buffers have a multiple."""
_FEWEST_FULL = 3
"""Full buffers in a row that are no chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the events of an answer came; all times in seconds."""

    verdict: PacingVerdict
    events: int
    moments: int
    """How many times something came: events that come together count once."""
    first: float | None
    """From the start to the first event; None while there is none."""
    last: float | None
    """From the start to the latest event; None while there is none."""
    burst_bytes: int | None
    """Bytes of a burst, where they are those of a buffer that fills up; else None."""
    pause: float | None
    """The mean silence before a burst; None where there was none."""


class Pacing:
    """Judge from when events come whether something on the way holds them back.

    A buffer on the way gives itself away: several events come at the same moment,
    and nothing comes in between. It keeps a few numbers, however long the answer.

    Args:
        started_at: The clock when the request went out.

    Example:
        >>> pacing = Pacing(0.0)
        >>> for second in range(1, 5):
        ...     pacing.arrived(float(second), size=4096, events=16)
        >>> pace = pacing.read()
        >>> pace.verdict, pace.burst_bytes, pace.pause
        ('bursts', 4096, 1.0)
    """

    __slots__ = (
        "_burst_events",
        "_bursts",
        "_events",
        "_first",
        "_full",
        "_full_bytes",
        "_largest",
        "_last",
        "_moment_at",
        "_moment_bytes",
        "_moment_events",
        "_moments",
        "_pauses",
        "_previous",
        "_smallest",
        "_started_at",
        "_waited",
    )

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._events = 0
        self._first: float | None = None
        self._last = started_at
        self._moments = 0
        # Of the current moment.
        self._moment_at: float | None = None
        self._moment_bytes = 0
        self._moment_events = 0
        self._previous: float | None = None
        """When the moment before the current one ended."""
        # Of the bursts.
        self._bursts = 0
        self._burst_events = 0
        self._pauses = 0
        """How many bursts came after another moment."""
        self._waited = 0.0
        """The silence before those."""
        self._smallest = 0
        self._largest = 0
        self._full = 0
        """How many moments brought as much as a full buffer, to the byte."""
        self._full_bytes = 0
        """The least that one of them brought."""

    def arrived(self, now: float, *, size: int, events: int) -> None:
        """Take a chunk of the body.

        Args:
            now: The clock.
            size: Its bytes, as they came over the wire.
            events: The events that it completes.
        """
        if not events and self._moment_at is None:
            return
        if self._moment_at is None or (events and now - self._moment_at > _TOGETHER):
            self._measure()
            self._previous = self._last if self._moments else None
            self._moments += 1
            self._moment_at, self._moment_bytes, self._moment_events = now, 0, 0
        self._moment_bytes += size
        if not events:
            return
        if self._first is None:
            self._first = now
        self._last = now
        self._events += events
        before = self._moment_events
        self._moment_events += events
        if self._moment_events >= _MANY:
            self._burst_events += self._moment_events if before < _MANY else events
            if before < _MANY:
                self._bursts += 1
                if self._previous is not None:
                    self._pauses += 1
                    self._waited += self._moment_at - self._previous

    def read(self) -> Pace:
        """Return the judgement on what has come so far."""
        started, first = self._started_at, self._first
        return Pace(
            verdict=self._judge(),
            events=self._events,
            moments=self._moments,
            first=None if first is None else first - started,
            last=None if first is None else self._last - started,
            burst_bytes=self._buffer(),
            pause=self._waited / self._pauses if self._pauses else None,
        )

    def _measure(self) -> None:
        """Measure the moment that is over; the last one of all, a rest, is never measured."""
        if self._moment_bytes and self._moment_bytes % _BUFFER == 0:
            self._full += 1
            self._full_bytes = min(self._full_bytes or self._moment_bytes, self._moment_bytes)
        if self._moment_events >= _MANY:
            self._largest = max(self._largest, self._moment_bytes)
            self._smallest = min(self._smallest or self._moment_bytes, self._moment_bytes)

    def _buffer(self) -> int | None:
        """Return the bytes of the buffer that seems to fill up, or None."""
        # The first one is shorter where the head of the response was in it.
        if self._full >= _FEWEST_FULL and 2 * self._full >= self._moments - 1:
            return self._full_bytes
        return self._largest if self._bursts > 2 and self._largest <= self._smallest * _EQUAL else None

    def _judge(self) -> PacingVerdict:
        if self._first is None:
            return "unclear"
        waited, span = self._first - self._started_at, self._last - self._first
        if (
            self._events >= _FEWEST
            and waited >= 2 * _NOTABLE
            and span <= min(self._events / _PER_SECOND, waited / 5)
        ):
            return "whole"
        if self._burst_events >= _MOST_OF_ALL * self._events and self._waited > _NOTABLE * self._pauses:
            return "bursts"
        if self._full >= _FEWEST_FULL and self._buffer() is not None and span >= 2 * _NOTABLE:
            return "bursts"
        return "streams" if self._moments >= 3 and span >= 5 * _TOGETHER else "unclear"

"""How an answer arrives: while it is written, or held back on its way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.stages._gaps import GapHistogram, buffering

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Arrival", "Moment", "Pace", "PacingVerdict", "moments_of", "pace_of"]

PacingVerdict: TypeAlias = Literal["streams", "whole", "bursts", "unclear"]
"""How the events came: one after the other, all at once, in bursts; or too few of them to tell."""

_TOGETHER = 0.01
"""Seconds within which what arrives counts as having come together."""
_MANY = 5
"""Events that come together where a model would have taken its time for them."""
_MOST_OF_ALL = 0.8
"""The share of all events that comes so, where something holds them back."""
_SILENCE = 0.25
"""Seconds between bursts that are more than how a provider sends."""
_FEWEST = 10
"""Events below which an answer that comes at once may just be short."""
_LEAST_WAIT = 0.5
"""Seconds before an answer that comes at once in which it can have been written."""
_SECONDS_PER_EVENT = 0.0003
"""No model writes faster."""
_EQUAL = 1.1
"""How much larger than the smallest the largest of equal bursts may be."""
_BUFFER = 1024
"""Bytes of which buffers have a multiple."""
_FEWEST_FULL = 3
"""Full buffers that are no chance."""
_LEAST_SPAN = 0.05
"""Seconds over which events come, below which nothing can be told."""
_LEAST_SPAN_FULL = 0.2
"""The same where full buffers are all that there is to tell by: a fast server fills them at any time."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A chunk of the body."""

    at: float
    """Seconds since the request."""
    size: int
    """Its bytes, as they came over the wire."""
    events: int
    """The events that it completed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Chunks that came together."""

    at: float
    """Seconds until the first of them."""
    last: float
    """Seconds until the last of them."""
    size: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the events of an answer came; all times in seconds."""

    verdict: PacingVerdict
    events: int = 0
    moments: int = 0
    """How many times events came: those that come together count once."""
    first: float | None = None
    """Until the first event; None while there is none."""
    last: float | None = None
    """Until the latest event; None while there is none."""
    burst_bytes: int | None = None
    """Bytes of a burst, where they are those of a buffer that fills up; else None."""


def moments_of(arrivals: Sequence[Arrival]) -> list[Moment]:
    """Return what came, with what came within ten milliseconds as one.

    Example:
        >>> moments_of([Arrival(1.0, 500, 4), Arrival(1.002, 500, 5), Arrival(2.0, 80, 1)])
        [Moment(at=1.0, last=1.002, size=1000, events=9), Moment(at=2.0, last=2.0, size=80, events=1)]
    """
    moments: list[Moment] = []
    for arrival in arrivals:
        if moments and arrival.at - moments[-1].at <= _TOGETHER:
            one = moments.pop()
            moments.append(Moment(one.at, arrival.at, one.size + arrival.size, one.events + arrival.events))
        else:
            moments.append(Moment(arrival.at, arrival.at, arrival.size, arrival.events))
    return moments


def pace_of(arrivals: Sequence[Arrival]) -> Pace:
    """Judge by when events come, and by how many bytes, whether something on the way holds them back.

    What a stream's metrics call buffered is that here, too. An answer that was
    asked for to look at it can tell more: its bytes are counted as they came
    over the wire, so that a buffer that fills up shows its size.

    Example:
        >>> pace = pace_of([Arrival(float(second), 4096, 16) for second in range(1, 6)])
        >>> pace.verdict, pace.burst_bytes
        ('bursts', 4096)
    """
    full = [arrival for arrival in arrivals if arrival.events]
    moments = [moment for moment in moments_of(arrivals) if moment.events]
    if not moments:
        return Pace(verdict="unclear")
    buffer = _buffer_of(moments)
    return Pace(
        verdict=_verdict(full, moments, buffer),
        events=sum(moment.events for moment in moments),
        moments=len(moments),
        first=full[0].at,
        last=full[-1].at,
        burst_bytes=buffer,
    )


def _verdict(arrivals: Sequence[Arrival], moments: Sequence[Moment], buffer: int | None) -> PacingVerdict:
    first, span = arrivals[0].at, arrivals[-1].at - arrivals[0].at
    events = sum(moment.events for moment in moments)
    gaps = GapHistogram.of([later.at - earlier.at for earlier, later in pairwise(arrivals)])
    found = buffering(gaps, wait=first, deltas=events)
    if found == "at_end" or (
        events >= _FEWEST and first >= _LEAST_WAIT and span <= events * _SECONDS_PER_EVENT
    ):
        return "whole"
    if found == "bursts" or _comes_in_bursts(moments, events):
        return "bursts"
    if buffer is not None and span >= _LEAST_SPAN_FULL and _full(moments):
        return "bursts"
    return "streams" if len(moments) >= 3 and span >= _LEAST_SPAN else "unclear"


def _comes_in_bursts(moments: Sequence[Moment], events: int) -> bool:
    """Tell whether most events come many at a time, after silence."""
    bursts = [moment for moment in moments if moment.events >= _MANY]
    silences = [later.at - earlier.last for earlier, later in pairwise(moments) if later.events >= _MANY]
    held = sum(moment.events for moment in bursts) >= _MOST_OF_ALL * events
    return held and sum(silences) > _SILENCE * len(silences)


def _full(moments: Sequence[Moment]) -> list[int]:
    """Return the bytes of the moments that brought full buffers, where most did."""
    # The last one brings what was left in it, and the first one also had the head of the response in it.
    full = [moment.size for moment in moments[:-1] if moment.size % _BUFFER == 0]
    return full if len(full) >= _FEWEST_FULL and 2 * len(full) >= len(moments) - 1 else []


def _buffer_of(moments: Sequence[Moment]) -> int | None:
    """Return the bytes of the buffer that seems to fill up, or None."""
    full = _full(moments)
    if full:
        return min(full)
    bursts = [moment.size for moment in moments[:-1] if moment.events >= _MANY]
    return max(bursts) if len(bursts) >= 2 and max(bursts) <= min(bursts) * _EQUAL else None

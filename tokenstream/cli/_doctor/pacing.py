"""Judge the pace of an answer: arriving as it is written, or held back on its way."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.stages._gaps import GapHistogram, buffering

if TYPE_CHECKING:
    from collections.abc import Sequence

PacingVerdict: TypeAlias = Literal["streams", "whole", "bursts", "unclear"]
"""Arrival of the events: one after the other, all at once, in bursts; or too few to judge."""

_TOGETHER = 0.01
"""Seconds within which arrivals count as simultaneous."""
_MANY = 5
"""Simultaneous events that a model would have written over some time."""
_MOST_OF_ALL = 0.8
"""Share of all events that arrives in such bursts when a hop holds them back."""
_SILENCE = 0.25
"""Mean seconds between bursts above which the provider's own sending does not explain them."""
_FEWEST = 10
"""Smallest number of events for "whole": a shorter answer may simply be quick."""
_LEAST_WAIT = 0.5
"""Smallest wait for "whole", in seconds: within it, the answer can have been written."""
_SECONDS_PER_EVENT = 0.0003
"""Fastest writing of any model."""
_EQUAL = 1.1
"""Largest ratio of sizes among bursts that count as equal."""
_BUFFER = 1024
"""Buffers have a multiple of this size, in bytes."""
_FEWEST_FULL = 3
"""Number of full buffers that is no coincidence."""
_LEAST_SPAN = 0.05
"""Shortest span of events that allows a verdict, in seconds."""
_LEAST_SPAN_FULL = 0.2
"""The same if full buffers are the only evidence: a fast server always fills them."""


@dataclass(frozen=True, slots=True)
class TimedChunk:
    """A chunk of the body."""

    at: float
    """Seconds since the request."""
    size: int
    """Its bytes, as transferred."""
    events: int
    """Number of events that it completed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Chunks that arrived together."""

    at: float
    """Seconds until the first of them."""
    last: float
    """Seconds until the last of them."""
    size: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPace:
    """The pace of an answer's events; all times in seconds."""

    verdict: PacingVerdict
    events: int = 0
    moments: int = 0
    """Number of times events arrived; simultaneous ones count once."""
    first: float | None = None
    """Time of the first event; None if there is none."""
    last: float | None = None
    """Time of the last event; None if there is none."""
    burst_bytes: int | None = None
    """Size of a burst in bytes, if it is that of a buffer that fills up; else None."""


def moments_of(arrivals: Sequence[TimedChunk]) -> list[Moment]:
    """Return the arrivals, merging those within ten milliseconds of the first.

    Example:
        >>> moments_of([TimedChunk(1.0, 500, 4), TimedChunk(1.002, 500, 5), TimedChunk(2.0, 80, 1)])
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


def pace_of(arrivals: Sequence[TimedChunk]) -> EventPace:
    """Judge by the times and sizes of arrivals whether a hop holds events back.

    The verdict extends that of a stream's metrics on buffering: a probe also knows the
    bytes as transferred, so that a buffer that fills up shows by its size.

    Example:
        >>> pace = pace_of([TimedChunk(float(second), 4096, 16) for second in range(1, 6)])
        >>> pace.verdict, pace.burst_bytes
        ('bursts', 4096)
    """
    full = [arrival for arrival in arrivals if arrival.events]
    moments = [moment for moment in moments_of(arrivals) if moment.events]
    if not moments:
        return EventPace(verdict="unclear")
    buffer = _find_buffer(moments)
    return EventPace(
        verdict=_judge(full, moments, buffer),
        events=sum(moment.events for moment in moments),
        moments=len(moments),
        first=full[0].at,
        last=full[-1].at,
        burst_bytes=buffer,
    )


def _judge(arrivals: Sequence[TimedChunk], moments: Sequence[Moment], buffer: int | None) -> PacingVerdict:
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
    if buffer is not None and span >= _LEAST_SPAN_FULL and _find_full(moments):
        return "bursts"
    return "streams" if len(moments) >= 3 and span >= _LEAST_SPAN else "unclear"


def _comes_in_bursts(moments: Sequence[Moment], events: int) -> bool:
    """True if most events arrive many at a time, after silence."""
    bursts = [moment for moment in moments if moment.events >= _MANY]
    silences = [later.at - earlier.last for earlier, later in pairwise(moments) if later.events >= _MANY]
    held = sum(moment.events for moment in bursts) >= _MOST_OF_ALL * events
    return held and sum(silences) > _SILENCE * len(silences)


def _find_full(moments: Sequence[Moment]) -> list[int]:
    """Return the sizes of the moments that brought full buffers, if most did."""
    # The last moment brings the rest of a buffer; the first buffer also held the head of the response.
    full = [moment.size for moment in moments[:-1] if moment.size % _BUFFER == 0]
    return full if len(full) >= _FEWEST_FULL and 2 * len(full) >= len(moments) - 1 else []


def _find_buffer(moments: Sequence[Moment]) -> int | None:
    """Return the size of the buffer that seems to fill up, in bytes, or None."""
    full = _find_full(moments)
    if full:
        return min(full)
    bursts = [moment.size for moment in moments[:-1] if moment.events >= _MANY]
    return max(bursts) if len(bursts) >= 2 and max(bursts) <= min(bursts) * _EQUAL else None

"""The pace of an answer's events, which tells if a hop on the path held them back."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tokenstream.stages._metrics.metrics import GapHistogram, detect_buffering, proves_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

PacingVerdict: TypeAlias = Literal["streams", "whole", "bursts", "unclear"]
"""The way in which events arrive: "streams" means one after the other, "whole" all at once, "bursts" many
at a time; "unclear" means that there are too few events to judge."""

_SIMULTANEOUS = 0.01
"""Seconds within which arrivals count as simultaneous."""
_MIN_BURST = 5
"""Smallest number of simultaneous events that make a burst: a model would need some time to write them."""
_MIN_BURST_SHARE = 0.8
"""Smallest share of all events that must arrive in bursts, for the verdict "bursts"."""
_MIN_SILENCE = 0.25
"""Mean silence before bursts, in seconds; above it, the bursts are not due to the provider's sending."""
_MIN_WAIT_WHOLE = 0.5
"""Smallest wait for the verdict "whole", in seconds: during it, the whole answer may have been written."""
_SECONDS_PER_EVENT = 0.0003
"""Time that the fastest model needs for an event."""
_MAX_RATIO = 1.1
"""Largest ratio of the sizes of bursts that count as equally large."""
_BUFFER_UNIT = 1024
"""The size of a buffer is a multiple of this number of bytes."""
_MIN_FULL_BUFFERS = 3
"""Smallest number of full buffers that cannot be a coincidence."""
_MIN_MOMENTS_SHARE = 0.5
"""Smallest number of moments for each event of a short answer, for the verdict "streams"."""
_MIN_SPAN = 0.05
"""Shortest time from the first to the last event, in seconds, that allows the verdict "streams"."""
_MIN_SPAN_BUFFERS = 0.2
"""Shortest time from the first to the last event, in seconds, for the verdict "bursts" by full buffers alone.

A fast server fills buffers, too.
"""


class TimedChunk(NamedTuple):
    """The time and size of one chunk of an answer's body, and the number of events in it."""

    at: float
    """Seconds since the request."""
    size: int
    """Number of bytes, as they were transferred."""
    events: int


class Moment(NamedTuple):
    """Chunks that arrived within a few milliseconds, and count as one arrival."""

    at: float
    """Seconds from the request to the first of these chunks."""
    last: float
    """Seconds from the request to the last of these chunks."""
    size: int
    """Number of bytes."""
    events: int
    """Number of events that the chunks completed."""


class EventPace(NamedTuple):
    """The pace of an answer's events; all times are in seconds since the request."""

    verdict: PacingVerdict
    events: int = 0
    moments: int = 0
    """Number of moments at which events arrived; simultaneous events count as one moment."""
    first: float | None = None
    """Time of the first event; None if there are no events."""
    last: float | None = None
    """Time of the last event; None if there are no events."""
    burst_bytes: int | None = None
    """Size of a burst, if all bursts seem to be due to a buffer of that size; else None."""


def moments_of(arrivals: Sequence[TimedChunk]) -> list[Moment]:
    """Return the moments at which chunks arrived; chunks within ten milliseconds are one moment."""
    moments: list[Moment] = []
    for arrival in arrivals:
        if moments and arrival.at - moments[-1].at <= _SIMULTANEOUS:
            last = moments.pop()
            size, events = last.size + arrival.size, last.events + arrival.events
            moments.append(Moment(last.at, arrival.at, size, events))
        else:
            moments.append(Moment(arrival.at, arrival.at, arrival.size, arrival.events))
    return moments


def pace_of(arrivals: Sequence[TimedChunk]) -> EventPace:
    """Return the pace of an answer's events, from the times and sizes of its chunks.

    The verdict uses the same rules as `Metrics.buffered`. In addition, it can recognise a buffer by its size,
    because a probe knows the number of bytes that were transferred at each moment.

    Example:
        >>> pace = pace_of([TimedChunk(float(second), 4096, 16) for second in range(1, 6)])
        >>> pace.verdict, pace.burst_bytes
        ('bursts', 4096)
    """
    with_events = [arrival for arrival in arrivals if arrival.events]
    moments = [moment for moment in moments_of(arrivals) if moment.events]
    if not moments:
        return EventPace(verdict="unclear")
    buffer = _find_buffer(moments)
    return EventPace(
        verdict=_rate(with_events, moments, buffer),
        events=sum(moment.events for moment in moments),
        moments=len(moments),
        first=with_events[0].at,
        last=with_events[-1].at,
        burst_bytes=buffer,
    )


def _rate(arrivals: Sequence[TimedChunk], moments: Sequence[Moment], buffer: int | None) -> PacingVerdict:
    """Return the verdict on an answer's pace: do its events arrive one by one, in bursts, or all at once?"""
    first, span = arrivals[0].at, arrivals[-1].at - arrivals[0].at
    events = sum(moment.events for moment in moments)
    gaps = GapHistogram.of([later.at - earlier.at for earlier, later in pairwise(arrivals)])
    buffered = detect_buffering(gaps, wait=first, deltas=events)
    # 1. All at once: after a wait, the events arrived faster than any model could write them.
    came_at_once = first >= _MIN_WAIT_WHOLE and span <= events * _SECONDS_PER_EVENT
    is_short = proves_nothing(events, bursts=1)
    if buffered == "at_end" or (came_at_once and not is_short):
        return "whole"
    # 2. In bursts with silence between them.
    bursts = _count_bursts(moments, events)
    if buffered == "bursts" or (bursts and not proves_nothing(events, bursts)):
        return "bursts"
    # 3. In full buffers, which are bursts even if each contains few events.
    if buffer is not None and span >= _MIN_SPAN_BUFFERS and _list_full_buffers(moments):
        return "bursts"
    # 4. One by one. This is unclear for only two moments, at which a buffer may have been emptied; and for a
    # short answer whose events mostly come together, because it may be quick or may have been held back.
    is_spread = len(moments) >= 3 and span >= _MIN_SPAN
    is_even = not bursts and (not is_short or len(moments) >= events * _MIN_MOMENTS_SHARE)
    return "streams" if is_spread and is_even else "unclear"


def _count_bursts(moments: Sequence[Moment], events: int) -> int:
    """Return the number of bursts if most events arrive many at a time, after a silence; else 0."""
    bursts = [moment for moment in moments if moment.events >= _MIN_BURST]
    silences = [later.at - earlier.last for earlier, later in pairwise(moments) if later.events >= _MIN_BURST]
    mostly_bursts = sum(moment.events for moment in bursts) >= _MIN_BURST_SHARE * events
    # The silences last longer than `_MIN_SILENCE` on average.
    is_silent_between = sum(silences) > _MIN_SILENCE * len(silences)
    return len(bursts) if mostly_bursts and is_silent_between else 0


def _list_full_buffers(moments: Sequence[Moment]) -> list[int]:
    """Return the sizes, in bytes, of the moments at which a hop seems to have passed on a full buffer.

    A size that is a multiple of 1024 counts as a full buffer. If fewer than half of the moments have such a
    size, that may be a coincidence, and the list is empty. The last moment is not counted, because it is the
    rest of a buffer. The first size may be smaller than the others: the first buffer also contained the
    response's head.
    """
    sizes = [moment.size for moment in moments[:-1] if moment.size % _BUFFER_UNIT == 0]
    return sizes if len(sizes) >= _MIN_FULL_BUFFERS and 2 * len(sizes) >= len(moments) - 1 else []


def _find_buffer(moments: Sequence[Moment]) -> int | None:
    """Return the size in bytes of a buffer that seems to hold the answer back until it is full, or None."""
    sizes = _list_full_buffers(moments)
    if sizes:
        # At one moment, several full buffers may arrive.
        return min(sizes)
    # Bursts of almost the same size point to a buffer, even if the size is not a multiple of 1024. The last
    # burst does not count, because it empties a buffer that is not full.
    bursts = [moment.size for moment in moments[:-1] if moment.events >= _MIN_BURST]
    if len(bursts) < 2:
        return None
    return max(bursts) if max(bursts) <= min(bursts) * _MAX_RATIO else None

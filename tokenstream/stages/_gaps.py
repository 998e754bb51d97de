"""A histogram of fixed size for the gaps between the chunks of an answer."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from operator import mul
from typing import Literal

_SHORTEST = 1e-4
_PER_DECADE = 10
_BOUNDS = [_SHORTEST * 10 ** (step / _PER_DECADE) for step in range(63)]
"""Boundaries between the buckets, in seconds; the first and the last bucket have only one boundary."""
_MIDDLES = [_SHORTEST, *[bound / 10 ** (0.5 / _PER_DECADE) for bound in _BOUNDS[1:]], math.inf]
"""The length assumed for every gap in a bucket, in seconds."""
NO_COUNTS: tuple[int, ...] = (0,) * (len(_BOUNDS) + 1)


@dataclass(frozen=True, slots=True)
class GapHistogram:
    """Gaps between chunks, counted in 64 buckets with fixed boundaries, so that two histograms can be added.

    Every decade from 0.1 ms to 158 s is divided into ten buckets; one more bucket
    counts all shorter gaps, and another all longer ones. A percentile is off by at
    most 12.2 % within that range; shorter gaps count as 0.1 ms, longer gaps as the
    longest gap. `max` and `mean` are exact.

    Args:
        counts: Number of gaps in each bucket.
        seconds: Sum of all gaps.
        max: The longest gap; None if the histogram is empty.

    Example:
        >>> gaps = GapHistogram.of([0.02] * 98 + [0.5, 3.0])
        >>> round(gaps.p50, 3), gaps.max, gaps.count
        (0.022, 3.0, 100)
        >>> (gaps + GapHistogram.of([4.0])).max
        4.0
    """

    counts: tuple[int, ...] = NO_COUNTS
    seconds: float = 0.0
    max: float | None = None

    def __repr__(self) -> str:
        return f"GapHistogram(count={self.count}, p50={self.p50}, p99={self.p99}, max={self.max})"

    @classmethod
    def of(cls, gaps: list[float]) -> GapHistogram:
        """Return the histogram of gaps in seconds.

        Example:
            >>> GapHistogram.of([0.1, 0.3]).mean
            0.2
        """
        counts = list(NO_COUNTS)
        count_sorted(sorted(gaps), counts)
        return cls(tuple(counts), sum(gaps), max(gaps, default=None))

    def __add__(self, other: GapHistogram) -> GapHistogram:
        """Return the histogram of the gaps in both; `sum(histograms, start=GapHistogram())` adds many."""
        if not isinstance(other, GapHistogram):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
            return NotImplemented
        longest = [each.max for each in (self, other) if each.max is not None]
        counts = tuple([one + more for one, more in zip(self.counts, other.counts, strict=True)])
        return GapHistogram(counts, self.seconds + other.seconds, max(longest, default=None))

    @property
    def count(self) -> int:
        """The number of gaps."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean gap; None if the histogram is empty."""
        count = self.count
        return self.seconds / count if count else None

    @property
    def p50(self) -> float | None:
        """The median gap."""
        return self.percentile(50)

    @property
    def p95(self) -> float | None:
        """The gap that 95 % of all gaps do not exceed."""
        return self.percentile(95)

    @property
    def p99(self) -> float | None:
        """The gap that 99 % of all gaps do not exceed."""
        return self.percentile(99)

    def percentile(self, percent: float) -> float | None:
        """Return the gap that `percent` of all gaps do not exceed; None if the histogram is empty.

        The result is the middle of the bucket with that gap, and never more than `max`.

        Example:
            >>> GapHistogram().percentile(90) is None
            True
        """
        if self.max is None:
            return None
        rank, below = math.ceil(self.count * percent / 100), 0
        for bucket, count in enumerate(self.counts):
            below += count
            if count and below >= rank:
                return min(_MIDDLES[bucket], self.max)
        return self.max


def count_sorted(gaps: list[float], counts: list[int]) -> None:
    """Add gaps, in ascending order, to the counts of their buckets.

    Example:
        >>> counts = [*NO_COUNTS]
        >>> count_sorted([0.0, 0.00011, 0.00012], counts)
        >>> counts[:3]
        [1, 2, 0]
    """
    if not gaps:
        return
    # Empty buckets before the first gap and after the last one are skipped.
    done, last = 0, bisect_right(_BOUNDS, gaps[-1])
    for bucket in range(bisect_right(_BOUNDS, gaps[0]), last):
        end = bisect_left(gaps, _BOUNDS[bucket], done)
        counts[bucket] += end - done
        done = end
    counts[last] += len(gaps) - done


_NOTABLE, _SILENCE = 21, 35
"""The first bucket of gaps that the network causes (10 ms), and of silences between bursts (0.25 s)."""
_LEAST_DELTAS, _LEAST_IN_ALL = 20, 40
"""The fewest deltas per burst, on average, and per answer, that prove something.

With fewer deltas, the provider itself may send them in bursts.
"""
_SECONDS_PER_DELTA = 0.0003
"""No model writes faster: deltas that arrive at this pace were written earlier and held back."""
_MOST_FLIGHTS, _LEAST_IN_FLIGHT = 3, 10
"""The most network round trips within a burst, on average, and the fewest deltas in each of them."""
_LEAST_WAIT, _MOST_OF_WAIT = 0.5, 0.2
"""The shortest wait before a single burst, and the share of that wait that the burst itself may last."""


def buffering(
    gaps: GapHistogram, *, wait: float, deltas: int, away: float = 0.0
) -> Literal["bursts", "at_end"] | None:
    """Return how a proxy or server on the way holds an answer back; None if there is no sign of it.

    The times of the answer show it: text that was held back arrives faster than any
    model writes, in bursts with silence between them, or all of it at the end. Short
    answers prove nothing, nor do answers whose reader was busy with something else.

    Args:
        gaps: The gaps between chunks with content.
        wait: Seconds until the first content.
        deltas: Number of events with content.
        away: Seconds without a reader.

    Example:
        >>> written = GapHistogram.of([0.02] * 99)
        >>> buffering(written, wait=0.4, deltas=100)
        >>> buffering(GapHistogram.of([2.0, 2.0]), wait=2.4, deltas=100)
        'bursts'
        >>> buffering(GapHistogram.of([]), wait=6.4, deltas=100)
        'at_end'
    """
    silences, flights = sum(gaps.counts[_SILENCE:]), sum(gaps.counts[_NOTABLE:_SILENCE])
    bursts = silences + 1
    quick = sum(map(mul, gaps.counts[:_NOTABLE], _MIDDLES))
    taken = sum(map(mul, gaps.counts[:_SILENCE], _MIDDLES))
    # In order: too few deltas, too many gaps of the network, too few deltas between these gaps, a pace
    # at which a model may write, and a reader that was away for too much of the silence.
    if (
        deltas < max(_LEAST_DELTAS * bursts, _LEAST_IN_ALL)
        or flights > _MOST_FLIGHTS * bursts
        or deltas < _LEAST_IN_FLIGHT * (bursts + flights)
        or quick > _SECONDS_PER_DELTA * deltas
        or away > (gaps.seconds - taken if silences else wait) / 2
    ):
        return None
    if silences:
        return "bursts"
    return "at_end" if wait >= _LEAST_WAIT and taken <= wait * _MOST_OF_WAIT else None

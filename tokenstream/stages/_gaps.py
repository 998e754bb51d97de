"""How long the gaps between the chunks of an answer are: a histogram of fixed size."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

__all__ = ["NO_COUNTS", "GapHistogram", "count_sorted"]

_SHORTEST = 1e-4
_PER_DECADE = 10
_BOUNDS = [_SHORTEST * 10 ** (step / _PER_DECADE) for step in range(63)]
"""What separates the buckets, in seconds; the first and the last bucket have one bound."""
_HALF_STEP = 10 ** (0.5 / _PER_DECADE)
NO_COUNTS = (0,) * (len(_BOUNDS) + 1)


@dataclass(frozen=True, slots=True)
class GapHistogram:
    """Gaps between chunks, counted in 64 buckets whose bounds are always the same, so that two add up.

    There are ten buckets to a decade, from 0.1 ms to 158 s, and one on either
    side. A percentile is off by at most 12.2 % within that range; gaps that are
    shorter count as 0.1 ms, longer ones as the longest. `max` and `mean` are exact.

    Args:
        counts: How many gaps there are in each bucket.
        seconds: All gaps together.
        max: The longest gap; None where there is none.

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
        """Return the histogram of both; `sum(histograms, start=GapHistogram())` adds many."""
        if not isinstance(other, GapHistogram):  # pyright: ignore[reportUnnecessaryIsInstance] # callers may not check
            return NotImplemented
        longest = [each.max for each in (self, other) if each.max is not None]
        counts = tuple([one + more for one, more in zip(self.counts, other.counts, strict=True)])
        return GapHistogram(counts, self.seconds + other.seconds, max(longest, default=None))

    @property
    def count(self) -> int:
        """How many gaps there are."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """The mean gap; None where there is none."""
        count = self.count
        return self.seconds / count if count else None

    @property
    def p50(self) -> float | None:
        """The median gap."""
        return self.percentile(50)

    @property
    def p95(self) -> float | None:
        """The gap that 95 % of all gaps are no longer than."""
        return self.percentile(95)

    @property
    def p99(self) -> float | None:
        """The gap that 99 % of all gaps are no longer than."""
        return self.percentile(99)

    def percentile(self, percent: float) -> float | None:
        """Return the gap that so many percent of all gaps are no longer than; None where there is none.

        It is the middle of its bucket, and never more than `max`.

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
                return min(_middle(bucket), self.max)
        return self.max


def _middle(bucket: int) -> float:
    if bucket == 0:
        return _SHORTEST
    return _BOUNDS[bucket] / _HALF_STEP if bucket < len(_BOUNDS) else math.inf


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
    done, last = 0, bisect_right(_BOUNDS, gaps[-1])
    for bucket in range(bisect_right(_BOUNDS, gaps[0]), last):
        end = bisect_left(gaps, _BOUNDS[bucket], done)
        counts[bucket] += end - done
        done = end
    counts[last] += len(gaps) - done

"""The metrics of an answer: its speed, and whether its gaps, in a histogram, show that it was held back."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from operator import add, mul
from typing import Literal

from tokenstream._basics.elsewhere import OF_METRICS, explain_names

_SHORTEST = 1e-4
_PER_DECADE = 10
_BOUNDS = [_SHORTEST * 10 ** (step / _PER_DECADE) for step in range(63)]
"""Boundaries between the buckets, in seconds; the first and the last bucket have only one boundary."""
MIDDLES = [_SHORTEST, *[bound / 10 ** (0.5 / _PER_DECADE) for bound in _BOUNDS[1:]], math.inf]
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
        maxima = [each.max for each in (self, other) if each.max is not None]
        counts = tuple(map(add, self.counts, other.counts))
        return GapHistogram(counts, self.seconds + other.seconds, max(maxima, default=None))

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
        """The median gap, in seconds; None if the histogram is empty."""
        return self.percentile(50)

    @property
    def p95(self) -> float | None:
        """The gap that 95 % of all gaps do not exceed, in seconds; None if the histogram is empty."""
        return self.percentile(95)

    @property
    def p99(self) -> float | None:
        """The gap that 99 % of all gaps do not exceed, in seconds; None if the histogram is empty."""
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
        # In ascending order, the gap with this number is the percentile.
        rank = math.ceil(self.count * percent / 100)
        passed = 0
        for bucket, count in enumerate(self.counts):
            passed += count
            if count and passed >= rank:
                return min(MIDDLES[bucket], self.max)
        # Only for more than 100 percent.
        return self.max


def count_sorted(gaps: list[float], counts: list[int]) -> None:
    """Add gaps, in ascending order, to the counts of their buckets."""
    if not gaps:
        return
    # Buckets below the shortest gap and above the longest one stay empty, and are skipped.
    first_bucket, last_bucket = bisect_right(_BOUNDS, gaps[0]), bisect_right(_BOUNDS, gaps[-1])
    counted = 0
    for bucket in range(first_bucket, last_bucket):
        end = bisect_left(gaps, _BOUNDS[bucket], counted)
        counts[bucket] += end - counted
        counted = end
    counts[last_bucket] += len(gaps) - counted


_NETWORK_BUCKET = 21
"""The first bucket of the histogram, from 10 ms, with gaps that the network causes within a burst."""
_SILENCE_BUCKET = 35
"""The first bucket of the histogram, from 0.25 s, with gaps that are silences between bursts."""
_MIN_DELTAS_PER_BURST = 20
"""The fewest deltas per burst, on average; fewer may be sent together by the provider itself."""
_MIN_DELTAS = 40
"""The fewest deltas of an answer; a shorter answer proves nothing."""
_SECONDS_PER_DELTA = 0.0003
"""No model writes faster: deltas that arrive at this pace were written earlier and held back."""
_MAX_NETWORK_GAPS_PER_BURST = 3
"""The most gaps that the network causes within a burst, on average."""
_MIN_DELTAS_PER_PACKET = 10
"""The fewest deltas between two gaps of any kind, on average."""
_MIN_WAIT = 0.5
"""The shortest wait, in seconds, before an answer that arrives all at once."""
_MAX_BURST_SHARE = 0.2
"""The longest time in which an answer arrives "all at once", as a share of the wait before it."""


def proves_nothing(deltas: int, bursts: int) -> bool:
    """Return True if an answer has too few deltas for a judgement by its times."""
    return deltas < max(_MIN_DELTAS_PER_BURST * bursts, _MIN_DELTAS)


def detect_buffering(
    gaps: GapHistogram, *, wait: float, deltas: int, away: float = 0.0
) -> Literal["bursts", "at_end"] | None:
    """Return how a proxy or server on the way holds an answer back; None if there is no sign of it.

    The times of the answer show it: text that was held back arrives faster than any
    model writes, in bursts with silence between them, or all of it at the end. Short
    answers prove nothing, nor do answers whose reader was busy for long (`away` seconds).

    Example:
        >>> from tokenstream.stages import GapHistogram
        >>> written = GapHistogram.of([0.02] * 99)
        >>> detect_buffering(written, wait=0.4, deltas=100)
        >>> detect_buffering(GapHistogram.of([2.0, 2.0]), wait=2.4, deltas=100)
        'bursts'
        >>> detect_buffering(GapHistogram.of([]), wait=6.4, deltas=100)
        'at_end'
    """
    # By its length, a gap is a silence between bursts, a gap between packets, or one within a packet.
    silences = sum(gaps.counts[_SILENCE_BUCKET:])
    bursts = silences + 1
    network_gaps = sum(gaps.counts[_NETWORK_BUCKET:_SILENCE_BUCKET])
    packets = bursts + network_gaps
    # The histogram has no single gaps: each one counts with the middle of its bucket.
    seconds_in_packets = sum(map(mul, gaps.counts[:_NETWORK_BUCKET], MIDDLES))
    seconds_in_bursts = sum(map(mul, gaps.counts[:_SILENCE_BUCKET], MIDDLES))
    # Without silences between bursts, the wait for the first content is the only silence.
    silent_seconds = gaps.seconds - seconds_in_bursts if silences else wait

    too_short = proves_nothing(deltas, bursts)
    slow_network = (
        network_gaps > _MAX_NETWORK_GAPS_PER_BURST * bursts or deltas < _MIN_DELTAS_PER_PACKET * packets
    )
    pace_of_a_model = seconds_in_packets > _SECONDS_PER_DELTA * deltas
    slow_reader = away > silent_seconds / 2
    if too_short or slow_network or pace_of_a_model or slow_reader:
        return None
    if silences:
        return "bursts"
    return "at_end" if wait >= _MIN_WAIT and seconds_in_bursts <= wait * _MAX_BURST_SHARE else None


NO_GAPS = GapHistogram()


@explain_names(OF_METRICS)
@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The speed of an answer so far; all times in seconds.

    The marks, from `first_byte` to `first_tool_call`, are counted from the start
    of the clock, and are None until they are reached. Pings, comments and empty
    pieces reach only the first of the marks, the first byte.

    Example:
        >>> Metrics(started="request", ttft=0.25, duration=1.25, output_tokens=101,
        ...         last_content=1.25).tokens_per_second
        100.0
    """

    started: Literal["request", "wrapped"]
    """The start of the clock: the request, or the moment when a response was wrapped."""
    first_byte: float | None = None
    """Seconds until the first byte of the body."""
    first_event: float | None = None
    """Seconds until the first whole frame."""
    ttft: float | None = None
    """Seconds until the first token of any kind: text, reasoning, refusal, tool call, arguments or media."""
    first_text: float | None = None
    """Seconds until the first text."""
    first_tool_call: float | None = None
    """Seconds until the beginning of the first tool call."""
    last_content: float | None = None
    """Seconds until the last content so far."""
    duration: float | None = None
    """Seconds until the end of the answer, or the last byte so far; None before the first byte."""
    chunks: int = 0
    """Number of chunks that were read."""
    bytes: int = 0
    """Number of bytes that were read."""
    events: int = 0
    """Number of events that were returned."""
    deltas: int = 0
    """Number of events with content."""
    content_chunks: int = 0
    """Number of chunks with content."""
    gaps: GapHistogram = NO_GAPS
    """The times between two successive chunks with content: `gaps.p50`, `p95`, `p99`, `max`, `mean`."""
    stalls: int = 0
    """Number of gaps between chunks with content that are longer than two seconds."""
    own_seconds: float | None = field(default=None, compare=False)
    """Time that the library itself spent on chunks of one delta each; None before one was timed."""
    away: float = 0.0
    """Seconds without a reader: the caller's loop was busy with something else for more than 10 ms."""
    output_tokens: int | None = None
    """Number of the answer's tokens; `tokens_basis` names the basis of the count."""
    tokens_basis: Literal["reported", "partial", "estimated"] | None = None
    """Origin of `output_tokens`: the provider's final count, its count so far, or an estimate."""

    @property
    def buffered(self) -> Literal["bursts", "at_end"] | None:
        """The way in which a proxy or server on the way seems to hold the answer back.

        The answer arrives in bursts with silence between them, or all of it at the end, and
        faster than any model writes. None if the times do not show that, or if the answer
        is too short to show it.
        """
        if self.ttft is None:
            return None
        return detect_buffering(self.gaps, wait=self.ttft, deltas=self.deltas, away=self.away)

    @property
    def tpot(self) -> float | None:
        """The time per token after the first: (last content - first content) / (tokens - 1).

        None if the provider has not reported the number of tokens, or if `tokens_per_second` is None.
        """
        speed = self.tokens_per_second if self.tokens_basis == "reported" else None
        return None if speed is None else 1 / speed

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second after the first: (tokens - 1) / (last content - first content).

        The number of tokens is an estimate if `tokens_basis` is "estimated". The result is None if the
        number is unknown or less than two, or if all content arrived at once.
        """
        if self.output_tokens is None or self.last_content is None or self.ttft is None:
            return None
        seconds = self.last_content - self.ttft
        return (self.output_tokens - 1) / seconds if seconds > 0 and self.output_tokens > 1 else None

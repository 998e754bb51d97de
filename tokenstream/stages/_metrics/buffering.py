"""The detection of answers that a proxy or server on the way holds back."""

from __future__ import annotations

from operator import mul
from typing import TYPE_CHECKING, Literal

from tokenstream.stages._metrics.gaps import MIDDLES

if TYPE_CHECKING:
    from tokenstream.stages._metrics.gaps import GapHistogram

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
    """Return True if an answer has too few deltas for a judgement by its times.

    Args:
        deltas: Number of deltas of the answer.
        bursts: Number of bursts in which they arrived.
    """
    return deltas < max(_MIN_DELTAS_PER_BURST * bursts, _MIN_DELTAS)


def detect_buffering(
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
        away: Seconds in which the caller was busy with something else, so that nothing was read.

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

"""The speed of an answer: its marks (when it reached certain points), gaps and tokens per second."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from operator import sub
from typing import TYPE_CHECKING, Literal, NamedTuple

from tokenstream.stages._gaps import NO_COUNTS, GapHistogram, buffering, count_sorted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.message import Usage

__all__ = ["BATCH", "SAMPLE", "GapHistogram", "Meter", "Metrics"]

STALL_SECONDS = 2.0
"""The length from which a gap between two chunks with content counts as a stall."""
BATCH = 512
"""Arrival times that are kept, at 32 bytes each, before their gaps are counted; most answers have fewer."""
_AT_ONCE = 128
"""The number of gaps that are sorted and counted together."""
SAMPLE = 128
"""One chunk out of this many is timed."""
_NO_GAPS = GapHistogram()


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
    gaps: GapHistogram = _NO_GAPS
    """The times between two successive chunks with content: `gaps.p50`, `p95`, `p99`, `max`, `mean`."""
    stalls: int = 0
    """Number of these gaps longer than two seconds."""
    own_seconds: float | None = field(default=None, compare=False)
    """Time that the library itself spent on chunks of one delta each; None before one was timed."""
    away: float = 0.0
    """Seconds without a reader: the caller's loop was busy with something else for more than 10 ms."""
    output_tokens: int | None = None
    """Number of the answer's tokens; `tokens_source` names the origin of the count."""
    tokens_source: Literal["reported", "partial", "estimated"] | None = None
    """The provider's final count, its count so far, or an estimate from the text."""

    @property
    def buffered(self) -> Literal["bursts", "at_end"] | None:
        """The way in which a proxy or server on the way seems to hold the answer back.

        The answer arrives in bursts with silence between them, or all of it at the end, and
        faster than any model writes. None if the times are no sign of that, or if the answer
        is too short to tell.
        """
        if self.ttft is None:
            return None
        return buffering(self.gaps, wait=self.ttft, deltas=self.deltas, away=self.away)

    @property
    def tpot(self) -> float | None:
        """The time per token after the first: (last content - first content) / (tokens - 1).

        None until the provider has reported the number of tokens.
        """
        speed = self.tokens_per_second if self.tokens_source == "reported" else None
        return None if speed is None else 1 / speed

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second after the first: (tokens - 1) / (last content - first content).

        The number of tokens is an estimate if `tokens_source` is "estimated".
        """
        if self.output_tokens is None or self.last_content is None or self.ttft is None:
            return None
        seconds = self.last_content - self.ttft
        return (self.output_tokens - 1) / seconds if seconds > 0 and self.output_tokens > 1 else None


class _Counted(NamedTuple):
    """The gaps that are counted already, and the arrival times whose gaps are not."""

    counts: Sequence[int]
    longest: float
    stalls: int
    number: int
    stamps: list[float]
    """The clock at each chunk with content, beginning with the last chunk that was counted."""

    def count_gaps(self) -> tuple[list[float], _Counted]:
        """Return the gaps that were not counted yet, and the totals that include them."""
        stamps = self.stamps[:]
        gaps = list(map(sub, stamps[1:], stamps))
        if not gaps:
            return gaps, self
        counts, longest, stalls = [*self.counts], self.longest, self.stalls
        for start in range(0, len(gaps), _AT_ONCE):
            # Sorting a few at a time is faster than sorting all together.
            ordered = sorted(gaps[start : start + _AT_ONCE])
            count_sorted(ordered, counts)
            longest = max(longest, ordered[-1])
            if ordered[-1] > STALL_SECONDS:
                stalls += len(ordered) - bisect_right(ordered, STALL_SECONDS)
        return gaps, _Counted(counts, longest, stalls, self.number + len(gaps), [stamps[-1]])


class Meter:
    """Records the marks while an answer arrives; metrics are computed only when `read` is called.

    Args:
        started_at: The start time, on the same clock as `now`.
        wrapped: Whether the start is the moment when a response was wrapped, not its request.

    Example:
        >>> meter = Meter(10.0)
        >>> meter.mark(10.5, frame=True), meter.content(10.5), meter.mark_text(10.5)
        (None, None, None)
        >>> meter.read().ttft
        0.5
    """

    __slots__ = (
        "_counted",
        "_first_byte",
        "_first_content",
        "_first_text",
        "_first_tool_call",
        "_own",
        "_wrapped",
        "away",
        "bytes",
        "ended_at",
        "first_event_at",
        "look_at",
        "on_gaps",
        "plain_chunks",
        "plain_content_chunks",
        "plain_deltas",
        "stamps",
        "started_at",
        "waiting",
    )

    def __init__(self, started_at: float, *, wrapped: bool = False) -> None:
        self.bytes = 0
        """Number of bytes that were read."""
        self.plain_chunks = 0
        """Number of chunks on the full path; a chunk on the fast path is exactly one delta."""
        self.plain_content_chunks = 0
        """Number of full-path chunks with content."""
        self.plain_deltas = 0
        """Number of events with content in full-path chunks."""
        self.waiting = True
        """True while the answer has not reached all of the marks that most answers reach."""
        self.away = 0.0
        """Seconds without a reader."""
        self.first_event_at: float | None = None
        """The clock at the first whole frame; None before it."""
        self.on_gaps: Callable[[list[float]], object] | None = None
        """A callback that gets the gaps between successive chunks with content, in seconds.

        The gaps are passed in order and in batches, whenever some are counted; `pack`
        passes on the remaining ones, for example at the end. The callback is called
        in the middle of a read and must not raise.
        """
        self._first_byte: float | None = None
        self._first_content: float | None = None
        self._first_text: float | None = None
        self._first_tool_call: float | None = None
        self.stamps: list[float] = []
        """The clock at each chunk with content whose gap is not counted yet.

        Code that appends to this list calls `look` once the list holds `look_at` times.
        """
        self.look_at = SAMPLE
        """The length of `stamps` at which the next chunk is timed, or the gaps are counted."""
        self._own = (0, 0.0, 0.0)
        """The number of timed chunks, their seconds, and the seconds spent on counting gaps."""
        # Replaced as a whole, because another thread may ask for metrics at any moment.
        self._counted = _Counted(NO_COUNTS, -1.0, 0, 0, self.stamps)
        self.begin(started_at, wrapped=wrapped)

    def begin(self, started_at: float, *, wrapped: bool) -> None:
        """Start the clock: at the request, or at the moment when a response was wrapped."""
        self.started_at = started_at
        self.ended_at: float | None = None
        self._wrapped = wrapped

    @property
    def content_at(self) -> float:
        """The clock at the last content; before any content, at the first frame or else at the start."""
        stamps = self.stamps
        if stamps:
            return stamps[-1]
        return self.started_at if self.first_event_at is None else self.first_event_at

    @property
    def glanced(self) -> int:
        """Number of chunks on the fast path, with one delta each."""
        return self.content_chunks - self.plain_content_chunks

    @property
    def chunks(self) -> int:
        """Number of chunks that were read."""
        return self.plain_chunks + self.glanced

    @property
    def content_chunks(self) -> int:
        """Number of chunks with content."""
        counted = self._counted
        return counted.number + len(counted.stamps)

    def mark(self, now: float, *, frame: bool) -> None:
        """Mark the first byte and the first whole frame."""
        if self._first_byte is None:
            self._first_byte = now
        if frame and self.first_event_at is None:
            self.first_event_at = now

    def mark_text(self, now: float) -> None:
        """Mark the first text, which is the last of the marks that most answers reach."""
        self._first_text = now
        self.waiting = False

    def mark_tool_call(self, now: float) -> None:
        """Mark the first tool call; later tool calls change nothing."""
        if self._first_tool_call is None:
            self._first_tool_call = now

    def content(self, now: float) -> None:
        """Count a chunk with content on the full path, and mark the first content of the answer."""
        if self._first_content is None:
            self._first_content = now
        self.plain_content_chunks += 1
        self.stamps.append(now)
        if len(self.stamps) >= self.look_at:
            self.look()

    def look(self) -> None:
        """Count the gaps once there are enough of them; set the length at which to call this again."""
        if len(self.stamps) >= BATCH:
            self.pack()
        self.look_at = len(self.stamps) + SAMPLE

    def pack(self) -> None:
        """Count and report the gaps between the times in `stamps`, and keep only the last of the times."""
        gaps, self._counted = self._counted.count_gaps()
        self.stamps = self._counted.stamps
        if gaps and self.on_gaps is not None:
            self.on_gaps(gaps)

    def took(self, seconds: float, *, packing: float) -> None:
        """Record the seconds that a chunk on the fast path took, and those of counting gaps before it."""
        samples, sampled, packed = self._own
        self._own = (samples + 1, sampled + seconds, packed + packing)

    def finish(self, now: float) -> None:
        """Mark the end of the answer, once."""
        if self.ended_at is None:
            self.ended_at = now

    def read(self, now: float | None = None, *, events: int = 0, usage: Usage | None = None) -> Metrics:
        """Return the metrics so far.

        Args:
            now: The clock at the last input.
            events: Events returned so far.
            usage: The token counts so far.
        """

        def since(mark: float | None) -> float | None:
            return None if mark is None else mark - self.started_at

        tokens = None if usage is None else usage.output_tokens
        _, counted = self._counted.count_gaps()
        last = counted.stamps[-1] if counted.stamps else None
        first, gaps = self._first_content, _NO_GAPS
        if counted.number and first is not None and last is not None:
            gaps = GapHistogram(tuple(counted.counts), last - first, counted.longest)
        samples, sampled, packed = self._own
        content_chunks = counted.number + len(counted.stamps)
        glanced = content_chunks - self.plain_content_chunks
        return Metrics(
            started="wrapped" if self._wrapped else "request",
            first_byte=since(self._first_byte),
            first_event=since(self.first_event_at),
            ttft=since(first),
            first_text=since(self._first_text),
            first_tool_call=since(self._first_tool_call),
            last_content=since(last),
            duration=since(self.ended_at if self.ended_at is not None else now),
            chunks=self.plain_chunks + glanced,
            bytes=self.bytes,
            events=events,
            deltas=self.plain_deltas + glanced,
            content_chunks=content_chunks,
            gaps=gaps,
            stalls=counted.stalls,
            own_seconds=sampled / samples * glanced + packed if samples else None,
            away=self.away,
            output_tokens=tokens,
            tokens_source=None if usage is None or tokens is None else usage.source,
        )

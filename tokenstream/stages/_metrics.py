"""How fast an answer came."""

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
"""A gap between content that counts as a stall."""
BATCH = 512
"""Times of chunks, 32 bytes each, that are kept before their gaps are counted; most answers are shorter."""
_AT_ONCE = 128
"""Gaps that are put in order and counted at once."""
SAMPLE = 128
"""One chunk in so many is timed."""
_NO_GAPS = GapHistogram()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How fast an answer came, as far as it has come; all times in seconds.

    The marks, from `first_byte` to `first_tool_call`, are counted from the
    start of the clock, and are None until what they mark has come. Pings,
    comments and empty pieces mark nothing but the first byte.

    Example:
        >>> Metrics(started="request", ttft=0.25, duration=1.25, output_tokens=101,
        ...         last_content=1.25).tokens_per_second
        100.0
    """

    started: Literal["request", "wrapped"]
    """Whether the clock began at the request, or when a response was wrapped."""
    first_byte: float | None = None
    """Until the first byte of the body."""
    first_event: float | None = None
    """Until the first whole frame."""
    ttft: float | None = None
    """Until the first token of any kind: text, reasoning, refusal, a tool call, arguments or media."""
    first_text: float | None = None
    """Until the first text."""
    first_tool_call: float | None = None
    """Until the first tool call began."""
    last_content: float | None = None
    """Until the last content so far."""
    duration: float | None = None
    """Until the end of the answer, or the last byte so far; None before anything came."""
    chunks: int = 0
    """Chunks that were read."""
    bytes: int = 0
    """Bytes that were read."""
    events: int = 0
    """Events that were given."""
    deltas: int = 0
    """Those of them that held content."""
    content_chunks: int = 0
    """Chunks that held content."""
    gaps: GapHistogram = _NO_GAPS
    """The times between two successive chunks with content: `gaps.p50`, `p95`, `p99`, `max`, `mean`."""
    stalls: int = 0
    """How many of these gaps were longer than two seconds."""
    own_seconds: float | None = field(default=None, compare=False)
    """Time that the library itself took to read chunks of one delta each; None before one was timed."""
    away: float = 0.0
    """Seconds for which nobody read: the loop was busy with something else for more than 10 ms."""
    output_tokens: int | None = None
    """Tokens of the answer; `tokens_source` says who counted them."""
    tokens_source: Literal["reported", "partial", "estimated"] | None = None
    """Whether these are the provider's final count, its count so far, or an estimate by the text."""

    @property
    def buffered(self) -> Literal["bursts", "at_end"] | None:
        """How something on the way holds the answer back, as far as its times can tell.

        In bursts with silence between them, or all of it at the end, and faster
        than any model writes. None where that does not show, as in short answers.
        """
        if self.ttft is None:
            return None
        return buffering(self.gaps, wait=self.ttft, deltas=self.deltas, away=self.away)

    @property
    def tpot(self) -> float | None:
        """The time per token after the first: (last content - first content) / (tokens - 1).

        None until the provider has reported how many there were.
        """
        speed = self.tokens_per_second if self.tokens_source == "reported" else None
        return None if speed is None else 1 / speed

    @property
    def tokens_per_second(self) -> float | None:
        """How fast tokens came after the first: (tokens - 1) / (last content - first content).

        It goes by an estimate where `tokens_source` says so.
        """
        if self.output_tokens is None or self.last_content is None or self.ttft is None:
            return None
        seconds = self.last_content - self.ttft
        return (self.output_tokens - 1) / seconds if seconds > 0 and self.output_tokens > 1 else None


class _Counted(NamedTuple):
    """Gaps that were counted, and the times of which it is still to be done."""

    counts: Sequence[int]
    longest: float
    stalls: int
    number: int
    stamps: list[float]
    """The clock at each chunk with content, from the last one on that was counted."""

    def packed(self) -> tuple[list[float], _Counted]:
        """Return the gaps that were not counted yet, and what it comes to with them."""
        stamps = self.stamps[:]
        gaps = list(map(sub, stamps[1:], stamps))
        if not gaps:
            return gaps, self
        counts, longest, stalls = [*self.counts], self.longest, self.stalls
        for start in range(0, len(gaps), _AT_ONCE):
            # To put a few in order takes less than all of them together.
            ordered = sorted(gaps[start : start + _AT_ONCE])
            count_sorted(ordered, counts)
            longest = max(longest, ordered[-1])
            if ordered[-1] > STALL_SECONDS:
                stalls += len(ordered) - bisect_right(ordered, STALL_SECONDS)
        return gaps, _Counted(counts, longest, stalls, self.number + len(gaps), [stamps[-1]])


class Meter:
    """Takes the marks while an answer comes; a reading costs nothing until it is asked for.

    Args:
        started_at: A reading of the clock that `now` is read from.
        wrapped: Whether that was when a response was wrapped, not its request.

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
        """Bytes that were read."""
        self.plain_chunks = 0
        """Chunks that were not read at a glance; one that was is one delta."""
        self.plain_content_chunks = 0
        """Those of them that held content."""
        self.plain_deltas = 0
        """Events with content that these held."""
        self.waiting = True
        """Whether one of the marks that most answers have has not been taken."""
        self.away = 0.0
        """Seconds for which nobody read."""
        self.first_event_at: float | None = None
        """The clock at the first whole frame."""
        self.on_gaps: Callable[[list[float]], object] | None = None
        """Is handed the seconds between each two successive chunks with content, for whoever records each.

        They come in their order and in batches, whenever some are counted; `pack`
        hands over those that are left, at the end say. It is called in the middle
        of a read and must not raise.
        """
        self._first_byte: float | None = None
        self._first_content: float | None = None
        self._first_text: float | None = None
        self._first_tool_call: float | None = None
        self.stamps: list[float] = []
        """The clock at each chunk with content, as far as the gaps are not counted.

        Whoever adds to it calls `look` once it holds `look_at`.
        """
        self.look_at = SAMPLE
        """How many of them there are when the next chunk is timed, or they are counted."""
        self._own = (0, 0.0, 0.0)
        """Chunks that were timed, their seconds, and those that it took to count gaps."""
        # Replaced as a whole: another thread may ask for a reading at any moment.
        self._counted = _Counted(NO_COUNTS, -1.0, 0, 0, self.stamps)
        self.begin(started_at, wrapped=wrapped)

    def begin(self, started_at: float, *, wrapped: bool) -> None:
        """Start the clock: at the request, or when its response was wrapped."""
        self.started_at = started_at
        self.ended_at: float | None = None
        self._wrapped = wrapped

    @property
    def content_at(self) -> float:
        """The clock at the last content, or, while there is none, at the first frame or the start."""
        stamps = self.stamps
        if stamps:
            return stamps[-1]
        return self.started_at if self.first_event_at is None else self.first_event_at

    @property
    def glanced(self) -> int:
        """Chunks that were one delta each, and were read at a glance."""
        return self.content_chunks - self.plain_content_chunks

    @property
    def chunks(self) -> int:
        """Chunks that were read."""
        return self.plain_chunks + self.glanced

    @property
    def content_chunks(self) -> int:
        """Chunks that held content."""
        counted = self._counted
        return counted.number + len(counted.stamps)

    def mark(self, now: float, *, frame: bool) -> None:
        """Mark the first byte and the first whole frame."""
        if self._first_byte is None:
            self._first_byte = now
        if frame and self.first_event_at is None:
            self.first_event_at = now

    def mark_text(self, now: float) -> None:
        """Mark the first text; it is the last of the marks that most answers have."""
        self._first_text = now
        self.waiting = False

    def mark_tool_call(self, now: float) -> None:
        """Mark the first tool call; those that follow change nothing."""
        if self._first_tool_call is None:
            self._first_tool_call = now

    def content(self, now: float) -> None:
        """Mark the first content of a chunk that is not read at a glance."""
        if self._first_content is None:
            self._first_content = now
        self.plain_content_chunks += 1
        self.stamps.append(now)
        if len(self.stamps) >= self.look_at:
            self.look()

    def look(self) -> None:
        """Count the gaps once there are enough of them."""
        if len(self.stamps) >= BATCH:
            self.pack()
        self.look_at = len(self.stamps) + SAMPLE

    def pack(self) -> None:
        """Count the gaps of which only the times are kept."""
        gaps, self._counted = self._counted.packed()
        self.stamps = self._counted.stamps
        if gaps and self.on_gaps is not None:
            self.on_gaps(gaps)

    def took(self, seconds: float, *, packing: float) -> None:
        """Take how long a chunk took that was read at a glance, and how long it took to count gaps before."""
        samples, sampled, packed = self._own
        self._own = (samples + 1, sampled + seconds, packed + packing)

    def finish(self, now: float) -> None:
        """Mark the end of the answer, once."""
        if self.ended_at is None:
            self.ended_at = now

    def read(self, now: float | None = None, *, events: int = 0, usage: Usage | None = None) -> Metrics:
        """Return the readings so far.

        Args:
            now: The clock at the last input.
            events: Events that were given.
            usage: The token counts so far.
        """

        def since(mark: float | None) -> float | None:
            return None if mark is None else mark - self.started_at

        tokens = None if usage is None else usage.output_tokens
        _, counted = self._counted.packed()
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

"""The meter of an answer: it records arrival times and counts, and computes the metrics on request."""

from __future__ import annotations

from bisect import bisect_right
from operator import sub
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream.message import Usage
    from tokenstream.stages._metrics.metrics import Metrics

STALL_SECONDS = 2.0
"""The length from which a gap between two chunks with content counts as a stall."""
BATCH = 512
"""Arrival times that are kept, at 32 bytes each, before their gaps are counted; most answers have fewer."""
_AT_ONCE = 128
"""The number of gaps that are sorted and counted together."""
SAMPLE = 128
"""One chunk out of this many is timed."""


class _Gaps(NamedTuple):
    """The totals of the gaps counted so far, and the arrival times between which gaps are to be counted."""

    counts: Sequence[int]
    """The number of gaps in each bucket of a `GapHistogram`; empty before the first are counted."""
    longest: float
    """The longest gap; -1.0 if there is none."""
    stalls: int
    number: int
    stamps: list[float]
    """The clock at each chunk with content, beginning with the last chunk that was counted."""

    def count_gaps(self) -> tuple[list[float], _Gaps]:
        """Return the gaps that were not counted yet, and new totals that include these gaps."""
        # Another thread may add a stamp meanwhile.
        stamps = self.stamps[:]
        gaps = list(map(sub, stamps[1:], stamps))
        if not gaps:
            return gaps, self
        from tokenstream.stages._metrics.metrics import NO_COUNTS, count_sorted

        counts, longest, stalls = [*(self.counts or NO_COUNTS)], self.longest, self.stalls
        for start in range(0, len(gaps), _AT_ONCE):
            # Sorting a few at a time is faster than sorting all together.
            ordered = sorted(gaps[start : start + _AT_ONCE])
            count_sorted(ordered, counts)
            longest = max(longest, ordered[-1])
            if ordered[-1] > STALL_SECONDS:
                stalls += len(ordered) - bisect_right(ordered, STALL_SECONDS)
        return gaps, _Gaps(counts, longest, stalls, self.number + len(gaps), [stamps[-1]])


class Meter:
    """Records when an answer reaches its marks (such as the first text), and when its chunks arrive.

    The metrics are computed from these times only when `read` is called. A meter is `wrapped` if it starts
    when a response is wrapped, not with its request.
    """

    def __init__(self, started_at: float) -> None:
        # Counts, apart from those of the chunks on the fast path (see `glanced`).
        self.bytes = 0
        self.framed_chunks = 0
        """Number of chunks that were cut into frames; a chunk on the fast path is not, and is one delta."""
        self.framed_content_chunks = 0
        """Number of chunks that were cut into frames and had content."""
        self.framed_deltas = 0
        """Number of events with content in chunks that were cut into frames."""
        self.away = 0.0
        """Seconds in which nothing was read, because the caller was busy with something else."""

        # The marks: the clock when the answer first reached each of them; None before that.
        self.first_event_at: float | None = None
        """The clock at the first whole frame; None before it."""
        self._first_byte: float | None = None
        self._first_content: float | None = None
        self._first_text: float | None = None
        self._first_tool_call: float | None = None
        self.waiting = True
        """True while the answer has not reached all of the marks that most answers reach."""

        # The gaps between chunks with content, and the library's own time.
        self.on_gaps: Callable[[list[float]], object] | None = None
        """A callback that gets the gaps between successive chunks with content, in seconds.

        The gaps are passed in order and in batches, whenever some are counted; `pack`
        passes on the remaining ones, for example at the end. The callback is called
        in the middle of a read and must not raise.
        """
        self.stamps: list[float] = []
        """The clock at each chunk with content whose gap is not counted yet.

        Code that appends to this list calls `check_stamps` once the list holds `check_at` times.
        """
        self.check_at = SAMPLE
        """The length of `stamps` at which the next chunk is timed, or the gaps are counted."""
        self._spent = (0, 0.0, 0.0)
        """The number of timed chunks, their seconds, and the seconds spent on counting gaps."""
        # Replaced as a whole, because another thread may ask for metrics at any moment.
        # In the order of the fields: a call of the class takes five times as long.
        self._counted = tuple.__new__(_Gaps, ((), -1.0, 0, 0, self.stamps))  # pyright: ignore[reportUnknownMemberType]
        self.begin(started_at, wrapped=False)

    def begin(self, started_at: float, *, wrapped: bool) -> None:
        """Start the clock: at the request, or at the moment when a response was wrapped."""
        self.started_at = started_at
        self.ended_at: float | None = None
        self._wrapped = wrapped

    @property
    def content_at(self) -> float:
        """The clock reading at the last content; without content, at the first frame or else the start."""
        stamps = self.stamps
        if stamps:
            return stamps[-1]
        return self.started_at if self.first_event_at is None else self.first_event_at

    @property
    def glanced(self) -> int:
        """Number of chunks on the fast path, which does not cut them into frames; each has one delta."""
        counted = self._counted
        # There are as many chunks before the first stamp as there are counted gaps.
        return counted.number + len(counted.stamps) - self.framed_content_chunks

    @property
    def chunks(self) -> int:
        """Number of chunks that were read: those that were cut into frames, and those on the fast path."""
        return self.framed_chunks + self.glanced

    @property
    def content_chunks(self) -> int:
        return self.framed_content_chunks + self.glanced

    def count_chunk(self, size: int) -> None:
        """Count a chunk that is cut into frames."""
        self.framed_chunks += 1
        self.bytes += size

    def count_deltas(self, number: int) -> None:
        """Count events with content in a chunk that was cut into frames."""
        self.framed_deltas += number

    def discount_bytes(self, size: int) -> None:
        """Do not count bytes that were counted for an input without a size."""
        self.bytes -= size

    def mark(self, now: float, *, frame: bool) -> None:
        """Record the time of the first byte, and of the first whole frame; later ones change nothing."""
        if self._first_byte is None:
            self._first_byte = now
        if frame and self.first_event_at is None:
            self.first_event_at = now

    def mark_text(self, now: float) -> None:
        """Record the time of the first text, after which most answers reach no other mark."""
        self._first_text = now
        # Events of the text are no longer compared with the marks.
        self.waiting = False

    def mark_tool_call(self, now: float) -> None:
        """Mark the first tool call; later tool calls change nothing."""
        if self._first_tool_call is None:
            self._first_tool_call = now

    def mark_content(self, now: float) -> None:
        """Count a chunk with content that was cut into frames, and mark the first content of the answer."""
        if self._first_content is None:
            self._first_content = now
        self.framed_content_chunks += 1
        self.stamps.append(now)
        if len(self.stamps) >= self.check_at:
            self.check_stamps()

    def check_stamps(self) -> None:
        """Count the gaps between the times in `stamps`, and drop these times, if there are enough of them.

        `stamps` has the times at which chunks with content arrived. Afterwards, `check_at` is the
        length of `stamps` at which this method has to be called again.
        """
        if len(self.stamps) >= BATCH:
            self.pack()
        self.check_at = len(self.stamps) + SAMPLE

    def pack(self) -> None:
        """Add the gaps between the times in `stamps` to the totals, and keep only the last time.

        The new gaps are also passed to the function `on_gaps`, if there is one.
        """
        gaps, self._counted = self._counted.count_gaps()
        self.stamps = self._counted.stamps
        if gaps and self.on_gaps is not None:
            self.on_gaps(gaps)

    def took(self, seconds: float, *, packing: float) -> None:
        """Record the seconds spent on a chunk on the fast path, and those spent on counting gaps before."""
        timed_chunks, timed_seconds, counting_seconds = self._spent
        self._spent = (timed_chunks + 1, timed_seconds + seconds, counting_seconds + packing)

    def finish(self, now: float) -> None:
        """Record the time of the answer's end; later calls change nothing."""
        if self.ended_at is None:
            self.ended_at = now

    def go_on(self) -> None:
        """Forget the time of the answer's end, because another connection goes on with it."""
        self.ended_at = None

    def read(self, now: float | None = None, *, events: int = 0, usage: Usage | None = None) -> Metrics:
        """Return the metrics so far."""
        from tokenstream.stages._metrics.metrics import NO_GAPS, GapHistogram, Metrics

        def since(mark: float | None) -> float | None:
            return None if mark is None else mark - self.started_at

        tokens, basis = (None, None) if usage is None else (usage.output_tokens, usage.basis)
        _, counted = self._counted.count_gaps()
        last = counted.stamps[-1] if counted.stamps else None
        first, gaps = self._first_content, NO_GAPS
        if counted.number and first is not None and last is not None:
            # The gaps follow one another, so their sum is the time from the first content to the last.
            gaps = GapHistogram(tuple(counted.counts), last - first, counted.longest)
        # Before each gap is a chunk with content, and the time of the last one is in `stamps`.
        content_chunks = counted.number + len(counted.stamps)
        # The other chunks with content were read on the fast path; each of them is one delta.
        fast_chunks = content_chunks - self.framed_content_chunks
        timed_chunks, timed_seconds, counting_seconds = self._spent
        own_seconds = None
        if timed_chunks:
            # Only a sample of the chunks is timed, but every counting of gaps.
            own_seconds = timed_seconds / timed_chunks * fast_chunks + counting_seconds
        return Metrics(
            started="wrapped" if self._wrapped else "request",
            first_byte=since(self._first_byte),
            first_event=since(self.first_event_at),
            ttft=since(first),
            first_text=since(self._first_text),
            first_tool_call=since(self._first_tool_call),
            last_content=since(last),
            duration=since(self.ended_at if self.ended_at is not None else now),
            chunks=self.framed_chunks + fast_chunks,
            bytes=self.bytes,
            events=events,
            deltas=self.framed_deltas + fast_chunks,
            content_chunks=content_chunks,
            gaps=gaps,
            stalls=counted.stalls,
            own_seconds=own_seconds,
            away=self.away,
            output_tokens=tokens,
            tokens_basis=None if tokens is None or basis == "none" else basis,
        )

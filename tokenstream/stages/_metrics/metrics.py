"""The speed of an answer: its marks (when it reached certain points), gaps and tokens per second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tokenstream._basics.members import show_members
from tokenstream.stages._metrics.buffering import detect_buffering
from tokenstream.stages._metrics.gaps import GapHistogram

NO_GAPS = GapHistogram()


@show_members
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
    """Number of the answer's tokens; `tokens_source` names the origin of the count."""
    tokens_source: Literal["reported", "partial", "estimated"] | None = None
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
        speed = self.tokens_per_second if self.tokens_source == "reported" else None
        return None if speed is None else 1 / speed

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second after the first: (tokens - 1) / (last content - first content).

        The number of tokens is an estimate if `tokens_source` is "estimated". The result is None if the
        number is unknown or less than two, or if all content arrived at once.
        """
        if self.output_tokens is None or self.last_content is None or self.ttft is None:
            return None
        seconds = self.last_content - self.ttft
        return (self.output_tokens - 1) / seconds if seconds > 0 and self.output_tokens > 1 else None

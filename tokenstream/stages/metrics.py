"""How fast an answer came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Meter", "Metrics"]

STALL_SECONDS = 2.0
"""A gap between content that counts as a stall."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How fast an answer came, as far as it has come; all times in seconds.

    The four marks are counted from the start of the clock, and are None until
    what they mark has come. Pings, comments and empty pieces mark nothing but
    the first byte.

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
    """Until the first token of any kind: text, reasoning, refusal, arguments or media."""
    first_text: float | None = None
    """Until the first text."""
    last_content: float | None = None
    """Until the last content so far."""
    duration: float = 0.0
    """Until the end of the answer, or the last byte so far."""
    chunks: int = 0
    """Chunks that were read."""
    bytes: int = 0
    """Bytes that were read."""
    content_chunks: int = 0
    """Chunks that held content."""
    longest_gap: float | None = None
    """The longest time between two chunks with content."""
    stalls: int = 0
    """How many such gaps were longer than two seconds."""
    output_tokens: int | None = None
    """Tokens of the answer, as the provider reported them."""

    @property
    def mean_gap(self) -> float | None:
        """The mean time between two chunks with content."""
        if self.content_chunks < 2 or self.last_content is None or self.ttft is None:
            return None
        return (self.last_content - self.ttft) / (self.content_chunks - 1)

    @property
    def tokens_per_second(self) -> float | None:
        """How fast tokens came after the first: (tokens - 1) / (last content - first content).

        None until the provider reports how many there were.
        """
        if self.output_tokens is None or self.last_content is None or self.ttft is None:
            return None
        seconds = self.last_content - self.ttft
        return (self.output_tokens - 1) / seconds if seconds > 0 and self.output_tokens > 1 else None


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
        "_first_byte",
        "_first_content",
        "_first_text",
        "_longest_gap",
        "_stalls",
        "_wrapped",
        "bytes",
        "content_at",
        "ended_at",
        "first_event_at",
        "glanced",
        "notable_gap",
        "plain_chunks",
        "plain_content_chunks",
        "started_at",
        "waiting",
    )

    def __init__(self, started_at: float, *, wrapped: bool = False) -> None:
        self.bytes = 0
        """Bytes that were read."""
        self.glanced = 0
        """Chunks that were one delta each, and were read at a glance."""
        self.plain_chunks = 0
        """Chunks that were read otherwise."""
        self.plain_content_chunks = 0
        """Those of them that held content."""
        self.waiting = True
        """Whether one of the marks that are taken once has not been taken."""
        self.first_event_at: float | None = None
        """The clock at the first whole frame."""
        self._first_byte: float | None = None
        self._first_content: float | None = None
        self._first_text: float | None = None
        self._longest_gap = -1.0
        self.notable_gap = -1.0
        """A gap that is no longer changes nothing that is told."""
        self._stalls = 0
        self.begin(started_at, wrapped=wrapped)

    def begin(self, started_at: float, *, wrapped: bool) -> None:
        """Start the clock: at the request, or when its response was wrapped."""
        self.started_at = started_at
        self.content_at = started_at
        """The clock at the last content, or at the first frame while there was none."""
        self.ended_at: float | None = None
        self._wrapped = wrapped

    @property
    def chunks(self) -> int:
        """Chunks that were read."""
        return self.plain_chunks + self.glanced

    @property
    def content_chunks(self) -> int:
        """Chunks that held content."""
        return self.plain_content_chunks + self.glanced

    def mark(self, now: float, *, frame: bool) -> None:
        """Mark the first byte and the first whole frame."""
        if self._first_byte is None:
            self._first_byte = now
        if frame and self.first_event_at is None:
            self.first_event_at = now
            if self._first_content is None:
                self.content_at = now

    def mark_text(self, now: float) -> None:
        """Mark the first text; it is the last of the marks that are taken once."""
        self._first_text = now
        self.waiting = False

    def content(self, now: float) -> None:
        """Mark the first content of a chunk that is not read at a glance."""
        if self._first_content is None:
            self._first_content = now
        elif now - self.content_at > self.notable_gap:
            self.gap(now - self.content_at)
        self.content_at = now
        self.plain_content_chunks += 1

    def gap(self, seconds: float) -> None:
        """Take a notable gap between two contents."""
        self._longest_gap = max(self._longest_gap, seconds)
        self._stalls += seconds > STALL_SECONDS
        self.notable_gap = min(self._longest_gap, STALL_SECONDS)

    def finish(self, now: float) -> None:
        """Mark the end of the answer, once."""
        if self.ended_at is None:
            self.ended_at = now

    def read(self, now: float | None = None, output_tokens: int | None = None) -> Metrics:
        """Return the readings so far.

        Args:
            now: The clock at the last input.
            output_tokens: Tokens of the answer, where the provider reported them.
        """

        def since(mark: float | None) -> float | None:
            return None if mark is None else mark - self.started_at

        content = self._first_content is not None
        return Metrics(
            started="wrapped" if self._wrapped else "request",
            first_byte=since(self._first_byte),
            first_event=since(self.first_event_at),
            ttft=since(self._first_content),
            first_text=since(self._first_text),
            last_content=since(self.content_at) if content else None,
            duration=since(self.ended_at if self.ended_at is not None else now) or 0.0,
            chunks=self.chunks,
            bytes=self.bytes,
            content_chunks=self.content_chunks,
            longest_gap=self._longest_gap if self._longest_gap >= 0 else None,
            stalls=self._stalls,
            output_tokens=output_tokens,
        )

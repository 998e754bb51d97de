"""The replay of a recording as the source of a stream: its chunk boundaries, and each chunk at its time."""

from __future__ import annotations

import math
import random
import threading
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal, TypeAlias, Unpack, cast

from anyio import sleep

from tokenstream._connection.head import ResponseHead
from tokenstream._sources.kinds import AsyncSource, SyncSource
from tokenstream.errors import MisuseError
from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._recordings.clock import ReplayClock, VirtualClock, as_clock
from tokenstream.testing._recordings.frames import frames_of
from tokenstream.testing._recordings.places import with_boundaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.testing._recordings.recording import Recording, StreamOptions
    from tokenstream.testing.faults import Fault


@dataclass(frozen=True, slots=True)
class Seed:
    r"""Chunks of random sizes, the same each time.

    Args:
        number: Any integer; each number gives other boundaries.

    Example:
        >>> from tokenstream.testing import Recording, Seed
        >>> recording = Recording.of([b"data: Hello\n\n"])
        >>> b"".join(recording.chunks(Seed(7))) == recording.body
        True
    """

    number: int

    def __post_init__(self) -> None:
        # Seed(None), for example, would give other boundaries each time.
        if not isinstance(cast("object", self.number), int):
            raise MisuseError(f"Seed({self.number!r}) is invalid: pass a whole number")


Chunking: TypeAlias = Literal["recorded", "events", "bytes", "whole"] | int | Seed
"""Positions of the chunk boundaries: as recorded, after each frame, after each byte, nowhere, at regular
distances (a number of bytes), or at random (a `Seed`)."""

_MAX_RANDOM = 64
"""Size of the largest random chunk, in bytes."""


def apply_chunking(recording: Recording, chunking: Chunking) -> Recording:
    """Return a recording with other chunk boundaries.

    Each new chunk has the time of its last byte. The messages of a WebSocket keep their
    boundaries.
    """
    if chunking == "recorded":
        return recording
    boundaries = _find_boundaries(recording, chunking)
    # The boundaries are computed for messages as well, so that an invalid `chunking` raises.
    return recording if recording.messages else with_boundaries(recording, boundaries)


def _find_boundaries(recording: Recording, chunking: Chunking) -> Iterable[int]:
    """Return the offset at which each chunk ends; raise `MisuseError` if `chunking` is invalid."""
    size = len(recording.body)
    if isinstance(chunking, int) and not isinstance(chunking, bool) and chunking > 0:
        return [*range(chunking, size, chunking), *([size] if size else [])]
    if isinstance(chunking, Seed):
        return _random_boundaries(size, random.Random(chunking.number))  # noqa: S311 - no secret
    if chunking == "bytes":
        return range(1, size + 1)
    if chunking == "whole":
        return [size] if size else []
    if chunking == "events":
        return accumulate(map(len, frames_of(recording)))
    raise MisuseError(
        f'chunking={chunking!r} is invalid: pass "recorded", "events", "bytes", "whole", a number of bytes '
        "from 1, or testing.Seed(number)"
    )


def _random_boundaries(size: int, generator: random.Random) -> list[int]:
    """Return offsets at which chunks of random sizes end, the last of them at the end of a body."""
    boundaries: list[int] = []
    end = 0
    while end < size:
        end = min(size, end + generator.randint(1, _MAX_RANDOM))
        boundaries.append(end)
    return boundaries


Pace: TypeAlias = Literal["instant", "recorded"] | float
"""Times of the chunks: all at once, as recorded, or a factor of speed."""

_PROPER_CODES = frozenset({1000, 1001})
"""Codes with which a WebSocket is closed properly."""
_AFTER_LIMIT = 1e-6
"""Seconds added to a wait that ends at a limit, since a deadline passes only after its moment."""


class Playback:
    """One replay of a recording.

    Args:
        pace: Times of the recording's chunks.
        chunking: Boundaries of the recording's chunks.
        fault: A fault, or several, applied after chunking and pace.
        clock: The clock; None for a new `VirtualClock`.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        pace: Pace = "instant",
        chunking: Chunking = "recorded",
        fault: Fault | Iterable[Fault] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.clock = as_clock(clock)
        # The usual replay, called "plain", plays the chunks unchanged and all at once. It needs no copy of
        # the recording: `_played` then still has the recorded times, which `stream` ignores.
        is_unchanged = pace == "instant" and chunking == "recorded" and fault is None
        self._is_plain = is_unchanged and recording.breaks is None and self._on_virtual_clock
        self._played = recording if self._is_plain else prepare(recording, pace, chunking, fault)
        self.closed = False
        """True once the reader has closed the stream."""

    @property
    def recording(self) -> Recording:
        """The recording as it is played, with pace, chunking and fault applied."""
        # The recorded times of a plain replay, which are not played, are removed only here.
        return self._played.at_pace("instant") if self._is_plain else self._played

    def stream(self, **options: Unpack[StreamOptions]) -> Stream:
        """Return a `Stream` of the replay."""
        recording, head = self._played, self._head
        options.setdefault("format", recording.format)
        # Without times and breaks, a list iterator is enough, and faster.
        at_once = self._is_plain or (self._on_virtual_clock and recording.at_once)
        chunks = None if at_once else Chunks(recording, self.clock)
        source = SyncSource(
            iter(recording.chunks()) if chunks is None else chunks,
            self._close,
            head=head,
            coding="" if head is None else head.content_coding,
            messages=recording.messages,
            limit_read=None if chunks is None else chunks.limit_read,
            # In real time, `Chunks.shutdown` ends a wait, as the shutdown of a socket would.
            socket=None if self._on_virtual_clock else lambda: chunks,
        )
        with self.clock:
            return Stream(source, **options)  # type: ignore[arg-type] # any name of a format

    def astream(self, **options: Unpack[StreamOptions]) -> AsyncStream:
        """Return an `AsyncStream` of the replay."""
        # Not `_played`: `AsyncReplay` would wait for the recorded times that it has if the replay is plain.
        recording, head = self.recording, self._head
        options.setdefault("format", recording.format)
        chunks = AsyncReplay(recording, self.clock)
        source = AsyncSource(
            chunks,
            self._aclose,
            head=head,
            coding="" if head is None else head.content_coding,
            messages=recording.messages,
            instant=self._on_virtual_clock,
            # A read that is cancelled has not taken a chunk yet.
            survives=True,
            limit_read=chunks.limit_read if self._on_virtual_clock else None,
        )
        with self.clock:
            return AsyncStream(source, **options)  # type: ignore[arg-type] # any name of a format

    @property
    def _on_virtual_clock(self) -> bool:
        return isinstance(self.clock, VirtualClock)

    @property
    def _head(self) -> ResponseHead | None:
        recording = self._played
        if recording.status == 200 and not recording.headers:
            return None
        return ResponseHead(status=recording.status, headers=recording.headers)

    def _close(self) -> None:
        self.closed = True

    async def _aclose(self) -> None:
        self.closed = True


class _Schedule:
    """The schedule of a replay: the time to wait for the next chunk, and the chunk or error that follows."""

    bounded = True
    """True if `limit_read` is the only way to end a wait."""
    end_exception: type[Exception] = StopIteration

    def __init__(self, recording: Recording, clock: ReplayClock) -> None:
        self._arrivals = recording.arrivals
        self._breaks = recording.breaks
        close_code, _ = recording.close_frame or (None, "")
        if recording.messages and recording.breaks == "half":
            # The last message never arrives whole.
            self._arrivals = recording.arrivals[:-1]
        elif recording.messages and recording.breaks == "close" and close_code in _PROPER_CODES:
            self._breaks = None
        self._next_index = 0
        self._clock = clock
        self._started_at = clock()
        self._read_limit = math.inf
        """Time at which the next read gives up; infinity for never."""
        self._limit_comes_first = False
        """True if the next chunk arrives only after the time at which the read gives up."""

    def limit_read(self, seconds: float | None) -> None:
        """Set the limit of the next read, in seconds; None for no limit."""
        self._read_limit = math.inf if seconds is None else self._clock() + seconds

    def _compute_wait(self) -> float:
        """Return the seconds of real time to wait for the next chunk, the end, or the limit of the read."""
        if self._next_index < len(self._arrivals):
            due = self._started_at + self._arrivals[self._next_index].at
        else:
            # The end comes at once, or never.
            due = math.inf if self._breaks == "stall" else -math.inf
        # `bounded` is False if something else can end the wait, such as a cancellation in real time.
        waits_for_ever = due == math.inf and self._read_limit == math.inf and self.bounded
        if waits_for_ever:
            raise MisuseError(
                "the recording stalls for ever, and nothing ends the wait: pass `deadlines=` with one to the "
                "stream, or give the client a read timeout; a process has to be played with "
                "clock=time.monotonic"
            )
        self._limit_comes_first = due > self._read_limit
        # The caller's deadline has passed only after its moment, so the wait is a little longer.
        return self._clock.until(self._read_limit + _AFTER_LIMIT if self._limit_comes_first else due)

    def _take_chunk(self) -> bytes:
        """Return the next chunk; raise as a read does at the end, a broken connection or a timeout."""
        if self._limit_comes_first:
            raise TimeoutError("nothing came in time")
        if self._next_index < len(self._arrivals):
            self._next_index += 1
            return self._arrivals[self._next_index - 1].data
        if self._breaks == "reset":
            raise ConnectionResetError("the recording ends where the connection was reset")
        if self._breaks in {"close", "half"}:
            raise ConnectionError("the recording ends where the connection was closed inside the body")
        raise self.end_exception


class Chunks(_Schedule):
    """The chunks of a recording for a sync stream, each at its time."""

    def __init__(self, recording: Recording, clock: ReplayClock) -> None:
        super().__init__(recording, clock)
        self._shutdown_event = threading.Event()
        """Set by `shutdown`, which another thread calls to end a wait."""

    def shutdown(self, how: int) -> None:
        """End the wait of another thread for a chunk, as the shutdown of a socket would."""
        self._shutdown_event.set()

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        seconds = self._compute_wait()
        if seconds and self._shutdown_event.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise ConnectionAbortedError("the stream was stopped")
        return self._take_chunk()


class AsyncReplay(_Schedule):
    """The chunks of a recording for an async stream, each at its time."""

    end_exception = StopAsyncIteration

    def __init__(self, recording: Recording, clock: ReplayClock) -> None:
        super().__init__(recording, clock)
        # True if only the read limit can end a wait. On a real clock, a cancellation can end it, too.
        self.bounded = isinstance(clock, VirtualClock)

    def __aiter__(self) -> AsyncReplay:
        return self

    async def __anext__(self) -> bytes:
        seconds = self._compute_wait()
        if seconds:
            await sleep(seconds)
        return self._take_chunk()


def prepare(
    recording: Recording, pace: Pace, chunking: Chunking, fault: Fault | Iterable[Fault] | None
) -> Recording:
    """Return a recording with chunking, pace and fault applied, in this order."""
    if chunking != "recorded":
        recording = apply_chunking(recording, chunking)
    if pace != "recorded":
        recording = recording.at_pace(pace)
    return recording if fault is None else recording.with_fault(fault)

"""A recording as the source of a stream: each chunk at its moment, on a clock of any kind."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream.errors import MisuseError
from tokenstream.sources import AsyncSource, SyncSource
from tokenstream.status import ResponseHead
from tokenstream.stream import AsyncStream, Stream
from tokenstream.testing._clock import VirtualClock, clock_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenstream.testing._chunking import Chunking
    from tokenstream.testing._clock import Clock
    from tokenstream.testing._recording import Recording
    from tokenstream.testing.faults import Fault

__all__ = ["AsyncChunks", "Chunks", "Pace", "Playback", "prepared"]

Pace: TypeAlias = Literal["instant", "recorded"] | float
"""When chunks come: all at once, as they came, or how many times as fast."""

_A_HAIR = 1e-6
"""Seconds by which a wait goes beyond its limit: a deadline has passed only then."""


class Playback:
    """One replay of a recording.

    Args:
        recording: The recording.
        pace: When its chunks come.
        chunking: Where their borders are.
        fault: What goes wrong, after pace and borders.
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
        self.clock = clock_of(clock)
        # The usual case needs no times at all, and so no copy without them.
        self._untimed = (pace, chunking, fault, recording.breaks) == (
            "instant",
            "recorded",
            None,
            None,
        ) and self._virtual
        self._played = recording if self._untimed else prepared(recording, pace, chunking, fault)
        self.closed = False
        """Whether whoever read it has closed it."""

    @property
    def recording(self) -> Recording:
        """What is played, with pace, borders and fault."""
        return self._played.at_pace("instant") if self._untimed else self._played

    def stream(self, **options: Any) -> Stream:  # noqa: ANN401 - a stream's own
        """Return a `Stream` of it."""
        recording, head = self._played, self._head
        options.setdefault("format", recording.format)
        at_once = self._untimed or (self._virtual and recording.at_once)
        timed = None if at_once else Chunks(recording, self.clock)
        source = SyncSource(
            iter(recording.chunks()) if timed is None else timed,
            self._close,
            head=head,
            coding="" if head is None else head.content_coding,
            messages=recording.messages,
            bound=None if timed is None else timed.bound,
            socket=None if self._virtual else lambda: timed,
        )
        # A method is called faster than an object that has one, and each chunk asks for the time.
        return Stream(source, clock=self.clock.__call__, **options)

    def astream(self, **options: Any) -> AsyncStream:  # noqa: ANN401 - a stream's own
        """Return an `AsyncStream` of it."""
        recording, head = self.recording, self._head
        options.setdefault("format", recording.format)
        chunks = AsyncChunks(recording, self.clock)
        source = AsyncSource(
            chunks,
            self._aclose,
            head=head,
            coding="" if head is None else head.content_coding,
            messages=recording.messages,
            instant=self._virtual,
            survives=True,
            bound=chunks.bound if self._virtual else None,
        )
        return AsyncStream(source, clock=self.clock.__call__, **options)

    @property
    def _virtual(self) -> bool:
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


class _Waiting:
    """What comes next, and how long until then."""

    bounded = True
    """Whether nothing but `bound` ends a wait."""
    over: type[Exception] = StopIteration
    """What tells that nothing more comes."""

    def __init__(self, recording: Recording, clock: Clock) -> None:
        self._arrivals = recording.arrivals
        self._breaks = recording.breaks
        self._next = 0
        self._clock = clock
        self._began = clock()
        self._limit = math.inf
        self._late = False
        """Whether what is waited for comes after the limit."""

    def bound(self, seconds: float | None) -> None:
        """Say how long the next read may take."""
        self._limit = math.inf if seconds is None else self._clock() + seconds

    def _wait(self) -> float:
        """Return how many seconds of real time pass until the next chunk, or the end.

        Raises:
            MisuseError: It would take for ever.
        """
        if self._next < len(self._arrivals):
            due = self._began + self._arrivals[self._next].at
        else:
            due = math.inf if self._breaks == "stall" else -math.inf
        if due == self._limit == math.inf and self.bounded:
            raise MisuseError(
                "the recording stalls for ever, and nothing ends the wait: pass `deadlines=` with one to the "
                "stream, or give the client a read timeout"
            )
        self._late = due > self._limit
        return self._clock.until(self._limit + _A_HAIR if self._late else due)

    def _take(self) -> bytes:
        """Return the next chunk.

        Raises:
            StopIteration: There is none; to an event loop, StopAsyncIteration.
            ConnectionError: The connection broke there.
            TimeoutError: The limit came first.
        """
        if self._late:
            raise TimeoutError("nothing came in time")
        if self._next < len(self._arrivals):
            self._next += 1
            return self._arrivals[self._next - 1].data
        if self._breaks == "reset":
            raise ConnectionResetError("the recording ends where the connection was reset")
        if self._breaks == "close":
            raise ConnectionError("the recording ends where the connection was closed inside the body")
        raise self.over


class Chunks(_Waiting):
    """The chunks of a recording, each at its moment.

    Args:
        recording: The recording.
        clock: The clock by which they come.
    """

    def __init__(self, recording: Recording, clock: Clock) -> None:
        super().__init__(recording, clock)
        self._shut = threading.Event()

    def shutdown(self, how: int) -> None:
        """End a wait that is in progress in another thread, as on a socket."""
        self._shut.set()

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        seconds = self._wait()
        if seconds and self._shut.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise ConnectionAbortedError("the stream was stopped")
        return self._take()


class AsyncChunks(_Waiting):
    """The chunks of a recording, each at its moment, for an event loop.

    Args:
        recording: The recording.
        clock: The clock by which they come.
    """

    over = StopAsyncIteration

    def __init__(self, recording: Recording, clock: Clock) -> None:
        super().__init__(recording, clock)
        # By a clock that runs, whoever waits is woken by the deadline, or by who cancels the wait.
        self.bounded = isinstance(clock, VirtualClock)

    def __aiter__(self) -> AsyncChunks:
        return self

    async def __anext__(self) -> bytes:
        seconds = self._wait()
        if seconds:
            from anyio import sleep

            await sleep(seconds)
        return self._take()


def prepared(
    recording: Recording, pace: Pace, chunking: Chunking, fault: Fault | Iterable[Fault] | None
) -> Recording:
    """Return a recording as it is to be played: with its borders, at its pace, with what goes wrong.

    Raises:
        MisuseError: One of these is none.
    """
    if chunking != "recorded":
        from tokenstream.testing._chunking import chunked

        recording = chunked(recording, chunking)
    if pace != "recorded":
        recording = recording.at_pace(pace)
    return recording if fault is None else recording.with_fault(fault)

"""Plays recordings to a `Stream`, and to an `AsyncStream` on each backend."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.either import Each, run_in
from tokenstream import AsyncStream, Deadlines, Stream
from tokenstream.errors import MisuseError, StreamError
from tokenstream.events import Event
from tokenstream.message import Message
from tokenstream.testing import Arrival, Recording, VirtualClock, record

FOR_EVER = Deadlines(first_event=None, idle_bytes=None, idle_content=None, total=None)
"""Deadlines without any limit."""

three_worlds = pytest.mark.parametrize("world", ["sync", "asyncio", "trio"])
"""Reads by a `Stream`, and by an `AsyncStream` on each backend."""


class Playback:
    """One replay of a recording by one reader, with its clock."""

    def __init__(
        self, recording: Recording, *, clock: Callable[[], float] | None = None, **options: Any
    ) -> None:
        self.clock = VirtualClock() if clock is None else clock
        self._recording = recording
        self._options = options
        self._reader: Stream | AsyncStream | None = None

    @property
    def closed(self) -> bool:
        """True once the reader has closed the source."""
        return self._reader is not None and self._reader.closed

    def stream(self, **options: Any) -> Stream:
        stream = self._recording.stream(clock=self.clock, **self._options, **options)
        self._reader = stream
        return stream

    def astream(self, **options: Any) -> AsyncStream:
        stream = self._recording.astream(clock=self.clock, **self._options, **options)
        self._reader = stream
        return stream


def silent_after(*steps: bytes | str | float, **fields: Any) -> Playback:
    """Return a replay on its own clock: chunks and pauses in seconds, then silence for ever."""
    at, arrivals = 0.0, list[Arrival]()
    for step in steps:
        if isinstance(step, int | float):
            at += step
        else:
            arrivals.append(Arrival(at, step.encode() if isinstance(step, str) else step))
    return Playback(Recording(tuple(arrivals), breaks="stall", **fields), pace="recorded")


def as_played(recording: Recording, **options: Any) -> Recording:
    """Return the chunks that the reader of a replay is given, with the times at which they come."""
    clock = VirtualClock()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "played.rec"
        with suppress(StreamError):
            record(recording.stream(clock=clock, **options), path, clock=clock).final()
        return Recording.load(path)


@dataclass
class Outcome:
    """Everything that a user has at the end of a stream."""

    message: Message
    metrics: Any
    events: list[Event] = field(default_factory=list[Event])
    error: Exception | None = None

    @property
    def seen(self) -> tuple[Any, ...]:
        """The parts that two readers must have in common."""
        error = self.error
        told = (type(error), getattr(error, "message", str(error))) if error is not None else None
        partial = error.partial if isinstance(error, StreamError) else None
        return [repr(event) for event in self.events], self.message, told, partial


def read(world: str, playback: Playback, each: Callable[[Event], object] = repr, **options: Any) -> Outcome:
    async def main() -> Outcome:
        stream: Any = (playback.stream if world == "sync" else playback.astream)(**options)
        with _outcome(stream) as outcome:
            async for event in Each(stream):
                each(event)
                outcome.events.append(event)
        return outcome

    outcome: Outcome = run_in(world, main)
    return outcome


@contextmanager
def _outcome(stream: Stream | AsyncStream) -> Generator[Outcome]:
    """Yield the outcome of a stream; reading it happens inside the block."""
    outcome = Outcome(stream.message, stream.metrics)
    try:
        yield outcome
    except (StreamError, MisuseError) as error:
        outcome.error = error
    outcome.message, outcome.metrics = stream.message, stream.metrics

"""Reads an answer for a page: its chunks and events in order, with their times, as many as are shown."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from tokenstream.cli._advice import is_of_agent
from tokenstream.cli._input import (
    load_recording,
    open_file,
    open_file_pieces,
    open_stream,
    open_url,
    origin_of,
    play,
    stream_of_pieces,
)
from tokenstream.cli._lines import StreamReport
from tokenstream.errors import ProtocolError, ProviderError, StreamError
from tokenstream.events import CitationAdded, ReasoningDelta
from tokenstream.stages._content import GROWING
from tokenstream.testing._record.loops import note_stream
from tokenstream.testing._record.notes import Notes, Terms
from tokenstream.testing._recordings.clock import VirtualClock
from tokenstream.testing._recordings.frames import frames_of
from tokenstream.testing._recordings.recording import Arrival, Recording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.stream import Stream

FIRST_EVENTS = 200
"""Number of events that are kept from the start of an answer."""
LAST_EVENTS = 300
"""Number of events that are kept from the end of an answer, where most errors are."""

Kind: TypeAlias = Literal["nothing", "other", "content", "error"]
"""The most important thing that a chunk completed; "nothing" for a piece of a frame."""
Unit: TypeAlias = Literal["chunk", "frame"]
"""The thing that a page counts: chunks as they arrived, or frames where the chunks are not known."""
KINDS: tuple[Kind, ...] = ("nothing", "other", "content", "error")
"""The kinds of chunks, by rising importance."""
_CONTENT = (*GROWING, CitationAdded, ReasoningDelta)
"""Events that are drawn as content: those that always count as content, citations, and all reasoning."""
_NO_PATH = Path("answer.rec")
"""The name of recordings that are kept in memory."""


class SeenEvent(NamedTuple):
    """An event with its number and the time at which it was read."""

    number: int
    """Number of the event, from 1."""
    at: float
    """Seconds since the request, or since the start of reading."""
    event: Event


class Chunk(NamedTuple):
    """A chunk of the body; for a body in a single chunk, such as a file, one frame of it."""

    at: float
    """Seconds since the request; 0 if the times are not known."""
    size: int
    """Number of bytes."""
    kind: Kind
    """The most important thing that the chunk contains."""


@dataclass(slots=True)
class PageReading:
    """The outcome of reading an answer to its end, with everything that a page shows of it."""

    report: StreamReport
    recording: Recording
    chunks: list[Chunk] = field(default_factory=list[Chunk])
    events: list[SeenEvent] = field(default_factory=list[SeenEvent])
    """The events that are shown: the first and the last ones."""
    event_count: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    """Number of events of each kind, by name."""
    ended_at: float = 0.0
    """Seconds until the end of the reading."""
    has_times: bool = False
    """True if the times of the chunks are known."""
    unit: Unit = "chunk"
    """The name of the elements of `chunks`: "frame" if they are the frames of a single chunk."""

    @property
    def error(self) -> StreamError | None:
        """The error that ended the reading; None if it ended without one."""
        return self.report.error

    @property
    def has_agent_lines(self) -> bool:
        """True if the source has the lines of an agent, and no answer."""
        return self.error is not None and is_of_agent(self.error)

    @property
    def is_of_agent(self) -> bool:
        """True if the page shows the run of an agent; a request for its lines is not sent again."""
        return self.has_agent_lines and self.report.origin != "request"


def read(options: argparse.Namespace) -> PageReading:
    """Read the source that the command line names to its end; return the reading.

    A recording of this library, or a cassette, is played at its own times on a virtual clock; a
    file that only has a body has no times, and its frames stand for chunks. A server's answer
    and standard input are recorded in memory while they arrive.
    """
    recording = load_recording(options)
    if recording is None:
        if origin_of(options.source) != "file" or not Path(options.source).is_file():
            return _read_live(options)
        stream = open_stream(options)
        # A file with only a body: the stream has checked the options, and the body is read as a whole.
        stream.close()
        with ExitStack() as stack:
            recording = Recording.of([open_file(options.source, stack).read()])
    unit: Unit = "chunk"
    whole = recording
    if len(recording.arrivals) == 1:
        # A single chunk would be a single bar: show its frames instead.
        at, unit = recording.arrivals[0].at, "frame"
        recording = recording.replaced(arrivals=tuple(Arrival(at, data) for data in frames_of(recording)))
    clock = VirtualClock()
    stream = play(recording, options, clock)
    reading = _read_stream(stream, options.source, clock=clock, recording=recording)
    # If all chunks arrived at one time, their times were not recorded.
    reading.has_times = any(at != recording.arrivals[0].at for at, _ in recording.arrivals)
    reading.unit = unit
    if reading.is_of_agent:
        reading.recording = whole
    return reading


def _read_live(options: argparse.Namespace) -> PageReading:
    """Read an answer while it arrives, or the rest of the lines of an agent; return the reading."""
    pieces = open_file_pieces(options)
    stream = open_url(options) if pieces is None else stream_of_pieces(pieces, options)
    reading = _read_stream(stream, options.source, clock=time.monotonic, start=time.monotonic())
    if pieces is not None:
        if reading.is_of_agent:
            reading.recording = Recording.of([*pieces.read_again()])
            reading.has_times = False
        pieces.close_now()
    return reading


class _CountingNotes(Notes):
    """Collects the chunks of an answer while they are read; keeps the recording in memory, not in a file."""

    recording: Recording | None = None
    """The recording, once the body has ended or was closed."""

    @property
    def count(self) -> int:
        """Number of chunks so far."""
        return len(self._arrivals)

    def _write(self, error: BaseException | None) -> None:
        """Keep the recording; unlike `Notes`, write no file."""
        self.is_finished = True
        self.recording = self.recording or self._build_recording(_NO_PATH)


def _read_stream(
    stream: Stream,
    source: str,
    *,
    clock: Callable[[], float],
    start: float = 0.0,
    recording: Recording | None = None,
) -> PageReading:
    """Read a stream to its end, and close it; return the reading."""
    # The page needs the chunks with their times, as a recording has them, but no recording is written.
    terms = Terms(
        path=_NO_PATH,
        overwrite=True,
        replacements=[],
        filter=None,
        headers=frozenset(),
        clock=clock,
        numbers=itertools.count(1),
    )
    notes = _CountingNotes(terms, started_at=start)
    note_stream(stream, notes)
    collected = CollectedEvents()
    error: StreamError | None = None
    try:
        with stream:
            for event in stream:
                collected.add(event, clock() - start, notes.count)
    except StreamError as failure:
        error = failure
        # The last chunk brought the error; a cut or a deadline is no chunk's fault.
        if isinstance(failure, ProviderError | ProtocolError):
            collected.mark_chunk(notes.count, "error")
    except KeyboardInterrupt:
        stream.stop("interrupted")
    finally:
        # Ctrl-C may have interrupted the closing at the end of the block.
        stream.close()
    # Without a byte, nothing is noted.
    noted = recording or notes.recording or Recording()
    return PageReading(
        report=StreamReport(stream, error, origin_of(source)),
        recording=noted,
        chunks=collected.list_chunks(noted),
        events=[*collected.first, *collected.last],
        event_count=collected.count,
        counts=collected.counts,
        ended_at=clock() - start,
        has_times=True,
    )


class CollectedEvents:
    """The events of an answer, as many as a page shows, and the kinds of its chunks."""

    def __init__(self) -> None:
        self.first: list[SeenEvent] = []
        """The first events, as many as a page shows."""
        self.last: deque[SeenEvent] = deque(maxlen=LAST_EVENTS)
        """The last events after those in `first`."""
        self.counts: Counter[str] = Counter()
        """The number of events of each class, by the class's name."""
        self.count = 0
        """The number of all events."""
        self._kinds: dict[int, int] = {}
        """Maps the number of a chunk, from 1, to the index of its kind."""

    def add(self, event: Event, at: float, chunk: int) -> None:
        """Add an event."""
        self.count += 1
        self.counts[type(event).__name__] += 1
        seen = SeenEvent(self.count, at, event)
        (self.first if self.count <= FIRST_EVENTS else self.last).append(seen)
        self.mark_chunk(chunk, kind_of(event))

    def mark_chunk(self, chunk: int, kind: Kind) -> None:
        """Set the kind of a chunk, unless the chunk already has a more important kind."""
        self._kinds[chunk] = max(KINDS.index(kind), self._kinds.get(chunk, 0))

    def list_chunks(self, recording: Recording) -> list[Chunk]:
        """Return a recording's chunks, each with its kind: the first of `KINDS` if no event belongs to it."""
        # A recording made by a program may have times that are no numbers; they count as 0.
        return [
            Chunk(at if math.isfinite(at) else 0.0, len(data), KINDS[self._kinds.get(number, 0)])
            for number, (at, data) in enumerate(recording.arrivals, start=1)
        ]


def kind_of(event: object) -> Kind:
    """Return the kind of chunk that an event comes from: with content, or with something else."""
    return "content" if isinstance(event, _CONTENT) else "other"

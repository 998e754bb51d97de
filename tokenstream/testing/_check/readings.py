"""Readings of an answer by a format: either a stream reads its bytes, or the format is fed its frames."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.framing import AWSEventStreamParser, EventStreamMessage, ServerSentEvent, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.testing._pytest.own_loop import run_apart
from tokenstream.testing._recordings.frames import framing_of
from tokenstream.testing._recordings.replay import Playback

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self, Unpack

    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.message import Message
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._recordings.options import PlaybackOptions
    from tokenstream.testing._recordings.recording import Recording

Framed: TypeAlias = bytes | ServerSentEvent | EventStreamMessage
"""A frame as its framing returns it: the payload's bytes, or an object with the payload."""


class CrashWatch:
    """Context manager that suppresses an exception raised in its block, and stores it."""

    crash: Exception | None = None
    """The exception raised in the block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Store an exception as `crash`, and suppress it; an interruption such as Ctrl-C is raised."""
        if isinstance(error, Exception):
            self.crash = error
        return self.crash is not None


@dataclass
class FormatReading(CrashWatch):
    """The outcome of reading an answer: events, messages, error, and the server's departures from its API."""

    events: list[Event] = field(default_factory=list["Event"])
    messages: list[Message] = field(default_factory=list["Message"])
    error: StreamError | None = None
    """The error that ended the answer."""
    departures: dict[str, int] = field(default_factory=dict[str, int])


def read(recording: Recording, format: Format | str, **replay: Unpack[PlaybackOptions]) -> FormatReading:
    """Read a recording with a `Stream`, and return the outcome."""
    reading = FormatReading()
    with Playback(recording, **replay).stream(format=format) as stream:
        # Any other exception than a `StreamError` is stored as `reading.crash`, and suppressed.
        with reading:
            try:
                for event in stream:
                    reading.events.append(event)
            except StreamError as error:
                reading.error = error
        return _store_results(reading, stream)


def aread(recording: Recording, format: Format | str) -> FormatReading:
    """Read a recording with an `AsyncStream`, in an event loop of its own, and return the outcome."""
    reading = FormatReading()

    async def run() -> None:
        """Read the recording inside an event loop."""
        async with Playback(recording).astream(format=format) as stream:
            # Any other exception than a `StreamError` is stored as `reading.crash`, and suppressed.
            with reading:
                try:
                    async for event in stream:
                        reading.events.append(event)
                except StreamError as error:
                    reading.error = error
            _store_results(reading, stream)

    run_apart(run)
    return reading


def feed_frames(
    format: Format, frames: Sequence[Framed], *, second_format: Format | None = None
) -> FormatReading:
    """Feed frames to a format, then end the format's input, as a driver does.

    Args:
        format: A new format.
        second_format: Another new format, which is fed in turns with `format`, to see that it does not
            change the events of `format`. None for no other format.
    """
    reading = FormatReading()
    accumulator = Accumulator()
    # An exception of the format is stored as `reading.crash`, and suppressed.
    with reading:
        for frame in frames:
            _take_events(reading, accumulator, format.feed(frame))
            if second_format is not None:
                second_format.feed(frame)
        _take_events(reading, accumulator, format.end())
    reading.error = format.error
    reading.departures = {name: noted.count for name, noted in format.departures.items()}
    is_truncated = isinstance(reading.error, StreamTruncated)
    accumulator.conclude("complete" if reading.error is None else "truncated" if is_truncated else "failed")
    reading.messages = accumulator.messages
    return reading


def split_frames(recording: Recording) -> list[Framed]:
    """Return the frames of a recording, as a stream would feed them to a format."""
    if recording.messages:
        return [data for _, data in recording.arrivals]
    framing = framing_of(recording)
    if framing == "sse":
        return list(SSEParser().frames(recording.body))
    if framing == "aws-eventstream":
        return list(AWSEventStreamParser().frames(recording.body))
    body = JSONBody()
    return [*body.feed(recording.body), *body.end()]


def parse_payload(frame: Framed) -> dict[str, Any] | None:
    """Return the JSON object in a frame's payload; None if the payload is anything else."""
    data = frame if isinstance(frame, bytes) else frame.payload
    try:
        payload = json.loads(data)
    except ValueError:
        return None
    return cast("dict[str, Any]", payload) if isinstance(payload, dict) else None


def replace_payload(frame: Framed, payload: object) -> Framed:
    """Return a copy of a frame with another payload.

    Args:
        payload: Bytes, which are used unchanged, or a JSON value.
    """
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if isinstance(frame, ServerSentEvent | EventStreamMessage):
        return replace(frame, payload=data)
    return data


def _store_results(reading: FormatReading, stream: Stream | AsyncStream) -> FormatReading:
    """Store a stream's messages, and the number of each departure from the API; return the reading."""
    reading.messages = stream.messages
    reading.departures = {name: noted.count for name, noted in stream.departures.items()}
    return reading


def _take_events(reading: FormatReading, accumulator: Accumulator, events: list[Event]) -> None:
    """Add events to a reading, and to the message in the accumulator."""
    for event in events:
        reading.events.append(event)
        accumulator.take(event)

"""A recording and its readings by the format under test: whole, cut, damaged, changed, and of odd frames."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias, TypeVar, Unpack, cast

from tokenstream._answer.accumulator import Accumulator
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.framing import AWSEventStreamParser, EventStreamMessage, ServerSentEvent, SSEParser
from tokenstream.framing._body import JSONBody
from tokenstream.testing._faults.base import Fault
from tokenstream.testing._faults.bodies import garble, reorder
from tokenstream.testing._faults.transport import cut, reset
from tokenstream.testing._recordings.frames import framing_of, object_of
from tokenstream.testing._recordings.places import choose_cut_places
from tokenstream.testing._recordings.replay import Playback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.message import Message
    from tokenstream.partial_json._events import Path
    from tokenstream.stream import AsyncStream, Stream
    from tokenstream.testing._recordings.recording import PlaybackOptions, Recording

AnyFrame: TypeAlias = bytes | ServerSentEvent | EventStreamMessage
"""A frame as its framing returns it: the payload's bytes, or an object with the payload."""

PROBE = "tokenstream_probe"
"""A name that no format knows, used as a field and as the type of a payload."""
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", "x", "{}", "\ud83d", [], [1], [None], ["x"], [[]], [{}], {},
    {"x": 1}, {"type": "text"}, {PROBE: [1]},
)  # fmt: skip
"""Odd values, each of which replaces the value of one field of a payload in turn."""
_ODD_PAYLOADS: tuple[bytes, ...] = (
    b"", b" ", b"{}", b"[]", b"null", b"true", b"1", b'"x"', b"{", b"}", b"\xff\xfe", b"[DONE]",
    b"x" * 10_000, b"[" * 20_000, b'{"x":' * 20_000, b'{"x":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    b'{"x":1' + b"0" * 5_000 + b"}", b'{"type":1}', b'{"error":[]}', b'{"error":{"message":1}}',
)  # fmt: skip
"""Payloads that are empty, of the wrong kind, broken, or nested too deeply."""
_MAX_FED_FRAMES = 60_000
"""Most frames that all tests with a changed payload of one recording may feed together."""
_MAX_SHOWN_OF_ODD = 40

_RESETS = 8
"""One in this number of cuts is tried a second time, as a reset of the connection instead of an end."""
_GARBLED_PLACES = 24
_SHUFFLES = 4
_MAX_SHOWN = 300


class CrashWatch:
    """Context manager that suppresses an exception raised in its block, and stores it."""

    crash: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        """Store an exception as `crash`, and suppress it; an interruption such as Ctrl-C is raised."""
        if isinstance(error, Exception):
            self.crash = error
        return self.crash is not None


@dataclass
class FormatReading(CrashWatch):
    """The outcome of reading an answer: events, messages, error, and the server's departures in detail."""

    events: list[Event] = field(default_factory=list["Event"])
    messages: list[Message] = field(default_factory=list["Message"])
    error: StreamError | None = None
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
    format: Format, frames: Sequence[AnyFrame], *, second_format: Format | None = None
) -> FormatReading:
    """Feed frames to a format, in turns with a second one, which must not matter, and end the input."""
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
    reading.departures = format.departures.details
    is_truncated = isinstance(reading.error, StreamTruncated)
    accumulator.conclude("complete" if reading.error is None else "truncated" if is_truncated else "failed")
    reading.messages = accumulator.messages
    return reading


def split_frames(recording: Recording) -> list[AnyFrame]:
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


def replace_payload(frame: AnyFrame, payload: object) -> AnyFrame:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if isinstance(frame, ServerSentEvent | EventStreamMessage):
        return replace(frame, payload=data)
    return data


def _store_results(reading: FormatReading, stream: Stream | AsyncStream) -> FormatReading:
    reading.messages = stream.messages
    reading.departures = stream.departures.details
    return reading


def _take_events(reading: FormatReading, accumulator: Accumulator, events: list[Event]) -> None:
    for event in events:
        reading.events.append(event)
        accumulator.take(event)


class OddFrame(NamedTuple):
    """An odd frame, which replaces one of the recording's frames."""

    number: int
    """Index of the replaced frame, from 0."""
    description: str
    frame: AnyFrame


def odd_frames(frames: Sequence[AnyFrame], max_changes: int) -> Iterator[OddFrame]:
    """Yield frames with odd payloads, then frames with a field of another type; of many, a fixed sample."""
    first_middle_last = sorted({0, len(frames) // 2, len(frames) - 1}) if frames else []
    for index in first_middle_last:
        for odd in _ODD_PAYLOADS:
            dots = "…" if len(odd) > _MAX_SHOWN_OF_ODD else ""
            description = f"its payload is {odd[:_MAX_SHOWN_OF_ODD]!r}{dots}"
            yield OddFrame(index, description, replace_payload(frames[index], odd))
    changes = [
        (index, payload, path, value)
        for index, payload in find_kinds(frames)
        for path in _list_paths(payload)
        for value in _VALUES
    ]
    # For each change, a new format is fed all frames, so a long answer gets fewer changes.
    max_changes = min(max_changes, _MAX_FED_FRAMES // max(1, len(frames)))
    if len(changes) > max_changes:
        changes = random.Random(0).sample(changes, max_changes)  # noqa: S311 - no secret
    for index, payload, path, value in changes:
        description = f"its {_write_path(path)} is {value!r}"
        yield OddFrame(index, description, replace_payload(frames[index], _set_field(payload, path, value)))


def find_kinds(frames: Sequence[AnyFrame]) -> list[tuple[int, JsonObject]]:
    """Return one payload of each kind (the same fields and `type`), with the index of its frame."""
    first_of_kind: dict[object, tuple[int, JsonObject]] = {}
    for index, frame in enumerate(frames):
        payload = object_of(frame if isinstance(frame, bytes) else frame.payload)
        if payload is not None:
            first_of_kind.setdefault(
                (frozenset(_list_paths(payload)), str(payload.get("type"))), (index, payload)
            )
    return list(first_of_kind.values())


def make_unknown_frame(frame: AnyFrame) -> AnyFrame:
    """Return a copy of a frame with a payload, and an event's name, that no format knows."""
    strange = replace_payload(frame, {"type": PROBE, PROBE: "kept"})
    if isinstance(strange, ServerSentEvent):
        # The type of an SSE event that names none.
        return replace(strange, event="message")
    if isinstance(strange, EventStreamMessage):
        return replace(strange, event=PROBE)
    return strange


def _list_paths(value: object, path: Path = ()) -> list[Path]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items += cast("dict[str, object]", value).items()
    elif isinstance(value, list):
        items += enumerate(cast("list[object]", value))
    paths: list[Path] = []
    for key, item in items:
        paths += [(*path, key), *_list_paths(item, (*path, key))]
    return paths


def _set_field(payload: JsonObject, path: Path, value: object) -> JsonObject:
    changed = deepcopy(payload)
    container: Any = changed
    for key in path[:-1]:
        container = container[key]
    container[path[-1]] = value
    return changed


def _write_path(path: Path) -> str:
    return "".join([f"[{key!r}]" for key in path])


class Violation(NamedTuple):
    """A violation of a rule by a format: what the format did, and how to reproduce that."""

    description: str
    """Description of what the format did."""
    how_to_reproduce: str


class Check(NamedTuple):
    """A rule that every format must keep: its name, its sentence, and the function that finds violations."""

    name: str
    sentence: str
    find_violations: Callable[[Case], Iterator[Violation]]
    """Yields the violations of the rule that it finds in a case."""


@dataclass
class Case:
    """A recording and the format under test, with the readings that rules compare.

    Args:
        make: Returns a new format.
        format_in_code: The format as written in a program, for messages.
        expected: The expected message, or some of its fields; None if the caller expects none in particular.
        cuts: Largest number of cuts.
        changes: Largest number of payload fields to change.
    """

    recording: Recording
    make: Callable[[], Format]
    format_in_code: str
    expected: Message | Mapping[str, Any] | None = None
    cuts: int = 256
    changes: int = 400

    @cached_property
    def whole_reading(self) -> FormatReading:
        """The outcome of reading the unchanged recording with the format under test."""
        return read(self.recording, self.make())

    @cached_property
    def cut_readings(self) -> list[tuple[Fault, FormatReading]]:
        """The outcomes of reading the recording with each cut and some resets, each with its fault."""
        places = choose_cut_places(self.recording, self.cuts)
        return self._read_with([cut(at=at) for at in places] + [reset(at=at) for at in places[::_RESETS]])

    @cached_property
    def damaged_readings(self) -> list[tuple[Fault, FormatReading]]:
        """The outcomes of reading the recording changed or in another order, each with its fault."""
        if self.recording.messages:
            # Each message is one payload, and `odd_readings` has odd payloads.
            return []
        faults = [garble(at=at, data=b'"') for at in choose_cut_places(self.recording, _GARBLED_PLACES)]
        if len(self.frames) > 1:
            faults += [reorder(seed=seed) for seed in range(_SHUFFLES)]
        return self._read_with(faults)

    @cached_property
    def odd_readings(self) -> list[tuple[OddFrame, FormatReading]]:
        """The outcomes of feeding the recording's frames with an odd one, each with that frame."""
        return [
            (odd, self.read_replaced(odd.number, odd.frame)) for odd in odd_frames(self.frames, self.changes)
        ]

    @cached_property
    def frames(self) -> list[AnyFrame]:
        return split_frames(self.recording)

    def read_replaced(self, index: int, *frames: AnyFrame) -> FormatReading:
        """Feed a new format the recording's frames, with the frame at `index` replaced by `frames`."""
        return feed_frames(self.make(), [*self.frames[:index], *frames, *self.frames[index + 1 :]])

    def violation(self, description: str, **replay: object) -> Violation:
        """Return a violation that was found in a replay of the recording, with code to reproduce it."""
        arguments = [f"{name}={_write_literal(value)}" for name, value in replay.items()]
        if arguments:
            description = f"{', '.join(arguments)}: {description}"
        call = f"recording.stream({', '.join([f'format={self.format_in_code}', *arguments])})"
        return Violation(description, f"{call}.final()")

    def violation_at(self, index: int, frame: AnyFrame, description: str) -> Violation:
        """Return a violation that was found while the format was fed frames."""
        frame_text = repr(frame)
        frame_text = frame_text if len(frame_text) <= _MAX_SHOWN else f"{frame_text[:_MAX_SHOWN]}…"
        before = f"the first {index} frames of the recording, then " if index else ""
        return Violation(
            f"frame {index + 1}: {description}", f"{self.format_in_code}.feed: {before}{frame_text}"
        )

    def _read_with(self, faults: list[Fault]) -> list[tuple[Fault, FormatReading]]:
        """Read the recording once with each fault, each time by a new format; return faults and outcomes."""
        return [(fault, read(self.recording, self.make(), fault=fault)) for fault in faults]


def _write_literal(value: object) -> str:
    """Return a value as it is written in a program; a fault as a call such as `faults.cut(at=17)`."""
    return f"faults.{value!r}" if isinstance(value, Fault) else repr(value)


ResultT = TypeVar("ResultT")


def run_apart(function: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run an async function to its end in a loop and thread of its own, beside any loop that is running."""
    from anyio import run

    with ThreadPoolExecutor(1, thread_name_prefix="tokenstream-loop") as threads:
        return threads.submit(run, function).result()

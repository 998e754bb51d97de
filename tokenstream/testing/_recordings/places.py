"""Places in the body of a recording, those at which it is cut, and changes of the bytes there."""

from __future__ import annotations

import os
import random
import re
from bisect import bisect_left
from collections import deque
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, Unpack, cast

from tokenstream.errors import MisuseError
from tokenstream.testing._recordings.frames import FramingName, frames_of, framing_of, is_compressed
from tokenstream.testing._recordings.recording import Arrival, Recording, RecordingFields
from tokenstream.testing._script import Script

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


Playable: TypeAlias = "Recording | Script | str | os.PathLike[str]"
"""Any object that can be replayed: a recording, its path, or a script (in the format of OpenAI Chat)."""

_MAX_TOTAL_BYTES = 4_000_000
"""Largest size of all cut recordings together; at least `_MIN_PLACES` places are chosen in any case."""
_MIN_PLACES = 16


def as_recording(playable: Playable) -> Recording:
    if isinstance(playable, Recording):
        return playable
    if isinstance(playable, Script):
        return playable.recording()
    # Bytes are refused: open() would take them for a path, but the caller meant a body.
    if not isinstance(cast("object", playable), str | os.PathLike):
        raise MisuseError(
            f"a {type(playable).__name__} cannot be replayed: pass a Recording, the path of one, or a script"
        )
    return Recording.load(playable)


def choose_cut_places(recording: Recording, max_places: int) -> list[int]:
    """Return the places at which to cut a body: each byte, or the same sample each time.

    A sample consists of boundaries of frames and of places between them. For a large body it
    has fewer places, so that it does not take long to try all of them. The messages of a
    WebSocket are never cut inside.
    """
    size = len(recording.body)
    max_places = min(max_places, max(_MIN_PLACES, _MAX_TOTAL_BYTES // max(1, size)))
    # Without the end of the last frame, where a cut would remove nothing.
    boundaries = [0, *list(accumulate(map(len, frames_of(recording))))[:-1]] if size else []
    if recording.messages:
        return _thin_out(boundaries, max_places)
    if size <= max_places:
        return list(range(size))
    at_boundaries = _thin_out(boundaries, max_places // 2)
    count_between = max_places - len(at_boundaries)
    generator = random.Random(size)  # noqa: S311 - no secret
    # A random place in each of as many sections of equal size.
    between_places = [
        generator.randrange(size * n // count_between, size * (n + 1) // count_between)
        for n in range(count_between)
    ]
    return sorted({*at_boundaries, *between_places})


def _thin_out(places: Sequence[int], max_places: int) -> list[int]:
    """Return the places unchanged, or `max_places` of them, evenly spread, if there are more than that."""
    if len(places) <= max_places:
        return list(places)
    return [places[len(places) * n // max_places] for n in range(max_places)]


_EVENT_PATTERNS: dict[FramingName, re.Pattern[bytes]] = {
    "sse": re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])data"),
    "ndjson": re.compile(rb"[^\s]"),
    "json": re.compile(rb"[^\s,\]]"),
}
"""Patterns that match in an event, but not in a comment or in the bracket that closes an array."""
_ELEMENT_START = re.compile(rb"[\xef\xbb\xbf\s]*[\[,]?\s*")


class Span(NamedTuple):
    """Begin and end of an event in the body."""

    begin: int
    end: int


class Edit(NamedTuple):
    """A replacement of a body's bytes from offset `begin` to `end`; an insertion if the two are equal."""

    begin: int
    end: int
    data: bytes


def find_events(recording: Recording) -> list[Span]:
    """Return the spans of all events, which are the frames except comments and closing brackets."""
    if is_compressed(recording):
        raise MisuseError(
            f"the body of {recording.name!r} is compressed, so it has no events to be found: apply a fault "
            "of an event before gzipped()"
        )
    framing = framing_of(recording)
    event_pattern = None if framing is None else _EVENT_PATTERNS.get(framing)
    spans: list[Span] = []
    begin = 0
    for frame in frames_of(recording):
        if event_pattern is None or event_pattern.search(frame):
            # Delimiters between the elements of an array belong to none of them.
            element_start = _ELEMENT_START.match(frame) if framing == "json" else None
            spans.append(
                Span(begin + (0 if element_start is None else element_start.end()), begin + len(frame))
            )
        begin += len(frame)
    return spans


def find_event(recording: Recording, event: int | None) -> tuple[int, list[Span]]:
    """Return the index of an event, numbered from 1 (-1: last, None: middle), and the spans of all events."""
    spans = find_events(recording)
    number: object = (len(spans) + 1) // 2 if event is None else event
    # Not isinstance: True is an int, too.
    if type(number) is not int or not 1 <= abs(number) <= len(spans):
        requested = "the event in the middle" if event is None else f"event={event!r}"
        raise MisuseError(
            f"{requested} does not exist in {recording.name!r}, which has {len(spans):,}: count from 1, "
            "or from the end, where -1 is the last"
        )
    # Numbers from 1 become indexes from 0; those that count from the end are indexes already.
    return (number if number < 0 else number - 1) % len(spans), spans


def find_offset(recording: Recording, at: float | None, event: int | None) -> int:
    """Return the offset given in bytes, as a fraction (a float) or as an event's end; else the middle."""
    if event is not None:
        if at is not None:
            raise MisuseError("a place is given by `at` or by `event`, and not by both")
        if event == 0 and type(event) is int:
            return 0
        index, spans = find_event(recording, event)
        return spans[index].end
    size = len(recording.body)
    if at is None:
        return size // 2
    if isinstance(at, int):
        # Not `at in range(…)`: True is an int, too.
        if type(at) is bool or not -size <= at <= size:
            raise MisuseError(
                f"at={at!r} is outside of the body of {recording.name!r}, which has {size:,} bytes"
            )
        return at + size if at < 0 else at
    if not isinstance(cast("object", at), float) or not 0 <= at <= 1:
        raise MisuseError(
            f"at={at!r} is not a fraction of a body: a float is one from 0.0 to 1.0, and an int counts bytes"
        )
    return round(at * size)


def chunk_ends(recording: Recording) -> list[int]:
    return list(accumulate(len(data) for _, data in recording.arrivals))


def divide(
    recording: Recording, offset: int, ends: Sequence[int] | None = None
) -> tuple[list[Arrival], list[Arrival]]:
    """Return the chunks of a recording before an offset, and the chunks after it.

    A chunk that contains the offset is split. The message of a WebSocket is not: it goes,
    whole, to the chunks after the offset.
    """
    arrivals = recording.arrivals
    ends = chunk_ends(recording) if ends is None else ends
    index = bisect_left(ends, offset)
    if index == len(ends):
        # No chunk ends at the offset or after it.
        return list(arrivals), []
    at, data = arrivals[index]
    size_before = offset - (ends[index] - len(data))
    if recording.messages and size_before < len(data):
        # A message is not split.
        size_before = 0
    before, after = Arrival(at, data[:size_before]), Arrival(at, data[size_before:])
    return (
        [*arrivals[:index], *([before] if before.data else [])],
        [*([after] if after.data else []), *arrivals[index + 1 :]],
    )


def replace_arrivals(
    recording: Recording, arrivals: Iterable[Arrival], **fields: Unpack[RecordingFields]
) -> Recording:
    """Return a recording with other chunks, and without the `content-length` of the old chunks."""
    if "content-length" in recording.headers:
        fields.setdefault(
            "headers", {name: text for name, text in recording.headers.items() if name != "content-length"}
        )
    return recording.replaced(arrivals=tuple(arrivals), **fields)


def end_at(recording: Recording, offset: int, **fields: Unpack[RecordingFields]) -> Recording:
    """Return a recording without what comes after an offset, at which `divide` cuts it."""
    before, _ = divide(recording, offset)
    return replace_arrivals(recording, before, **fields)


def splice(recording: Recording, edits: Iterable[Edit], **fields: Unpack[RecordingFields]) -> Recording:
    """Return a recording with edited bytes, whose chunks keep their boundaries and times.

    Inserted bytes become a chunk that arrives together with the chunk before it.
    """
    # `begin` is the offset of the current chunk; the bytes before `copied_to` have been copied or replaced.
    new_arrivals: list[Arrival] = []
    remaining_edits = deque(edits)
    begin = copied_to = 0
    at = 0.0
    for at, data in recording.arrivals:
        end = begin + len(data)
        pieces: list[bytes] = []
        # Apply each edit that begins in this chunk; an insertion at its end does, a replacement does not.
        while remaining_edits and (remaining_edits[0].begin, remaining_edits[0].end) <= (end, end):
            edit = remaining_edits.popleft()
            pieces.append(recording.body[max(copied_to, begin) : edit.begin])
            copied_to = max(copied_to, edit.end)
            if edit.begin < edit.end:
                # A replacement becomes part of the chunk.
                pieces.append(edit.data)
            else:
                # An insertion becomes a chunk of its own, so the chunk around it ends before.
                new_arrivals += [Arrival(at, b"".join(pieces)), Arrival(at, edit.data)]
                pieces = []
        pieces.append(recording.body[max(copied_to, begin) : end])
        new_arrivals.append(Arrival(at, b"".join(pieces)))
        copied_to = max(copied_to, end)
        begin = end
    # Edits are left only if the body is empty, and has no chunk to which they could belong; `at` is then 0.
    new_arrivals += [Arrival(at, edit.data) for edit in remaining_edits]
    return replace_arrivals(recording, [arrival for arrival in new_arrivals if arrival.data], **fields)


def with_boundaries(recording: Recording, ends: Iterable[int]) -> Recording:
    """Return a recording with other chunk boundaries; each new chunk has the time of its last byte."""
    body, arrivals = recording.body, recording.arrivals
    old_ends = chunk_ends(recording)
    # The bisection finds the old chunk that contains the new chunk's last byte.
    spans = pairwise([0, *ends])
    new = [Arrival(arrivals[bisect_left(old_ends, end)].at, body[begin:end]) for begin, end in spans]
    return recording.replaced(arrivals=tuple(new))

"""The fast path of a format: deltas like those that were decoded are read by comparing their bytes.

Those that somebody else decoded are compared value by value, under the same rules.

1. An entry is a shape and what it means, both of one payload; neither changes afterwards.
2. There is one entry, or, where deltas of several choices may come in turns and none changes what
   another one means, up to four, the one used last first.
3. A payload that gives anything but exactly one delta, or bends a rule, drops them all: a part may have
   begun or ended, or half a character be held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._fast.decoded import DecodedShape
from tokenstream.formats._fast.match import DIGITS_IN_A_ROW
from tokenstream.formats._fast.shape import PADDING, Shape, found_at
from tokenstream.formats._open import OpenCall
from tokenstream.formats._read import is_dict
from tokenstream.framing import EventStreamMessage, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._log import TextLog
    from tokenstream.events import Event
    from tokenstream.formats._fast.match import Match
    from tokenstream.formats._fast.shape import Path
    from tokenstream.formats.base import Format, Frame, Unit

    Read = Callable[[Any], Event | None]
    """Returns the event of one delta, None for anything else."""
    AnyShape = Shape | DecodedShape
    Payload = bytes | dict[str, Any]
    Follow = Callable[[Any], bool | None]
    """Takes a delta that was not decoded; False where it must be decoded after all."""

__all__ = ["Fast", "FastPath", "Read", "refuse"]

_MOST_ENTRIES = 4
_WORTH_LEARNING = 12
"""Payloads that an entry has read once it has paid for itself."""
_NONE: frozenset[Path] = frozenset()
"""One for all: an empty set is as large as a small one."""
_MOST_MISSES = 16
"""Deltas in a row that are compared with shapes they do not have, before they are left alone for a while."""
_LONGEST_WAIT = 512
"""Deltas after which a shape is looked for again, at most."""
_NAMELESS = "message"
"""What the SSE standard calls an event without a name."""

_new: Callable[[type[Any]], Any] = object.__new__
"""Makes an event whose fields are filled in then: a call with keywords would take three times as long."""
_FRAGMENTS = (ToolCallDelta, PartDelta)
_TEXTS = (TextDelta, ReasoningDelta, RefusalDelta)


@dataclass(frozen=True, slots=True)
class Fast:
    """What a format's deltas have in common, so that most of them need not be decoded.

    Where a payload gives exactly one delta whose text stands in one of these places, and
    nothing in the others, the next payload with the same bytes around its text is read
    without decoding it, and one that comes decoded by comparing its other values.
    A format that keeps more than `Parts` does of a delta has `Format.follow` as well.

    Args:
        texts: Places of the text, such as ("delta", "text"): keys, and indexes of lists.
        changing: Places of numbers, ids and times that differ from one delta to the next and say nothing.
        counts: Those of these places in which only whole numbers are read so.
        asides: Fields that say nothing of the answer, and may hold the text once more.
        padding: Fields that hide the length of the text, which change as they like.
        head: What servers write before a payload.
        units: What a chunk may be that is one payload.
        crlf: Whether servers may end lines with CR LF.
        turns: Whether what a delta means does not depend on which choice the last one was of.

    Example:
        >>> Fast(texts=[("token", "text")], changing=[("index",)]).head
        b'data: '
    """

    texts: tuple[Path, ...] | list[Path]
    changing: tuple[Path, ...] | list[Path] = ()
    counts: tuple[Path, ...] | list[Path] = ()
    asides: frozenset[str] = frozenset()
    padding: frozenset[str] = PADDING
    head: bytes = b"data: "
    units: frozenset[Unit] = frozenset({"event"})
    crlf: bool = False
    turns: bool = False


def refuse(_delta: Any) -> bool:  # noqa: ANN401 - a delta
    """Have each payload decoded after all: what `Format.follow` returns where that is so."""
    return False


class _Entry:
    """A shape, and what a payload of that shape means.

    Args:
        format: The format whose frames are counted.
        name: The name of its SSE event; None of a payload that was decoded before it came.
        shape: What is around its text.
        like: The delta that was decoded.
        log: The arguments of the delta's call.
    """

    __slots__ = ("_format", "_framed", "_split", "follow", "like", "log", "name", "read", "shape")

    def __init__(
        self,
        format: Format,
        name: str | None,
        shape: AnyShape,
        like: Any,  # noqa: ANN401 - a delta
        log: TextLog | None,
    ) -> None:
        self.name = name
        self.shape = shape
        self.like = like
        self.follow = format.take_beside(like)
        self.log = log
        self._format = format
        self.read: Read | None = None
        """Reads a payload, once it was made."""
        self._framed: dict[tuple[bytes, bytes, int], Read] = {}
        self._split: tuple[str, bytes, Read] | None = None

    def reader(self) -> Read:
        """Return what reads a payload; most streams read whole chunks, and need none."""
        self.read = _reader(self._format, self.shape.match, self.like, self.follow, self.log)
        return self.read

    def means(self, name: str | None, payload: Payload, event: Any, text: str) -> bool:  # noqa: ANN401 - a delta
        """Tell whether a payload with this text is of this shape and means what this does."""
        like = self.like
        alike = (name, event.__class__, event.choice, event.part) == (
            self.name,
            like.__class__,
            like.choice,
            like.part,
        )
        match: Callable[[Any], str | None] = self.shape.match
        return alike and match(payload) == text

    def framed(self, before: bytes, after: bytes, most: int, *, lines: bool) -> Read | None:
        """Return what reads a chunk that is one payload between two fixed pieces; it is made once.

        Args:
            before: What stands before the payload.
            after: What stands after it.
            most: The longest chunk that may be read so, in bytes.
            lines: Whether a payload may take several lines.
        """
        wanted = (before, after, most)
        made = self._framed.get(wanted)
        shape = self.shape
        if made is None and isinstance(shape, Shape) and (lines or shape.takes_one_line):
            match = shape.between(before, after).match
            payload = slice(len(before), -len(after) or None)
            made = self._framed[wanted] = _reader(
                self._format, match, self.like, self.follow, self.log, payload=payload, most=most
            )
        return made

    def split(self, multiple: int) -> tuple[str, bytes, Read] | None:
        """Return the event's name, what its payloads begin with, and what reads their rest; made once.

        None is returned where payloads come decoded.

        Args:
            multiple: The number of bytes that the beginning has, or twice that, and so on.
        """
        if self._split is None and self.name is not None and isinstance(self.shape, Shape):
            start, rest = self.shape.split(multiple)
            read = _reader(self._format, rest.match, self.like, self.follow, self.log, start=start)
            self._split = self.name, start, read
        return self._split


class FastPath:
    """The entries of one format's deltas, and when it is worth looking for another one.

    Args:
        format: The format.
        fast: What its deltas have in common.
    """

    __slots__ = (
        "_changed",
        "_fast",
        "_format",
        "_learnt_at",
        "_misses",
        "_patience",
        "_seen",
        "_shapes",
        "_wait",
        "entries",
    )

    def __init__(self, format: Format, fast: Fast) -> None:
        self.entries: list[_Entry] = []
        self._format = format
        self._fast = fast
        self._shapes: list[AnyShape] = []
        """The last shapes that were learnt; they stay true of any payload."""
        self._seen: list[object] | None = None
        """The values in changing places of the last delta that was decoded."""
        self._changed: frozenset[Path] = _NONE
        """The places in which these were seen to change: the fewer, the faster is the comparison."""
        self._learnt_at = 0
        self._misses = 0
        """Deltas in a row that had no shape."""
        self._patience = 1
        self._wait = 0

    def read(self, frame: Frame) -> Event | None:
        """Return the event of a frame like one of the last ones; None for any other."""
        name: str | None = _NAMELESS
        payload: Any = frame
        if frame.__class__ is bytes:
            pass
        elif isinstance(frame, ServerSentEvent) or (
            isinstance(frame, EventStreamMessage) and frame.kind == "event"
        ):
            name, payload = frame.event, frame.payload
        elif frame.__class__ is dict:
            name = None
        else:
            return None
        entries = self.entries
        event = None
        if entries and entries[0].name == name:
            read = entries[0].read or entries[0].reader()
            event = read(payload)
        return self._read_otherwise(name, payload) if event is None and len(entries) > 1 else event

    def _read_otherwise(self, name: str | None, payload: Payload) -> Event | None:
        """Return the event of a payload that the entry used last cannot read."""
        for number, entry in enumerate(self.entries[1:], 1):
            event = (entry.read or entry.reader())(payload) if entry.name == name else None
            if event is not None:
                self.entries.insert(0, self.entries.pop(number))
                return event
        return None

    def frame_shortcut(self) -> Callable[[Frame], Event | None] | None:
        """Return what reads a frame like the last one; None where there is none."""
        if not self.entries or self.entries[0].name is None:
            return None
        entry = self.entries[0]
        read, name = entry.read or entry.reader(), entry.name
        if name == _NAMELESS:
            return lambda frame: read(frame) if frame.__class__ is bytes else None
        return lambda frame: (
            read(frame.payload) if isinstance(frame, ServerSentEvent) and frame.event == name else None
        )

    def take(self, frame: Frame, events: list[Event]) -> None:
        """Take a frame that was decoded: learn from it, or forget what was learnt before it."""
        if self._misses > _MOST_MISSES and self._wait > 1 and not self.entries:
            # Each is another one: to look for what they share would cost half as much as to read them.
            self._wait -= 1
            return
        format = self._format
        event: Any = events[0] if len(events) == 1 else None
        name = None if is_dict(frame) else _NAMELESS
        if isinstance(frame, ServerSentEvent | EventStreamMessage):
            name, frame = frame.event, frame.payload
        bent = format.noted_at == format.frames or format.error is not None or not format.shortcuts
        text = None if bent else self._text_of(event)
        # What is in another payload is not in its own place.
        if text is None or (name is None and event.raw is not frame):
            self.clear()
            raw = events[-1].raw if events else None
            if self._seen is None and is_dict(raw):
                self._changing_in(raw)
            return
        if any(entry.means(name, frame, event, text) for entry in self.entries):
            # It was too long for its entry, or the format wanted it decoded.
            return
        if not self._fast.turns:
            self.clear()
        shape = self._shape_of(frame, event.raw, text)
        if shape is not None:
            del self.entries[_MOST_ENTRIES - 1 :]
            call = self._call_of(event) if event.__class__ is ToolCallDelta else None
            # A call's end needs all of its arguments.
            log = None if call is None else call.arguments
            self.entries.insert(0, _Entry(format, name, shape, event, log))
            self._learnt_at = format.frames

    def _shape_of(self, payload: Payload, value: dict[str, Any], text: str) -> AnyShape | None:
        """Return the shape of a payload: one that was learnt before, or, if that may pay, another one."""
        kind = DecodedShape if is_dict(payload) else Shape
        for shape in self._shapes:
            match: Callable[[Any], str | None] = shape.match
            if shape.__class__ is kind and match(payload) == text:
                self._misses = 0
                return shape
        self._misses += 1
        changing = self._changing_in(value)
        path = self._place_of(value, text)
        if path is None:
            self.clear()
            return None
        self._wait -= 1
        if self._wait > 0:
            return None
        fast = self._fast
        learn: Any = (
            partial(Shape.learn, payload)
            if isinstance(payload, bytes)
            else partial(DecodedShape.learn, depth=self._format.limits.depth)
        )
        made: AnyShape | None = learn(
            value,
            path,
            changing=changing,
            counts=fast.counts,
            asides=fast.asides,
            padding=fast.padding,
        )
        if made is None:
            self._be_patient()
        else:
            self._shapes = [made, *self._shapes[: _MOST_ENTRIES - 1]]
        return made

    def clear(self) -> None:
        """Forget what was learnt: a match does not tell any more what a payload means."""
        if not self.entries:
            return
        self.entries.clear()
        if self._format.frames - self._learnt_at >= _WORTH_LEARNING:
            self._patience, self._wait = 1, 0
        else:
            self._be_patient()

    def _be_patient(self) -> None:
        self._patience = self._wait = min(2 * self._patience, _LONGEST_WAIT)

    def shortcut(self, unit: Unit, most: int, before: bytes, after: bytes) -> Read | None:
        """Return what reads a whole chunk like one of the last ones; None where there is none.

        Args:
            unit: What each chunk is.
            most: The longest chunk that may be read so, in bytes.
            before: What stands before the payload in such a chunk; of an event, it is known here.
            after: What stands after it.
        """
        if not self.entries or not (unit == "payload" or unit in self._fast.units):
            return None
        found = [self._chunk_reader(entry, unit, most, before, after) for entry in self.entries]
        reads = [read for read in found if read is not None]
        return reads[0] if len(reads) == 1 else partial(_first, reads) if reads else None

    def _chunk_reader(self, entry: _Entry, unit: Unit, most: int, before: bytes, after: bytes) -> Read | None:
        if unit == "payload" or entry.name is None:
            return (entry.read or entry.reader()) if unit == "payload" and entry.name is None else None
        if unit != "event":
            if entry.name != _NAMELESS:
                return None
            return entry.framed(before, after, most, lines=unit != "line")
        head = self._fast.head
        before = head if entry.name == _NAMELESS else b"event: %b\n%b" % (entry.name.encode(), head)
        read = entry.framed(before, b"\n\n", most, lines=False)
        if not self._fast.crlf or read is None:
            return read
        other = entry.framed(before, b"\r\n\r\n", most, lines=False)
        return other and (lambda chunk: other(chunk) if chunk[-2:] == b"\r\n" else read(chunk))

    def split(self, multiple: int = 1) -> tuple[str, bytes, Read] | None:
        """Return the last entry's event name, what its payloads begin with, and what reads their rest."""
        if not self.entries:
            return None
        return self.entries[0].split(multiple)

    # -- what tells that a delta is like another ---------------------------------

    def _text_of(self, event: Any) -> str | None:  # noqa: ANN401 - any event
        """Return the text of a delta; None for any other event."""
        kind = event.__class__
        if kind in _TEXTS:
            text: str = event.text
        elif kind in _FRAGMENTS and not (kind is ToolCallDelta and self._call_of(event) is None):
            text = event.fragment
        else:
            return None
        return text if text and is_dict(event.raw) else None

    def _place_of(self, payload: dict[str, Any], text: str) -> Path | None:
        """Return where a delta's text stands in its payload, if no other text stands there."""
        said = [(path, found) for path in self._fast.texts if (found := found_at(payload, path))]
        # Half a character that is held back is not in the event.
        return said[0][0] if len(said) == 1 and said[0][1] == text else None

    def _call_of(self, event: ToolCallDelta) -> OpenCall | None:
        """Return the open call that a delta adds to, unless it holds back half a character or a `{}`."""
        call = self._format.parts.part_of(event)
        return call if isinstance(call, OpenCall) and not (call.held or call.placeholder) else None

    def _changing_in(self, payload: dict[str, Any]) -> list[Path] | tuple[Path, ...]:
        """Return the places whose values were seen to change; before a second payload shows that, all.

        A zero that was all that came so far does not count: the first value may yet say something.
        """
        places = self._fast.changing
        # Nobody counts the digits of a number that is not decoded.
        if not places or self._format.limits.digits < DIGITS_IN_A_ROW:
            return ()
        last, self._seen = self._seen, [found_at(payload, place) for place in places]
        if last is None:
            return [place for place, value in zip(places, self._seen, strict=True) if value]
        self._changed |= {
            place
            for place, one, other in zip(places, last, self._seen, strict=True)
            if other and one != other
        }
        return [place for place in places if place in self._changed]


def _first(reads: list[Read], data: Any) -> Event | None:  # noqa: ANN401 - what each of them takes
    """Return what the first of these functions finds that finds something."""
    for read in reads:
        event = read(data)
        if event is not None:
            return event
    return None


def _reader(
    format: Format,
    match: Match,
    like: Any,  # noqa: ANN401 - a delta
    follow: Follow | None,
    log: TextLog | None,
    *,
    payload: slice | None = None,
    most: int | None = None,
    start: bytes = b"",
) -> Read:
    """Return a function that makes a delta like another one of the bytes of each that has its shape.

    Args:
        format: The format whose frames are counted.
        match: Finds the text.
        like: The delta that was decoded.
        follow: What the format does with each such delta.
        log: The arguments of the delta's call.
        payload: Where in the bytes the payload is; None where they are the payload.
        most: The longest bytes that may be read so; None for any.
        start: What the payload begins with before these bytes.
    """
    kind: type[Any] = like.__class__
    choice, part = like.choice, like.part
    call_id = like.id if kind is ToolCallDelta else None
    is_text, is_reasoning = kind in _TEXTS, kind is ReasoningDelta
    longest = format.limits.event if most is None else most
    pieces: list[str] = [] if log is None else log.pieces

    def read(data: Any) -> Event | None:  # noqa: ANN401 - bytes, or a payload that was decoded
        text = match(data)
        if text is None or len(data) > longest:
            return None
        event = _new(kind)
        if is_text:
            event.text = text
            if is_reasoning:
                event.signature = None
        else:
            event.fragment = text
            if log is not None:
                event.id = call_id
        event.choice = choice
        event.part = part
        event._raw = data[payload] if payload is not None else start + data if start else data  # noqa: SLF001 - the slot behind `raw`, as its constructor fills it
        if follow is not None and follow(event) is False:
            return None
        if log is not None:
            # As in `TextLog.append`, whose call would cost each fragment.
            pieces.append(text)
            log.length += len(text)
            if len(pieces) >= log.full_at:
                log.pack()
        format.frames += 1
        made: Event = event
        return made

    return read

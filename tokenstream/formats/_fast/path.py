"""The fast path of a format: read deltas that resemble decoded ones by comparing their bytes.

Payloads that arrive decoded are compared value by value. In either case:

1. An entry is a shape (the constant content) and its meaning, both learnt from one payload; neither changes.
2. A format has one entry, or up to four (most recently used first) if deltas of several choices may
   alternate without changing each other's meaning.
3. If a payload yields anything but exactly one delta, or is a departure, all entries are dropped: a
   part may have begun or ended, or half a surrogate pair may be held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict
from tokenstream.events import PartDelta, ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._fast.decoded import DecodedShape
from tokenstream.formats._fast.match import DIGITS_IN_A_ROW
from tokenstream.formats._fast.shape import PADDING, Shape, find_at
from tokenstream.formats._kit.open import OpenCall
from tokenstream.framing import EventStreamMessage, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.text_log import TextLog
    from tokenstream.events import Event
    from tokenstream.formats._base import Format, Frame, Unit
    from tokenstream.formats._fast.match import Match
    from tokenstream.formats._fast.shape import Path

    Read = Callable[[Any], Event | None]
    """Returns the event of one delta, None for anything else."""
    AnyShape = Shape | DecodedShape
    Payload = bytes | dict[str, Any]
    Follow = Callable[[Any], bool | None]
    """Takes a delta that was not decoded; returns False if it must be decoded after all."""

_MOST_ENTRIES = 4
_WORTH_LEARNING = 12
"""An entry that reads as many payloads as this has saved more time than learning it took."""
_NONE: frozenset[Path] = frozenset()  # shared: an empty set takes as much memory as a small one
_MOST_MISSES = 16
"""Deltas in a row without a matching shape before learning pauses."""
_LONGEST_WAIT = 512
"""Most deltas to wait before learning a shape again."""
_NAMELESS = "message"
"""The SSE standard's name for an event without a name."""

_new: Callable[[type[Any]], Any] = object.__new__
"""Creates an event whose fields are set afterwards: a call with keywords takes three times as long."""
_FRAGMENTS = (ToolCallDelta, PartDelta)
_TEXTS = (TextDelta, ReasoningDelta, RefusalDelta)


@dataclass(frozen=True, slots=True)
class Fast:
    """Features that a format's deltas share, so that most of them need not be decoded.

    Once a payload has given exactly one delta, with its text in one of these places and none in the
    others, payloads with the same bytes around their text are not decoded; payloads that arrive as
    dicts are compared value by value. A misspelt place is not an error: then every payload is decoded.
    A format that stores more of a delta than `Parts` does must also define `Format.follow`.

    Args:
        texts: Places (keys and list indexes) of text of any kind, also reasoning and tool arguments.
        changing: Places of numbers, ids and times without meaning: their changes are not seen.
        counts: The changing places that must hold whole numbers from 1 on.
        asides: Names of top-level fields with nothing of the answer, except that they may repeat the text.
        padding: Names of top-level fields that hide the length of the text and may change freely.
        head: The bytes before a payload on its line; an SSE event's name is on another line.
        units: The kinds of chunks that may hold one payload; `Unit` describes them.
        crlf: True if servers may end lines with CR LF.
        turns: True if a delta does not depend on the one before, so that up to four choices may alternate.

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
    """Return False, so that each payload is decoded: a callback for `Format.follow` to return."""
    return False


class _Entry:
    """A shape, and the meaning of the payloads that have it.

    Args:
        format: The format whose frames are counted.
        name: The name of the payload's SSE event; None for a payload that arrived decoded.
        shape: The payload's shape.
        like: The delta in the payload, which the format decoded.
        log: The argument text of the delta's call.
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
        """Function that reads a payload; created on first use by `make_reader`."""
        self._framed: dict[tuple[bytes, bytes, int], Read] = {}
        self._split: tuple[str, bytes, Read] | None = None

    def make_reader(self) -> Read:
        """Create and return `read`, which streams that read whole chunks never need."""
        self.read = _make_reader(self._format, self.shape.match, self.like, self.follow, self.log)
        return self.read

    def is_same(self, name: str | None, payload: Payload, event: Any, text: str) -> bool:  # noqa: ANN401 - a delta
        """Return whether a payload with this text has this shape and this meaning."""
        like = self.like
        alike = (name, event.__class__, event.choice, event.part) == (
            self.name,
            like.__class__,
            like.choice,
            like.part,
        )
        match: Callable[[Any], str | None] = self.shape.match
        return alike and match(payload) == text

    def make_framed(self, before: bytes, after: bytes, most: int, *, lines: bool) -> Read | None:
        """Return a function that reads a chunk with one payload between two fixed pieces, or None; cached.

        Args:
            before: The bytes before the payload.
            after: The bytes after the payload.
            most: The longest chunk that may be read this way, in bytes.
            lines: True if a payload may take several lines.
        """
        wanted = (before, after, most)
        made = self._framed.get(wanted)
        shape = self.shape
        if made is None and isinstance(shape, Shape) and (lines or shape.takes_one_line):
            match = shape.between(before, after).match
            payload = slice(len(before), -len(after) or None)
            made = self._framed[wanted] = _make_reader(
                self._format, match, self.like, self.follow, self.log, payload=payload, most=most
            )
        return made

    def split(self, multiple: int) -> tuple[str, bytes, Read] | None:
        """Return the event's name, the first bytes of payloads, and a function that reads the rest; cached.

        Returns None if payloads arrive decoded.

        Args:
            multiple: The number of first bytes is a multiple of this number.
        """
        if self._split is None and self.name is not None and isinstance(self.shape, Shape):
            start, rest = self.shape.split(multiple)
            read = _make_reader(self._format, rest.match, self.like, self.follow, self.log, start=start)
            self._split = self.name, start, read
        return self._split


class FastPath:
    """The entries for one format's deltas; decides when to learn another entry.

    Args:
        format: The format.
        fast: Common features of the format's deltas.
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
        """The last shapes learnt; they stay valid when the entries are dropped."""
        self._seen: list[object] | None = None
        """The values in changing places of the last decoded delta."""
        self._changed: frozenset[Path] = _NONE
        """The changing places whose values have changed so far: the fewer, the faster the comparison."""
        self._learnt_at = 0
        self._misses = 0
        """Deltas in a row without a shape."""
        self._patience = 1
        self._wait = 0

    def read(self, frame: Frame) -> Event | None:
        """Return the event of a frame that an entry fits; None for any other frame."""
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
            read = entries[0].read or entries[0].make_reader()
            event = read(payload)
        return self._read_otherwise(name, payload) if event is None and len(entries) > 1 else event

    def _read_otherwise(self, name: str | None, payload: Payload) -> Event | None:
        """Try the entries after the first, and move the entry that fits to the front."""
        for number, entry in enumerate(self.entries[1:], 1):
            event = (entry.read or entry.make_reader())(payload) if entry.name == name else None
            if event is not None:
                self.entries.insert(0, self.entries.pop(number))
                return event
        return None

    def frame_shortcut(self) -> Callable[[Frame], Event | None] | None:
        """Return a function that reads frames like the last one; None if there is no entry for them."""
        if not self.entries or self.entries[0].name is None:
            return None
        entry = self.entries[0]
        read, name = entry.read or entry.make_reader(), entry.name
        if name == _NAMELESS:
            return lambda frame: read(frame) if frame.__class__ is bytes else None
        return lambda frame: (
            read(frame.payload) if isinstance(frame, ServerSentEvent) and frame.event == name else None
        )

    def take(self, frame: Frame, events: list[Event]) -> None:
        """Learn from a frame that was decoded, or drop the entries learnt before it."""
        if self._misses > _MOST_MISSES and self._wait > 1 and not self.entries:
            # The shapes keep differing: learning would cost half as much as reading them.
            self._wait -= 1
            return
        format = self._format
        event: Any = events[0] if len(events) == 1 else None
        name = None if is_dict(frame) else _NAMELESS
        if isinstance(frame, ServerSentEvent | EventStreamMessage):
            name, frame = frame.event, frame.payload
        bent = format.noted_at == format.frames or format.error is not None or not format.shortcuts
        text = None if bent else self._text_of(event)
        # The event's text must be in this payload, and not in an earlier one.
        if text is None or (name is None and event.raw is not frame):
            self.clear()
            raw = events[-1].raw if events else None
            if self._seen is None and is_dict(raw):
                self._changing_in(raw)
            return
        if any(entry.is_same(name, frame, event, text) for entry in self.entries):
            # The payload fits an entry, but is too long for it, or the format asked to decode it.
            return
        if not self._fast.turns:
            self.clear()
        shape = self._shape_of(frame, event.raw, text)
        if shape is not None and len(self.entries) == _MOST_ENTRIES:
            if format.frames - self._learnt_at < _WORTH_LEARNING:
                # More choices alternate than there are entries: each entry would be dropped unused.
                self.clear()
                self._shapes.clear()
                return
            self.entries.pop()
        if shape is not None:
            call = self._call_of(event) if event.__class__ is ToolCallDelta else None
            # All of a call's arguments are needed to detect its end.
            log = None if call is None else call.arguments
            self.entries.insert(0, _Entry(format, name, shape, event, log))
            self._learnt_at = format.frames

    def _shape_of(self, payload: Payload, value: dict[str, Any], text: str) -> AnyShape | None:
        """Return the shape of a payload: one learnt before or, if that may pay off, a new one."""
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
        """Drop the entries: a match no longer implies a payload's meaning."""
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
        """Return a function that reads whole chunks like the last ones; None if there is none.

        Args:
            unit: The kind of each chunk.
            most: The longest chunk that may be read this way, in bytes.
            before: The bytes before the payload; not needed for an event.
            after: The bytes after the payload; not needed for an event, either.
        """
        if not self.entries or not (unit == "payload" or unit in self._fast.units):
            return None
        found = [self._chunk_reader(entry, unit, most, before, after) for entry in self.entries]
        reads = [read for read in found if read is not None]
        return reads[0] if len(reads) == 1 else partial(_try_each, reads) if reads else None

    def _chunk_reader(self, entry: _Entry, unit: Unit, most: int, before: bytes, after: bytes) -> Read | None:
        if unit == "payload" or entry.name is None:
            return (entry.read or entry.make_reader()) if unit == "payload" and entry.name is None else None
        if unit != "event":
            if entry.name != _NAMELESS:
                return None
            return entry.make_framed(before, after, most, lines=unit != "line")
        head = self._fast.head
        before = head if entry.name == _NAMELESS else b"event: %b\n%b" % (entry.name.encode(), head)
        read = entry.make_framed(before, b"\n\n", most, lines=False)
        if not self._fast.crlf or read is None:
            return read
        other = entry.make_framed(before, b"\r\n\r\n", most, lines=False)
        return other and (lambda chunk: other(chunk) if chunk[-2:] == b"\r\n" else read(chunk))

    def split(self, multiple: int = 1) -> tuple[str, bytes, Read] | None:
        """Return the first entry's event name, its payloads' first bytes, and a function for the rest."""
        if not self.entries:
            return None
        return self.entries[0].split(multiple)

    # -- features of a delta -----------------------------------------------------

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
        """Return the place of a delta's text in its payload, if it is the only text there."""
        said = [(path, found) for path in self._fast.texts if (found := find_at(payload, path))]
        # The texts differ if half of a surrogate pair is held back.
        return said[0][0] if len(said) == 1 and said[0][1] == text else None

    def _call_of(self, event: ToolCallDelta) -> OpenCall | None:
        """Return the open call that a delta adds to, unless the call holds back half a character or `{}`."""
        call = self._format.parts.part_of(event)
        return call if isinstance(call, OpenCall) and not (call.held or call.placeholder) else None

    def _changing_in(self, payload: dict[str, Any]) -> list[Path] | tuple[Path, ...]:
        """Return the changing places whose values have changed; for the first payload, all of them.

        A place that has held only zeros so far is left out: its first other value may have a meaning.
        """
        places = self._fast.changing
        # A number that is not decoded is not checked against the limit on digits.
        if not places or self._format.limits.digits < DIGITS_IN_A_ROW:
            return ()
        last, self._seen = self._seen, [find_at(payload, place) for place in places]
        if last is None:
            return [place for place, value in zip(places, self._seen, strict=True) if value]
        self._changed |= {
            place
            for place, one, other in zip(places, last, self._seen, strict=True)
            if other and one != other
        }
        return [place for place in places if place in self._changed]


def _try_each(reads: list[Read], data: Any) -> Event | None:  # noqa: ANN401 - what each of them takes
    """Return the first result that is not None."""
    for read in reads:
        event = read(data)
        if event is not None:
            return event
    return None


def _make_reader(
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
    """Return a function that turns each payload of a shape into a delta like an earlier one.

    Args:
        format: The format whose frames are counted.
        match: Returns the text in a payload.
        like: The earlier delta, which the format decoded.
        follow: The format's callback for each of these deltas.
        log: The argument text of the delta's call.
        payload: The payload's place in the bytes; None if the bytes are the payload.
        most: The longest bytes that may be read this way; None for any.
        start: The beginning of the payload, if the bytes do not include it.
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
            # `TextLog.append` inlined: its call would cost time for every fragment.
            pieces.append(text)
            log.length += len(text)
            if len(pieces) >= log.full_at:
                log.pack()
        format.frames += 1
        made: Event = event
        return made

    return read

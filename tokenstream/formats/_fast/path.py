"""The fast path of a format: read deltas that resemble decoded ones by comparing their bytes.

Payloads that arrive decoded are compared value by value. In either case:

1. An entry is a shape (the constant content) and its meaning, both learnt from one payload; neither changes.
2. A format has one entry, or up to four (most recently used first) if deltas of several choices may
   alternate without changing each other's meaning.
3. If a payload yields anything but exactly one delta, or is a departure, all entries are dropped: a
   part may have begun or ended, or half a surrogate pair may be held back.
4. Where deltas do not depend on the one before, the payload that begins a part is itself learnt from, if
   an earlier answer has proved its shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import ref

from tokenstream._basics.untrusted import is_dict
from tokenstream.events import PartDelta, PartStart, ToolCallDelta
from tokenstream.formats._fast.entry import TEXT_DELTAS, DecodedShape, ShapeEntry
from tokenstream.formats._fast.match import DIGITS_IN_A_ROW
from tokenstream.formats._fast.shape import PADDING, PayloadShape, find_at
from tokenstream.formats._fast.template import Templates
from tokenstream.formats._kit.open import OpenCall
from tokenstream.framing._frames import EventStreamMessage, ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tokenstream._basics.loose import AnyFunction, JsonObject
    from tokenstream.events import Event
    from tokenstream.formats._base import Format, Frame, Unit
    from tokenstream.formats._fast.entry import AnyLookup, AnyShape, Payload, Read, SplitRead
    from tokenstream.formats._fast.shape import KeyPath
    from tokenstream.formats._kit.parts import Parts

KeyPaths: TypeAlias = "tuple[KeyPath, ...] | list[KeyPath]"

_MOST_ENTRIES = 4
_WORTH_LEARNING = 12
"""Number of payloads: an entry that has read so many has saved more time than learning it took."""
_NO_PLACES: frozenset[KeyPath] = frozenset()  # shared: an empty set takes as much memory as a small one
_MOST_MISSES = 16
"""Learning pauses after this many deltas in a row that matched no learnt shape."""
_LONGEST_WAIT = 512
"""The most deltas that are decoded before a shape is learnt again."""
_MOST_KEPT = 8  # shapes of one answer, for later answers: to keep one takes longer than to learn it
_NAMELESS = "message"
"""The SSE standard's name for an event without a name."""

_FRAGMENT_DELTAS = (ToolCallDelta, PartDelta)


@dataclass(frozen=True)
class Fast:
    """Features that a format's deltas share, so that most of them need not be decoded.

    Once a payload has given exactly one delta, with its text in one of the places `texts` and no text
    in the others, payloads with the same bytes around their text are not decoded. Payloads that arrive
    as dicts are compared value by value. A misspelt place is not an error: then every payload is decoded.
    A format that stores more of a delta than `Parts` does must also define `Format.follow`.

    Args:
        texts: Places (keys and list indexes) of text of any kind, also reasoning and tool arguments.
        changing: Places of numbers, ids and times without meaning: their changes are not seen.
        counts: The changing places that must hold whole numbers from 1 on.
        asides: Names of top-level fields without content of their own, such as a repetition of the text:
            differences in them have no meaning.
        padding: Names of top-level fields that hide the length of the text and may change freely.
        head: The bytes before a payload on its line; an SSE event's name is on another line.
        units: The kinds of chunks that may hold one payload; `Unit` describes them.
        crlf: True if servers may end lines with CR LF.
        turns: True if deltas of several choices or parts may alternate without changing each other's
            meaning. Payloads of up to four of them are then read without decoding.

    Example:
        >>> Fast(texts=[("token", "text")], changing=[("index",)]).head
        b'data: '
    """

    texts: KeyPaths
    changing: KeyPaths = ()
    counts: KeyPaths = ()
    asides: frozenset[str] = frozenset()
    padding: frozenset[str] = PADDING
    head: bytes = b"data: "
    units: frozenset[Unit] = frozenset({"event"})
    crlf: bool = False
    turns: bool = False

    @cached_property
    def _places(self) -> dict[str | int | None, Any]:
        """The places of text as a tree: each step leads to those after it, and None to the whole place."""
        places: dict[str | int | None, Any] = {}
        for path in self.texts:
            inner = places
            for step in path:
                inner = inner.setdefault(step, {})
            inner[None] = path
        return places

    @cached_property
    def templates(self) -> Templates:
        """Proofs that the answers of this format share."""
        return Templates()

    def find_path(self, payload: JsonObject, text: str) -> KeyPath | None:
        """Return the place of a delta's text in its payload; None if other places have text, too.

        The result is also None if the delta's text is not exactly the text in the payload.
        """
        found: list[tuple[KeyPath, object]] = []
        values: list[tuple[Any, dict[Any, Any]]] = [(payload, self._places)]
        for value, places in values:  # to which the values inside of it are added
            if None in places:
                found.append((places[None], value))
            is_list = value.__class__ is list
            steps: Any = range(len(value)) if is_list else value if value.__class__ is dict else ()
            values += [(value[step], places[step]) for step in places.keys() & steps if value[step]]
        # The text of the delta differs from that in the payload if half of a surrogate pair is held back.
        return found[0][0] if len(found) == 1 and found[0][1] == text else None


def always_decode(_delta: object) -> bool:
    """Return False, as the callback of `Format.follow` for deltas that must always be decoded."""
    return False


class FastPath:
    """Reads a format's deltas by learnt entries, without decoding, and decides when to learn another entry.

    An entry is the shape of a payload, with its meaning; see the docstring of this module.
    """

    __slots__ = (
        "_changed",
        "_deltas_to_wait",
        "_fast",
        "_format",
        "_last_values",
        "_last_wait",
        "_learnt_at",
        "_limits",
        "_misses",
        "_shapes",
        "_shapes_to_keep",
        "entries",
    )

    def __init__(self, format: Format, fast: Fast) -> None:
        # Weak, since the format keeps this object.
        self._format: AnyFunction = ref(format)
        self._limits = format.limits
        self._fast = fast
        # The learnt shapes and their meanings.
        self.entries: list[ShapeEntry] = []
        """The learnt entries that may be used now; the one used or learnt last is the first."""
        self._shapes: list[AnyShape] = []
        """The last shapes learnt; they stay valid when the entries are dropped."""
        self._shapes_to_keep = _MOST_KEPT
        """Number of further shapes that later answers may use."""
        # The places that later shapes must treat as changing.
        self._last_values: list[object] | None = None
        """The values in changing places of the last decoded delta."""
        self._changed: frozenset[KeyPath] = _NO_PLACES
        """The changing places whose values have changed so far: the fewer, the faster the comparison."""
        # The decision whether to learn another shape.
        self._learnt_at = 0
        """Number of the frame from which the newest entry was learnt."""
        self._misses = 0
        """Number of deltas in a row that matched no learnt shape."""
        self._last_wait = 1
        """The number of deltas that were waited for last; doubled whenever learning did not pay off."""
        self._deltas_to_wait = 0
        """Number of deltas to decode before the next shape is learnt."""

    def read(self, frame: Frame) -> Event | None:
        """Return the event of a frame that is like a learnt one except for its text; None for any other."""
        name: str | None = _NAMELESS
        payload: Any = frame
        if frame.__class__ is bytes:
            # A frame without a name is the payload itself.
            pass
        elif frame.__class__ is dict:
            # An SDK has decoded this payload; its entries have no name.
            name = None
        elif isinstance(frame, ServerSentEvent) or (
            isinstance(frame, EventStreamMessage) and frame.kind == "event"
        ):
            name, payload = frame.event, frame.payload
        else:
            return None
        entries = self.entries
        event = None
        if entries and entries[0].name == name:
            read = entries[0].read or entries[0].create_read_for(payload)
            event = None if read is None else read(payload)
        return self._try_other_entries(name, payload) if event is None and len(entries) > 1 else event

    def _try_other_entries(self, name: str | None, payload: Payload) -> Event | None:
        """Read a payload by an entry after the first, which moves to the front; None if no entry fits it."""
        for index, entry in enumerate(self.entries[1:], 1):
            event = (entry.read or entry.create_read())(payload) if entry.name == name else None
            if event is not None:
                self.entries.insert(0, self.entries.pop(index))
                return event
        return None

    def learn_from(self, frame: Frame, events: list[Event]) -> None:
        """Learn the shape of a decoded frame, or drop what was learnt, by the rules of this module."""
        if self._misses > _MOST_MISSES and self._deltas_to_wait > 1 and not self.entries:
            # The shapes keep differing, so only count the delta: to examine each payload for its shape would
            # cost half as much as decoding. The last delta of the wait is examined again.
            self._deltas_to_wait -= 1
            return
        text = self._find_text(frame, events)
        if text is None and (events or not self.entries):
            self.clear()
            raw = events[-1].raw if events and self._fast.changing and self._last_values is None else None
            if is_dict(raw):
                # Keep the values of the first payload: the next one shows which of them change.
                self._find_changing(raw)
            return
        # None is the name of a payload that arrived decoded.
        name: str | None = None if is_dict(frame) else _NAMELESS
        if isinstance(frame, ServerSentEvent | EventStreamMessage):
            name, frame = frame.event, frame.payload
        if self.entries and any(entry.is_same(name, frame, events, text) for entry in self.entries):
            # The payload fits an entry, but is too long for it, or was to be decoded.
            return
        if text is None or len(events) > 1 or not self._fast.turns:
            # Without turns of choices, a delta may depend on the one before: only the newest entry is valid.
            self.clear()
        event: Any = events[-1] if events else None
        shape = None if text is None else self._find_shape(frame, events, text)
        if shape is None:
            return
        format: Format = self._format()
        if len(self.entries) == _MOST_ENTRIES:
            if format.frames - self._learnt_at < _WORTH_LEARNING:
                # More choices alternate than there are entries: each entry would be dropped unused.
                self.clear()
                self._shapes.clear()
                return
            self.entries.pop()
        call = self._find_call(event) if event.__class__ is ToolCallDelta else None
        # All of a call's arguments are needed to detect its end.
        log = None if call is None else call.arguments
        self.entries.insert(0, ShapeEntry(format, name, shape, event, log))
        self._learnt_at = format.frames

    def _find_shape(self, payload: Payload, events: list[Event], text: str) -> AnyShape | None:
        """Return a payload's shape (all but its text), learnt before or, if it may pay off, now; or None."""
        kind = DecodedShape if is_dict(payload) else PayloadShape
        for shape in self._shapes:
            match: AnyLookup = shape.match
            if shape.__class__ is kind and match(payload) == text:
                self._misses = 0
                return shape
        self._misses += 1
        value: Any = events[-1].raw
        changing, fast = self._find_changing(value), self._fast
        known = None if isinstance(payload, dict) else fast.templates.find((*value, *changing), payload, text)
        path = None if known is not None or len(events) > 1 else fast.find_path(value, text)
        if path is None and known is None:
            # The payload has other text, too, or half a surrogate pair of the text is held back. An entry
            # would read later payloads wrongly. For a part that may have no other delta, no proof pays off.
            self.clear()
            return None
        # Learning takes longer than decoding: after a shape that was soon dropped, wait for some deltas.
        self._deltas_to_wait -= 1
        if self._deltas_to_wait > 0:
            return None
        learnt: AnyShape | None = known or self._prove(payload, value, path, changing)
        if learnt is None:
            self._wait_longer()
            return None
        self._shapes = [learnt, *self._shapes[: _MOST_ENTRIES - 1]]
        return learnt

    def _prove(
        self, payload: Payload, value: JsonObject, path: KeyPath | None, changing: Sequence[KeyPath]
    ) -> AnyShape | None:
        """Return a payload's shape; None if nothing proves where the values that change are."""
        fast = self._fast
        learn: Any = (
            partial(PayloadShape.learn, payload)
            if isinstance(payload, bytes)
            else partial(DecodedShape.learn, depth=self._limits.depth)
        )
        shape: AnyShape | None = learn(
            value, path, changing=changing, counts=fast.counts, asides=fast.asides, padding=fast.padding
        )
        if isinstance(shape, PayloadShape) and self._shapes_to_keep:
            self._shapes_to_keep -= 1
            fast.templates.keep((*value, *changing), shape)
        return shape

    def adopt_shapes(self, other: FastPath) -> None:
        """Take over the shapes that were learnt from an earlier answer of the same server."""
        self._shapes = other._shapes.copy()

    def forget(self, choice: int, part: int) -> None:
        """Forget entries learnt from a part that has ended, so that its later payloads are decoded."""
        ended = choice, part
        self.entries[:] = [entry for entry in self.entries if (entry.choice, entry.part) != ended]

    def clear(self) -> None:
        """Drop all learnt entries, because a payload that matches one of them may now mean something else."""
        if not self.entries:
            return
        self.entries.clear()
        if self._format().frames - self._learnt_at >= _WORTH_LEARNING:
            # Learning has paid off: learn the next shape at once.
            self._last_wait, self._deltas_to_wait = 1, 0
        else:
            self._wait_longer()

    def _wait_longer(self) -> None:
        """Wait for twice as many deltas as last time before another shape is learnt."""
        self._last_wait = self._deltas_to_wait = min(2 * self._last_wait, _LONGEST_WAIT)

    def shortcut(self, unit: Unit, max_size: int, before: bytes, after: bytes) -> Read | None:
        """Return a function that reads chunks with payloads like the learnt ones; None if none can be."""
        # A payload that arrives decoded has no bytes around it; the format names the other possible chunks.
        if not self.entries or not (unit == "payload" or unit in self._fast.units):
            return None
        readers: list[Read] = []
        for entry in self.entries:
            reader = self._make_chunk_reader(entry, unit, max_size, before, after)
            readers += () if reader is None else (reader,)
        if len(readers) > 1:
            return partial(_try_each, readers)
        return readers[0] if readers else None

    def _make_chunk_reader(
        self, entry: ShapeEntry, unit: Unit, max_size: int, before: bytes, after: bytes
    ) -> Read | None:
        """Return a function that reads chunks with payloads like a learnt one; None if that cannot be."""
        if entry.name is None:
            # The entry is for payloads that arrive decoded.
            return (entry.read or entry.create_read()) if unit == "payload" else None
        if unit == "payload":
            return None
        if unit != "event":
            if entry.name != _NAMELESS:
                # Only an event stream has event names.
                return None
            # A payload may take several lines, unless the chunk is one line.
            return entry.make_framed_reader(before, after, max_size, lines=unit != "line")
        # Such as `data: `, after which the payload takes the rest of the line; a blank line ends the event.
        head = self._fast.head
        before = head if entry.name == _NAMELESS else b"event: %b\n%b" % (entry.name.encode(), head)
        read_lf = entry.make_framed_reader(before, b"\n\n", max_size, lines=False)
        crlf = b"\r\n\r\n"
        read_crlf = entry.make_framed_reader(before, crlf, max_size, lines=False) if self._fast.crlf else None
        if read_lf is None or read_crlf is None:
            return read_lf
        return lambda chunk: read_crlf(chunk) if chunk[-2:] == b"\r\n" else read_lf(chunk)

    def make_split_reader(self, multiple: int = 1) -> SplitRead | None:
        """Return the means to read payloads like the last one without decoding them; None if there are none.

        They are for a caller that compares the beginning of a payload itself, in another encoding, for
        example. The tuple contains the name of the payloads' SSE events, the first bytes of each payload (a
        multiple of `multiple`, such as 3 for base64), and a function that makes the event from the bytes
        after them, or returns None.
        """
        return self.entries[0].make_split_reader(multiple) if self.entries else None

    # -- features of a delta -----------------------------------------------------

    def _find_text(self, frame: Frame, events: list[Event]) -> str | None:
        """Return the text of a frame's only event; None if that is not a delta, or one not to learn from.

        Nothing is learnt from a call that holds text back, or from a frame with a departure. The start of the
        delta's part may come before it, if the deltas may take turns.
        """
        event: Any = events[-1] if events else None
        if len(events) > 1:
            start = events[0]
            begins = len(events) == 2 and start.__class__ is PartStart and self._fast.turns
            if not begins or (start.choice, start.part) != (event.choice, event.part):
                return None
        kind = event.__class__
        if kind in TEXT_DELTAS:
            text: str = event.text
        # `_find_call` returns None for a call that holds text back.
        elif kind in _FRAGMENT_DELTAS and not (kind is ToolCallDelta and self._find_call(event) is None):
            text = event.fragment
        else:
            return None
        format: Format = self._format()
        if format.noted_at == format.frames or format.error is not None or not format.shortcuts:
            return None
        # The event's text must be in this payload, and not in an earlier one.
        is_in_payload = event.raw is frame if is_dict(frame) else is_dict(event.raw)
        return text if text and is_in_payload else None

    def _find_call(self, event: ToolCallDelta) -> OpenCall | None:
        """Return the open call that a delta adds to; None if the call holds text back, or is not open.

        A call holds back half a surrogate pair, or arguments `{}` that may be a placeholder. Fragments
        of a call that waits for its arguments are counted, so they are decoded.
        """
        parts: Parts = self._format().parts
        state = parts.choices.get(event.choice)
        # A stage that replaces events may have changed the index.
        index = event.part if parts.stage is None else parts.stage.original_index(event.choice, event.part)
        call = None if state is None else state.opened.get(index)
        if isinstance(call, OpenCall) and not (call.held or call.placeholder or call.waits or call.turn):
            return call
        return None

    def _find_changing(self, payload: JsonObject) -> KeyPaths:
        """Return the places whose values a shape that is learnt now must not compare.

        These are the changing places, with a number or code that may change without a meaning, whose values
        have changed so far; all others are compared as constants, which is faster. Of the first payload, it
        is not known which ones change, so all are returned. The payload's values are recorded, for the
        comparison with the next payload.

        Zero, or no value, is the exception. A place that has held nothing else so far is compared, too, so
        that the payload with its first other value is decoded: that value may have a meaning.
        """
        places = self._fast.changing
        # The limit on the digits of a number is checked by decoding, which the fast path leaves out. In these
        # places, it reads up to DIGITS_IN_A_ROW digits; so under a lower limit, no place may change.
        if not places or self._limits.digits < DIGITS_IN_A_ROW:
            return ()
        last_values, self._last_values = self._last_values, [find_at(payload, place) for place in places]
        if last_values is None:
            return [place for place, value in zip(places, self._last_values, strict=True) if value]
        if last_values != self._last_values:
            pairs = zip(places, last_values, self._last_values, strict=True)
            self._changed |= {place for place, before, now in pairs if now and before != now}
        return [place for place in places if place in self._changed] if self._changed else ()


def make_frame_shortcut(format: Format) -> Callable[[Frame], Event | None] | None:
    """Return a function that reads frames that differ from the last one only in their text, or None.

    The function may be used until `feed` is called, and until it first returns None for a frame.
    """
    fast = format.fast_path
    if fast is None or not fast.entries:
        return None
    entry = fast.entries[0]
    read, name = entry.read or entry.create_read(), entry.name
    if name is None:
        # Payloads that arrive decoded: the function refuses any other.
        return read
    if name == _NAMELESS:
        # An event without a name arrives as its bare payload.
        return lambda frame: read(frame) if frame.__class__ is bytes else None
    return lambda frame: (
        read(frame.payload) if isinstance(frame, ServerSentEvent) and frame.event == name else None
    )


def _try_each(reads: list[Read], data: object) -> Event | None:
    for read in reads:
        event = read(data)
        if event is not None:
            return event
    return None

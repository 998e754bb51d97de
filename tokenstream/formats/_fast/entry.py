"""Knowledge from one payload about those that differ only in their text, as bytes or decoded.

Decoded payloads are yielded by SDKs, for example. Their constant parts are compared by value and by
type: in Python, `True` equals 1, which may mean something else. If a payload differs in them, the
format reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import is_deeper, looks_whole
from tokenstream._values.event_base import new_event
from tokenstream.events import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta
from tokenstream.formats._fast.match import CODE
from tokenstream.formats._fast.shape import PayloadShape
from tokenstream.formats._kit.open import LONGEST_PLACEHOLDER, OPENING
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tokenstream._basics.loose import AnyEvent, Json, JsonObject
    from tokenstream._basics.text_log import TextLog
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._fast.match import Lookup
    from tokenstream.formats._fast.shape import KeyPath

    Read = Callable[[Any], Event | None]
    """Makes the event from a payload, or a chunk with a payload; returns None if that must be decoded."""
    SplitRead = tuple[str, bytes, Read]
    AnyLookup = Callable[[Any], str | None]
    """Returns the text of a payload of one shape; None for any other payload and for an empty text."""
    AnyShape: TypeAlias = "PayloadShape | DecodedShape"
    Payload = bytes | JsonObject
    Fits = Callable[[Any], bool]
    """Returns True if a value may replace the learnt value."""

TEXT_DELTAS = (TextDelta, ReasoningDelta, RefusalDelta)

_MOST_VALUES = 256
"""Values in the largest payload whose shape is learnt."""
_MOST_DEEP = 16
"""Levels of the deepest payload whose shape is learnt; none is learnt if the depth limit is not higher."""
_MOST = 10**18
"""A changing number must be smaller than this in absolute value; otherwise, the format reads the payload."""
_MOST_COUNTED = 10**15
"""A changing count must be smaller than this."""
_LEAVES = frozenset({str, int, float, bool, type(None)})
_is_code = re.compile(CODE.decode()).fullmatch

_Holes: TypeAlias = "dict[KeyPath, Fits]"
"""Maps each place that differs between payloads to the function that checks its value."""


class ShapeEntry:
    """Knowledge learnt from one payload: its shape (the constant content), and the delta that it means.

    It makes functions that read other payloads of this shape without decoding them.

    Args:
        format: The format whose frames are counted.
        name: The name of the payload's SSE event; None for a payload that arrived decoded.
        example: The delta in the payload, which the format decoded; deltas read later have its kind and part.
        log: The argument text so far of the tool call that the delta adds to; the functions append to it,
            because the end of the call is found by its whole arguments. None if the delta is not of a call.
    """

    __slots__ = (
        "_framed",
        "_split",
        "call_id",
        "choice",
        "follow",
        "format",
        "kind",
        "log",
        "name",
        "part",
        "read",
        "shape",
    )

    def __init__(
        self, format: Format, name: str | None, shape: AnyShape, example: AnyEvent, log: TextLog | None
    ) -> None:
        self.name = name
        self.shape = shape
        # The example itself is not kept, because its `raw` is the whole decoded payload.
        self.kind: type[Any] = example.__class__
        self.choice, self.part = example.choice, example.part
        self.call_id = example.id if self.kind is ToolCallDelta else None
        """The id of the call that the deltas add to; None if they are not of a call."""
        stage, follow = format.parts.stage, format.follow(example)
        # A stage, such as that for `Tags`, must see these deltas, too, which do not reach its `feed`.
        self.follow = follow if stage is None else stage.follow(example, follow)
        """The callback for each delta like the example; None if neither format nor stage needs one."""
        self.log = log
        self.format = format
        self.read: Read | None = None
        """Function that reads a payload; created on first use by `create_read`."""
        self._framed: dict[tuple[bytes, bytes, int], Read] = {}
        """Functions made by `make_framed_reader`, by its first three arguments."""
        self._split: SplitRead | None = None
        """The result of `make_split_reader`; None before its first call."""

    def create_read(self) -> Read:
        """Create the function that reads payloads of this shape; store it as `read`, and return it.

        It is created late, because a stream that reads whole chunks needs only `make_framed_reader`.
        """
        self.read = make_reader(self, self.shape.match)
        return self.read

    def create_read_for(self, payload: Payload) -> Read | None:
        """Return the function of `create_read`; None if the payload certainly has another shape.

        Creating a function takes time, which a payload of another shape does not repay. Such a payload is
        common: while whole chunks are read by a function of `make_framed_reader`, the first payload that
        arrives here is one that this function could not read, such as the last one, with a finish reason.
        """
        shape = self.shape
        if isinstance(shape, PayloadShape) and isinstance(payload, bytes):
            first, *_, last = shape.pieces
            if not payload.startswith(first) or not payload.endswith(last):
                return None
        return self.create_read()

    def is_same(self, name: str | None, payload: Payload, events: list[Event], text: str | None) -> bool:
        """Return True if this entry would make the delta of a payload, which a stage may hold back whole."""
        match: AnyLookup = self.shape.match
        if not events:
            is_departure = self.format.noted_at == self.format.frames
            return name == self.name and match(payload) is not None and not is_departure
        event: Any = events[0]
        found = name, event.__class__, event.choice, event.part
        return found == (self.name, self.kind, self.choice, self.part) and text == match(payload) is not None

    def make_framed_reader(self, before: bytes, after: bytes, max_size: int, *, lines: bool) -> Read | None:
        """Return a function that reads a chunk: one payload between two fixed pieces of bytes.

        The function is stored for the next call with these pieces. The result is None if a payload of this
        shape cannot be in such a chunk, because it arrives decoded or takes several lines.
        """
        key = (before, after, max_size)
        reader = self._framed.get(key)
        shape = self.shape
        if reader is None and isinstance(shape, PayloadShape) and (lines or shape.takes_one_line):
            match = shape.make_match_between(before, after)
            # `or None`: with nothing after it, the payload extends to the end.
            payload = slice(len(before), -len(after) or None)
            reader = self._framed[key] = make_reader(self, match, payload=payload, max_size=max_size)
        return reader

    def make_split_reader(self, multiple: int) -> SplitRead | None:
        """Return the means to read payloads of this shape for a caller that compares their beginning itself.

        The tuple contains the name of the payloads' SSE events, the first bytes of each payload (a multiple
        of `multiple`, such as 3 for base64), and a function that makes the event from the bytes after them.
        The tuple is stored for the next call. The result is None if payloads arrive decoded.
        """
        if self._split is None and self.name is not None and isinstance(self.shape, PayloadShape):
            start, rest = self.shape.split(multiple)
            self._split = self.name, start, make_reader(self, rest.match, start=start)
        return self._split


def make_reader(
    entry: ShapeEntry,
    match: Lookup,
    *,
    payload: slice | None = None,
    max_size: int | None = None,
    start: bytes = b"",
) -> Read:
    """Return a function that turns each payload of a shape into a delta like an earlier one.

    The bytes are the payload, unless `payload` is its place in them; `start` is a beginning that they lack.
    """
    longest = entry.format.limits.event if max_size is None else max_size
    make = _make_plain if entry.kind is TextDelta else _make_other
    return make(entry, match, payload, longest, start)


def _make_plain(entry: ShapeEntry, match: Lookup, payload: slice | None, longest: int, start: bytes) -> Read:
    """Return the function for deltas of text, of which there are most."""
    format, follow, choice, part = entry.format, entry.follow, entry.choice, entry.part

    def read(data: Any) -> Event | None:  # noqa: ANN401 - bytes, or a payload that was decoded
        text = match(data)
        # A payload that arrived decoded has far fewer fields than `longest`.
        if text is None or len(data) > longest:
            return None
        # Without a call of the constructor, which would take longer.
        event = new_event(TextDelta)
        event.text = text
        event.choice = choice
        event.part = part
        # The whole payload: cut out of a chunk, or completed by its beginning, or as it is.
        whole = data[payload] if payload is not None else (start + data if start else data)
        # A slot that is not set is slow to read, and a relay asks each event for its step.
        event._raw, event._step = whole, None  # noqa: SLF001 - the slots behind `raw` and `step`
        if follow is not None and follow(event) is False:
            # The format cannot do without decoding this payload.
            return None
        format.frames += 1
        return event  # type: ignore[no-any-return] # of a slot

    return read


def _make_other(entry: ShapeEntry, match: Lookup, payload: slice | None, longest: int, start: bytes) -> Read:
    """Return the function for deltas of reasoning, of refusals and of calls."""
    format, follow, log = entry.format, entry.follow, entry.log
    kind, choice, part, call_id = entry.kind, entry.choice, entry.part, entry.call_id
    is_text, is_reasoning = kind in TEXT_DELTAS, kind is ReasoningDelta
    pieces: list[str] = [] if log is None else log.pieces

    def read(data: Any) -> Event | None:  # noqa: ANN401 - bytes, or a payload that was decoded
        text = match(data)
        # A payload that arrived decoded has far fewer fields than `longest`.
        if text is None or len(data) > longest:
            return None
        if (
            log is not None
            and text[0] in OPENING
            and (len(text) > log.length or log.length <= LONGEST_PLACEHOLDER or looks_whole(text))
        ):
            # The server may send the arguments again, or after a placeholder, which decoding finds out.
            return None
        # Without a call of the constructor, which would take longer.
        event = new_event(kind)
        if is_text:
            event.text = text
            if is_reasoning:
                event.signature = None
        else:
            event.fragment = text
            # A delta without a log, such as a `PartDelta`, has no id.
            if log is not None:
                event.id = call_id
        event.choice = choice
        event.part = part
        # The whole payload: cut out of a chunk, or completed by its beginning, or as it is.
        whole = data[payload] if payload is not None else (start + data if start else data)
        # A slot that is not set is slow to read, and a relay asks each event for its step.
        event._raw, event._step = whole, None  # noqa: SLF001 - the slots behind `raw` and `step`
        if follow is not None and follow(event) is False:
            # The format cannot do without decoding this payload.
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


class DecodedShape:
    """Recognises decoded payloads that differ from a learnt one only in the text and in meaningless values.

    Args:
        fits: Returns True if a payload equals the learnt one in all other values.
        path: The place of the text.

    Example:
        >>> shape = DecodedShape.learn({"text": "Hel", "n": 1, "m": 1}, ("text",), changing=[("n",)])
        >>> shape.match({"text": "lo", "n": 2, "m": 1}), shape.match({"text": "lo", "n": 2, "m": True})
        ('lo', None)
    """

    __slots__ = ("match",)

    def __init__(self, fits: Fits, path: KeyPath) -> None:
        *steps, last = path

        def match(payload: JsonObject) -> str | None:
            if payload.__class__ is not dict or not fits(payload):
                return None
            inner: Any = payload
            for step in steps:
                inner = inner[step]
            text: str = inner[last]
            if text.isprintable():
                # Halves of surrogate pairs are not printable, so there are none.
                return text or None
            try:
                # The format must read half a surrogate pair, and hold it back until the other half arrives.
                text.encode()
            except UnicodeEncodeError:
                return None
            return text

        self.match: AnyLookup = match

    @classmethod
    def learn(
        cls,
        value: JsonObject,
        path: KeyPath,
        *,
        changing: Iterable[KeyPath] = (),
        counts: Collection[KeyPath] = (),
        asides: Collection[str] = (),
        padding: Collection[str] = (),
        depth: int = DEFAULT_LIMITS.depth,
    ) -> DecodedShape | None:
        """Return the shape of a payload, as `PayloadShape.learn` does; None if too large or not JSON."""
        if value.__class__ is not dict or depth <= _MOST_DEEP:
            # With so low a limit on nesting, each payload has to be checked against it.
            return None
        holes: _Holes = {place: _is_count if place in counts else _is_code_or_number for place in changing}
        # An aside may have any value within the limit on nesting; `- 1`, because it is inside the payload.
        holes |= {(name,): lambda aside: not is_deeper(aside, depth - 1) for name in asides}
        holes |= {(name,): _is_padding for name in padding}
        holes[path] = _is_anything
        fits = _ShapeLearner(holes).make_check(value, ())
        return None if fits is None else cls(fits, path)


class _ShapeLearner:
    """Builds the function with which a `DecodedShape` compares payloads with the learnt payload.

    The function is made of smaller ones, one for each object and array in the learnt payload.

    Args:
        holes: Maps each changing place to the function that checks its value.
    """

    __slots__ = ("_holes", "_values_left")

    def __init__(self, holes: _Holes) -> None:
        self._holes = holes
        self._values_left = _MOST_VALUES
        """Number of further values that the learnt payload may have before it counts as too large."""

    def make_check(self, value: Json, path: KeyPath) -> Fits | None:
        """Return a function that compares a value with an object or array of the learnt payload.

        It is None if the payload is too large or too deep, or holds a value that is not JSON.
        """
        self._values_left -= len(value)
        if self._values_left < 0 or len(path) > _MOST_DEEP:
            return None
        is_object = value.__class__ is dict
        # Key or index, type and value of the leaves that must stay equal.
        constant: list[tuple[Any, type, Json]] = []
        # Key or index, type and check of all other values; None for the text, of which any will do.
        others: list[tuple[Any, type, Fits | None]] = []
        for key, item in value.items() if is_object else enumerate(value):
            if is_object and key.__class__ is not str:
                return None
            place = (*path, key)
            check = self._holes.get(place)
            may_change = check is not None and check(item)
            if not may_change:
                # Not a hole, or a hole whose learnt value is unusual: it must stay the same.
                if item.__class__ in _LEAVES:
                    constant.append((key, item.__class__, item))
                    continue
                check = self.make_check(item, place) if item.__class__ in (dict, list) else None
            if check is None:
                return None
            others.append((key, item.__class__, None if check is _is_anything else check))
        return _make_comparison(len(value), constant, others)


def _make_comparison(
    size: int, constant: list[tuple[Any, type, Json]], others: list[tuple[Any, type, Fits | None]]
) -> Fits:
    """Return a function that compares objects or arrays with an object or array of the learnt payload.

    A tuple of `constant` has the key or index, type and value of a value that must stay equal; one of
    `others` has a check in place of the value, None if any value of the type will do.
    """

    def fits(value: Json) -> bool:
        """Return True if a value has the learnt keys, types and constants, and passes all further checks."""
        if len(value) != size:
            return False
        try:
            # Types are compared first: only the comparison of plain types is known to be safe.
            for key, kind, item in constant:
                found = value[key]
                if found.__class__ is not kind or found != item:
                    return False
            for key, kind, check in others:
                found = value[key]
                if found.__class__ is not kind or (check is not None and not check(found)):
                    return False
        except KeyError:
            return False
        return True

    return fits


def _is_anything(_value: object) -> bool:
    """Return True: the check for the place of the text."""
    return True


def _is_code_or_number(value: Json) -> bool:
    """Return True for a code, such as an id, or a number: the check for a value that may differ freely."""
    if value.__class__ is str:
        return _is_code(value) is not None
    return (value.__class__ is int or value.__class__ is float) and -_MOST < value < _MOST


def _is_count(value: Json) -> bool:
    """Return True for a whole number from 1 on: the check for a place with another count in each payload."""
    return value.__class__ is int and 0 < value < _MOST_COUNTED


def _is_padding(value: Json) -> bool:
    """Return True for padding, which hides the length of a text: letters and digits, or nothing."""
    return value.__class__ is str and (value.isalnum() or not value)

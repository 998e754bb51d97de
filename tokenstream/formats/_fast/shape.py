"""Recognise the next delta by its bytes, without decoding the payload.

From one payload of an answer to the next, little changes except a piece of text.
A *shape* is everything else, which is constant. It is learnt from one payload: other
values are put in the changing places, the *holes*, and the result, the *probe*, is
decoded to prove that nothing else changes. From then on, the bytes of payloads are
compared with the shape. The JSON decoder reads a payload that does not match exactly.
"""

from __future__ import annotations

import re
from functools import cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import TYPE_CHECKING, TypeAlias

from tokenstream._basics.json import decode
from tokenstream.errors import ProtocolError
from tokenstream.formats._fast.match import CODE, NUMBER, Hole, is_count, make_matcher
from tokenstream.framing._lines import is_utf8

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.formats._fast.match import Lookup

KeyPath: TypeAlias = tuple[str | int, ...]
"""The place of a value in a payload."""

PADDING = frozenset({"obfuscation", "p"})
"""Meaningless fields that hide the length of the text from eavesdroppers."""

LONGEST_PAYLOAD = 4096
"""Bytes of the longest payload whose shape is learnt."""
_MOST_PLACES = 8
"""The most occurrences of the text that are tried: an earlier field may contain the same text."""
_TEXT_PROBE = Hole.TEXT.decode()
_PROBES = (Hole.TEXT.value, Hole.PADDING.value, Hole.CODE.value, Hole.COUNT.value)  # `NUMBER` has the last
_find_spaces = re.compile(rb"\}(\x20++)\}\Z").search


_HoleSpan: TypeAlias = tuple[int, int, Hole]
"""Start, end and kind of a hole: a range of bytes whose content may differ between payloads."""


class PayloadShape:
    """The constant bytes of a payload: everything except its text and its changing, meaningless values.

    The text and each of these values leave a *hole* between the constant bytes.

    Args:
        pieces: The constant bytes before, between and after the holes, which are the places that differ.
        holes: The kinds of the holes between the pieces.

    Example:
        >>> payload = {"text": "Hel", "n": 1, "m": 1}
        >>> shape = PayloadShape.learn(b'{"text":"Hel","n":1,"m":1}', payload, ("text",), changing=[("n",)])
        >>> shape.match(b'{"text":"lo","n":2,"m":1}'), shape.match(b'{"text":"lo","n":2,"m":2}')
        ('lo', None)
    """

    __slots__ = ("_match", "holes", "pieces")

    def __init__(self, pieces: tuple[bytes, ...], holes: tuple[Hole, ...]) -> None:
        self.pieces = pieces
        self.holes = holes
        self._match: Lookup | None = None
        """The value of `match`; None before its first use: most streams need only `make_match_between`."""

    @property
    def match(self) -> Lookup:
        """The function that returns the text in a payload; None for another shape and an empty text."""
        if self._match is None:
            self._match = make_matcher(self.pieces, self.holes)
        return self._match

    @property
    def takes_one_line(self) -> bool:
        """True if payloads of this shape take one line each."""
        constant = b"".join(self.pieces)
        # By their numbers, LF and CR are found without an exception inside of Python.
        return 10 not in constant and 13 not in constant

    def make_match_between(self, head: bytes, foot: bytes) -> Lookup:
        """Return the function that finds the text in chunks of `head`, a payload of this shape and `foot`."""
        first, *inner, last = self.pieces
        return make_matcher((head + first, *inner, last + foot), self.holes)

    def split(self, multiple: int = 1) -> tuple[bytes, PayloadShape]:
        """Return the first bytes of payloads, a multiple of `multiple`, and the shape of the rest."""
        first, *rest = self.pieces
        # The text's opening quote is left, so that the rest has a first piece.
        size = (len(first) - 1) // multiple * multiple
        return first[:size], PayloadShape((first[size:], *rest), self.holes)

    @classmethod
    def learn(
        cls,
        payload: bytes,
        value: JsonObject,
        path: KeyPath,
        *,
        changing: Iterable[KeyPath] = (),
        counts: Collection[KeyPath] = (),
        asides: Collection[str] = (),
        padding: frozenset[str] = PADDING,
    ) -> PayloadShape | None:
        """Return the shape of a payload; None if its bytes do not prove where the values that change are.

        The values at `changing` places have no meaning; those at `counts` must be whole numbers. The fields
        `asides` contain nothing of the answer, or repeat the text; those of `padding` hide its length.
        """
        text, others = get_at(value, path), [*changing]
        # Malformed UTF-8 must be decoded each time, so that the replaced characters are counted.
        is_usual = len(payload) <= LONGEST_PAYLOAD and is_utf8(payload)
        # A probe would prove nothing of a place that holds it already.
        if not is_usual or any(probe in payload for probe in _PROBES):
            return None
        changing_names = {str(place[-1]): place in counts for place in others}
        for text_span in _find_text_spans(payload, text, path):
            holes = _find_holes(payload, text_span, changing_names, padding, again=bool(asides))
            kinds = tuple([kind for _, _, kind in holes])
            # The pieces are the bytes between the holes.
            edges = [0, *[edge for start, end, _ in holes for edge in (start, end)], len(payload)]
            pieces = tuple([payload[edges[at] : edges[at + 1]] for at in range(0, len(edges), 2)])
            if _is_proved(pieces, kinds, value, [path, *others], padding.union(asides)):
                # Lastly, the new matcher has to find the text in this payload.
                return cls(pieces, kinds) if make_matcher(pieces, kinds)(payload) == text else None
        return None


def get_at(value: Json, path: KeyPath) -> Json:
    """Return the value at a place, which must exist."""
    for step in path:
        value = value[step]
    return value


def find_at(value: Json, path: KeyPath) -> object:
    """Return the value at a place, or None if the payload has no such place."""
    for step in path:
        if value.__class__ is dict:
            value = value.get(step)
        elif value.__class__ is list and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _find_text_spans(payload: bytes, text: str, path: KeyPath) -> Iterator[tuple[int, int]]:
    """Yield start and end, inside the quotes, of each string that equals the text and has the right key."""
    key = b'"%b"' % str(path[-1]).encode()
    # The server may have written characters outside of ASCII directly, or as escapes.
    for quote in (encode_basestring,) if text.isascii() else (encode_basestring, encode_basestring_ascii):
        quoted = quote(text).encode("utf-8", "replace")
        position = -1
        for _ in range(_MOST_PLACES):
            position = payload.find(quoted, position + 1)
            if position < 0:
                break
            if payload[:position].rstrip(b" :").endswith(key):
                yield position + 1, position + len(quoted) - 1


def _find_holes(
    payload: bytes,
    text_span: tuple[int, int],
    changing: dict[str, bool],
    padding: frozenset[str],
    *,
    again: bool,
) -> list[_HoleSpan]:
    """Return the holes in a payload (its text, and all places at which later payloads may differ), sorted.

    `changing` has True for a field that must hold a whole number, and `again` is True if one may repeat the
    text.
    """
    start, end = text_span
    holes: list[_HoleSpan] = [(start, end, Hole.TEXT)]
    for found in _field_pattern(padding.union(changing)).finditer(payload):
        name, number, string = found[1].decode(), found[2], found[3]
        is_padding = name not in changing
        is_count_field = not is_padding and changing[name]
        if string is None:
            # A number; padding is never one.
            if is_count_field and is_count(number):
                holes.append((*found.span(2), Hole.COUNT))
            elif not is_count_field and not is_padding:
                holes.append((*found.span(2), Hole.NUMBER))
        elif is_padding:
            if string.isalnum() or not string:
                holes.append((*found.span(3), Hole.PADDING))
        elif not is_count_field:
            holes.append((*found.span(3), Hole.CODE))
    spaces = _find_spaces(payload)
    if spaces is not None:
        holes.append((*spaces.span(1), Hole.SPACES))
    if again:
        # The repetition is a whole string, too, so look for the text with its quotes.
        quoted = payload[start - 1 : end + 1]
        holes += [
            (found.start() + 1, found.end() - 1, Hole.AGAIN)
            for found in re.finditer(re.escape(quoted), payload)
        ]
    # A match inside the text is not another hole.
    outside = [hole for hole in holes[1:] if hole[1] < start or end < hole[0]]
    return sorted([holes[0], *outside], key=_start_of)


@cache  # a format has few sets of names
def _field_pattern(names: frozenset[str]) -> re.Pattern[bytes]:
    """Return a pattern for a field with one of the names, and its value.

    Group 1 is the name; the value is a number (group 2) or a string without escapes (group 3).
    """
    # No match is inside a JSON string, where a key's quotes would be escaped. `(?!)` matches nothing.
    any_name = b"|".join(re.escape(name.encode()) for name in sorted(names)) or rb"(?!)"
    return re.compile(rb'"(%b)"\s*+:\s*+(?:(%b)|"(%b|)")' % (any_name, NUMBER, CODE))


def _start_of(hole: _HoleSpan) -> int:
    return hole[0]


def _is_proved(
    pieces: tuple[bytes, ...],
    kinds: tuple[Hole, ...],
    value: JsonObject,
    changing: list[KeyPath],
    ignored: frozenset[str],
) -> bool:
    """Return True if other values in the holes change only the places `changing`, the text's place first."""
    if Hole.AGAIN in kinds and kinds != (Hole.TEXT, Hole.AGAIN):
        # `make_matcher` has no function for other holes beside a text that occurs twice.
        return False
    probe = pieces[0]
    for kind, piece in zip(kinds, pieces[1:], strict=True):
        probe += kind + piece
    try:
        probed = decode(probe)
        if get_at(probed, changing[0]) != _TEXT_PROBE:
            return False
    except (ProtocolError, LookupError, TypeError):
        return False
    # All other values must be unchanged, so the payloads are compared without these.
    for place in changing:
        _put_back(probed, value, place)
    for name in ignored & value.keys() & probed.keys():
        probed[name] = value[name]
    return bool(probed == value)


def _put_back(probed: object, value: object, path: KeyPath) -> None:
    """Undo a probe at one place: copy the value there from `value` to `probed`, if both have the place."""
    try:
        get_at(probed, path[:-1])[path[-1]] = get_at(value, path)
    except (LookupError, TypeError):
        return

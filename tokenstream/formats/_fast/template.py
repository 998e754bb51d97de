"""Shapes that earlier answers have proved, for later answers of the same format.

A *template* is a proved payload whose values may be others: each non-empty string and each number stands
for any string and any number. What a payload that fits means is still learnt from its own decoding. Only the
proof is taken over, which says at which bytes its text and its changing values are: it depends on the order
of the JSON tokens alone, and that is the same. A template contains no text, id or time of any answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tokenstream.formats._fast.match import CODE, NUMBER, Hole, parse_string
from tokenstream.formats._fast.shape import LONGEST_PAYLOAD, PayloadShape
from tokenstream.framing._lines import is_utf8

if TYPE_CHECKING:
    from tokenstream.formats._fast.shape import KeyPath

TemplateKey: TypeAlias = "tuple[str | KeyPath, ...]"
"""The names of a payload's top-level fields, and the places whose values its shape does not compare."""

_MOST_KEYS = 64
_MOST_TEMPLATES = 8
"""The most templates for one key: text, reasoning and arguments of a server have the same fields."""
_LONGEST = 2048
"""The most bytes of a payload, without the values that change, that becomes a template."""
_MOST_VALUES = 64
"""The number of values from which on a payload becomes no template; a comma is between each two of them."""
_MOST_UNFIT = 32
"""Number of shapes that fit no template, after which the last of them takes the place of the oldest one."""
# Possessive, as a token of JSON ends where its characters end.
_STRING = rb'(?!")[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+'
_PATTERNS = {
    Hole.TEXT: rb"(%b)" % _STRING,
    Hole.PADDING: rb"([A-Za-z0-9]*+)",
    Hole.CODE: rb"(%b)" % CODE,
    Hole.NUMBER: rb"(%b)" % NUMBER,
    Hole.COUNT: rb"([1-9][0-9]{0,14}+)",
    Hole.SPACES: rb"(\x20*+)",
}
"""The values that each kind of hole may have in a payload that fits."""
# A key is constant, and so are an empty string and a zero: they may mean that there is nothing.
# A number is as long as its characters go on, as one that is malformed would not have been decoded.
_NUMBER = rb"-?+[0-9][0-9.eE+-]*+"
_find_values = re.compile(
    rb'"((?:[^"\\]++|\\.?+)*+)(?:"|\Z)((?>\s*+:))?+|(?!0[,\]}\s])(%b)' % _NUMBER, re.DOTALL
).finditer


class PayloadTemplate:
    """Finds the shape of payloads that have the same JSON tokens as a proved one, except for their values.

    Args:
        shape: The proved shape. Its text must occur once.

    Example:
        >>> payload = {"id": "a1", "text": "Hel"}
        >>> shape = PayloadShape.learn(b'{"id":"a1","text":"Hel"}', payload, ("text",))
        >>> found = PayloadTemplate(shape).fit(b'{"id":"b2","text":"Good"}', "Good")
        >>> found.match(b'{"id":"b2","text":" day"}'), found.match(b'{"id":"a1","text":"lo"}')
        (' day', None)
    """

    __slots__ = ("_groups", "_holes", "_text_group", "pattern")

    def __init__(self, shape: PayloadShape) -> None:
        payload = shape.pieces[0]
        spans: list[tuple[int, int, bytes]] = []
        for hole, piece in zip(shape.holes, shape.pieces[1:], strict=True):
            spans.append((len(payload), len(payload) + len(hole), _PATTERNS[hole]))
            payload += hole + piece
        starts = {start for start, _, _ in spans}
        for found in _find_values(payload):
            group = 3 if found[3] else 1
            if found[group] and not found[2] and found.start(group) not in starts:
                value = _NUMBER if group == 3 else _STRING
                spans.append((*found.span(group), rb"(?:%b)" % value))
        pattern, position = b"", 0
        for start, end, value in sorted(spans):
            pattern += re.escape(payload[position:start]) + value
            position = end
        self.pattern = re.compile(pattern + re.escape(payload[position:]), re.DOTALL)
        """Matches payloads that have the same tokens; its groups are the holes."""
        self._holes = shape.holes
        self._groups = range(1, len(shape.holes) + 1)
        self._text_group = shape.holes.index(Hole.TEXT) + 1

    def fit(self, payload: bytes, text: str) -> PayloadShape | None:
        """Return the shape of a payload; None if it differs in more than its values, or has another text."""
        found = self.pattern.fullmatch(payload)
        if found is None or parse_string(found[self._text_group]) != text:
            return None
        pieces: list[bytes] = []
        position = 0
        for start, end in map(found.span, self._groups):
            pieces.append(payload[position:start])
            position = end
        return PayloadShape((*pieces, payload[position:]), self._holes)


class Templates:
    """The templates of one format, which all its answers in a process share.

    Their number is bounded. An answer that fits none costs little, and the usual proof is made.
    """

    def __init__(self) -> None:
        self._known: dict[TemplateKey, _KnownTemplates] = {}

    def __len__(self) -> int:
        return sum(len(known.templates) for known in self._known.values())

    def find(self, key: TemplateKey, payload: bytes, text: str) -> PayloadShape | None:
        """Return the shape of a payload if an earlier answer has proved it, else None."""
        known = self._known.get(key)
        if known is None or len(payload) > LONGEST_PAYLOAD or not is_utf8(payload):
            return None
        for template in known.templates:
            shape = template.fit(payload, text)
            if shape is not None:
                return shape
        return None

    def keep(self, key: TemplateKey, shape: PayloadShape) -> None:
        """Keep what was proved of a payload that fits none of the templates."""
        constant = b"".join(shape.pieces)
        # A pattern takes time to be compiled for each value.
        is_long = len(constant) > _LONGEST or constant.count(b",") >= _MOST_VALUES
        if is_long or Hole.AGAIN in shape.holes:
            # Nor does a pattern of this module compare a text that occurs twice.
            return
        if key not in self._known and len(self._known) == _MOST_KEYS:
            self._known = {}
        self._known.setdefault(key, _KnownTemplates()).keep(shape)


class _KnownTemplates:
    """The templates for one key."""

    __slots__ = ("_unfit", "templates")

    def __init__(self) -> None:
        self.templates: tuple[PayloadTemplate, ...] = ()
        self._unfit = 0
        """Number of shapes that fitted none of them, since there are enough."""

    def keep(self, shape: PayloadShape) -> None:
        """Make a template of a shape that fits none, unless there are enough that were not unfit for long."""
        if len(self.templates) == _MOST_TEMPLATES:
            self._unfit += 1
            if self._unfit < _MOST_UNFIT:
                return
            self.templates, self._unfit = self.templates[1:], 0
        self.templates += (PayloadTemplate(shape),)

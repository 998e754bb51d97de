"""Recognise the next delta by its bytes, without decoding the payload.

From one payload of an answer to the next, servers change a piece of text and
next to nothing else. A shape is what stays: learnt from one payload, proved by
decoding a probe, and then compared as bytes. Whatever is not exactly of that
shape is left to the JSON decoder.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._json import decode
from tokenstream.errors import ProtocolError
from tokenstream.formats._fast.match import CODE, NUMBER, Hole, is_count, matcher
from tokenstream.framing._utf8 import is_utf8

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from tokenstream.formats._fast.match import Match

__all__ = ["PADDING", "Path", "Shape", "at", "found_at"]

Path: TypeAlias = tuple[str | int, ...]
"""Where in a payload a value stands."""

PADDING = frozenset({"obfuscation", "p"})
"""Fields that hide the length of the text from who listens on the wire; they say nothing."""

_LONGEST = 4096
"""Bytes of the longest payload whose shape is worth remembering."""
_MOST_PLACES = 8
"""Places that a text is looked for in: it may stand in the payload by chance, before its own place."""
_TEXT_PROBE = Hole.TEXT.value.decode()


_Found: TypeAlias = tuple[int, int, Hole]
"""Where a hole begins and ends in a payload, and what may stand in it."""


class Shape:
    """The bytes of a payload but for its text, and for what changes and says nothing.

    Args:
        pieces: The bytes that stay: before, between and after the holes.
        holes: What may stand between them.

    Example:
        >>> payload = {"text": "Hel", "n": 1, "m": 1}
        >>> shape = Shape.learn(b'{"text":"Hel","n":1,"m":1}', payload, ("text",), changing=[("n",)])
        >>> shape.match(b'{"text":"lo","n":2,"m":1}'), shape.match(b'{"text":"lo","n":2,"m":2}')
        ('lo', None)
    """

    __slots__ = ("_holes", "_pieces", "match")

    def __init__(self, pieces: tuple[bytes, ...], holes: tuple[Hole, ...]) -> None:
        self._pieces = pieces
        self._holes = holes
        self.match: Match = matcher(pieces, holes)
        """Returns the text of a payload of this shape; None for any other payload, and for no text."""

    @property
    def takes_one_line(self) -> bool:
        """Whether payloads of this shape stand on one line each."""
        return not any(b"\n" in piece or b"\r" in piece for piece in self._pieces)

    def between(self, head: bytes, foot: bytes) -> Shape:
        """Return the shape of payloads between two fixed pieces."""
        first, *inner, last = self._pieces
        return Shape((head + first, *inner, last + foot), self._holes)

    def split(self, multiple: int = 1) -> tuple[bytes, Shape]:
        """Return the bytes that payloads begin with, a multiple of a number, and the shape of the rest."""
        first, *rest = self._pieces
        # The text's quote is left, so that the rest has something to begin with.
        size = (len(first) - 1) // multiple * multiple
        return first[:size], Shape((first[size:], *rest), self._holes)

    @classmethod
    def learn(
        cls,
        payload: bytes,
        value: dict[str, Any],
        path: Path,
        *,
        changing: Iterable[Path] = (),
        counts: Collection[Path] = (),
        asides: Collection[str] = (),
        padding: frozenset[str] = PADDING,
    ) -> Shape | None:
        """Return the shape of a payload, or None where its bytes do not tell enough.

        Args:
            payload: The payload's bytes.
            value: The payload, decoded.
            path: Where in it the text is.
            changing: Where in it numbers and codes stand that may change and say nothing.
            counts: Those of these places in which only a whole number may stand.
            asides: Fields of the payload that say nothing of the answer, so that they may hold the text
                once more.
            padding: Fields that hide the length of the text, and say nothing either.
        """
        text, others = at(value, path), [*changing]
        # What must be replaced is counted each time.
        if len(payload) > _LONGEST or Hole.COUNT.value in payload or not is_utf8(payload):
            return None
        names = {str(place[-1]): place in counts for place in others}
        for place in _places(payload, text, path):
            holes = _holes(payload, place, names, padding, again=bool(asides))
            if _proves(payload, value, holes, [path, *others], padding.union(asides)):
                borders = [0, *(border for begin, end, _ in holes for border in (begin, end)), len(payload)]
                pieces = tuple(payload[a:b] for a, b in zip(borders[::2], borders[1::2], strict=True))
                shape = cls(pieces, tuple(kind for _, _, kind in holes))
                return shape if shape.match(payload) == text else None
        return None


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return what stands in a place.

    Example:
        >>> at({"choices": [{"text": "Hel"}]}, ("choices", 0, "text"))
        'Hel'
    """
    for step in path:
        value = value[step]
    return value


def found_at(value: Any, path: Path) -> object:  # noqa: ANN401 - any JSON value
    """Return what stands in a place, or None; a missing place is common here, so nothing is raised.

    Example:
        >>> found_at({"a": [1]}, ("a", 0)), found_at({"a": [1]}, ("b", 0))
        (1, None)
    """
    for step in path:
        if value.__class__ is dict:
            value = value.get(step)
        elif value.__class__ is list and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _places(payload: bytes, text: str, path: Path) -> Iterator[tuple[int, int]]:
    """Give where a text may stand in a payload, between its quotes, under the last key of its path."""
    key = b'"%b"' % str(path[-1]).encode()
    for ascii_only in (False,) if text.isascii() else (False, True):
        quoted = json.dumps(text, ensure_ascii=ascii_only).encode("utf-8", "replace")
        place = -1
        for _ in range(_MOST_PLACES):
            place = payload.find(quoted, place + 1)
            if place < 0:
                break
            if payload[:place].rstrip(b" :").endswith(key):
                yield place + 1, place + len(quoted) - 1


def _holes(
    payload: bytes,
    place: tuple[int, int],
    changing: dict[str, bool],
    padding: frozenset[str],
    *,
    again: bool,
) -> list[_Found]:
    """Return the holes in a payload, in the order in which they stand there.

    Args:
        payload: The payload's bytes.
        place: Where the text begins and ends, between its quotes.
        changing: Names of the fields that may change, and whether only a whole number may stand there.
        padding: Names of the fields that hide the length of the text.
        again: Whether the text may stand there once more.
    """
    start, end = place
    holes: list[_Found] = [(start, end, Hole.TEXT)]
    # No key stands inside a JSON string: its quotes would be escaped there.
    names = b"|".join(re.escape(name.encode()) for name in sorted(padding.union(changing))) or rb"(?!)"
    field = rb'"(%b)"\s*+:\s*+(?:(%b)|"(%b|)")' % (names, NUMBER, CODE)
    for found in re.finditer(field, payload):
        counts = changing.get(found[1].decode())
        if found[3] is None:
            if counts is False or (counts and is_count(found[2])):
                holes.append((*found.span(2), Hole.COUNT if counts else Hole.NUMBER))
        elif counts is False:
            holes.append((*found.span(3), Hole.CODE))
        elif counts is None and (found[3].isalnum() or not found[3]):
            holes.append((*found.span(3), Hole.PADDING))
    spaces = re.search(rb"\}(\x20++)\}\Z", payload)
    if spaces is not None:
        holes.append((*spaces.span(1), Hole.SPACES))
    if again:
        quoted = payload[start - 1 : end + 1]
        holes += [
            (found.start() + 1, found.end() - 1, Hole.AGAIN)
            for found in re.finditer(re.escape(quoted), payload)
        ]
    # What stands inside the text is not one.
    return sorted([holes[0], *(hole for hole in holes[1:] if hole[1] < start or end < hole[0])], key=_begin)


def _begin(hole: _Found) -> int:
    return hole[0]


def _proves(
    payload: bytes, value: dict[str, Any], holes: list[_Found], changing: list[Path], silent: frozenset[str]
) -> bool:
    """Tell whether something else in the holes changes what may change, and nothing besides."""
    kinds = [kind for _, _, kind in holes]
    if Hole.AGAIN in kinds and kinds != [Hole.TEXT, Hole.AGAIN]:
        return False
    probe, last = b"", 0
    for start, end, kind in holes:
        probe += payload[last:start] + kind.value
        last = end
    try:
        probed = decode(probe + payload[last:])
        if at(probed, changing[0]) != _TEXT_PROBE:
            return False
        for place in changing:
            _put_back(probed, value, place)
    except (ProtocolError, LookupError, TypeError):
        return False
    return probed.keys() == value.keys() and all(
        probed[name] == inner for name, inner in value.items() if name not in silent
    )


def _put_back(probed: Any, value: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    """Give a payload the value that another one has in a place, if both have one there."""
    try:
        at(probed, path[:-1])[path[-1]] = at(value, path)
    except (LookupError, TypeError):
        return

"""Recognise the next plain delta by its bytes, where more changes than its text: counters, ids, padding."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import from_json

from tokenstream._json import decode
from tokenstream.errors import ProtocolError
from tokenstream.formats._template import PADDING, Path, at, is_utf8, places_of, unpadded

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["HoleTemplate", "HoleTemplates"]

_PROBE = "tokenstream probe"
_PROBE_NUMBER = b"-918273645"
_PROBE_CODE = b"codeprobe"
_PROBE_PADDING = b"paddingprobe"
# Possessive throughout: what stands in a hole ends where its characters do, and is never tried shorter.
_NUMBER = rb"-?+(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]{1,40}+)?+(?:[eE][+-]?+[0-9]{1,3}+)?+"
_CODE = rb"[A-Za-z0-9_-]++"
_STRING = rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")'
_PADDED = rb"[A-Za-z0-9]*+"
_PADDING = re.compile(rb'"(?:%b)"\s*:\s*"(%b)"' % ("|".join(sorted(PADDING)).encode(), _PADDED))
_LONGEST = 4096
"""Bytes of the longest payload whose shape is worth remembering."""
_LONGEST_WAIT = 512
"""Payloads after which a template is looked for again, at most."""


class HoleTemplate:
    """The bytes of a payload but for its text, its padding, and numbers and codes that say nothing.

    Args:
        prefix: All up to the first hole.
        expression: From the first hole to the last as a regular expression, whose first group is the
            text with its quotes.
        tail: All after the last hole.

    Example:
        >>> payload = {"text": "Hel", "n": 1, "m": 1}
        >>> template = HoleTemplate.learn(b'{"text":"Hel","n":1,"m":1}', payload, ("text",), [("n",)])
        >>> template.match(b'{"text":"lo","n":2,"m":1}'), template.match(b'{"text":"lo","n":2,"m":2}')
        ('lo', None)
    """

    __slots__ = ("_back", "_expression", "_fullmatch", "_prefix", "_start", "_tail")

    def __init__(self, prefix: bytes, expression: bytes, tail: bytes) -> None:
        self._prefix = prefix
        self._expression = expression
        self._tail = tail
        self._start = len(prefix)
        self._back = -len(tail)
        self._fullmatch = re.compile(expression, re.DOTALL).fullmatch

    def match(self, payload: bytes) -> str | None:
        """Return the text of a payload of this shape, or None for any other payload."""
        start, back = self._start, self._back
        # Slices are compared because a regular expression takes its letters one by one.
        if payload[:start] != self._prefix or payload[back:] != self._tail:
            return None
        found = self._fullmatch(payload, start, len(payload) + back)
        if found is None:
            return None
        try:
            text: str = from_json(found[1])
        except ValueError:
            return None
        return text or None

    def framed(self, head: bytes, foot: bytes) -> HoleTemplate | None:
        """Return the template of payloads between two fixed pieces; None where they take several lines."""
        if any(b"\n" in piece or b"\r" in piece for piece in (self._prefix, self._expression, self._tail)):
            return None
        return self.between(head, foot)

    def between(self, head: bytes, foot: bytes) -> HoleTemplate:
        """Return the template of payloads between two fixed pieces, over any number of lines."""
        return HoleTemplate(head + self._prefix, self._expression, self._tail + foot)

    def halved(self) -> tuple[bytes, HoleTemplate]:
        """Return what payloads begin with, a whole number of three bytes, and the template of the rest."""
        size = self._start - self._start % 3
        return self._prefix[:size], HoleTemplate(self._prefix[size:], self._expression, self._tail)

    @classmethod
    def learn(
        cls, payload: bytes, value: dict[str, Any], path: Path, changing: Iterable[Path]
    ) -> HoleTemplate | None:
        """Return the template of a payload, or None where it has none.

        Args:
            payload: The payload's bytes.
            value: The payload, decoded.
            path: Where in it the text is.
            changing: Where in it numbers and codes stand that may change; a code is a string of
                letters and digits.
        """
        if len(payload) > _LONGEST or not is_utf8(payload) or _PROBE_NUMBER in payload:
            return None
        others = [*changing]
        for place in places_of(payload, at(value, path), path):
            holes = _holes(payload, place, others)
            if _proves(payload, value, path, holes, others):
                first, last = holes[0][0], holes[-1][1]
                return cls(payload[:first], _expression(payload, holes), payload[last:])
        return None


class HoleTemplates:
    """The template in use, and when it is worth looking for another one.

    Where each payload has a shape of its own, a template is tried ever less often.
    """

    __slots__ = ("_patience", "_wait", "template")

    def __init__(self) -> None:
        self.template: HoleTemplate | None = None
        """The template that was learnt last."""
        self._patience = 1
        self._wait = 0

    def of(
        self, payload: bytes, value: dict[str, Any], path: Path, changing: Iterable[Path]
    ) -> HoleTemplate | None:
        """Return the template of a payload, as `HoleTemplate.learn` does; None also where it may not pay."""
        template = self.template
        if template is not None and template.match(payload) == at(value, path):
            return template
        self._wait -= 1
        if self._wait > 0:
            return None
        self._patience = self._wait = min(2 * self._patience, _LONGEST_WAIT)
        self.template = HoleTemplate.learn(payload, value, path, changing)
        return self.template


_Hole: TypeAlias = tuple[int, int, bytes, bytes]
"""Where a hole begins and ends, what may stand in it, and what is put there for a proof."""


def _holes(payload: bytes, text: tuple[int, int], changing: list[Path]) -> list[_Hole]:
    """Return the holes in a payload, in the order in which they stand there."""
    holes = [(*text, _STRING, b'"%b"' % _PROBE.encode())]
    # No key stands inside a JSON string: its quotes would be escaped there.
    names = {re.escape(str(path[-1]).encode()) for path in changing}
    if names:
        keys = rb'"(?:%b)"\s*:\s*(?:(%b)|"(%b)")' % (b"|".join(sorted(names)), _NUMBER, _CODE)
        for found in re.finditer(keys, payload):
            if found[1] is None:
                holes.append((*found.span(2), _CODE, _PROBE_CODE))
            else:
                holes.append((*found.span(1), _NUMBER, _PROBE_NUMBER))
    holes += [(*found.span(1), _PADDED, _PROBE_PADDING) for found in _PADDING.finditer(payload)]
    start, end = text
    return sorted(hole for hole in holes if hole[:2] == text or hole[1] <= start or end <= hole[0])


def _expression(payload: bytes, holes: list[_Hole]) -> bytes:
    """Return the regular expression of what stands from the first hole to the last."""
    expression, last = b"", holes[0][0]
    for start, end, inside, _ in holes:
        expression += re.escape(payload[last:start]) + inside
        last = end
    return expression


def _proves(
    payload: bytes, value: dict[str, Any], path: Path, holes: list[_Hole], changing: list[Path]
) -> bool:
    """Tell whether something else in the holes changes what may change, and nothing besides."""
    probe, last = b"", 0
    for start, end, _, filling in holes:
        probe += payload[last:start] + filling
        last = end
    try:
        probed = decode(probe + payload[last:])
        if at(probed, path) != _PROBE:
            return False
        for place in (path, *changing):
            _put_back(probed, value, place)
    except (ProtocolError, LookupError, TypeError):
        return False
    return unpadded(value) == unpadded(probed)


def _put_back(probed: Any, value: Any, path: Path) -> None:  # noqa: ANN401 - any JSON value
    """Give a payload the value that another one has in a place, if both have one there."""
    try:
        at(probed, path[:-1])[path[-1]] = at(value, path)
    except (LookupError, TypeError):
        return

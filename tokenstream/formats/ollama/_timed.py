"""Recognise the next line by its bytes: only the time and the piece of text in it are new."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from tokenstream._json import decode
from tokenstream.errors import ProtocolError
from tokenstream.formats._template import at, is_utf8, string_of

if TYPE_CHECKING:
    from tokenstream.formats._open import OpenPart

__all__ = ["TimedLine"]

_TIME = re.compile(rb'"created_at"\s*:\s*"([0-9TZ:.+-]*)"')
_IN_TIMES = b"0123456789TZ:.+-"
_OTHER_TIME = "2000-01-01T00:00:00Z"
_OTHER_TEXT = "tokenstream probe"


class TimedLine:
    """The bytes around the time and the text of a line.

    Args:
        before: All up to the time, with its opening quote.
        middle: All from the time's closing quote up to the text, without its opening quote.
        tail: All after the text, without its closing quote.
        part: The part that the text belongs to.

    Example:
        >>> from tokenstream.formats._parts import OpenPart
        >>> line = b'{"created_at":"2025-05-19T09:26:59Z","response":"Hel","done":false}'
        >>> timed = TimedLine.learn(line, decode(line), ("response",), OpenPart("text", 0, 0))
        >>> timed.match(b'{"created_at":"2025-05-19T09:27:00Z","response":"lo","done":false}')
        'lo'
        >>> timed.match(b'{"created_at":"2025-05-19T09:27:00Z","response":"lo","done":true}') is None
        True
    """

    __slots__ = ("_back", "_before", "_middle", "_size", "_start", "_tail", "part")

    def __init__(self, before: bytes, middle: bytes, tail: bytes, part: OpenPart) -> None:
        self.part = part
        self._before = before
        self._middle = middle
        self._tail = tail
        self._start = len(before)
        self._size = len(middle)
        self._back = -len(tail)

    def match(self, payload: bytes) -> str | None:
        """Return the text of a line of this shape, or None for any other line."""
        start, back = self._start, self._back
        # Slices are compared because `startswith` takes half as long again.
        if payload[:start] != self._before or payload[back:] != self._tail:
            return None
        end = payload.find(b'"', start)
        text = end + self._size
        if payload[end:text] != self._middle or payload[start:end].translate(None, _IN_TIMES):
            return None
        return string_of(payload[text:back])

    def framed(self, head: bytes, foot: bytes) -> TimedLine | None:
        """Return the shape of lines between two fixed pieces; None where they take several lines."""
        if any(b"\n" in piece or b"\r" in piece for piece in (self._before, self._middle, self._tail)):
            return None
        return TimedLine(head + self._before, self._middle, self._tail + foot, self.part)

    @classmethod
    def learn(
        cls, line: bytes, value: dict[str, Any], path: tuple[str, ...], part: OpenPart
    ) -> TimedLine | None:
        """Return the shape of a line, or None where it has none.

        Args:
            line: The line's bytes.
            value: The line, decoded.
            path: Where in it the text is.
            part: The part that the text belongs to.
        """
        time = _TIME.search(line)
        text = None if time is None else _string(path[-1]).search(line, time.end())
        if time is None or text is None or not is_utf8(line):
            # What was replaced must be counted each time.
            return None
        shape = cls(line[: time.start(1)], line[time.end(1) : text.start(1)], line[text.end(1) :], part)
        return shape if shape.match(line) == at(value, path) and shape._proves(value, path) else None

    def _proves(self, value: dict[str, Any], path: tuple[str, ...]) -> bool:
        """Tell whether another time and another text in their places change these and nothing else."""
        probe = b'%b%b%b"%b"%b' % (
            self._before,
            _OTHER_TIME.encode(),
            self._middle,
            _OTHER_TEXT.encode(),
            self._tail,
        )
        try:
            probed = decode(probe)
            found = at(probed, path), probed["created_at"]
            at(probed, path[:-1])[path[-1]] = at(value, path)
            probed["created_at"] = value["created_at"]
        except (ProtocolError, LookupError, TypeError):
            return False
        return found == (_OTHER_TEXT, _OTHER_TIME) and bool(probed == value)


@cache
def _string(key: str) -> re.Pattern[bytes]:
    """Return what a field of that name looks like whose value is text."""
    return re.compile(rb'"%b"\s*+:\s*+("[^"\\]*+(?:\\.[^"\\]*+)*+")' % re.escape(key).encode())

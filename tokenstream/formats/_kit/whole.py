"""Detect that a text, which arrives in pieces, has become one whole JSON object or array."""

from __future__ import annotations

import re

_OUTSIDE = re.compile(r'["\[\]{}]')
_INSIDE = re.compile(r'["\\]')
_CONTENT = re.compile(r"[^ \t\n\r]")


class Wholeness:
    """Follows the brackets of a text that arrives in pieces; each character is read once.

    Only objects and arrays have a clear end: a number may always go on.

    Example:
        >>> text = Wholeness()
        >>> text.add('{"a": "}'), text.whole, text.add('"}'), text.whole
        (None, False, None, True)
    """

    __slots__ = ("_depth", "_escaped", "_inside", "_over", "_started", "whole")

    def __init__(self) -> None:
        self.whole = False
        """True if the text is one closed object or array, with at most white space after it."""
        self._depth = 0
        self._started = False
        self._inside = False
        self._escaped = False
        self._over = False

    def add(self, text: str) -> None:
        """Read the next piece."""
        position, size = 0, len(text)
        while position < size and not self._over:
            if self._inside:
                position = self._read_string(text, position)
            elif self.whole:
                self._over = _CONTENT.search(text, position) is not None
                self.whole = not self._over
                return
            else:
                position = self._find_mark(text, position)

    def _read_string(self, text: str, position: int) -> int:
        """Read on inside a string, up to its end or a backslash; return the position after that."""
        if self._escaped:
            self._escaped = False
            return position + 1
        match = _INSIDE.search(text, position)
        if match is None:
            return len(text)
        if match.group() == '"':
            self._inside = False
        else:
            self._escaped = True
        return match.end()

    def _find_mark(self, text: str, position: int) -> int:
        """Read on outside of strings, up to a quote or a bracket; return the position after that."""
        if not self._started:
            first = _CONTENT.search(text, position)
            if first is None:
                return len(text)
            self._started = True
            if first.group() not in "[{":
                self._over = True
                return len(text)
        match = _OUTSIDE.search(text, position)
        if match is None:
            return len(text)
        mark = match.group()
        if mark == '"':
            self._inside = True
        elif mark in "[{":
            self._depth += 1
        else:
            self._depth -= 1
            self.whole = self._depth == 0
        return match.end()

"""Detect that a text, which arrives in pieces, has become one whole JSON object or array."""

from __future__ import annotations

import re

_MARK_OUTSIDE_STRINGS = re.compile(r'["\[\]{}]')
_MARK_IN_STRING = re.compile(r'["\\]')
_CONTENT = re.compile(r"[^ \t\n\r]")


class Wholeness:
    """Follows the brackets of a text that arrives in pieces; each character is read once.

    Only objects and arrays have a clear end: a number may always go on.

    Example:
        >>> text = Wholeness()
        >>> text.add('{"a": "}'), text.whole, text.add('"}'), text.whole
        (None, False, None, True)
    """

    __slots__ = ("_depth", "_escaped", "_in_string", "_is_something_else", "_started", "whole")

    def __init__(self) -> None:
        self.whole = False
        """True if the text is one closed object or array, with at most white space after it."""
        self._depth = 0
        self._started = False
        self._in_string = False
        self._escaped = False
        self._is_something_else = False
        """True once the text is something other than one object or array, so that nothing more is read."""

    def add(self, text: str) -> None:
        """Read the next piece, and update `whole`."""
        position, size = 0, len(text)
        while position < size and not self._is_something_else:
            if self._in_string:
                position = self._read_string(text, position)
            elif self.whole:
                # Only white space may follow the object or array.
                self._is_something_else = _CONTENT.search(text, position) is not None
                self.whole = not self._is_something_else
                return
            else:
                position = self._read_to_mark(text, position)

    def _read_string(self, text: str, position: int) -> int:
        """Read on inside a string, up to its end or a backslash; return the position after that."""
        if self._escaped:
            self._escaped = False
            return position + 1
        match = _MARK_IN_STRING.search(text, position)
        if match is None:
            return len(text)
        if match.group() == '"':
            self._in_string = False
        else:
            self._escaped = True
        return match.end()

    def _read_to_mark(self, text: str, position: int) -> int:
        """Read on outside of strings, up to a quote or a bracket; return the position after that."""
        if not self._started:
            first = _CONTENT.search(text, position)
            if first is None:
                return len(text)
            self._started = True
            if first.group() not in "[{":
                self._is_something_else = True
                return len(text)
        match = _MARK_OUTSIDE_STRINGS.search(text, position)
        if match is None:
            return len(text)
        mark = match.group()
        if mark == '"':
            self._in_string = True
        elif mark in "[{":
            self._depth += 1
        else:
            self._depth -= 1
            self.whole = self._depth == 0
        return match.end()

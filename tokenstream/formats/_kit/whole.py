"""Tell whether a text is JSON as far as it goes: a whole object or array, or the beginning of a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import split_leading_values

if TYPE_CHECKING:
    from tokenstream.partial_json import PartialJSONParser


def is_beginning(text: str) -> bool:
    """Return True if a text ends inside a JSON value.

    The value may follow whole objects, since some servers join the arguments of several calls. For a text
    that is not JSON, the result is False.

    Example:
        >>> is_beginning('{"path": "/srv'), is_beginning('{}{"path"')
        (True, True)
        >>> is_beginning('{"path": "/srv"}'), is_beginning("cat /srv"), is_beginning("")
        (False, False, False)
    """
    _, rest = split_leading_values(text)
    if not rest or rest.isspace():
        return False
    parser = _read(rest)
    if parser.error is not None:
        return False
    # An error at the end means that the value is incomplete.
    parser.end()
    return parser.error is not None


def may_go_on(text: str) -> bool:
    """Return True if a text is one JSON value, or the beginning of one.

    Example:
        >>> may_go_on('{"usd":{"usd": 1}'), may_go_on('{"us{"usd": 1}')
        (True, False)
    """
    return _read(text).error is None


def _read(text: str) -> PartialJSONParser:
    # Imported here, because only unusual answers need it.
    from tokenstream.partial_json import PartialJSONParser

    parser = PartialJSONParser()
    parser.feed(text)
    return parser


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

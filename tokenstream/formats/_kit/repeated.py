"""Arguments of a call that a server sends again, whole or as they grow; and whether a text is JSON so far."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream._basics.json import canonical_json, looks_whole, split_leading_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.formats._kit.open import OpenCall
    from tokenstream.message import ToolCall
    from tokenstream.partial_json import PartialJSONParser

OPENING = frozenset("{[")
"""The first characters of a fragment that may repeat the arguments so far."""

LONGEST_PLACEHOLDER = 8
"""The most characters of an empty object in place of arguments: it may have white space in it."""

MOST_SPREAD = 8
"""A JSON text is compared as a value with an earlier one that is at most this many times as long."""

_SAYS_NOTHING = re.compile(r"\s*(?:\{\s*\}\s*)?")


def says_no_arguments(text: str) -> bool:
    """Return True for arguments that a server also sends as a placeholder: none, or an empty object.

    Example:
        >>> says_no_arguments(""), says_no_arguments("{ }"), says_no_arguments('{"a": 1}')
        (True, True, False)
    """
    return _SAYS_NOTHING.fullmatch(text) is not None


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


def _read(text: str) -> PartialJSONParser:
    # Imported here, because only unusual answers need it.
    from tokenstream.partial_json import PartialJSONParser

    parser = PartialJSONParser()
    parser.feed(text)
    return parser


_MARK = re.compile(r'["\\\[\]{}]')
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
        if not self._started and (first := _CONTENT.search(text)) is not None:
            self._started, self._is_something_else = True, first.group() not in "[{"
        if self._is_something_else:
            return
        end = 0 if self.whole else self._read(text)
        # Only white space may follow the object or array.
        if self.whole and _CONTENT.search(text, end) is not None:
            self._is_something_else, self.whole = True, False

    def _read(self, text: str) -> int:
        """Read on up to the end of the object or array, or of the text; return the position after that."""
        # The character behind a backslash, which may have ended the last piece, is no mark.
        unread, end = int(self._escaped), len(text)
        for match in _MARK.finditer(text):
            mark, position = match.group(), match.start()
            if position < unread:
                continue
            if mark == '"':
                self._in_string = not self._in_string
            elif self._in_string:
                unread = position + 2 if mark == "\\" else unread
            elif mark != "\\":
                self._depth += 1 if mark in "[{" else -1
                self.whole = self._depth == 0
                if self.whole:
                    end = match.end()
                    break
        self._escaped = unread > len(text)
        return end


def find_equal(arguments: str, calls: list[ToolCall]) -> str:
    """Return a finished call's spelling of equal arguments, for comparisons as text; or else the given."""
    # Texts of equal values have similar lengths; decoding any others would cost more than was sent.
    longest = MOST_SPREAD * len(arguments)
    similar = [call.arguments_text for call in calls if len(call.arguments_text) <= longest]
    own = canonical_json(arguments) if similar else None
    return next((text for text in similar if own is not None and canonical_json(text) == own), arguments)


class RepeatedArguments:
    """Finds fragments of one call that repeat the arguments so far."""

    __slots__ = ("_brackets", "_canonical", "_read_length")

    def __init__(self) -> None:
        self._canonical: tuple[int, str | None] | None = None
        """The length and canonical form of the arguments when they were last compared; None before that."""
        self._brackets: Wholeness | None = None
        """Follows the arguments, once an empty object has come after their beginning; None before that."""
        self._read_length = 0
        """Number of characters of the arguments that it has read."""

    def repeats_whole(self, text: str, call: OpenCall, note: Callable[[str], None]) -> bool:
        """Return True if a fragment is all arguments of a call again."""
        # Texts of equal values have similar lengths; comparing any others would cost more than was sent.
        similar = call.has_id and looks_whole(text) and call.arguments.length <= MOST_SPREAD * len(text)
        if not similar or not self.are_equal(text, call):
            return False
        note("call_repeated")
        return True

    def repeats_nothing(self, text: str, call: OpenCall, note: Callable[[str], None]) -> bool:
        """Return True if a fragment is an empty object, and the call's arguments are whole without it."""
        if not says_no_arguments(text):
            return False
        if self._brackets is None:
            self._brackets = Wholeness()
        self._brackets.add(call.arguments.since(self._read_length))
        self._read_length = call.arguments.length
        if self._brackets.whole:
            note("arguments_placeholder")
        return self._brackets.whole

    def are_equal(self, arguments: object, call: OpenCall) -> bool:
        """Return True if arguments are the same JSON value as those of a call."""
        own = call.arguments.join() + call.placeholder
        # Stored, since any number of fragments may be compared with the call.
        if self._canonical is None or self._canonical[0] != len(own):
            self._canonical = len(own), canonical_json(own)
        return self._canonical[1] is not None and self._canonical[1] == canonical_json(arguments)

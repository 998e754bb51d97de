r"""Framing of one JSON array, which is how Gemini streams without `alt=sse`.

Each element is one frame. It is returned as soon as its closing bracket or quote
arrives; a number or a literal, as soon as the character after it arrives. This module
only tracks brackets and strings; the format parses the elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from functools import cache
from typing import Protocol, TypeVar

from tokenstream.errors import ProtocolError
from tokenstream.framing._lines import LineFraming
from tokenstream.limits import DEFAULT_LIMITS, Limits

MadeT = TypeVar("MadeT")
MadeT_co = TypeVar("MadeT_co", covariant=True)

# All quantifiers are possessive: a match that meets an unfinished string fails without backtracking.
_TO_MARK = re.compile(rb'[^"\[\]{}]*+(?:(?>"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"\[\]{}]*+))*+', re.DOTALL)
"""Matches everything before the next bracket, or before a string that does not end in this text."""
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
"""Matches the inside of a string up to its end; excludes a backslash at the end of the text."""
_FLAT = rb'(?:[^"\[\]{}]++|(?>"[^"\\]*+(?:\\.[^"\\]*+)*+"))*+'
"""Matches text without brackets, except those in strings."""
_SHALLOW = 7
"""Nesting levels that one regular expression matches; more would only make it slower to compile."""


def _nest(levels: int) -> bytes:
    """Return the pattern of an object or array that contains at most `levels` - 1 levels of others."""
    # `_FLAT` matches text without brackets.
    inside = _FLAT if levels == 1 else rb"%b(?:(?>%b%b))*+" % (_FLAT, _nest(levels - 1), _FLAT)
    return rb"[\[{]%b[\]}]" % inside


_SPACE = re.compile(rb"[ \t\n\r]*+")
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]*+")
_OPENING = b"[{"


@cache
def _compile(form: bytes) -> re.Pattern[bytes]:
    """Return a pattern with a whole object or array of at most `_SHALLOW` levels in place of its %b."""
    return re.compile(form % _nest(_SHALLOW), re.DOTALL)


class ElementReader(Protocol[MadeT_co]):
    """Makes a fast reader of array elements, which `JSONArrayParser.shortcut` uses in place of the parser."""

    def __call__(
        self, max_size: int, before: bytes, after: bytes, /
    ) -> Callable[[bytes], MadeT_co | None] | None:
        """Return a function that reads a chunk of one element; None if no such function can be made.

        The function must return None for a chunk that is longer than `max_size`, or is not exactly
        `before`, one element, and `after`.
        """


class JSONArrayParser(LineFraming[bytes]):
    """Read the elements of one JSON array, wherever the chunks were cut."""

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(limits=limits)
        self._match_whole = _compile(b"%b").match
        """Matches a whole object or array, if it is not nested too deeply for one regular expression."""

    def _begin(self) -> None:
        super()._begin()
        self._step: Callable[[bytes, int, list[bytes]], int] = self._read_opening
        # Number of objects and arrays of the element that are open at the end of the text.
        self._depth = 0
        # `_in_string`: the text ends in a string. `_escaped`: it ends after a backslash in that string.
        self._in_string = self._escaped = False
        # Offset in the body of the text that is being read, for errors.
        self._offset = 0
        # Matches a chunk that consists of the next element and its separators; None if none is expected.
        self._match_next: Callable[[bytes], re.Match[bytes] | None] | None = None
        # The match of the last chunk, if that chunk consisted of one element and its separators.
        self._last_match: re.Match[bytes] | None = None

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        return self._feed(chunk)

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[bytes]:
        # Gemini sends one element per chunk, with the separator before or after it.
        if (
            self._holds_nothing
            and self._match_next is not None
            and type(chunk) is bytes
            and len(chunk) <= self._small_chunk
        ):
            found = self._match_next(chunk)
            if found is not None:
                self._last_match = found
                self._offset += len(chunk)
                return [found[1]]
        return self._feed(chunk)

    def shortcut(self, reader: ElementReader[MadeT]) -> Callable[[bytes], MadeT | None] | None:
        """Return a function that reads a chunk faster than `feed`, if the chunk is the next array element.

        The function remains valid only if it is called with every chunk. If it returns
        None for a chunk, pass that chunk to `feed` and request a new function. There is none if the last
        chunk did not consist of one element.
        """
        last_match = self._last_match
        if last_match is None or not self._holds_nothing:
            return None
        last_chunk = last_match.string
        before, after = last_chunk[: last_match.start(1)], last_chunk[last_match.end(1) :]
        # A chunk of at most `_small_chunk` bytes is within every limit; the separators stay the same.
        read = reader(self._small_chunk, before, after)
        if read is None:
            return None
        # Another name, because type checkers forget in an inner function that `read` is not None.
        read_element = read

        def read_one_more(chunk: bytes) -> MadeT | None:
            result = read_element(chunk)
            if result is not None:
                # The parser must still count the chunk's bytes, for the offset in an error.
                self._offset += len(chunk)
            return result

        return read_one_more

    @property
    def unfinished(self) -> bytes | None:
        return bytes(self._line) or None

    @property
    def is_open(self) -> bool:
        """True from the opening bracket of the array to its closing bracket."""
        return self._step not in (self._read_opening, self._read_end)

    def _accept(self, chunk: object) -> bytes:
        """Return the bytes of a chunk, without the byte order mark if the body begins with one.

        The mark is not read, but is part of the body; so `_offset`, for errors, starts after it.
        """
        bytes_before = self._bom_start
        text = super()._accept(chunk)
        if bytes_before is not None and self._bom_start is None and isinstance(chunk, Sized):
            # This chunk has decided if the body begins with a mark; what is missing in the text is the mark.
            self._offset = len(bytes_before) + len(chunk) - len(text)
        return text

    # -- steps: each returns the position up to which it has read -----------------

    def _read_text(self, text: bytes, frames: list[bytes]) -> None:
        """Read a text, step by step: `_step` is the method that reads on, until the text is read or refused.

        Each step returns the position in the text up to which it has read, and may choose the next step.
        """
        position, size = 0, len(text)
        while position < size and self.error is None:
            position = self._step(text, position, frames)
        self._offset += size
        # The next step determines whether a chunk with exactly one element begins or ends with the comma.
        self._last_match = self._match_next = None
        if self._step == self._read_separator:
            self._match_next = _compile(rb"[ \t\n\r]*+,[ \t\n\r]*+(%b)[ \t\n\r]*+").fullmatch
        elif self._step == self._read_element:
            self._match_next = _compile(rb"[ \t\n\r]*+(%b)[ \t\n\r]*+,[ \t\n\r]*+").fullmatch

    def _read_opening(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Read the opening bracket of the array; return the position after it."""
        position = _find_match_end(_SPACE, text, position)
        if position == len(text):
            return position
        if text[position : position + 1] != b"[":
            return self._refuse("a JSON array begins with [", position)
        self._step = self._read_first
        return position + 1

    def _read_first(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Read the first element, or the end of an empty array; return the position after it."""
        position = _find_match_end(_SPACE, text, position)
        if text[position : position + 1] == b"]":
            self._step = self._read_end
            return position + 1
        return self._read_element(text, position, frames) if position < len(text) else position

    def _read_element(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Begin an element, and return the position up to which the text was read.

        The element is read as a whole if all of it is in the text, and its nesting is shallow.
        """
        position = _find_match_end(_SPACE, text, position)
        if position == len(text):
            return position
        mark = text[position : position + 1]
        if mark in (b"{", b"["):
            whole = self._match_whole(text, position)
            if whole is not None:
                return self._complete(text, position, whole.end(), frames)
            self._depth, self._step = 1, self._read_nested
            return self._read_nested(text, position + 1, frames, start=position)
        if mark == b'"':
            self._in_string, self._step = True, self._read_nested
            return self._read_nested(text, position + 1, frames, start=position)
        if _find_match_end(_SCALAR, text, position) > position:
            self._step = self._read_scalar
            return self._read_scalar(text, position, frames)
        return self._refuse("an element of a JSON array is expected", position)

    def _read_nested(
        self, text: bytes, position: int, frames: list[bytes], *, start: int | None = None
    ) -> int:
        """Continue an object, an array or a string up to its end; return the position after what was read."""
        start = position if start is None else start
        size = len(text)
        while position < size:
            position = (
                self._skip_string(text, position) if self._in_string else self._skip_to_mark(text, position)
            )
            if self._depth == 0 and not self._in_string:
                return self._complete(text, start, position, frames)
        self._hold(text, start)
        return size

    def _skip_to_mark(self, text: bytes, position: int) -> int:
        """Skip to the next bracket or quote, and track the depth; return the position after it."""
        position = _find_match_end(_TO_MARK, text, position)
        mark = text[position : position + 1]
        if mark == b'"':
            self._in_string = True
        elif mark:
            self._depth += 1 if mark in _OPENING else -1
        # If no mark was found, this position is beyond the text, which ends the reading, too.
        return position + 1

    def _skip_string(self, text: bytes, position: int) -> int:
        """Skip the string; return the position after its closing quote, or beyond `text` if it goes on."""
        if self._escaped:
            self._escaped = False
            return position + 1
        position = _find_match_end(_STRING, text, position)
        mark = text[position : position + 1]
        if mark == b'"':
            self._in_string = False
        else:
            self._escaped = mark == b"\\"
        # If no mark was found, this position is beyond the text, which ends the reading, too.
        return position + 1

    def _read_scalar(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Continue a number or literal; return the position of the first character that is not part of it."""
        end = _find_match_end(_SCALAR, text, position)
        if end < len(text):
            return self._complete(text, position, end, frames)
        self._hold(text, position)
        return end

    def _read_separator(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Read a comma, or the closing bracket of the array; return the position after it."""
        position = _find_match_end(_SPACE, text, position)
        mark = text[position : position + 1]
        if mark == b",":
            self._step = self._read_element
        elif mark == b"]":
            self._step = self._read_end
        elif mark:
            return self._refuse("a comma or ] is expected after an element of a JSON array", position)
        # If no mark was found, this position is beyond the text, which ends the reading, too.
        return position + 1

    def _read_end(self, text: bytes, position: int, frames: list[bytes]) -> int:
        """Read white space after the array; return the position after it."""
        position = _find_match_end(_SPACE, text, position)
        if position < len(text):
            return self._refuse("nothing may follow the end of a JSON array", position)
        return position

    # -- elements ----------------------------------------------------------

    def _complete(self, text: bytes, start: int, end: int, frames: list[bytes]) -> int:
        """Add an element to `frames`, together with its part in earlier chunks; return `end`."""
        element = text[start:end]
        if self._line:
            self._line += element
            element = bytes(self._line)
            self._line = bytearray()
        # Only an element that is longer than the lowest limit has to be checked.
        if len(element) <= self._longest_safe or not self._stop_if_outgrown(element, whole=True):
            frames.append(element)
        self._step = self._read_separator
        return end

    def _hold(self, text: bytes, start: int) -> None:
        """Keep the part of an unfinished element that is in this chunk; set `error` if it is too long."""
        self._line += text[start:]
        # Up to `_longest_safe` bytes, no limit can be exceeded.
        if len(self._line) > self._longest_safe:
            self._stop_if_outgrown(self._line, whole=False)

    def _refuse(self, expected: str, position: int) -> int:
        """Set `error`, because the text is not a JSON array; return the position."""
        offset = self._offset + position
        self.error = ProtocolError(f"{expected}, at byte {offset} of the body", offset=offset)
        return position


def _find_match_end(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    """Return the end of a pattern's match at a position; the position itself if there is no match."""
    match = pattern.match(text, position)
    return match.end() if match else position

"""Functions that find the text in a payload of a known shape: one for each kind of shape, for speed.

A function cuts off the constant pieces, which takes half as long as a regular expression.
The rest must be the inside of one JSON string, or there is no match; so the text equals
the text that the JSON decoder would return.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Callable

Lookup: TypeAlias = "Callable[[bytes], str | None]"
"""Returns the text of a payload of one shape; None for any other payload and for an empty text."""


# The quantifiers are possessive: a shorter value is never tried, as a value ends where its characters end.
NUMBER = rb"-?+(?:0|[1-9][0-9]{0,17}+)(?:(?>\.[0-9]{1,40}+))?+(?:(?>[eE][+-]?+[0-9]{1,3}+))?+"
DIGITS_IN_A_ROW = 40
"""The most digits in a row that a number of this pattern can have."""
CODE = rb"[A-Za-z0-9_:.+-]++"


class Hole(bytes, Enum):
    """A kind of place that differs between payloads of one shape.

    It is itself the probe: bytes that are put in the place, to test what a decoder reads there.
    """

    TEXT = b"tokenstream probe"
    """Kind of changing place: the delta's text, without its quotes."""
    AGAIN = b"tokenstream probe "
    """Kind of changing place: a repetition of the text, byte for byte."""
    PADDING = b"paddingprobe"
    """Kind of changing place: letters and digits, or nothing, that hide the length of the text."""
    CODE = b"codeprobe"
    """Kind of changing place: an id or a time, which is a string without escapes; its quotes are constant."""
    NUMBER = b"-918273645"
    """Kind of changing place: a number without meaning."""
    COUNT = b"918273645"
    """Kind of changing place: a count, which is a whole number from 1 on, below 10**15."""
    SPACES = b"   "
    """Kind of changing place: spaces before the last brace, which hide the length of the text."""


def make_matcher(pieces: tuple[bytes, ...], holes: tuple[Hole, ...]) -> Lookup:
    """Return the function that finds the text in payloads of constant pieces with holes between them."""
    if not _GIVES_BACK:
        # On this interpreter, `removeprefix` and `removesuffix` return a copy even if they cut off nothing.
        # So the functions below cannot tell whether a piece was cut off, and every payload is decoded.
        return _match_nothing
    if holes == (Hole.TEXT,):
        return _make_text_match(*pieces)
    if holes == (Hole.TEXT, Hole.PADDING):
        return _make_padded_match(*pieces)
    if holes == (Hole.TEXT, Hole.SPACES):
        return _make_spaced_match(*pieces)
    return _make_twice_match(*pieces) if Hole.AGAIN in holes else _make_each_match(*pieces, holes=holes)


def _match_nothing(payload: bytes) -> None:
    """Return None for any payload, so that it is decoded; used if `_GIVES_BACK` is False."""


def parse_string(inside: bytes) -> str | None:
    """Decode the inside of a JSON string; return None if it is malformed or empty."""
    try:
        text: str = from_json(b'"%b"' % inside)
    except ValueError:
        return None
    return text or None


_QUOTE, _BACKSLASH, _ZERO = b'"\\0'
_MOST_DIGITS = 16
_NUMBER = re.compile(NUMBER).fullmatch
_IN_CODES = bytes(code for code in range(128) if re.match(CODE, bytes([code])))

# `removeprefix` and `removesuffix` compare and cut in one call. With nothing to cut, CPython returns the
# very same object, so `after_prefix is payload` means "there was no such prefix". On an interpreter that
# returns a copy, every payload is decoded.
_PIECE = bytes([97, 98])
_GIVES_BACK = _PIECE.removeprefix(b"b") is _PIECE and _PIECE.removesuffix(b"a") is _PIECE


# `inside` is always the inside of the JSON string with the text. The last lines, which decode it, are
# repeated in each function: they run for every token, and a call would make them a tenth slower.


def _make_text_match(prefix: bytes, tail: bytes) -> Lookup:
    """Return a function that returns the text between two constant pieces of a payload, or None."""
    # The text with its quotes.
    string = slice(len(prefix) - 1, 1 - len(tail) or None)

    def match(payload: bytes) -> str | None:
        after_prefix = payload.removeprefix(prefix)
        inside = after_prefix.removesuffix(tail)
        # The same object is returned if there was nothing to cut; see `_GIVES_BACK`.
        if after_prefix is payload or inside is after_prefix:
            return None
        # With an escape, or a quote that would end the string early, the parser decides.
        if _BACKSLASH in inside or _QUOTE in inside:
            try:
                return from_json(payload[string]) or None
            except ValueError:
                return None
        try:
            text = inside.decode()
        except UnicodeDecodeError:
            return None
        # Unprintable text may contain control characters, which JSON forbids in strings: the parser decides.
        return (text or None) if text.isprintable() else parse_string(inside)

    return match


def _make_padded_match(prefix: bytes, between: bytes, tail: bytes) -> Lookup:
    """Return the function that finds a text in payloads with padding, which hides the text's length."""
    begin, middle = len(prefix) - 1, between[:-1]

    def match(payload: bytes) -> str | None:
        """Return the text between `prefix` and `between`; None for another payload or an empty text.

        After `between` comes padding (letters and digits, or nothing), then `tail`.
        """
        after_prefix = payload.removeprefix(prefix)
        inner = after_prefix.removesuffix(tail)
        # The text may contain quotes, but the padding cannot.
        before, _, padding = inner.rpartition(b'"')
        inside = before.removesuffix(middle)
        # The same object is returned if there was nothing to cut; see `_GIVES_BACK`.
        is_other = inside is before or inner is after_prefix or after_prefix is payload
        if is_other or (padding and not padding.isalnum()):
            return None
        if _BACKSLASH in inside or _QUOTE in inside:
            try:
                return from_json(payload[begin : begin + len(inside) + 2]) or None
            except ValueError:
                return None
        try:
            text = inside.decode()
        except UnicodeDecodeError:
            return None
        # Unprintable text may contain control characters, which JSON forbids in strings: the parser decides.
        return (text or None) if text.isprintable() else parse_string(inside)

    return match


def _make_spaced_match(prefix: bytes, between: bytes, tail: bytes) -> Lookup:
    """Return the function that finds a text in payloads padded with spaces before the last brace."""

    def match(payload: bytes) -> str | None:
        """Return the text in a payload of a known shape; None for another payload or an empty text.

        The shape: the bytes `prefix`, the text, `between`, spaces or nothing, and `tail`.
        """
        after_prefix = payload.removeprefix(prefix)
        inner = after_prefix.removesuffix(tail)
        # `between` ends with a brace, so only the spaces after it are stripped.
        stripped = inner.rstrip(b" ")
        inside = stripped.removesuffix(between)
        # The same object is returned if there was nothing to cut; see `_GIVES_BACK`.
        if inside is stripped or inner is after_prefix or after_prefix is payload:
            return None
        # With an escape, or a quote that would end the string early, the parser decides.
        if _BACKSLASH in inside or _QUOTE in inside:
            return parse_string(inside)
        try:
            text = inside.decode()
        except UnicodeDecodeError:
            return None
        # Unprintable text may contain control characters, which JSON forbids in strings: the parser decides.
        return (text or None) if text.isprintable() else parse_string(inside)

    return match


def _make_twice_match(prefix: bytes, between: bytes, tail: bytes) -> Lookup:
    """Return the function that finds a text that is before and after `between`."""
    between_size = len(between)

    def match(payload: bytes) -> str | None:
        # The same object means that there was nothing to cut; see `_GIVES_BACK`.
        after_prefix = payload.removeprefix(prefix)
        inner = after_prefix.removesuffix(tail)
        # The size of each text, if there are two equal texts around `between`, which is checked below.
        size = (len(inner) - between_size) // 2
        if inner is after_prefix or after_prefix is payload or size <= 0 or inner[size:-size] != between:
            return None
        inside = inner[:size]
        return parse_string(inside) if inside == inner[-size:] else None

    return match


def _make_each_match(*pieces: bytes, holes: tuple[Hole, ...]) -> Lookup:
    """Return the function that finds a text in payloads of a shape where other places differ, too."""
    prefix, *inner, tail = pieces
    text_index = holes.index(Hole.TEXT)
    # The check of each hole, and the piece between that hole and the next hole in the direction of the text.
    before = [(_CHECKS[hole], piece) for hole, piece in zip(holes[:text_index], inner, strict=False)]
    after = [(_CHECKS[hole], piece) for hole, piece in zip(holes[:text_index:-1], inner[::-1], strict=False)]

    def match(payload: bytes) -> str | None:
        """Return the text in a payload of a known shape; None for another payload or an empty text.

        The shape: known pieces of bytes, and between two pieces a hole, which holds the text, or a
        value of a known kind, such as a number.
        """
        after_prefix = payload.removeprefix(prefix)
        inside = after_prefix.removesuffix(tail)
        # The same object is returned if there was nothing to cut; see `_GIVES_BACK`.
        if inside is after_prefix or after_prefix is payload:
            return None
        for fits, piece in before:
            value, found, inside = inside.partition(piece)
            # Most values are counters and need no call: every kind of hole may hold a plain number.
            is_counter = value.isdigit() and value[0] != _ZERO and len(value) < _MOST_DIGITS
            if not found or not (is_counter or fits(value)):
                return None
        for fits, piece in after:
            # Search from the end: the text may contain this piece, but the value after the piece cannot.
            inside, found, value = inside.rpartition(piece)
            if not found or not fits(value):
                return None
        # With an escape, or a quote that would end the string early, the parser decides.
        if _BACKSLASH in inside or _QUOTE in inside:
            return parse_string(inside)
        try:
            text = inside.decode()
        except UnicodeDecodeError:
            return None
        # Unprintable text may contain control characters, which JSON forbids in strings: the parser decides.
        return (text or None) if text.isprintable() else parse_string(inside)

    return match


def _is_padding(value: bytes) -> bool:
    """Return True for padding, which hides the length of a text: letters and digits, or nothing."""
    return value.isalnum() or not value


def _is_code(value: bytes) -> bool:
    """Return True for a code such as an id or a time: a string without escapes, and not empty."""
    return bool(value) and not value.translate(None, _IN_CODES)


def is_count(value: bytes) -> bool:
    """Return True for bytes that a changing place for counts may hold: a whole number from 1 on."""
    return value.isdigit() and value[0] != _ZERO and len(value) < _MOST_DIGITS


def _is_number(value: bytes) -> bool:
    return _NUMBER(value) is not None


def _is_space(value: bytes) -> bool:
    return not value.strip(b" ")


_CHECKS: dict[Hole, Callable[[bytes], bool]] = {
    Hole.PADDING: _is_padding,
    Hole.CODE: _is_code,
    Hole.NUMBER: _is_number,
    Hole.COUNT: is_count,
    Hole.SPACES: _is_space,
}

"""Strings of JSON (RFC 8259, section 7): escapes and surrogate pairs, also if they are cut."""

from __future__ import annotations

import re
from codecs import raw_unicode_escape_decode
from json import JSONDecoder
from json.scanner import make_scanner
from typing import Any

RUN = re.compile(r'[^"\\\x00-\x1f]*').match
"""Matches characters of a string that are not escaped."""
SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
"""Maps the second character of each two-character escape to the character that the escape means."""
LONGEST_ESCAPE = 12
"""Length of an escaped surrogate pair, in characters."""
LONGEST_CODE = 6
"""Length of any other `\\uXXXX` escape, in characters."""

_HIGH, _LOW = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
# Matches before text that may follow the first half of a surrogate pair, except the second half.
_ALONE = r'(?=[^\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9abcefABCEF]|[dD][0-9abAB])|\Z)'
_ESCAPE = re.compile(
    rf'\\(?:(["\\/bfnrt])|u({_HIGH})\\u({_LOW})|u({_HIGH}){_ALONE}|u(?!{_HIGH})([0-9a-fA-F]{{4}}))'
).match
_CODE = rf"u(?!0022|{_HIGH}|{_LOW})[0-9a-fA-F]{{4}}|u{_HIGH}\\u{_LOW}"
JSON_ESCAPES: Any = re.compile(rf'(?:[^"\\\x00-\x1f]++|(?>\\(?:["\\/nrt]|{_CODE})))*+').match
"""Matches text with escapes, except half pairs, backspaces, form feeds and quotes written as `\\u0022`."""
# An escape that is cut anywhere, even between the two halves of a surrogate pair.
_CUT = re.compile(rf"\\(?:u(?:{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?|[0-9a-fA-F]{{0,3}}))?")
CUT_ESCAPE = _CUT.match
"""Matches the longest prefix of an escape; it always matches at a backslash."""
_UNDECIDED = _CUT.fullmatch
_decoder: Any = JSONDecoder()
scan: Any = make_scanner(_decoder)
"""Reads the JSON value at a position, with the C code of `json.loads`."""
scan_string: Any = _decoder.parse_string
"""Reads a string from the position after its opening quote, with the C code of `json.loads`."""
read_codes: Any = raw_unicode_escape_decode
"""Decodes `\\uXXXX` escapes up to one that is cut, twice as fast as `json`; keeps other escapes."""
SHORT = 100
"""In pieces up to this length, searching all of it for `\\u` is faster than slicing off its end."""
FAR = 4_096
"""Maximum characters after a string that are copied together with the string in order to read it."""
_FIRST_HALF = ("d8", "d9", "da", "db", "dA", "dB", "D8", "D9", "Da", "Db", "DA", "DB")
"""Digits with which the code of the first half of a surrogate pair begins."""


def is_undecided(escape: str) -> bool:
    r"""Return True if the value of an escape depends on the text that follows it."""
    return _UNDECIDED(escape) is not None


def count_decided(text: str) -> int:
    r"""Return the length of an open string up to an escape that is cut, or half a pair, at its end.

    Example:
        >>> [count_decided(text) for text in (r"caf\u00e9", r"caf\u00", r"\ud83d\ude", r"C:\\")]
        [9, 3, 0, 4]
    """
    size = len(text)
    last_backslash = text.rfind("\\", -LONGEST_CODE)
    if last_backslash < 0:
        return size
    length = size - last_backslash
    is_whole_code = length == LONGEST_CODE and text[last_backslash + 2] not in "dD"
    if length > 1 and (text[last_backslash + 1] != "u" or is_whole_code):
        # A whole escape: of two characters, or the code of a character that is not half of a pair.
        return size
    if last_backslash and text[last_backslash - 1] == "\\" and _is_escaped(text, last_backslash):
        # The last backslash is the second half of an escape.
        return size
    # If the first half of a surrogate pair is right before it, both halves are undecided.
    first_backslash = last_backslash - LONGEST_CODE
    if (
        first_backslash >= 0
        and text[first_backslash + 2] in "dD"
        and text[first_backslash + 2 : first_backslash + 4] in _FIRST_HALF
        and text[first_backslash] == "\\"
        and not _is_escaped(text, first_backslash)
        and _UNDECIDED(text, first_backslash)
    ):
        return first_backslash
    return last_backslash if _UNDECIDED(text, last_backslash) else size


def _is_escaped(text: str, position: int) -> bool:
    """Return True if the backslash at a position is itself escaped."""
    return (position - len(text[:position].rstrip("\\"))) % 2 == 1


def unescape(escape: str) -> tuple[str, int]:
    r"""Return the value and the length of the escape at the start of `escape`.

    The value of half a surrogate pair without its other half is that half, as in
    `json.loads`. The length is 0 if the text does not begin with a valid escape, or
    if half a pair is followed by an invalid escape.
    """
    match = _ESCAPE(escape)
    if match is None:
        return "", 0
    simple, high, low, alone, code = match.groups()
    if simple:
        return SIMPLE[simple], 2
    if high:
        # Each half has ten bits of the code point.
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)), LONGEST_ESCAPE
    return chr(int(alone or code, 16)), 6


def read_string(text: str, position: int) -> tuple[str, int] | None:
    r"""Return the string that begins at `position`, and its end; None if the string is cut or not JSON."""
    try:
        string, end = scan(text, position)
    except ValueError:
        return None
    return string, end


def decode_open_string(text: str) -> tuple[str, int, bool] | None:
    r"""Decode the text of an open string up to its closing quote, or as far as the text decides it.

    The result is the string, the position in the text at which it ends, and True if the closing quote is
    there; None if the text is not JSON.
    """
    size = count_decided(text) if "\\" in text[-LONGEST_CODE:] else len(text)
    try:
        # The quote that is added ends the string if the text contains no closing quote.
        string, end = scan_string(text[:size] + '"', 0)
    except ValueError:
        return None
    return string, end - 1, end <= size

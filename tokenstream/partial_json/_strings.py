"""Strings of JSON (RFC 8259, section 7): escapes and surrogate pairs, whole or cut."""

from __future__ import annotations

import re
from json import JSONDecoder

__all__ = ["CUT_ESCAPE", "LONGEST_ESCAPE", "RUN", "SIMPLE", "is_undecided", "unescape", "whole_string"]

RUN = re.compile(r'[^"\\\x00-\x1f]*').match
"""Characters of a string that stand for themselves."""
SIMPLE = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
"""What the escapes of two characters stand for, by their second."""
LONGEST_ESCAPE = 12
"""Characters of a surrogate pair."""

_HIGH, _LOW = r"[dD][89abAB][0-9a-fA-F]{2}", r"[dD][c-fC-F][0-9a-fA-F]{2}"
# What may follow the first half of a surrogate pair, and is not the second one.
_ALONE = r'(?=[^\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9abcefABCEF]|[dD][0-9abAB])|\Z)'
_ESCAPE = re.compile(
    rf'\\(?:(["\\/bfnrt])|u({_HIGH})\\u({_LOW})|u({_HIGH}){_ALONE}|u(?!{_HIGH})([0-9a-fA-F]{{4}}))'
).match
# Cut anywhere, also between the two halves of a surrogate pair.
_CUT = re.compile(rf"\\(?:u(?:{_HIGH}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?|[0-9a-fA-F]{{0,3}}))?")
CUT_ESCAPE = _CUT.match
"""The longest start of an escape; it always matches where one begins."""
_UNDECIDED = _CUT.fullmatch
_read = JSONDecoder().raw_decode


def is_undecided(escape: str) -> bool:
    r"""Return whether what an escape stands for depends on what follows it.

    Example:
        >>> [is_undecided(escape) for escape in (r"\u00", r"\ud83d", r"\ud83d\n", r"\u00e9")]
        [True, True, False, False]
    """
    return _UNDECIDED(escape) is not None


def unescape(escape: str) -> tuple[str, int]:
    r"""Return what the escape that `escape` begins with stands for, and how long it is.

    Half a surrogate pair without its other half stands for itself, as in
    `json.loads`. Where there is no escape, or nothing that may follow it, the
    length is 0.

    Example:
        >>> unescape(r"\u00e9 and more"), unescape(r"\x")
        (('é', 6), ('', 0))
    """
    match = _ESCAPE(escape)
    if match is None:
        return "", 0
    simple, high, low, alone, code = match.groups()
    if simple:
        return SIMPLE[simple], 2
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)), LONGEST_ESCAPE
    return chr(int(alone or code, 16)), 6


def whole_string(text: str, position: int) -> tuple[str, int] | None:
    r"""Return the string that begins at `position`, and where it ends; None if it is cut or no JSON.

    Example:
        >>> whole_string(r'"a\nb", 1', 0)
        ('a\nb', 6)
    """
    try:
        string, end = _read(text, position)
    except ValueError:
        return None
    return string, end

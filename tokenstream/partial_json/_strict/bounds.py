"""Checks of a whole text, before C code reads it that knows no limits."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate

from tokenstream.partial_json._strict.numbers import MOST_DIGITS

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_DEPTH_CHANGES = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Maps each bracket to the change of depth, as a signed byte: 1 or -1."""


def may_be_too_long(text: str) -> bool:
    """Return True if a run of digits is so long that a number in it may exceed the limit.

    Example:
        >>> may_be_too_long("12"), may_be_too_long("1" * 5000)
        (False, True)
    """
    # Of any run of more digits, at least one lies at a distance of half the limit; few texts have any.
    step = MOST_DIGITS // 2
    return any(text[at].isdigit() and text[at - step : at].isdigit() for at in range(step, len(text), step))


def is_nested_at_most(text: str, max_depth: int) -> bool:
    """Return True if the nesting of a JSON text is at most `max_depth` levels deep.

    Example:
        >>> is_nested_at_most("[[1]]", 2), is_nested_at_most("[[1]]", 1)
        (True, False)
    """
    if text.count("{") + text.count("[") <= max_depth:
        # All opening brackets together, even those in strings, would not be too deep.
        return True
    outside = _STRING.sub("", text).encode("utf-8", "surrogatepass")
    changes = array("b", outside.translate(_DEPTH_CHANGES, _ALL_BUT_BRACKETS))
    return max(accumulate(changes), default=0) <= max_depth

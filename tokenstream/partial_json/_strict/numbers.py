"""Numbers of JSON (RFC 8259, section 6), and bounds of a whole text before C code reads it."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

MOST_DIGITS = 4_300
"""Maximum digits of a number: the default limit of `int`, which takes quadratic time."""
MOST_LENGTH = MOST_DIGITS + 4
"""Maximum characters of a number: its digits, a sign, a point, and an exponent's letter and sign."""
FEW_DIGITS = 512
"""Number of digits that `int` always accepts: a process cannot set the limit below 640."""

NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)?").match
"""Matches a number; group 1 is the integer, group 2 the fraction and exponent, if there are any."""

# The exponent of a Decimal has at most 19 digits on every machine. A longer exponent is cut to 19
# digits; otherwise `parse_prefix` would try every prefix of it.
_CUT_POWER = re.compile(r"([eE][+-]?0*[1-9][0-9]{18})[0-9]+").sub

START, _MINUS, _ZERO, _INTEGER, _POINT, _FRACTION, _EXPONENT, _SIGN, _POWER = range(9)
ACCEPTED = frozenset({_ZERO, _INTEGER, _FRACTION, _POWER})
"""The states in which a number may end."""

_POSITIVE = "123456789"
_ANY = "0123456789"
# Each table maps the next character to the next state; `_NEXT` contains the table of each state.
_FIRST = {"0": _ZERO, **dict.fromkeys(_POSITIVE, _INTEGER)}
_OPEN_END = {"e": _EXPONENT, "E": _EXPONENT}
_POWERS = dict.fromkeys(_ANY, _POWER)
_NEXT: tuple[dict[str, int], ...] = (
    {"-": _MINUS, **_FIRST},
    _FIRST,
    {".": _POINT, **_OPEN_END},
    {".": _POINT, **_OPEN_END, **dict.fromkeys(_ANY, _INTEGER)},
    dict.fromkeys(_ANY, _FRACTION),
    {**_OPEN_END, **dict.fromkeys(_ANY, _FRACTION)},
    {"+": _SIGN, "-": _SIGN, **_POWERS},
    _POWERS,
    _POWERS,
)

_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_DEPTH_CHANGES = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Maps each bracket to the change of depth, as a signed byte: 1 or -1."""


def advance(text: str, position: int, state: int) -> tuple[int, int]:
    """Return the position where a number stops in a text, and the state of the number there.

    The number stops at the end of the text, before a character that does not belong to
    it, or after more digits than a number may have.
    """
    # One character more than a number may have, so that the caller can see that it is too long.
    end = min(len(text), position + MOST_LENGTH + 1)
    while position < end:
        following = _NEXT[state].get(text[position])
        if following is None:
            break
        state = following
        position += 1
    return position, state


def is_too_long(number: str) -> bool:
    if len(number) <= MOST_DIGITS:
        return False
    return len(number) > MOST_LENGTH or sum(map(str.isdigit, number)) > MOST_DIGITS


def parse_number(number: str, *, decimals: bool) -> object:
    """Return a complete number, as `json.loads` does; None if its exponent is too large for a Decimal."""
    if "." not in number and "e" not in number and "E" not in number:
        return _parse_integer(number)
    return _parse_decimal(number) if decimals else float(number)


def parse_prefix(number: str, *, decimals: bool) -> object:
    """Return the value of the longest prefix of an unfinished number that is a number, or None.

    Prefixes that exceed a limit do not count.
    """
    value = None
    number = number[:MOST_LENGTH]
    # An exponent too long for a Decimal is shortened at once, and not digit by digit in the loop.
    match = NUMBER(_CUT_POWER(r"\1", number) if decimals else number)
    while match is not None and value is None:
        prefix = match.group()
        if not is_too_long(prefix):
            value = parse_number(prefix, decimals=decimals)
        # Too long, or too large for a Decimal: try a shorter prefix.
        match = NUMBER(prefix[:-1])
    return value


def _parse_integer(number: str) -> int:
    """Return the value of an integer, whatever limit of digits the process has set."""
    try:
        return int(number)
    except ValueError:
        # The process has lowered Python's limit (`sys.set_int_max_str_digits`); the value of a
        # document must not depend on that. So the digits are converted in short parts.
        value = 0
        sign, digits = (-1, number[1:]) if number[0] == "-" else (1, number)
        for start in range(0, len(digits), FEW_DIGITS):
            part = digits[start : start + FEW_DIGITS]
            value = value * 10 ** len(part) + int(part)
        return sign * value


def _parse_decimal(number: str) -> Decimal | None:
    """Return a number as a Decimal; None if its exponent is too large."""
    from decimal import Context, Decimal, InvalidOperation

    try:
        # The exact number, whatever precision and traps the current context has.
        return Decimal(number, Context(traps=[InvalidOperation]))
    except InvalidOperation:
        return None


def may_be_too_long(text: str) -> bool:
    """Return True if a run of digits is so long that a number in it may exceed the limit."""
    # Of any run of more digits, at least one lies at a distance of half the limit; few texts have any.
    step = MOST_DIGITS // 2
    return any(text[at].isdigit() and text[at - step : at].isdigit() for at in range(step, len(text), step))


def is_nested_at_most(text: str, max_depth: int) -> bool:
    if text.count("{") + text.count("[") <= max_depth:
        # All opening brackets together, even those in strings, would not be too deep.
        return True
    outside = _STRING.sub("", text).encode("utf-8", "surrogatepass")
    changes = array("b", outside.translate(_DEPTH_CHANGES, _ALL_BUT_BRACKETS))
    return max(accumulate(changes), default=0) <= max_depth

"""Values without quotes: the numbers, literals and words of JSON and of similar languages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.partial_json._strict.numbers import NUMBER

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.partial_json._events import JSONKind
    from tokenstream.partial_json._repairs import RepairName

LITERALS: dict[str, Any] = {"true": True, "false": False, "null": None}
PREFIXES = frozenset({"b", "B", "u", "U"})
"""Python's string prefixes that do not change the text."""
_PYTHON_LITERALS: dict[str, Any] = {"True": True, "False": False, "None": None}
_LITERALS_IN_CAPITALS: dict[str, Any] = {"TRUE": True, "FALSE": False, "NULL": None, "Null": None}
LITERALS_IN_ANY_CASE = frozenset((*LITERALS, *_PYTHON_LITERALS, *_LITERALS_IN_CAPITALS))
_INFINITY = float("inf")
_NOT_A_NUMBER = {
    "NaN": float("nan"),
    "nan": float("nan"),
    **dict.fromkeys(("Infinity", "+Infinity", "inf", "+inf"), _INFINITY),
    **dict.fromkeys(("-Infinity", "-inf"), -_INFINITY),
}
# Words that have different meanings in different languages, or whose value JSON cannot express.
_UNCLEAR = frozenset({"undefined", "nil", "null", "true", "false", "none", "nan", "inf", "infinity", "nul"})

# Groups: the sign, the point before the first digit, and the number from its first digit on.
_PLUS_OR_POINT: Any = re.compile(
    r"\+?(-?)(\.?)((?:0|[1-9][0-9]*|(?<=\.)[0-9]+)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
).fullmatch
_HEXADECIMAL: Any = re.compile(r"([+-]?)0[xX]([0-9a-fA-F]+)").fullmatch
_WORD: Any = re.compile(r"\$?[^\W\d][\w$.-]*").fullmatch


class Atom(NamedTuple):
    """The meaning of a value without quotes.

    Args:
        value: The value; for a number that JSON can express, the JSON text of the number.
        repair: The repair that was needed; None if the value is JSON.
        in_json: True if `value` is the JSON text of a number.
    """

    kind: JSONKind
    value: Any
    repair: RepairName | None = None
    in_json: bool = False


def read_atom(token: str) -> Atom | None:
    """Return the meaning of a token; None if it has none, or more than one.

    A number that JSON can express stays text, which is parsed later.

    Example:
        >>> read_atom("True").value, read_atom("0x1F").value, read_atom(".5").value, read_atom("007")
        (True, 31, '0.5', None)
    """
    # The third argument of `Atom` is the repair, if the value is not JSON.
    if token in LITERALS:
        return Atom("literal", LITERALS[token])
    if token in _PYTHON_LITERALS:
        return Atom("literal", _PYTHON_LITERALS[token], "python_literal")
    if token in _LITERALS_IN_CAPITALS:
        return Atom("literal", _LITERALS_IN_CAPITALS[token], "literal_case")
    if token in _NOT_A_NUMBER:
        return Atom("number", _NOT_A_NUMBER[token], "not_a_number")
    number = NUMBER(token)
    if number is not None and number.end() == len(token):
        return Atom("number", token, in_json=True)
    return _read_number_form(token) or _read_word(token)


def _read_number_form(token: str) -> Atom | None:
    """Read a number that JSON writes differently: hexadecimal, with a plus sign, or without a leading 0.

    The result is None if the token is not such a number.
    """
    # "number_form" is the name of the repair.
    match = _HEXADECIMAL(token)
    if match is not None:
        sign, digits = match.groups()
        value = int(digits, 16)
        return Atom("number", -value if sign == "-" else value, "number_form")
    match = _PLUS_OR_POINT(token)
    # The pattern also accepts two signs, which are not a number.
    if match is None or token.startswith("+-"):
        return None
    # `sign` is a minus sign or "": the pattern skips a plus sign.
    sign, point, digits = match.groups()
    if point and "." in digits:
        # Two points, as in `.1.2`: not a number.
        return None
    return Atom("number", f"{sign}0.{digits}" if point else sign + digits, "number_form", in_json=True)


def _read_word(token: str) -> Atom | None:
    """Read a word without quotes as a string; None if it is not a word, or may mean a value such as null."""
    if _WORD(token) is None or token.lower() in _UNCLEAR:
        return None
    return Atom("string", token, "unquoted_value")


def are_equal(one: Json, other: Json) -> bool:
    """Return True if two JSON values are equal; not recursive, since the values may be deeply nested.

    Example:
        >>> are_equal({"a": [1]}, {"a": [1]}), are_equal(1, True), are_equal([1], [1.0])
        (True, False, False)
    """
    pairs: list[tuple[Any, Any]] = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        kind = one.__class__
        if kind is not other.__class__:
            return False
        if kind is dict:
            if one.keys() != other.keys():
                return False
            pairs.extend((one[key], other[key]) for key in one)
        elif kind is list:
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif one != other and (one == one or other == other):  # noqa: PLR0124 - only NaN differs from itself
            return False
    return True

"""Decodes JSON payloads, fast and tolerant of servers' usual mistakes, and encodes values as JSON."""

from __future__ import annotations

import json
import re
from array import array
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_HOLDERS = (dict, list)
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_SHORT_STRING = r'"[^"\\]{0,99}+(?:\\.[^"\\]{0,99}+){0,9}+"'
_without_strings = re.compile(rf"(?:(?>{_STRING}[^\"\[\]{{}}]*+))++", re.DOTALL).sub
_SIGNS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""Translates an opening bracket to 1, and a closing bracket to 255, which is -1 as a signed byte."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
_AT_ONCE = 1 << 16
"""The number of characters that are encoded at once when bytes are counted."""


def decode(payload: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Return the value of a JSON payload; the `offset` of a `ProtocolError` is in bytes.

    Example:
        >>> decode(b'{"text": "Hel"}')
        {'text': 'Hel'}
    """
    try:
        # The keys of payloads repeat, which a cache of their texts saves; most values do not.
        value = from_json(payload, cache_strings="keys")
    except (TypeError, ValueError):
        # pydantic_core raises TypeError for text with half a surrogate pair.
        return decode_tolerantly(payload, limits)
    if limits is not DEFAULT_LIMITS:
        check_bounds(payload, limits)
    return value


def decode_tolerantly(payload: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Return the value of a JSON payload that pydantic_core refuses, but that `json.loads` accepts.

    Examples are payloads with lone surrogates in escapes, or with invalid UTF-8, which becomes U+FFFD.
    """
    text = _as_text(payload)
    value: Json = None
    # The words and the place of the fault: a kept error would hold this frame, and this frame the error.
    fault: tuple[str, int] | None = None
    outgrown: str | None = None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        fault = error.msg, error.pos
    except ValueError:
        # Python itself refuses very long integers, and very deep values below.
        outgrown = "digits"
    except RecursionError:
        outgrown = "depth"
    # No JSON follows a fault: a line of a log may have any number of brackets.
    _check_bounds(text if fault is None else text[: fault[1]], limits)
    if fault is not None:
        words, position = fault
        offset = _bytes_before(text, position)
        msg = f"the payload is not JSON: {words.lower().removesuffix(' at')} at byte {offset}"
        raise ProtocolError(msg, offset=offset)
    if outgrown is not None:
        raise LimitExceeded(limit=outgrown, value=limits.depth if outgrown == "depth" else limits.digits)
    return value


def check_bounds(payload: bytes | str, limits: Limits) -> None:
    """Check a payload that pydantic_core accepted against limits narrower than those of pydantic_core.

    For other limits, there is nothing to check: the defaults are the limits of pydantic_core.
    """
    if limits.depth < DEFAULT_LIMITS.depth or limits.digits < DEFAULT_LIMITS.digits:
        _check_bounds(_as_text(payload), limits)


def canonical_json(value: object) -> str | None:
    """Return JSON, a text or a value, as the text that all equal values have in common; None if it is none.

    Example:
        >>> canonical_json('{"b":1, "a":2.0}'), canonical_json({"a": 2, "b": 1})
        ('{"a":2,"b":1}', '{"a":2,"b":1}')
    """
    try:
        return to_canonical(decode(value) if isinstance(value, str) else value)
    except (ProtocolError, RecursionError, TypeError, ValueError):
        return None


def to_canonical(value: object) -> str:
    """Return a value as canonical JSON; any error of `json.dumps` if it is none."""
    # Python compares 1 and true as equal; their texts differ.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    # JavaScript has one kind of numbers, and writes 1.0 as 1.
    if "." in text or "e" in text:
        return json.dumps(json.loads(text, parse_float=_whole_number), separators=(",", ":"))
    return text


def _whole_number(text: str) -> int | float:
    """Return a number with a fraction or an exponent as an int, if it has that value."""
    number = float(text)
    return int(number) if number.is_integer() else number


def is_deeper(value: object, depth: int) -> bool:
    """Return True if a JSON value is nested deeper than `depth`; for values that `decode` has not checked.

    Example:
        >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [1]}, 1)
        (False, True)
    """
    level: list[Any] = [value] if value.__class__ in _HOLDERS else []
    while level and depth:
        depth -= 1
        # A class comparison takes half the time of isinstance, and this runs for each payload.
        level = [
            inner
            for holder in level
            for inner in (holder.values() if holder.__class__ is dict else holder)
            if inner.__class__ is dict or inner.__class__ is list
        ]
    return bool(level)


# Made once: `json.dumps` makes an encoder for each call.
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_STRICT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def to_json_bytes(payload: object, *, allow_nan: bool = True) -> bytes:
    """Return compact JSON: no spaces, and only the necessary escapes."""
    text = (_COMPACT if allow_nan else _STRICT).encode(payload)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # An unpaired surrogate can be written in JSON only as an escape.
        return json.dumps(payload, separators=(",", ":")).encode()


def escape(text: str) -> str:
    r"""Return the inside of the JSON string for a text.

    Example:
        >>> escape('"größer"\n')
        '\\"größer\\"\\n'
    """
    return json.dumps(text, ensure_ascii=False)[1:-1]


def is_sendable(value: object) -> bool:
    """Return True if a value can be sent as JSON, which excludes NaN and unpaired surrogates."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _as_text(payload: bytes | str) -> str:
    """Return a payload as text; malformed UTF-8 becomes U+FFFD."""
    return payload if isinstance(payload, str) else str(payload, "utf-8", "replace")


def _bytes_before(text: str, position: int) -> int:
    """Return the number of bytes before a character position, without encoding all of them at once."""
    starts = range(0, position, _AT_ONCE)
    slices = (text[start : min(start + _AT_ONCE, position)] for start in starts)
    return sum(len(piece.encode("utf-8", "surrogatepass")) for piece in slices)


@cache
def _block_pattern(digits: int) -> re.Pattern[str]:
    """Return a pattern with which `_check_bounds` goes through a JSON text, block by block.

    It matches a block of whole JSON tokens (group 1), or one long string. It never matches an integer with
    more than `digits` digits. A block is short enough to be copied at almost no cost.
    """
    # Possessive throughout, since backtracking would store a position for each character of a long string.
    return re.compile(
        rf"""((?:[^"0-9]{{1,999}}+|(?>{_SHORT_STRING}|[0-9]{{1,{digits}}}+(?![0-9]))){{1,256}}+)|{_STRING}""",
        re.DOTALL,
    )


def _bracket_signs(text: str) -> bytes:
    """Return one byte for each bracket: 1 if it opens, 255 (-1 as a signed byte) if it closes.

    The sum of the signed bytes is the change in depth.
    """
    return text.encode("utf-8", "surrogatepass").translate(_SIGNS, _NO_BRACKETS)


def _check_bounds(text: str, limits: Limits) -> None:
    """Raise LimitExceeded if a JSON text is nested too deeply or contains too long an integer."""
    match = _block_pattern(limits.digits).match
    depth = position = 0
    while found := match(text, position):
        position = found.end()
        # A long string has no group 1, and its brackets do not count.
        block = found[1] or ""
        signs = _bracket_signs(block)
        if signs and '"' in block:
            # Some of the brackets may be inside strings.
            signs = _bracket_signs(_without_strings("", block))
        opening = signs.count(1)
        # Most blocks have too few opening brackets to reach the limit, whatever their order.
        if (
            depth + opening > limits.depth
            and max(accumulate(array("b", signs), initial=depth)) > limits.depth
        ):
            raise LimitExceeded(limit="depth", value=limits.depth)
        # The opening brackets minus the closing ones.
        depth += 2 * opening - len(signs)
    if position < len(text):
        # The pattern stopped at an integer with too many digits.
        raise LimitExceeded(limit="digits", value=limits.digits)


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


def is_one_value(text: str) -> bool:
    """Return True if `text` is one whole JSON value.

    Example:
        >>> is_one_value('{"a": 1}'), is_one_value('{"a": 1'), is_one_value('{}{}')
        (True, False, False)
    """
    try:
        decode(text)
    except ProtocolError:
        return False
    return True


def looks_whole(text: str) -> bool:
    """Return True if `text` begins and ends with a bracket, as whole JSON objects and arrays do.

    Example:
        >>> looks_whole('{"a": 1}'), looks_whole('{"a": 1'), looks_whole("}")
        (True, False, False)
    """
    return text[:1] in {"{", "["} and text[-1:] in {"}", "]"}


_match_nothing = re.compile(r"\s*+(?:(?:\{\s*+\}|null)\s*+)?").fullmatch


def says_no_arguments(text: str) -> bool:
    """Return True for what servers send in place of arguments: no text, an empty object, or null."""
    return _match_nothing(text) is not None

"""Decode JSON payloads: fast where they are well formed, forgiving where servers are not."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from pydantic_core import from_json

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.limits import DEFAULT_LIMITS, Limits

__all__ = ["check_bounds", "decode", "decode_lenient", "is_deeper", "is_one_value", "split_values"]

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_HOLDERS = (dict, list)
_AT_ONCE = 1 << 16
"""Characters that are encoded at a time, to learn how many bytes they take."""


def decode(payload: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value that `payload` is.

    Raises:
        ProtocolError: It is no JSON; `offset` says where, in bytes.
        LimitExceeded: It is nested deeper than `limits.depth`, or holds an
            integer of more than `limits.digits` digits.

    Example:
        >>> decode(b'{"text": "Hel"}')
        {'text': 'Hel'}
    """
    try:
        value = from_json(payload)
    except (TypeError, ValueError):
        # A TypeError stands for text with half a surrogate pair.
        return decode_lenient(payload, limits)
    check_bounds(payload, limits)
    return value


def decode_lenient(payload: bytes | str, limits: Limits = DEFAULT_LIMITS) -> Any:  # noqa: ANN401 - any JSON value
    """Decode what pydantic_core refuses but `json.loads` takes, within bounds.

    That is lone surrogates in escapes and invalid UTF-8, which becomes U+FFFD.
    """
    text = _as_text(payload)
    # json.loads recurses once per level, so the depth is looked at first.
    _check_bounds(text, limits)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        offset = _bytes_before(text, error.pos)
        msg = f"the payload is no JSON: {error.msg.lower().removesuffix(' at')} at byte {offset}"
        raise ProtocolError(msg, offset=offset) from None


def check_bounds(payload: bytes | str, limits: Limits) -> None:
    """Refuse what pydantic_core took, where the bounds are narrower than its own.

    Raises:
        LimitExceeded: It is nested too deeply, or holds too long an integer.
    """
    if limits.depth < DEFAULT_LIMITS.depth or limits.digits < DEFAULT_LIMITS.digits:
        _check_bounds(_as_text(payload), limits)


def is_deeper(value: object, depth: int) -> bool:
    """Tell whether a value that somebody else has decoded is nested more deeply than `depth`.

    Example:
        >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [1]}, 1)
        (False, True)
    """
    level: list[Any] = [value] if value.__class__ in _HOLDERS else []
    while level and depth:
        depth -= 1
        # isinstance would take twice as long, for each payload.
        level = [
            inner
            for holder in level
            for inner in (holder.values() if holder.__class__ is dict else holder)
            if inner.__class__ is dict or inner.__class__ is list
        ]
    return bool(level)


def _as_text(payload: bytes | str) -> str:
    return payload if isinstance(payload, str) else str(payload, "utf-8", "replace")


def _bytes_before(text: str, position: int) -> int:
    """Return how many bytes the characters up to `position` take, without a copy of them all."""
    starts = range(0, position, _AT_ONCE)
    return sum(len(text[at : min(at + _AT_ONCE, position)].encode("utf-8", "surrogatepass")) for at in starts)


@cache
def _to_mark(digits: int) -> re.Pattern[str]:
    """Return what matches all up to the next bracket, or up to an integer of more than `digits` digits."""
    # Possessive throughout: a place to come back to would be kept for each character of a long string.
    return re.compile(
        rf"""(?:[^"\[\]{{}}0-9]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[0-9]{{1,{digits}}}+(?![0-9]))*+""",
        re.DOTALL,
    )


def _check_bounds(text: str, limits: Limits) -> None:
    match = _to_mark(limits.digits).match
    depth = position = 0
    while found := match(text, position):
        position = found.end()
        mark = text[position : position + 1]
        if not mark:
            return
        if mark in "[{":
            depth += 1
            if depth > limits.depth:
                raise LimitExceeded(limit="depth", value=limits.depth)
        elif mark in "]}":
            depth -= 1
        else:
            raise LimitExceeded(limit="digits", value=limits.digits)
        position += 1


def is_one_value(text: str) -> bool:
    """Tell whether `text` is one whole JSON value.

    Example:
        >>> is_one_value('{"a": 1}'), is_one_value('{"a": 1'), is_one_value('{}{}')
        (True, False, False)
    """
    try:
        decode(text)
    except ProtocolError:
        return False
    return True


def split_values(text: str) -> list[str] | None:
    """Return the JSON objects that stand one after the other in `text`.

    Some servers glue the arguments of two calls together; None when `text` is
    anything but whole objects.

    Example:
        >>> split_values('{}{"a": 1}'), split_values('{}{"a"')
        (['{}', '{"a": 1}'], None)
    """
    values: list[str] = []
    position = _end_of_space(text, 0)
    try:
        _check_bounds(text, DEFAULT_LIMITS)
        while position < len(text):
            value, end = _DECODER.raw_decode(text, position)
            if not isinstance(value, dict):
                return None
            values.append(text[position:end])
            position = _end_of_space(text, end)
    except (ValueError, ProtocolError):
        return None
    return values


def _end_of_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position

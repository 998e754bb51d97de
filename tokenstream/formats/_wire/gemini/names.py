"""Convert payloads from Python clients, which use snake_case names, to the API's spelling."""

from __future__ import annotations

import re
from base64 import b64encode
from enum import Enum
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_FREE_NAMES = frozenset({"args", "response", "part_metadata", "partMetadata", "metadata"})
"""Fields in which the application or the model chose the names, so that these stay as they are."""
_DEEPEST = 50
"""The deepest level on which names are converted."""
_UNDERSCORE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def to_camel_case(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload with the API's names; the same object if it already has these names.

    A dict made from a Python client's objects may hold enum members and bytes. They
    are converted to the values that the API sends.

    Example:
        >>> to_camel_case({"candidates": [{"finish_reason": "STOP"}]})
        {'candidates': [{'finishReason': 'STOP'}]}
        >>> to_camel_case({"candidates": [{"content": {"parts": [{"function_call": {"args": {"a_b": 1}}}]}}]})
        {'candidates': [{'content': {'parts': [{'functionCall': {'args': {'a_b': 1}}}]}}]}
    """
    renamed: dict[str, Any] = _rename(payload, 0) if _has_snake_case(payload) else payload
    return renamed


def _has_snake_case(payload: dict[str, Any]) -> bool:
    """Return whether the payload, a candidate or a part has a name in snake_case."""
    if _is_snake_case(payload):
        return True
    for candidate in dicts_of(payload.get("candidates")):
        content = candidate.get("content")
        parts = dicts_of(content.get("parts")) if is_dict(content) else []
        if _is_snake_case(candidate) or any(_is_snake_case(part) for part in parts):
            return True
    return False


def _is_snake_case(fields: dict[str, Any]) -> bool:
    """Return whether the name of any of the fields contains an underscore."""
    return "_" in "".join(fields)


def _rename(value: object, depth: int) -> Json:
    """Return a value with names in camelCase, and with enum members and bytes as the API sends them.

    Two things are left unchanged: the content of the fields in `_FREE_NAMES`, in which the application or
    the model chose the names, and everything below the level `_DEEPEST`.

    Args:
        depth: The value's level in the payload, which itself is level 0.
    """
    if depth > _DEEPEST:
        return value
    if is_dict(value):
        return {
            _UNDERSCORE.sub(lambda match: match[1].upper(), name): (
                inner if name in _FREE_NAMES else _rename(inner, depth + 1)
            )
            for name, inner in value.items()
        }
    if is_list(value):
        return [_rename(inner, depth + 1) for inner in value]
    # Enum members and bytes are from the objects of a Python client.
    if isinstance(value, Enum):
        return value.value
    return b64encode(value).decode() if isinstance(value, bytes) else value

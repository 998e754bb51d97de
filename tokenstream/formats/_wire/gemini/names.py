"""Convert payloads from Python clients, which use snake_case names, to the API's spelling."""

from __future__ import annotations

import re
from base64 import b64encode
from enum import Enum
from typing import Any

from tokenstream._basics.untrusted import dicts_of, is_dict, is_list

_CARRIED = frozenset({"args", "response", "part_metadata", "partMetadata", "metadata"})
"""Fields whose members are named by the application or the model, not by the API."""
_DEEPEST = 50
_BETWEEN = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def camel(payload: dict[str, Any]) -> dict[str, Any]:
    """Return a payload with the API's names; the same object if it already has these names.

    A dict made from a Python client's objects may hold enum members and bytes. They
    are converted to the values that the API sends.

    Example:
        >>> camel({"candidates": [{"finish_reason": "STOP"}]})
        {'candidates': [{'finishReason': 'STOP'}]}
        >>> camel({"candidates": [{"content": {"parts": [{"function_call": {"args": {"a_b": 1}}}]}}]})
        {'candidates': [{'content': {'parts': [{'functionCall': {'args': {'a_b': 1}}}]}}]}
    """
    renamed: dict[str, Any] = _rename(payload, 0) if _has_others(payload) else payload
    return renamed


def _has_others(payload: dict[str, Any]) -> bool:
    """Return whether the payload, a candidate or a part has a name in snake_case."""
    if _is_other(payload):
        return True
    for candidate in dicts_of(payload.get("candidates")):
        content = candidate.get("content")
        parts = dicts_of(content.get("parts")) if is_dict(content) else []
        if _is_other(candidate) or any(_is_other(part) for part in parts):
            return True
    return False


def _is_other(fields: dict[str, Any]) -> bool:
    return "_" in "".join(fields)


def _rename(value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with all names converted, except names chosen by the application or model."""
    if depth > _DEEPEST:
        return value
    if is_dict(value):
        return {
            _BETWEEN.sub(lambda match: match[1].upper(), name): (
                inner if name in _CARRIED else _rename(inner, depth + 1)
            )
            for name, inner in value.items()
        }
    if is_list(value):
        return [_rename(inner, depth + 1) for inner in value]
    if isinstance(value, Enum):
        return value.value
    return b64encode(value).decode() if isinstance(value, bytes) else value

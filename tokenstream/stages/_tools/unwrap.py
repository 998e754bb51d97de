"""Arguments that are a JSON string of JSON, as a whole or in a field that is to be an object or a list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import decode
from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import OutputInvalid, ProtocolError
from tokenstream.partial_json._repairs import Repair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_LAYERS = 8
"""The number of times that arguments are unwrapped, since each string may hold another one."""
_CONTAINER_ERRORS = frozenset(
    {
        "dataclass_type",
        "dict_type",
        "frozen_set_type",
        "iterable_type",
        "list_type",
        "mapping_type",
        "model_attributes_type",
        "model_type",
        "named_tuple_type",
        "set_type",
        "tuple_type",
        "typed_dict_type",
    }
)
"""The types of pydantic's errors for a value that is no object or no list, although the schema wants one."""


def unwrap(
    text: str, error: OutputInvalid, read: Callable[[str], object]
) -> tuple[object, str, list[Repair]] | None:
    """Read arguments in which a string holds the JSON of an object or a list that the schema wants.

    A string that the schema accepts stays a string.

    Args:
        text: The arguments, which are JSON.
        error: The reason why `read` has refused them.
        read: Validates arguments.

    Returns:
        The arguments as `read` returns them, their JSON, and the repairs; None if nothing can be unwrapped
        that helps.
    """
    try:
        value: object = decode(text)
    except ProtocolError:
        return None
    repairs: list[Repair] = []
    position = 0
    for _ in range(_MOST_LAYERS):
        unwrapped, strings = _unwrap_once(value, error)
        if not strings:
            return None
        for each in strings:
            # Each place is looked for behind the one before it, and none once one was not found.
            position = text.find(json.dumps(each), position) if position >= 0 else position
            repairs.append(Repair("json_in_string", max(position, 0)))
        value, mended = unwrapped, json.dumps(unwrapped, ensure_ascii=False)
        try:
            return read(mended), mended, repairs
        except OutputInvalid as refused:
            error = refused
    return None


def _unwrap_once(value: object, error: OutputInvalid) -> tuple[object, list[str]]:
    """Return arguments with one layer of strings decoded, and the strings.

    Args:
        error: The error for these arguments, which names the places that want an object or a list.
    """
    if isinstance(value, str):
        inner = _decode_inner(value)
        return (value, []) if inner is None else (inner, [value])
    strings: list[str] = []
    for fault in error.errors or ():
        if fault.get("type") in _CONTAINER_ERRORS:
            strings += _unwrap_at(value, fault.get("loc", ()))
    return value, strings


def _unwrap_at(value: object, path: Iterable[object]) -> list[str]:
    """Decode the string at a path of the arguments, in place; return it in a list, or an empty list."""
    for key in path:
        is_there = (is_dict(value) and key in value) or (
            is_list(value) and isinstance(key, int) and 0 <= key < len(value)
        )
        if not is_there:
            return []
        holder: Any = value
        value = holder[key]
        if isinstance(value, str):
            inner = _decode_inner(value)
            if inner is None:
                return []
            holder[key] = inner
            return [value]
    return []


def _decode_inner(text: str) -> object:
    """Return the object, the list or the text in a text, which may hold one of them in turn; else None."""
    try:
        inner: object = decode(text)
    except ProtocolError:
        return None
    return inner if is_dict(inner) or is_list(inner) or isinstance(inner, str) else None

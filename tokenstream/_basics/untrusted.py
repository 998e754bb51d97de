"""Functions that read untrusted payloads: a value of the wrong type counts as missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject

LONGEST_INDEX = 9
"""The most digits of an index."""


def is_dict(value: object) -> TypeGuard[JsonObject]:
    """Return whether a JSON value is an object.

    Example:
        >>> is_dict({}), is_dict([])
        (True, False)
    """
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether a JSON value is an array.

    Example:
        >>> is_list([]), is_list("")
        (True, False)
    """
    return isinstance(value, list)


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Return True for a mapping of any class, and not only for a dict."""
    return isinstance(value, Mapping)


def is_mock(value: object) -> bool:
    """Return True for an object of `unittest.mock`, or of the package `mock`, which has any attribute."""
    return "mock" in type(value).__module__.split(".")


def kind_of(value: object) -> str:
    """Return the JSON term for the kind of a value that is not an object.

    Example:
        >>> kind_of([]), kind_of(True), kind_of(0.5)
        ('an array', 'true or false', 'a number')
    """
    kinds: dict[type, str] = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def are_text(keys: Iterable[object]) -> bool:
    """Return whether all keys of an object are text, as in JSON; a dict made in Python may have other keys.

    Example:
        >>> are_text({"a": 1}), are_text({1: 2})
        (True, False)
    """
    for key in keys:  # noqa: SIM110 - a generator would take twice as long
        if not isinstance(key, str):
            return False
    return True


def is_encodable(text: str) -> bool:
    """Return True if a text can be encoded as UTF-8: it has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(payload: JsonObject, *keys: str) -> str | None:
    """Return the value of the first field in `keys` that is non-empty text; None if there is none.

    Example:
        >>> text_of({"reasoning": "", "thinking": "so"}, "reasoning", "thinking"), text_of({"id": 1}, "id")
        ('so', None)
    """
    for key in keys:
        value = payload.get(key)
        if value.__class__ is str and value:
            return value
    return None


def text_or_empty(payload: JsonObject, *keys: str) -> str:
    """Return what `text_of` does, and "" if it is None."""
    return text_of(payload, *keys) or ""


def dict_of(payload: JsonObject, key: str) -> JsonObject:
    """Return a field's value if it is an object, else an empty object.

    Example:
        >>> dict_of({"usage": {"total_tokens": 3}}, "usage"), dict_of({"usage": None}, "usage")
        ({'total_tokens': 3}, {})
    """
    value = payload.get(key)
    return value if is_dict(value) else {}


def dicts_of(value: object) -> list[JsonObject]:
    """Return the objects in an array; a single object counts as an array of one.

    Example:
        >>> dicts_of([{"a": 1}, None]), dicts_of({"a": 1}), dicts_of("a")
        ([{'a': 1}], [{'a': 1}], [])
    """
    if not value:
        # A field that the object lacks, as is most often asked for.
        return []
    if isinstance(value, dict):
        return [value]
    return [item for item in value if is_dict(item)] if is_list(value) else []


def whole_number(value: object) -> int | None:
    """Return a value if it is a whole number, and None for any other value; true does not count as a number.

    Example:
        >>> whole_number(3), whole_number(3.0), whole_number(3.5), whole_number("3"), whole_number(True)
        (3, 3, None, None, None)
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def int_of(payload: JsonObject, *keys: str) -> int | None:
    """Return the value of the first field in `keys` that is a whole number; None if there is none.

    Example:
        >>> int_of({"a": True, "b": 3.0}, "a", "b"), int_of({"a": "3"}, "a")
        (3, None)
    """
    for key in keys:
        value = payload.get(key)
        number = value if value.__class__ is int else whole_number(value)
        if number is not None:
            return number
    return None


def count_of(payload: JsonObject, *keys: str) -> int | None:
    """Return the first field in `keys` that is a count, a whole number or digits; a zero gives way to others.

    Example:
        >>> count_of({"a": None, "b": "3"}, "a", "b"), count_of({"a": "three"}, "a")
        (3, None)
        >>> count_of({"a": 0, "b": 3}, "a", "b"), count_of({"a": 0}, "a", "b")
        (3, 0)
    """
    found: int | None = None
    for key in keys:
        value = payload.get(key)
        # Some libraries write integers of 64 bits as text, as JSON for protocol buffers has them.
        number = value if value.__class__ is int else whole_number(index_of(value))
        if number is not None and number > 0:
            return number
        found = number if found is None else found
    return found


def float_of(payload: JsonObject, key: str) -> float | None:
    """Return a field's value if it is a number, else None.

    Example:
        >>> float_of({"cost": 1}, "cost"), float_of({"cost": False}, "cost")
        (1.0, None)
    """
    value = payload.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        # The int is too large for a float.
        return None


def index_of(value: object) -> object:
    """Return an index as an int, also if it is a float or a text of digits; return any other value unchanged.

    Example:
        >>> index_of("1"), index_of(1.0), index_of(1), index_of("x"), index_of(None)
        (1, 1, 1, 'x', None)
    """
    if isinstance(value, str) and value.isdecimal() and len(value) <= LONGEST_INDEX:
        return int(value)
    # JSON has one kind of number: some languages write 0.0 for 0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def says_nothing(value: object) -> bool:
    """Return whether a field's value is null or empty; 0 and false count as values.

    Example:
        >>> says_nothing(None), says_nothing(""), says_nothing([]), says_nothing(0)
        (True, True, True, False)
    """
    return not value and (value is None or isinstance(value, str | list | dict))


def has_text(value: object) -> bool:
    """Return whether a text that is not empty is in a value, at any depth.

    Example:
        >>> has_text({"a": [1, {"b": "x"}]}), has_text([0, "", {"b": None}])
        (True, False)
    """
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str) and inner:
            return True
        waiting += inner.values() if is_dict(inner) else inner if is_list(inner) else ()
    return False


def fields_except(fields: JsonObject, *names: str) -> JsonObject | None:
    """Return the fields that have a value and are not in `names`; None if there are none.

    Example:
        >>> fields_except({"type": "x", "text": "a", "id": None}, "text")
        {'type': 'x'}
    """
    return {
        key: value for key, value in fields.items() if key not in names and not says_nothing(value)
    } or None

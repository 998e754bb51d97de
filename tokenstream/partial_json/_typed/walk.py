"""Access to members by key or index, in the same way for growing and for finished values."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from tokenstream.errors import MisuseError
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject

if TYPE_CHECKING:
    from tokenstream.partial_json._shapes.shape import Slot
    from tokenstream.partial_json._typed.partial import Partial

_FIELD_SETS = ("__pydantic_fields__", "__dataclass_fields__", "__struct_fields__", "_fields")
"""Class attributes that list the fields of pydantic models, dataclasses, Structs and named tuples."""

_INTEGER = re.compile(r"-?[0-9]{1,19}").fullmatch


class Snapshot:
    """Base class of `Partial`, for isinstance checks in this module, which cannot import `Partial` itself."""

    __slots__ = ()


def check_keys(path: tuple[Any, ...]) -> tuple[str | int, ...]:
    """Return a path unchanged, if it consists of names, keys and indexes.

    Raises:
        MisuseError: The path contains something other than names, keys and indexes.
    """
    if all(isinstance(key, str | int) for key in path):
        return path
    raise MisuseError("a path is passed as names, keys and indexes, one by one: get('steps', 0, 'title')")


def is_final_at(value: object, key: str | int) -> bool:
    """Return True if the member of a growing value at a key is finished."""
    if _is_partial(value):
        return value.is_complete(key)
    if isinstance(value, GrowingObject):
        return value.is_final(str(key))
    return isinstance(value, GrowingArray) and value.is_final(key)


def is_as_typed(
    holder: object,
    key: str | int | None,
    value: object,
    slots: tuple[Slot, ...] | None,
) -> bool:
    """Return True if a value in a snapshot has its annotated type, or is an unfinished value of that type.

    Args:
        holder: The view or finished value that contains the value; None for the whole document.
        key: The value's key in `holder`.
        value: The shown value.
        slots: Slots of the types that the value may have; None accepts any type.
    """
    if value is MISSING or slots is None:
        return value is not MISSING
    if _is_partial(value) or isinstance(value, GrowingObject | GrowingArray):
        # A growing object or array, where the type allows one.
        return not all(slot.is_leaf() for slot in slots)
    if isinstance(value, str) and any(slot.shows_text for slot in slots):
        # A string, finished or growing.
        return True
    # Any other value must have been validated by its type.
    if _is_partial(holder):
        # A private method of `Partial`, found by its name because `Partial` cannot be imported here.
        get_view = getattr(holder.__class__, "_get_final_or_growing", None)
        holder = None if get_view is None else get_view(holder)
    if isinstance(holder, GrowingObject):
        return holder.is_validated(str(key))
    if isinstance(holder, GrowingArray):
        return holder.is_validated(key)
    # A member of a finished value was validated together with it. Without a key, the value is the whole
    # document, which is stored elsewhere once it is validated.
    return key is not None


def get_member(value: object, key: str | int) -> object:
    """Return the member of a value at a name, key or index, or MISSING."""
    if _is_partial(value):
        return value.get(key)
    # A root model is shown as the value in it; only the key "root" names the model's own field.
    if key != "root":
        value = unwrap_root(value)
    if _is_mapping(value):
        return _get_entry(value, key)
    if isinstance(key, int):
        return _get_element(value, key)
    # A field of an object of a class, whose class attributes list the fields; `extra` are fields of pydantic.
    cls: Any = value.__class__
    if any(key in getattr(cls, fields, ()) for fields in _FIELD_SETS):
        return getattr(value, key, MISSING)
    extra_fields: Mapping[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
    return extra_fields.get(key, MISSING)


def unwrap_root(value: Any) -> object:  # noqa: ANN401 - any value
    """Return the value in a root model, which is shown in place of the model; any other value unchanged."""
    return value.root if getattr(value, "__pydantic_root_model__", False) else value


def _get_entry(value: Mapping[Any, Any], key: str | int) -> object:
    """Return the value of a mapping at a key, or MISSING; a growing mapping has integer keys as text."""
    found = value.get(key, MISSING)
    if found is not MISSING:
        return found
    if isinstance(key, int):
        return value.get(str(key), MISSING)
    return value.get(int(key), MISSING) if _INTEGER(key) else MISSING


def _get_element(value: object, index: int) -> object:
    """Return the element of an array at an index, which may be negative; MISSING if there is none."""
    if not _is_array(value):
        return MISSING
    return value[index] if -len(value) <= index < len(value) else MISSING


def _is_partial(value: object) -> TypeGuard[Partial[Any]]:
    """Return True for a `Partial`, the only subclass of `Snapshot`."""
    return isinstance(value, Snapshot)


def _is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(value, Mapping)


def is_collection(value: object) -> TypeGuard[Collection[Any]]:
    """Return True for a list, set or other collection of values, but not for text, bytes or a mapping."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def _is_array(value: object) -> TypeGuard[Sequence[Any]]:
    """Return True for a list or another sequence, but not for text or bytes."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)

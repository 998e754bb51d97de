"""Paths through a draft: by keys, or typed, such as `lambda r: r.steps[0].title`; and names that it lacks.

Growing and finished values are walked in the same way. A type checker reads a typed path with the annotations
of the type: it infers the type of the result, and reports names that the type does not have. At run time, the
function is called once with a recorder, which records each attribute and item that is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeGuard

from tokenstream._basics.untrusted import is_mapping
from tokenstream.errors import MisuseError
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject

if TYPE_CHECKING:
    from tokenstream.partial_json._events import KeyOrIndex, Path
    from tokenstream.partial_json._shapes.shape import Slot, Slots, TypeNames
    from tokenstream.partial_json._typed.partial import Partial

_FIELD_SETS = ("__pydantic_fields__", "__dataclass_fields__", "_fields")
"""Class attributes that list the fields of pydantic models, dataclasses and named tuples."""

_INTEGER = re.compile(r"-?[0-9]{1,19}").fullmatch

_REFUSED = {
    "a call": ["__call__"],
    "a comparison": ["__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"],
    "arithmetic": [
        *(f"__{side}{name}__" for side in ("", "r") for name in ("add", "sub", "mul", "truediv", "floordiv")),
        *(f"__{side}{name}__" for side in ("", "r") for name in ("mod", "pow", "divmod", "matmul")),
        *(f"__{side}{name}__" for side in ("", "r") for name in ("and", "or", "xor", "lshift", "rshift")),
        *("__neg__", "__pos__", "__abs__", "__invert__", "__round__"),
    ],
    "len(…)": ["__len__", "__length_hint__"],
    "a loop": ["__iter__", "__next__", "__reversed__"],
    "`in`": ["__contains__"],
    "a conversion": [
        "__str__",
        "__format__",
        "__bytes__",
        "__int__",
        "__float__",
        "__complex__",
        "__index__",
    ],
    "a key": ["__hash__"],
    "an assignment": ["__setattr__", "__setitem__", "__delattr__", "__delitem__"],
}
"""Operations that a path cannot contain, with the special methods that implement them."""

NO_FIELDS = "is not an object with fields; read its `value`"
_MOST_NAMES = 12
"""The most field names that an error lists."""
_OF_MODELS = {
    "dict": ".to_python()",
    "json": ".to_json()",
    "model_dump": ".to_python()",
    "model_dump_json": ".to_json()",
}
"""Methods that write a finished model, each with the method that writes a draft."""


class Snapshot:
    """Base class of `Partial`, for isinstance checks in this module, which cannot import `Partial` itself."""

    __slots__ = ()


_get_at: attrgetter[Callable[[KeyOrIndex], object]] = attrgetter("_get_at")
"""Returns the method of a `Partial` that reads a member as it is: its public names belong to fields."""


def check_keys(path: tuple[Any, ...]) -> Path:
    if all(isinstance(key, str | int) for key in path):
        return path
    raise MisuseError("a path is passed as names, keys and indexes, one by one: get('steps', 0, 'title')")


def is_final_at(value: object, key: KeyOrIndex) -> bool:
    if _is_partial(value):
        return value.is_complete(key)
    if isinstance(value, GrowingObject):
        return value.is_final(str(key))
    return isinstance(value, GrowingArray) and value.is_final(key)


def is_as_typed(holder: object, key: KeyOrIndex | None, value: object, slots: Slots | None) -> bool:
    """Return True if a value in a snapshot has its annotated type, or is an unfinished value of that type."""
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


def get_member(value: object, key: KeyOrIndex) -> object:
    """Return the member of a value at a name, key or index, or MISSING."""
    if _is_partial(value):
        return _get_at(value)(key)
    # A root model is shown as the value in it; only the key "root" names the model's own field.
    if key != "root":
        value = unwrap_root(value)
    if is_mapping(value):
        return _get_entry(value, key)
    if isinstance(key, int):
        return _get_element(value, key)
    # A field of an object of a class, whose class attributes list the fields; `extra` are fields of pydantic.
    cls: Any = value.__class__
    if any(key in getattr(cls, fields, ()) for fields in _FIELD_SETS):
        return getattr(value, key, MISSING)
    extra_fields: Mapping[str, Any] = getattr(value, "__pydantic_extra__", None) or {}
    return extra_fields.get(key, MISSING)


def list_names(value: object) -> list[str] | None:
    """Return the names of the fields of a model or a dataclass; None for any other value."""
    # A named tuple is an array while it is open, so it stays a tuple.
    found = [getattr(value.__class__, fields, None) for fields in _FIELD_SETS[:2]]
    found += [getattr(value, "__pydantic_extra__", None)]
    return None if found == [None] * 3 else [*chain.from_iterable(filter(None, found))]


def find_slots_at(slot: Slot | None, path: Iterable[KeyOrIndex]) -> Slots | None:
    """Return the slots of the types that the value at a path may have; None if they are unknown."""
    slots: Slots | None = None if slot is None else (slot,)
    for key in path:
        # Fields are attributes, or items of a TypedDict.
        slots = _find_slots(slots, key, attribute=True) or _find_slots(slots, key, attribute=False) or None
    return slots


def unwrap_root(value: Any) -> object:  # noqa: ANN401 - any value
    """Return the value in a root model, which is shown in place of the model; any other value unchanged."""
    return value.root if getattr(value, "__pydantic_root_model__", False) else value


def _get_entry(value: Mapping[Any, Any], key: KeyOrIndex) -> object:
    """Return the value of a mapping at a key, or MISSING; a growing mapping has integer keys as text."""
    found = value.get(key, MISSING)
    if found is not MISSING:
        return found
    if isinstance(key, int):
        return value.get(str(key), MISSING)
    return value.get(int(key), MISSING) if _INTEGER(key) else MISSING


def _get_element(value: object, index: int) -> object:
    """Return the element of an array at an index, which may be negative; MISSING if there is none."""
    if not is_array(value):
        return MISSING
    return value[index] if -len(value) <= index < len(value) else MISSING


def _is_partial(value: object) -> TypeGuard[Partial[Any]]:
    """Return True for a `Partial`, the only subclass of `Snapshot`."""
    return isinstance(value, Snapshot)


def is_collection(value: object) -> TypeGuard[Collection[Any]]:
    """Return True for a list, set or other collection of values, but not for text, bytes or a mapping."""
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)


def is_array(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


class RecordedPath(NamedTuple):
    """The path that a function such as `lambda r: r.steps[0]` describes, and the types of the value there."""

    keys: Path
    """Names of fields, keys and indexes, outermost first."""
    slots: Slots | None
    """Slots of the types that the value may have; None if they are unknown."""


class _Trail(NamedTuple):
    """The path from a function's argument, as in `lambda r: r.title`, to the value of a `_Recorder`."""

    keys: Path
    slots: Slots | None
    """Slots of the types that the value may have; None if they are unknown."""
    source_text: str
    """The path as the function's code has it, for messages."""
    tested: list[Path]
    """Paths of the values whose truth the function has tested."""


class _Recorder:
    """Stands for a value while the function of a path (`lambda r: r.title`) runs; records what it reads."""

    __slots__ = ("_trail",)

    def __init__(self, trail: _Trail) -> None:
        # The class's own `__setattr__` refuses every assignment, as a path cannot contain one.
        object.__setattr__(self, "_trail", trail)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - a recorder, which has any name
        if name.startswith("__") and name.endswith("__"):
            # `isinstance` reads such a name, but a path cannot branch on a type.
            _refuse(self, f"{name}, or the type,")
        return _extend(self, name, attribute=True)

    def __getitem__(self, key: object) -> _Recorder:
        if not isinstance(key, str | int):
            _refuse(self, "a slice" if isinstance(key, slice) else f"a key of {type(key).__name__}")
        return _extend(self, key, attribute=False)

    def __bool__(self) -> bool:
        # True, so that the test that checkers require for optional values goes on to the value:
        # `r.best.title if r.best else None`.
        trail = _get_trail(self)
        trail.tested.append(trail.keys)
        return True

    def __repr__(self) -> str:
        return f"<path {_get_trail(self).source_text}>"


def _make_refusal(what: str) -> Callable[..., NoReturn]:
    """Return a special method that raises an error, because a path cannot contain the operation `what`."""

    def refuse(self: _Recorder, *_: object) -> NoReturn:
        _refuse(self, what)

    return refuse


for _what, _names in _REFUSED.items():
    for _name in _names:
        setattr(_Recorder, _name, _make_refusal(_what))


def record_path(function: Callable[[Any], object], slot: Slot | None) -> RecordedPath:
    """Return the path that a function reads from its argument; without a slot, every step is accepted.

    Example:
        >>> record_path(lambda r: r.steps[0].title, None).keys
        ('steps', 0, 'title')
    """
    # The paths of the objects that the function tests, as in `r.best.title if r.best else None`.
    tested: list[Path] = []
    start = _Recorder(_Trail((), None if slot is None else (slot,), "r", tested))
    try:
        result = function(start)
    except TypeError as error:
        raise MisuseError(
            "the function of a path takes one argument, and returns the value at the path: "
            "get(lambda r: r.steps[0].title)"
        ) from error
    if type(result) is not _Recorder:
        raise MisuseError(
            f"the function of a path returned {type(result).__name__}, not a value taken from its "
            "argument: return the path itself, as in get(lambda r: r.steps[0].title)"
        )
    trail = _get_trail(result)
    for keys in tested:
        # Only an object that contains the result may be tested.
        if len(trail.keys) <= len(keys) or trail.keys[: len(keys)] != keys:
            raise MisuseError(
                f"the function of the path tests more than what leads to {trail.source_text}: ask for each "
                "value with a path of its own; a condition may only test an object that the result is in, "
                "as in r.best.title if r.best else None"
            )
    return RecordedPath(trail.keys, trail.slots)


def _get_trail(recorder: _Recorder) -> _Trail:
    """Return a recorder's trail, the path so far; `recorder._trail` would be recorded as a step of it."""
    trail: _Trail = object.__getattribute__(recorder, "_trail")
    return trail


def _refuse(recorder: _Recorder, what: str) -> NoReturn:
    raise MisuseError(
        f"{what} of {_get_trail(recorder).source_text} cannot be part of a path: use names, keys and indexes "
        "only, and apply anything else to the value that get() returns"
    )


def _extend(recorder: _Recorder, key: KeyOrIndex, *, attribute: bool) -> _Recorder:
    keys, slots, source_text, tested = _get_trail(recorder)
    source_text = f"{source_text}.{key}" if attribute else f"{source_text}[{key!r}]"
    if attribute and key == "root" and slots is not None and any(slot.is_root() for slot in slots):
        # A root model is shown as the value in it, so the path has no step for `root`.
        return _Recorder(_Trail(keys, slots, source_text, tested))
    # None if the types are unknown; empty if none of the types has a value at `key`.
    inner = _find_slots(slots, key, attribute=attribute)
    if inner is not None and not inner:
        field_list = _describe_fields(slots or (), key, attribute=attribute)
        raise MisuseError(f"{source_text} does not exist: {field_list}")
    return _Recorder(_Trail((*keys, key), inner, source_text, tested))


def _find_slots(slots: Slots | None, key: KeyOrIndex, *, attribute: bool) -> Slots | None:
    """Return the slots of the types that the value after one more step of a path may have.

    A slot reads the values of one type. The result is () if no value can be there, and None if the slots
    are not known.
    """
    inner_slots: list[Slot] = []
    for slot in slots or ():
        inner = slot.find_slots_within(key, attribute=attribute)
        if inner is None:
            return None
        inner_slots += inner
    return None if slots is None else tuple(inner_slots)


def _describe_fields(slots: Slots, key: KeyOrIndex, *, attribute: bool) -> str:
    """Return the part of an error message that says which fields a type has, instead of the one requested."""
    all_type_names = [slot.type_names for slot in slots if slot.type_names is not None]
    names = [name for type_names in all_type_names for name in type_names.field_names or ()]
    if not names:
        return "its type has no fields" if attribute else "its type has no values under such keys"
    title = " | ".join(type_names.title for type_names in all_type_names)
    if key in names:
        # There is such a field, but the step to it is written in the wrong way.
        return f"{title} has its fields as {'items' if attribute else 'attributes'}"
    return f"{title} has no field {key!r}, but {', '.join(names)}"


def explain_missing(name: str, type_names: TypeNames) -> str:
    """Return the message of the error for an attribute that a draft lacks."""
    title, known = type_names.title, type_names.field_names
    if name in _OF_MODELS:
        return (
            f"a draft of {title} has no {name!r}: {_OF_MODELS[name]} writes what has arrived, "
            f".final() returns the finished {title}"
        )
    if known is None:
        return f"{title} {NO_FIELDS}"
    listed = ", ".join(list(known)[:_MOST_NAMES]) or "none"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    close = get_close_matches(name, known, n=1)
    advice = f"did you mean {close[0]!r}? " if close else ""
    return (
        f"{title} has no field {name!r}: {advice}its fields are {listed}{more}. Methods are there once the "
        'object is finished; draft.get("items", 0, "qty") reads a field of an element before and after'
    )

"""Typed paths, such as `lambda r: r.steps[0].title`, recorded without calling the function on data.

A type checker reads the function with the annotations of the type: it infers the type
of the result, and reports names that the type does not have. At run time, the function
is called once with a recorder, which records each attribute and item that is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._shapes.shape import Slot

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


class RecordedPath(NamedTuple):
    """The path that a function such as `lambda r: r.steps[0]` describes, and the types of the value there."""

    keys: tuple[str | int, ...]
    """Names of fields, keys and indexes, outermost first."""
    slots: tuple[Slot, ...] | None
    """Slots of the types that the value may have; None if they are unknown."""


class _Trail(NamedTuple):
    """The path from a function's argument, as in `lambda r: r.title`, to the value of a `_Recorder`."""

    keys: tuple[str | int, ...]
    slots: tuple[Slot, ...] | None
    """Slots of the types that the value may have; None if they are unknown."""
    source_text: str
    """The path as the function's code has it, for messages."""
    tested: list[tuple[str | int, ...]]
    """Paths of the values whose truth the function has tested."""


class _Recorder:
    """Stands for a value while the function of a path (`lambda r: r.title`) runs; records what it reads."""

    __slots__ = ("_trail",)

    def __init__(self, trail: _Trail) -> None:
        # The class's own `__setattr__` refuses every assignment, as a path cannot contain one.
        object.__setattr__(self, "_trail", trail)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - a recorder, which has any name
        """Return the recorder of an attribute; refuse a special name."""
        if name.startswith("__") and name.endswith("__"):
            # `isinstance` reads such a name, but a path cannot branch on a type.
            _refuse(self, f"{name}, or the type,")
        return _extend(self, name, attribute=True)

    def __getitem__(self, key: object) -> _Recorder:
        """Return the recorder of the value at a key or an index."""
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
    """Return the path that a function reads from its argument.

    Args:
        function: Receives a value of the type, and returns the value at the path.
        slot: The slot of the type; if None, the type is unknown, and every step is accepted.

    Raises:
        MisuseError: The function is not a path, or uses a name that the type does not have.

    Example:
        >>> record_path(lambda r: r.steps[0].title, None).keys
        ('steps', 0, 'title')
    """
    # The paths of the objects that the function tests, as in `r.best.title if r.best else None`.
    tested: list[tuple[str | int, ...]] = []
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
    """Raise an error, because a path cannot contain the operation `what` on a value."""
    raise MisuseError(
        f"{what} of {_get_trail(recorder).source_text} cannot be part of a path: use names, keys and indexes "
        "only, and apply anything else to the value that get() returns"
    )


def _extend(recorder: _Recorder, key: str | int, *, attribute: bool) -> _Recorder:
    """Return a recorder of the path with one more step.

    Raises:
        MisuseError: The type has no value at `key`.
    """
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


def _find_slots(
    slots: tuple[Slot, ...] | None, key: str | int, *, attribute: bool
) -> tuple[Slot, ...] | None:
    """Return the slots of the types that the value after one more step of a path may have.

    A slot reads the values of one type. The result is () if no value can be there, and None if the slots
    are not known.

    Args:
        slots: The slots that are possible before the step; None if they are not known.
        key: The step: the name of a field, a key, or an index.
        attribute: True if the step is written as an attribute, False if as an item.
    """
    inner_slots: list[Slot] = []
    for slot in slots or ():
        inner = slot.find_slots_within(key, attribute=attribute)
        if inner is None:
            return None
        inner_slots += inner
    return None if slots is None else tuple(inner_slots)


def _describe_fields(slots: tuple[Slot, ...], key: str | int, *, attribute: bool) -> str:
    """Return the part of an error message that says which fields a type has, instead of the one requested.

    Args:
        slots: The slots of the type's alternatives.
        key: The name or key that was requested.
        attribute: True if it was requested as an attribute, False if as an item.
    """
    all_type_names = [slot.type_names for slot in slots if slot.type_names is not None]
    names = [name for type_names in all_type_names for name in type_names.field_names or ()]
    if not names:
        return "its type has no fields" if attribute else "its type has no values under such keys"
    title = " | ".join(type_names.title for type_names in all_type_names)
    if key in names:
        # There is such a field, but the step to it is written in the wrong way.
        return f"{title} has its fields as {'items' if attribute else 'attributes'}"
    return f"{title} has no field {key!r}, but {', '.join(names)}"

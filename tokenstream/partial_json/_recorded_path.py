"""Paths that are functions of a type, `lambda r: r.steps[0].title`: recorded, and never called on data.

A checker reads such a function with the type's own annotations, so that it knows
what the path leads to, and flags a name that the type has not. Here the function
is called once with a recorder, which notes the steps that are taken from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._shape import Slot

__all__ = ["RecordedPath", "record_path"]

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
"""What is no step of a path, by the methods that Python asks for it."""


class RecordedPath(NamedTuple):
    """The steps that a function took."""

    keys: tuple[str | int, ...]
    """Names of fields, keys and indexes, from the outside in."""
    slots: tuple[Slot, ...] | None
    """What may stand there; None where that is not known."""


class _Place(NamedTuple):
    """Where a recorder stands."""

    keys: tuple[str | int, ...]
    slots: tuple[Slot, ...] | None
    written: str
    """How the function has written it."""
    asked: list[tuple[str | int, ...]]
    """The paths whose truth the function has asked for."""


class _Recorder:
    """Stands for a value in the function of a path, and notes what is taken from it."""

    __slots__ = ("_place",)

    def __init__(self, place: _Place) -> None:
        object.__setattr__(self, "_place", place)

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - a recorder, which has any name
        if name.startswith("__") and name.endswith("__"):
            # `isinstance` asks for such names, and a path does not fork.
            _refuse(self, f"{name}, or the type,")
        return _further(self, name, attribute=True)

    def __getitem__(self, key: object) -> _Recorder:
        if not isinstance(key, str | int):
            _refuse(self, "a slice" if isinstance(key, slice) else f"a key of {type(key).__name__}")
        return _further(self, key, attribute=False)

    def __bool__(self) -> bool:
        # True, so that `r.best.title if r.best else None` goes on: a checker wants it of what may be null.
        place = _place_of(self)
        place.asked.append(place.keys)
        return True

    def __repr__(self) -> str:
        return f"<path {_place_of(self).written}>"


def _refused(what: str) -> Callable[..., NoReturn]:
    def refuse(self: _Recorder, *_: object) -> NoReturn:
        _refuse(self, what)

    return refuse


for _what, _names in _REFUSED.items():
    for _name in _names:
        setattr(_Recorder, _name, _refused(_what))


def record_path(function: Callable[[Any], object], slot: Slot | None) -> RecordedPath:
    """Return the path that a function takes from what it is given.

    Args:
        function: Takes a value of the type, and returns what the path leads to.
        slot: What the value is read as; None where that is not known, and every step is taken.

    Raises:
        MisuseError: It is no path, or takes a step that the type has not.

    Example:
        >>> record_path(lambda r: r.steps[0].title, None).keys
        ('steps', 0, 'title')
    """
    asked: list[tuple[str | int, ...]] = []
    start = _Recorder(_Place((), None if slot is None else (slot,), "r", asked))
    try:
        said = function(start)
    except TypeError as error:
        raise MisuseError(
            "the function of a path takes one value, and returns what the path leads to: "
            "get(lambda r: r.steps[0].title)"
        ) from error
    if type(said) is not _Recorder:
        raise MisuseError(
            f"the function of a path returned {type(said).__name__}, and nothing that was taken from its "
            "argument: write the path itself, get(lambda r: r.steps[0].title)"
        )
    place = _place_of(said)
    for keys in asked:
        if len(place.keys) <= len(keys) or place.keys[: len(keys)] != keys:
            raise MisuseError(
                f"{place.written} is not all that the function of the path asks for, and a path leads to one "
                "value: ask for each alone; only what leads there may be asked for on the way, as in "
                "r.best.title if r.best else None"
            )
    return RecordedPath(place.keys, place.slots)


def _place_of(recorder: _Recorder) -> _Place:
    place: _Place = object.__getattribute__(recorder, "_place")
    return place


def _refuse(recorder: _Recorder, what: str) -> NoReturn:
    raise MisuseError(
        f"{what} of {_place_of(recorder).written} is no step of a path: a path is made of names, keys and "
        "indexes, and what it leads to is for the caller to work on"
    )


def _further(recorder: _Recorder, key: str | int, *, attribute: bool) -> _Recorder:
    keys, slots, written, asked = _place_of(recorder)
    written = f"{written}.{key}" if attribute else f"{written}[{key!r}]"
    if attribute and key == "root" and slots is not None and any(slot.is_root() for slot in slots):
        # What a root model holds shows in its place.
        return _Recorder(_Place(keys, slots, written, asked))
    inner = _within(slots, key, attribute=attribute)
    if inner is not None and not inner:
        raise MisuseError(f"{written} is not there: {_what_there_is(slots or (), key, attribute=attribute)}")
    return _Recorder(_Place((*keys, key), inner, written, asked))


def _within(slots: tuple[Slot, ...] | None, key: str | int, *, attribute: bool) -> tuple[Slot, ...] | None:
    found: list[Slot] = []
    for slot in slots or ():
        inner = slot.within(key, attribute=attribute)
        if inner is None:
            return None
        found += inner
    return None if slots is None else tuple(found)


def _what_there_is(slots: tuple[Slot, ...], key: str | int, *, attribute: bool) -> str:
    faces = [slot.face for slot in slots if slot.face is not None]
    names = [name for face in faces for name in face.names or ()]
    if not names:
        return "its type has no fields" if attribute else "its type has nothing at such a key"
    title = " | ".join(face.title for face in faces)
    if key in names:
        return f"{title} has its fields as {'items' if attribute else 'attributes'}"
    return f"{title} has no field {key!r}, but {', '.join(names)}"

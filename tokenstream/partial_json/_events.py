"""Events of a JSON document that is being read: a value starts, a string grows, a value is finished.

Treat events as read-only. The path of an event is built when it is first used, so that an
event deep in a document takes no longer than one at its top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from tokenstream._basics.members import show_members

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value; () is the document itself."""

JSONKind: TypeAlias = Literal["object", "array", "string", "number", "literal"]
"""The kind of a value, known from its first character; a literal is true, false or null."""


class Place:
    """The location of an object or array in a document; an event about a value in it adds the value's key."""

    __slots__ = ("cached_path", "key", "last_path", "parent")

    parent: Place | None
    """The location of the object or array around this one; None for the document itself."""
    key: str | int
    """The key or index of this object or array in the one around it (`parent`)."""
    cached_path: Path | None
    """The path, once it has been built."""
    last_path: Path
    """Path of the element used last: most events are about the same element as the event before."""

    @property
    def path(self) -> Path:
        """The keys and indexes that lead to the object or array."""
        if self.cached_path is not None:
            return self.cached_path
        keys: list[str | int] = []
        place: Place = self
        # Not recursive: documents may be nested more deeply than calls.
        while place.cached_path is None and place.parent is not None:
            keys.append(place.key)
            place = place.parent
        self.cached_path = path = (*(place.cached_path or ()), *reversed(keys))
        return path

    def path_of(self, key: str | int) -> Path:
        """Return the path of the element at a key or index."""
        # Mostly the same element as at the last call.
        path = self.last_path
        if not path or path[-1] != key:
            self.last_path = path = (*self.path, key)
        return path


class _Placed:
    """Base of the events, with their location in the document."""

    __slots__ = ("member", "place")
    __match_args__: ClassVar[tuple[str, ...]] = ("path",)

    # Without underscores: the parser sets them directly, which takes two thirds of the time of a constructor.
    place: Place | Path | None
    """The location of the container around the value, set by the parser; `path` is built from it."""
    member: str | int
    """The key or index of the value in its container, set by the parser; read `key` instead."""

    @property
    def path(self) -> Path:
        """The keys and indexes that lead to the value; () is the document itself."""
        place = self.place
        if not isinstance(place, tuple):
            self.place = place = () if place is None else place.path_of(self.member)
        return place

    @property
    def key(self) -> str | int | None:
        """The last key or index of the path; None for the document itself."""
        # `place` is the value's whole path, or its container's location; None for the document.
        place = self.place
        if isinstance(place, tuple):
            return place[-1] if place else None
        return None if place is None else self.member

    def _values(self) -> tuple[Any, ...]:
        """Return the values by which events are compared, in the order of their arguments."""
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Placed) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        # Only the parts that are always hashable and never change.
        return hash((type(self), self.path))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" for name, value in zip(self.__match_args__, self._values(), strict=True)
        )
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Callable[..., _Placed], tuple[Any, ...]]:
        # With the path instead of the place, because the place refers to the whole document.
        return type(self), self._values()


@show_members
class ValueStart(_Placed):
    """A value has begun; its kind is known from its first character.

    Args:
        path: The keys and indexes that lead to the value. The parser passes the
            location of the container instead, and the key separately.
        kind: The kind of the value.
        offset: Position of the value's first character, in characters of the text.
        key: The last key or index, if `path` is the location of the container.

    Example:
        >>> ValueStart(("steps", 0), "object").path
        ('steps', 0)
    """

    __slots__ = ("kind", "offset")
    __match_args__ = ("path", "kind", "offset")

    kind: JSONKind
    """The kind of the value."""
    offset: int
    """Position of the value's first character, in characters of the text."""

    def __init__(
        self, path: Path | Place | None, kind: JSONKind, offset: int = 0, key: str | int = ""
    ) -> None:
        # A complete path, or the container's `Place`, from which `path` is built when it is first read.
        self.place = path
        self.member = key
        self.kind = kind
        self.offset = offset


@show_members
class StringDelta(_Placed):
    """A string that is a value has grown; keys are reported whole, as part of paths.

    Args:
        path: The keys and indexes that lead to the string; see `ValueStart`.
        text: The piece with its escapes decoded.
        key: The last key or index, if `path` is the location of the container.

    Example:
        >>> StringDelta(("title",), "Pan").text
        'Pan'
    """

    __slots__ = ("text",)
    __match_args__ = ("path", "text")

    text: str
    """The piece with its escapes decoded, never empty."""

    def __init__(self, path: Path | Place | None, text: str, key: str | int = "") -> None:
        self.place = path
        self.member = key
        self.text = text


@show_members
class ValueDone(_Placed):
    """A value is finished, and does not change any more.

    Args:
        path: The keys and indexes that lead to the value; see `ValueStart`.
        value: The value itself.
        offset: Position after the value's last character, in characters of the text.
        key: The last key or index, if `path` is the location of the container.

    Example:
        >>> ValueDone(("minutes",), 20).value
        20
    """

    __slots__ = ("offset", "value")
    __match_args__ = ("path", "value", "offset")

    value: Any
    """The value; an object or array is the same object as in the parser's `value`."""
    offset: int
    """Position after the value's last character, in characters of the text."""

    def __init__(
        self,
        path: Path | Place | None,
        value: Json,
        offset: int = 0,
        key: str | int = "",
    ) -> None:
        # A complete path, or the container's `Place`, from which `path` is built when it is first read.
        self.place = path
        self.member = key
        self.value = value
        self.offset = offset


JSONEvent: TypeAlias = ValueStart | StringDelta | ValueDone
"""All kinds of events, for `match` and `assert_never`; a minor release may add kinds."""

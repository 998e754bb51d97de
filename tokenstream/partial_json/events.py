"""What a growing JSON document does: a value starts, a string grows, a value is finished.

Treat events as read-only. A path is made when it is asked for, so that an event
of a deep document costs what one of a flat document costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["JSONEvent", "JSONKind", "Path", "Place", "StringDelta", "ValueDone", "ValueStart"]

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value; () is the document's own."""

JSONKind: TypeAlias = Literal["object", "array", "string", "number", "literal"]
"""What a value is, told by its first character; a literal is true, false or null."""


class Place:
    """Where an object or array of a document stands; its elements have a key beside it."""

    __slots__ = ("key", "known", "last", "parent")

    parent: Place | None
    """Where the object or array around it stands; None for the document's own value."""
    key: str | int
    """Its key or index there."""
    known: Path | None
    """The path, once somebody has asked for it."""
    last: Path
    """The path of the element that was last asked for: most events are of the same one as those before."""

    @property
    def path(self) -> Path:
        """The keys and indexes that lead here."""
        if self.known is not None:
            return self.known
        keys: list[str | int] = []
        place: Place = self
        # Not by recursion: documents are nested more deeply than calls may be.
        while place.known is None and place.parent is not None:
            keys.append(place.key)
            place = place.parent
        self.known = path = (*(place.known or ()), *reversed(keys))
        return path

    def path_of(self, key: str | int) -> Path:
        """Return the path of an element."""
        path = self.last
        if not path or path[-1] != key:
            self.last = path = (*self.path, key)
        return path


class _Placed:
    """What the events have in common: where in the document they are."""

    __slots__ = ("member", "place")
    __match_args__: ClassVar[tuple[str, ...]] = ("path",)

    # Without an underscore, since the parser sets them itself: that takes two thirds of a constructor's time.
    place: Place | Path | None
    """Where the object or array around the value stands, for the parser; `path` is made of it."""
    member: str | int
    """The key or index there, for the parser; `key` tells it."""

    @property
    def path(self) -> Path:
        """The keys and indexes that lead to the value; () is the document's own."""
        place = self.place
        if not isinstance(place, tuple):
            self.place = place = () if place is None else place.path_of(self.member)
        return place

    @property
    def key(self) -> str | int | None:
        """The last key or index of the path; None for the document's own value."""
        place = self.place
        if isinstance(place, tuple):
            return place[-1] if place else None
        return None if place is None else self.member

    def _fields(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Placed) or type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        # By what can always be hashed, and does not change.
        return hash((type(self), self.path))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={value!r}" for name, value in zip(self.__match_args__, self._fields(), strict=True)
        )
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Callable[..., _Placed], tuple[Any, ...]]:
        # By the path: the objects and arrays around the value do not go along.
        return type(self), self._fields()


class ValueStart(_Placed):
    """A value has begun; its kind is known by its first character.

    Args:
        path: The keys and indexes that lead to the value. The parser gives the
            place of the object or array around it, and the key beside that.
        kind: What the value is.
        offset: Where its first character is, in characters of the text.
        key: The last key or index, where `path` is a place.

    Example:
        >>> ValueStart(("steps", 0), "object").path
        ('steps', 0)
    """

    __slots__ = ("kind", "offset")
    __match_args__ = ("path", "kind", "offset")

    kind: JSONKind
    """What the value is."""
    offset: int
    """Where its first character is, in characters of the text."""

    def __init__(
        self, path: Path | Place | None, kind: JSONKind, offset: int = 0, key: str | int = ""
    ) -> None:
        self.place = path
        self.member = key
        self.kind = kind
        self.offset = offset


class StringDelta(_Placed):
    """A string that is a value has grown; keys come whole, in the paths.

    Args:
        path: The keys and indexes that lead to the string, as for `ValueStart`.
        text: The piece with its escapes undone.
        key: The last key or index, where `path` is a place.

    Example:
        >>> StringDelta(("title",), "Pan").text
        'Pan'
    """

    __slots__ = ("text",)
    __match_args__ = ("path", "text")

    text: str
    """The piece with its escapes undone, never empty."""

    def __init__(self, path: Path | Place | None, text: str, key: str | int = "") -> None:
        self.place = path
        self.member = key
        self.text = text


class ValueDone(_Placed):
    """A value is finished: it cannot change any more.

    Args:
        path: The keys and indexes that lead to the value, as for `ValueStart`.
        value: The value itself.
        offset: Where it ends: the character behind its last one, in characters of the text.
        key: The last key or index, where `path` is a place.

    Example:
        >>> ValueDone(("minutes",), 20).value
        20
    """

    __slots__ = ("offset", "value")
    __match_args__ = ("path", "value", "offset")

    value: Any
    """The value; an object or array is the very one that the parser's `value` holds."""
    offset: int
    """Where it ends: the character behind its last one, in characters of the text."""

    def __init__(
        self,
        path: Path | Place | None,
        value: Any,  # noqa: ANN401 - any JSON value
        offset: int = 0,
        key: str | int = "",
    ) -> None:
        self.place = path
        self.member = key
        self.value = value
        self.offset = offset


JSONEvent: TypeAlias = ValueStart | StringDelta | ValueDone
"""Every kind of event, for `match` and `assert_never`; a minor release may add some."""

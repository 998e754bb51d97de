"""Events of a JSON document that is being read, and paths, with wildcards, that match them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json

KeyOrIndex: TypeAlias = str | int
Path: TypeAlias = tuple[KeyOrIndex, ...]
"""The keys and indexes that lead to a value; () is the document itself."""

JSONKind: TypeAlias = Literal["object", "array", "string", "number", "literal"]
"""The kind of a value, known from its first character; a literal is true, false or null."""

At: TypeAlias = str | tuple[str | int, ...]
"""A path as users write it: `"recipes.*.steps"`, or a tuple of keys if a key contains a dot."""

CONTAINERS = frozenset({"object", "array"})
OFF = -(1 << 30)
"""Position (see `PathMatcher.start`) of a value that is not on the path; lower than any position on it."""

_WILDCARD = "*"
# No index has more than 18 digits.
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z").match
_SUBSCRIPT = re.compile(r"\[(?:\d*|\*)\]\Z").search


class Place:
    """The location of an object or array in a document; an event about a value in it adds the value's key."""

    __slots__ = ("cached_path", "key", "last_path", "parent")

    parent: Place | None
    """The location of the object or array around this one; None for the document itself."""
    key: str | int
    """The key or index of this object or array in the one around it (`parent`)."""
    cached_path: Path | None
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
        # Mostly the same element as at the last call.
        path = self.last_path
        if not path or path[-1] != key:
            self.last_path = path = (*self.path, key)
        return path


class _PlacedEvent:
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
        if not isinstance(other, _PlacedEvent) or type(other) is not type(self):
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

    def __reduce__(self) -> tuple[Callable[..., _PlacedEvent], tuple[Any, ...]]:
        # With the path instead of the place, because the place refers to the whole document.
        return type(self), self._values()


class ValueStart(_PlacedEvent):
    """A value has begun; its kind is known from its first character.

    Args:
        path: The keys and indexes that lead to the value; or, with `key`, the container's location.
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


class StringDelta(_PlacedEvent):
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


class ValueDone(_PlacedEvent):
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

    def __init__(self, path: Path | Place | None, value: Json, offset: int = 0, key: str | int = "") -> None:
        # A complete path, or the container's `Place`, from which `path` is built when it is first read.
        self.place = path
        self.member = key
        self.value = value
        self.offset = offset


JSONEvent: TypeAlias = ValueStart | StringDelta | ValueDone
"""All kinds of events, for `match` and `assert_never`; a minor release may add kinds."""
JSONEvents: TypeAlias = list[JSONEvent]
"""Events that a reader adds to, in the order of the text."""


class Pattern:
    """A path into a document; `*` matches every key of an object and every index of an array.

    Args:
        at: Keys and indexes separated by dots, or a tuple of them; "" and () mean the
            document itself. In text, digits match an index as well as a key; in a tuple, an
            `int` only matches an index and a `str` only matches a key.

    Raises:
        MisuseError: The path is malformed.

    Example:
        >>> pattern = Pattern("recipes.*.steps")
        >>> len(pattern), [pattern.matches_key(*pair) for pair in ((0, "recipes"), (1, 4), (2, "title"))]
        (3, [True, True, False])
    """

    __slots__ = ("_allowed", "_at")

    def __init__(self, at: At) -> None:
        self._at = at
        # `_check_key` raises an error for an item of a tuple that is not a key; `_split_path` splits text.
        self._allowed = tuple(map(_check_key, at)) if isinstance(at, tuple) else _split_path(at)
        """The keys that match at each position; None if any key matches."""

    def __len__(self) -> int:
        return len(self._allowed)

    def matches_key(self, position: int, key: str | int) -> bool:
        allowed = self._allowed[position]
        return allowed is None or key in allowed

    def is_wild(self, position: int) -> bool:
        return self._allowed[position] is None

    @property
    def wild(self) -> bool:
        """True if the path may match more than one value."""
        return None in self._allowed

    @property
    def keys(self) -> frozenset[str | int]:
        return frozenset(key for allowed in self._allowed for key in allowed or ())

    def name(self, length: int) -> str:
        """Return the name that error messages use for the value at the first `length` keys of the path."""
        if not length:
            return "the document"
        at = self._at
        return repr(".".join(at.split(".")[:length]) if isinstance(at, str) else at[:length])


class PathMatcher:
    """Match the events of a document with a path, while the document is being read.

    Two counters replace the comparison of paths, so that an event deep in a document
    takes no longer than one at its top.

    Example:
        >>> from tokenstream.partial_json import PartialJSONParser, ValueStart
        >>> matcher = PathMatcher(Pattern("steps"))
        >>> events = PartialJSONParser().feed('{"title": "P", "steps": [{"text": "')
        >>> [matcher.start(event) for event in events if isinstance(event, ValueStart)][2:]
        [0, 1, 2]
    """

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._length = len(pattern)
        self._open = 0
        """Number of objects and arrays that are open."""
        self._open_on_path = 0
        """Number of open containers, from the outermost on, that are above, at or inside the path."""
        self._scalar = OFF
        """Position, as `start` returns it, of the current string, number or literal; the next replaces it."""

    def start(self, event: ValueStart) -> int:
        """Enter a new value; return its position relative to the path.

        | position | the value is |
        |---|---|
        | less than 0 | above the path, by that many keys |
        | 0 | at the path |
        | 1 | an element of the value at the path |
        | more than 1 | inside an element of that value |
        | `OFF` | not on the path |
        """
        depth = self._open
        key = event.key
        # The values around this one are on the path, and so is its key, as far as the path reaches.
        # The document itself has no key.
        is_on_path = self._open_on_path == depth and (
            key is None or depth > self._length or self.pattern.matches_key(depth - 1, key)
        )
        position = depth - self._length if is_on_path else OFF
        if event.kind in CONTAINERS:
            self._open = depth + 1
            if is_on_path:
                self._open_on_path += 1
        else:
            self._scalar = position
        return position

    def finish(self, event: ValueDone) -> int:
        """Leave a finished value; return its position relative to the path, as `start` did for this value."""
        if event.value.__class__ is not dict and event.value.__class__ is not list:
            return self._scalar
        depth = self._open
        self._open = depth - 1
        if self._open_on_path < depth:
            # The value itself, or a container around it, is not on the path.
            return OFF
        self._open_on_path = depth - 1
        return depth - 1 - self._length


def _split_path(at: object) -> tuple[frozenset[str | int] | None, ...]:
    """Return the keys that match at each position of a path; None at a position where any key matches."""
    if not isinstance(at, str):
        raise MisuseError(
            f'{at!r} is not a path into a document; pass text, such as "recipe.steps" or '
            '"recipes.*.steps", or a tuple of keys, such as ("a.b", 0, "*")'
        )
    keys = at.split(".") if at else []
    # Syntax of other path languages; read as keys, it would match nothing, without an error.
    if not all(keys) or keys[:1] == ["$"] or any(map(_SUBSCRIPT, keys)):
        raise MisuseError(
            f"{at!r} is not a path into a document: put one dot between two keys or indexes, such as "
            '"recipe.steps.0"; "" is the document itself; pass a tuple for keys that are empty or have dots'
        )
    return tuple(_compile_key(key) for key in keys)


def _compile_key(key: str) -> frozenset[str | int] | None:
    """Return the keys that one segment of a path's text matches; None if the segment matches any key."""
    if key == _WILDCARD:
        return None
    return frozenset((key, int(key)) if _INDEX(key) else (key,))


def _check_key(key: object) -> frozenset[str | int] | None:
    """Return the keys that an item of a path's tuple matches; None if it matches any key."""
    if key == _WILDCARD:
        return None
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool) and key >= 0):
        return frozenset((key,))
    raise MisuseError(f"{key!r} is not a step of a path: pass a str as a key, an int from 0 as an index")

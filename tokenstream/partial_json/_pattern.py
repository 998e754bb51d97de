"""Paths into a document, which may contain wildcards, and the matching of events with a path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.partial_json._events import ValueDone, ValueStart

At: TypeAlias = str | tuple[str | int, ...]
"""A path as users write it: `"recipes.*.steps"`, or a tuple of keys if a key contains a dot."""

CONTAINERS = frozenset({"object", "array"})
"""The kinds of values that contain other values."""
OFF = -(1 << 30)
"""Position (see `PathMatcher.start`) of a value that is not on the path; lower than any position on it."""

_WILDCARD = "*"
# No index has more than 18 digits.
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z").match
_SUBSCRIPT = re.compile(r"\[(?:\d*|\*)\]\Z").search


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
        # `_check_key` raises an error for an item of a tuple that is not a key; `_compile` splits text.
        self._allowed = tuple(map(_check_key, at)) if isinstance(at, tuple) else _compile(at)
        """The keys that match at each position; None if any key matches."""

    def __len__(self) -> int:
        return len(self._allowed)

    def matches_key(self, position: int, key: str | int) -> bool:
        """Return True if a key or index of a document matches the path's key at a position, from 0."""
        allowed = self._allowed[position]
        return allowed is None or key in allowed

    def is_wild(self, position: int) -> bool:
        """Return True if the path has `*` at a position, from 0, so that any key matches there."""
        return self._allowed[position] is None

    @property
    def wild(self) -> bool:
        """True if the path may match more than one value."""
        return None in self._allowed

    @property
    def keys(self) -> frozenset[str | int]:
        """All keys that the path names, without wildcards."""
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

    __slots__ = ("_length", "_open", "_open_on_path", "_scalar", "pattern")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        """The path."""
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


def _compile(at: object) -> tuple[frozenset[str | int] | None, ...]:
    """Return the keys that match at each position of a path; None at a position where any key matches.

    Args:
        at: The path as text; the caller takes care of paths that are tuples.
    """
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

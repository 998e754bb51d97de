"""Paths into a document, with wildcards, and how they are followed while it is written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from tokenstream.partial_json.events import ValueDone, ValueStart

__all__ = ["CONTAINERS", "OFF", "At", "Follower", "Pattern"]

At: TypeAlias = str | tuple[str | int, ...]
"""A path as users write it: `"recipes.*.steps"`, or a tuple of keys for keys that have dots."""

CONTAINERS = frozenset({"object", "array"})
"""The kinds of values that hold others."""
OFF = -(1 << 30)
"""How a value stands that is beside the way to a path: far before any that is on it."""

_EACH = "*"
# No array is so long that an index of it has more digits.
_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,17})\Z").match
_SUBSCRIPT = re.compile(r"\[(?:\d*|\*)\]\Z").search


class Pattern:
    """A path into a document; `*` in it stands for every key of an object and index of an array.

    Args:
        at: Keys and indexes with dots between them, or a tuple of them; "" and
            () lead to the document itself. In text, digits are an index or a
            key, whichever the document has; in a tuple, an `int` is an index
            and a `str` a key.

    Raises:
        MisuseError: It is no path.

    Example:
        >>> pattern = Pattern("recipes.*.steps")
        >>> len(pattern), pattern.takes(0, "recipes"), pattern.takes(1, 4), pattern.takes(2, "title")
        (3, True, True, False)
    """

    __slots__ = ("_allowed", "_at")

    def __init__(self, at: At) -> None:
        self._at = at
        self._allowed = tuple(map(_allowed, at)) if isinstance(at, tuple) else _compiled(at)
        """What may stand at each place of a path; None for everything."""

    def __len__(self) -> int:
        return len(self._allowed)

    def takes(self, position: int, key: str | int) -> bool:
        """Tell whether a path may have this key at this position."""
        allowed = self._allowed[position]
        return allowed is None or key in allowed

    def is_wild(self, position: int) -> bool:
        """Tell whether a path may have any key at this position."""
        return self._allowed[position] is None

    @property
    def wild(self) -> bool:
        """Whether it may lead to more than one value."""
        return None in self._allowed

    @property
    def keys(self) -> frozenset[str | int]:
        """The keys that a path may have, but for those that `*` stands for."""
        return frozenset(key for allowed in self._allowed for key in allowed or ())

    def name(self, length: int) -> str:
        """Return how messages name what the first keys lead to."""
        if not length:
            return "the document"
        at = self._at
        return repr(".".join(at.split(".")[:length]) if isinstance(at, str) else at[:length])


class Follower:
    """Where a document that is being written stands to a path.

    It goes along with the parser's events and keeps two numbers, so that an
    event of a deep document costs what one of a flat document costs.

    Args:
        pattern: The path.

    Example:
        >>> from tokenstream.partial_json import PartialJSONParser, ValueStart
        >>> follower = Follower(Pattern("steps"))
        >>> events = PartialJSONParser().feed('{"title": "P", "steps": [{"text": "')
        >>> [follower.start(event) for event in events if isinstance(event, ValueStart)][2:]
        [0, 1, 2]
    """

    __slots__ = ("_length", "_on_way", "_open", "_scalar", "pattern")

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        """The path."""
        self._length = len(pattern)
        self._open = 0
        """How many objects and arrays are open."""
        self._on_way = 0
        """How many of them, from the outermost, are on the way to the path, at it or inside."""
        self._scalar = OFF
        """How the value that is neither stands, which is finished before another starts."""

    def start(self, event: ValueStart) -> int:
        """Return how a new value stands to the path.

        0 is at it, 1 an element of what is there, more is inside an element;
        less is so many keys before it. `OFF` is beside the way.
        """
        depth = self._open
        key = event.key
        leads = self._on_way == depth and (
            key is None or depth > self._length or self.pattern.takes(depth - 1, key)
        )
        stands = depth - self._length if leads else OFF
        if event.kind in CONTAINERS:
            self._open = depth + 1
            self._on_way += leads
        else:
            self._scalar = stands
        return stands

    def done(self, event: ValueDone) -> int:
        """Return how a value that is finished stands to the path, as `start` does."""
        if event.value.__class__ is not dict and event.value.__class__ is not list:
            return self._scalar
        depth = self._open
        self._open = depth - 1
        if self._on_way < depth:
            return OFF
        self._on_way = depth - 1
        return depth - 1 - self._length


def _compiled(at: object) -> tuple[frozenset[str | int] | None, ...]:
    if not isinstance(at, str):
        raise MisuseError(
            f'{at!r} is no path into a document; a path is text, such as "recipe.steps" or '
            '"recipes.*.steps", or a tuple of keys, such as ("a.b", 0, "*")'
        )
    keys = at.split(".") if at else []
    # As other languages for paths write them; as keys they would lead nowhere, and nobody would be told.
    if not all(keys) or keys[:1] == ["$"] or any(map(_SUBSCRIPT, keys)):
        raise MisuseError(
            f"{at!r} is no path into a document: put one dot between two keys or indexes, such as "
            '"recipe.steps.0"; "" is the document itself, and keys that are empty or have dots go in a tuple'
        )
    return tuple(_named(key) for key in keys)


def _named(key: str) -> frozenset[str | int] | None:
    if key == _EACH:
        return None
    return frozenset((key, int(key)) if _INDEX(key) else (key,))


def _allowed(key: object) -> frozenset[str | int] | None:
    if key == _EACH:
        return None
    if isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool) and key >= 0):
        return frozenset((key,))
    raise MisuseError(f"{key!r} is no key of an object and no index of an array, from 0")

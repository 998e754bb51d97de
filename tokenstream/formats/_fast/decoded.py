"""Recognise the next delta in a payload that arrives decoded, without reading all its fields.

Such payloads are yielded by SDKs, for example. Their constant parts are compared by value and by
type: in Python, `True` equals 1, which may mean something else. If a payload differs in them, the
format reads it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import is_deeper
from tokenstream.formats._fast.match import CODE
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tokenstream._basics.loose import Json
    from tokenstream.formats._fast.shape import Path

    Fits = Callable[[Any], bool]
    """Returns True if a value may replace the learnt value."""

_MOST_VALUES = 256
"""Values in the largest payload whose shape is learnt."""
_MOST_DEEP = 16
"""Levels of the deepest payload whose shape is learnt; none is learnt if the depth limit is not higher."""
_MOST = 10**18
"""A changing number must be smaller than this in absolute value; otherwise, the format reads the payload."""
_MOST_COUNTED = 10**15
"""A changing count must be smaller than this."""
_LEAVES = frozenset({str, int, float, bool, type(None)})
_is_code = re.compile(CODE.decode()).fullmatch

_Holes: TypeAlias = "dict[Path, Fits]"
"""Maps each place that differs between payloads to the function that checks its value."""


class DecodedShape:
    """Recognises decoded payloads that differ from a learnt one only in the text and in meaningless values.

    Args:
        fits: Returns True if a payload equals the learnt one in all other values.
        path: The place of the text.

    Example:
        >>> shape = DecodedShape.learn({"text": "Hel", "n": 1, "m": 1}, ("text",), changing=[("n",)])
        >>> shape.match({"text": "lo", "n": 2, "m": 1}), shape.match({"text": "lo", "n": 2, "m": True})
        ('lo', None)
    """

    __slots__ = ("match",)

    def __init__(self, fits: Fits, path: Path) -> None:
        *steps, last = path

        def match(payload: dict[str, Any]) -> str | None:
            """Return the text of a payload of this shape; None for any other payload or an empty text."""
            if payload.__class__ is not dict or not fits(payload):
                return None
            inner: Any = payload
            for step in steps:
                inner = inner[step]
            text: str = inner[last]
            if text.isprintable():
                # Halves of surrogate pairs are not printable, so there are none.
                return text or None
            try:
                # The format must read half a surrogate pair, and hold it back until the other half arrives.
                text.encode()
            except UnicodeEncodeError:
                return None
            return text

        self.match: Callable[[Any], str | None] = match
        """Returns the text of a payload of this shape; None for any other payload and for an empty text."""

    @classmethod
    def learn(
        cls,
        value: dict[str, Any],
        path: Path,
        *,
        changing: Iterable[Path] = (),
        counts: Collection[Path] = (),
        asides: Collection[str] = (),
        padding: Collection[str] = (),
        depth: int = DEFAULT_LIMITS.depth,
    ) -> DecodedShape | None:
        """Return the shape of a payload, or None if it is too large or holds a value that is not JSON.

        Args:
            value: The payload.
            path: The place of the text.
            changing: Places of numbers and codes that may change and have no meaning.
            counts: The changing places that must hold whole numbers.
            asides: Fields that contain nothing of the answer.
            padding: Meaningless fields that hide the length of the text.
            depth: The limit on nesting.
        """
        if value.__class__ is not dict or depth <= _MOST_DEEP:
            # With so low a limit on nesting, each payload has to be checked against it.
            return None
        holes: _Holes = {place: _is_count if place in counts else _is_code_or_number for place in changing}
        # An aside may have any value within the limit on nesting; `- 1`, because it is inside the payload.
        holes |= {(name,): lambda aside: not is_deeper(aside, depth - 1) for name in asides}
        holes |= {(name,): _is_padding for name in padding}
        holes[path] = _is_anything
        fits = _ShapeLearner(holes).make_check(value, ())
        return None if fits is None else cls(fits, path)


class _ShapeLearner:
    """Builds the function with which a `DecodedShape` compares payloads with the learnt payload.

    The function is made of smaller ones, one for each object and array in the learnt payload.

    Args:
        holes: Maps each changing place to the function that checks its value.
    """

    __slots__ = ("_holes", "_values_left")

    def __init__(self, holes: _Holes) -> None:
        self._holes = holes
        self._values_left = _MOST_VALUES
        """Number of further values that the learnt payload may have before it counts as too large."""

    def make_check(self, value: Json, path: Path) -> Fits | None:
        """Return a function that compares a value with an object or array of the learnt payload.

        Returns None if the learnt payload is too large or too deep, or holds a value that is not JSON.

        Args:
            value: The object or array.
            path: Its place in the learnt payload.
        """
        self._values_left -= len(value)
        if self._values_left < 0 or len(path) > _MOST_DEEP:
            return None
        is_object = value.__class__ is dict
        # Key or index, type and value of the leaves that must stay equal.
        constant: list[tuple[Any, type, Json]] = []
        # Key or index, type and check of all other values; None for the text, of which any will do.
        others: list[tuple[Any, type, Fits | None]] = []
        for key, item in value.items() if is_object else enumerate(value):
            if is_object and key.__class__ is not str:
                return None
            place = (*path, key)
            check = self._holes.get(place)
            may_change = check is not None and check(item)
            if not may_change:
                # Not a hole, or a hole whose learnt value is unusual: it must stay the same.
                if item.__class__ in _LEAVES:
                    constant.append((key, item.__class__, item))
                    continue
                check = self.make_check(item, place) if item.__class__ in (dict, list) else None
            if check is None:
                return None
            others.append((key, item.__class__, None if check is _is_anything else check))
        return _make_comparison(len(value), constant, others)


def _make_comparison(
    size: int, constant: list[tuple[Any, type, Json]], others: list[tuple[Any, type, Fits | None]]
) -> Fits:
    """Return a function that compares objects or arrays with an object or array of the learnt payload.

    Args:
        size: The number of values in the learnt object or array.
        constant: Key or index, type and value of each value that must stay equal.
        others: Key or index and type of each other value, and the function that checks the value; None if
            any value of the type will do.
    """

    def fits(value: Json) -> bool:
        """Return True if a value has the learnt keys, types and constants, and passes all further checks."""
        if len(value) != size:
            return False
        try:
            # Types are compared first: only the comparison of plain types is known to be safe.
            for key, kind, item in constant:
                found = value[key]
                if found.__class__ is not kind or found != item:
                    return False
            for key, kind, check in others:
                found = value[key]
                if found.__class__ is not kind or (check is not None and not check(found)):
                    return False
        except KeyError:
            return False
        return True

    return fits


def _is_anything(_value: object) -> bool:
    """Return True: the check for the place of the text."""
    return True


def _is_code_or_number(value: Json) -> bool:
    """Return True for a code, such as an id, or a number: the check for a value that may differ freely."""
    if value.__class__ is str:
        return _is_code(value) is not None
    return (value.__class__ is int or value.__class__ is float) and -_MOST < value < _MOST


def _is_count(value: Json) -> bool:
    """Return True for a whole number from 1 on: the check for a place with another count in each payload."""
    return value.__class__ is int and 0 < value < _MOST_COUNTED


def _is_padding(value: Json) -> bool:
    """Return True for padding, which hides the length of a text: letters and digits, or nothing."""
    return value.__class__ is str and (value.isalnum() or not value)

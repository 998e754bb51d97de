"""Recognise the next delta of those that somebody else decoded, an SDK say, without reading all its fields.

What stays from one payload to the next is compared value by value, and type by type: to Python,
`True` equals 1, which may mean something else. Whatever differs is left to the format.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._json import is_deeper
from tokenstream.formats._fast.match import CODE
from tokenstream.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tokenstream.formats._fast.shape import Path

    Fits = Callable[[Any], bool]
    """Tells whether a value may stand in the place of the one that was learnt."""

__all__ = ["DecodedShape"]

_MOST_VALUES = 256
"""Values of the largest payload whose shape is worth remembering."""
_MOST_DEEP = 16
"""Levels of the deepest one; where no more are allowed, each payload is measured, and none compared."""
_MOST = 10**18
"""The numbers beyond this one have more digits than a number that may change."""
_MOST_COUNTED = 10**15
_LEAVES = frozenset({str, int, float, bool, type(None)})
_is_code = re.compile(CODE.decode()).fullmatch

_Holes: TypeAlias = "dict[Path, Fits]"


class DecodedShape:
    """The values of a decoded payload but for its text, and for what changes and says nothing.

    Args:
        fits: Tells whether a payload differs from the one that was learnt in nothing else.
        path: Where the text stands.

    Example:
        >>> shape = DecodedShape.learn({"text": "Hel", "n": 1, "m": 1}, ("text",), changing=[("n",)])
        >>> shape.match({"text": "lo", "n": 2, "m": 1}), shape.match({"text": "lo", "n": 2, "m": True})
        ('lo', None)
    """

    __slots__ = ("match",)

    def __init__(self, fits: Fits, path: Path) -> None:
        *steps, last = path

        def match(payload: dict[str, Any]) -> str | None:
            if payload.__class__ is not dict or not fits(payload):
                return None
            inner: Any = payload
            for step in steps:
                inner = inner[step]
            text: str = inner[last]
            if text.isprintable():
                return text or None
            try:
                # Half a character is held back until the other half comes.
                text.encode()
            except UnicodeEncodeError:
                return None
            return text

        self.match: Callable[[Any], str | None] = match
        """Returns the text of a payload of this shape; None for any other payload, and for no text."""

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
        """Return the shape of a payload, or None where it is too large or holds what is no JSON.

        Args:
            value: The payload.
            path: Where in it the text is.
            changing: Where in it numbers and codes stand that may change and say nothing.
            counts: Those of these places in which only a whole number may stand.
            asides: Fields of the payload that say nothing of the answer.
            padding: Fields that hide the length of the text, and say nothing either.
            depth: How deeply a payload may be nested.
        """
        holes: _Holes = {place: _is_count if place in counts else _is_plain for place in changing}
        holes |= {(name,): lambda aside: not is_deeper(aside, depth - 1) for name in asides}
        holes |= {(name,): _is_padding for name in padding}
        holes[path] = _is_anything
        fits = _Learner(holes).fits(value, ()) if value.__class__ is dict and depth > _MOST_DEEP else None
        return None if fits is None else cls(fits, path)


class _Learner:
    """Makes a comparison with a payload: one function for each of its objects and arrays.

    Args:
        holes: What else may stand in places that may change.
    """

    __slots__ = ("_holes", "_left")

    def __init__(self, holes: _Holes) -> None:
        self._holes = holes
        self._left = _MOST_VALUES

    def fits(self, value: Any, path: Path) -> Fits | None:  # noqa: ANN401 - an object or array
        """Return what compares objects or arrays with one that stands in a place; None if nothing can."""
        self._left -= len(value)
        if self._left < 0 or len(path) > _MOST_DEEP:
            return None
        is_object = value.__class__ is dict
        inner: list[tuple[int, Fits]] = []
        same: list[tuple[Any, Any]] = []
        others: list[tuple[Any, Any]] = []
        for key, item in value.items() if is_object else enumerate(value):
            if is_object and key.__class__ is not str:
                return None
            place = (*path, key)
            fits = self._holes.get(place)
            if fits is None or not fits(item):
                if item.__class__ in _LEAVES:
                    same.append((key, item))
                    continue
                fits = self.fits(item, place) if item.__class__ in (dict, list) else None
            if fits is None:
                return None
            if fits is not _is_anything:
                inner.append((len(others), fits))
            others.append((key, item))
        made = [*same, *others]
        if not made:
            return _is_empty
        kinds = [item.__class__ for _, item in made]
        start = len(same)
        return _comparison(
            [key for key, _ in made],
            kinds,
            tuple(item for _, item in same),
            [(start + number, fits) for number, fits in inner],
        )


def _comparison(
    keys: list[Any], kinds: list[type[Any]], same: tuple[Any, ...], inner: list[tuple[int, Fits]]
) -> Fits:
    """Return what compares an object or array with one that was learnt.

    Args:
        keys: Its keys or indexes, first those whose values stay.
        kinds: The types of their values.
        same: The values that stay.
        inner: The numbers of keys whose values need more than the right type, and what each needs.
    """
    size, stay = len(keys), len(same)
    # Of one key, `itemgetter` would give the value alone.
    get: Callable[[Any], tuple[Any, ...]] = itemgetter(*keys, keys[0])
    kinds = [*kinds, kinds[0]]

    def fits(value: Any) -> bool:  # noqa: ANN401 - an object or array, as the types of its parent tell
        if len(value) != size:
            return False
        try:
            values = get(value)
        except KeyError:
            return False
        # The types come first: only of plain ones it is known how they compare.
        if [*map(type, values)] != kinds or values[:stay] != same:
            return False
        for number, fits_there in inner:  # noqa: SIM110 - a generator would take twice as long
            if not fits_there(values[number]):
                return False
        return True

    return fits


def _is_empty(value: Any) -> bool:  # noqa: ANN401 - an object or array
    return not value


def _is_anything(_value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return True


def _is_plain(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether a number or code may stand where one changes."""
    if value.__class__ is str:
        return _is_code(value) is not None
    return (value.__class__ is int or value.__class__ is float) and -_MOST < value < _MOST


def _is_count(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether a number may stand where a whole number changes."""
    return value.__class__ is int and 0 < value < _MOST_COUNTED


def _is_padding(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return value.__class__ is str and (value.isalnum() or not value)

"""Immutable views of growing data: each is a length, over storage that is only appended to.

A view is made in constant time and never changes, because storage before its
length is never written again. Views of one object or array share all storage.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast, overload

from tokenstream.partial_json._missing import MISSING

if TYPE_CHECKING:
    from tokenstream._basics.text_log import TextLog
    from tokenstream.partial_json._shapes.shape import ValueStructure
    from tokenstream.partial_json._shapes.write import ByAlias
    from tokenstream.partial_json._typed.dump import DumpCache

_MOST_ITEMS = 20
"""Most elements that a repr shows; the rest are counted."""
_DEEPEST = 40
"""Deepest nesting that a repr shows, because it is written by recursion."""


class GrowingText:
    """A growing string at one moment; it is joined on first access."""

    __slots__ = ("_last", "_text", "length", "log")

    def __init__(self, log: TextLog) -> None:
        self.log = log
        self.length = log.length
        self._last = log.pieces[-1] if log.pieces else ""
        self._text: str | None = None

    def text_since(self, before: GrowingText) -> str:
        """Return the text added since an earlier view of the string."""
        if self.length - len(self._last) == before.length:
            # The usual case, a single piece: no search is needed.
            return self._last
        return self.log.slices([before.length, self.length])

    def __str__(self) -> str:
        if self._text is None:
            self._text = self.log.slices([0, self.length])
        return self._text


def resolve(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a value as users see it: growing text becomes a str."""
    return str(value) if value.__class__ is GrowingText else value


class FieldLog:
    """The finished fields of an object, in order; a name may come more than once."""

    __slots__ = ("_places", "_unsettled", "cache", "names", "order", "raw", "structure", "values")

    def __init__(self, structure: ValueStructure | None = None) -> None:
        self.structure = structure
        """Has read the values; None if they show as they came."""
        self.raw: set[int] | None = None
        """Positions of values that show as they came nevertheless."""
        self.cache: dict[ByAlias, DumpCache] = {}
        """Caches of their JSON, by `by_alias`."""
        self.names: list[str] = []
        self.values: list[Any] = []
        self.order: list[str] = []
        """Each name once, in order of its first position."""
        self._places: dict[str, list[int]] = {}
        self._unsettled: set[int] = set()
        """Positions of values that have not been validated yet."""

    def add(self, name: str, value: Any, *, settled: bool = True, raw: bool = False) -> None:  # noqa: ANN401 - any value
        """Add a finished field; it replaces an earlier one of the same name."""
        if raw:
            self.raw = self.raw or set()
            self.raw.add(len(self.names))
        if not settled:
            self._unsettled.add(len(self.names))
        # The value before its position, because another thread may be reading.
        self.values.append(value)
        self.names.append(name)
        places = self._places.get(name)
        if places is None:
            self._places[name] = [len(self.names) - 1]
            self.order.append(name)
        else:
            places.append(len(self.names) - 1)

    def find(self, name: object, length: int) -> Any:  # noqa: ANN401 - any value
        """Return the last value of a name among the first `length` fields, or MISSING."""
        place = self.find_place(name, length)
        return MISSING if place is None else self.values[place]

    def is_settled(self, name: object, length: int) -> bool:
        """Return True if the last value of a name among the first `length` fields is final."""
        place = self.find_place(name, length)
        return place is not None and place not in self._unsettled

    def is_read(self, name: object, length: int) -> bool:
        """Return True if the last value of a name among the first `length` fields was read by its type."""
        place = self.find_place(name, length)
        return place is not None and (self.raw is None or place not in self.raw)

    def find_place(self, name: object, length: int) -> int | None:
        """Return the position of the last value of a name among the first `length` fields, or None."""
        places = self._places.get(name) if isinstance(name, str) else None
        if places is None:
            return None
        before = bisect_left(places, length)
        return places[before - 1] if before else None


class ValueLog(list[Any]):
    """The finished elements of an array."""

    __slots__ = ("cache", "raw", "structure")

    def __init__(self, structure: ValueStructure | None = None) -> None:
        super().__init__()
        self.structure = structure
        """Has read the elements; None if they show as they came."""
        self.raw: set[int] | None = None
        """Indexes of elements that show as they came nevertheless."""
        self.cache: dict[ByAlias, DumpCache] = {}
        """Caches of their JSON, by `by_alias`."""

    def add(self, value: Any, *, raw: bool = False) -> None:  # noqa: ANN401 - any value
        """Add a finished element."""
        if raw:
            self.raw = self.raw or set()
            self.raw.add(len(self))
        self.append(value)


class GrowingObject(Mapping[str, Any]):  # noqa: PLW1641 - a dict has no hash
    """A growing object at one moment: its finished fields, and the growing one.

    Args:
        log: The finished fields.
        name: The name of the growing field, or "".
        tail: The part of that field that shows, or MISSING.
    """

    __slots__ = ("_distinct", "length", "log", "name", "tail")

    rest: Mapping[str, Any] = {}
    """Values shown for fields that have not arrived, by name."""

    @property
    def storage(self) -> FieldLog:
        """The log of finished fields, shared by all views of the object."""
        return self.log

    def __init__(self, log: FieldLog, name: str = "", tail: Any = MISSING) -> None:  # noqa: ANN401 - any value
        self.log = log
        self.length = len(log.names)
        self._distinct = len(log.order)
        self.name = name
        self.tail = tail

    def find(self, name: object) -> Any:  # noqa: ANN401 - any value
        """Return the value shown under a name, or MISSING."""
        if self.tail is not MISSING and name == self.name:
            return resolve(self.tail)
        return self.log.find(name, self.length)

    def is_finished(self, name: object) -> bool:
        """Return True if the value shown under a name is final."""
        growing = self.tail is not MISSING and name == self.name
        return not growing and self.log.is_settled(name, self.length)

    def is_read(self, name: object) -> bool:
        """Return True if the value shown under a name is finished and was read by its type."""
        growing = self.tail is not MISSING and name == self.name
        return not growing and self.log.is_read(name, self.length)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any value
        value = self.find(name)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return self.find(name) is not MISSING

    def __iter__(self) -> Iterator[str]:
        yield from islice(self.log.order, self._distinct)
        if self._is_tail_new():
            yield self.name

    def __len__(self) -> int:
        return self._distinct + self._is_tail_new()

    def _is_tail_new(self) -> bool:
        return self.tail is not MISSING and self.log.find(self.name, self.length) is MISSING

    @property
    def has_repeats(self) -> bool:
        """True if a name has come more than once."""
        return self._distinct != self.length or (self.tail is not MISSING and not self._is_tail_new())

    def __eq__(self, other: object) -> bool:
        return (
            dict(self) == dict(cast("Mapping[str, Any]", other))
            if isinstance(other, Mapping)
            else NotImplemented
        )

    def __repr__(self) -> str:
        return make_repr(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = [(name, value, self.is_finished(name)) for name, value in self.items()]
        return _rebuild_object, (fields,)


def _rebuild_object(fields: list[tuple[str, Any, bool]]) -> GrowingObject:
    log = FieldLog()
    for name, value, settled in fields:
        log.add(name, value, settled=settled)
    return GrowingObject(log)


class GrowingArray(Sequence[Any]):  # noqa: PLW1641 - a list has no hash
    """A growing array at one moment: its finished elements, and the growing one.

    Args:
        values: The finished elements.
        tail: The part of the growing element that shows, or MISSING.
        unsettled: Indexes of elements that have not been validated yet.
    """

    __slots__ = ("_unsettled", "length", "tail", "values")

    def __init__(
        self,
        values: list[Any],
        tail: Any = MISSING,  # noqa: ANN401 - any value
        unsettled: Collection[int] = (),
    ) -> None:
        self.values = values
        self.length = len(values)
        self.tail = tail
        self._unsettled = unsettled

    @property
    def storage(self) -> Any:  # noqa: ANN401 - a list
        """The list of finished elements, shared by all views of the array."""
        return self.values

    def is_finished(self, index: object) -> bool:
        """Return True if the element at an index is final."""
        if not isinstance(index, int):
            return False
        place = index if index >= 0 else index + len(self)
        return 0 <= place < self.length and place not in self._unsettled

    def is_read(self, index: object) -> bool:
        """Return True if the element at an index is finished and was read by its type."""
        if not isinstance(index, int):
            return False
        place = index if index >= 0 else index + len(self)
        raw: set[int] | None = getattr(self.values, "raw", None)
        return 0 <= place < self.length and (raw is None or place not in raw)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 - any value
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index if index >= 0 else index + len(self)
        if 0 <= place < self.length:
            return self.values[place]
        if place == self.length and self.tail is not MISSING:
            return resolve(self.tail)
        raise IndexError(f"no element {index} yet: {len(self)} have arrived")

    def __iter__(self) -> Iterator[Any]:
        yield from islice(self.values, self.length)
        if self.tail is not MISSING:
            yield resolve(self.tail)

    def __len__(self) -> int:
        return self.length + (self.tail is not MISSING)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GrowingArray | list | tuple):
            return NotImplemented
        return list(self) == list(cast("Sequence[Any]", other))

    def __repr__(self) -> str:
        return make_repr(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        unsettled = {place for place in range(len(self)) if not self.is_finished(place)}
        return GrowingArray, (list(self), MISSING, unsettled)


def make_repr(value: Any, deepest: int = _DEEPEST) -> str:  # noqa: ANN401 - any value
    """Return a repr of a value, shortened if it is long or deep."""
    if isinstance(value, GrowingArray):
        return f"[{_join_items((make_repr(item, deepest - 1) for item in value), len(value), deepest)}]"
    if isinstance(value, GrowingObject):
        fields = (f"{name!r}: {make_repr(item, deepest - 1)}" for name, item in value.items())
        return f"{{{_join_items(fields, len(value), deepest)}}}"
    own = getattr(value.__class__, "_make_repr", None)
    return repr(value) if own is None else str(own(value, deepest))


def _join_items(items: Iterator[str], count: int, deepest: int) -> str:
    if deepest <= 0:
        return "…" if count else ""
    listed = list(islice(items, _MOST_ITEMS))
    if count > _MOST_ITEMS:
        listed.append(f"… {count - _MOST_ITEMS:,} more")
    return ", ".join(listed)

"""What has come of growing data: views of a length, over storage that only grows.

A view is made in constant time and never changes, because what lies before its
length is never written again. Views of one object or array share all storage.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast, overload

from tokenstream.partial_json._missing import MISSING

if TYPE_CHECKING:
    from tokenstream._log import TextLog

__all__ = ["FieldLog", "GrowingArray", "GrowingObject", "GrowingText", "ValueLog", "resolve", "shown"]

_SHOWN = 20
"""Most elements that a repr shows; of more it tells how many there are."""
_DEEPEST = 40
"""How many views inside each other a repr shows: it is written by recursion."""


class GrowingText:
    """A string as far as it had come; it is joined when somebody looks."""

    __slots__ = ("_length", "_log", "_text")

    def __init__(self, log: TextLog) -> None:
        self._log = log
        self._length = log.length
        self._text: str | None = None

    def __str__(self) -> str:
        if self._text is None:
            self._text = self._log.slices([0, self._length])
        return self._text


def resolve(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return what a user sees of a value."""
    return str(value) if value.__class__ is GrowingText else value


class FieldLog:
    """The fields of an object in the order they finished; a name may come again."""

    __slots__ = ("_places", "_unsettled", "names", "order", "raw", "values")

    def __init__(self) -> None:
        self.raw: set[int] | None = None
        """Which of the values show as they came."""
        self.names: list[str] = []
        self.values: list[Any] = []
        self.order: list[str] = []
        """Each name once, by its first place."""
        self._places: dict[str, list[int]] = {}
        self._unsettled: set[int] = set()
        """Which of the values have yet to be read as what their type says."""

    def add(self, name: str, value: Any, *, settled: bool = True, raw: bool = False) -> None:  # noqa: ANN401 - any value
        """Add a finished field; it stands for an earlier one of its name from here on."""
        if raw:
            self.raw = self.raw or set()
            self.raw.add(len(self.names))
        if not settled:
            self._unsettled.add(len(self.names))
        # The value before its place: another thread may be looking.
        self.values.append(value)
        self.names.append(name)
        places = self._places.get(name)
        if places is None:
            self._places[name] = [len(self.names) - 1]
            self.order.append(name)
        else:
            places.append(len(self.names) - 1)

    def find(self, name: object, length: int) -> Any:  # noqa: ANN401 - any value
        """Return the value that a name had when `length` fields had finished, or MISSING."""
        place = self._place(name, length)
        return MISSING if place is None else self.values[place]

    def is_settled(self, name: object, length: int) -> bool:
        """Tell whether a name had a value when `length` fields had finished that stays as it is."""
        place = self._place(name, length)
        return place is not None and place not in self._unsettled

    def is_read(self, name: object, length: int) -> bool:
        """Tell whether a name had a value that is what its type makes of it, and not what came."""
        place = self._place(name, length)
        return place is not None and (self.raw is None or place not in self.raw)

    def _place(self, name: object, length: int) -> int | None:
        places = self._places.get(name) if isinstance(name, str) else None
        if places is None:
            return None
        before = bisect_left(places, length)
        return places[before - 1] if before else None


class ValueLog(list[Any]):
    """The elements of an array in the order they finished."""

    __slots__ = ("raw",)

    def __init__(self) -> None:
        super().__init__()
        self.raw: set[int] | None = None
        """Which of them show as they came."""

    def add(self, value: Any, *, raw: bool = False) -> None:  # noqa: ANN401 - any value
        """Add a finished element."""
        if raw:
            self.raw = self.raw or set()
            self.raw.add(len(self))
        self.append(value)


class GrowingObject(Mapping[str, Any]):  # noqa: PLW1641 - a dict has no hash
    """An object as far as it had come: its finished fields, and the one that is growing.

    Args:
        log: The finished fields.
        name: The name of the field that grows, or "".
        tail: What shows of that field; MISSING where nothing does.
    """

    __slots__ = ("_distinct", "_length", "_log", "_name", "_tail")

    def __init__(self, log: FieldLog, name: str = "", tail: Any = MISSING) -> None:  # noqa: ANN401 - any value
        self._log = log
        self._length = len(log.names)
        self._distinct = len(log.order)
        self._name = name
        self._tail = tail

    def find(self, name: object) -> Any:  # noqa: ANN401 - any value
        """Return what shows under a name, or MISSING."""
        if self._tail is not MISSING and name == self._name:
            return resolve(self._tail)
        return self._log.find(name, self._length)

    def is_finished(self, name: object) -> bool:
        """Tell whether what shows under a name is finished, and stays as it is."""
        growing = self._tail is not MISSING and name == self._name
        return not growing and self._log.is_settled(name, self._length)

    def is_read(self, name: object) -> bool:
        """Tell whether what shows under a name is finished, and what its type makes of it."""
        growing = self._tail is not MISSING and name == self._name
        return not growing and self._log.is_read(name, self._length)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any value
        value = self.find(name)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return self.find(name) is not MISSING

    def __iter__(self) -> Iterator[str]:
        yield from islice(self._log.order, self._distinct)
        if self._is_tail_new():
            yield self._name

    def __len__(self) -> int:
        return self._distinct + self._is_tail_new()

    def _is_tail_new(self) -> bool:
        return self._tail is not MISSING and self._log.find(self._name, self._length) is MISSING

    def __eq__(self, other: object) -> bool:
        return (
            dict(self) == dict(cast("Mapping[str, Any]", other))
            if isinstance(other, Mapping)
            else NotImplemented
        )

    def __repr__(self) -> str:
        return shown(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = [(name, value, self.is_finished(name)) for name, value in self.items()]
        return _rebuilt_object, (fields,)


def _rebuilt_object(fields: list[tuple[str, Any, bool]]) -> GrowingObject:
    log = FieldLog()
    for name, value, settled in fields:
        log.add(name, value, settled=settled)
    return GrowingObject(log)


class GrowingArray(Sequence[Any]):  # noqa: PLW1641 - a list has no hash
    """An array as far as it had come: its finished elements, and the one that is growing.

    Args:
        values: The finished elements.
        tail: What shows of the one that grows; MISSING where nothing does.
        unsettled: The indexes of elements that have yet to be read as what their type says.
    """

    __slots__ = ("_length", "_tail", "_unsettled", "_values")

    def __init__(
        self,
        values: list[Any],
        tail: Any = MISSING,  # noqa: ANN401 - any value
        unsettled: Collection[int] = (),
    ) -> None:
        self._values = values
        self._length = len(values)
        self._tail = tail
        self._unsettled = unsettled

    def is_finished(self, index: object) -> bool:
        """Tell whether there is an element at an index, and it is finished, and stays as it is."""
        if not isinstance(index, int):
            return False
        place = index if index >= 0 else index + len(self)
        return 0 <= place < self._length and place not in self._unsettled

    def is_read(self, index: object) -> bool:
        """Tell whether there is a finished element at an index, which is what its type makes of it."""
        if not isinstance(index, int):
            return False
        place = index if index >= 0 else index + len(self)
        raw: set[int] | None = getattr(self._values, "raw", None)
        return 0 <= place < self._length and (raw is None or place not in raw)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 - any value
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index if index >= 0 else index + len(self)
        if 0 <= place < self._length:
            return self._values[place]
        if place == self._length and self._tail is not MISSING:
            return resolve(self._tail)
        raise IndexError(f"there is no element {index} yet: {len(self)} have come")

    def __iter__(self) -> Iterator[Any]:
        yield from islice(self._values, self._length)
        if self._tail is not MISSING:
            yield resolve(self._tail)

    def __len__(self) -> int:
        return self._length + (self._tail is not MISSING)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GrowingArray | list | tuple):
            return NotImplemented
        return list(self) == list(cast("Sequence[Any]", other))

    def __repr__(self) -> str:
        return shown(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        unsettled = {place for place in range(len(self)) if not self.is_finished(place)}
        return GrowingArray, (list(self), MISSING, unsettled)


def shown(value: Any, deepest: int = _DEEPEST) -> str:  # noqa: ANN401 - any value
    """Return a repr of a value, cut where it is long or deep."""
    if isinstance(value, GrowingArray):
        return f"[{_listed((shown(item, deepest - 1) for item in value), len(value), deepest)}]"
    if isinstance(value, GrowingObject):
        fields = (f"{name!r}: {shown(item, deepest - 1)}" for name, item in value.items())
        return f"{{{_listed(fields, len(value), deepest)}}}"
    told = getattr(value.__class__, "_shown", None)
    return repr(value) if told is None else str(told(value, deepest))


def _listed(items: Iterator[str], count: int, deepest: int) -> str:
    if deepest <= 0:
        return "…" if count else ""
    listed = list(islice(items, _SHOWN))
    if count > _SHOWN:
        listed.append(f"… {count - _SHOWN:,} more")
    return ", ".join(listed)

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
    from tokenstream.partial_json._dump import Kept
    from tokenstream.partial_json._shape import Structure
    from tokenstream.partial_json._shape_write import ByAlias

__all__ = ["FieldLog", "GrowingArray", "GrowingObject", "GrowingText", "ValueLog", "resolve", "shown"]

_SHOWN = 20
"""Most elements that a repr shows; of more it tells how many there are."""
_DEEPEST = 40
"""How many views inside each other a repr shows: it is written by recursion."""


class GrowingText:
    """A string as far as it had come; it is joined when somebody looks."""

    __slots__ = ("_last", "_text", "length", "log")

    def __init__(self, log: TextLog) -> None:
        self.log = log
        self.length = log.length
        self._last = log.pieces[-1] if log.pieces else ""
        self._text: str | None = None

    def since(self, before: GrowingText) -> str:
        """Return what it has grown by since an earlier view of it."""
        if self.length - len(self._last) == before.length:
            # Mostly one piece: nothing has to be looked for then.
            return self._last
        return self.log.slices([before.length, self.length])

    def __str__(self) -> str:
        if self._text is None:
            self._text = self.log.slices([0, self.length])
        return self._text


def resolve(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return what a user sees of a value."""
    return str(value) if value.__class__ is GrowingText else value


class FieldLog:
    """The fields of an object in the order they finished; a name may come again."""

    __slots__ = ("_places", "_unsettled", "kept", "names", "order", "raw", "structure", "values")

    def __init__(self, structure: Structure | None = None) -> None:
        self.structure = structure
        """How the values were read; None where they show as they came."""
        self.raw: set[int] | None = None
        """Which of the values show as they came all the same."""
        self.kept: dict[ByAlias, Kept] = {}
        """What was written of them."""
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
        place = self.place(name, length)
        return MISSING if place is None else self.values[place]

    def is_settled(self, name: object, length: int) -> bool:
        """Tell whether a name had a value when `length` fields had finished that stays as it is."""
        place = self.place(name, length)
        return place is not None and place not in self._unsettled

    def is_read(self, name: object, length: int) -> bool:
        """Tell whether a name had a value that is what its type makes of it, and not what came."""
        place = self.place(name, length)
        return place is not None and (self.raw is None or place not in self.raw)

    def place(self, name: object, length: int) -> int | None:
        """Return where the value is that a name had when `length` fields had finished; None for none."""
        places = self._places.get(name) if isinstance(name, str) else None
        if places is None:
            return None
        before = bisect_left(places, length)
        return places[before - 1] if before else None


class ValueLog(list[Any]):
    """The elements of an array in the order they finished."""

    __slots__ = ("kept", "raw", "structure")

    def __init__(self, structure: Structure | None = None) -> None:
        super().__init__()
        self.structure = structure
        """How they were read; None where they show as they came."""
        self.raw: set[int] | None = None
        """Which of them show as they came all the same."""
        self.kept: dict[ByAlias, Kept] = {}
        """What was written of them."""

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

    __slots__ = ("_distinct", "length", "log", "name", "tail")

    rest: Mapping[str, Any] = {}
    """What shows of fields that have not come, by name."""

    @property
    def storage(self) -> FieldLog:
        """What holds the finished fields, for all views of the object."""
        return self.log

    def __init__(self, log: FieldLog, name: str = "", tail: Any = MISSING) -> None:  # noqa: ANN401 - any value
        self.log = log
        self.length = len(log.names)
        self._distinct = len(log.order)
        self.name = name
        self.tail = tail

    def find(self, name: object) -> Any:  # noqa: ANN401 - any value
        """Return what shows under a name, or MISSING."""
        if self.tail is not MISSING and name == self.name:
            return resolve(self.tail)
        return self.log.find(name, self.length)

    def is_finished(self, name: object) -> bool:
        """Tell whether what shows under a name is finished, and stays as it is."""
        growing = self.tail is not MISSING and name == self.name
        return not growing and self.log.is_settled(name, self.length)

    def is_read(self, name: object) -> bool:
        """Tell whether what shows under a name is finished, and what its type makes of it."""
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
    def repeats(self) -> bool:
        """Whether a name has come more than once."""
        return self._distinct != self.length or (self.tail is not MISSING and not self._is_tail_new())

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
        """What holds the finished elements, for all views of the array."""
        return self.values

    def is_finished(self, index: object) -> bool:
        """Tell whether there is an element at an index, and it is finished, and stays as it is."""
        if not isinstance(index, int):
            return False
        place = index if index >= 0 else index + len(self)
        return 0 <= place < self.length and place not in self._unsettled

    def is_read(self, index: object) -> bool:
        """Tell whether there is a finished element at an index, which is what its type makes of it."""
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
        raise IndexError(f"there is no element {index} yet: {len(self)} have come")

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

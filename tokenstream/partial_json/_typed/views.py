"""Immutable views of growing data: each is a length, and a log to which values are only appended.

Making a view takes constant time. A view never changes, because the part of the log
within its length is never written again. All views of an object or array share its log.
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
"""Maximum number of elements in a repr; the others are counted."""
_DEEPEST = 40
"""Maximum nesting in a repr, which is written by recursion."""


class GrowingText:
    """A growing string as of one moment; its pieces are joined when it is first used."""

    __slots__ = ("_last_piece", "_text", "length", "log")

    def __init__(self, log: TextLog) -> None:
        self.log = log
        self.length = log.length
        """The length of the text; what the log got later does not belong to this view."""
        self._last_piece = log.pieces[-1] if log.pieces else ""
        """The last piece of the text, which is mostly all that was added since the view before."""
        self._text: str | None = None

    def text_since(self, before: GrowingText) -> str:
        """Return the text that was added since an earlier view of the string."""
        if self.length - len(self._last_piece) == before.length:
            # In the usual case a single piece was added, and no search is needed.
            return self._last_piece
        return self.log.slice(before.length, self.length)

    def __str__(self) -> str:
        if self._text is None:
            self._text = self.log.slice(0, self.length)
        return self._text


def resolve(value: object) -> object:
    """Return growing text as a str; any other value unchanged."""
    return str(value) if value.__class__ is GrowingText else value


class FieldLog:
    """The finished fields of an object, in order; the same name may occur more than once.

    Methods with a parameter `length` look only at that many fields. Of several fields with the same
    name, the last one counts.
    """

    __slots__ = (
        "_positions",
        "_unvalidated",
        "cache",
        "names",
        "order",
        "plain_positions",
        "structure",
        "values",
    )

    def __init__(self, structure: ValueStructure | None = None) -> None:
        self.structure = structure
        """The structure that has validated the values one by one; None if the values are plain data."""
        self.plain_positions: set[int] | None = None
        """Positions of plain data, values that the structure has not read; None if there are none."""
        self.cache: dict[ByAlias, DumpCache] = {}
        self.names: list[str] = []
        self.values: list[Any] = []
        self.order: list[str] = []
        """Each name once, in the order in which they first occurred."""
        self._positions: dict[str, list[int]] = {}
        """Maps each name to its positions, in ascending order."""
        self._unvalidated: set[int] = set()
        """Positions of values that have not been validated yet."""

    def add(self, name: str, value: object, *, is_final: bool = True, is_plain: bool = False) -> None:
        """Add a finished field, which replaces an earlier one of the same name."""
        if is_plain:
            self.plain_positions = self.plain_positions or set()
            self.plain_positions.add(len(self.names))
        if not is_final:
            self._unvalidated.add(len(self.names))
        # The value is added before its position, because another thread may be reading.
        self.values.append(value)
        self.names.append(name)
        positions = self._positions.get(name)
        if positions is None:
            self._positions[name] = [len(self.names) - 1]
            self.order.append(name)
        else:
            positions.append(len(self.names) - 1)

    def find(self, name: object, length: int) -> object:
        """Return the value of a field; MISSING if the field is not among the first `length` fields."""
        position = self.find_position(name, length)
        return MISSING if position is None else self.values[position]

    def is_final(self, name: object, length: int) -> bool:
        """Return True if the value of a field is final: it cannot change any more."""
        position = self.find_position(name, length)
        return position is not None and position not in self._unvalidated

    def is_validated(self, name: object, length: int) -> bool:
        """Return True if a field was validated by its type; False if it is missing or only parsed JSON."""
        position = self.find_position(name, length)
        # Plain data is parsed JSON that the type has not validated.
        return position is not None and (self.plain_positions is None or position not in self.plain_positions)

    def find_position(self, name: object, length: int) -> int | None:
        """Return the last position of a field among the first `length` fields; None if it is not there."""
        positions = self._positions.get(name) if isinstance(name, str) else None
        if positions is None:
            return None
        count = bisect_left(positions, length)
        return positions[count - 1] if count else None


class ValueLog(list[Any]):
    """The finished elements of an array, to which elements are only appended; all views share it."""

    __slots__ = ("cache", "plain_positions", "structure")

    def __init__(self, structure: ValueStructure | None = None) -> None:
        super().__init__()
        self.structure = structure
        """The structure that has validated the elements one by one; None if they are plain data."""
        self.plain_positions: set[int] | None = None
        """Indexes of plain data, elements that the structure has not read; None if there are none."""
        self.cache: dict[ByAlias, DumpCache] = {}

    def add(self, value: object, *, is_plain: bool = False) -> None:
        """Add a finished element; `is_plain` is True if it is plain data, not validated by its type."""
        if is_plain:
            self.plain_positions = self.plain_positions or set()
            self.plain_positions.add(len(self))
        self.append(value)


class GrowingObject(Mapping[str, Any]):  # noqa: PLW1641 - a dict has no hash
    """An object as of one moment: its finished fields, and the field that is still growing.

    Args:
        log: The finished fields.
        name: The name of the growing field; "" if there is none.
        growing: As much of the growing field as is visible, or MISSING.
    """

    __slots__ = ("_distinct", "growing", "length", "log", "name")

    fillers: Mapping[str, Any] = {}
    """Maps fields that have not arrived to the values to show for them."""

    @property
    def storage(self) -> FieldLog:
        """The log of finished fields, which all views of the object share."""
        return self.log

    def __init__(self, log: FieldLog, name: str = "", growing: object = MISSING) -> None:
        self.log = log
        self.length = len(log.names)
        """The number of finished fields; later ones in the log do not belong to this view."""
        self._distinct = len(log.order)
        """The number of finished fields, where those of one name count once."""
        self.name = name
        """The name of the field that is growing; "" if there is none."""
        self.growing: Any = growing
        """The value of that field as far as it has arrived; MISSING if there is none."""

    def find(self, name: object) -> object:
        """Return the value of a field, finished or growing; MISSING if none of it is visible."""
        if self.growing is not MISSING and name == self.name:
            return resolve(self.growing)
        return self.log.find(name, self.length)

    def is_final(self, name: object) -> bool:
        growing = self.growing is not MISSING and name == self.name
        return not growing and self.log.is_final(name, self.length)

    def is_validated(self, name: object) -> bool:
        """Return True if the field `name` is finished and validated; False if it is kept as parsed JSON."""
        growing = self.growing is not MISSING and name == self.name
        return not growing and self.log.is_validated(name, self.length)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - any value
        value = self.find(name)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return self.find(name) is not MISSING

    def __iter__(self) -> Iterator[str]:
        yield from islice(self.log.order, self._distinct)
        if self._is_growing_new():
            yield self.name

    def __len__(self) -> int:
        return self._distinct + self._is_growing_new()

    def _is_growing_new(self) -> bool:
        return self.growing is not MISSING and self.log.find(self.name, self.length) is MISSING

    @property
    def has_repeats(self) -> bool:
        """True if a name occurs more than once."""
        return self._distinct != self.length or (self.growing is not MISSING and not self._is_growing_new())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self) == dict(cast("Mapping[str, Any]", other))

    def __repr__(self) -> str:
        return make_repr(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle and `copy` need: the fields' names and values, and if each value is final."""
        return _rebuild_object, ([(name, value, self.is_final(name)) for name, value in self.items()],)


def _rebuild_object(fields: list[tuple[str, Any, bool]]) -> GrowingObject:
    """Return an object as `GrowingObject.__reduce__` describes it: names, values, and if they are final."""
    log = FieldLog()
    for name, value, is_final in fields:
        log.add(name, value, is_final=is_final)
    return GrowingObject(log)


class GrowingArray(Sequence[Any]):  # noqa: PLW1641 - a list has no hash
    """An array as of one moment: its finished elements, and the element that is still growing.

    Args:
        values: The finished elements.
        growing: As much of the growing element as is visible, or MISSING.
        unvalidated: Indexes of elements that have not been validated yet.
    """

    __slots__ = ("_unvalidated", "growing", "length", "values")

    def __init__(
        self, values: list[Any], growing: object = MISSING, unvalidated: Collection[int] = ()
    ) -> None:
        self.values = values
        # The list grows further, so the number of its elements at this moment is kept.
        self.length = len(values)
        self.growing: Any = growing
        """The element that is growing, as far as it has arrived; MISSING if there is none."""
        self._unvalidated = unvalidated

    @property
    def storage(self) -> object:
        """The list of finished elements, which all views of the array share."""
        return self.values

    def is_final(self, index: object) -> bool:
        if not isinstance(index, int):
            return False
        position = index if index >= 0 else index + len(self)
        return 0 <= position < self.length and position not in self._unvalidated

    def is_validated(self, index: object) -> bool:
        """Return True if an element is finished and validated; False if it is kept as parsed JSON."""
        if not isinstance(index, int):
            return False
        position = index if index >= 0 else index + len(self)
        # Only a `ValueLog` has such positions.
        plain_positions: set[int] | None = getattr(self.values, "plain_positions", None)
        return 0 <= position < self.length and (plain_positions is None or position not in plain_positions)

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 - any value
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index if index >= 0 else index + len(self)
        if 0 <= position < self.length:
            return self.values[position]
        if position == self.length and self.growing is not MISSING:
            return resolve(self.growing)
        raise IndexError(f"no element {index} yet: {len(self)} have arrived")

    def __iter__(self) -> Iterator[Any]:
        yield from islice(self.values, self.length)
        if self.growing is not MISSING:
            yield resolve(self.growing)

    def __len__(self) -> int:
        return self.length + (self.growing is not MISSING)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GrowingArray | list | tuple):
            return NotImplemented
        return list(self) == list(cast("Sequence[Any]", other))

    def __repr__(self) -> str:
        return make_repr(self, _DEEPEST)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle and `copy` need: the elements, and which of them are not final.

        A growing element becomes an ordinary element that is not final.
        """
        unvalidated = {position for position in range(len(self)) if not self.is_final(position)}
        return GrowingArray, (list(self), MISSING, unvalidated)


def make_repr(value: object, deepest: int = _DEEPEST) -> str:
    """Return a repr of a value, shortened if the value is long or nested more than `deepest` levels deep."""
    if isinstance(value, GrowingArray):
        return f"[{_join_items((make_repr(item, deepest - 1) for item in value), len(value), deepest)}]"
    if isinstance(value, GrowingObject):
        fields = (f"{name!r}: {make_repr(item, deepest - 1)}" for name, item in value.items())
        return f"{{{_join_items(fields, len(value), deepest)}}}"
    # A private method of `Partial`, found by its name because `Partial` cannot be imported here.
    make_own_repr = getattr(value.__class__, "_make_repr", None)
    return repr(value) if make_own_repr is None else str(make_own_repr(value, deepest))


def _join_items(items: Iterator[str], count: int, deepest: int) -> str:
    """Return the reprs of items, joined by commas; "…" if the items are nested too deeply to be shown.

    The items beyond the maximum are replaced by their number.
    """
    if deepest <= 0:
        return "…" if count else ""
    listed = list(islice(items, _MOST_ITEMS))
    if count > _MOST_ITEMS:
        listed.append(f"… {count - _MOST_ITEMS:,} more")
    return ", ".join(listed)

"""Values shown for fields that have not arrived: defaults of the type, or values of the finished object."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._typed.views import FieldLog, GrowingObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenstream.partial_json._shapes.shape import Slot
    from tokenstream.partial_json._typed.open import Open


class Defaults:
    """The defaults of an object's fields, made anew for each object so that no mutable value is shared.

    Args:
        makers: A function for each field, which returns its default; MISSING if there is none.

    Example:
        >>> made = Defaults({"tags": list, "tries": lambda: 3}).make()
        >>> made
        {'tags': [], 'tries': 3}
    """

    __slots__ = ("_makers",)

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers

    def make(self) -> dict[str, Any]:
        """Return the defaults by name, in the order of the fields."""
        made = {name: make() for name, make in self._makers.items()}
        return {name: value for name, value in made.items() if value is not MISSING}


class Filling:
    """Fills the objects of one document with the defaults of their types.

    Args:
        slot: The slot of the whole document.
    """

    __slots__ = ("_first", "_slot")

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._first: dict[str, Any] | None = None
        """The defaults of the outermost object, which are shown even before the object begins."""

    @property
    def unbegun(self) -> GrowingObject | None:
        """The value to show before the document begins; None unless it is an object with defaults."""
        if self._first is None:
            defaults = self._slot.defaults()
            self._first = {} if defaults is None else defaults.make()
        return FilledObject(FieldLog(), "", MISSING, self._first) if self._first else None

    def begin(self, node: Open) -> None:
        """Set the defaults of an object that has just begun."""
        if node.is_object and node.slot.face is not None and node.rest is None:
            defaults = node.slot.defaults()
            if node.parent is None and self._first is not None:
                node.rest = self._first
            elif defaults is not None:
                node.rest = defaults.make()

    @staticmethod
    def choose(node: Open) -> None:
        """Set the defaults of an object once the member of the union is known."""
        defaults = None if node.structure is None else node.structure.defaults()
        if defaults is not None and node.rest is None:
            node.rest = defaults.make()


class FilledObject(GrowingObject):
    """A `GrowingObject` that also shows values for fields that have not arrived.

    Args:
        log: The finished fields.
        name: The name of the growing field; "" if there is none.
        tail: As much of the growing field as is visible, or MISSING.
        rest: Maps fields that have not arrived to the values to show for them.
    """

    __slots__ = ("rest",)

    def __init__(self, log: FieldLog, name: str, tail: Any, rest: Mapping[str, Any]) -> None:  # noqa: ANN401 - any value
        super().__init__(log, name, tail)
        self.rest = rest

    def find(self, name: object) -> Any:  # noqa: ANN401 - any value
        found = super().find(name)
        return self.rest.get(name, MISSING) if found is MISSING and isinstance(name, str) else found

    def is_read(self, name: object) -> bool:
        return super().is_read(name) or (name in self.rest and super().find(name) is MISSING)

    def __iter__(self) -> Iterator[str]:
        return chain(super().__iter__(), self._list_missing())

    def __len__(self) -> int:
        return super().__len__() + sum(1 for _ in self._list_missing())

    def _list_missing(self) -> Iterator[str]:
        """Yield the names of the fields that have not arrived."""
        find = super().find
        return (name for name in self.rest if find(name) is MISSING)

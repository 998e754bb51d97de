"""Values shown for fields that have not arrived: defaults of the type, or values of the finished object."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._typed.views import FieldLog, GrowingObject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tokenstream.partial_json._shapes.shape import FieldValues, Slot
    from tokenstream.partial_json._typed.open import OpenContainer


class DefaultsFiller:
    """Sets the defaults to show for fields of one document that have not arrived.

    Args:
        slot: The slot of the whole document.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._first_defaults: FieldValues | None = None
        """The defaults of the outermost object, which are shown even before the object begins."""

    @property
    def view_before_document(self) -> GrowingObject | None:
        """The value to show before the document begins; None unless it is an object with defaults."""
        if self._first_defaults is None:
            self._first_defaults = self._slot.find_defaults() or {}
        if not self._first_defaults:
            return None
        return FilledObject(FieldLog(), name="", growing=MISSING, fillers=self._first_defaults)

    def set_defaults(self, node: OpenContainer) -> None:
        """Set the defaults that an object shows for its missing fields; `node` is the object, just begun."""
        # Only types with fields have `type_names`. The defaults are set once, so that they stay the same.
        if node.is_object and node.slot.type_names is not None and node.fillers is None:
            if node.parent is None and self._first_defaults is not None:
                # The outermost object: its defaults were shown before it began, and stay the same.
                node.fillers = self._first_defaults
            else:
                node.fillers = node.slot.find_defaults()

    @staticmethod
    def set_member_defaults(node: OpenContainer) -> None:
        """Set the defaults of an object of a union, once the member of the union is known."""
        if node.structure is not None and node.fillers is None:
            node.fillers = node.structure.find_defaults()


class FilledObject(GrowingObject):
    """A `GrowingObject` that also shows values for fields that have not arrived.

    Args:
        log: The finished fields.
        name: The name of the growing field; "" if there is none.
        growing: As much of the growing field as is visible, or MISSING.
        fillers: Maps fields that have not arrived to the values to show for them.
    """

    __slots__ = ("fillers",)

    def __init__(self, log: FieldLog, name: str, growing: object, fillers: Mapping[str, Any]) -> None:
        super().__init__(log, name, growing)
        self.fillers = fillers

    def find(self, name: object) -> object:
        """Return what has arrived of a field, else its default from `fillers`, else MISSING."""
        found = super().find(name)
        return self.fillers.get(name, MISSING) if found is MISSING and isinstance(name, str) else found

    def is_validated(self, name: object) -> bool:
        """Return True if the field `name` is finished and validated, or is shown by its default."""
        return super().is_validated(name) or (name in self.fillers and super().find(name) is MISSING)

    def __iter__(self) -> Iterator[str]:
        return chain(super().__iter__(), self._list_missing())

    def __len__(self) -> int:
        # Fields with defaults count even if they have not arrived.
        return super().__len__() + sum(1 for _ in self._list_missing())

    def _list_missing(self) -> Iterator[str]:
        """Yield the names of the fields that have a default to show and have not arrived."""
        find = super().find
        return (name for name in self.fillers if find(name) is MISSING)

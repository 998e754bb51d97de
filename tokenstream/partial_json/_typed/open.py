"""Nodes of a draft, each of which represents an open object or array while its type reads the values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import RAW, Slot, TagChoice, ValueStructure
from tokenstream.partial_json._typed.defaults import FilledObject
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, ValueLog

if TYPE_CHECKING:
    from tokenstream.partial_json._events import ValueStart
    from tokenstream.partial_json._shapes.shape import Entries
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json._typed.state import FaultLink


class Open:
    """A node of a draft: an open object or array, with its entries and its view.

    Args:
        parent: The node of the container around it; None for the document itself.
        event: The event that began the object or array.
        name: The name under which the parent's view shows it; None if it is hidden.
        slot: The slot of its type.
        structure: Reads the values one by one; None if this or an outer container is read as a whole.
        how: The unit in which strings in it become visible.
        fault: The last error found before it.
        inside: True if it is part of a value that is read as a whole.
    """

    __slots__ = (
        "doubtful",
        "entries",
        "failed",
        "fault",
        "how",
        "inside",
        "is_object",
        "key",
        "log",
        "name",
        "parent",
        "place",
        "rest",
        "settles",
        "shows",
        "slot",
        "start",
        "structure",
        "tags",
        "telling",
        "unsettled",
        "values",
        "whole",
    )

    def __init__(
        self,
        parent: Open | None,
        event: ValueStart,
        name: str | int | None,
        slot: Slot,
        structure: ValueStructure | None,
        *,
        how: How,
        fault: FaultLink | None,
        inside: bool,
    ) -> None:
        self.parent = parent
        self.key = 0 if event.key is None else event.key
        self.name = name
        self.slot = slot
        self.structure = structure
        self.start = event.offset
        self.fault = fault
        self.is_object = event.kind == "object"
        self.shows: bool = name is not None and (parent is None or parent.shows)
        """True if the object or array is visible in snapshots."""
        self.how: How = how
        """The unit in which strings in it become visible."""
        self.inside = inside
        self.whole = structure is None and not inside
        """True if the object or array is read as a whole, from an excerpt of the text."""
        self.settles: bool = slot.plain if parent is None or not inside else parent.settles
        """True if the values in it are already final before the whole has been read."""
        self.log = FieldLog(structure)
        """The fields of an object, as they are shown."""
        self.values = ValueLog(structure)
        """The elements of an array, as they are shown."""
        self.unsettled: set[int] = set()
        """Indexes of elements that have not been validated yet."""
        self.rest: dict[str, Any] | None = None
        """Maps fields that have not arrived to the values to show for them; None if there are none."""
        self.entries: Entries = {}
        """Maps keys to validated values, `InvalidEntry` or `Unread`; empty if it is read as a whole."""
        self.place: tuple[str | int, ...] | None = None
        """Cached `loc`, which remains valid: the containers around an open value keep their structure."""
        self.failed: set[str | int] = set()
        """Keys whose values are invalid."""
        self.tags: dict[str | int, Any] = {}
        """Maps possible discriminators of a `TagChoice` to their values."""
        self.telling: set[str | int] = set()
        """Discriminators that were used for a choice; if one of them is repeated, the object is doubtful."""
        self.doubtful = False
        """True if the text must be read again as a whole when the object or array closes."""

    def find_child(self, key: str | int) -> tuple[Slot, str | int | None]:
        """Return the slot of a key, and the name under which the value is shown; None if it is hidden."""
        structure = self.structure
        if structure is None or isinstance(structure, TagChoice):
            return RAW, self.slot.name(key) if isinstance(key, str) else key
        slot = structure.slot(key)
        if slot is not None:
            return slot, structure.name(key)
        return RAW, None if structure.closed else key

    def show(
        self,
        name: str | int | None,
        value: Any,  # noqa: ANN401 - any value
        *,
        settled: bool = True,
        raw: bool = False,
    ) -> None:
        """Add a finished value to the view.

        Args:
            name: The name under which the value is shown; None if it is hidden.
            value: The value.
            settled: True if the value is final; False if it has not been validated yet.
            raw: True if it is shown as plain data, False if it was read by its type.
        """
        if isinstance(name, str):
            self.log.add(name, value, settled=settled, raw=raw)
        elif name is not None:
            if not settled:
                self.unsettled.add(len(self.values))
            self.values.add(value, raw=raw)

    def settle(self, name: str | int | None) -> None:
        """Mark the plain value that is shown under a name as final."""
        value = self.log.find(name, len(self.log.names))
        if value is not MISSING:
            self.show(name, value, raw=True)

    def view(self, name: str | int | None = None, tail: Any = MISSING) -> GrowingObject | GrowingArray:  # noqa: ANN401 - any value
        """Return the object or array as far as it has arrived, for a snapshot.

        Args:
            name: The name of the value in it that is still arriving; None if there is none.
            tail: As much of that value as is visible, or MISSING.
        """
        if not self.is_object:
            return GrowingArray(self.values, tail, self.unsettled)
        if self.rest is not None:
            return FilledObject(self.log, name if isinstance(name, str) else "", tail, self.rest)
        return GrowingObject(self.log, name, tail) if isinstance(name, str) else GrowingObject(self.log)

    @property
    def loc(self) -> tuple[str | int, ...]:
        """The beginning of the locations of errors inside the object or array."""
        unknown: list[Open] = []
        node = self
        while node.place is None and node.parent is not None:
            unknown.append(node)
            node = node.parent
        loc = node.place or ()
        for inner in reversed(unknown):
            loc = inner.place = (*loc, *node.locate(inner.key))
            node = inner
        return loc

    def locate(self, key: str | int) -> tuple[str | int, ...]:
        """Return the location of a key in errors, relative to this container."""
        return (key,) if self.structure is None else self.structure.loc(key)

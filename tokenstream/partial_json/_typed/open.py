"""Nodes of a draft: an open object or array, its finished values, and how its type reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import RAW, Slot, TagChoice, ValueStructure
from tokenstream.partial_json._typed.defaults import FilledObject
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, ValueLog

if TYPE_CHECKING:
    from tokenstream.partial_json._shapes.shape import Entries
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json._typed.state import FaultLink
    from tokenstream.partial_json.events import ValueStart


class Open:
    """A node of a draft: an open object or array, with its entries and its view.

    Args:
        parent: The container around it; None for the document itself.
        event: The event of its start.
        name: Its name in the parent's view; None if it does not show.
        slot: The slot of its type.
        structure: Reads its values one by one; None if it, or a container around it, is read whole.
        how: When the strings in it show.
        fault: The last fault found before it.
        inside: True if it is part of a value that is read whole.
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
        """True if it is visible in snapshots."""
        self.how: How = how
        """The moment at which strings in it show."""
        self.inside = inside
        self.whole = structure is None and not inside
        """True if it is read whole, from an excerpt of the text."""
        self.settles: bool = slot.plain if parent is None or not inside else parent.settles
        """True if the values inside show exactly as the whole will have them."""
        self.log = FieldLog(structure)
        """The shown fields of an object."""
        self.values = ValueLog(structure)
        """The shown elements of an array."""
        self.unsettled: set[int] = set()
        """Indexes of elements that have not been validated yet."""
        self.rest: dict[str, Any] | None = None
        """Values shown for fields that have not arrived; None if there are none."""
        self.entries: Entries = {}
        """Entries by key: validated values, `Failed` and `Unread`; empty if it is read whole."""
        self.place: tuple[str | int, ...] | None = None
        """Cached `loc`; it stays valid, since the containers around an open value keep their structure."""
        self.failed: set[str | int] = set()
        """Keys whose values are invalid."""
        self.tags: dict[str | int, Any] = {}
        """Values of possible discriminators of a `TagChoice`, by key."""
        self.telling: set[str | int] = set()
        """Discriminators already used; if one comes again, the object is doubtful."""
        self.doubtful = False
        """True if its text must be read again as a whole when it closes."""

    def find_child(self, key: str | int) -> tuple[Slot, str | int | None]:
        """Return the slot of a key, and the name under which its value shows."""
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
            name: The name under which it shows; None if it does not show.
            value: The value.
            settled: True if it is final; False if it is still to be validated.
            raw: True if it shows as it came, not as its type reads it.
        """
        if isinstance(name, str):
            self.log.add(name, value, settled=settled, raw=raw)
        elif name is not None:
            if not settled:
                self.unsettled.add(len(self.values))
            self.values.add(value, raw=raw)

    def settle(self, name: str | int | None) -> None:
        """Mark the raw value that shows under a name as final."""
        value = self.log.find(name, len(self.log.names))
        if value is not MISSING:
            self.show(name, value, raw=True)

    def view(self, name: str | int | None = None, tail: Any = MISSING) -> GrowingObject | GrowingArray:  # noqa: ANN401 - any value
        """Return the view of it so far.

        Args:
            name: The name of the growing value inside it.
            tail: The part of that value that shows, or MISSING.
        """
        if not self.is_object:
            return GrowingArray(self.values, tail, self.unsettled)
        if self.rest is not None:
            return FilledObject(self.log, name if isinstance(name, str) else "", tail, self.rest)
        return GrowingObject(self.log, name, tail) if isinstance(name, str) else GrowingObject(self.log)

    @property
    def loc(self) -> tuple[str | int, ...]:
        """Prefix of the locations of errors inside it."""
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

"""An object or array that is open: what has come of it, and what its type makes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._defaults import FilledObject
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shape import RAW, Choice, Slot, Structure
from tokenstream.partial_json._views import FieldLog, GrowingArray, GrowingObject, ValueLog

if TYPE_CHECKING:
    from tokenstream.partial_json._shape import Entries
    from tokenstream.partial_json._show import How
    from tokenstream.partial_json._state import Fault
    from tokenstream.partial_json.events import ValueStart

__all__ = ["Open"]


class Open:
    """An object or array that is open.

    Args:
        parent: What it stands in; None around the document.
        event: What told of its start.
        name: What it shows as in its parent; None where it does not show.
        slot: What its type asks of it.
        structure: How its values are read; None where it is read whole, or is part of what is.
        how: When the strings in it show.
        fault: The last fault found before it.
        inside: Whether it is part of a value that is read whole.
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
        structure: Structure | None,
        *,
        how: How,
        fault: Fault | None,
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
        """Whether anything of it shows."""
        self.how: How = how
        """When the strings in it show."""
        self.inside = inside
        self.whole = structure is None and not inside
        """Whether it is read whole, from a text that is being kept for it."""
        self.settles: bool = slot.plain if parent is None or not inside else parent.settles
        """Whether what is read whole shows inside as it is read in the end."""
        self.log = FieldLog(structure)
        """The fields of an object, as they show."""
        self.values = ValueLog(structure)
        """The elements of an array, as they show."""
        self.unsettled: set[int] = set()
        """Which of the elements have yet to be read as what their type says."""
        self.rest: dict[str, Any] | None = None
        """What shows of fields that have not come; None where such do not show."""
        self.entries: Entries = {}
        """What was read, by key; empty where it is read whole."""
        self.place: tuple[str | int, ...] | None = None
        """`loc`, once it was asked for: what an open value stands in does not change its mind."""
        self.failed: set[str | int] = set()
        """The keys whose values were invalid."""
        self.tags: dict[str | int, Any] = {}
        """What may tell which structure a `Choice` is, by key."""
        self.telling: set[str | int] = set()
        """The keys that have told which structure it is: each may do so once."""
        self.doubtful = False
        """Whether it has to be read whole after all, when it closes."""

    def child(self, key: str | int) -> tuple[Slot, str | int | None]:
        """Return what stands at a key, and the name that it shows as."""
        structure = self.structure
        if structure is None or isinstance(structure, Choice):
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
        """Let a finished value show.

        Args:
            name: What it shows as; None where it does not.
            value: The value.
            settled: Whether it stays as it is, and has not yet to be read as what its type says.
            raw: Whether it shows as it came.
        """
        if isinstance(name, str):
            self.log.add(name, value, settled=settled, raw=raw)
        elif name is not None:
            if not settled:
                self.unsettled.add(len(self.values))
            self.values.add(value, raw=raw)

    def settle(self, name: str | int | None) -> None:
        """Say that what shows under a name stays as it is."""
        value = self.log.find(name, len(self.log.names))
        if value is not MISSING:
            self.show(name, value, raw=True)

    def view(self, name: str | int | None = None, tail: Any = MISSING) -> GrowingObject | GrowingArray:  # noqa: ANN401 - any value
        """Return what shows of it.

        Args:
            name: What the value that grows in it shows as.
            tail: What shows of that value, or MISSING.
        """
        if not self.is_object:
            return GrowingArray(self.values, tail, self.unsettled)
        if self.rest is not None:
            return FilledObject(self.log, name if isinstance(name, str) else "", tail, self.rest)
        return GrowingObject(self.log, name, tail) if isinstance(name, str) else GrowingObject(self.log)

    @property
    def loc(self) -> tuple[str | int, ...]:
        """What the locations of errors in it begin with."""
        unknown: list[Open] = []
        node = self
        while node.place is None and node.parent is not None:
            unknown.append(node)
            node = node.parent
        loc = node.place or ()
        for inner in reversed(unknown):
            loc = inner.place = (*loc, *node.loc_of(inner.key))
            node = inner
        return loc

    def loc_of(self, key: str | int) -> tuple[str | int, ...]:
        """Return how errors name a key of it."""
        return (key,) if self.structure is None else self.structure.loc(key)

"""Unfinished objects and arrays in a draft, a typed object that is read while its JSON text arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import PLAIN_SLOT, Slot, TagChoice, ValueStructure
from tokenstream.partial_json._typed.defaults import FilledObject
from tokenstream.partial_json._typed.views import FieldLog, GrowingArray, GrowingObject, ValueLog

if TYPE_CHECKING:
    from tokenstream.partial_json._events import KeyOrIndex, Path, ValueStart
    from tokenstream.partial_json._shapes.shape import Entries, FieldValues
    from tokenstream.partial_json._show import ShowUnit
    from tokenstream.partial_json._typed.state import FaultLink


class OpenContainer:
    """A node of a draft: an open object or array ("the container"), with its entries and its view."""

    __slots__ = (
        "cached_location",
        "entries",
        "fault_before",
        "fillers",
        "in_whole",
        "invalid_keys",
        "is_object",
        "is_read_whole",
        "is_visible",
        "key",
        "log",
        "must_reread",
        "name",
        "parent",
        "show_unit",
        "slot",
        "start",
        "structure",
        "tag_values",
        "unvalidated",
        "used_discriminators",
        "values",
        "values_are_final",
    )

    def __init__(
        self,
        parent: OpenContainer | None,
        event: ValueStart,
        name: KeyOrIndex | None,
        slot: Slot,
        structure: ValueStructure | None,
        *,
        show_unit: ShowUnit,
        fault_before: FaultLink | None,
        in_whole: bool,
    ) -> None:
        # Place of the object or array.
        self.parent = parent
        # Only the document itself has no key.
        self.key = 0 if event.key is None else event.key
        self.start = event.offset
        self.is_object = event.kind == "object"
        self.cached_location: Path | None = None
        """Cached `location`, which stays valid: the containers around an open one keep their structure."""
        self.fault_before = fault_before
        """The newest validation error before the object or array; None if there was none."""

        # Rules for reading its values.
        self.slot = slot
        self.structure = structure
        self.in_whole = in_whole
        """True if the object or array is inside a container that is read as a whole."""
        self.is_read_whole = structure is None and not in_whole
        """True if the object or array is read as a whole, from its text."""
        self.values_are_final: bool = (
            slot.is_plain if parent is None or not in_whole else parent.values_are_final
        )
        """True if the values in the container are final as soon as they are finished.

        In a container that is read as a whole, only plain data is: validation may change any other value.
        """
        self.must_reread = False
        """True if the text must be read again as a whole when the object or array closes."""
        self.entries: Entries = {}
        """Maps keys to validated values, `InvalidEntry` or `UnreadEntry`; empty if all is read as a whole."""
        self.invalid_keys: set[KeyOrIndex] = set()
        self.tag_values: dict[KeyOrIndex, Any] = {}
        """Maps possible discriminators of a `TagChoice` to their values."""
        self.used_discriminators: set[KeyOrIndex] = set()
        """Discriminators that were used for a choice; if one is repeated, the object must be read again."""

        # Its appearance in snapshots.
        self.name = name
        self.is_visible: bool = name is not None and (parent is None or parent.is_visible)
        self.show_unit: ShowUnit = show_unit
        self.log = FieldLog(structure)
        self.values = ValueLog(structure)
        self.unvalidated: set[int] = set()
        """Indexes of elements that have not been validated yet."""
        self.fillers: FieldValues | None = None
        """Maps fields that have not arrived to the values to show for them; None if there are none."""

    def find_child(self, key: KeyOrIndex) -> tuple[Slot, KeyOrIndex | None]:
        """Return the slot that reads a key's value, and the name under which it is shown (None: hidden)."""
        structure = self.structure
        if structure is None or isinstance(structure, TagChoice):
            # Read as a whole, or no member of the union is chosen yet.
            return PLAIN_SLOT, self.slot.find_name(key) if isinstance(key, str) else key
        slot = structure.find_slot(key)
        if slot is not None:
            return slot, structure.find_name(key)
        # The type does not define the key.
        return PLAIN_SLOT, None if structure.hides_unknown_keys else key

    def add_value(
        self, name: KeyOrIndex | None, value: object, *, is_final: bool = True, is_plain: bool = False
    ) -> None:
        """Add a finished value to the view, hidden if its name is None; it may change until it `is_final`."""
        if isinstance(name, str):
            self.log.add(name, value, is_final=is_final, is_plain=is_plain)
        elif name is not None:
            if not is_final:
                self.unvalidated.add(len(self.values))
            self.values.add(value, is_plain=is_plain)

    def mark_final(self, name: KeyOrIndex | None) -> None:
        """Record that a value which is shown as plain data is final: it will not be validated later."""
        value = self.log.find(name, len(self.log.names))
        if value is not MISSING:
            # A field that is added again takes the place of the earlier one, and is final by default.
            self.add_value(name, value, is_plain=True)

    def make_view(
        self, name: KeyOrIndex | None = None, growing: object = MISSING
    ) -> GrowingObject | GrowingArray:
        """Return the object or array as far as it has arrived, for a snapshot."""
        if not self.is_object:
            return GrowingArray(self.values, growing, self.unvalidated)
        # Without the name of a visible field that is arriving, only the finished fields are shown.
        field_name = name if isinstance(name, str) else ""
        if self.fillers is not None:
            return FilledObject(self.log, field_name, growing, self.fillers)
        return GrowingObject(self.log, field_name, growing if isinstance(name, str) else MISSING)

    @property
    def location(self) -> Path:
        """The beginning of the locations of errors inside the object or array."""
        # Not recursive: documents may be nested more deeply than calls.
        not_cached: list[OpenContainer] = []
        node = self
        while node.cached_location is None and node.parent is not None:
            not_cached.append(node)
            node = node.parent
        location = node.cached_location or ()
        for inner in reversed(not_cached):
            location = inner.cached_location = (*location, *node.locate(inner.key))
            node = inner
        return location

    def locate(self, key: KeyOrIndex) -> Path:
        """Return the location of a key in errors, relative to this container."""
        return (key,) if self.structure is None else self.structure.locate(key)

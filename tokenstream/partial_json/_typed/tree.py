"""The tree of values behind drafts of an object: each is read by its type as soon as its text is complete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from tokenstream.partial_json._events import CONTAINERS, KeyOrIndex, Path, StringDelta, ValueDone
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._shapes.shape import (
    PLAIN_SLOT,
    ContextNeeded,
    InvalidEntry,
    InvalidValue,
    TagChoice,
    UnreadEntry,
)
from tokenstream.partial_json._show import Cutter, ShowUnit, make_log
from tokenstream.partial_json._typed.at_once import pick_fields
from tokenstream.partial_json._typed.open import OpenContainer
from tokenstream.partial_json._typed.partial import Partial
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject, GrowingText

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.text_log import TextLog
    from tokenstream.errors import InvalidJSON, LimitExceeded
    from tokenstream.partial_json._events import JSONEvents, ValueStart
    from tokenstream.partial_json._parser import OutputParser
    from tokenstream.partial_json._shapes.shape import FoundErrors, Slot, ValueStructure
    from tokenstream.partial_json._typed.defaults import DefaultsFiller

_WITHOUT_VALUE = (InvalidEntry, UnreadEntry)
"""The classes that take the place of a validated value, among the values of an object or array."""
_MOST_REREAD = 4
"""Maximum text to read again, in lengths of the document; beyond it, a value waits for its container.

Otherwise, nested objects that each repeat a key would be read once for each level around them.
"""


class ValueTree:
    """The values of a document, built from the parser's events.

    A value that is read as a whole is validated from its text, which the document keeps. An object
    or array with a structure is assembled from the entries in it, when its closing bracket arrives.

    Args:
        parser: The parser, for its error and its repairs.
        document: The text and the options of the document.
        slot: The slot of the document's type.
        filler: Shows defaults for fields that have not arrived; None to show none.
        show_unit: The unit in which strings become visible, unless their type defines it.
        words: Makes an object that cuts text into words.
    """

    def __init__(
        self,
        parser: OutputParser,
        document: DocumentText,
        slot: Slot,
        *,
        filler: DefaultsFiller | None,
        show_unit: ShowUnit,
        words: Callable[[], Cutter] | None,
    ) -> None:
        self._parser = parser
        self._document = document
        self._slot = slot
        self._filler = filler
        self._show_unit: ShowUnit = show_unit
        self._words = words
        """Makes an object that cuts text into words, for strings that become visible by words."""
        self._top: OpenContainer | None = None
        """The innermost open object or array."""
        self._text: TextLog | None = None
        """The open string; None if no string is open, or if it is not visible."""
        self._scalar_slot = slot
        """The slot of the open string, number or literal."""
        self._scalar_start = 0
        """The offset at which the open string, number or literal begins."""
        self._scalar_name: KeyOrIndex | None = None
        """The name under which the open string, number or literal is shown; None if it is hidden."""
        self._scalar_in_whole = False
        """True if the open string, number or literal is part of a value that is read as a whole."""
        self._reread_length = 0
        """Number of characters that were read again so far; `_MOST_REREAD` limits it."""
        self.faults: FaultLink | None = None
        """The newest validation error."""
        self.root: Any = MISSING
        """The value to show once the document is finished; MISSING before that."""
        self.outcome: Any = MISSING
        """The finished, validated document; MISSING if it is invalid or unfinished."""

    # -- snapshots ----------------------------------------------------------------

    def make_view(
        self, end: int, error: InvalidJSON | LimitExceeded | None
    ) -> tuple[Any, GrowingObject | GrowingArray | None]:
        """Return the document as far as it is shown, and the innermost open object or array that is shown."""
        # From the innermost value outwards: each container shows the open value in it.
        growing: Any = MISSING if self._text is None else GrowingText(self._text)
        innermost: GrowingObject | GrowingArray | None = None
        name = self._scalar_name
        node = self._top
        while node is not None and node.parent is not None:
            if node.is_visible:
                view = node.make_view(name, growing)
                # Compared with None because truth would compute the length of the view.
                innermost = view if innermost is None else innermost
                growing = self._make_nested_partial(node, view, end, error)
            else:
                # A hidden container hides everything in it.
                growing, innermost = MISSING, None
            name = node.name
            node = node.parent
        if node is not None and node.is_visible:
            growing = node.make_view(name, growing)
            innermost = growing if innermost is None else innermost
        elif self.root is not MISSING:
            growing = self.root
        return growing, innermost

    def _make_nested_partial(
        self,
        node: OpenContainer,
        view: Any,  # noqa: ANN401 - any value
        end: int,
        error: InvalidJSON | LimitExceeded | None,
        *,
        complete: bool = False,
        is_final: bool = True,
    ) -> object:
        """Return the view of a nested object as a `Partial`; a view without fields, unchanged."""
        type_names = node.slot.type_names
        if type_names is None or not node.is_object:
            return view
        document, faults = self._document, self.faults
        repair_count = self._parser.repair_count if document.lenient else 0
        # `_make` with a tuple (in the order of the fields) takes a fifth of the time, and each piece makes a
        # snapshot.
        state = SnapshotState._make(
            (
                document,
                node.start,
                end,
                complete,
                faults,
                node.fault_before,
                error,
                MISSING,  # its finished value is in the snapshot of the document
                is_final,
                repair_count,
                None,  # only a snapshot of the whole document has the innermost container
            )
        )
        partial: Partial[Any] = Partial(type_names, view, MISSING, state)
        return partial

    # -- events -------------------------------------------------------------------

    def feed(self, events: JSONEvents) -> bool:
        """Update the values by the events of a piece; return True if something visible has changed."""
        changed = False
        for event in events:
            if isinstance(event, StringDelta):
                log = self._text
                if log is not None:
                    shown_length = log.length
                    log.append(event.text)
                    # A log that shows only whole words does not grow with each piece.
                    changed = changed or log.length > shown_length
            elif isinstance(event, ValueDone):
                changed = self._finish_value(event) or changed
            else:
                changed = self._begin_value(event) or changed
        return changed

    def _begin_value(self, event: ValueStart) -> bool:
        """Begin a value; return True if something visible has changed."""
        node, key, kind = self._top, event.key, event.kind
        slot: Slot = self._slot
        # The document itself has no name, and is visible: None would hide it.
        name: KeyOrIndex | None = ""
        if node is not None and key is not None:
            slot, name = node.find_child(key)
            # After the choice of a structure, another discriminator counts as a repetition of the first.
            if key in node.entries or key in node.used_discriminators:
                self._note_repeated_key(node, key)
        # A value inside one that is read as a whole has no slot of its own: the outer slot finds the unit.
        annotated_unit = (
            slot.show_unit
            if slot is not PLAIN_SLOT or node is None
            else node.slot.find_inner_show_unit(str(key))
        )
        show_unit: ShowUnit = annotated_unit or (self._show_unit if node is None else node.show_unit)
        in_whole = node is not None and (node.in_whole or node.is_read_whole)
        if kind in CONTAINERS:
            top = self._begin_container(event, name, slot, show_unit, in_whole=in_whole)
            # A container annotated with `Show("values")` is hidden until it is complete.
            top.is_visible = top.is_visible and annotated_unit != "values"
            if self._filler is not None:
                self._filler.set_defaults(top)
            return top.is_visible
        self._scalar_slot, self._scalar_start = slot, event.offset
        self._scalar_name, self._scalar_in_whole = name, in_whole
        is_visible = name is not None and (node is None or node.is_visible)
        shows_text = kind == "string" and is_visible and slot.shows_text
        self._text = make_log(show_unit, self._words) if shows_text else None
        return self._text is not None

    def _begin_container(
        self, event: ValueStart, name: KeyOrIndex | None, slot: Slot, show_unit: ShowUnit, *, in_whole: bool
    ) -> OpenContainer:
        """Make an object or array, which has just begun, the innermost open one; return its node."""
        structure = None if in_whole else slot.find_structure(event.kind)
        self._top = OpenContainer(
            self._top,
            event,
            name,
            slot,
            structure,
            show_unit=show_unit,
            fault_before=self.faults,
            in_whole=in_whole,
        )
        return self._top

    def _note_repeated_key(self, node: OpenContainer, key: KeyOrIndex) -> None:
        """Mark an object with a repeated key to be read again when it closes: the key's last value counts."""
        node.must_reread = True
        if key in node.invalid_keys:
            # Cancel the errors of the earlier value, by a link without errors.
            node.invalid_keys.remove(key)
            self.faults = FaultLink(self.faults, (*node.location, *node.locate(key)), errors=None)

    def _finish_value(self, event: ValueDone) -> bool:
        """Finish a value; return True if something visible has changed."""
        value, offset = event.value, event.offset
        # The document itself has no key, and its key is not looked at.
        node, key = self._top, 0 if event.key is None else event.key
        if node is not None and isinstance(value, dict | list):
            self._top = node.parent
            return self._close_container(node, cast("Any", value), offset)
        self._text = None
        slot, name = self._scalar_slot, self._scalar_name
        if self._scalar_in_whole and node is not None:
            # Inside a container that is read as a whole: plain data until that one closes.
            node.add_value(name, value, is_final=node.values_are_final, is_plain=True)
            return node.is_visible
        entry = self._read_entry(node, key, slot, self._find_json(self._scalar_start, offset, value))
        return self._store(node, key, name=name, slot=slot, entry=entry, shown=value)

    def _close_container(self, node: OpenContainer, plain_data: object, offset: int) -> bool:
        """Finish an object or array; return True if something visible has changed."""
        parent, key, name = node.parent, node.key, node.name
        if node.in_whole and parent is not None:
            # Inside a container that is read as a whole: plain data until that one closes.
            parent.add_value(name, node.make_view(), is_final=node.values_are_final, is_plain=True)
            return name is not None and parent.is_visible
        if node.is_read_whole:
            entry = self._read_entry(parent, key, node.slot, self._find_json(node.start, offset, plain_data))
        else:
            # The assembly reports the errors inside the container again, in the right order.
            self.faults = node.fault_before
            entry = self._assemble(node, plain_data, offset)
        is_value = entry.__class__ not in _WITHOUT_VALUE
        # The view to show in place of the entry; a validated value in a container is shown itself.
        shown: Any = MISSING
        if parent is None:
            if is_value and node.is_object:
                # Show every field of the finished object, also those that a validator has set.
                type_names = self._slot.type_names
                names = None if type_names is None else type_names.field_names
                node.fillers = pick_fields(names or (), entry)
            shown = node.make_view()
        elif not is_value:
            # An entry that was not read may still be read later, and change.
            is_final = entry.__class__ is InvalidEntry
            shown = self._make_nested_partial(
                node, node.make_view(), offset, self._parser.error, complete=True, is_final=is_final
            )
        return self._store(parent, key, name=name, slot=node.slot, entry=entry, shown=shown)

    # -- entries ------------------------------------------------------------------

    def _assemble(self, node: OpenContainer, plain_data: object, offset: int) -> object:
        """Return an object or array, assembled from the values inside it; `InvalidEntry` if it is invalid.

        If the value cannot be assembled, its whole text is read again; `UnreadEntry` puts that off if
        too much text has been read again already. `plain_data` is the object or array as the parser has
        read it, and `offset` the position after its closing bracket.
        """
        if node.structure is not None and not node.must_reread:
            try:
                return node.structure.assemble(node.entries, plain_data)
            except InvalidValue as invalid:
                return self._add_fault(node.parent, node.key, invalid.errors)
            except ContextNeeded:
                # The entries are not enough: read the whole text.
                pass
        text = self._find_json(node.start, offset, plain_data)
        self._reread_length += len(text)
        if node.parent is not None and self._reread_length > _MOST_REREAD * self._document.log.length:
            # Left to the container around it, which is then read as a whole.
            return UnreadEntry(text)
        return self._read_entry(node.parent, node.key, node.slot, text)

    def _find_json(self, start: int, end: int, plain_data: object) -> str:
        """Return the JSON of a value that has ended, between two offsets, in the last piece.

        `plain_data` is the value as the parser has read it.
        """
        document = self._document
        # The text of a lenient document may be almost-JSON, so the value is written as JSON.
        return json.dumps(plain_data) if document.lenient else document.log.cut(start, end)

    def _read_entry(self, node: OpenContainer | None, key: KeyOrIndex, slot: Slot, text: str) -> object:
        """Validate the text of a value; return its entry: the value, `InvalidEntry` or `UnreadEntry`."""
        try:
            return slot.read(text)
        except InvalidValue as invalid:
            return self._add_fault(node, key, invalid.errors)
        except ContextNeeded:
            return UnreadEntry(text)

    def _add_fault(self, node: OpenContainer | None, key: KeyOrIndex, errors: FoundErrors) -> InvalidEntry:
        """Record the errors of an invalid value at a key of `node` (None: the document); return its entry."""
        location: Path = ()
        if node is not None:
            node.invalid_keys.add(key)
            location = (*node.location, *node.locate(key))
        self.faults = FaultLink(self.faults, location, errors)
        return InvalidEntry(errors)

    def _store(
        self,
        node: OpenContainer | None,
        key: KeyOrIndex,
        *,
        name: KeyOrIndex | None,
        slot: Slot,
        entry: object,
        shown: object,
    ) -> bool:
        """Store a finished value in its container; return True if something visible has changed."""
        is_value = entry.__class__ not in _WITHOUT_VALUE
        if node is None:
            self.outcome = entry if is_value else MISSING
            # An object stays a view, in which a `Partial` finds its fields; any other value is shown itself.
            self.root = shown if isinstance(shown, GrowingObject) or not is_value else entry
            return True
        faults_before = self.faults
        # The value of a key that the type does not know remains plain data.
        is_extra = slot is PLAIN_SLOT and not isinstance(node.structure, TagChoice)
        is_final = is_extra or entry.__class__ is not UnreadEntry
        node.add_value(name, entry if is_value else shown, is_final=is_final, is_plain=not is_value)
        if isinstance(node.structure, TagChoice):
            node.entries[key] = entry
            # Nothing is validated before the choice, so `shown` is the value as the document has it.
            node.tag_values[key] = shown
            self._choose_structure(node, node.structure)
        elif node.structure is not None:
            self._keep_entry(node, node.structure, key, slot, entry)
        is_visible = name is not None and node.is_visible
        # New errors are visible even if the value is hidden.
        return is_visible or faults_before is not self.faults or entry.__class__ is InvalidEntry

    def _keep_entry(
        self,
        node: OpenContainer,
        structure: ValueStructure,
        key: KeyOrIndex,
        slot: Slot,
        entry: Any,  # noqa: ANN401 - any value
    ) -> None:
        """Keep a value (`entry`) until its container closes, and read the *late* fields that wait for it.

        A late field is one whose validators need the fields before it.
        """
        if slot is PLAIN_SLOT and entry.__class__ is UnreadEntry:
            # A key that the type does not define: its entry is kept only if the type accepts further keys.
            self._keep_extra(node, structure, key, entry)
            return
        node.entries[key] = entry
        if entry.__class__ is UnreadEntry and not structure.is_late(key):
            # No other field helps to read the entry, so the object is read again as a whole.
            node.must_reread = True
        for late_key in structure.read_late(node.entries):
            late_entry = node.entries[late_key]
            if late_entry.__class__ is InvalidEntry:
                self._add_fault(node, late_key, late_entry.errors)
                node.mark_final(structure.find_name(late_key))
            elif late_entry.__class__ is not UnreadEntry:
                node.add_value(structure.find_name(late_key), late_entry)

    def _keep_extra(
        self, node: OpenContainer, structure: ValueStructure, key: KeyOrIndex, entry: UnreadEntry
    ) -> None:
        """Keep the value of a key that the type does not define, unless the type ignores such keys."""
        try:
            belongs = structure.accepts_extra(key, entry.text)
        except InvalidValue as invalid:
            self._add_fault(node, key, invalid.errors)
            belongs = True
        if belongs:
            node.entries[key] = entry

    def _choose_structure(self, node: OpenContainer, choice: TagChoice) -> None:
        """Choose the type of an object among a union's members, if the discriminator has arrived."""
        structure: ValueStructure | None = choice
        # The chosen member may be a union itself.
        while isinstance(structure, TagChoice):
            arrived = [key for key in structure.discriminators if key in node.tag_values]
            if not arrived:
                break
            node.used_discriminators.update(structure.discriminators)
            # Several discriminators have arrived: reading the whole object again shows which of them counts.
            node.must_reread = node.must_reread or len(arrived) > 1
            structure = structure.choose(node.tag_values[arrived[0]])
        node.structure = node.log.structure = structure
        if structure is None:
            # No member has this discriminator: the object is read as a whole.
            node.must_reread = True
        elif not isinstance(structure, TagChoice):
            if self._filler is not None:
                self._filler.set_member_defaults(node)
            self._read_entries(node, structure)

    def _read_entries(self, node: OpenContainer, structure: ValueStructure) -> None:
        """Validate the values that arrived before the object's type was chosen among a union's members.

        Each of them is an `UnreadEntry`, which has the value's text.
        """
        entries, node.entries = node.entries, {}
        for key, unread in entries.items():
            slot, name = node.find_child(key)
            entry = self._read_entry(node, key, slot, unread.text)
            if entry.__class__ not in _WITHOUT_VALUE:
                node.add_value(name, entry)
            elif entry.__class__ is InvalidEntry or slot is PLAIN_SLOT:
                # The value will not be validated later, so its plain data, which is shown, cannot change.
                node.mark_final(name)
            self._keep_entry(node, structure, key, slot, entry)

"""Drafts: typed objects that are read as their text arrives; `partial` shows how the classes fit together."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON
from tokenstream.partial_json._events import StringDelta, ValueDone
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import OutputParser
from tokenstream.partial_json._pattern import CONTAINERS
from tokenstream.partial_json._shapes.shape import RAW, Face, Invalid, InvalidEntry, TagChoice, Unread, Unsure
from tokenstream.partial_json._show import check_show, make_log
from tokenstream.partial_json._typed.at_once import LateObject, find_closer, pick_fields, read_at_once
from tokenstream.partial_json._typed.defaults import Filling
from tokenstream.partial_json._typed.excerpt import Excerpt, WrittenExcerpt
from tokenstream.partial_json._typed.open import Open
from tokenstream.partial_json._typed.partial import Partial
from tokenstream.partial_json._typed.schema import MOST_DEPTH, Schema
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject, GrowingText

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from tokenstream.errors import LimitExceeded
    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._events import JSONEvent, ValueStart
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._shapes.shape import Errors, Slot, ValueStructure
    from tokenstream.partial_json._show import Cutter, How

T = TypeVar("T")

_NOT_READ = (InvalidEntry, Unread)
# Maximum text to read again, in lengths of the document; beyond it, a value waits for its container.
# Otherwise, nested objects that each repeat a key would be read once for each level around them.
_MOST_REREAD = 4


class Draft(Generic[T]):
    """A typed object that is filled in as its text arrives.

    Each value is validated once, when it is finished, and is assembled with its
    siblings when their container closes. The result equals what pydantic makes of the
    whole text. The time for a snapshot depends on what is open, not on the whole document.

    Args:
        type_or_adapter: The type of the document.
        lenient: True to read the near-JSON that models write; "closed" refuses text that was cut.
        defaults: True to show the type's default for a field that has not arrived.
        show: The unit in which strings become visible, unless their type defines it.
        words: Makes an object that cuts text into words.
        document: The document to read if there are several; needs *lenient*.

    Example:
        >>> draft = Draft(dict[str, int])
        >>> draft.feed('{"eggs": 3, "fl'), draft.partial().value
        (True, {'eggs': 3})
        >>> draft.feed('our": 1}'), draft.final()
        (True, {'eggs': 3, 'flour': 1})
    """

    # Class attributes: setting each of them in the constructor would slow down short, whole documents.
    _top: Open | None = None
    """The innermost open object or array."""
    _text: TextLog | None = None
    """The open string; None if no string is open, or if it is not visible."""
    _faults: FaultLink | None = None
    _reread = 0
    """Number of characters that were read a second time."""
    _root: Any = MISSING
    """The value to show once the document is finished; MISSING before that."""
    _outcome: Any = MISSING
    _snapshot: Partial[T] | None = None
    _cut: InvalidJSON | LimitExceeded | None = None
    """The parser's error if the text ended before the document; then the document is incomplete."""
    _is_over = False

    def __init__(
        self,
        type_or_adapter: type[T] | TypeAdapter[T],
        *,
        lenient: Lenient = False,
        defaults: bool = False,
        show: How = "characters",
        words: Callable[[], Cutter] | None = None,
        document: DocumentChoice | None = None,
    ) -> None:
        self.schema: Schema[T] = Schema.of(type_or_adapter)
        """The schema of the document's type."""
        schema = self.schema
        self._slot: Slot = schema.slot
        self._face = schema.slot.face or Face(schema.title, None, schema.slot)
        self._log = TextLog()
        self._document = DocumentText(
            self._log, lenient=lenient, choice=document, words=lambda: schema.words, write=self._slot.write
        )
        self._filling = Filling(self._slot) if defaults else None
        self._how: How = check_show(show)
        self._words = words
        self._leaf: tuple[Slot, str | int | None, bool] = (self._slot, None, False)
        """Slot and name of the open string, number or literal; True if a value around it is read whole."""
        self._is_untouched = lenient is False and document is None and schema.core is not None
        """True while the parser is unused: no piece has arrived, or only one, the whole document."""
        if not self._is_untouched:
            parser = self._parser
            self._document.repairs = lambda: parser.repairs

    # Created only if the document does not arrive whole, since they take most of the time of a short one.

    @cached_property
    def _parser(self) -> OutputParser:
        document = self._document
        return OutputParser(document.choice, self.schema.fits, lenient=document.lenient, max_depth=MOST_DEPTH)

    @cached_property
    def _excerpt(self) -> Excerpt:
        return WrittenExcerpt() if self._document.lenient else Excerpt()

    # -- current state -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """True once the document is finished."""
        return self._root is not MISSING

    @property
    def came_whole(self) -> bool:
        """True if the document arrived in one piece and is valid."""
        return self._is_untouched and self.complete

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """Repairs made in the text so far."""
        return self._parser.repairs

    @property
    def has_begun(self) -> bool:
        """True once any part of the document has arrived."""
        return self.complete or self._parser.has_begun

    @property
    def error(self) -> InvalidJSON | LimitExceeded | None:
        """The error of the text itself, or None."""
        error = None if self._is_untouched else self._parser.error
        # A document that was cut is incomplete, not wrong.
        return None if error is None or error is self._cut else error

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Validation errors of the finished values so far, in pydantic's form."""
        return list(self.partial().errors)

    @property
    def text(self) -> str:
        """The document's text so far."""
        return self._log.join()

    def partial(self) -> Partial[T]:
        """Return the current snapshot, which is the same object until something changes."""
        if self._snapshot is None:
            self._snapshot = self._take_snapshot()
        return self._snapshot

    def final(self) -> T:
        """Return the finished, validated value.

        Raises:
            OutputIncomplete: The document is not complete.
            OutputInvalid: The document does not fit the type; `InvalidJSON` if it is not JSON.
        """
        return self.partial().final()

    def _take_snapshot(self) -> Partial[T]:
        tail: Any = MISSING if self._text is None else GrowingText(self._text)
        inner: GrowingObject | GrowingArray | None = None
        name = self._leaf[1]
        node = self._top
        end, error, complete = self._log.length, self.error, self._root is not MISSING
        while node is not None and node.parent is not None:
            if node.shows:
                view = node.view(name, tail)
                # Compared with None because truth would compute the length of the view.
                inner = view if inner is None else inner
                tail = self._show_nested(node, view, end, error)
            else:
                tail, inner = MISSING, None
            name = node.name
            node = node.parent
        if node is not None and node.shows:
            tail = node.view(name, tail)
            inner = tail if inner is None else inner
        elif complete:
            tail = self._root
        elif self._filling is not None and tail is MISSING:
            tail = self._filling.unbegun or MISSING
        document, faults, outcome = self._document, self._faults, self._outcome
        repaired = self._parser.repair_count if document.lenient else 0
        # `_make` with a tuple takes a fifth of the time, and each piece makes a snapshot.
        state = SnapshotState._make(
            (document, document.start, end, complete, faults, None, error, outcome, True, repaired, inner)
        )
        fields = tail if isinstance(tail, GrowingObject) else None
        return Partial(self._face, fields, MISSING if fields is not None else tail, state)

    def _show_nested(
        self,
        node: Open,
        view: Any,  # noqa: ANN401 - any value
        end: int,
        error: InvalidJSON | LimitExceeded | None,
        *,
        complete: bool = False,
        settled: bool = True,
    ) -> Any:  # noqa: ANN401 - any value
        """Return the view of a nested object or array, as a `Partial` if the type has fields."""
        face = node.slot.face
        if face is None or not node.is_object:
            return view
        document, faults = self._document, self._faults
        repaired = self._parser.repair_count if document.lenient else 0
        state = SnapshotState._make(
            (document, node.start, end, complete, faults, node.fault, error, MISSING, settled, repaired, None)
        )
        partial: Partial[Any] = Partial(face, view, MISSING, state)
        return partial

    # -- reading -----------------------------------------------------------------

    def feed(self, text: str) -> bool:
        """Read a piece of the document; return True if something visible has changed."""
        if self._is_untouched and self._validate_whole(text):
            return True
        parser, excerpt = self._parser, self._excerpt
        self._log.append(text)
        excerpt.feed(text)
        sound = parser.error is None
        changed = self._apply(parser.feed(text))
        excerpt.settle()
        changed = changed or (sound and parser.error is not None)
        if text:
            self._snapshot = None
        return changed

    def end(self) -> None:
        """End the text; a document that is not finished then is incomplete."""
        self._is_over = True
        if not self.came_whole and self._parser.error is None:
            self._excerpt.feed("")
            told = self._parser.end()
            self._document.start = self._parser.start
            self._apply(told)
            error = self.error
            if isinstance(error, InvalidJSON) and error.offset >= self._log.length:
                self._cut = error
            self._snapshot = None

    def _validate_whole(self, text: str) -> bool:
        """Validate the first piece at once if it is the whole document; return True if it was."""
        if self.complete and text:
            # More text after the whole document: the parser must read both to find the error.
            self._parser.feed(self._log.join())
            if self._is_over:
                self._parser.end()
        closer = find_closer(text) if text.__class__ is str and not self.complete else ""
        entry = read_at_once(self._slot, text, most_depth=MOST_DEPTH) if closer else MISSING
        self._is_untouched = entry is not MISSING or not text
        if entry is MISSING:
            return False
        self._log.append(text)
        self._outcome = self._root = entry
        if closer == "}":
            # Without a reference to this draft: the reference cycle would delay freeing it.
            made = Draft, self.schema, self._filling is not None, self._how, self._words
            self._root = LateObject(made, text, self._face.names or (), entry)
        self._snapshot = None
        return True

    def _apply(self, events: list[JSONEvent]) -> bool:
        """Process the events of a piece; return True if something visible has changed."""
        changed = False
        for event in events:
            if isinstance(event, StringDelta):
                log = self._text
                if log is not None:
                    shown = log.length
                    log.append(event.text)
                    changed = changed or log.length > shown
            elif isinstance(event, ValueDone):
                changed = self._finish(event) or changed
            else:
                changed = self._begin(event) or changed
        return changed

    def _begin(self, event: ValueStart) -> bool:
        """Begin a value; return True if something visible has changed."""
        node, key, kind = self._top, event.key, event.kind
        slot: Slot = self._slot
        name: str | int | None = ""
        if node is not None and key is not None:
            slot, name = node.find_child(key)
            if key in node.entries or key in node.telling:
                self._begin_again(node, key)
        said = slot.show if slot is not RAW or node is None else node.slot.show_inside(str(key))
        how: How = said or (self._how if node is None else node.how)
        inside = self._excerpt.is_open
        if kind in CONTAINERS:
            structure = None if inside else slot.structure(kind)
            if structure is None and not inside:
                self._excerpt.open(event.offset)
            top = self._top = Open(
                node, event, name, slot, structure, how=how, fault=self._faults, inside=inside
            )
            # A container annotated with `Show("values")` is hidden until it is complete.
            top.shows = top.shows and said != "values"
            if self._filling is not None:
                self._filling.begin(top)
            return top.shows
        if not inside:
            self._excerpt.open(event.offset)
        self._leaf = slot, name, inside
        shows = name is not None and (node is None or node.shows)
        self._text = make_log(how, self._words) if kind == "string" and shows and slot.shows_text else None
        return self._text is not None

    def _begin_again(self, node: Open, key: str | int) -> None:
        """Handle a repeated key: its last value counts, so the whole object is read again."""
        node.doubtful = True
        if key in node.failed:
            node.failed.remove(key)
            self._faults = FaultLink(self._faults, (*node.loc, *node.locate(key)), None)

    def _finish(self, event: ValueDone) -> bool:
        """Finish a value; return True if something visible has changed."""
        value, offset = event.value, event.offset
        node, key = self._top, 0 if event.key is None else event.key
        if node is not None and isinstance(value, dict | list):
            self._top = node.parent
            return self._close(node, cast("Any", value), offset)
        self._text = None
        slot, name, inside = self._leaf
        if inside and node is not None:
            node.show(name, value, settled=node.settles, raw=True)
            return node.shows
        entry = self._read(node, key, slot, self._excerpt.close(offset, value))
        return self._store(node, key, name=name, slot=slot, entry=entry, shown=value)

    def _close(self, node: Open, raw: Any, offset: int) -> bool:  # noqa: ANN401 - a dict or a list
        """Finish an object or array; `offset` is the position after its closing bracket."""
        parent, key, name = node.parent, node.key, node.name
        if node.inside and parent is not None:
            parent.show(name, node.view(), settled=node.settles, raw=True)
            return name is not None and parent.shows
        if node.whole:
            entry = self._read(parent, key, node.slot, self._excerpt.close(offset, raw))
        else:
            # The assembly reports the errors inside the container again, in the right order.
            self._faults = node.fault
            entry = self._assemble(node, raw, offset)
        shown: Any = MISSING
        if parent is None:
            if entry.__class__ not in _NOT_READ and node.is_object:
                # Show every field of the finished object, also those that a validator has set.
                node.rest = pick_fields(self._face.names or (), entry)
            shown = node.view()
        elif entry.__class__ in _NOT_READ:
            settled = entry.__class__ is InvalidEntry
            shown = self._show_nested(node, node.view(), offset, self.error, complete=True, settled=settled)
        return self._store(parent, key, name=name, slot=node.slot, entry=entry, shown=shown)

    def _assemble(self, node: Open, raw: Any, offset: int) -> Any:  # noqa: ANN401 - any entry
        """Return the entry of an object or array, assembled from the entries inside it."""
        if node.structure is not None and not node.doubtful:
            try:
                return node.structure.assemble(node.entries, raw)
            except Invalid as invalid:
                return self._add_fault(node.parent, node.key, invalid.errors)
            except Unsure:
                pass
        text = json.dumps(raw) if self._document.lenient else self._log.slices([node.start, offset])
        self._reread += len(text)
        if node.parent is not None and self._reread > _MOST_REREAD * self._log.length:
            return Unread(text)
        return self._read(node.parent, node.key, node.slot, text)

    # -- entries -----------------------------------------------------------------

    def _read(self, node: Open | None, key: str | int, slot: Slot, text: str) -> Any:  # noqa: ANN401 - any entry
        """Validate the text of a value; return its entry: the value, `InvalidEntry` or `Unread`."""
        try:
            return slot.read(text)
        except Invalid as invalid:
            return self._add_fault(node, key, invalid.errors)
        except Unsure:
            return Unread(text)

    def _add_fault(self, node: Open | None, key: str | int, errors: Errors) -> InvalidEntry:
        """Record the errors of a value, and return its entry."""
        loc: tuple[str | int, ...] = ()
        if node is not None:
            node.failed.add(key)
            loc = (*node.loc, *node.locate(key))
        self._faults = FaultLink(self._faults, loc, errors)
        return InvalidEntry(errors)

    def _store(
        self,
        node: Open | None,
        key: str | int,
        *,
        name: str | int | None,
        slot: Slot,
        entry: Any,  # noqa: ANN401 - any entry
        shown: Any,  # noqa: ANN401 - any value
    ) -> bool:
        """Store a finished value in its container; return True if something visible has changed.

        Args:
            node: The container; None for the document itself.
            key: The value's key or index in the container.
            name: The name under which the value is shown.
            slot: The slot that has read the value.
            entry: The entry that was read.
            shown: The view to show if the entry is `InvalidEntry` or `Unread`.
        """
        is_value = entry.__class__ not in _NOT_READ
        if node is None:
            self._outcome = entry if is_value else MISSING
            self._root = shown if isinstance(shown, GrowingObject) or not is_value else entry
            return True
        faults = self._faults
        # The value of a key that the type does not know remains plain data.
        extra = slot is RAW and not isinstance(node.structure, TagChoice)
        settled = extra or entry.__class__ is not Unread
        node.show(name, entry if is_value else shown, settled=settled, raw=not is_value)
        if isinstance(node.structure, TagChoice):
            node.entries[key] = entry
            node.tags[key] = shown
            self._choose(node, node.structure)
        elif node.structure is not None:
            self._record(node, node.structure, key, slot, entry)
        shows = name is not None and node.shows
        return shows or faults is not self._faults or entry.__class__ is InvalidEntry

    def _record(self, node: Open, structure: ValueStructure, key: str | int, slot: Slot, entry: Any) -> None:  # noqa: ANN401 - any entry
        """Keep an entry until its container closes, and read the late entries that can be read now."""
        if slot is RAW and entry.__class__ is Unread:
            self._record_extra(node, structure, key, entry)
            return
        node.entries[key] = entry
        if entry.__class__ is Unread and not structure.is_late(key):
            node.doubtful = True
        for late in structure.read_late(node.entries):
            read = node.entries[late]
            if read.__class__ is InvalidEntry:
                self._add_fault(node, late, read.errors)
                node.settle(structure.name(late))
            elif read.__class__ is not Unread:
                node.show(structure.name(late), read)

    def _record_extra(self, node: Open, structure: ValueStructure, key: str | int, entry: Unread) -> None:
        try:
            belongs = structure.check_extra(key, entry.text)
        except Invalid as invalid:
            self._add_fault(node, key, invalid.errors)
            belongs = True
        if belongs:
            node.entries[key] = entry

    def _choose(self, node: Open, choice: TagChoice) -> None:
        """Choose the member of a union as soon as its discriminator has arrived."""
        structure: ValueStructure | None = choice
        while isinstance(structure, TagChoice):
            told = [key for key in structure.discriminators if key in node.tags]
            if not told:
                break
            node.telling.update(structure.discriminators)
            node.doubtful = node.doubtful or len(told) > 1
            structure = structure.choose(node.tags[told[0]])
        node.structure = node.log.structure = structure
        if structure is None:
            node.doubtful = True
        elif not isinstance(structure, TagChoice):
            if self._filling is not None:
                self._filling.choose(node)
            entries, node.entries = node.entries, {}
            for key, entry in entries.items():
                slot, name = node.find_child(key)
                read = self._read(node, key, slot, entry.text)
                if read.__class__ not in _NOT_READ:
                    node.show(name, read)
                elif read.__class__ is InvalidEntry or slot is RAW:
                    node.settle(name)
                self._record(node, structure, key, slot, read)

"""Drafts: typed objects that are read as their text arrives; the package's docstring lists the classes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import OutputParser
from tokenstream.partial_json._shapes.shape import TypeNames
from tokenstream.partial_json._show import check_show
from tokenstream.partial_json._typed.at_once import LateObject, find_closer, read_at_once
from tokenstream.partial_json._typed.defaults import DefaultsFiller
from tokenstream.partial_json._typed.partial import Partial
from tokenstream.partial_json._typed.schema import MOST_DEPTH, Schema
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.tree import ValueTree
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from tokenstream.errors import LimitExceeded
    from tokenstream.partial_json._parser import DocumentChoice
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._shapes.shape import Slot
    from tokenstream.partial_json._show import Cutter, ShowUnit

T = TypeVar("T")


class _WholeDocument(NamedTuple):
    """A document that arrived in one piece, and was validated at once."""

    outcome: Any
    """The validated value."""
    view: Any
    """The value to show."""


def _has_elements(slot: Slot) -> bool:
    """Return True if a value of the type may be an array, or a dict with any keys."""
    slots = slot.find_slots_within(0, attribute=False)
    return slots is None or bool(slots)


class Draft(Generic[T]):
    """A typed object that is filled in as its text arrives.

    Each value is validated once, when it is finished, and is assembled with its
    siblings when their container closes. The result equals the value that pydantic makes of
    the whole text. The time for a snapshot depends on the open values, not on the whole document.

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
    _whole: _WholeDocument | None = None
    """The document if it arrived in one piece and is valid; otherwise `_tree` has its values."""
    _snapshot: Partial[T] | None = None
    """The current snapshot; None until it is first asked for after a change."""
    _cut_error: InvalidJSON | LimitExceeded | None = None
    """The parser's error if the text ended before the document; then the document is incomplete."""
    _has_ended = False
    """True once the text has ended."""

    def __init__(
        self,
        type_or_adapter: type[T] | TypeAdapter[T],
        *,
        lenient: Lenient = False,
        defaults: bool = False,
        show: ShowUnit = "characters",
        words: Callable[[], Cutter] | None = None,
        document: DocumentChoice | None = None,
    ) -> None:
        self.schema: Schema[T] = Schema.of(type_or_adapter)
        """The schema of the document's type."""
        schema = self.schema
        self._slot: Slot = schema.slot
        self._type_names = schema.slot.type_names or TypeNames(
            schema.title, field_names=None, slot=schema.slot
        )
        self._log = TextLog()
        # `schema.words` are the words of the type, which error messages may contain.
        self._document = DocumentText(
            self._log,
            lenient=lenient,
            choice=document,
            may_be_array=not lenient or _has_elements(self._slot),
            words=lambda: schema.words,
            write=self._slot.write,
        )
        self._filler = DefaultsFiller(self._slot) if defaults else None
        self._show_unit: ShowUnit = check_show(show)
        self._words = words
        """Makes an object that cuts text into words, for strings that become visible by words."""
        self._needs_no_parser = lenient is False and document is None and schema.core is not None
        """True while no parser is needed: no piece has arrived, or only one, which was the whole document.

        It is always False if only the parser can read the document: for a Struct, and with some options.
        """
        if not self._needs_no_parser:
            # Only lenient reading makes repairs, and it always needs the parser.
            parser = self._parser
            self._document.repairs = lambda: parser.repairs

    # Created only if the document does not arrive whole, since they take most of the time of a short one.

    @functools.cached_property
    def _parser(self) -> OutputParser:
        """Parser of the document; of several documents, it may choose one that fits the type."""
        document = self._document
        return OutputParser(
            document.choice,
            self.schema.fits,
            lenient=document.lenient,
            max_depth=MOST_DEPTH,
            may_be_array=document.may_be_array,
        )

    @functools.cached_property
    def _tree(self) -> ValueTree:
        """The values of a document that is read piece by piece; made when first needed."""
        return ValueTree(
            self._parser,
            self._document,
            self._slot,
            filler=self._filler,
            show_unit=self._show_unit,
            words=self._words,
        )

    # -- current state -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """True once the whole document has arrived, valid or not."""
        # The document arrived whole, or the parser has read its root value to the end.
        if self._whole is not None:
            return True
        return not self._needs_no_parser and self._tree.root is not MISSING

    @property
    def came_whole(self) -> bool:
        """True if the document arrived in one piece and is valid."""
        return self._needs_no_parser and self.complete

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
        """The error that ended the reading: not JSON, or a limit exceeded. Invalid values are in `errors`."""
        error = None if self._needs_no_parser else self._parser.error
        # A document that was cut is incomplete, not wrong.
        return None if error is None or error is self._cut_error else error

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
        """Make a snapshot of the object as it is now."""
        document, error, complete = self._document, self.error, self.complete
        view: Any = MISSING
        outcome: Any = MISSING
        faults: FaultLink | None = None
        innermost: GrowingObject | GrowingArray | None = None
        if self._whole is not None:
            # The document arrived in one piece, and was validated at once.
            outcome, view = self._whole
        elif not self._needs_no_parser:
            # The parser is in use, so there is a tree of its values.
            tree = self._tree
            outcome, faults = tree.outcome, tree.faults
            view, innermost = tree.make_view(self._log.length, error)
        if view is MISSING and not complete and self._filler is not None:
            # The document has not begun: show its defaults.
            view = self._filler.view_before_document or MISSING
        repair_count = self._parser.repair_count if document.lenient else 0
        end = self._log.length
        # `_make` with a tuple takes a fifth of the time, and each piece makes a snapshot.
        state = SnapshotState._make(
            (
                document,
                document.start,
                end,
                complete,
                faults,
                None,  # no errors precede the document
                error,
                outcome,
                True,  # final once it is complete
                repair_count,
                innermost,
            )
        )
        fields = view if isinstance(view, GrowingObject) else None
        return Partial(self._type_names, fields, MISSING if fields is not None else view, state)

    # -- reading -----------------------------------------------------------------

    def feed(self, text: str) -> bool:
        """Read a piece of the document; return True if something visible has changed."""
        # The first piece may be the whole document, which needs no parser.
        if self._needs_no_parser and self._validate_whole(text):
            return True
        parser = self._parser
        self._log.append(text)
        was_valid = parser.error is None
        changed = self._tree.feed(parser.feed(text))
        if text:
            # The cached snapshot is out of date.
            self._snapshot = None
        return changed or (was_valid and parser.error is not None)

    def end(self) -> None:
        """End the text; a document that is not finished then is incomplete."""
        self._has_ended = True
        if not self.came_whole and self._parser.error is None:
            events = self._parser.end()
            self._document.start = self._parser.start
            self._tree.feed(events)
            error = self.error
            # An error at the end of the text means that the text was cut.
            if isinstance(error, InvalidJSON) and error.offset >= self._log.length:
                self._cut_error = error
            self._snapshot = None

    def _validate_whole(self, text: str) -> bool:
        """Validate the first piece at once if it is the whole document; return True if it is, and is valid.

        More text after a whole document is an error, which only the parser finds: it is given the document.
        """
        has_document = self._whole is not None
        if has_document and text:
            self._parser.feed(self._log.join())
            if self._has_ended:
                self._parser.end()
            self._needs_no_parser = False
            return False
        may_be_whole = text.__class__ is str and not has_document
        closer = find_closer(text) if may_be_whole else ""
        outcome = read_at_once(self._slot, text, max_depth=MOST_DEPTH) if closer else MISSING
        # After an empty piece, no parser is needed yet, either.
        self._needs_no_parser = outcome is not MISSING or not text
        if outcome is MISSING:
            return False
        self._log.append(text)
        view = outcome
        if closer == "}":
            # A draft shows an object as a partial one, also when all of it has come; few callers look at its
            # fields, so a second draft reads them at the first look. The view has no reference to this
            # draft: the reference cycle would delay freeing it.
            schema: Any = self.schema
            make_draft = functools.partial(
                Draft,
                schema,
                defaults=self._filler is not None,
                show=self._show_unit,
                words=self._words,
            )
            view = LateObject(make_draft, text, self._type_names.field_names or (), outcome)
        self._whole = _WholeDocument(outcome, view)
        self._snapshot = None
        return True

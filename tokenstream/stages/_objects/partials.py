"""The stage that fills in a typed object while its JSON is written."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._missing import MISSING
from tokenstream.partial_json._parser import DocumentChoice, OutputParser
from tokenstream.partial_json._shapes.shape import Slot, TypeNames
from tokenstream.partial_json._show import Cutter, ShowUnit, check_show
from tokenstream.partial_json._typed.at_once import LateObject, find_closer, may_have_nan, read_at_once
from tokenstream.partial_json._typed.defaults import DefaultsFiller
from tokenstream.partial_json._typed.partial import Partial
from tokenstream.partial_json._typed.schema import MOST_DEPTH, Schema, T
from tokenstream.partial_json._typed.state import DocumentText, FaultLink, SnapshotState
from tokenstream.partial_json._typed.tree import ValueTree
from tokenstream.partial_json._typed.views import GrowingArray, GrowingObject
from tokenstream.stages._objects.search import (
    STOP,
    DocumentStage,
    escape_stop_iteration,
    make_no_document_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from tokenstream.partial_json._repairs import Lenient, Repair


class _WholeDocument(NamedTuple):
    """A document that arrived in one piece, and was validated at once."""

    outcome: Any
    view: Any


def _has_elements(slot: Slot) -> bool:
    """Return True if a value of the type may be an array, or a dict with any keys."""
    slots = slot.find_slots_within(0, attribute=False)
    return slots is None or bool(slots)


def _make_word_cutter() -> Cutter:
    # Imported on first use, because the module builds tables from all of Unicode.
    from tokenstream.stages._text.units import Words

    return Words()


class Partials(DocumentStage, Generic[T]):
    """A typed object that is filled in field by field while its JSON is written.

    Each value is validated once, as soon as it is finished. A value that violates the schema
    is reported in the `errors` of the next snapshot, and reading continues. Each piece
    of text gives at most one snapshot, and none if nothing visible has changed;
    the last snapshot is that of the whole object, whose value equals the one that pydantic
    makes of the whole text. The time for a snapshot depends on the open values, not on the
    whole document.
    """

    # Class attributes: setting each of them in the constructor would slow down short, whole documents.
    _whole: _WholeDocument | None = None
    """The document if it arrived in one piece and is valid; otherwise `_tree` has its values."""
    _snapshot: Partial[T] | None = None
    """The current snapshot; None until it is first asked for after a change."""
    _cut_error: InvalidJSON | LimitExceeded | None = None
    """The parser's error if the text ended before the document; then the document is incomplete."""
    _has_ended = False

    def __init__(
        self,
        type: type[T] | TypeAdapter[T] | Schema[T],  # noqa: A002 - the usual name
        *,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: ShowUnit = "characters",
        document: DocumentChoice | None = None,
    ) -> None:
        super().__init__()
        schema: Schema[T] = Schema.of(type)
        slot: Slot = schema.slot
        self._schema, self._slot = schema, slot
        self._type_names = slot.type_names or TypeNames(schema.title, field_names=None, slot=slot)
        self._log = TextLog()
        # `schema.words` are the words of the type, which error messages may contain.
        self._document = DocumentText(
            self._log,
            lenient=lenient,
            choice=document,
            may_be_array=not lenient or _has_elements(slot),
            words=lambda: schema.words,
            write=slot.write,
        )
        self._filler = DefaultsFiller(slot) if defaults else None
        self._show_unit: ShowUnit = check_show(show)
        self._fail_fast = fail_fast
        self._needs_no_parser = lenient is False and document is None
        """True while no parser is needed: no piece has arrived, or only one, which was the whole document.

        It is always False if only the parser can read the document, which some options need.
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
            self._schema.fits,
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
            words=_make_word_cutter,
        )

    # -- current state -----------------------------------------------------------

    @property
    def complete(self) -> bool:
        """True once the document is finished: only white space may follow."""
        # The document arrived whole, or the parser has read its root value to the end.
        if self._whole is not None:
            return True
        return not self._needs_no_parser and self._tree.root is not MISSING

    @property
    def repairs(self) -> tuple[Repair, ...]:
        return self._parser.repairs

    def partial(self) -> Partial[T]:
        """Return a snapshot of the object so far; an empty one if nothing has arrived.

        It is the same object until something changes.
        """
        if self._snapshot is None:
            self._snapshot = self._take_snapshot()
        return self._snapshot

    @property
    def _came_whole(self) -> bool:
        """True if the document arrived in one piece and is valid."""
        return self._needs_no_parser and self.complete

    @property
    def _fault(self) -> InvalidJSON | LimitExceeded | None:
        """The fault that ended the reading: not JSON, or a limit exceeded; values may be invalid without."""
        fault = None if self._needs_no_parser else self._parser.error
        # A document that was cut is incomplete, not wrong.
        return None if fault is None or fault is self._cut_error else fault

    def _take_snapshot(self) -> Partial[T]:
        document, fault, complete = self._document, self._fault, self.complete
        view: Any = MISSING
        outcome: Any = MISSING
        invalid: FaultLink | None = None
        innermost: GrowingObject | GrowingArray | None = None
        if self._whole is not None:
            # The document arrived in one piece, and was validated at once.
            outcome, view = self._whole
        elif not self._needs_no_parser:
            # The parser is in use, so there is a tree of its values.
            tree = self._tree
            outcome, invalid = tree.outcome, tree.faults
            view, innermost = tree.make_view(self._log.length, fault)
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
                invalid,
                None,  # no errors precede the document
                fault,
                outcome,
                True,  # final once it is complete
                repair_count,
                innermost,
            )
        )
        fields = view if isinstance(view, GrowingObject) else None
        return Partial(self._type_names, fields, MISSING if fields is not None else view, state)

    # -- reading -----------------------------------------------------------------

    def feed(self, text: str, *, now: float = 0.0) -> list[Partial[T]]:
        """Return a snapshot if a piece of the document changes what is visible."""
        if self.error is not None:
            return []
        try:
            changed = self._read_piece(text)
        except MisuseError:
            # A mistake of the caller, not a fault of the document.
            raise
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)
            return []
        out = [self.partial()] if changed else []
        if self._fail_fast and (self._fault is not None or any(each.errors for each in out)):
            self.error = self._find_error(at_end=False)
            self.stop = STOP
        return out

    def end(self, *, now: float = 0.0) -> list[Partial[T]]:
        """End the text and return the last snapshot, if it changed; set `error` if the output is invalid."""
        if self.error is not None:
            return []
        was_complete = self.complete
        try:
            self._read_end()
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)
            return []
        if self._came_whole:
            # `feed` has returned the whole document, and it is valid.
            return []
        self.error = self._find_error(at_end=True)
        # The end of the text changes the snapshot only if it completes the document.
        return [] if self.complete == was_complete else [self.partial()]

    def _read_piece(self, text: str) -> bool:
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

    def _read_end(self) -> None:
        """End the text; a document that is not finished then is incomplete."""
        self._has_ended = True
        if self._came_whole or self._parser.error is not None:
            return
        events = self._parser.end()
        self._document.start = self._parser.start
        self._tree.feed(events)
        fault = self._fault
        # An error at the end of the text means that the text was cut.
        if isinstance(fault, InvalidJSON) and fault.offset >= self._log.length:
            self._cut_error = fault
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
            # A snapshot shows an object as a partial one, also when all of it has come; few callers look at
            # its fields, so they are read at the first look, by a second stage. The view has no reference
            # to this stage: the reference cycle would delay freeing it.
            make_stage = functools.partial(
                Partials, self._schema, defaults=self._filler is not None, show=self._show_unit
            )
            view = LateObject(
                functools.partial(_read_in_pieces, make_stage, text),
                self._type_names.field_names or (),
                outcome,
            )
        self._whole = _WholeDocument(outcome, view)
        self._snapshot = None
        return True

    # -- errors ------------------------------------------------------------------

    def _find_error(self, *, at_end: bool) -> OutputInvalid | OutputIncomplete | LimitExceeded | None:
        fault = self._fault
        if isinstance(fault, LimitExceeded):
            return fault
        best = self.partial()
        if fault is not None:
            # Invalid JSON is an error even if a whole object arrived before it.
            text, errors = self._log.join(), best.errors
            return InvalidJSON(str(fault), text=text, offset=fault.offset, errors=errors, best=best)
        if at_end:
            try:
                best.final()
            except OutputIncomplete as error:
                if self._document.lenient and not (self.complete or self._parser.has_begun):
                    # Lenient reading skips text before a document, and here it found only text.
                    return make_no_document_error(self._log.join())
                return error.with_traceback(None)
            except OutputInvalid:
                # The error below has more details.
                pass
            else:
                return None
        # The values do not fit the type. (Before the end, the caller has seen their errors in the snapshots.)
        why = self._schema.describe_errors(best.errors)
        return OutputInvalid(why, text=self._log.join(), errors=best.errors, best=best)


def _read_in_pieces(make_stage: Callable[[], Partials[Any]], text: str) -> Partial[Any]:
    """Return the last snapshot of a whole document that is read field by field."""
    stage = make_stage()
    # In two pieces: a single piece would be validated at once.
    stage.feed(text[:1])
    stage.feed(text[1:])
    return stage.partial()


def validate_output(
    type: type[T] | TypeAdapter[T],  # noqa: A002 - the usual name
    text: str,
    *,
    lenient: Lenient = False,
    document: DocumentChoice | None = None,
) -> T:
    """Validate a whole output and return its value.

    Example:
        >>> validate_output(dict[str, int], '{"eggs": 3}')
        {'eggs': 3}
    """
    # pydantic reads a whole text fastest, but accepts NaN, which JSON does not have.
    if not lenient and document is None and not may_have_nan(text):
        try:
            return Schema.of(type).validate_text(text)
        except OutputInvalid:
            # The stage below reports the place of the fault, and keeps the rest of the document.
            pass
    try:
        return _read_whole_output(type, text, lenient=lenient, document=document)
    except InvalidJSON as error:
        if not lenient or document is not None:
            raise
        refusal = error
    # The type may decide between several documents.
    try:
        return _read_whole_output(type, text, lenient=lenient, document="matching")
    except (OutputInvalid, OutputIncomplete, LimitExceeded):
        raise refusal from None


def _read_whole_output(
    type: type[T] | TypeAdapter[T],  # noqa: A002 - the usual name
    text: str,
    *,
    lenient: Lenient,
    document: DocumentChoice | None,
) -> T:
    """Return the value of a whole output, read as a stream reads it; `validate_output` lists the errors."""
    stage = Partials(type, lenient=lenient, document=document)
    drafts = [*stage.feed(text), *stage.end()]
    stage.check()
    return drafts[-1].final()

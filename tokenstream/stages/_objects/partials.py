"""The stage that fills in a typed object while its JSON is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tokenstream._basics.members import show_members
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._typed.at_once import may_have_nan
from tokenstream.partial_json._typed.draft import Draft
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._objects.search import (
    STOP,
    DocumentStage,
    escape_stop_iteration,
    make_no_document_error,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._parser import DocumentChoice
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._show import Cutter, ShowUnit

T = TypeVar("T")


def _make_word_cutter() -> Cutter:
    # Imported on first use, because the module builds tables from all of Unicode.
    from tokenstream.stages._text.units import Words

    return Words()


@show_members
class Partials(DocumentStage, Generic[T]):
    """A typed object that is filled in field by field while its JSON is written.

    Each value is validated as soon as it is finished. A value that violates the schema
    is reported in the `errors` of the next snapshot, and reading continues. Each piece
    of text gives at most one snapshot, and none if nothing visible has changed;
    the last snapshot is that of the whole object.

    Args:
        type: The document's type: a type, or a pydantic `TypeAdapter`.
        fail_fast: True to stop at the first value that violates the schema, or at invalid
            JSON: `error` and `stop` are set.
        lenient: True to accept almost-JSON; "closed" refuses a document that is cut off.
        defaults: True if missing fields have their type's defaults, made separately for
            each object. A default that is computed from other fields appears only
            once the object is whole.
        show: The visible part of an unfinished string: "characters", all that has arrived;
            "words", up to its last whole word; "values", nothing before it is finished.
            A `tokenstream.partial_json.Show` in a field's type takes precedence.
        document: The document to read if the text holds several, with *lenient*: "first" ignores the
            text after the first document; "last" and "matching" (the document that validates) show
            nothing before the end. None refuses a text with two different documents.

    Example:
        >>> drafts = Partials(dict[str, int])
        >>> [draft.value for draft in drafts.feed('{"eggs": 3, "fl')]
        [{'eggs': 3}]
        >>> drafts.end(), type(drafts.error).__name__
        ([], 'OutputIncomplete')
    """

    __slots__ = ("_draft", "_fail_fast", "_lenient")

    def __init__(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - the usual name
        *,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: ShowUnit = "characters",
        document: DocumentChoice | None = None,
    ) -> None:
        super().__init__()
        self._draft: Draft[T] = Draft(
            type, lenient=lenient, defaults=defaults, show=show, words=_make_word_cutter, document=document
        )
        self._lenient = lenient
        self._fail_fast = fail_fast

    @property
    def complete(self) -> bool:
        """True once the document is finished: only white space may follow."""
        return self._draft.complete

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs of almost-JSON, in the order in which they were made."""
        return self._draft.repairs

    def partial(self) -> Partial[T]:
        """Return a snapshot of the object so far; an empty one if nothing has arrived."""
        return self._draft.partial()

    def feed(self, text: str, *, now: float = 0.0) -> list[Partial[T]]:
        """Return a snapshot if a piece of the document changes what is visible.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage has this parameter.
        """
        if self.error is not None:
            return []
        draft = self._draft
        try:
            changed = draft.feed(text)
        except MisuseError:
            # A mistake of the caller, not a fault of the document.
            raise
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)
            return []
        out = [draft.partial()] if changed else []
        if self._fail_fast and (draft.error is not None or any(each.errors for each in out)):
            self.error = self._find_error(at_end=False)
            self.stop = STOP
        return out

    def end(self, *, now: float = 0.0) -> list[Partial[T]]:
        """End the text and return the last snapshot, if it changed; set `error` if the output is invalid.

        Args:
            now: Unused; every stage has this parameter.
        """
        if self.error is not None:
            return []
        draft = self._draft
        was_complete = draft.complete
        try:
            draft.end()
        except Exception as error:  # noqa: BLE001 - as in `feed`
            self.error = escape_stop_iteration(error)
            return []
        if draft.came_whole:
            # `feed` has returned the whole document, and it is valid.
            return []
        self.error = self._find_error(at_end=True)
        # The end of the text changes the draft only if it completes the document.
        return [] if draft.complete == was_complete else [draft.partial()]

    def _find_error(self, *, at_end: bool) -> OutputInvalid | OutputIncomplete | LimitExceeded | None:
        """Return the error of the document so far, or None.

        Args:
            at_end: True at the end of the text, where a missing part of the document is an error, too.
        """
        draft, fault = self._draft, self._draft.error
        if isinstance(fault, LimitExceeded):
            return fault
        best = draft.partial()
        if fault is not None:
            # Invalid JSON is an error even if a whole object arrived before it.
            text, errors = draft.text, best.errors
            return InvalidJSON(str(fault), text=text, offset=fault.offset, errors=errors, best=best)
        if at_end:
            try:
                best.final()
            except OutputIncomplete as error:
                if self._lenient and not draft.has_begun:
                    # Lenient reading skips text before a document, and here it found only text.
                    return make_no_document_error(draft.text)
                return error.with_traceback(None)
            except OutputInvalid:
                # The error below has more details.
                pass
            else:
                return None
        # The values do not fit the type. (Before the end, the caller has seen their errors in the draft.)
        why = draft.schema.describe_errors(best.errors)
        return OutputInvalid(why, text=draft.text, errors=best.errors, best=best)


def validate_output(
    type: type[T] | TypeAdapter[T],  # noqa: A002 - the usual name
    text: str,
    *,
    lenient: Lenient = False,
    document: DocumentChoice | None = None,
) -> T:
    """Validate a whole output and return its value.

    Args:
        type: The document's type: a type, or a pydantic `TypeAdapter`.
        text: The document.
        lenient: True to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*: "first", "last", or
            "matching" (the document that validates). None refuses a text with two different documents.

    Raises:
        InvalidJSON: The text is not JSON.
        OutputInvalid: The document does not fit the type.
        OutputIncomplete: The text ends before the document does.
        LimitExceeded: The document is nested too deeply, or has too long a number.

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
        return _read_output(type, text, lenient=lenient, document=document)
    except InvalidJSON as error:
        if not lenient or document is not None:
            raise
        refusal = error
    # The type may decide between several documents.
    try:
        return _read_output(type, text, lenient=lenient, document="matching")
    except (OutputInvalid, OutputIncomplete, LimitExceeded):
        raise refusal from None


def _read_output(
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

"""Stages that read structured output as it is written: an object, the elements of an array, or a string.

Each reads a text: that of the answer, or the arguments of a tool call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json._typed.at_once import may_have_nan
from tokenstream.partial_json._typed.draft import Draft
from tokenstream.partial_json._typed.excerpt import Excerpt, WrittenExcerpt
from tokenstream.partial_json._typed.first_fault import first_fault
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._search import STOP, DocumentStage, Search, escape_stop_iteration, no_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import TypeAdapter

    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._events import ValueDone, ValueStart
    from tokenstream.partial_json._pattern import At
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._show import Cutter, How

T = TypeVar("T")


def _words() -> Cutter:
    # Imported on first use, because the module builds tables from all of Unicode.
    from tokenstream.stages._text.words import Words

    return Words()


class Partials(DocumentStage, Generic[T]):
    """A typed object that is filled in field by field while its JSON is written.

    Each value is validated as soon as it is finished. A value that violates the schema
    is reported in the `errors` of the next snapshot, and reading continues. Each piece
    of text gives at most one snapshot, and none if nothing visible has changed;
    the last snapshot is that of the whole object.

    Args:
        type: The document's type: a type, or a pydantic `TypeAdapter`.
        fail_fast: Stop at the first value that violates the schema, or at invalid
            JSON: `error` and `stop` are set.
        lenient: Whether to accept almost-JSON; "closed" refuses a document that is cut off.
        defaults: Whether missing fields have their type's defaults, made anew for
            each object. A default that is computed from other fields appears only
            once the object is whole.
        show: How much of an unfinished string is visible: "characters", all that has arrived;
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
        show: How = "characters",
        document: DocumentChoice | None = None,
    ) -> None:
        super().__init__()
        self._draft: Draft[T] = Draft(
            type, lenient=lenient, defaults=defaults, show=show, words=_words, document=document
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
            raise
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)
            return []
        out = [draft.partial()] if changed else []
        if self._fail_fast and (draft.error is not None or any(each.errors for each in out)):
            self.error = self._verdict(over=False)
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
        complete = draft.complete
        try:
            draft.end()
        except Exception as error:  # noqa: BLE001 - as in `feed`
            self.error = escape_stop_iteration(error)
            return []
        if draft.came_whole:
            return []
        self.error = self._verdict(over=True)
        return [] if draft.complete == complete else [draft.partial()]

    def _verdict(self, *, over: bool) -> OutputInvalid | OutputIncomplete | LimitExceeded | None:
        """Return the error of the document so far, or None.

        Args:
            over: True at the end of the text; then a missing part of the document is an error, too.
        """
        draft, fault = self._draft, self._draft.error
        if isinstance(fault, LimitExceeded):
            return fault
        best = draft.partial()
        if fault is not None:
            # This holds even if a whole object arrived before the fault.
            text, errors = draft.text, best.errors
            return InvalidJSON(str(fault), text=text, offset=fault.offset, errors=errors, best=best)
        if over:
            try:
                best.final()
            except OutputIncomplete as error:
                nothing = self._lenient and not draft.has_begun
                return no_document(draft.text) if nothing else error.with_traceback(None)
            except OutputInvalid:
                # The error below has more details.
                pass
            else:
                return None
        why = draft.schema.reason(best.errors)
        return OutputInvalid(why, text=draft.text, errors=best.errors, best=best)


class Field(Search[str | OutputInvalid]):
    """The pieces of one string in a document, as the string is written.

    An explicit null gives no pieces. If the path leads to any other value that is
    not a string, or to nothing, `error` is an `OutputInvalid`. A path with
    wildcards gives the pieces of all matching strings, one string after another;
    a match that is not a string gives an `OutputInvalid` in its place, and reading
    continues after it. The document is not kept, so its errors have no `text`.

    Args:
        at: The string's path: `"summary"`, `"recipe.title"`, `"steps.*.text"`,
            or a tuple of keys; "" for a document that is itself a string.
        fail_fast: True to end at the first value that is not a string, or at invalid JSON:
            `error` and `stop` are set.
        lenient: Whether to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*:
            "first" ignores the text after the first document, "last" shows nothing before
            the end. None refuses a text with two different documents.

    Example:
        >>> title = Field("recipe.title")
        >>> title.feed('{"recipe": {"title": "Pan'), title.feed('cakes", "min')
        (['Pan'], ['cakes'])
    """

    __slots__ = ("_inside",)

    _wanted: ClassVar = ("string",)
    _wanted_name: ClassVar = "a string"

    def __init__(
        self,
        at: At,
        *,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> None:
        super().__init__(at, fail_fast=fail_fast, lenient=lenient, document=document)
        self._inside = False
        """True while reading a string at the path."""

    def _begin(self, event: ValueStart, stands: int, out: list[str | OutputInvalid]) -> None:
        self._inside = stands == 0

    def _grow(self, piece: str, out: list[str | OutputInvalid]) -> None:
        if self._inside:
            out.append(piece)

    def _refuse(self, error: OutputInvalid, out: list[str | OutputInvalid]) -> None:
        if self._matcher.pattern.wild and not self._fail_fast:
            out.append(error)
        else:
            super()._refuse(error, out)


class Items(Search[T | OutputInvalid]):
    """The elements of an array in a document, each validated as soon as it is finished.

    The values of an object are elements, too. An element that violates the schema
    gives an `OutputInvalid` in its place, with the element's text, and its whole
    path in the errors; reading continues after it. Elements are not kept after they
    are returned, so a list may be endless; errors of the document have no `text`.

    Args:
        type: The type of each element: a type, or a pydantic `TypeAdapter`.
        at: The array's path: `"steps"`, `"recipes.*.steps"`, or a tuple of keys;
            "" for a document that is itself an array. An explicit null gives nothing.
        fail_fast: Stop at the first element that violates the schema, or at invalid
            JSON: `error` and `stop` are set.
        lenient: Whether to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*:
            "first" ignores the text after the first document, "last" shows nothing before
            the end. None refuses a text with two different documents.

    Example:
        >>> numbers = Items(int, "numbers")
        >>> numbers.feed('{"numbers": [1, 2'), numbers.feed("2, 3")
        ([1], [22])
    """

    __slots__ = ("_element", "_excerpt", "_schema")

    _wanted: ClassVar = ("array", "object")
    _wanted_name: ClassVar = "an array or an object"

    def __init__(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - the usual name
        at: At = "",
        *,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> None:
        super().__init__(at, fail_fast=fail_fast, lenient=lenient, document=document)
        self._schema = Schema[T].of(type)
        # For almost-JSON, the element's text is written anew, because pydantic reads strict JSON only.
        self._excerpt = WrittenExcerpt() if lenient else Excerpt()
        self._element = 0
        """The offset at which the open element begins."""

    def feed(self, text: str, *, now: float = 0.0) -> list[T | OutputInvalid]:
        """Return the elements that a piece of the document finishes.

        Args:
            text: The piece, of any length; pieces may be cut anywhere.
            now: Unused; every stage has this parameter.
        """
        self._excerpt.feed(text)
        out = super().feed(text)
        self._excerpt.settle()
        return out

    def _begin(self, event: ValueStart, stands: int, out: list[T | OutputInvalid]) -> None:
        if stands == 1:
            self._element = event.offset
            self._excerpt.open(event.offset)

    def _finish(self, event: ValueDone, stands: int, out: list[T | OutputInvalid]) -> None:
        """Validate a finished element, and add its value or its error to the results."""
        if stands != 1:
            return
        text = self._excerpt.close(event.offset, event.value)
        try:
            out.append(self._schema.validate_text(text))
        except OutputInvalid as error:
            self._refuse(self._broken(event, text, error.errors), out)
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)

    def _broken(self, event: ValueDone, text: str, errors: Sequence[Mapping[str, Any]]) -> OutputInvalid:
        """Return the error for an element that violates the schema."""
        schema = self._schema
        path = event.path
        placed = [{**each, "loc": (*path, *each["loc"])} for each in errors]
        fault = first_fault(placed, schema.words | self._matcher.pattern.keys)
        why = f"the element at character {self._element:,} is no valid {schema.title}: {fault}"
        if not len(self._matcher.pattern) and self._kind == "object":
            why += "; the document is an object: say where in it the elements are with at=…"
        return OutputInvalid(why, text=text, errors=placed, path=path)

    def _refuse(self, error: OutputInvalid, out: list[T | OutputInvalid]) -> None:
        if self._fail_fast:
            self._fail(error)
        else:
            out.append(error)


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
        lenient: Whether to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*: "first", "last", or
            "matching" (the document that validates). None refuses a text with two different documents.

    Raises:
        InvalidJSON: The text is not JSON.
        OutputInvalid: The document does not fit the type.
        OutputIncomplete: The text ends before the document does.

    Example:
        >>> validate_output(dict[str, int], '{"eggs": 3}')
        {'eggs': 3}
    """
    if not lenient and document is None and not may_have_nan(text):
        try:
            return Schema.of(type).validate_text(text)
        except OutputInvalid:
            # The stage below reports the place of the fault, and keeps the rest of the document.
            pass
    stage = Partials(type, lenient=lenient, document=document)
    drafts = [*stage.feed(text), *stage.end()]
    stage.check()
    return drafts[-1].final()

"""Stages that return a part of a document: the elements of an array, or the pieces of one string."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tokenstream._basics.text_log import TextLog
from tokenstream.errors import OutputInvalid
from tokenstream.partial_json._typed.schema import Schema, T, describe_first_fault
from tokenstream.stages._objects.search import Search, escape_stop_iteration
from tokenstream.stages._protocols import ITEM_END

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import TypeAdapter

    from tokenstream.partial_json._events import At, ValueDone, ValueStart
    from tokenstream.partial_json._repairs import Lenient


class Field(Search[str | OutputInvalid]):
    """The pieces of one string in a document, as the string is written.

    An explicit null gives no pieces. If the path leads to any other value that is
    not a string, or to nothing, `error` is an `OutputInvalid`. A path with
    wildcards gives the pieces of all matching strings, one string after another;
    a match that is not a string gives an `OutputInvalid` in its place, and reading
    continues after it. The document is not kept, so its errors have no `text`.
    """

    # The kinds of values that the path may lead to, and their name in error messages.
    _wanted: ClassVar = ("string",)
    _wanted_name: ClassVar = "a string"

    def _on_text(self, piece: str, out: list[str | OutputInvalid]) -> None:
        if self._last_position == 0:
            out.append(piece)

    def _on_invalid(self, error: OutputInvalid, out: list[str | OutputInvalid]) -> None:
        """Add an error to the results if the path has wildcards, as other strings may follow; else fail."""
        if self._matcher.pattern.wild:
            self._go_on_after(error, out)
        else:
            self._fail(error)


class MarkedField(Field):
    """The pieces of one string in a document, with `ITEM_END` after the string, or after each of several.

    `LOOP_END` comes where another value begins after the only string.
    """

    _marks_end = True

    def _on_end(self, event: ValueDone, position: int, out: list[str | OutputInvalid]) -> None:
        """Mark the end of a string at the path; `position` is 0 for a value at the path itself."""
        if position == self._last_position == 0:
            out.append(ITEM_END)


class _Excerpt:
    """The text of one element at a time, collected between the offsets of its events.

    `feed` receives each piece of the document. `open` and `close` are called for the events of an
    element in that piece, and `store_piece` after them, before the next piece. Other text is not kept.
    """

    def __init__(self) -> None:
        self._base = 0
        """Offset of the current piece in the document."""
        self._text = ""
        self._start: int | None = None
        """Start of the open element in the current piece; None if none is open."""
        self._earlier_text: TextLog | None = None
        """Text of the open element in earlier pieces; None if it began in the current piece."""

    def feed(self, text: str) -> None:
        """Make the next piece of the document the current one, to which `open` and `close` then refer."""
        self._base += len(self._text)
        self._text = text

    def open(self, offset: int) -> None:
        """Begin an element: collect the text from an offset on."""
        self._start = offset - self._base

    def store_piece(self) -> None:
        """Store the part of the open element that is in the current piece."""
        if self._start is None:
            return
        if self._earlier_text is None:
            self._earlier_text = TextLog()
        self._earlier_text.append(self._text[self._start :])
        # The element goes on at the start of the next piece.
        self._start = 0

    def close(self, offset: int) -> str:
        start, self._start = self._start, None
        text = self._text[start : offset - self._base]
        if self._earlier_text is not None:
            self._earlier_text.append(text)
            text = self._earlier_text.join()
            self._earlier_text = None
        return text


class Items(Search[T | OutputInvalid]):
    """The elements of an array in a document, each validated as soon as it is finished.

    The values of an object are elements, too. An element that violates the schema
    gives an `OutputInvalid` in its place, with the element's text, and its whole
    path in the errors; reading continues after it. Elements are not kept after they
    are returned, so a list may be endless, except with *lenient* and without *document*:
    a second document is compared with the first. Errors of the document have no `text`.
    """

    # The kinds of values that the path may lead to, and their name in error messages.
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
        self._excerpt = _Excerpt()
        self._element_offset = 0

    def feed(self, text: str, *, now: float = 0.0) -> list[T | OutputInvalid]:
        # The excerpt collects the text of the open element, which may go on in the next piece.
        self._excerpt.feed(text)
        out = super().feed(text)
        self._excerpt.store_piece()
        return out

    def _on_start(self, event: ValueStart, position: int, out: list[T | OutputInvalid]) -> None:
        """Note where an element (a value at position 1) begins, and collect its text from there."""
        if position == 1:
            self._element_offset = event.offset
            if not self._lenient:
                self._excerpt.open(event.offset)

    def _on_end(self, event: ValueDone, position: int, out: list[T | OutputInvalid]) -> None:
        """Validate a finished element, and add its value or its error to the results."""
        if position != 1:
            # The value is not an element, but within one, or around the elements.
            return
        # For almost-JSON, the element's value is written as JSON, because pydantic reads strict JSON only.
        text = json.dumps(event.value) if self._lenient else self._excerpt.close(event.offset)
        try:
            out.append(self._schema.validate_text(text))
        except OutputInvalid as error:
            self._go_on_after(self._make_element_error(event, text, error.errors), out)
        except Exception as error:  # noqa: BLE001 - validators may raise anything; `error` keeps it
            self.error = escape_stop_iteration(error)

    def _make_element_error(
        self, event: ValueDone, text: str, errors: Sequence[Mapping[str, Any]]
    ) -> OutputInvalid:
        """Return an element's error from those of pydantic, which are located relative to the element."""
        schema = self._schema
        path = event.path
        errors_in_document = [{**each, "loc": (*path, *each["loc"])} for each in errors]
        # The message may name keys of the type and of the path, but none that the model has chosen.
        fault = describe_first_fault(errors_in_document, schema.words | self._matcher.pattern.keys)
        why = f"the element at character {self._element_offset:,} is no valid {schema.title}: {fault}"
        # Without a path, the elements are those of the whole document.
        if not len(self._matcher.pattern) and self._kind == "object":
            why += "; the document is an object: say where in it the elements are with at=…"
        return OutputInvalid(why, text=text, errors=errors_in_document, path=path)

    def _on_invalid(self, error: OutputInvalid, out: list[T | OutputInvalid]) -> None:
        self._go_on_after(error, out)


class MarkedItems(Items[T]):
    """The elements of an array in a document, with `LOOP_END` where another value begins after the array."""

    _marks_end = True

"""The stage that returns the pieces of one string in a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from tokenstream._basics.members import show_members
from tokenstream.errors import OutputInvalid
from tokenstream.stages._cursor import ITEM_END
from tokenstream.stages._objects.search import Search

if TYPE_CHECKING:
    from tokenstream.partial_json._events import ValueDone, ValueStart
    from tokenstream.partial_json._pattern import At
    from tokenstream.partial_json._repairs import Lenient


@show_members
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
        lenient: True to accept almost-JSON; "closed" refuses a document that is cut off.
        document: The document to read if the text holds several, with *lenient*:
            "first" ignores the text after the first document, "last" shows nothing before
            the end. None refuses a text with two different documents.

    Example:
        >>> title = Field("recipe.title")
        >>> title.feed('{"recipe": {"title": "Pan'), title.feed('cakes", "min')
        (['Pan'], ['cakes'])
    """

    __slots__ = ("_inside",)

    # The kinds of values that the path may lead to, and their name in error messages.
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

    def _on_start(self, event: ValueStart, position: int, out: list[str | OutputInvalid]) -> None:
        """Note if a string at the path begins; `position` is 0 for a value at the path itself."""
        self._inside = position == 0

    def _on_text(self, piece: str, out: list[str | OutputInvalid]) -> None:
        """Add a piece of a string to the results if the string is at the path."""
        if self._inside:
            out.append(piece)

    def _on_invalid(self, error: OutputInvalid, out: list[str | OutputInvalid]) -> None:
        """Add an error to the results if the path has wildcards, as other strings may follow; else fail."""
        if self._matcher.pattern.wild and not self._fail_fast:
            out.append(error)
        else:
            super()._on_invalid(error, out)


class MarkedField(Field):
    """The pieces of one string in a document, with `ITEM_END` after the string, or after each of several."""

    __slots__ = ()

    def _on_end(self, event: ValueDone, position: int, out: list[str | OutputInvalid]) -> None:
        """Mark the end of a string at the path; `position` is 0 for a value at the path itself."""
        if position == 0 and self._inside:
            out.append(ITEM_END)

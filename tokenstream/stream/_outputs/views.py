"""Views of structured output, on a stream or on one of its choices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._sync_driver import SyncDriver
from tokenstream.stream._views.choice import ChoiceBase
from tokenstream.stream._views.partials_view import AsyncPartialsView, PartialsView
from tokenstream.stream._views.text_plan import Plan
from tokenstream.stream._views.text_view import AsyncTextView, TextView
from tokenstream.stream._views.view import AsyncItemsView, AsyncItemView, ItemsView, ItemView

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._pattern import At
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.partial_json._show import How
    from tokenstream.stream._outputs.result import ResultCursor

T = TypeVar("T")

_BROKE_OFF = (StreamTruncated, StreamInterrupted, StreamStalled)


class OutputViews(ChoiceBase[SyncDriver]):
    """The structured-output methods of a stream or a choice."""

    __slots__ = ()

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: How = "characters",
        document: DocumentChoice | None = None,
    ) -> PartialsView[T]:
        """Return a view of an object as it fills in: a snapshot for each piece that changes it.

        Each value is validated when it is finished. Errors appear in the `errors`
        of the next snapshot and are raised at the end.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            fail_fast: Whether invalid JSON, or the first value that breaks the schema, is
                raised at once and stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            defaults: Whether missing fields show their type's defaults from the start; a default
                computed from other fields shows only once the object is complete.
            show: How much of an unfinished string shows: "characters", all that arrived; "words", up
                to the last whole word; "values", nothing until it is finished. A field's own
                `tokenstream.partial_json.Show` takes precedence.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end, "matching" shows the one that validates, at the
                end too. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop; `.best` is the last snapshot. `InvalidJSON` if the
                text is not JSON from `.offset` on.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> for draft in Stream(['{"eggs": 2, ', '"milk": 1}'], format="pieces").partials(dict[str, int]):
            ...     print(draft.value, draft.complete)
            {'eggs': 2} False
            {'eggs': 2, 'milk': 1} True
        """
        asked = partial(
            self._cursors.partials,
            type,
            tool=tool,
            fail_fast=fail_fast,
            lenient=lenient,
            defaults=defaults,
            show=show,
            document=document,
        )
        return PartialsView(self._driver, Plan(asked), self._in_result)

    def items(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what each of them is
        at: At = "",
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> ItemsView[T]:
        """Return a view of an array's elements, each validated and delivered as soon as it is complete.

        An element that breaks the schema raises `OutputInvalid` in its place; read
        the same view again to continue after it.

        Args:
            type: The elements' type, or a pydantic `TypeAdapter`.
            at: Path of the array, such as "steps" or "recipes.*.steps", or a tuple of keys;
                "" is the whole answer.
            tool: Read the arguments of this tool instead of the text: those of all its calls.
            fail_fast: Whether invalid JSON, or the first element that breaks the schema,
                stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop: an element, or at the end the answer, is not what was asked for.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"steps": [1, 2', '2, 3]}'], format="pieces").items(int, at="steps"))
            [1, 22, 3]
        """
        cursor = self._cursors.items(
            type, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return ItemsView(self._driver, cursor, self._in_result)

    def field(
        self,
        at: At,
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> TextView:
        """Return a view of one string of an object as it grows: `str` pieces, which can be shaped.

        A path with wildcards reads several strings, one after the other. A value
        that is not a string raises `OutputInvalid` in its place; read the same view
        again to continue after it.

        Args:
            at: Path of the string, such as "summary" or "recipe.title", or a tuple of keys.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            fail_fast: Whether invalid JSON, or the first value that is not a string, stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop: the answer has no such string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"title": "Pan', 'cakes"}'], format="pieces").field("title"))
            ['Pan', 'cakes']
        """
        asked = partial(
            self._cursors.field, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return TextView(self._driver, Plan(asked), self._in_result)

    def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        Call it before, during or after any view, and as often as you like. Complete
        JSON is a result even if the answer was cut after it (finish reason length);
        a tool call that was cut is not.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first", "last", or
                "matching", the one that validates. None refuses documents that differ.

        Raises:
            OutputInvalid: The answer is missing or does not match; `.errors` are pydantic's.
            OutputIncomplete: The answer was cut, or the stream broke off; its error is the cause.
            StreamError: The answer failed for another reason.

        Example:
            >>> from tokenstream import Stream
            >>> Stream(['{"eggs": 2', ', "milk": 1}'], format="pieces").result(dict[str, int])
            {'eggs': 2, 'milk': 1}
        """
        cursor: ResultCursor[T] = self._cursors.result(type, tool=tool, lenient=lenient, document=document)
        try:
            return next(ItemView(self._driver, cursor, self._in_result))
        except _BROKE_OFF as error:
            return cursor.broke_off(error)


class AsyncOutputViews(ChoiceBase[AsyncDriver]):
    """The structured-output methods of a stream or a choice."""

    __slots__ = ()

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: How = "characters",
        document: DocumentChoice | None = None,
    ) -> AsyncPartialsView[T]:
        """Return a view of an object as it fills in: a snapshot for each piece that changes it.

        Each value is validated when it is finished. Errors appear in the `errors`
        of the next snapshot and are raised at the end.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            fail_fast: Whether invalid JSON, or the first value that breaks the schema, is
                raised at once and stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            defaults: Whether missing fields show their type's defaults from the start; a default
                computed from other fields shows only once the object is complete.
            show: How much of an unfinished string shows: "characters", all that arrived; "words", up
                to the last whole word; "values", nothing until it is finished. A field's own
                `tokenstream.partial_json.Show` takes precedence.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end, "matching" shows the one that validates, at the
                end too. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop; `.best` is the last snapshot. `InvalidJSON` if the
                text is not JSON from `.offset` on.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        asked = partial(
            self._cursors.partials,
            type,
            tool=tool,
            fail_fast=fail_fast,
            lenient=lenient,
            defaults=defaults,
            show=show,
            document=document,
        )
        return AsyncPartialsView(self._driver, Plan(asked), self._in_result)

    def items(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what each of them is
        at: At = "",
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> AsyncItemsView[T]:
        """Return a view of an array's elements, each validated and delivered as soon as it is complete.

        An element that breaks the schema raises `OutputInvalid` in its place; read
        the same view again to continue after it.

        Args:
            type: The elements' type, or a pydantic `TypeAdapter`.
            at: Path of the array, such as "steps" or "recipes.*.steps", or a tuple of keys;
                "" is the whole answer.
            tool: Read the arguments of this tool instead of the text: those of all its calls.
            fail_fast: Whether invalid JSON, or the first element that breaks the schema,
                stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop: an element, or at the end the answer, is not what was asked for.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        cursor = self._cursors.items(
            type, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return AsyncItemsView(self._driver, cursor, self._in_result)

    def field(
        self,
        at: At,
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> AsyncTextView:
        """Return a view of one string of an object as it grows: `str` pieces, which can be shaped.

        A path with wildcards reads several strings, one after the other. A value
        that is not a string raises `OutputInvalid` in its place; read the same view
        again to continue after it.

        Args:
            at: Path of the string, such as "summary" or "recipe.title", or a tuple of keys.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            fail_fast: Whether invalid JSON, or the first value that is not a string, stops the stream.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first" ignores the others,
                "last" shows nothing before the end. None refuses documents that differ.

        Raises:
            OutputInvalid: In the loop: the answer has no such string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        asked = partial(
            self._cursors.field, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return AsyncTextView(self._driver, Plan(asked), self._in_result)

    async def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        Call it before, during or after any view, and as often as you like. Complete
        JSON is a result even if the answer was cut after it (finish reason length);
        a tool call that was cut is not.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: Read the arguments of this tool instead of the text: those of its first
                call that has any.
            lenient: Whether to repair almost-JSON; "closed" does so too, but refuses a cut document.
            document: Which of several documents to read, with *lenient*: "first", "last", or
                "matching", the one that validates. None refuses documents that differ.

        Raises:
            OutputInvalid: The answer is missing or does not match; `.errors` are pydantic's.
            OutputIncomplete: The answer was cut, or the stream broke off; its error is the cause.
            StreamError: The answer failed for another reason.
        """
        cursor: ResultCursor[T] = self._cursors.result(type, tool=tool, lenient=lenient, document=document)
        try:
            return await anext(AsyncItemView(self._driver, cursor, self._in_result))
        except _BROKE_OFF as error:
            return cursor.broke_off(error)

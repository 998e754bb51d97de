"""The views of structured output, for streams and their choices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.stream._views.shaped_view import AsyncPartialsView, PartialsView, T
from tokenstream.stream._views.text_plan import ShapingPlan
from tokenstream.stream._views.text_view import AsyncTextView, TextView
from tokenstream.stream._views.view import AsyncChoiceBase, AsyncItemsView, ItemsView, SyncChoiceBase

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.partial_json._events import At
    from tokenstream.partial_json._parser import DocumentChoice
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.partial_json._show import ShowUnit
    from tokenstream.stream._protocols import WholeCursor


_BROKE_OFF = (StreamTruncated, StreamInterrupted, StreamStalled)


class OutputViews(SyncChoiceBase):
    """Base class of streams and choices, which has the methods for structured output."""

    __slots__ = ()

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: ShowUnit = "characters",
        document: DocumentChoice | None = None,
    ) -> PartialsView[T]:
        """Return a view of an object as it arrives: a snapshot for each piece that changes the object.

        Each value is validated when it is finished. Errors are in the `errors`
        of the next snapshot, and are raised at the end.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: The tool whose arguments to read instead of the text, from its first call that has
                arguments; None to read the text.
            fail_fast: True to stop the stream and raise the error at once for invalid JSON, or for
                the first value that breaks the schema.
            lenient: True to repair almost-JSON; "closed" repairs it, too, but refuses a document
                that was cut off.
            defaults: True to include the default values of missing fields from the start; a default
                that is computed from other fields is included only once the object is complete.
            show: The part of an unfinished string to include: "characters" for all that has arrived,
                "words" for the text up to the last whole word, "values" for nothing until the string
                is finished. A field's own `tokenstream.partial_json.Show` takes precedence.
            document: The document to read if there are several, with *lenient*: "first" ignores the others,
                "last" delivers nothing before the end, "matching" delivers, also at the end, the
                document that validates. None refuses documents that differ.

        Raises:
            OutputInvalid: The output does not match the type; `.best` is the last snapshot. This is an
                `InvalidJSON` if the text is not JSON from `.offset` on. Raised in the loop.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> for draft in Stream(['{"a": 2, ', '"b": 1}'], format="pieces").partials(dict):
            ...     print(draft.value, draft.complete)
            {'a': 2} False
            {'a': 2, 'b': 1} True
        """
        make_cursor = partial(
            self._cursors.partials,
            type,
            tool=tool,
            fail_fast=fail_fast,
            lenient=lenient,
            defaults=defaults,
            show=show,
            document=document,
        )
        return PartialsView(self._driver, ShapingPlan(make_cursor), self._result_expression)

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

        For an element that breaks the schema, the view raises `OutputInvalid`; read
        the same view again to continue after that element. With `document`, "last" delivers nothing before
        the end. The other arguments are those of `Stream.partials`.

        Inside `with`, the loop over one array of the text ends where the document goes on with another
        value; errors after that come up in the next read. Without one, the block stops the stream;
        `final()` reads to the end.

        Args:
            type: The elements' type, or a pydantic `TypeAdapter`.
            at: Path of the array, such as "steps" or "recipes.*.steps", or a tuple of keys;
                "" is the whole answer.
            tool: The tool whose arguments to read instead of the text, from all its calls; None to read
                the text.
            fail_fast: True to stop the stream at invalid JSON, or at the first element that breaks
                the schema.

        Raises:
            OutputInvalid: An element or, at the end, the answer does not match; raised in the loop.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed before the loop's end.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"steps": [1, 2', '2, 3]}'], format="pieces").items(int, at="steps"))
            [1, 22, 3]
        """
        cursor = self._cursors.items(
            type, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return ItemsView(self._driver, cursor, self._result_expression)

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

        A path with wildcards reads several strings, one after the other. For a value
        that is not a string, the view raises `OutputInvalid`; read the same view
        again to continue after that value. The other arguments are those of `Stream.items`.

        Inside `with`, the loop over a path without wildcards ends where the document goes on with another
        value; errors after that come up in the next read. Without one, the block stops the stream; `final()`
        reads to the end.

        Args:
            at: Path of the string, such as "summary" or "recipe.title", or a tuple of keys.
            tool: The tool whose arguments to read instead of the text, from its first call that has
                arguments; None to read the text.
            fail_fast: True to stop the stream at invalid JSON, or at the first value that is not a string.

        Raises:
            OutputInvalid: The answer has no string at that path, or no JSON; raised in the loop.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed before the loop's end.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"title": "Pan', 'cakes"}'], format="pieces").field("title"))
            ['Pan', 'cakes']
        """
        make_cursor = partial(
            self._cursors.field, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return TextView(self._driver, ShapingPlan(make_cursor), self._result_expression)

    def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        Call this method before, during or after any view, and as often as you like. Complete
        JSON is a result even if the answer was cut off after it (finish reason "length");
        a tool call that was cut off is not.

        Args:
            type: The answer's type, or a pydantic `TypeAdapter`.
            tool: The tool whose arguments to read instead of the text, from its first call that has
                arguments; None to read the text.
            lenient: True to repair almost-JSON; "closed" repairs it, too, but refuses a document
                that was cut off.
            document: The document to read if there are several, with *lenient*: "first", "last", or
                "matching" for the document that validates. None refuses documents that differ.

        Raises:
            OutputInvalid: The answer is missing or does not match; `.errors` are the errors of pydantic.
            OutputIncomplete: The answer was cut off, or the stream broke off, whose error is the cause.
            StreamError: The answer failed for another reason.

        Example:
            >>> from tokenstream import Stream
            >>> Stream(['{"eggs": 2', ', "milk": 1}'], format="pieces").result(dict[str, int])
            {'eggs': 2, 'milk': 1}
        """
        cursor: WholeCursor[T] = self._cursors.result(type, tool=tool, lenient=lenient, document=document)
        try:
            return next(ItemsView(self._driver, cursor, self._result_expression))
        except _BROKE_OFF as error:
            # The choice may be complete all the same; otherwise, this raises `OutputIncomplete`.
            return cursor.end_broken_off(error)


class AsyncOutputViews(AsyncChoiceBase):
    """Base class of streams and choices, which has the methods for structured output."""

    __slots__ = ()

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: Lenient = False,
        defaults: bool = False,
        show: ShowUnit = "characters",
        document: DocumentChoice | None = None,
    ) -> AsyncPartialsView[T]:
        """Return a view of an object as it arrives: a snapshot for each piece that changes the object.

        Each value is validated when it is finished. Errors are in the `errors`
        of the next snapshot, and are raised at the end.

        The arguments and errors are those of `Stream.partials`.
        """
        make_cursor = partial(
            self._cursors.partials,
            type,
            tool=tool,
            fail_fast=fail_fast,
            lenient=lenient,
            defaults=defaults,
            show=show,
            document=document,
        )
        return AsyncPartialsView(self._driver, ShapingPlan(make_cursor), self._result_expression)

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

        For an element that breaks the schema, the view raises `OutputInvalid`; read
        the same view again to continue after that element.

        The arguments and errors are those of `Stream.items`.
        """
        cursor = self._cursors.items(
            type, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return AsyncItemsView(self._driver, cursor, self._result_expression)

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

        A path with wildcards reads several strings, one after the other. For a value
        that is not a string, the view raises `OutputInvalid`; read the same view
        again to continue after that value.

        The arguments and errors are those of `Stream.field`.
        """
        make_cursor = partial(
            self._cursors.field, at, tool=tool, fail_fast=fail_fast, lenient=lenient, document=document
        )
        return AsyncTextView(self._driver, ShapingPlan(make_cursor), self._result_expression)

    async def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        Await this method before, during or after any view, and as often as you like. Complete
        JSON is a result even if the answer was cut off after it (finish reason "length");
        a tool call that was cut off is not.

        The arguments and errors are those of `Stream.result`.
        """
        cursor: WholeCursor[T] = self._cursors.result(type, tool=tool, lenient=lenient, document=document)
        try:
            return await anext(AsyncItemsView(self._driver, cursor, self._result_expression))
        except _BROKE_OFF as error:
            # The choice may be complete all the same; otherwise, this raises `OutputIncomplete`.
            return cursor.end_broken_off(error)

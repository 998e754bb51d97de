"""Structured output as it arrives: the views of a stream, or of one of its choices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

from tokenstream.errors import StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.stream._async_driver import AsyncDriver
from tokenstream.stream._choice import ChoiceBase
from tokenstream.stream._partials_view import AsyncPartialsView, PartialsView
from tokenstream.stream._sync_driver import SyncDriver
from tokenstream.stream._text_plan import Plan
from tokenstream.stream._text_view import AsyncTextView, TextView
from tokenstream.stream._view import AsyncItemsView, AsyncItemView, ItemsView, ItemView

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.partial_json._choice import DocumentChoice
    from tokenstream.partial_json._pattern import At
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.partial_json._show import How
    from tokenstream.stream._output_result import ResultCursor

__all__ = ["AsyncOutputViews", "OutputViews"]

T = TypeVar("T")

_BROKE_OFF = (StreamTruncated, StreamInterrupted, StreamStalled)


class OutputViews(ChoiceBase[SyncDriver]):
    """Structured output as it arrives, on a stream or a choice of it."""

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
        """Watch an object fill in: a view of snapshots, one for each piece that changes it.

        A value is validated when it is finished; what is wrong shows in the
        `errors` of the next snapshot, and is raised at the end.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            fail_fast: Whether the first value that breaks the schema, or broken JSON, is
                raised at once and stops the stream.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            defaults: Whether fields that have not come show their type's defaults, from the
                start; one that is made out of other fields shows with the whole object only.
            show: When strings show: "characters", as far as they have come; "words", as far as
                their last whole word; "values", once they are finished. What the type says of a
                field, with `tokenstream.partial_json.Show`, counts first.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end, "matching" is the one
                that validates and shows at the end, too. None refuses two that differ.

        Raises:
            OutputInvalid: In the loop; `.best` is the last snapshot. `InvalidJSON` where
                the text is no JSON from `.offset` on.
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
        """Take the elements of an array one by one: a view that gives each, validated, as soon as it closes.

        An element that breaks the schema raises `OutputInvalid` in its place;
        reading the same view again goes on behind it.

        Args:
            type: What each element is: a type, or a pydantic `TypeAdapter`.
            at: Where the array is, such as "steps" or "recipes.*.steps", or a tuple of keys;
                "" is the whole answer.
            tool: A tool whose arguments are read instead of the text: those of all calls of it.
            fail_fast: Whether the first element that breaks the schema, or broken JSON,
                stops the stream.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end. None refuses two that differ.

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
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> TextView:
        """Read one string of an object as it is written: a view of `str` pieces, which can be shaped.

        A path with wildcards reads several, one after the other. What is no string
        among them raises `OutputInvalid` in its place; reading the same view again
        goes on behind it.

        Args:
            at: Where the string is, such as "summary" or "recipe.title", or a tuple of keys.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end. None refuses two that differ.

        Raises:
            OutputInvalid: In the loop: there is no string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"title": "Pan', 'cakes"}'], format="pieces").field("title"))
            ['Pan', 'cakes']
        """
        plan = Plan(partial(self._cursors.field, at, tool=tool, lenient=lenient, document=document))
        return TextView(self._driver, plan, self._in_result)

    def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        It may be called before, during or after any view, and again. JSON that is
        whole is a result even where the answer was cut behind it (finish reason
        length); a tool call that was cut is none.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first",
                "last", or "matching", the one that validates. None refuses two that differ.

        Raises:
            OutputInvalid: The answer is something else, or there is none: `.errors` are pydantic's.
            OutputIncomplete: It was cut, or the stream broke off, whose error is then the cause.
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
    """Structured output as it arrives, on a stream or a choice of it."""

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
        """Watch an object fill in: a view of snapshots, one for each piece that changes it.

        A value is validated when it is finished; what is wrong shows in the
        `errors` of the next snapshot, and is raised at the end.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            fail_fast: Whether the first value that breaks the schema, or broken JSON, is
                raised at once and stops the stream.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            defaults: Whether fields that have not come show their type's defaults, from the
                start; one that is made out of other fields shows with the whole object only.
            show: When strings show: "characters", as far as they have come; "words", as far as
                their last whole word; "values", once they are finished. What the type says of a
                field, with `tokenstream.partial_json.Show`, counts first.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end, "matching" is the one
                that validates and shows at the end, too. None refuses two that differ.

        Raises:
            OutputInvalid: In the loop; `.best` is the last snapshot. `InvalidJSON` where
                the text is no JSON from `.offset` on.
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
        """Take the elements of an array one by one: a view that gives each, validated, as soon as it closes.

        An element that breaks the schema raises `OutputInvalid` in its place;
        reading the same view again goes on behind it.

        Args:
            type: What each element is: a type, or a pydantic `TypeAdapter`.
            at: Where the array is, such as "steps" or "recipes.*.steps", or a tuple of keys;
                "" is the whole answer.
            tool: A tool whose arguments are read instead of the text: those of all calls of it.
            fail_fast: Whether the first element that breaks the schema, or broken JSON,
                stops the stream.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end. None refuses two that differ.

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
        lenient: Lenient = False,
        document: Literal["first", "last"] | None = None,
    ) -> AsyncTextView:
        """Read one string of an object as it is written: a view of `str` pieces, which can be shaped.

        A path with wildcards reads several, one after the other. What is no string
        among them raises `OutputInvalid` in its place; reading the same view again
        goes on behind it.

        Args:
            at: Where the string is, such as "summary" or "recipe.title", or a tuple of keys.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first"
                reads nothing behind it, "last" shows nothing before the end. None refuses two that differ.

        Raises:
            OutputInvalid: In the loop: there is no string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        plan = Plan(partial(self._cursors.field, at, tool=tool, lenient=lenient, document=document))
        return AsyncTextView(self._driver, plan, self._in_result)

    async def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: Lenient = False,
        document: DocumentChoice | None = None,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        It may be called before, during or after any view, and again. JSON that is
        whole is a result even where the answer was cut behind it (finish reason
        length); a tool call that was cut is none.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON; "closed" refuses what was cut.
            document: Which is read where the text holds several documents, with *lenient*: "first",
                "last", or "matching", the one that validates. None refuses two that differ.

        Raises:
            OutputInvalid: The answer is something else, or there is none: `.errors` are pydantic's.
            OutputIncomplete: It was cut, or the stream broke off, whose error is then the cause.
            StreamError: The answer failed for another reason.
        """
        cursor: ResultCursor[T] = self._cursors.result(type, tool=tool, lenient=lenient, document=document)
        try:
            return await anext(AsyncItemView(self._driver, cursor, self._in_result))
        except _BROKE_OFF as error:
            return cursor.broke_off(error)

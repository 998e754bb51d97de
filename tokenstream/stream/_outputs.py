"""Structured output as it arrives: the views of a stream, or of one of its choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from tokenstream.errors import MisuseError, StreamInterrupted, StreamStalled, StreamTruncated
from tokenstream.stream._view import AsyncItemView, AsyncView, ItemView, View

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._pattern import At
    from tokenstream.stream._output_cursor import OutputCursor
    from tokenstream.stream._output_documents import Answer
    from tokenstream.stream._output_result import ResultCursor
    from tokenstream.stream._views import AsyncChoice, Choice

__all__ = ["AsyncOutputs", "Outputs"]

T = TypeVar("T")

_BROKE_OFF = (StreamTruncated, StreamInterrupted, StreamStalled)


class Outputs:
    """Structured output as it arrives, on a stream or a choice of it."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _own(self) -> Choice: ...

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: bool = False,
    ) -> View[Partial[T]]:
        """Watch an object fill in: a view of snapshots, one for each piece that changes it.

        A value is validated when it is finished; what is wrong shows in the
        `errors` of the next snapshot, and is raised at the end.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            fail_fast: Whether the first value that breaks the schema, or broken JSON, is
                raised at once and stops the stream.
            lenient: Whether to read what is almost JSON.

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
        own = self._own()
        cursor = _drafts(own, type, tool, fail_fast=fail_fast, lenient=lenient)
        return View(own._stream, cursor, _result(own))  # noqa: SLF001 - its own stream

    def items(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what each of them is
        at: At = "",
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: bool = False,
    ) -> View[T]:
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
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: In the loop: an element, or at the end the answer, is not what was asked for.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"steps": [1, 2', '2, 3]}'], format="pieces").items(int, at="steps"))
            [1, 22, 3]
        """
        own = self._own()
        cursor = _items(own, type, at, tool, fail_fast=fail_fast, lenient=lenient)
        return ItemView(own._stream, cursor, _result(own))  # noqa: SLF001 - its own stream

    def field(self, at: At, *, tool: str | None = None, lenient: bool = False) -> View[str]:
        """Read one string of an object as it is written: a view of `str` pieces.

        A path with wildcards reads several, one after the other. What is no string
        among them raises `OutputInvalid` in its place; reading the same view again
        goes on behind it.

        Args:
            at: Where the string is, such as "summary" or "recipe.title", or a tuple of keys.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: In the loop: there is no string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.

        Example:
            >>> from tokenstream import Stream
            >>> list(Stream(['{"title": "Pan', 'cakes"}'], format="pieces").field("title"))
            ['Pan', 'cakes']
        """
        own = self._own()
        return View(own._stream, _pieces(own, at, tool, lenient=lenient), _result(own))  # noqa: SLF001

    def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: bool = False,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        It may be called before, during or after any view, and again. JSON that is
        whole is a result even where the answer was cut behind it (finish reason
        length); a tool call that was cut is none.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: The answer is something else, or there is none: `.errors` are pydantic's.
            OutputIncomplete: It was cut, or the stream broke off, whose error is then the cause.
            StreamError: The answer failed for another reason.

        Example:
            >>> from tokenstream import Stream
            >>> Stream(['{"eggs": 2', ', "milk": 1}'], format="pieces").result(dict[str, int])
            {'eggs': 2, 'milk': 1}
        """
        own = self._own()
        cursor = _end(own, type, tool, lenient=lenient)
        try:
            return next(ItemView(own._stream, cursor, _result(own)))  # noqa: SLF001 - its own stream
        except _BROKE_OFF as error:
            return cursor.broke_off(error)


class AsyncOutputs:
    """Structured output as it arrives, on a stream or a choice of it."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _own(self) -> AsyncChoice: ...

    def partials(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: bool = False,
    ) -> AsyncView[Partial[T]]:
        """Watch an object fill in: a view of snapshots, one for each piece that changes it.

        A value is validated when it is finished; what is wrong shows in the
        `errors` of the next snapshot, and is raised at the end.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            fail_fast: Whether the first value that breaks the schema, or broken JSON, is
                raised at once and stops the stream.
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: In the loop; `.best` is the last snapshot. `InvalidJSON` where
                the text is no JSON from `.offset` on.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        own = self._own()
        cursor = _drafts(own, type, tool, fail_fast=fail_fast, lenient=lenient)
        return AsyncView(own._stream, cursor, _result(own))  # noqa: SLF001 - its own stream

    def items(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what each of them is
        at: At = "",
        *,
        tool: str | None = None,
        fail_fast: bool = False,
        lenient: bool = False,
    ) -> AsyncView[T]:
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
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: In the loop: an element, or at the end the answer, is not what was asked for.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        own = self._own()
        cursor = _items(own, type, at, tool, fail_fast=fail_fast, lenient=lenient)
        return AsyncItemView(own._stream, cursor, _result(own))  # noqa: SLF001 - its own stream

    def field(self, at: At, *, tool: str | None = None, lenient: bool = False) -> AsyncView[str]:
        """Read one string of an object as it is written: a view of `str` pieces.

        A path with wildcards reads several, one after the other. What is no string
        among them raises `OutputInvalid` in its place; reading the same view again
        goes on behind it.

        Args:
            at: Where the string is, such as "summary" or "recipe.title", or a tuple of keys.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: In the loop: there is no string, or no JSON.
            OutputIncomplete: The answer ended before its JSON did.
            StreamError: The answer failed, as in every view.
        """
        own = self._own()
        return AsyncView(own._stream, _pieces(own, at, tool, lenient=lenient), _result(own))  # noqa: SLF001

    async def result(
        self,
        type: type[T] | TypeAdapter[T],  # noqa: A002 - what it is
        *,
        tool: str | None = None,
        lenient: bool = False,
    ) -> T:
        """Read to the end and return the answer as a typed value.

        It may be called before, during or after any view, and again. JSON that is
        whole is a result even where the answer was cut behind it (finish reason
        length); a tool call that was cut is none.

        Args:
            type: What the answer is: a type, or a pydantic `TypeAdapter`.
            tool: A tool whose arguments are read instead of the text: those of the first
                call of it that has any.
            lenient: Whether to read what is almost JSON.

        Raises:
            OutputInvalid: The answer is something else, or there is none: `.errors` are pydantic's.
            OutputIncomplete: It was cut, or the stream broke off, whose error is then the cause.
            StreamError: The answer failed for another reason.
        """
        own = self._own()
        cursor = _end(own, type, tool, lenient=lenient)
        try:
            return await anext(AsyncItemView(own._stream, cursor, _result(own)))  # noqa: SLF001 - its own stream
        except _BROKE_OFF as error:
            return cursor.broke_off(error)


# What makes them reads JSON and validates: it is loaded when first used.


def _drafts(
    own: Choice | AsyncChoice,
    type: type[T] | TypeAdapter[T],  # noqa: A002
    tool: str | None,
    *,
    fail_fast: bool,
    lenient: bool,
) -> OutputCursor[Partial[T]]:
    from tokenstream.stages.objects import Partials
    from tokenstream.stream._output_cursor import OutputCursor

    return OutputCursor(
        _answer(own, tool), lambda: Partials(type, fail_fast=fail_fast, lenient=lenient), "drafts"
    )


def _items(
    own: Choice | AsyncChoice,
    type: type[T] | TypeAdapter[T],  # noqa: A002
    at: At,
    tool: str | None,
    *,
    fail_fast: bool,
    lenient: bool,
) -> OutputCursor[Any]:
    from tokenstream.stages.objects import Items
    from tokenstream.stream._output_cursor import OutputCursor

    return OutputCursor(
        _answer(own, tool), lambda: Items(type, at, fail_fast=fail_fast, lenient=lenient), "items"
    )


def _pieces(own: Choice | AsyncChoice, at: At, tool: str | None, *, lenient: bool) -> OutputCursor[Any]:
    from tokenstream.stages.objects import Field
    from tokenstream.stream._output_cursor import OutputCursor

    return OutputCursor(_answer(own, tool), lambda: Field(at, lenient=lenient), "pieces")


def _end(
    own: Choice | AsyncChoice,
    type: type[T] | TypeAdapter[T],  # noqa: A002
    tool: str | None,
    *,
    lenient: bool,
) -> ResultCursor[T]:
    from tokenstream.stream._output_result import ResultCursor

    return ResultCursor(_answer(own, tool), type, own._stream._results, lenient=lenient)  # noqa: SLF001


def _answer(own: Choice | AsyncChoice, tool: str | None) -> Answer:
    from tokenstream.stream._output_documents import Answer

    if tool is not None and not isinstance(cast("object", tool), str):
        raise MisuseError(f"tool= takes the name of a tool, as the model calls it, and not {tool!r}")
    return Answer(own._accumulator, own.index, tool, own._stream.stop)  # noqa: SLF001


def _result(own: Choice | AsyncChoice) -> str:
    """Return where the value is."""
    return "stream.result(…)" if own.index == 0 else f"stream.choice({own.index}).result(…)"

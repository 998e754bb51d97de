"""View of tool calls while they are written, on a stream or one of its choices."""

# As in `tools.py`, the overload for types is the first, and takes precedence.
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from tokenstream.stream._views.view import AsyncChoiceBase, AsyncView, SyncChoiceBase, View

if TYPE_CHECKING:
    from typing import TypeAlias

    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages import CallDraft
    from tokenstream.stream._outputs.tools import A1, A2, A3, A4, A5, A6, R1, R2, OfEither, OfFunction, OfType

    DraftOf: TypeAlias = "CallDraft[dict[str, Any], R1]"


class CallDraftViews(SyncChoiceBase):
    """Base class of streams and choices, which has the method `tool_partials`."""

    __slots__ = ()

    @overload
    def tool_partials(self, a: OfType[A1], /, *, lenient: Lenient = False) -> View[CallDraft[A1]]: ...

    @overload
    def tool_partials(self, a: OfFunction[R1], /, *, lenient: Lenient = False) -> View[DraftOf[R1]]: ...

    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfType[A2], /, *, lenient: Lenient = False
    ) -> View[CallDraft[A1] | CallDraft[A2]]: ...

    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfFunction[R2], /, *, lenient: Lenient = False
    ) -> View[CallDraft[A1] | DraftOf[R2]]: ...

    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfType[A2], /, *, lenient: Lenient = False
    ) -> View[DraftOf[R1] | CallDraft[A2]]: ...

    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfFunction[R2], /, *, lenient: Lenient = False
    ) -> View[DraftOf[R1] | DraftOf[R2]]: ...

    @overload
    def tool_partials(
        self, a: OfEither[A1], b: OfEither[A2], c: OfEither[A3], /, *, lenient: Lenient = False
    ) -> View[CallDraft[A1] | CallDraft[A2] | CallDraft[A3]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        /,
        *,
        lenient: Lenient = False,
    ) -> View[CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        e: OfEither[A5],
        /,
        *,
        lenient: Lenient = False,
    ) -> View[CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4] | CallDraft[A5]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        e: OfEither[A5],
        f: OfEither[A6],
        /,
        *,
        lenient: Lenient = False,
    ) -> View[
        CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4] | CallDraft[A5] | CallDraft[A6]
    ]: ...

    @overload
    def tool_partials(self, /, *, lenient: Lenient = False, **named: OfType[A1]) -> View[CallDraft[A1]]: ...

    @overload
    def tool_partials(self, /, *, lenient: Lenient = False, **named: OfFunction[R1]) -> View[DraftOf[R1]]: ...

    @overload
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, **named: object
    ) -> View[CallDraft]: ...
    def tool_partials(self, /, *tools: object, lenient: Lenient = False, **named: object) -> View[Any]:
        """Return a view of tool calls while the model writes them: a draft for each piece of a call.

        Interleaved calls are distinguished by `id` and `name`. The first draft of a call is
        delivered when the call begins, and the last when the call has ended. The last draft has
        the call itself, checked or with its error, as in `validated_calls`. A call of a tool that
        is not listed has only the last draft.

        Args:
            tools: Types or functions, as for `validated_calls`.
            lenient: True to repair almost-JSON arguments; "closed" repairs them, too, but
                refuses arguments that were cut off. A tool named "lenient" must be passed in `tools`.
            named: Types or functions, each under the name by which the model calls it.

        Raises:
            MisuseError: An argument is not a tool, has no name, or has the name of another tool.
            OutputIncomplete: The answer was cut off within a call; raised at the end of the loop.
            StreamError: The answer failed; raised in the loop.

        Example:
            >>> from tokenstream import Stream
            >>> def get_weather(city: str) -> str:
            ...     return f"sun in {city}"
            >>> call = {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
            >>> chunk = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
            >>> for drafted in Stream([chunk], format="openai-chat").tool_partials(get_weather):
            ...     print(drafted.name, drafted.draft.get("city", default="…"), drafted.complete)
            get_weather … False
            get_weather Oslo False
            get_weather Oslo True
        """
        cursor = self._cursors.tool_partials(*tools, lenient=lenient, **named)
        return View(self._driver, cursor, self._message_expression("tool_calls"))


class AsyncCallDraftViews(AsyncChoiceBase):
    """Base class of streams and choices, which has the method `tool_partials`."""

    __slots__ = ()

    @overload
    def tool_partials(self, a: OfType[A1], /, *, lenient: Lenient = False) -> AsyncView[CallDraft[A1]]: ...

    @overload
    def tool_partials(self, a: OfFunction[R1], /, *, lenient: Lenient = False) -> AsyncView[DraftOf[R1]]: ...

    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfType[A2], /, *, lenient: Lenient = False
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2]]: ...

    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfFunction[R2], /, *, lenient: Lenient = False
    ) -> AsyncView[CallDraft[A1] | DraftOf[R2]]: ...

    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfType[A2], /, *, lenient: Lenient = False
    ) -> AsyncView[DraftOf[R1] | CallDraft[A2]]: ...

    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfFunction[R2], /, *, lenient: Lenient = False
    ) -> AsyncView[DraftOf[R1] | DraftOf[R2]]: ...

    @overload
    def tool_partials(
        self, a: OfEither[A1], b: OfEither[A2], c: OfEither[A3], /, *, lenient: Lenient = False
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2] | CallDraft[A3]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        /,
        *,
        lenient: Lenient = False,
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        e: OfEither[A5],
        /,
        *,
        lenient: Lenient = False,
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4] | CallDraft[A5]]: ...

    @overload
    def tool_partials(
        self,
        a: OfEither[A1],
        b: OfEither[A2],
        c: OfEither[A3],
        d: OfEither[A4],
        e: OfEither[A5],
        f: OfEither[A6],
        /,
        *,
        lenient: Lenient = False,
    ) -> AsyncView[
        CallDraft[A1] | CallDraft[A2] | CallDraft[A3] | CallDraft[A4] | CallDraft[A5] | CallDraft[A6]
    ]: ...

    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, **named: OfType[A1]
    ) -> AsyncView[CallDraft[A1]]: ...

    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, **named: OfFunction[R1]
    ) -> AsyncView[DraftOf[R1]]: ...

    @overload
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, **named: object
    ) -> AsyncView[CallDraft]: ...
    def tool_partials(self, /, *tools: object, lenient: Lenient = False, **named: object) -> AsyncView[Any]:
        """Return a view of tool calls while the model writes them: a draft for each piece of a call.

        Interleaved calls are distinguished by `id` and `name`. The last draft of a call has the call
        itself, checked or with its error, as in `validated_calls`.

        The arguments and errors are those of `Stream.tool_partials`.

        Example:
            >>> from tokenstream import AsyncStream
            >>> def get_weather(city: str) -> str:
            ...     return f"sun in {city}"
            >>> async def watch(stream: AsyncStream) -> None:
            ...     async for drafted in stream.tool_partials(get_weather):
            ...         print(drafted.name, drafted.draft.get("city", default="…"))
        """
        cursor = self._cursors.tool_partials(*tools, lenient=lenient, **named)
        return AsyncView(self._driver, cursor, self._message_expression("tool_calls"))

"""The views of tool calls with checked arguments: whole calls, and calls while they are written.

Each method has the overloads in both kinds of loop, because Python has no type variable for a generic
class; what a tool may be, and what it makes of a call, is here once.
"""

# A class is callable, so for type checkers it also matches a function; the overload for types is the
# first, and takes precedence.
# pyright: reportOverlappingOverload=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, Unpack, overload

from tokenstream.stream._views.view import (
    AsyncChoiceBase,
    AsyncToolCallView,
    AsyncView,
    SyncChoiceBase,
    ToolCallView,
    View,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from functools import partial

    from pydantic import TypeAdapter
    from typing_extensions import TypeVar

    from tokenstream.message import ToolCall
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages import CallDraft
    from tokenstream.stages._tools.store import AnyCallStore, CallStore

    A1 = TypeVar("A1", default=dict[str, Any])
    A2 = TypeVar("A2", default=dict[str, Any])
    A3 = TypeVar("A3", default=dict[str, Any])
    R1 = TypeVar("R1", default=Any)
    R2 = TypeVar("R2", default=Any)
    ResultT_co = TypeVar("ResultT_co", covariant=True)

    class _Function(Protocol[ResultT_co]):
        """A function that is not a class, for type checkers."""

        @property
        def __closure__(self) -> Any: ...  # noqa: ANN401 - what functions alone have

        def __call__(self, *args: Any, **kwargs: Any) -> ResultT_co: ...  # noqa: ANN401 - any parameters

    OfType: TypeAlias = "type[A1] | TypeAdapter[A1]"
    OfFunction: TypeAlias = "_Function[R1] | partial[R1]"
    # For pyright, a class is a function that returns an instance: with a type variable for the result, a
    # call of a type would run to one.
    ToolLike: TypeAlias = "type[A1] | TypeAdapter[A1] | _Function[Any] | partial[Any]"
    CallOf: TypeAlias = "ToolCall[dict[str, Any], R1]"
    DraftOf: TypeAlias = "CallDraft[dict[str, Any], R1]"
    SyncOnceStore: TypeAlias = CallStore | None
    AsyncOnceStore: TypeAlias = AnyCallStore | None

    class CallOptions(TypedDict, total=False):
        """The options of `Stream.validated_calls`."""

        lenient: Lenient
        once: SyncOnceStore

    class AsyncCallOptions(TypedDict, total=False):
        """The options of `AsyncStream.validated_calls` for calls that run as often as they are read."""

        lenient: Lenient
        once: None


class CallViews(SyncChoiceBase):
    """Base class of streams and choices, which has the methods `validated_calls` and `tool_partials`."""

    __slots__ = ()

    @overload
    def validated_calls(
        self, a: OfType[A1], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[ToolCall[A1]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[CallOf[R1]]: ...
    @overload
    def validated_calls(
        self, a: OfType[A1], b: OfType[A2], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[ToolCall[A1] | ToolCall[A2]]: ...
    @overload
    def validated_calls(
        self, a: OfType[A1], b: OfFunction[R2], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[ToolCall[A1] | CallOf[R2]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], b: OfType[A2], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[CallOf[R1] | ToolCall[A2]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], b: OfFunction[R2], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[CallOf[R1] | CallOf[R2]]: ...
    @overload
    def validated_calls(
        self, a: ToolLike[A1], b: ToolLike[A2], c: ToolLike[A3], /, **options: Unpack[CallOptions]
    ) -> ToolCallView[ToolCall[A1] | ToolCall[A2] | ToolCall[A3]]: ...
    @overload
    def validated_calls(
        self, /, *, lenient: Lenient = False, once: SyncOnceStore = None, **named: OfType[A1]
    ) -> ToolCallView[ToolCall[A1]]: ...
    @overload
    def validated_calls(
        self, /, *, lenient: Lenient = False, once: SyncOnceStore = None, **named: OfFunction[R1]
    ) -> ToolCallView[CallOf[R1]]: ...
    @overload
    def validated_calls(
        self, /, *tools: object, lenient: Lenient = False, once: SyncOnceStore = None, **named: object
    ) -> ToolCallView[ToolCall]: ...
    def validated_calls(
        self, /, *tools: object, lenient: Lenient = False, once: SyncOnceStore = None, **named: object
    ) -> ToolCallView[Any]:
        """Return a view of tool calls with validated arguments, so that the calls can be run.

        Each call is delivered at the same time as in `tool_calls`. A call that cannot be run is
        delivered, too, with its `error` and with `error_for_model`, a message that lets the model
        correct the call. Errors are: arguments that do not match the tool, arguments that are not
        JSON, and a tool that is not listed. A call that was cut off is never delivered.

        Args:
            tools: Types (pydantic models, dataclasses, TypedDicts), which
                become the type of `call.arguments`, or functions, which `call.run()` calls.
                The name of each is the name of the tool. A `tokenstream.Tools` is also possible.
            lenient: True to repair almost-JSON arguments; "closed" repairs them, too, but
                refuses arguments that were cut off. A tool named "lenient" must be passed in `tools`.
            once: A store of calls, such as `MemoryCallStore()`, with which no call is run twice, even if
                the answer is read twice; a call that has run before gives its stored result. None to
                run each call that is delivered. A tool named "once" must be passed in `tools`.
            named: Types or functions, each under the name by which the model calls it; a
                `TypeAdapter` or a callable object needs a name.

        Raises:
            MisuseError: An argument is not a tool, has no name, or has the name of another tool; or it is
                asynchronous, and this is no asynchronous stream.
            StreamError: The answer failed; raised in the loop.

        Example:
            >>> from tokenstream import Stream
            >>> def get_weather(city: str) -> str:
            ...     return f"sun in {city}"
            >>> function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
            >>> delta = {"tool_calls": [{"id": "call_1", "function": function}]}
            >>> chunk = {"choices": [{"delta": delta, "finish_reason": "tool_calls"}]}
            >>> [call.run() for call in Stream([chunk]).validated_calls(get_weather)]
            ['sun in Oslo']
        """
        cursor = self._cursors.validated_calls(*tools, lenient=lenient, **named)
        cursor.refuse_async()
        return self._view_calls(ToolCallView, cursor, once)

    @overload
    def tool_partials(self, a: OfType[A1], /, **options: Unpack[CallOptions]) -> View[CallDraft[A1]]: ...
    @overload
    def tool_partials(self, a: OfFunction[R1], /, **options: Unpack[CallOptions]) -> View[DraftOf[R1]]: ...
    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfType[A2], /, **options: Unpack[CallOptions]
    ) -> View[CallDraft[A1] | CallDraft[A2]]: ...
    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfFunction[R2], /, **options: Unpack[CallOptions]
    ) -> View[CallDraft[A1] | DraftOf[R2]]: ...
    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfType[A2], /, **options: Unpack[CallOptions]
    ) -> View[DraftOf[R1] | CallDraft[A2]]: ...
    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfFunction[R2], /, **options: Unpack[CallOptions]
    ) -> View[DraftOf[R1] | DraftOf[R2]]: ...
    @overload
    def tool_partials(
        self, a: ToolLike[A1], b: ToolLike[A2], c: ToolLike[A3], /, **options: Unpack[CallOptions]
    ) -> View[CallDraft[A1] | CallDraft[A2] | CallDraft[A3]]: ...
    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, once: SyncOnceStore = None, **named: OfType[A1]
    ) -> View[CallDraft[A1]]: ...
    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, once: SyncOnceStore = None, **named: OfFunction[R1]
    ) -> View[DraftOf[R1]]: ...
    @overload
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, once: SyncOnceStore = None, **named: object
    ) -> View[CallDraft]: ...
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, once: SyncOnceStore = None, **named: object
    ) -> View[Any]:
        """Return a view of tool calls while the model writes them: a draft for each piece of a call.

        Interleaved calls are distinguished by `id` and `name`. The first draft of a call is
        delivered when the call begins, and the last when the call has ended. The last draft has
        the call itself, checked or with its error, as in `validated_calls`. A call of a tool that
        is not listed has only the last draft.

        Args:
            tools: Types or functions, as for `validated_calls`.
            lenient: True to repair almost-JSON arguments; "closed" repairs them, too, but
                refuses arguments that were cut off. A tool named "lenient" must be passed in `tools`.
            once: A store of calls, with which no call of a last draft is run twice, as for
                `validated_calls`. A tool named "once" must be passed in `tools`.
            named: Types or functions, each under the name by which the model calls it.

        Raises:
            MisuseError: An argument is not a tool, has no name, or has the name of another tool.
            OutputIncomplete: The answer was cut off within a call; raised at the end of the loop.
            StreamError: The answer failed; raised in the loop.

        Example:
            >>> from tokenstream import Stream
            >>> def get_weather(city: str) -> str:
            ...     return f"sun in {city}"
            >>> function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
            >>> delta = {"tool_calls": [{"id": "call_1", "function": function}]}
            >>> chunk = {"choices": [{"delta": delta, "finish_reason": "tool_calls"}]}
            >>> for drafted in Stream([chunk], format="openai-chat").tool_partials(get_weather):
            ...     print(drafted.name, drafted.draft.get("city", default="…"), drafted.complete)
            get_weather … False
            get_weather Oslo False
            get_weather Oslo True
        """
        cursor = self._cursors.tool_partials(*tools, lenient=lenient, **named)
        return self._view_calls(View, cursor, once)


class AsyncCallViews(AsyncChoiceBase):
    """Base class of streams and choices, which has the methods `validated_calls` and `tool_partials`."""

    __slots__ = ()

    @overload
    def validated_calls(
        self, a: OfType[A1], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[ToolCall[A1]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[CallOf[R1]]: ...
    @overload
    def validated_calls(
        self, a: OfType[A1], b: OfType[A2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[ToolCall[A1] | ToolCall[A2]]: ...
    @overload
    def validated_calls(
        self, a: OfType[A1], b: OfFunction[R2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[ToolCall[A1] | CallOf[R2]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], b: OfType[A2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[CallOf[R1] | ToolCall[A2]]: ...
    @overload
    def validated_calls(
        self, a: OfFunction[R1], b: OfFunction[R2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[CallOf[R1] | CallOf[R2]]: ...
    @overload
    def validated_calls(
        self, a: ToolLike[A1], b: ToolLike[A2], c: ToolLike[A3], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncToolCallView[ToolCall[A1] | ToolCall[A2] | ToolCall[A3]]: ...
    @overload
    def validated_calls(
        self, /, *, lenient: Lenient = False, once: None = None, **named: OfType[A1]
    ) -> AsyncToolCallView[ToolCall[A1]]: ...
    @overload
    def validated_calls(
        self, /, *, lenient: Lenient = False, once: None = None, **named: OfFunction[R1]
    ) -> AsyncToolCallView[CallOf[R1]]: ...
    @overload
    def validated_calls(
        self, /, *tools: object, lenient: Lenient = False, once: None = None, **named: object
    ) -> AsyncToolCallView[ToolCall]: ...
    @overload
    def validated_calls(
        self, /, *tools: OfType[A1], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncToolCallView[ToolCall[A1]]: ...
    @overload
    def validated_calls(
        self, /, *tools: OfFunction[Awaitable[A1]], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncToolCallView[CallOf[Awaitable[A1]]]: ...
    @overload
    def validated_calls(
        self, /, *tools: OfFunction[R1], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncToolCallView[CallOf[Awaitable[R1]]]: ...
    @overload
    def validated_calls(
        self, /, *tools: object, once: AnyCallStore, lenient: Lenient = False, **named: object
    ) -> AsyncToolCallView[ToolCall[Any, Awaitable[Any]]]: ...
    def validated_calls(
        self, /, *tools: object, lenient: Lenient = False, once: AsyncOnceStore = None, **named: object
    ) -> AsyncToolCallView[Any]:
        """Return a view of tool calls with validated arguments, so that the calls can be run.

        A call that cannot be run is delivered, too, with its `error` and with `error_for_model`, a
        message that lets the model correct the call. A call that was cut off is never delivered. The
        tools may be async functions: `call.run()` then returns an awaitable.

        With `once`, which may be a store with asynchronous methods, write `await call.run()` even if the
        tool is a plain function.

        The arguments and errors are those of `Stream.validated_calls`.

        Example:
            >>> from tokenstream import AsyncStream
            >>> async def get_weather(city: str) -> str:
            ...     return f"sun in {city}"
            >>> async def run_tools(stream: AsyncStream) -> list[str]:
            ...     return [await call.run() async for call in stream.validated_calls(get_weather)]
        """
        cursor = self._cursors.validated_calls(*tools, lenient=lenient, **named)
        return self._view_calls(AsyncToolCallView, cursor, once)

    @overload
    def tool_partials(
        self, a: OfType[A1], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[CallDraft[A1]]: ...
    @overload
    def tool_partials(
        self, a: OfFunction[R1], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[DraftOf[R1]]: ...
    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfType[A2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2]]: ...
    @overload
    def tool_partials(
        self, a: OfType[A1], b: OfFunction[R2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[CallDraft[A1] | DraftOf[R2]]: ...
    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfType[A2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[DraftOf[R1] | CallDraft[A2]]: ...
    @overload
    def tool_partials(
        self, a: OfFunction[R1], b: OfFunction[R2], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[DraftOf[R1] | DraftOf[R2]]: ...
    @overload
    def tool_partials(
        self, a: ToolLike[A1], b: ToolLike[A2], c: ToolLike[A3], /, **options: Unpack[AsyncCallOptions]
    ) -> AsyncView[CallDraft[A1] | CallDraft[A2] | CallDraft[A3]]: ...
    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, once: None = None, **named: OfType[A1]
    ) -> AsyncView[CallDraft[A1]]: ...
    @overload
    def tool_partials(
        self, /, *, lenient: Lenient = False, once: None = None, **named: OfFunction[R1]
    ) -> AsyncView[DraftOf[R1]]: ...
    @overload
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, once: None = None, **named: object
    ) -> AsyncView[CallDraft]: ...
    @overload
    def tool_partials(
        self, /, *tools: OfType[A1], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncView[CallDraft[A1]]: ...
    @overload
    def tool_partials(
        self, /, *tools: OfFunction[Awaitable[A1]], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncView[DraftOf[Awaitable[A1]]]: ...
    @overload
    def tool_partials(
        self, /, *tools: OfFunction[R1], once: AnyCallStore, lenient: Lenient = False
    ) -> AsyncView[DraftOf[Awaitable[R1]]]: ...
    @overload
    def tool_partials(
        self, /, *tools: object, once: AnyCallStore, lenient: Lenient = False, **named: object
    ) -> AsyncView[CallDraft[Any, Awaitable[Any]]]: ...
    def tool_partials(
        self, /, *tools: object, lenient: Lenient = False, once: AsyncOnceStore = None, **named: object
    ) -> AsyncView[Any]:
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
        return self._view_calls(AsyncView, cursor, once)

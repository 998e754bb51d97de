"""A table of handlers for events and tool calls, for programs with many of them.

A `Router` contains only the table and no state of a run, so one router can serve
many streams, even at the same time. `stream.run(router)` reads a stream and calls
the handlers; for a single task, a loop over a view is shorter.
"""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_args, overload

from tokenstream.errors import MisuseError
from tokenstream.events import Event
from tokenstream.partial_json._repairs import Lenient, check_lenient
from tokenstream.stages._handlers import HandlerEntry, HandlerRun
from tokenstream.stages._tools.generators import ResultOf, ToolFailed, check_result_of
from tokenstream.stages._tools.kinds import make_local_tool
from tokenstream.turns._results import ToolResults

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import TypeAdapter

    from tokenstream.message import ToolCall
    from tokenstream.schemas import Tools
    from tokenstream.stages._handlers import CursorMaker
    from tokenstream.stages._tools.kinds import Tool
    from tokenstream.stages._tools.store import AnyCallStore

__all__ = ["Router", "ToolFailed", "ToolResults"]

EventT = TypeVar("EventT", bound=Event)
Event2T = TypeVar("Event2T", bound=Event)
Event3T = TypeVar("Event3T", bound=Event)
T = TypeVar("T")
ResultT = TypeVar("ResultT")
FunctionT = TypeVar("FunctionT", bound="Callable[..., object]")

_EVENTS: tuple[type, ...] = get_args(Event)


class _ToolDecorator(Protocol[T]):
    """Decorator, made by `router.tool`, of a function that takes checked arguments, and perhaps the call."""

    @overload
    def __call__(self, function: Callable[[T], ResultT], /) -> Callable[[T], ResultT]: ...
    @overload
    def __call__(
        self, function: Callable[[T, ToolCall[T]], ResultT], /
    ) -> Callable[[T, ToolCall[T]], ResultT]: ...


class Router:
    r"""A table of handlers that `stream.run` calls while it reads a stream.

    Handlers of one event are called in the order in which they were registered,
    and the tools after them. Registering does not change a function, so a function may
    be registered several times and still be called directly. Handlers of an
    `AsyncStream` may be asynchronous.

    Args:
        tools: Tools to begin with, each of them a function; more can be registered. None for no tools.
        concurrency: The most tools that run at the same time on an `AsyncStream`; a
            `Stream` runs them one after the other.
        lenient: True to read the arguments of these tools leniently; see `router.tool`.
        once: A store of calls, such as `MemoryCallStore()`, with which no call is run twice, even if the
            answer is read twice. A call that has run before gives its stored result. If nobody knows whether
            a call has run, the result tells the model so, and the call's id is in `ToolResults.errors`. None
            for no store.

    Example:
        >>> from tokenstream import Stream
        >>> from tokenstream.events import TextDelta
        >>> router, shown = Router(), []
        >>> @router.on(TextDelta)
        ... def show(event: TextDelta) -> None:
        ...     shown.append(event.text)
        >>> stream = Stream([b"data: Hel\n\n", b"data: lo\n\ndata: [DONE]\n\n"], format="text")
        >>> results = stream.run(router)
        >>> shown, results.message.text, dict(results)
        (['Hel', 'lo'], 'Hello', {})
    """

    def __init__(
        self,
        tools: Tools | None = None,
        /,
        *,
        concurrency: int = 8,
        lenient: Lenient = False,
        once: AnyCallStore | None = None,
    ) -> None:
        limit: Any = concurrency
        if not isinstance(limit, int) or limit < 1:
            raise MisuseError(f"concurrency= takes a whole number of tools of at least 1, not {limit!r}")
        self.concurrency: int = limit
        """The most tools that run at the same time on an `AsyncStream`."""
        self.once = once
        """The store with which no call is run twice; None if each call is run."""
        self._entries: list[HandlerEntry] = []
        """All handlers, including those of tools, in the order of their registration."""
        self._tools: dict[str, HandlerEntry] = {}
        if tools is not None:
            from tokenstream.schemas import Tools

            given: Any = tools
            if not isinstance(given, Tools):
                raise MisuseError(
                    f"Router() takes tokenstream.Tools(function, …) or nothing, not {given!r}; more tools "
                    "can be registered with @router.tool"
                )
            functions = given.functions()
            # `checks` returns the tools that check the arguments of calls.
            for tool in tools.checks():
                function = functions[tool.name]
                self._add_tool(function, tool.name, arguments=None, lenient=check_lenient(lenient), made=tool)

    def __repr__(self) -> str:
        return f"<Router with {len(self._entries)} handlers>"

    @property
    def tools(self) -> Tools:
        """The registered tools, to be sent in requests: `router.tools.to_openai_chat()`.

        A function's docstring becomes the tool's description.

        Raises:
            MisuseError: No tool is registered, or a tool takes a type that JSON Schema cannot express.

        Example:
            >>> router = Router()
            >>> @router.tool
            ... def get_time(city: str) -> str:
            ...     return f"noon in {city}"
            >>> [tool["name"] for tool in router.tools.to_anthropic()]
            ['get_time']
        """
        from tokenstream.schemas import Tools

        return Tools(*[entry.checker for entry in self._tools.values()])

    def tools_only(self, *events: type[Event]) -> Router:
        """Return a router with the same tools, and without the handlers of events.

        Args:
            *events: Classes of events whose handlers stay, for these events alone.

        Example:
            >>> from tokenstream.events import TextDelta
            >>> router = Router()
            >>> @router.on(TextDelta)
            ... def show(event: TextDelta) -> None:
            ...     print(event.text)
            >>> router, router.tools_only()
            (<Router with 1 handlers>, <Router with 0 handlers>)
        """
        other = Router(concurrency=self.concurrency, once=self.once)
        other._tools = dict(self._tools)
        other._entries = list(self._tools.values())
        for entry in self._entries:
            if kept := tuple(each for each in entry.events if each in events):
                other._add(replace(entry, events=kept))
        return other

    # -- registering -------------------------------------------------------

    @overload
    def on(
        self, event: type[EventT], /
    ) -> Callable[[Callable[[EventT], ResultT]], Callable[[EventT], ResultT]]: ...
    @overload
    def on(
        self, event: type[EventT], event2: type[Event2T], /
    ) -> Callable[[Callable[[EventT | Event2T], ResultT]], Callable[[EventT | Event2T], ResultT]]: ...
    @overload
    def on(
        self, event: type[EventT], event2: type[Event2T], event3: type[Event3T], /
    ) -> Callable[
        [Callable[[EventT | Event2T | Event3T], ResultT]], Callable[[EventT | Event2T | Event3T], ResultT]
    ]: ...
    @overload
    def on(
        self, *events: type[Event]
    ) -> Callable[[Callable[[Event], ResultT]], Callable[[Event], ResultT]]: ...
    def on(self, *events: type) -> Any:
        """Register a handler for all events of these classes in the first choice.

        Args:
            events: One or more classes of `Event`; for more than three, type
                checkers expect a handler that takes any event.

        Raises:
            MisuseError: There is no class, or one of them is not a class of events.
        """
        for event in events:
            if event not in _EVENTS:
                known = ", ".join(sorted(known.__name__ for known in _EVENTS))
                raise MisuseError(f"router.on() takes classes of events, not {event!r}; they are {known}")
        if not events:
            raise MisuseError("router.on() takes at least one class of events, such as TextDelta")
        names = " or ".join(event.__name__ for event in events)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            """Register a function as a handler, and return it."""
            return self._add(HandlerEntry(function, names, tuple(events)))

        return add

    @overload
    def tool(self, function: FunctionT, /) -> FunctionT: ...
    @overload
    def tool(
        self, /, *, lenient: Lenient = False, result: ResultOf = "return"
    ) -> Callable[[FunctionT], FunctionT]: ...
    @overload
    def tool(
        self, name: str, /, *, lenient: Lenient = False, result: ResultOf = "return"
    ) -> Callable[[FunctionT], FunctionT]: ...
    @overload
    def tool(
        self,
        name: str,
        arguments: type[T] | TypeAdapter[T],
        /,
        *,
        lenient: Lenient = False,
        result: ResultOf = "return",
    ) -> _ToolDecorator[T]: ...
    def tool(
        self,
        name: Any = None,
        arguments: Any = None,
        /,
        *,
        lenient: Lenient = False,
        result: ResultOf = "return",
    ) -> Any:
        """Register a tool: the function that its calls run, and the type of its arguments.

        With a type, the function gets the checked arguments as one object, and also the
        call if it has a second parameter. Without a type, the function's own signature
        is the schema, and the function is called with keyword arguments; `@router.tool`
        alone also uses the function's name as the tool's name. The return value is the
        result of the call; a `ToolFailed` reports to the model what went wrong, and any other
        exception ends the run. On an `AsyncStream`, a synchronous function runs in a thread.

        A tool may be a generator, or return one. The values that it yields are its progress: handlers of
        `ToolProgress` get each of them while the tool runs, and so do the readers of `Steps`. The result is
        the generator's return value. An async generator has none, so its result is the last value that it
        yields.

        Args:
            name: The tool's name for the model, or the function itself; None for the name of the
                function.
            arguments: The arguments' type, or a pydantic `TypeAdapter`; None for the types of the
                function's parameters.
            lenient: True to accept almost-JSON; "closed" refuses a document that is cut off.
            result: "last" to take the last value that a generator yields as the result, and not its return
                value.

        Raises:
            MisuseError: The router already has a tool with that name, or there is no function.
        """
        check_lenient(lenient)
        check_result_of(result)
        if name is not None and not isinstance(name, str):
            # `@router.tool` without parentheses: the argument is the function.
            return self._add_tool(name, _find_tool_name(name), arguments=None, lenient=lenient, result=result)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            """Add a function as a tool, and return it unchanged."""
            tool_name = _find_tool_name(function) if name is None else name
            return self._add_tool(function, tool_name, arguments, lenient, result=result)

        return add

    # -- within ------------------------------------------------------------

    def _begin(self, cursors: CursorMaker) -> HandlerRun:
        """Return a run of the handlers over one stream; `stream.run` calls this."""
        return HandlerRun(tuple(self._entries), dict(self._tools), cursors)

    def _add(self, entry: HandlerEntry) -> Callable[..., Any]:
        if not callable(entry.function):
            raise MisuseError(f"the handler for {entry.purpose} must be a function, not {entry.function!r}")
        # A function whose own signature is the schema takes any number of arguments, by keyword.
        has_own_schema = entry.checked_by is entry.function
        if not has_own_schema and not _takes_count(entry.function, 2 if entry.takes_call else 1):
            raise MisuseError(f"the handler {entry.name!r} for {entry.purpose} must take one argument")
        self._entries.append(entry)
        return entry.function

    def _add_tool(
        self,
        function: Callable[..., Any],
        name: str,
        arguments: object,
        lenient: Lenient,
        made: Tool | None = None,
        *,
        result: ResultOf = "return",
    ) -> Callable[..., Any]:
        purpose = f"tool {name!r}"
        if name in self._tools:
            raise MisuseError(f"the router already has a {purpose}: {self._tools[name].name!r}")
        if arguments is None and isinstance(function, type):
            raise MisuseError(
                f"{function.__name__} is a type and not a function: write "
                f"@router.tool({name!r}, {function.__name__}) above the function that takes such arguments"
            )
        checked_by = function if arguments is None else arguments
        # A function that cannot be called with the arguments alone gets the call, too.
        takes_call = arguments is not None and not _takes_count(function, 1)
        if made is None and arguments is None:
            # The annotations of a function inside another one may name local types, which are gone later.
            made = make_local_tool(function, name)
        entry = HandlerEntry(
            function,
            purpose,
            tool=name,
            checked_by=checked_by,
            takes_call=takes_call,
            lenient=lenient,
            ready_made=made,
            result=result,
        )
        self._add(entry)
        self._tools[name] = entry
        return function


def _find_tool_name(function: object) -> str:
    """Return a function's name for the model; raise `MisuseError` if it has none, such as a lambda."""
    # The name of a lambda begins with "<"; so does the stand-in for a missing name.
    name = getattr(function, "__name__", "<")
    if callable(function) and (not isinstance(name, str) or name.startswith("<")):
        raise MisuseError('the function has no name of its own; name the tool: @router.tool("name")')
    return str(name)


def _takes_count(function: Callable[..., object], count: int) -> bool:
    try:
        signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        # Some functions written in C have no signature; most of them take one argument.
        return count == 1
    return True

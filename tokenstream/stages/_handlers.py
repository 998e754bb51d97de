"""Handlers of a router, and one run of them over an answer: for each event, the calls that it causes."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tokenstream._answer.accumulator import ENDING_CALLS
from tokenstream._basics.call_keys import Describe, find_call_place, ids_of, set_place
from tokenstream.errors import CallUncertain, MisuseError
from tokenstream.events import Event, ToolCallDone, ToolProgress, ToolResult
from tokenstream.message import Message, ToolCall
from tokenstream.stages._tools.generators import ResultOf, ToolFailed
from tokenstream.stages._tools.kinds import TypeTool, is_async
from tokenstream.turns._results import ToolResults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages._protocols import Cursor
    from tokenstream.stages._tools.kinds import Tool

    class CheckedCalls(Cursor[Any], Protocol):
        """A cursor in checked calls; the classes of both are in a layer above, which must not be imported."""

        @property
        def describe(self) -> Describe:
            """Describes the validated arguments of a call."""
            ...

        def use_store(self) -> None:
            """Deliver the calls of a checkpoint again, because a store decides which are run."""

    class CursorMaker(Protocol):
        def router_calls(self, *tools: object, lenient: Mapping[str, Lenient]) -> CheckedCalls:
            """Return a cursor that goes through the answer's tool calls, and checks their arguments.

            Args:
                *tools: The objects that check the arguments of each tool.
                lenient: Maps the names of tools to the leniency with which almost-JSON is read for them.
            """
            ...


NO_WORK: list[Work] = []


@dataclass(frozen=True, eq=False)
class HandlerEntry:
    """A handler with a description of the events or calls that it handles."""

    function: Callable[..., Any]
    purpose: str
    """A description, for error messages, of the events or calls that the handler was registered for."""
    events: tuple[type, ...] = ()
    """The classes of events that the handler takes; empty for a tool."""
    tool: str | None = None
    """The tool's name; None if the handler is not a tool."""
    checked_by: Any = None
    """The type that validates the tool's arguments, or the function itself if its signature does that."""
    takes_call: bool = False
    """True if the tool's function takes the call as a second argument."""
    lenient: Lenient = False
    """The leniency with which the tool's arguments are read if they are almost JSON."""
    ready_made: Tool | None = None
    """The ready-made checker of the tool's calls; None if `checker` has to make it."""
    result: ResultOf = "return"
    """The place of the tool's result if it is a generator."""

    @property
    def name(self) -> str:
        """The function's qualified name, or the class name of a callable object."""
        function: Any = self.function
        while isinstance(function, functools.partial):
            function = function.func
        name: str | None = getattr(function, "__qualname__", None)
        return name or type(function).__name__

    @functools.cached_property
    def checker(self) -> Tool:
        """The object that checks the arguments of calls of this tool; all runs of a router share it."""
        if self.ready_made is not None:
            return self.ready_made
        if self.checked_by is self.function:
            # The function's own signature declares the arguments.
            from tokenstream.stages._tools.signature import FunctionTool

            return FunctionTool(str(self.tool), self.function)
        # `checked_by` is a type that validates the arguments; the function takes its value.
        return TypeTool(str(self.tool), self.checked_by, self.function)

    def is_async(self) -> bool:
        return is_async(self.function)

    def make_async_error(self) -> MisuseError:
        """Return the error for this asynchronous handler, to raise in a `Stream`, which cannot await it."""
        return MisuseError(
            f"the handler {self.name!r} for {self.purpose} is asynchronous, and a Stream cannot await it: "
            "run the router with an AsyncStream, or make the handler a plain function"
        )


class Work(NamedTuple):
    """One call of a handler that is still to be made."""

    entry: HandlerEntry
    item: Any
    """The argument: an event; for a tool, the call."""

    @property
    def is_tool(self) -> bool:
        """True if the handler's return value is a tool result, which is kept for the model."""
        return self.entry.tool is not None

    def call(self) -> object:
        """Call the handler; return what it returns, which is a generator if a tool is one."""
        entry, item = self
        if entry.tool is None:
            return entry.function(item)
        if entry.checked_by is entry.function:
            # The function's signature declares the arguments, so the call passes them on by name.
            return item.call_tool()
        # A type declares the arguments, so the function receives one value of that type.
        return entry.function(item.arguments, item) if entry.takes_call else entry.function(item.arguments)

    def add_note_to(self, error: BaseException) -> None:
        """Add a note that names the handler to an exception that the handler raised."""
        call = f", call {self.item.id!r}" if self.is_tool else ""
        # The application's own exception class may refuse new attributes, and so also a note.
        with suppress(AttributeError):
            error.add_note(f"raised by the handler {self.entry.name!r} for {self.entry.purpose}{call}")


class HandlerRun:
    """One run of a router over a stream: a stage that turns events into work, the calls of handlers to make.

    Args:
        entries: The handlers, in their order.
        tools: The handlers that are tools, by name.
        cursors: Makes a cursor over the tool calls of the stream. A run advances the cursor, and reads
            nothing from the source itself.
    """

    def __init__(
        self, entries: Sequence[HandlerEntry], tools: Mapping[str, HandlerEntry], cursors: CursorMaker
    ) -> None:
        self._entries, self._tools = entries, tools

        # Settings for running tools.
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Returns a context manager in which a tool is run; None if there is none."""
        self.on_refusal: Callable[[ToolCall], object] | None = None
        """Called with each call that cannot be run, and is answered with its error; None to call nothing."""
        self.once: Any = None
        """Runs calls at most once, with the router's store; None without a store."""

        # The results of tools.
        self._values: dict[str, object] = {}
        """The result of each tool call, or the error message for the model, by the call's id."""
        self._answered: dict[str, ToolCall] = {}
        """The calls that have a result, by id."""
        self._errors: list[str] = []
        """The ids of the calls whose result is an error."""

        # The search for the calls to make.
        self._table: dict[type, list[Callable[[Event], list[Work]]]] = {}
        """The functions that find the handler calls to make for an event, by the event's class."""
        self.cursor: CheckedCalls | None = None
        """The cursor in the calls of the tools; None without tools."""
        for entry in entries:
            self._register(entry.events, functools.partial(_pair_with_event, entry))
        # Tools come after all handlers of an event, so that they do not run if a handler raises.
        if tools:
            self._read_tool_calls(cursors)

    def _read_tool_calls(self, cursors: CursorMaker) -> None:
        """Let the events that end a tool call cause a run of its tool, with checked arguments."""
        tools = self._tools
        checkers = [entry.checker for entry in tools.values()]
        lenient: dict[str, Lenient] = {name: entry.lenient for name, entry in tools.items() if entry.lenient}
        cursor = self.cursor = cursors.router_calls(*checkers, lenient=lenient)

        def find_work(event: Event) -> list[Work]:
            return self._list_tools(cursor, cursor.after(event))

        # If almost-JSON is read, a call without an end waits for the event after it.
        self._register(ENDING_CALLS if lenient else (ToolCallDone,), find_work)

    def _list_tools(self, cursor: CheckedCalls, call: Any) -> list[Work]:  # noqa: ANN401 - a checked call
        """Return the work of a call, if there is one, and of those that can be read after it at once."""
        work: list[Work] = []
        while call is not None:
            entry = self._tools.get(call.name)
            if entry is not None and call.error is None:
                work.append(Work(entry, call))
            else:
                # Tell the model that the arguments are invalid, or that there is no tool of that name.
                work += self._refuse_call(call)
            call = cursor.ready()
        return work

    def _register(self, events: tuple[type, ...], find_work: Callable[[Event], list[Work]]) -> None:
        for event in events:
            self._table.setdefault(event, []).append(find_work)

    def refuse_async(self) -> None:
        """Refuse asynchronous handlers, for a stream that cannot await them."""
        for entry in self._entries:
            if entry.is_async():
                raise entry.make_async_error()

    def begin(self) -> list[Work]:
        """Return the tools to run for calls that arrived before this run."""
        return NO_WORK if self.cursor is None else self._list_tools(self.cursor, self.cursor.ready())

    def feed(self, event: Event, *, now: float = 0.0) -> list[Work]:
        """Return the calls to make for an event: first to handlers, in their order, then to tools."""
        functions = self._table.get(event.__class__)
        # A router reads only the first choice of an answer.
        if functions is None or event.choice:
            return NO_WORK
        if len(functions) == 1:
            return functions[0](event)
        return [work for find_work in functions for work in find_work(event)]

    def end(self) -> list[Work]:
        """Return the tools to run for the calls that the end of the stream adds."""
        return NO_WORK if self.cursor is None else self._list_tools(self.cursor, self.cursor.end())

    def show_progress(self, work: Work, output: object) -> list[Work]:
        """Return the calls of the handlers for a value that a running tool has yielded."""
        return self.feed(ToolProgress(work.item.id, work.item.name, output))

    def store_result(self, work: Work, value: object) -> list[Work]:
        """Store a tool's return value as the result of its call; ignore the value of any other handler."""
        if not work.is_tool:
            return NO_WORK
        self._keep(work.item, value)
        return self.feed(ToolResult(work.item.id, value))

    def store_failure(self, work: Work, error: BaseException) -> list[Work] | None:
        """Store a message for the model about a tool that raised `ToolFailed` or `CallUncertain`."""
        if not (work.is_tool and isinstance(error, ToolFailed | CallUncertain)):
            return None
        words = error.words_for_model if isinstance(error, CallUncertain) else str(error)
        return self._store_error(work.item, words)

    def _refuse_call(self, call: ToolCall) -> list[Work]:
        if self.on_refusal is not None:
            self.on_refusal(call)
        return self._store_error(call, call.error_for_model)

    def _store_error(self, call: ToolCall, words: str) -> list[Work]:
        self._keep(call, words)
        self._errors.append(call.id)
        return self.feed(ToolResult(call.id, error=words))

    def _keep(self, call: ToolCall, value: object) -> None:
        self._values[call.id], self._answered[call.id] = value, call

    def dispose(self) -> None:
        """Let go of the functions that refer back to this run; called once the run is over."""
        self._table.clear()
        self.cursor = None

    def put_results_on(self, error: BaseException, *messages: Message) -> None:
        """Attach the tools' results to an error, because tools that have run cannot be undone."""
        error_with_results: Any = error
        # The application's own exception class may refuse new attributes.
        with suppress(AttributeError):
            error_with_results.tool_results = self.finish(*messages)

    def _find_missing(self, message: Message) -> list[ToolCall]:
        """Return the calls that have a result, and that a message does not have under any id."""
        ids = {id for call in message.tool_calls for id in ids_of(call)}
        return [call for id, call in self._answered.items() if id not in ids]

    def finish(self, *messages: Message) -> ToolResults:
        """Return the results of the tools so far, with the first message that has all of their calls.

        If none has, the first is given the calls that it lacks.
        """
        message = next((each for each in messages if not self._find_missing(each)), messages[0])
        missing: list[ToolCall] = []
        for call in self._find_missing(message):
            # A checked call becomes one as a message has it.
            plain = ToolCall.model_construct(call.model_fields_set, **dict(call))
            set_place(plain, find_call_place(call))
            missing.append(plain)
        if missing:
            message = message.model_copy(update={"parts": (*message.parts, *missing)})
        return ToolResults.so_far(message, self._values, self._errors)


def _pair_with_event(entry: HandlerEntry, event: Event) -> list[Work]:
    """Return the call to make of a handler that takes events: with the event as its argument; in a list."""
    return [Work(entry, event)]

"""Handlers of a router, and one run of them over an answer: for each event, the calls that it causes."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import (
    CallUncertain,
    InvalidJSON,
    LimitExceeded,
    MisuseError,
    OutputIncomplete,
    OutputInvalid,
)
from tokenstream.events import (
    Finish,
    PartDone,
    PartStart,
    ToolCallDone,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from tokenstream.stages._protocols import NULL
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.stages._tools.kinds import FunctionTool, TypeTool, is_async
from tokenstream.turns._results import ToolResults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Protocol

    from tokenstream.events import Event
    from tokenstream.message import Message, ToolCall
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages._protocols import Cursor
    from tokenstream.stages._tools.generators import ResultOf
    from tokenstream.stages._tools.kinds import Tool

    class CursorMaker(Protocol):
        """Makes the cursors of a stream; the class is in a layer above, which this module cannot import."""

        def router_calls(self, *tools: object, lenient: Mapping[str, Lenient]) -> Cursor[Any]:
            """Return a cursor that goes through the answer's tool calls, and checks their arguments.

            Args:
                *tools: The objects that check the arguments of each tool.
                lenient: Maps the names of tools to the leniency with which almost-JSON is read for them.
            """
            ...


NO_WORK: list[Work] = []


@dataclass(frozen=True, eq=False)
class HandlerEntry:
    """A handler with a description of the items that it handles."""

    function: Callable[..., Any]
    purpose: str
    """A description, for error messages, of the items that the handler was registered for."""
    events: tuple[type, ...] = ()
    """The classes of events that the handler takes, or that may add an item to its view; empty for a tool."""
    view: Callable[[Any], Cursor[Any]] | None = None
    """Returns a cursor over the items that the handler takes; None if it takes events or calls."""
    source: str | None = None
    """The tool whose arguments the view reads; None if the view reads the text."""
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
            return FunctionTool(str(self.tool), self.function)
        # `checked_by` is a type that validates the arguments; the function takes its value.
        return TypeTool(str(self.tool), self.checked_by, self.function)

    def is_async(self) -> bool:
        """Return True if the function is declared with `async def`."""
        return is_async(self.function)

    def make_async_error(self) -> MisuseError:
        """Return the error for this asynchronous handler, to raise in a `Stream`, which cannot await it."""
        return MisuseError(
            f"the handler {self.name!r} for {self.purpose} is asynchronous, and a Stream cannot await it: "
            "run the router with an AsyncStream, or make the handler a plain function"
        )

    def has_input(self, message: Message) -> bool:
        """Return True if the answer has anything for the handler's view to read.

        A view reads the text of the answer; or, if `source` is set, the arguments of calls of that tool.
        """
        if self.source is None:
            return bool(message.text.strip())
        return any(call.name == self.source for call in message.tool_calls)


class Work(NamedTuple):
    """One call of a handler that is still to be made."""

    entry: HandlerEntry
    item: Any
    """The argument: an event, a piece of text or an element; for a tool, the call."""

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


class WorkFinder(ABC):
    """Base class: finds the handler calls that are still to be made ("work") for what a stream delivers.

    The stream delivers the items of a view: pieces of text, elements of an array, or tool calls.

    Args:
        cursor: The position in the view up to which items have led to calls.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor

    def catch_up(self) -> list[Work]:
        """Return the handler calls to make for the items that have already arrived."""
        return self._read_items(self._cursor.ready)

    def feed(self, event: Event) -> list[Work]:
        """Return the handler calls to make for the items that an event adds."""
        return self._read_items(functools.partial(self._cursor.after, event))

    @abstractmethod
    def end(self, message: Message) -> list[Work]:
        """Return the handler calls to make for the items that the end of the stream adds."""

    @abstractmethod
    def _read_items(self, read_first: Callable[[], Any]) -> list[Work]:
        """Return the handler calls to make for all items that can be read without waiting, in order."""


class ViewWorkFinder(WorkFinder):
    """Finds the calls to make of a handler that takes the items of a view, such as the pieces of the text.

    Args:
        entry: The handler.
        cursor: The position in the view up to which items have led to calls.
    """

    def __init__(self, entry: HandlerEntry, cursor: Cursor[Any]) -> None:
        super().__init__(cursor)
        self.entry = entry
        self.error: OutputInvalid | OutputIncomplete | LimitExceeded | None = None
        """The first error in the model's output."""

    def end(self, message: Message) -> list[Work]:
        """Return the handler calls to make for the items that the end of the stream adds.

        An output that the view cannot read is stored in `error`. Three cases are not an error:

        1. The answer has nothing that the view could read, such as no text at all.
        2. The view reads the text, which is not JSON, but the answer also calls tools.
        3. The caller stopped the stream, so the output is incomplete.
        """
        if not self.entry.has_input(message):
            return NO_WORK
        error_before = self.error
        # Each call of `end` returns one item; unlike `ready`, also one that the end of the text completes.
        work = self._read_items(self._cursor.end, self._cursor.end)
        is_prose = (
            self.entry.source is None
            and bool(message.tool_calls)
            and isinstance(self.error, InvalidJSON | OutputIncomplete)
        )
        was_stopped = message.ending == "stopped" and isinstance(self.error, OutputIncomplete)
        if is_prose or was_stopped:
            self.error = error_before
        return work

    def _read_items(
        self, read_first: Callable[[], Any], read_next: Callable[[], Any] | None = None
    ) -> list[Work]:
        """Return the handler calls to make for all available items; store the first error in `error`."""
        entry, read = self.entry, read_first
        work: list[Work] = []
        last_error: Exception | None = None
        while True:
            try:
                item = read()
            except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
                # After an invalid element, reading continues. An error that ends the output is raised again
                # at each further read, so the second time the output is over.
                if error is last_error:
                    return work
                last_error = error
                self.error = self.error or error
            else:
                if item is None:
                    return work
                # NULL stands for an element that is null, because None means that there is no element.
                work.append(Work(entry, None if item is NULL else item))
            read = read_next or self._cursor.ready


class CallWorkFinder(WorkFinder):
    """Turns the model's tool calls into work: a run of the tool, or a stored error if the call is invalid.

    Args:
        tools: The tools, by name.
        names_of_views: Names of tools with arguments that a view reads; their calls get no result.
        cursor: The run's position in the checked calls.
        refuse_call: Stores the error of a call that cannot be run as its result, and returns the calls of the
            handlers for that result.
    """

    def __init__(
        self,
        tools: Mapping[str, HandlerEntry],
        names_of_views: frozenset[str | None],
        cursor: Cursor[Any],
        refuse_call: Callable[[ToolCall], list[Work]],
    ) -> None:
        super().__init__(cursor)
        self._tools = tools
        self._names_of_views = names_of_views
        self._refuse_call = refuse_call

    def end(self, message: Message) -> list[Work]:
        """Return the tools to run for the calls that the end of the stream adds."""
        return self._read_items(self._cursor.end)

    def _read_items(self, read_first: Callable[[], Any]) -> list[Work]:
        """Return the work of all available calls; store the error of a call that cannot be run."""
        read = read_first
        work: list[Work] = []
        while (call := read()) is not None:
            entry = self._tools.get(call.name)
            if entry is not None and call.error is None:
                work.append(Work(entry, call))
            elif entry is not None or call.name not in self._names_of_views:
                # Tell the model that the arguments are invalid, or that there is no tool of that name. A call
                # whose arguments only a view reads needs neither a tool nor a result.
                work += self._refuse_call(call)
            read = self._cursor.ready
        return work


_EVENTS_BEFORE_CALLS = (ToolCallDone, PartDone, Finish, PartStart, ToolCallStart)
"""Events after which a call with almost-JSON arguments may be passed to its tool."""


class HandlerRun:
    """One run of a router over a stream: a stage that turns events into work, the calls of handlers to make.

    Args:
        entries: The handlers, in their order.
        tools: The handlers that are tools, by name.
        cursors: Makes a cursor for each view of the stream. A run advances the cursors, and reads
            nothing from the source itself.
    """

    def __init__(
        self, entries: Sequence[HandlerEntry], tools: Mapping[str, HandlerEntry], cursors: CursorMaker
    ) -> None:
        self._entries = entries

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
        self._errors: list[str] = []
        """The ids of the calls whose result is an error."""

        # The search for the calls to make.
        self._view_finders: list[ViewWorkFinder] = []
        """The objects that find the calls to make of the handlers that read a view."""
        self._finders: list[WorkFinder] = []
        """The objects in `_view_finders`, and the object that finds the tools to run."""
        self._table: dict[type, list[Callable[[Event], list[Work]]]] = {}
        """The functions that find the handler calls to make for an event, by the event's class."""
        self._checked_calls: Cursor[Any] | None = None
        """The view of the tool calls with their checked arguments; None without tools."""
        for entry in entries:
            find_work: Callable[[Event], list[Work]] = functools.partial(_pair_with_event, entry)
            if entry.view is not None:
                finder = ViewWorkFinder(entry, entry.view(cursors))
                self._view_finders.append(finder)
                find_work = finder.feed
            self._register(entry.events, find_work)
        self._finders += self._view_finders
        # Tools come after all handlers of an event, so that they do not run if a handler raises.
        if tools:
            self._add_tools(tools, cursors)

    def _add_tools(self, tools: Mapping[str, HandlerEntry], cursors: CursorMaker) -> None:
        """Let the events that end a tool call cause a run of its tool, with checked arguments."""
        # The names of the tools whose arguments a view reads.
        names_of_views = frozenset(entry.source for entry in self._entries)
        checkers = [entry.checker for entry in tools.values()]
        lenient: dict[str, Lenient] = {name: entry.lenient for name, entry in tools.items() if entry.lenient}
        cursor = self._checked_calls = cursors.router_calls(*checkers, lenient=lenient)
        finder = CallWorkFinder(tools, names_of_views, cursor, self._refuse_call)
        self._finders.append(finder)
        # If almost-JSON is read, a call without an end waits for the event after it.
        self._register(_EVENTS_BEFORE_CALLS if lenient else (ToolCallDone,), finder.feed)

    def _register(self, events: tuple[type, ...], find_work: Callable[[Event], list[Work]]) -> None:
        """Register a function that finds the handler calls which events of some classes cause."""
        for event in events:
            self._table.setdefault(event, []).append(find_work)

    def refuse_async(self) -> None:
        """Refuse asynchronous handlers, for a stream that cannot await them."""
        for entry in self._entries:
            if entry.is_async():
                raise entry.make_async_error()

    def begin(self) -> list[Work]:
        """Return the calls to make for items that arrived before this run: views start from the beginning."""
        return [work for finder in self._finders for work in finder.catch_up()]

    def feed(self, event: Event, *, now: float = 0.0) -> list[Work]:
        """Return the calls to make for an event: first to handlers, in their order, then to tools."""
        functions = self._table.get(event.__class__)
        # A router reads only the first choice of an answer.
        if functions is None or event.choice:
            return NO_WORK
        if len(functions) == 1:
            return functions[0](event)
        return [work for find_work in functions for work in find_work(event)]

    def end(self, message: Message) -> list[Work]:
        """Return the calls of handlers that the end of the stream causes."""
        return [work for finder in self._finders for work in finder.end(message)]

    def show_progress(self, work: Work, output: object) -> list[Work]:
        """Return the calls of the handlers for a value that a running tool has yielded."""
        return self.feed(ToolProgress(work.item.id, work.item.name, output))

    def store_result(self, work: Work, value: object) -> list[Work]:
        """Store a tool's return value as the result of its call; ignore the value of any other handler."""
        if not work.is_tool:
            return NO_WORK
        self._values[work.item.id] = value
        return self.feed(ToolResult(work.item.id, value))

    def store_failure(self, work: Work, error: BaseException) -> list[Work] | None:
        """Store a message for the model about a tool that raised `ToolFailed` or `CallUncertain`."""
        if not (work.is_tool and isinstance(error, ToolFailed | CallUncertain)):
            return None
        words = error.words_for_model if isinstance(error, CallUncertain) else str(error)
        return self._store_error(work.item, words)

    def _refuse_call(self, call: ToolCall) -> list[Work]:
        """Answer a call that cannot be run with its error."""
        if self.on_refusal is not None:
            self.on_refusal(call)
        return self._store_error(call, call.error_for_model)

    def _store_error(self, call: ToolCall, words: str) -> list[Work]:
        """Store a message for the model about a tool's failure, as the result of the call."""
        self._values[call.id] = words
        self._errors.append(call.id)
        return self.feed(ToolResult(call.id, error=words))

    def finish(self, message: Message) -> ToolResults:
        """Return the results of the tools once all work is done."""
        for finder in self._view_finders:
            if finder.error is not None:
                self.put_results_on(finder.error, message)
                raise finder.error
        return self._results(message)

    def dispose(self) -> None:
        """Let go of the finders, which refer back to this run; called once the run is over."""
        self._table.clear()
        self._finders.clear()
        self._view_finders.clear()

    def put_results_on(self, error: BaseException, message: Message) -> None:
        """Attach the tools' results to an error, because tools that have run cannot be undone."""
        error_with_results: Any = error
        # The application's own exception class may refuse new attributes.
        with suppress(AttributeError):
            error_with_results.tool_results = self._results(message)

    def _results(self, message: Message) -> ToolResults:
        """Return the results of the tools, by the ids that their calls have in the message."""
        # When the answer is restarted, a repeated call gets a new id in the message.
        renamed: dict[str, str] = getattr(self._checked_calls, "renamed", {})
        values = {renamed.get(call, call): value for call, value in self._values.items()}
        return ToolResults.so_far(message, values, [renamed.get(call, call) for call in self._errors])


def _pair_with_event(entry: HandlerEntry, event: Event) -> list[Work]:
    """Return the call to make of a handler that takes events: with the event as its argument; in a list."""
    return [Work(entry, event)]

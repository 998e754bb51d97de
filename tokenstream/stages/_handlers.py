"""A router's handlers applied to an answer: for each event, the calls of handlers that it causes."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from contextlib import suppress
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import (
    InvalidJSON,
    LimitExceeded,
    MisuseError,
    OutputIncomplete,
    OutputInvalid,
)
from tokenstream.events import Finish, PartDone, PartStart, ToolCallDone, ToolCallStart
from tokenstream.stages._cursor import NULL
from tokenstream.stages._tools.kinds import FunctionTool, TypeTool
from tokenstream.turns._results import ToolResults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from tokenstream.events import Event
    from tokenstream.message import Message, ToolCall
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages._cursor import Cursor
    from tokenstream.stages._tools.kinds import Tool

_NO_WORK: list[Work] = []
_TELLING = (ToolCallDone, PartDone, Finish, PartStart, ToolCallStart)
"""Events after which a call with almost-JSON arguments may be passed to its tool."""


class ToolFailed(Exception):
    """Raised by a tool to report a failure to the model; the run goes on.

    The exception's text becomes the result of the call, and the call's id is added to
    `ToolResults.errors`. Any other exception that a tool raises ends the run.

    Example:
        >>> from tokenstream import Router
        >>> @Router().tool
        ... def get_weather(city: str) -> str:
        ...     raise ToolFailed(f"There is no station in {city}. Ask for the next larger city.")
    """


class HandlerEntry(NamedTuple):
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
    made: Tool | None = None
    """The ready-made checker of the tool's calls; None if `as_tool` has to make a checker."""

    @property
    def name(self) -> str:
        """The function's qualified name, or the class name of a callable object."""
        function: Any = self.function
        while isinstance(function, functools.partial):
            function = function.func
        name: str | None = getattr(function, "__qualname__", None)
        return name or type(function).__name__

    def as_tool(self) -> Tool:
        """Return the checker of the tool's calls."""
        if self.made is not None:
            return self.made
        if self.checked_by is self.function:
            return FunctionTool(str(self.tool), self.function)
        return TypeTool(str(self.tool), self.checked_by, self.function)

    def is_async(self) -> bool:
        """Return True if the function is declared as a coroutine function."""
        return iscoroutinefunction(self.function) or iscoroutinefunction(type(self.function).__call__)

    def refusal(self) -> MisuseError:
        """Return the error for an asynchronous function used with a Stream, which cannot await it."""
        return MisuseError(
            f"the handler {self.name!r} for {self.purpose} is asynchronous, and a Stream cannot await it: "
            "run the router with an AsyncStream, or make the handler a plain function"
        )

    def reads(self, message: Message) -> bool:
        """Return True if the answer contains what the view reads: any text, or a call of the tool."""
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

    def do(self) -> Any:  # noqa: ANN401 - whatever the handler returns
        """Call the handler and return its result."""
        entry, item = self
        if entry.tool is None:
            return entry.function(item)
        if entry.checked_by is entry.function:
            return item.run()
        return entry.function(item.arguments, item) if entry.takes_call else entry.function(item.arguments)

    def blame(self, error: BaseException) -> None:
        """Add a note that names the handler to an exception that the handler raised."""
        call = f", call {self.item.id!r}" if self.is_tool else ""
        # The application's own exception class may refuse new attributes, and so also a note.
        with suppress(AttributeError):
            error.add_note(f"raised by the handler {self.entry.name!r} for {self.entry.purpose}{call}")


class _Taker(ABC):
    """Turns the items of a view into work, in one run.

    Args:
        cursor: The run's position in the view.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor

    def catch_up(self) -> list[Work]:
        """Return the work for the items that have already arrived."""
        return self._work(self._cursor.ready)

    def take(self, event: Event) -> list[Work]:
        """Return the work for the items that an event adds."""
        return self._work(functools.partial(self._cursor.after, event))

    @abstractmethod
    def end(self, message: Message) -> list[Work]:
        """Return the work for the items that the end of the stream adds."""

    @abstractmethod
    def _work(self, first: Callable[[], Any]) -> list[Work]:
        """Return the work for all available items in order; `first` returns the first of them."""


class _ViewTaker(_Taker):
    """Turns the items of one view into work for its handler.

    Args:
        entry: The handler.
        cursor: The run's position in the view.
    """

    def __init__(self, entry: HandlerEntry, cursor: Cursor[Any]) -> None:
        super().__init__(cursor)
        self.entry = entry
        self.error: OutputInvalid | OutputIncomplete | LimitExceeded | None = None
        """The first error in the model's output."""

    def end(self, message: Message) -> list[Work]:
        """Return the work for the items that the end of the stream adds.

        Three cases are not an error:

        1. The answer has nothing that the view could read, such as no text at all.
        2. The view reads the text, which is not JSON, but the answer also calls tools.
        3. The caller stopped the stream, so the output is incomplete.

        Args:
            message: The answer.
        """
        if not self.entry.reads(message):
            return _NO_WORK
        before = self.error
        work = self._work(self._cursor.end, self._cursor.end)
        talk = self.entry.source is None and message.tool_calls
        if (talk and isinstance(self.error, InvalidJSON | OutputIncomplete)) or (
            message.ending == "stopped" and isinstance(self.error, OutputIncomplete)
        ):
            self.error = before
        return work

    def _work(self, first: Callable[[], Any], then: Callable[[], Any] | None = None) -> list[Work]:
        """Return the work for all available items, in order.

        Args:
            first: Returns the first item.
            then: Returns each further item; the cursor's `ready` by default.
        """
        entry, read = self.entry, first
        work: list[Work] = []
        last: Exception | None = None
        while True:
            try:
                item = read()
            except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
                # After an invalid element, reading continues; an error that ends the output is raised again.
                if error is last:
                    return work
                last, self.error = error, self.error or error
            else:
                if item is None:
                    return work
                work.append(Work(entry, None if item is NULL else item))
            read = then or self._cursor.ready


class _CallTaker(_Taker):
    """Turns the tool calls of one run into work for their tools, or stores an error as a call's result.

    Args:
        tools: The tools, by name.
        others: Names of tools whose arguments are read by a view, and whose calls get no result.
        cursor: The run's position in the checked calls.
        fail: Stores an error message for the model as the result of a call that cannot be run.
    """

    def __init__(
        self,
        tools: Mapping[str, HandlerEntry],
        others: frozenset[str | None],
        cursor: Cursor[Any],
        fail: Callable[[ToolCall, str], None],
    ) -> None:
        super().__init__(cursor)
        self._tools = tools
        self._others = others
        self._fail = fail

    def end(self, message: Message) -> list[Work]:
        """Return the work for the calls that the end of the stream adds."""
        return self._work(self._cursor.end)

    def _work(self, first: Callable[[], Any]) -> list[Work]:
        """Return the work for all available calls; store the error of each call that cannot be run."""
        read = first
        work: list[Work] = []
        while (call := read()) is not None:
            entry = self._tools.get(call.name)
            if entry is not None and call.error is None:
                work.append(Work(entry, call))
            elif entry is not None or call.name not in self._others:
                self._fail(call, call.error_for_model)
            read = self._cursor.ready
        return work


class HandlerRun:
    """One pass over a stream with a table of handlers: a stage that turns events into work.

    Args:
        entries: The handlers, in their order.
        tools: The handlers that are tools, by name.
        cursors: The stream; its views' methods return cursors. A run advances the cursors, and
            reads nothing from the source itself.
    """

    def __init__(
        self,
        entries: Sequence[HandlerEntry],
        tools: Mapping[str, HandlerEntry],
        cursors: Any,  # noqa: ANN401 - the stream, from a higher layer
    ) -> None:
        self._entries = entries
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Returns a context manager in which a tool is run; None if there is none."""
        self._values: dict[str, object] = {}
        self._errors: list[str] = []
        self._readers: list[_ViewTaker] = []
        self._takers: list[_Taker] = []
        self._table: dict[type, list[Callable[[Event], list[Work]]]] = {}
        for entry in entries:
            take: Callable[[Event], list[Work]] = functools.partial(_event_work, entry)
            if entry.view is not None:
                reader = _ViewTaker(entry, entry.view(cursors))
                self._readers.append(reader)
                take = reader.take
            self._add(entry.events, take)
        self._takers += self._readers
        self._calls: Cursor[Any] | None = None
        if tools:
            others = frozenset(entry.source for entry in entries)
            checked = [entry.as_tool() for entry in tools.values()]
            lenient = {name: entry.lenient for name, entry in tools.items() if entry.lenient}
            cursor = self._calls = cursors.validated_calls(*checked, lenient=lenient)
            calls = _CallTaker(tools, others, cursor, self._fail)
            self._takers.append(calls)
            # Added after all handlers of the event, so that the tools do not run if a handler raises.
            self._add(_TELLING if lenient else (ToolCallDone,), calls.take)

    def _add(self, events: tuple[type, ...], take: Callable[[Event], list[Work]]) -> None:
        for event in events:
            self._table.setdefault(event, []).append(take)

    def refuse_async(self) -> None:
        """Refuse asynchronous handlers, for a stream that cannot await them.

        Raises:
            MisuseError: A handler is asynchronous.
        """
        for entry in self._entries:
            if entry.is_async():
                raise entry.refusal()

    def begin(self) -> list[Work]:
        """Return the work for all items that arrived before this run: views start from the beginning."""
        return [work for taker in self._takers for work in taker.catch_up()]

    def feed(self, event: Event, *, now: float = 0.0) -> list[Work]:
        """Return the work for an event: first that of the handlers in their order, then that of the tools.

        Args:
            event: The event.
            now: Unused; every stage has this parameter.
        """
        takers = self._table.get(event.__class__)
        if takers is None or event.choice:
            return _NO_WORK
        if len(takers) == 1:
            return takers[0](event)
        return [work for take in takers for work in take(event)]

    def end(self, message: Message) -> list[Work]:
        """Return the work that the end of the stream adds.

        Args:
            message: The answer.
        """
        return [work for taker in self._takers for work in taker.end(message)]

    def keep(self, work: Work, value: object) -> None:
        """Store a tool's return value as the result of its call; ignore the value of any other handler."""
        if work.is_tool:
            self._values[work.item.id] = value

    def keep_failure(self, work: Work, error: BaseException) -> bool:
        """Return True if the error is a `ToolFailed` of a tool, and store its message as the call's result.

        Args:
            work: The work that failed.
            error: The exception that it raised.
        """
        if not (work.is_tool and isinstance(error, ToolFailed)):
            return False
        self._fail(work.item, str(error))
        return True

    def _fail(self, call: ToolCall, words: str) -> None:
        self._values[call.id] = words
        self._errors.append(call.id)

    def finish(self, message: Message) -> ToolResults:
        """Return the results of the tools once all work is done.

        Args:
            message: The answer.

        Raises:
            OutputInvalid: The output that a view reads does not fit its type.
            OutputIncomplete: The output that a view reads was cut off.
            LimitExceeded: The output that a view reads is nested too deeply, or has too long a number.
        """
        for reader in self._readers:
            if reader.error is not None:
                self.put_results_on(reader.error, message)
                raise reader.error
        return self._results(message)

    def put_results_on(self, error: BaseException, message: Message) -> None:
        """Attach the tools' results to an error, because tools that have run cannot be undone.

        Args:
            error: The exception that ended the run, of any class, even one of a tool's own classes.
            message: The answer.
        """
        holder: Any = error
        # The application's own exception class may refuse new attributes.
        with suppress(AttributeError):
            holder.tool_results = self._results(message)

    def _results(self, message: Message) -> ToolResults:
        # When the answer is restarted, a repeated call gets a new id in the message.
        renamed: dict[str, str] = getattr(self._calls, "renamed", {})
        values = {renamed.get(call, call): value for call, value in self._values.items()}
        return ToolResults(message, values, [renamed.get(call, call) for call in self._errors])


def _event_work(entry: HandlerEntry, event: Event) -> list[Work]:
    return [Work(entry, event)]

"""What a table of handlers makes of an answer: who has to do what, event by event."""

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
"""Events that may hand out a call whose arguments are almost JSON."""


class ToolFailed(Exception):
    """Raised by a tool that failed in a way the model should hear of; the run goes on.

    Its text is the call's result, and the call's id is one of `ToolResults.errors`.
    Every other exception of a tool ends the run.

    Example:
        >>> from tokenstream import Router
        >>> @Router().tool
        ... def get_weather(city: str) -> str:
        ...     raise ToolFailed(f"There is no station in {city}. Ask for the next larger city.")
    """


class Entry(NamedTuple):
    """A handler, and what it was registered for."""

    function: Callable[..., Any]
    purpose: str
    """What it was registered for, for people."""
    events: tuple[type, ...] = ()
    """The classes of events that may give it something to do; a tool has to do with calls."""
    view: Callable[[Any], Cursor[Any]] | None = None
    """Returns the cursor in the aspect whose items it handles; None where it handles events or calls."""
    source: str | None = None
    """The tool whose arguments that view reads; None for the text."""
    tool: str | None = None
    """The tool that it is; None where it is none."""
    checked_by: Any = None
    """What the arguments of the tool are checked against: a type, or the function itself."""
    takes_call: bool = False
    """Whether the tool takes the call beside its arguments."""
    lenient: Lenient = False
    """Whether the arguments of the tool are read where they are almost JSON."""
    made: Tool | None = None
    """What checks the calls of the tool; None where that is made when the tool is asked for."""

    @property
    def name(self) -> str:
        """What the function is called."""
        function: Any = self.function
        while isinstance(function, functools.partial):
            function = function.func
        name: str | None = getattr(function, "__qualname__", None)
        return name or type(function).__name__

    def as_tool(self) -> Tool:
        """Return what checks the calls of the tool that it is."""
        if self.made is not None:
            return self.made
        if self.checked_by is self.function:
            return FunctionTool(str(self.tool), self.function)
        return TypeTool(str(self.tool), self.checked_by, self.function)

    def is_async(self) -> bool:
        """Tell whether what the function returns is to be awaited, as far as its kind says."""
        return iscoroutinefunction(self.function) or iscoroutinefunction(type(self.function).__call__)

    def refusal(self) -> MisuseError:
        """Return what is raised where the function is asynchronous and nothing can be awaited."""
        return MisuseError(
            f"the handler {self.name!r} for {self.purpose} is asynchronous, and a Stream cannot await it: "
            "run the router with an AsyncStream, or make the handler a plain function"
        )

    def reads(self, message: Message) -> bool:
        """Tell whether the answer has that of which the view is one."""
        if self.source is None:
            return bool(message.text.strip())
        return any(call.name == self.source for call in message.tool_calls)


class Work(NamedTuple):
    """Something that a handler is to do."""

    entry: Entry
    item: Any
    """What it gets: an event, a piece, an element; of a tool the call."""

    @property
    def is_tool(self) -> bool:
        """Whether what the handler returns is kept for the model."""
        return self.entry.tool is not None

    def do(self) -> Any:  # noqa: ANN401 - whatever the handler returns
        """Call the handler, and return what it returns."""
        entry, item = self
        if entry.tool is None:
            return entry.function(item)
        if entry.checked_by is entry.function:
            return item.run()
        return entry.function(item.arguments, item) if entry.takes_call else entry.function(item.arguments)

    def blame(self, error: BaseException) -> None:
        """Say on an error of the handler's whose it is."""
        call = f", call {self.item.id!r}" if self.is_tool else ""
        # An exception of the application's may take no attribute, and so no note.
        with suppress(AttributeError):
            error.add_note(f"raised by the handler {self.entry.name!r} for {self.entry.purpose}{call}")


class _Taker(ABC):
    """Goes along with a view in one run.

    Args:
        cursor: Where the run is in the view.
    """

    def __init__(self, cursor: Cursor[Any]) -> None:
        self._cursor = cursor

    def catch_up(self) -> list[Work]:
        """Return what there is to do with what has come before."""
        return self._work(self._cursor.ready)

    def take(self, event: Event) -> list[Work]:
        """Return what there is to do because of an event."""
        return self._work(functools.partial(self._cursor.after, event))

    @abstractmethod
    def end(self, message: Message) -> list[Work]:
        """Return what there is to do because the stream is over."""

    @abstractmethod
    def _work(self, first: Callable[[], Any]) -> list[Work]:
        """Return what there is to do with the items from the first one on, in their order."""


class _Reader(_Taker):
    """What a view has for the handler in one run.

    Args:
        entry: The handler.
        cursor: Where the run is in the view.
    """

    def __init__(self, entry: Entry, cursor: Cursor[Any]) -> None:
        super().__init__(cursor)
        self.entry = entry
        self.error: OutputInvalid | OutputIncomplete | LimitExceeded | None = None
        """What was wrong first with what the model wrote."""

    def end(self, message: Message) -> list[Work]:
        """Return what there is to do because the stream is over.

        Args:
            message: The answer. Where it has nothing for the view, such as no text at all,
                nothing is missing; beside tool calls, text need not be JSON; and whoever
                stopped the stream knows that it was cut.
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
        entry, read = self.entry, first
        work: list[Work] = []
        last: Exception | None = None
        while True:
            try:
                item = read()
            except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
                # An element that is invalid stands in its place; what ends the output comes again.
                if error is last:
                    return work
                last, self.error = error, self.error or error
            else:
                if item is None:
                    return work
                work.append(Work(entry, None if item is NULL else item))
            read = then or self._cursor.ready


class _Calls(_Taker):
    """The tool calls of one run: each goes to its tool, or is answered here.

    Args:
        tools: The tools, by name.
        others: Names of tools whose arguments are read, and that are not to be answered.
        cursor: Where the run is in the checked calls.
        fail: Keeps what the model is told of a call that cannot be run.
    """

    def __init__(
        self,
        tools: Mapping[str, Entry],
        others: frozenset[str | None],
        cursor: Cursor[Any],
        fail: Callable[[ToolCall, str], None],
    ) -> None:
        super().__init__(cursor)
        self._tools = tools
        self._others = others
        self._fail = fail

    def end(self, message: Message) -> list[Work]:
        """Return what there is to do because the stream is over."""
        return self._work(self._cursor.end)

    def _work(self, first: Callable[[], Any]) -> list[Work]:
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


class Run:
    """One reading of a stream with a table of handlers: a stage from events to what is to be done.

    Args:
        entries: The handlers, in their order.
        tools: Those of them that are tools, by name.
        cursors: Gives cursors in the aspects of the answer, by the names of its views; a run
            moves them along, and reads nothing itself.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        tools: Mapping[str, Entry],
        cursors: Any,  # noqa: ANN401 - a stream's, which stands above
    ) -> None:
        self._entries = entries
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Gives the block in which a tool is run; None where it is run as it is."""
        self._values: dict[str, object] = {}
        self._errors: list[str] = []
        self._readers: list[_Reader] = []
        self._takers: list[_Taker] = []
        self._table: dict[type, list[Callable[[Event], list[Work]]]] = {}
        for entry in entries:
            take: Callable[[Event], list[Work]] = functools.partial(_event_work, entry)
            if entry.view is not None:
                reader = _Reader(entry, entry.view(cursors))
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
            calls = _Calls(tools, others, cursor, self._fail)
            self._takers.append(calls)
            # Behind all handlers of the event: one that raises keeps them from running.
            self._add(_TELLING if lenient else (ToolCallDone,), calls.take)

    def _add(self, events: tuple[type, ...], take: Callable[[Event], list[Work]]) -> None:
        for event in events:
            self._table.setdefault(event, []).append(take)

    def refuse_async(self) -> None:
        """Refuse to run with a stream that cannot await.

        Raises:
            MisuseError: A handler is asynchronous.
        """
        for entry in self._entries:
            if entry.is_async():
                raise entry.refusal()

    def begin(self) -> list[Work]:
        """Return what there is to do with what has come before: views start from the beginning."""
        return [work for taker in self._takers for work in taker.catch_up()]

    def feed(self, event: Event, *, now: float = 0.0) -> list[Work]:
        """Return what there is to do because of an event: the handlers in their order, then the tools.

        Args:
            event: What has happened.
            now: Unused; every stage takes it.
        """
        takers = self._table.get(event.__class__)
        if takers is None or event.choice:
            return _NO_WORK
        if len(takers) == 1:
            return takers[0](event)
        return [work for take in takers for work in take(event)]

    def end(self, message: Message) -> list[Work]:
        """Return what there is to do because the stream is over.

        Args:
            message: The answer.
        """
        return [work for taker in self._takers for work in taker.end(message)]

    def keep(self, work: Work, value: object) -> None:
        """Keep what a handler returned, where it is a tool."""
        if work.is_tool:
            self._values[work.item.id] = value

    def excuses(self, work: Work, error: BaseException) -> bool:
        """Tell whether an error is one that the model is to hear of; then it is kept for it.

        Args:
            work: What the handler had to do.
            error: What it raised.
        """
        if not (work.is_tool and isinstance(error, ToolFailed)):
            return False
        self._fail(work.item, str(error))
        return True

    def _fail(self, call: ToolCall, words: str) -> None:
        self._values[call.id] = words
        self._errors.append(call.id)

    def finish(self, message: Message) -> ToolResults:
        """Return what the tools gave back, once all is done.

        Args:
            message: The answer.

        Raises:
            OutputInvalid: What a view reads is not what was asked for.
            OutputIncomplete: It was cut.
            LimitExceeded: It is nested too deeply, or has too long a number.
        """
        for reader in self._readers:
            if reader.error is not None:
                self.put_results_on(reader.error, message)
                raise reader.error
        return self._results(message)

    def put_results_on(self, error: BaseException, message: Message) -> None:
        """Put what the tools gave back on an error, since none takes back what was run.

        Args:
            error: What ended the run, in whatever class: a tool's own error, too.
            message: The answer.
        """
        holder: Any = error
        # As in `Work.blame`.
        with suppress(AttributeError):
            holder.tool_results = self._results(message)

    def _results(self, message: Message) -> ToolResults:
        # A call that came again, because the answer began again, has another id in it.
        renamed: dict[str, str] = getattr(self._calls, "renamed", {})
        values = {renamed.get(call, call): value for call, value in self._values.items()}
        return ToolResults(message, values, [renamed.get(call, call) for call in self._errors])


def _event_work(entry: Entry, event: Event) -> list[Work]:
    return [Work(entry, event)]

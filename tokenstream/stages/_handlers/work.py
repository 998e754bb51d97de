"""Calls of handlers that are still to be made, and the objects that find them in a stream."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream.errors import InvalidJSON, LimitExceeded, OutputIncomplete, OutputInvalid
from tokenstream.stages._cursor import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.events import Event
    from tokenstream.message import Message, ToolCall
    from tokenstream.stages._cursor import Cursor
    from tokenstream.stages._handlers.entry import HandlerEntry

NO_WORK: list[Work] = []


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
        """Return the handler calls to make for all items that can be read without waiting, in order.

        Args:
            read_first: Reads the first item, and returns None if there is none. The items after it
                are read with the cursor's `ready`.
        """


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
        """Return the handler calls to make for all available items; store the first error in `error`.

        Args:
            read_first: Returns the first item, or None.
            read_next: Returns each further item, or None; the cursor's `ready` by default.
        """
        entry, read = self.entry, read_first
        work: list[Work] = []
        last_error: Exception | None = None
        while True:
            try:
                item = read()
            except (OutputInvalid, OutputIncomplete, LimitExceeded) as error:
                # After an invalid element, reading continues. An error that ends the output is raised at each
                # further read: the same error twice means that there is no more to read.
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
        """Names of tools with arguments that a view reads; their calls get no result."""
        self._refuse_call = refuse_call
        """Stores the error of a call that cannot be run, and returns the handler calls for this result."""

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
                # The arguments are invalid, or there is no tool of that name, which the model must learn. A
                # call whose arguments only a view reads needs neither a tool nor a result.
                work += self._refuse_call(call)
            read = self._cursor.ready
        return work

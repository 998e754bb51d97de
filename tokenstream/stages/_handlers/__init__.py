"""Handlers of a router, each with a description of the items that it handles."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._tools.kinds import FunctionTool, TypeTool, is_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.message import Message
    from tokenstream.partial_json._repairs import Lenient
    from tokenstream.stages._protocols import Cursor
    from tokenstream.stages._tools.generators import ResultOf
    from tokenstream.stages._tools.kinds import Tool


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

"""Drafts of a tool call while it is being written: its arguments so far, and finally the call itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from tokenstream.errors import OutputIncomplete
from tokenstream.stages._objects.partials import Partials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import OutputInvalid
    from tokenstream.message import ToolCall
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._typed.schema import Schema
    from tokenstream.stages._tools.kinds import Tool

A_co = TypeVar("A_co", covariant=True, default=Any)
R_co = TypeVar("R_co", covariant=True, default=Any)


class CallDraft(Generic[A_co, R_co]):  # noqa: PLW1641 - it compares by a draft, which has no hash
    """A tool call so far: a snapshot that never changes.

    `stream.tool_partials` returns a draft for each piece of each call. The last draft of
    a call also has the call itself, as in `stream.validated_calls`.

    Example:
        >>> from tokenstream import Stream
        >>> call = {"id": "call_1", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
        >>> chunk = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
        >>> def get_weather(city: str) -> str:
        ...     return f"sun in {city}"
        >>> for drafted in Stream([chunk], format="openai-chat").tool_partials(get_weather):
        ...     print(drafted.name, drafted.draft.get("city", default="…"), drafted.complete)
        get_weather … False
        get_weather Oslo False
        get_weather Oslo True
        >>> drafted.call.run()
        'sun in Oslo'
    """

    __match_args__ = ("name", "draft")
    __slots__ = ("call", "draft", "id", "index", "name")

    def __init__(
        self,
        id: str,
        name: str,
        index: int,
        draft: Partial[A_co],
        call: ToolCall[A_co, R_co] | None = None,
    ) -> None:
        self.id = id
        """The call's id."""
        self.name = name
        """The tool's name."""
        self.index = index
        """The call's index in `message.tool_calls`."""
        self.draft = draft
        """The arguments so far."""
        self.call = call
        """The call with its arguments checked; None while the call is still being written."""

    @property
    def complete(self) -> bool:
        """True once the call is whole; a call that was cut off never is."""
        return self.call is not None and self.call.complete

    @property
    def error(self) -> OutputInvalid | None:
        """The reason why the finished call cannot be run; None if it can, or is still being written."""
        return None if self.call is None else self.call.error

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made in the arguments so far, if they are read with `lenient`."""
        return self.draft.repairs

    def final(self) -> A_co:
        """Return the checked arguments, which are the same as `call.arguments`.

        Raises:
            OutputIncomplete: The call has not ended.
            OutputInvalid: The arguments do not fit the tool's declaration; `InvalidJSON` if they are no JSON.
        """
        if self.call is not None:
            return self.call.arguments
        raise OutputIncomplete(
            f"tool call {self.id!r} has not ended; its arguments so far are in .best",
            text="",
            best=self.draft,
        )

    def _told(self) -> tuple[Any, ...]:
        """Return the values by which drafts are compared."""
        call = self.call
        ended = None if call is None else (call.arguments_text, call.complete, type(call.error))
        return self.id, self.name, self.index, self.draft, ended

    def __eq__(self, other: object) -> bool:
        return self._told() == other._told() if isinstance(other, CallDraft) else NotImplemented

    def __repr__(self) -> str:
        ended = "" if self.call is None else ", complete" if self.complete else ", ended"
        return f"<CallDraft {self.index} {self.name!r} {self.draft!r}{ended}>"


class CallPartials:
    """Reads the arguments of one call as they are written; a stage that turns their text into drafts.

    Args:
        tool: The tool; None for an unknown tool, whose arguments may be anything.
        free: Whether the arguments are free text, which becomes the tool's first argument.
        lenient: Whether to read almost-JSON.
    """

    __slots__ = ("_between", "_held", "_lenient", "_partials", "_schema_of")

    def __init__(self, tool: Tool | None, *, free: bool = False, lenient: Lenient = False) -> None:
        self._lenient: Lenient = False if free else lenient
        self._schema_of: Callable[[str], Schema[Any] | None] | None = None
        """Chooses the schema by the start of the arguments; None once the schema is chosen."""
        self._held = ""
        """The text that arrived before the schema was chosen."""
        self._between: tuple[str, str] | None = None
        """The JSON before and after free text; the first is "" once it was passed on. None for JSON."""
        if tool is None:
            anything: Any = Any
            self._partials: Partials[Any] = Partials(anything)
            return
        self._partials = Partials(_asked(tool.schema), lenient=self._lenient)
        if free:
            # Split the JSON of an empty text between its two quotes.
            start, _, end = tool.as_json("").rpartition('""')
            self._between = f'{start}"', f'"{end}'
        else:
            self._schema_of = tool.schema_of

    @property
    def complete(self) -> bool:
        """True once the JSON is finished: only white space may follow."""
        return self._partials.complete

    @property
    def error(self) -> Exception | None:
        """The failure, once there is one."""
        return self._partials.error

    @property
    def stop(self) -> str | None:
        """Always None: an invalid call does not stop the reading of other calls."""
        return None

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The repairs that were made so far."""
        return self._partials.repairs

    def partial(self) -> Partial[Any]:
        """Return the arguments so far."""
        return self._partials.partial()

    def feed(self, text: str) -> list[Partial[Any]]:
        """Return a snapshot if a piece of the arguments changes what is visible."""
        if self._between is not None:
            start, end = self._between
            self._between = "", end
            return self._partials.feed(start + json.dumps(text)[1:-1])
        if self._schema_of is not None:
            self._held += text
            found = self._schema_of(self._held)
            if found is None:
                return []
            self._partials, self._schema_of = Partials(_asked(found), lenient=self._lenient), None
            text, self._held = self._held, ""
        return self._partials.feed(text)

    def end(self) -> list[Partial[Any]]:
        """Signal the end of the call; return the last snapshots."""
        held, self._held, self._schema_of = self._held, "", None
        if self._between is not None:
            held = "".join(self._between)
        return [*self._partials.feed(held), *self._partials.end()]


def _asked(schema: Schema[Any]) -> Any:  # noqa: ANN401 - what stands for a type
    return schema

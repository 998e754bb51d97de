"""Drafts of a tool call while it is being written: its arguments so far, and finally the call itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from tokenstream._basics.members import show_members
from tokenstream._basics.text_log import TextLog
from tokenstream.errors import OutputIncomplete
from tokenstream.partial_json._events import ValueStart
from tokenstream.partial_json._parser import PartialJSONParser
from tokenstream.stages._objects.partials import Partials

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import CallUncertain, OutputInvalid
    from tokenstream.message import ToolCall
    from tokenstream.partial_json import Partial
    from tokenstream.partial_json._repairs import Lenient, Repair
    from tokenstream.partial_json._typed.schema import Schema
    from tokenstream.stages._tools.kinds import Tool

A_co = TypeVar("A_co", covariant=True, default=Any)
R_co = TypeVar("R_co", covariant=True, default=Any)


@show_members
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
    def error(self) -> OutputInvalid | CallUncertain | None:
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

    def _make_comparison_key(self) -> tuple[Any, ...]:
        """Return the values by which drafts are compared."""
        call = self.call
        ended = None if call is None else (call.arguments_text, call.complete, type(call.error))
        return self.id, self.name, self.index, self.draft, ended

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CallDraft):
            return NotImplemented
        return self._make_comparison_key() == other._make_comparison_key()

    def __repr__(self) -> str:
        ended = "" if self.call is None else ", complete" if self.complete else ", ended"
        return f"<CallDraft {self.index} {self.name!r} {self.draft!r}{ended}>"


class CallPartials:
    """Reads the arguments of one call as they are written; a stage that turns their text into drafts.

    Args:
        tool: The tool; None for an unknown tool, whose arguments may be anything.
        is_free_text: True if the arguments are free text, which becomes the tool's first argument.
        lenient: True to read almost-JSON.
    """

    __slots__ = ("_choose_schema", "_first_key", "_free_text_frame", "_lenient", "_partials", "_undecided")

    def __init__(self, tool: Tool | None, *, is_free_text: bool = False, lenient: Lenient = False) -> None:
        self._lenient: Lenient = False if is_free_text else lenient
        self._choose_schema: Callable[[str], Schema[Any] | None] | None = None
        """Chooses the schema by the start of the arguments; None once the schema is chosen."""
        self._undecided = TextLog()
        """The text that arrived before the schema was chosen."""
        self._first_key: _FirstKey | None = None
        """Finds the first key in almost-JSON if the choice of the schema depends on it, otherwise None."""
        self._free_text_frame: tuple[str, str] | None = None
        """The JSON to pass on before and after free text; None if the arguments are JSON themselves."""
        if tool is None:
            # An unknown tool: its arguments may be any JSON value.
            anything: Any = Any
            self._partials: Partials[Any] = Partials(anything)
            return
        self._partials = Partials(_as_type(tool.schema), lenient=self._lenient)
        if is_free_text:
            # Split the JSON of an empty text between its two quotes.
            start, _, end = tool.as_json("").rpartition('""')
            self._free_text_frame = f'{start}"', f'"{end}'
        else:
            self._choose_schema = tool.schema_of
            if self._lenient and tool.schema_of("") is None:
                self._first_key = _FirstKey(self._lenient)

    @property
    def complete(self) -> bool:
        """True once the JSON is finished: only white space may follow."""
        return self._partials.complete

    @property
    def error(self) -> Exception | None:
        """The failure in reading the arguments; None while there is none."""
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
        if self._free_text_frame is not None:
            # Free text is read as the JSON of a string: the frame is the JSON before and after the text, of
            # which `start` is needed only once. The slice removes the quotes of this piece.
            start, end = self._free_text_frame
            self._free_text_frame = "", end
            return self._partials.feed(start + json.dumps(text)[1:-1])
        if self._choose_schema is not None:
            # Text is held until its start decides which schema applies.
            self._undecided.append(text)
            first_key = self._first_key
            start = self._undecided.join() if first_key is None else first_key.feed(text)
            schema = self._choose_schema(start)
            if schema is None:
                return []
            self._partials, self._choose_schema = Partials(_as_type(schema), lenient=self._lenient), None
            text, self._undecided = self._undecided.join(), TextLog()
        return self._partials.feed(text)

    def end(self) -> list[Partial[Any]]:
        """Signal the end of the call; return the last snapshots."""
        # No start of the arguments has decided the schema: the held text is read with the usual one.
        undecided, self._undecided, self._choose_schema = self._undecided.join(), TextLog(), None
        if self._free_text_frame is not None:
            # The rest of the JSON around the free text; all of it, if no text has arrived.
            undecided = "".join(self._free_text_frame)
        return [*self._partials.feed(undecided), *self._partials.end()]


class _FirstKey:
    """Finds the first key in almost-JSON arguments, by which the schema of the arguments is chosen.

    Almost-JSON may begin with prose or a code fence, or have other quotes, so it is read by a parser.
    """

    __slots__ = ("_parser",)

    def __init__(self, lenient: Lenient) -> None:
        self._parser = PartialJSONParser(lenient=lenient)

    def feed(self, text: str) -> str:
        """Read a piece of the text, and return the start of the document as strict JSON, up to its first key.

        The result is "" while the first key has not arrived, and "[" if there is none.
        """
        for event in self._parser.feed(text):
            if isinstance(event, ValueStart):
                if event.path:
                    return "{" + json.dumps(event.key, ensure_ascii=False)
                if event.kind != "object":
                    return "["
        return "" if self._parser.error is None else "["


def _as_type(schema: Schema[Any]) -> Any:  # noqa: ANN401 - what stands for a type
    """Return a schema unchanged: `Partials` takes it in place of a type, though its annotation does not."""
    return schema

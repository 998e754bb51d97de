"""Reads the lines of `goose run … --output-format stream-json`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, text_of
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents.reader import TextAgentReader
from tokenstream.steps._agents.values import text_in

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps

_COUNTS = {name: name for name in ("input_tokens", "output_tokens", "total_tokens")}


class Goose(TextAgentReader):
    """Reads goose: messages whose text goes on in the next line with the same id, and one end.

    | line | is read as |
    |---|---|
    | `message` of the assistant | a piece of an answer, and calls of tools |
    | `message` with a `toolResponse` | the end of a tool |
    | `error` | the failure of the turn, which still ends with `complete` |
    | `complete` | the end of the turn, with its tokens |
    """

    name: ClassVar[str] = "goose"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._message: str | None = None
        """The id of the message in progress; None if it has none."""
        self._error: StreamError | None = None
        """The error that the turn has told; None if it has told none."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the lines that only goose prints: those of each type have their own fields."""
        kind, message = line.get("type"), dict_of(line, "message")
        if kind == "message":
            return "role" in message and "created" in message and isinstance(message.get("content"), list)
        return (kind == "notification" and "extension_id" in line) or (
            kind == "complete" and "total_tokens" in line
        )

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind = text_of(line, "type")
        if kind == "message":
            self._read_message(dict_of(line, "message"))
        elif kind == "model_change":
            self._model = text_of(line, "model") or self._model
        elif kind == "error":
            self._open_turn()
            self._error = self._failure(text_of(line, "error"))
        elif kind == "complete":
            self._open_turn()
            error = self._error
            self._end_answer("stop" if error is None else "error", counts_in(line, _COUNTS))
            self._message = self._error = None
            self._end_turn(error)

    # -- within ------------------------------------------------------------

    def _read_message(self, message: dict[str, Json]) -> None:
        """Add the pieces of a message to its answer; begin and end tools."""
        self._open_turn()
        id, is_answer = text_of(message, "id"), message.get("role") == "assistant"
        if is_answer and (id is None or id != self._message):
            self._end_answer("stop")
            self._message = id
        for block in dicts_of(message.get("content")):
            kind = text_of(block, "type")
            if kind == "toolRequest":
                self._begin(block)
            elif kind == "toolResponse":
                self._end(block)
            elif is_answer and kind == "text":
                self._add_text("text", text_of(block, "text") or "", is_whole=False)
            elif is_answer and kind in ("thinking", "reasoning"):
                self._add_text("reasoning", text_of(block, "thinking", "text") or "", is_whole=False)

    def _begin(self, block: dict[str, Json]) -> None:
        """Begin a tool; a call that goose could not read has failed at once."""
        id, outcome = text_of(block, "id") or "", dict_of(block, "toolCall")
        if self._is_repeated(f"call {id}"):
            return
        self._end_answer("tool_calls")
        call = dict_of(outcome, "value")
        name = text_of(call, "name") or "tool"
        self._begin_tool(id, name, self._open_turn().step, dumps(call.get("arguments")))
        if outcome.get("status") == "error":
            self._end_tool(id, None, failure=text_of(outcome, "error") or "it failed")

    def _end(self, block: dict[str, Json]) -> None:
        """End a tool."""
        outcome = dict_of(block, "toolResult")
        value = outcome.get("value")
        result = text_in(value.get("content") if is_dict(value) else value)
        failure = None
        if outcome.get("status") == "error":
            failure = text_of(outcome, "error") or "it failed"
        elif is_dict(value) and value.get("isError") is True:
            failure = result or "it failed"
        self._end_tool(text_of(block, "id") or "", result, failure=failure)

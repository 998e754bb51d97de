"""Reads the lines of `cursor-agent -p … --output-format stream-json`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, is_dict, text_of
from tokenstream.steps._agents.reader import TextAgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.steps._run import Steps

_TOOL = "ToolCall"
"""The end of the names of Cursor's tools."""
_FAILURES = ("error", "failure", "rejected", "timeout", "permissionDenied", "fileNotFound", "spawnError")
"""Names that a result has in place of `success`."""


class CursorCLI(TextAgentReader):
    """Reads Cursor: reasoning in pieces, text whole or in pieces, and tools.

    A line of the type `assistant` is a piece of text if it has a `timestamp_ms` and no `model_call_id`.
    Any other holds the text since the last tool, and again that of the whole turn at its end, so it adds
    only what no piece has told.
    """

    name: ClassVar[str] = "cursor"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._pieces: list[str] = []
        """The pieces of text since the last tool or whole text."""
        self._told: list[str] = []
        """The texts of the turn, if any of them came in pieces."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for a first line without tools, and for the types of lines that only Cursor prints."""
        kind, subtype = line.get("type"), line.get("subtype")
        if "session_id" not in line:
            return False
        if kind == "system":
            is_of_claude = "tools" in line or "uuid" in line
            return subtype == "init" and not is_of_claude and "permissionMode" in line
        is_tool = kind == "tool_call" and "call_id" in line and is_dict(line.get("tool_call"))
        return is_tool or (kind == "thinking" and subtype in ("delta", "completed"))

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind = text_of(line, "type")
        if kind == "system" and line.get("subtype") == "init":
            self._run.session, self._model = text_of(line, "session_id"), text_of(line, "model")
            self._open_turn()
        elif kind == "thinking":
            self._add_text("reasoning", text_of(line, "text") or "", is_whole=False)
        elif kind == "assistant":
            self._read_message(line)
        elif kind == "tool_call":
            self._read_tool(line)
        elif kind == "result":
            self._read_result(line)

    # -- within ------------------------------------------------------------

    def _read_message(self, line: dict[str, Json]) -> None:
        """Add the text of a line, unless its pieces were told before."""
        blocks = dicts_of(dict_of(line, "message").get("content"))
        text = "".join([text_of(block, "text") or "" for block in blocks])
        is_piece = "timestamp_ms" in line and line.get("model_call_id") is None
        if is_piece:
            self._pieces.append(text)
        elif self._told:
            said = "".join(self._pieces)
            self._pieces.clear()
            text = "" if text == "".join(self._told) else text.removeprefix(said)
        if is_piece or self._told:
            self._told.append(text)
        self._add_text("text", text, is_whole=not is_piece and not self._told)

    def _read_tool(self, line: dict[str, Json]) -> None:
        """Begin or end a tool, whose name is the only field of the call."""
        id = text_of(line, "call_id") or ""
        tools = {name: call for name, call in dict_of(line, "tool_call").items() if is_dict(call)}
        name = next((name for name in tools if name.endswith(_TOOL)), next(iter(tools), _TOOL))
        call = tools.get(name, {})
        if self._has_read(f"done {id}"):
            return
        self._end_answer("tool_calls")
        self._pieces.clear()
        shown = name.removesuffix(_TOOL) or "tool"
        self._begin_tool(id, shown, self._open_turn().step, dumps(call.get("args")))
        if line.get("subtype") == "completed":
            self._remember(f"done {id}")
            result = call.get("result")
            self._end_tool(id, _value_of(result), failure=_failure_of(result))

    def _read_result(self, line: dict[str, Json]) -> None:
        """End the turn."""
        turn = self._open_turn()
        self._run.session = turn.session = text_of(line, "session_id") or turn.session
        turn.result = text_of(line, "result")
        self._pieces.clear()
        self._told.clear()
        has_failed = line.get("is_error") is True
        self._end_answer("error" if has_failed else "stop")
        self._end_turn(self._failure(turn.result or text_of(line, "subtype")) if has_failed else None)


def _value_of(result: Json) -> Json:
    """Return the result of a tool: what stands under `success`, or else all that it says."""
    return result.get("success", result) if is_dict(result) else result


def _failure_of(result: Json) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded."""
    if not is_dict(result):
        return None
    name = next((name for name in _FAILURES if name in result), None)
    if name is not None:
        detail = result[name]
        message = text_of(detail, "message", "error", "reason") if is_dict(detail) else detail
        return message if isinstance(message, str) and message else name
    exit_code = int_of(dict_of(result, "success"), "exitCode")
    return f"exit code {exit_code}" if exit_code else None

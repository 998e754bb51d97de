"""Reads the lines of `gemini -p … --output-format stream-json`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents.reader import TextAgentReader

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json

_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "cached": "cached_tokens",
}
"""Our names of counts by Gemini CLI's."""


class GeminiCLI(TextAgentReader):
    """Reads Gemini CLI: pieces of text, the calls of tools with their results, and one result at the end."""

    name: ClassVar[str] = "gemini-cli"

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the line that begins a session."""
        return line.get("type") == "init" and "timestamp" in line and "session_id" in line

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind = text_of(line, "type")
        if kind == "init":
            self._run.session, self._model = text_of(line, "session_id"), text_of(line, "model")
            self._open_turn()
        elif kind == "message" and line.get("role") == "assistant":
            self._add_text("text", text_of(line, "content") or "", is_whole=line.get("delta") is not True)
        elif kind == "tool_use":
            self._end_answer("tool_calls")
            id, name = text_of(line, "tool_id") or "", text_of(line, "tool_name") or "tool"
            self._begin_tool(id, name, self._open_turn().step, dumps(line.get("parameters")))
        elif kind == "tool_result":
            message = text_of(dict_of(line, "error"), "message")
            failure = (message or "it failed") if line.get("status") == "error" else None
            self._end_tool(text_of(line, "tool_id") or "", line.get("output"), failure=failure)
        elif kind == "error":
            self._last_error = text_of(line, "message")
        elif kind == "result":
            self._read_result(line)

    def _read_result(self, line: dict[str, Json]) -> None:
        """End the turn, which has the counts of all its requests."""
        self._open_turn()
        has_failed = line.get("status") != "success"
        self._end_answer("error" if has_failed else "stop", counts_in(dict_of(line, "stats"), _COUNTS))
        message = text_of(dict_of(line, "error"), "message") or self._last_error
        self._last_error = None
        self._end_turn(self._failure(message) if has_failed else None)

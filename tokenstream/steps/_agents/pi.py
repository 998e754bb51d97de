"""Reads the lines of `pi --mode json …`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, float_of, int_of, text_of
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents.reader import TextAgentReader
from tokenstream.steps._agents.values import text_in, with_cache

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.message import FinishReason
    from tokenstream.steps._run import Steps

_KINDS = {"text": "text", "thinking": "reasoning"}
"""Kinds of parts by Pi's types of blocks, which are also the names of the fields with the text."""
_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cacheRead": "cached_tokens",
    "cacheWrite": "cache_write_tokens",
}
"""Our names of counts by Pi's, who leaves what was cached out of the input."""
_REASONS: dict[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "toolUse": "tool_calls",
    "error": "error",
    "aborted": "cancelled",
}
_FAILED = frozenset({"error", "aborted"})


class Pi(TextAgentReader):
    """Reads Pi: each line about an answer has the whole of it so far, or, in newer versions, a piece.

    What Pi calls an agent is a turn here, and what Pi calls a turn is an answer with its tools. A turn fails
    if its last answer does; if Pi then tries again by itself, that is another turn.
    """

    name: ClassVar[str] = "pi"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._counts_each = True
        self._lengths: dict[int, int] = {}
        """The number of characters of each block of the answer in progress, by its place."""
        self._error: StreamError | None = None
        """The error of the last answer; None if it has none."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the lines of Pi, whose messages have a role and a time."""
        kind, message = text_of(line, "type") or "", dict_of(line, "message")
        if kind == "session":
            return "version" in line and "cwd" in line and "id" in line
        if kind in ("message_start", "message_update", "message_end"):
            return "role" in message and "timestamp" in message
        return (kind == "agent_start" and len(line) == 1) or (
            kind.startswith("tool_execution_") and "toolCallId" in line
        )

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind = text_of(line, "type") or ""
        message = dict_of(line, "message")
        if kind == "session":
            self._run.session = text_of(line, "id")
        elif kind == "agent_start":
            self._open_turn()
        elif kind.startswith("tool_execution_"):
            self._read_tool(kind, line)
        elif kind == "agent_end":
            self._open_turn()
            error, self._error = self._error, None
            self._end_turn(error)
        elif kind == "message_update" and "message" not in line:
            self._read_piece(dict_of(line, "assistantMessageEvent"))
        elif message.get("role") == "assistant":
            if kind == "message_start":
                self._lengths.clear()
            if kind in ("message_start", "message_update", "message_end"):
                self._read_message(message, is_whole=kind == "message_end")
            if kind == "message_end":
                self._finish(message)

    # -- within ------------------------------------------------------------

    def _read_message(self, message: dict[str, Json], *, is_whole: bool) -> None:
        """Add what is new in an answer.

        Args:
            message: The whole answer so far.
            is_whole: True if nothing of it follows.
        """
        self._model = text_of(message, "model") or self._model
        for place, block in enumerate(dicts_of(message.get("content"))):
            field = text_of(block, "type")
            if field in _KINDS:
                text, before = text_of(block, field) or "", self._lengths.get(place, 0)
                if len(text) > before:
                    self._lengths[place] = len(text)
                    self._add_text(_KINDS[field], text[before:], is_whole=is_whole and not before)

    def _read_piece(self, event: dict[str, Json]) -> None:
        """Add a piece of an answer; the versions since the summer of 2026 send the whole only at its end."""
        kind, _, word = (text_of(event, "type") or "").partition("_")
        text, place = text_of(event, "delta"), int_of(event, "contentIndex")
        if kind in _KINDS and word == "delta" and text is not None and place is not None:
            self._lengths[place] = self._lengths.get(place, 0) + len(text)
            self._add_text(_KINDS[kind], text, is_whole=False)

    def _finish(self, message: dict[str, Json]) -> None:
        """End an answer; add its tokens and its cost to those of the turn."""
        turn, reason = self._open_turn(), text_of(message, "stopReason")
        counts = dict_of(message, "usage")
        usage = with_cache(counts_in(counts, _COUNTS))
        cost = float_of(dict_of(counts, "cost"), "total")
        if cost is not None:
            turn.cost = (turn.cost or 0.0) + cost
        self._error = self._failure(text_of(message, "errorMessage")) if reason in _FAILED else None
        self._lengths.clear()
        self._end_answer(_REASONS.get(reason, "unknown"), usage)

    def _read_tool(self, kind: str, line: dict[str, Json]) -> None:
        """Begin or end a tool."""
        id = text_of(line, "toolCallId") or ""
        if self._has_read(f"done {id}"):
            return
        name = text_of(line, "toolName") or "tool"
        step = self._begin_tool(id, name, self._open_turn().step, dumps(line.get("args")))
        if kind == "tool_execution_update":
            # Each of these lines has the whole output so far.
            output = text_in(dict_of(line, "partialResult").get("content")) or ""
            step.add_output(output[len(step.output) :])
        elif kind == "tool_execution_end":
            self._remember(f"done {id}")
            outcome = dict_of(line, "result")
            result = text_in(outcome.get("content"))
            exit_code = int_of(dict_of(outcome, "details"), "exit_code", "exitCode")
            failure = (result or "it failed") if line.get("isError") is True else None
            if failure is None and exit_code:
                failure = f"exit code {exit_code}"
            self._end_tool(id, result, failure=failure)

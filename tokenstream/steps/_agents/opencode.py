"""Reads the lines of `opencode run --format json`."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, float_of, int_of, is_dict, text_of
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents.reader import TextAgentReader
from tokenstream.steps._agents.values import with_cache

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.message import FinishReason, Usage
    from tokenstream.steps._run import Steps


_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "reasoning": "reasoning_tokens",
    "cache read": "cached_tokens",
    "cache write": "cache_write_tokens",
}
"""Our names of counts by opencode's; those of the cache are in an object of their own."""
_BROKEN = "unknown"
"""The reason of an answer whose provider has told none, as when its stream has broken."""
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
    "error": "error",
}
"""Our reasons for the end of an answer by opencode's, which are those of the AI SDK."""


class OpenCodeAnswers(TextAgentReader):
    """Ends the answers of opencode, which tells of each one in the same words on its lines and its server."""

    def _finish_step(self, part: dict[str, Json]) -> str | None:
        """End an answer, or break it off; add its tokens and its cost to those of the turn.

        Returns:
            The reason for its end in opencode's words; None if it is not known, as after a broken stream.
        """
        turn, cost = self._open_turn(), float_of(part, "cost")
        usage = usage_in(dict_of(part, "tokens"))
        if cost is not None:
            turn.cost = (turn.cost or 0.0) + cost
        reason = text_of(part, "reason")
        if reason == _BROKEN:
            self._break_answer(usage)
            return None
        self._end_answer(_finish_reason(reason), usage)
        return reason


class OpenCode(OpenCodeAnswers):
    """Reads opencode: each request to the model is an answer; no line of its own ends the turn.

    A `step_finish` with a reason other than `tool-calls` ends it. If that has no reason, only the exit code
    0 of the process says that the turn is complete.
    """

    name: ClassVar[str] = "opencode"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._counts_each = True
        self._reason: str | None = ""
        """The reason of the last `step_finish`; "" before it, None if it is not known."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the lines of opencode, which all have the id of the session in this spelling."""
        return "sessionID" in line and (is_dict(line.get("part")) or is_dict(line.get("error")))

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        kind, part, error = text_of(line, "type"), line.get("part"), line.get("error")
        self._run.session = text_of(line, "sessionID") or self._run.session
        turn = self._open_turn()
        turn.session = self._run.session
        if kind == "error" and is_dict(error):
            data = error.get("data")
            message = text_of(data, "message") if is_dict(data) else text_of(error, "name")
            self._end_answer("error")
            self._end_turn(self._failure(message))
        elif is_dict(part) and not self._is_repeated(text_of(part, "id") or text_of(part, "callID")):
            if kind == "step_start":
                self._begin_step()
            elif kind in ("text", "reasoning"):
                self._add_text(kind, text_of(part, "text") or "", is_whole=True)
            elif kind == "tool_use":
                self._read_tool(part)
            elif kind == "step_finish":
                self._reason = self._finish_step(part)

    def _ends_without_a_line(self) -> bool:
        """Return True if the model has finished, or if only the exit code can say so and does."""
        if self._reason is None:
            return self._exit_code == 0
        return self._reason not in ("", "tool-calls")

    # -- within ------------------------------------------------------------

    def _begin_step(self) -> None:
        """End what has come after the end of the last answer, or break off an answer without an end.

        The agent asks anew after a broken answer, of which the text may come after its `step_finish`.
        """
        if self._reason:
            self._end_answer("unknown")
        else:
            self._break_answer()
        self._reason = ""

    def _read_tool(self, part: dict[str, Json]) -> None:
        """Add the step of a tool, which is told only when it has ended."""
        state, id = part.get("state"), text_of(part, "callID") or ""
        if not is_dict(state):
            return
        name = text_of(part, "tool") or "tool"
        self._begin_tool(id, name, self._open_turn().step, dumps(state.get("input")))
        self._end_tool(id, state.get("output"), failure=failure_in(state))


def _finish_reason(reason: str | None) -> FinishReason:
    """Return our word for the reason for which opencode says that an answer has ended.

    Example:
        >>> _finish_reason("tool-calls"), _finish_reason("length"), _finish_reason(None)
        ('tool_calls', 'length', 'stop')
    """
    return "stop" if reason is None else _REASONS.get(reason, "unknown")


def failure_in(state: dict[str, Json]) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded.

    opencode calls a command completed whatever its exit code is.
    """
    if state.get("status") == "error":
        return text_of(state, "error") or "it failed"
    exit_code = int_of(dict_of(state, "metadata"), "exit")
    return f"exit code {exit_code}" if exit_code else None


def usage_in(tokens: dict[str, Json]) -> Usage:
    """Return the counts of an answer; opencode leaves what was cached out of the input."""
    counts = {name: value for name, value in tokens.items() if name in _COUNTS}
    cached = {f"cache {name}": value for name, value in dict_of(tokens, "cache").items()}
    return with_cache(counts_in(counts | cached, _COUNTS))

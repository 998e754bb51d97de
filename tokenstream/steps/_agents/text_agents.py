"""Reads the lines of agents that print text and tools, such as Cursor, Gemini CLI, Pi and Copilot CLI."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, float_of, int_of, is_dict, text_of, text_or_empty
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents import REMEMBERED, TextAgentReader
from tokenstream.steps._agents.values import exit_failure, text_in, with_cache

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.message import FinishReason
    from tokenstream.steps._model_answer import TextAnswer
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

TEXT = "agentcore.text"
"""The type of the line that stands for a JSON string, which has no object of its own."""
_TOOL = "ToolCall"
"""The end of the names of Cursor's tools."""
_FAILURES = ("error", "failure", "rejected", "timeout", "permissionDenied", "fileNotFound", "spawnError")
"""Names that a result has in place of `success`."""

_GEMINI_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "cached": "cached_tokens",
}
"""Our names of counts by Gemini CLI's."""

_KINDS = {"text": "text", "thinking": "reasoning"}
"""Kinds of parts by Pi's types of blocks, which are also the names of the fields with the text."""
_PI_COUNTS = {
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

_PIECES = {"assistant.message_delta": "text", "assistant.reasoning_delta": "reasoning"}
"""Kinds of parts by Copilot CLI's types of lines with a piece of them."""


class CursorCLI(TextAgentReader):
    """Reads Cursor: reasoning in pieces, text whole or in pieces, and tools.

    A line of the type `assistant` is a piece of text if it has a `timestamp_ms` and no `model_call_id`.
    Any other holds the text since the last tool, and again that of the whole turn at its end, so it adds
    only what no piece has brought.

    Source:
        banteg/takopi, tests/fixtures/cursor_stream_success.jsonl and cursor_stream_error.jsonl.
    """

    name = "cursor"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._pieces: list[str] = []
        """The pieces of text since the last tool or whole text."""
        self._sent: list[str] = []
        """The texts of the turn, if any of them came in pieces."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for a first line without tools, and for the types of lines that only Cursor prints."""
        kind, subtype = line.get("type"), line.get("subtype")
        if "session_id" not in line:
            return False
        if kind == "system":
            is_of_claude = "tools" in line or "uuid" in line
            return subtype == "init" and not is_of_claude and "permissionMode" in line
        is_tool = kind == "tool_call" and "call_id" in line and is_dict(line.get("tool_call"))
        return is_tool or (kind == "thinking" and subtype in ("delta", "completed"))

    def read(self, line: JsonObject) -> None:
        kind = text_of(line, "type")
        if kind == "system" and line.get("subtype") == "init":
            self._model = text_of(line, "model")
            self._open_turn_of_session(text_of(line, "session_id"))
        elif kind == "thinking":
            self._add_text("reasoning", text_of(line, "text"))
        elif kind == "assistant":
            self._read_message(line)
        elif kind == "tool_call":
            self._read_tool(line)
        elif kind == "result":
            self._read_result(line)

    # -- within ------------------------------------------------------------

    def _read_message(self, line: JsonObject) -> None:
        """Add the text of a line, unless its pieces came before."""
        blocks = dicts_of(dict_of(line, "message").get("content"))
        text = "".join([text_or_empty(block, "text") for block in blocks])
        is_piece = "timestamp_ms" in line and line.get("model_call_id") is None
        if is_piece:
            self._pieces.append(text)
        elif self._sent:
            joined = "".join(self._pieces)
            self._pieces.clear()
            text = "" if text == "".join(self._sent) else text.removeprefix(joined)
        if is_piece or self._sent:
            self._sent.append(text)
        self._add_text("text", text, is_whole=not is_piece and not self._sent)

    def _read_tool(self, line: JsonObject) -> None:
        """Begin or end a tool, whose name is the only field of the call."""
        id = text_or_empty(line, "call_id")
        tools = {name: call for name, call in dict_of(line, "tool_call").items() if is_dict(call)}
        name = next((name for name in tools if name.endswith(_TOOL)), next(iter(tools), _TOOL))
        call = tools.get(name, {})
        if self._is_done(id):
            return
        self._end_answer("tool_calls")
        self._pieces.clear()
        shown = name.removesuffix(_TOOL) or "tool"
        self._begin_tool(id, shown, dumps(call.get("args")))
        if line.get("subtype") == "completed":
            result = call.get("result")
            # All that it says, unless something is under `success`.
            value = result.get("success", result) if is_dict(result) else result
            self._end_tool(id, value, failure=_find_tool_failure(result))

    def _read_result(self, line: JsonObject) -> None:
        turn = self._open_turn_of_session(text_of(line, "session_id"))
        turn.result = text_of(line, "result")
        self._pieces.clear()
        self._sent.clear()
        has_failed = line.get("is_error") is True
        self._end_answer("error" if has_failed else "stop")
        self._end_turn(self._failure(turn.result or text_of(line, "subtype")) if has_failed else None)


def _find_tool_failure(result: Json) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded."""
    if not is_dict(result):
        return None
    name = next((name for name in _FAILURES if name in result), None)
    if name is not None:
        detail = result[name]
        message = text_of(detail, "message", "error", "reason") if is_dict(detail) else detail
        return message if isinstance(message, str) and message else name
    return exit_failure(dict_of(result, "success"), "exitCode")


class GeminiCLI(TextAgentReader):
    """Reads Gemini CLI: pieces of text, the calls of tools with their results, and one result at the end."""

    name = "gemini-cli"

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        return line.get("type") == "init" and "timestamp" in line and "session_id" in line

    def read(self, line: JsonObject) -> None:
        kind = text_of(line, "type")
        if kind == "init":
            self._model = text_of(line, "model")
            self._open_turn_of_session(text_of(line, "session_id"))
        elif kind == "message" and line.get("role") == "assistant":
            self._add_text("text", text_of(line, "content"), is_whole=line.get("delta") is not True)
        elif kind == "tool_use":
            self._end_answer("tool_calls")
            id, name = text_or_empty(line, "tool_id"), text_of(line, "tool_name") or "tool"
            self._begin_tool(id, name, dumps(line.get("parameters")))
        elif kind == "tool_result":
            message = text_of(dict_of(line, "error"), "message")
            failure = (message or "it failed") if line.get("status") == "error" else None
            self._end_tool(text_or_empty(line, "tool_id"), line.get("output"), failure=failure)
        elif kind == "error":
            self._last_error = text_of(line, "message")
        elif kind == "result":
            self._read_result(line)

    def _read_result(self, line: JsonObject) -> None:
        """End the turn, which has the counts of all its requests."""
        self._open_turn()
        has_failed = line.get("status") != "success"
        self._end_answer("error" if has_failed else "stop", counts_in(dict_of(line, "stats"), _GEMINI_COUNTS))
        message = text_of(dict_of(line, "error"), "message") or self._last_error
        self._last_error = None
        self._end_turn(self._failure(message) if has_failed else None)


class Pi(TextAgentReader):
    """Reads Pi: each line about an answer has the whole of it so far, or, in newer versions, a piece.

    What Pi calls an agent is a turn here, and what Pi calls a turn is an answer with its tools. A turn fails
    if its last answer does; if Pi then tries again by itself, that is another turn.
    """

    name = "pi"
    _counts_each = True

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._lengths: dict[int, int] = {}
        """The number of characters of each block of the answer in progress, by its place."""
        self._error: StreamError | None = None
        self._was_aborted = False

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the lines of Pi, whose messages have a role and a time."""
        kind, message = text_or_empty(line, "type"), dict_of(line, "message")
        if kind == "session":
            return "version" in line and "cwd" in line and "id" in line
        if kind in ("message_start", "message_update", "message_end"):
            return "role" in message and "timestamp" in message
        return (kind == "agent_start" and len(line) == 1) or (
            kind.startswith("tool_execution_") and "toolCallId" in line
        )

    def read(self, line: JsonObject) -> None:
        kind = text_or_empty(line, "type")
        message = dict_of(line, "message")
        if kind == "session":
            self._run.introduce(session=text_of(line, "id"))
        elif kind == "agent_start":
            self._open_turn()
        elif kind.startswith("tool_execution_"):
            self._read_tool(kind, line)
        elif kind == "agent_end":
            self._end_run()
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

    def _end_run(self) -> None:
        self._open_turn()
        error, self._error = self._error, None
        if self._was_aborted:
            self._stop_turn("it was aborted")
        else:
            self._end_turn(error)

    def _read_message(self, message: JsonObject, *, is_whole: bool) -> None:
        """Add what is new in an answer."""
        self._model = text_of(message, "model") or self._model
        for place, block in enumerate(dicts_of(message.get("content"))):
            field = text_of(block, "type")
            if field in _KINDS:
                text, before = text_or_empty(block, field), self._lengths.get(place, 0)
                if len(text) > before:
                    self._lengths[place] = len(text)
                    self._add_text(_KINDS[field], text[before:], is_whole=is_whole and not before)

    def _read_piece(self, event: JsonObject) -> None:
        """Add a piece of an answer; the versions since the summer of 2026 send the whole only at its end."""
        kind, _, word = text_or_empty(event, "type").partition("_")
        text, place = text_of(event, "delta"), int_of(event, "contentIndex")
        if kind in _KINDS and word == "delta" and text is not None and place is not None:
            self._lengths[place] = self._lengths.get(place, 0) + len(text)
            self._add_text(_KINDS[kind], text)

    def _finish(self, message: JsonObject) -> None:
        """End an answer; add its tokens and its cost to those of the turn."""
        turn, reason = self._open_turn(), text_of(message, "stopReason")
        counts = dict_of(message, "usage")
        usage = with_cache(counts_in(counts, _PI_COUNTS))
        cost = float_of(dict_of(counts, "cost"), "total")
        if cost is not None:
            turn.cost = (turn.cost or 0.0) + cost
        self._error = self._failure(text_of(message, "errorMessage")) if reason == "error" else None
        self._was_aborted = reason == "aborted"
        self._lengths.clear()
        self._end_answer(_REASONS.get(reason, "unknown"), usage)

    def _read_tool(self, kind: str, line: JsonObject) -> None:
        id = text_or_empty(line, "toolCallId")
        if self._is_done(id):
            return
        name = text_of(line, "toolName") or "tool"
        step = self._begin_tool(id, name, dumps(line.get("args")))
        if kind == "tool_execution_update":
            self._replace_output(step, text_in(dict_of(line, "partialResult").get("content")) or "")
        elif kind == "tool_execution_end":
            outcome = dict_of(line, "result")
            result = text_in(outcome.get("content"))
            failure = exit_failure(dict_of(outcome, "details"), "exit_code", "exitCode")
            failure = (result or "it failed") if line.get("isError") is True else failure
            self._end_tool(id, result, failure=failure)


class CopilotCLI(TextAgentReader):
    """Reads Copilot CLI: pieces of answers and each answer whole, tools, and one result at the end.

    A line with `parentToolCallId` is of the subagent that this call has begun. The lines tell the tokens of
    the output at most, and those only for the models of a GitHub account.
    """

    name = "copilot-cli"
    _counts_each = True

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._caller: str | None = None
        """The call that has begun the agent of the line; None for the main agent."""
        self._over = RecentIds(REMEMBERED)
        """The ids of the calls whose subagents have ended."""
        self._others: dict[str | None, TextAnswer | None] = {}
        """The answers in progress of other agents, by the calls that have begun these."""
        self._results: JsonObject = {}
        """The results of calls whose subagents work, by the ids of the calls."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the events of Copilot CLI, of which each has a parent."""
        return "parentId" in line and "timestamp" in line and is_dict(line.get("data"))

    def read(self, line: JsonObject) -> None:
        # The result alone has no id.
        if self._is_repeated(text_of(line, "id", "timestamp")):
            return
        kind, data = text_or_empty(line, "type"), dict_of(line, "data")
        caller = text_of(data, "parentToolCallId")
        if caller is not None and caller in self._over:
            # The subagent has ended, and its step takes no more text.
            return
        self._turn_to(caller)
        if kind in _PIECES:
            self._add_text(_PIECES[kind], text_of(data, "deltaContent"))
        elif kind == "assistant.message":
            self._read_message(data)
        elif kind in ("assistant.turn_retry", "assistant.turn_end"):
            # The whole answer ends the pieces: without it, they are of one that was dropped.
            self._break_answer()
        elif kind in ("user.message", "assistant.turn_start"):
            self._open_turn()
        elif kind == "session.error":
            self._last_error = text_of(data, "message")
        elif kind == "result":
            self._read_result(line)
        elif "toolCallId" in data:
            self._read_tool(kind, text_or_empty(data, "toolCallId"), data)

    # -- within ------------------------------------------------------------

    @property
    def _speaker(self) -> Step:
        """The step of the main agent, or that of the call which has begun the subagent."""
        step = super()._speaker
        return step if self._caller is None else self._begin_tool(self._caller, "task", parent=step)

    def _turn_to(self, caller: str | None) -> None:
        """Go on with the answer of the agent that a call has begun."""
        if caller != self._caller:
            self._others[self._caller] = self._answer
            self._answer, self._caller = self._others.pop(caller, None), caller

    def _read_message(self, data: JsonObject) -> None:
        """End an answer; add its texts if no piece has brought them."""
        self._model = text_of(data, "model") or self._model
        if self._answer is None:
            for kind, field in (("reasoning", "reasoningText"), ("text", "content")):
                self._add_text(kind, text_of(data, field), is_whole=True)
        reason: FinishReason = "tool_calls" if data.get("toolRequests") else "stop"
        self._end_answer(reason, counts_in(data, {"outputTokens": "output_tokens"}))

    def _read_tool(self, kind: str, id: str, data: JsonObject) -> None:
        """Begin, continue or end a tool; one that has begun a subagent ends with this."""
        if kind == "tool.execution_start":
            name = text_of(data, "toolName") or "tool"
            self._begin_tool(id, name, dumps(data.get("arguments")), parent=self._speaker)
        elif kind == "subagent.started":
            self._results[id] = None
        elif kind == "tool.execution_partial_result" and id in self._tools:
            self._replace_output(self._tools[id], text_or_empty(data, "partialOutput"))
        elif kind == "tool.execution_complete":
            result = dict_of(data, "result").get("content")
            if id in self._results:
                self._results[id] = result
                return
            failure = exit_failure(dict_of(data, "shellExecution"), "exitCode")
            if data.get("success") is False:
                failure = text_of(dict_of(data, "error"), "message") or "it failed"
            self._end_tool(id, result, failure=failure)
        elif kind in ("subagent.completed", "subagent.failed"):
            self._over.add(id)
            self._others.pop(id, None)
            self._end_tool(id, self._results.pop(id, None), failure=text_of(data, "error"))

    def _read_result(self, line: JsonObject) -> None:
        self._open_turn_of_session(text_of(line, "sessionId"))
        self._others.clear()
        has_failed = line.get("exitCode") != 0
        error, self._last_error = self._last_error, None
        self._end_answer("error" if has_failed else "stop")
        self._end_turn(self._failure(error) if has_failed else None)


class KimiCode(TextAgentReader):
    """Reads Kimi Code: whole answers with their calls, the results of tools, and the session at the end.

    The lines tell no tokens, not why an answer has ended, and not whether a tool has failed.
    """

    name = "kimi-code"

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        return line.get("role") == "meta" and "type" in line

    def read(self, line: JsonObject) -> None:
        role, kind = line.get("role"), text_of(line, "type")
        if role == "assistant":
            self._add_text("text", text_of(line, "content"), is_whole=True)
            calls = dicts_of(line.get("tool_calls"))
            self._end_answer("tool_calls" if calls else "unknown")
            for call in calls:
                function = dict_of(call, "function")
                name, arguments = text_of(function, "name") or "tool", text_of(function, "arguments")
                self._begin_tool(text_or_empty(call, "id"), name, arguments)
        elif role == "tool":
            self._end_tool(text_or_empty(line, "tool_call_id"), line.get("content"))
        elif kind == "system.version":
            self._open_turn()
        elif kind == "session.resume_hint":
            self._open_turn_of_session(text_of(line, "session_id"))
            self._end_turn(None)


class AgentCore(TextAgentReader):
    """Reads an agent on AgentCore that yields strings: one answer, which ends with the body.

    AgentCore passes on whatever its agent yields. If these are the lines of another agent, such as those of
    claude-agent-sdk, the reader of that agent reads them.

    Source:
        Bodies of bedrock-agentcore's own server, which tests start.
    """

    name = "agentcore"

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for a string, and for the object with which AgentCore reports an exception."""
        return line.get("type") == TEXT or is_exception(line)

    def read(self, line: JsonObject) -> None:
        if line.get("type") == TEXT:
            self._add_text("text", text_of(line, "text"))

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the answer with the body; return the error of the run, or None."""
        self._end_answer("stop")
        return super().end(exit_code)

    def _ends_without_a_line(self) -> bool:
        """Return True: the end of the body is the end of the answer."""
        return True


def is_exception(line: JsonObject) -> bool:
    """Return True for the object with which AgentCore reports an exception of its agent."""
    return "error_type" in line and "error" in line and "message" in line

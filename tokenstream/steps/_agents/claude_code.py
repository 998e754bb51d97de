"""Reads the lines of `claude -p … --output-format stream-json --verbose`."""

from __future__ import annotations

from collections import deque
from json import dumps
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, float_of, is_dict, is_list, text_of
from tokenstream.events import UsageUpdate
from tokenstream.formats._kit.values import counts_in
from tokenstream.steps._agents.reader import AgentReader
from tokenstream.steps._agents.values import text_in
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.message import ToolCall, Usage
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step
    from tokenstream.steps._turn import Turn

_OVER = frozenset({"completed", "failed", "stopped", "killed", "cancelled"})
"""States of a task in the background that are final."""
_OF_BOTH = frozenset({"system", "stream_event", "assistant", "user", "result"})
"""Types of lines by which Claude Code or Amp can be told."""
_OWN_FACTS = frozenset({"claude_code_version", "model", "permissionMode", "uuid"})
"""Fields of the first line of Claude Code that Amp's has not."""
_COUNTS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cached_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
"""Our names of counts by those of a turn's result."""


class ClaudeCode(AgentReader):
    """Reads Claude Code: each answer's events, and the whole messages where there are no events.

    | line | is read as |
    |---|---|
    | `system` with the subtype `init` | the beginning of a turn |
    | `stream_event` | an event of Anthropic's API, of the main agent or of a subagent |
    | `assistant` | a piece of an answer, unless its events were sent before |
    | `user` with a `tool_result` | the end of a tool |
    | `result` | the end of a turn, with its tokens and the cost of the session so far |
    """

    name: ClassVar[str] = "claude-code"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answers: dict[str, _Answer] = {}
        """The answer in progress of each agent, by the id of the call that has started the agent; "" for
        the main agent."""
        self._last_reader: ModelAnswer | None = None
        """The reader of the last answer; None before the first."""
        self._streamed: set[str] = set()
        """The ids of the messages whose events were sent."""
        self._in_background: set[str] = set()
        """The ids of calls whose agents go on after the call's result."""
        self._is_calling = False
        """True if the last answer of the main agent has called a tool, so that another answer follows."""
        self._answered: deque[tuple[Turn, bool]] = deque()
        """The turns that have their last answer and whose results follow, the oldest first, each with True if
        that answer was sent whole."""
        self._cost = 0.0
        """The cost of the session up to the last turn, in US dollars."""
        self._readers: dict[str, Callable[[dict[str, Json]], None]] = {
            "system": self._read_system,
            "stream_event": self._read_event,
            "assistant": self._read_message,
            "user": self._read_user,
            "result": self._read_result,
        }
        """The methods that read lines, by their types; all other lines are signs of life."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for lines of Claude Code that Amp, which prints such lines as well, does not print."""
        return cls.find_name(line) == cls.name

    @classmethod
    def find_name(cls, line: dict[str, Json]) -> str | None:
        """Return "claude-code" or "amp"; None if a line may be of either, or of another agent."""
        kind, session = text_of(line, "type"), text_of(line, "session_id")
        if session is None or kind not in _OF_BOTH:
            return None
        if session.startswith("T-"):
            # Amp calls a session a thread.
            return "amp"
        if kind == "stream_event":
            return cls.name
        if kind == "system":
            is_own = "tools" in line and not _OWN_FACTS.isdisjoint(line)
            return cls.name if line.get("subtype") == "init" and is_own else None
        if kind == "result" and line.get("is_error") is True and text_of(line, "error") is not None:
            return "amp"
        return cls.name if "uuid" in line or (kind == "result" and "total_cost_usd" in line) else None

    @classmethod
    def may_read(cls, line: dict[str, Json]) -> bool:
        """Return True for a line in the manner of Claude Code and Amp, of whichever of the two it is."""
        if text_of(line, "session_id") is None:
            return False
        is_start = line.get("type") == "system" and line.get("subtype") == "init"
        return (is_start and "tools" in line) or (
            line.get("type") == "assistant" and text_of(dict_of(line, "message"), "id") is not None
        )

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as a line says."""
        if self._run.agent is None:
            self._run.agent = self.find_name(line)
        # A run may have many thousand lines, so the fields of each are taken without a call.
        kind, uuid = line.get("type"), line.get("uuid")
        read = self._readers.get(kind) if isinstance(kind, str) else None
        if read is not None and not (isinstance(uuid, str) and self._is_repeated(uuid)):
            read(line)

    @property
    def has_open_turn(self) -> bool:
        """True while a turn is in progress, or waits for its result."""
        return super().has_open_turn or bool(self._answered)

    def end(self, exit_code: int | None) -> StreamError | None:
        """End the turns that are still open; return the error of the run, or None."""
        error = super().end(exit_code)
        while self._answered:
            turn, _ = self._answered.popleft()
            error = self._truncation_of(turn)
            self._close_turn(turn, error)
        return error

    def stop(self, error: BaseException) -> None:
        """End the turns that are open with an exception, because the lines are not read any further."""
        self._answers.clear()
        for turn, _ in self._answered:
            turn.step.end(error)
            self._count_turn()
        self._answered.clear()
        super().stop(error)

    # -- lines -------------------------------------------------------------

    def _read_system(self, line: dict[str, Json]) -> None:
        """Begin a turn, or follow a task in the background."""
        subtype, call_id = text_of(line, "subtype"), text_of(line, "tool_use_id")
        if subtype == "init":
            self._run.session = text_of(line, "session_id") or self._run.session
            self._run.model = text_of(line, "model") or self._run.model
            self._set_aside()
            self._open_turn()
        elif subtype == "task_started" and call_id is not None:
            self._in_background.add(call_id)
        elif subtype in ("task_updated", "task_notification") and call_id is not None:
            patch = line.get("patch")
            status = text_of(patch, "status") if is_dict(patch) else text_of(line, "status")
            if status in _OVER and call_id in self._in_background:
                self._in_background.discard(call_id)
                self._end_answer(call_id)
                failure = None if status == "completed" else status
                self._end_tool(call_id, text_of(line, "summary"), failure=failure)

    def _read_event(self, line: dict[str, Json]) -> None:
        """Pass an event of Anthropic's API to the answer of its agent."""
        event, agent = line.get("event"), line.get("parent_tool_use_id")
        if not is_dict(event):
            return
        if not isinstance(agent, str):
            agent = ""
        kind = event.get("type")
        if kind == "message_start":
            id = text_of(dict_of(event, "message"), "id")
            if id is not None:
                self._streamed.add(id)
            self._end_answer(agent)
            self._begin_answer(agent, id)
        answer = self._answers.get(agent)
        if answer is not None:
            answer.reader.read_piece(event)
            if answer.calls:
                self._begin_tools(answer)
            if kind == "message_stop":
                self._end_answer(agent)

    def _read_message(self, line: dict[str, Json]) -> None:
        """Read a whole piece of an answer, unless its events were sent before."""
        message = line.get("message")
        if not is_dict(message):
            return
        agent, id = text_of(line, "parent_tool_use_id") or "", text_of(message, "id")
        if id is not None and id in self._streamed:
            return
        answer = self._answers.get(agent)
        if answer is None or answer.id != id:
            self._end_answer(agent)
            answer = self._begin_answer(agent, id)
            # The counts of a line are those of the answer's start, and come again with each line.
            head = {key: value for key, value in message.items() if key not in ("usage", "content")}
            self._feed(answer, {"type": "message_start", "message": {**head, "content": []}})
        content = message.get("content")
        for block in content if is_list(content) else [{"type": "text", "text": content}]:
            if is_dict(block):
                self._feed_block(answer, block)

    def _read_user(self, line: dict[str, Json]) -> None:
        """End the tools whose results are in a line."""
        for block in dicts_of(dict_of(line, "message").get("content")):
            id = text_of(block, "tool_use_id")
            if id is not None and id not in self._in_background:
                result = text_in(block.get("content"))
                is_error = block.get("is_error") is True
                self._end_answer(id)
                self._end_tool(id, result, failure=(result or "it failed") if is_error else None)

    def _read_result(self, line: dict[str, Json]) -> None:
        """End the turn: `is_error` decides if it has failed, and not the word `success`."""
        is_aside = bool(self._answered)
        turn, was_whole = self._answered.popleft() if is_aside else (self._open_turn(), False)
        self._run.session = turn.session = text_of(line, "session_id") or turn.session
        turn.usage = counts_in(dict_of(line, "usage"), _COUNTS) or turn.usage
        total = float_of(line, "total_cost_usd")
        if total is not None:
            # The agent tells the cost of the session so far; it begins anew in another session.
            turn.cost, self._cost = (total - self._cost if total >= self._cost else total), total
        structured = line.get("structured_output")
        turn.result = structured if structured is not None else text_of(line, "result")
        error = None
        if line.get("is_error") is True:
            status = line.get("api_error_status")
            errors = line.get("errors")
            told = "; ".join([text for text in errors if isinstance(text, str)]) if is_list(errors) else ""
            message = text_of(line, "result", "error") or told or text_of(line, "subtype")
            error = self._failure(message, code=_code(status))
        if is_aside:
            if was_whole and turn.usage:
                turn.step.feed(UsageUpdate(turn.usage))
            self._close_turn(turn, error)
            return
        self._end_answers(turn.usage)
        # The whole messages of a turn come before its result.
        self._streamed.clear()
        self._end_turn(error)

    # -- within ------------------------------------------------------------

    def _set_aside(self) -> None:
        """Set the turn in progress aside if it has its last answer, because the next one begins.

        After a task in the background, the agent goes on before it sends the result of the turn.
        """
        if self._turn is not None and self._turn.step.has_answer and not self._is_calling:
            answer = self._answers.get("")
            self._answered.append((self._turn, answer is not None and answer.blocks > 0))
            self._end_answer("")
            self._turn = None

    def _step_of(self, agent: str) -> Step:
        """Return the step in which an agent's answers are: that of the turn, or of the call that began it."""
        turn = self._open_turn()
        return self._tools.get(agent) or turn.step

    def _begin_answer(self, agent: str, id: str | None) -> _Answer:
        """Begin an answer of an agent.

        Args:
            agent: The id of the call that began the agent; "" for the main agent.
            id: The id of the answer's message; None if it has none.
        """
        if not agent:
            self._is_calling = False
        answer = self._answers[agent] = _Answer(self._step_of(agent), id, self._last_reader)
        self._last_reader = answer.reader
        return answer

    def _feed(self, answer: _Answer, event: dict[str, Any]) -> None:
        """Pass an event to an answer, and begin the steps of the tools that it has called."""
        answer.reader.read_piece(event)
        self._begin_tools(answer)

    def _begin_tools(self, answer: _Answer) -> None:
        """Begin the steps of the tools that an answer has called."""
        for call in answer.calls:
            self._is_calling = self._is_calling or answer is self._answers.get("")
            if call.id:
                self._begin_tool(call.id, call.name, answer.reader.step, call.arguments_text)
        answer.calls.clear()

    def _feed_block(self, answer: _Answer, block: dict[str, Any]) -> None:
        """Pass a whole block to an answer, as the events that Anthropic's API would send for it."""
        index, answer.blocks = answer.blocks, answer.blocks + 1
        start: dict[str, Any] = {"type": "content_block_start", "index": index, "content_block": block}
        deltas: list[dict[str, Any]] = []
        if block.get("type") == "tool_use":
            answer.has_called = True
            start["content_block"] = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": dumps(block.get("input") or {})}]
        self._feed(answer, start)
        for delta in deltas:
            self._feed(answer, {"type": "content_block_delta", "index": index, "delta": delta})
        self._feed(answer, {"type": "content_block_stop", "index": index})

    def _end_answer(self, agent: str, usage: Json = None) -> None:
        """End the answer in progress of an agent; one of whole lines has no event that ends it."""
        answer = self._answers.pop(agent, None)
        if answer is not None:
            if answer.blocks:
                delta = {"stop_reason": "tool_use" if answer.has_called else "end_turn"}
                self._feed(answer, {"type": "message_delta", "delta": delta, "usage": usage or {}})
                self._feed(answer, {"type": "message_stop"})
            answer.reader.end()

    def _end_answers(self, usage: Usage) -> None:
        """End all answers; the last one of whole lines gets the tokens of the turn, told by no other line."""
        for agent in [*self._answers]:
            counts = {"input_tokens": usage.input_tokens or 0, "output_tokens": usage.output_tokens or 0}
            self._end_answer(agent, counts if not agent and usage else None)


class _Answer:
    """An answer in progress, with the calls that its steps have not begun.

    Args:
        step: The step of its agent.
        id: The id of its message; None if it has none.
        earlier: The reader of an earlier answer; None for the first.
    """

    __slots__ = ("_calls", "blocks", "calls", "has_called", "id", "reader")

    def __init__(self, step: Step, id: str | None, earlier: ModelAnswer | None) -> None:
        self.id = id
        self.calls: list[ToolCall] = []
        """The calls that are complete, and whose steps have not begun."""
        self.reader = ModelAnswer(step, "anthropic", self.calls, earlier)
        self.blocks = 0
        """Number of whole blocks that were read; 0 for an answer whose events were sent."""
        self.has_called = False
        """True once a whole block was a call."""


def _code(status: Json) -> str | None:
    """Return the status with which the provider refused the agent's request, as an error's code."""
    return str(status) if isinstance(status, int) else None

"""Reads the events of agents that run at their provider: Anthropic's Managed Agents, and Mistral's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._basics.untrusted import dict_of, is_list, text_of, text_or_empty
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._kit.values import json_text, split_names
from tokenstream.formats._wire.anthropic_agents import AnthropicAgents as SessionFormat
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._agents.values import text_in
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_USES = frozenset({"agent.tool_use", "agent.mcp_tool_use", "agent.custom_tool_use"})
_RESULTS = frozenset(
    {"agent.tool_result", "agent.mcp_tool_result", "user.custom_tool_result", "user.tool_result"}
)
_IDS_OF_CALLS = ("tool_use_id", "mcp_tool_use_id", "custom_tool_use_id")
_OF_ANSWER = split_names(
    "event_start event_delta agent.message agent.tool_use agent.mcp_tool_use agent.custom_tool_use "
    "agent.tool_result agent.mcp_tool_result span.model_request_start span.model_request_end "
    "session.status_running session.error"
)
_ENDS_OF_THREAD = frozenset({"session.thread_status_idle", "session.thread_status_terminated"})
_GOES_ON = "requires_action"
_FAILURES = {
    "retries_exhausted": "the requests to the model have failed too often",
    "budget_reached": "the session's budget is reached",
    "refusal": "the model has refused to answer",
}

_NAME = "mistral-conversations"
_OF_SPEAKER = frozenset({"message.output.delta", "function.call.delta"})
_OF_TOOL = frozenset({"tool.execution.started", "tool.execution.delta", "tool.execution.done"})
_END: JsonObject = {"type": "conversation.response.done"}


class AnthropicAgentsRun(AgentReader):
    """Reads Managed Agents: a turn lasts until the session is idle, and waits for nobody.

    | event | is read as |
    |---|---|
    | `session.status_running` | the beginning of a turn, or of its next answer |
    | `agent.message`, its preview, `span.model_request_end` | a piece of the answer |
    | `agent.tool_use`, `.tool_result`, and those of MCP and of your own tools | a tool |
    | `session.thread_created`, `.thread_status_…` | the step of another agent |
    | `session.status_idle` | the end of the turn, or the requests that wait for your answer |
    """

    name = "anthropic-agents"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answer: ModelAnswer | None = None
        self._threads: dict[str, Step] = {}
        """The steps of the threads of other agents that have not ended, by the threads' ids."""
        self._complaint: tuple[str | None, str | None] = None, None
        """The message and the type of the last error that an event has reported."""
        self._result: str | None = None
        """The text of the last message of the turn."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the events of a session, which other agents do not send in this shape."""
        return SessionFormat.recognises(line, "")

    def read(self, line: JsonObject) -> None:
        kind = text_or_empty(line, "type")
        if self._is_repeated(text_of(line, "id")):
            return
        thread = text_of(line, "session_thread_id")
        if kind in _OF_ANSWER and (thread is None or kind == "agent.custom_tool_use"):
            self._find_answer().read_piece(line)
        if kind in _USES:
            arguments = json_text(dict_of(line, "input"))
            name = text_of(line, "name") or "tool"
            self._begin_tool(text_or_empty(line, "id"), name, arguments, parent=self._step_of(thread))
        elif kind in _RESULTS:
            self._read_result(line)
        elif kind in ("session.thread_created", "session.thread_status_running"):
            self._begin_thread(line, thread)
        elif kind in _ENDS_OF_THREAD:
            self._end_thread(line, thread)
        elif kind == "agent.thread_message_received":
            sender = self._threads.get(text_or_empty(line, "from_session_thread_id"))
            if sender is not None:
                sender.result = text_in(line.get("content"))
        else:
            self._read_state(line, kind)

    def _forget_turn(self) -> None:
        self._answer = None
        self._threads.clear()

    # -- turns -------------------------------------------------------------

    def _read_state(self, line: JsonObject, kind: str) -> None:
        turn = self._turn
        if kind == "agent.message":
            self._result = text_in(line.get("content")) or self._result
        elif kind == "session.error":
            error = dict_of(line, "error")
            self._complaint = text_of(error, "message"), text_of(error, "type")
        elif kind == "session.status_idle" and turn is not None:
            self._read_idle(line, turn.step)
        elif kind in ("session.status_terminated", "session.deleted") and turn is not None:
            message, code = self._complaint
            self._finish(self._failure(message or "the session has ended", code=code))

    def _read_idle(self, line: JsonObject, step: Step) -> None:
        """End the answer; end the turn unless the agent waits for the application."""
        reason, details = dict_of(line, "stop_reason"), dict_of(line, "stop_details")
        word = text_of(reason, "type")
        self._end_answer(line)
        ids = reason.get("event_ids")
        if word == _GOES_ON:
            asked = [id for id in ids if isinstance(id, str)] if is_list(ids) else []
            # An event without ids waits for the results of all tools that have none.
            for id in asked or [*self._tools] or [text_or_empty(line, "id")]:
                tool = self._tools.get(id, step)
                named = {} if tool.cause is None else {"name": tool.cause.name}
                tool.wait_for(id, {"event_id": id, **named})
            self._hold_turn()
            return
        error = None
        if word in _FAILURES:
            message, code = self._complaint if word == "retries_exhausted" else (None, None)
            words = message or text_of(details, "explanation") or _FAILURES[word]
            error = self._failure(words, code=code or word)
        self._run.requests.resumed_by(self._asker)
        self._finish(error)

    def _find_answer(self) -> ModelAnswer:
        """Return the answer in progress, and begin one, and a turn, if there is none."""
        if self._answer is None:
            if self._turn is None:
                self._complaint, self._result = (None, None), None
            self._answer = ModelAnswer(self._turn_step, SessionFormat(answer=""), [])
        return self._answer

    def _end_answer(self, line: JsonObject | None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            if line is not None:
                answer.read_piece(line)
            answer.end()

    def _finish(self, error: StreamError | None) -> None:
        self._end_answer(None)
        self._open_turn().result = self._result
        self._end_turn(error)

    # -- tools -------------------------------------------------------------

    def _step_of(self, thread: str | None) -> Step:
        """Return the step of a thread; that of the turn for the main agent's."""
        return self._threads.get(thread or "") or self._turn_step

    def _read_result(self, line: JsonObject) -> None:
        id = text_or_empty(line, *_IDS_OF_CALLS)
        content = line.get("content")
        text = text_in(content)
        failure = (text or "it failed") if line.get("is_error") is True else None
        self._end_tool(id, content if text is None else text, failure=failure)
        self._run.requests.note_answered(id)

    # -- other agents' threads -----------------------------------------------

    def _begin_thread(self, line: JsonObject, thread: str | None) -> None:
        if thread is not None and thread not in self._threads:
            name = text_of(line, "agent_name") or thread
            self._threads[thread] = self._turn_step.step(name, agent=name)

    def _end_thread(self, line: JsonObject, thread: str | None) -> None:
        """End the step of a thread, unless it waits for the application."""
        word = text_of(dict_of(line, "stop_reason"), "type")
        step = self._threads.get(thread or "")
        if step is None or word == _GOES_ON:
            return
        self._threads.pop(thread or "", None)
        step.end(self._failure(_FAILURES[word], code=word) if word in _FAILURES else None)


class MistralConversationsRun(AgentReader):
    """Reads Mistral's conversations: a response is a turn, and an agent that it is handed to is a sub-step.

    | event | is read as |
    |---|---|
    | `conversation.response.started` | the beginning of a turn |
    | `message.output.delta`, `function.call.delta` | a piece of the answer of the agent that speaks |
    | `tool.execution.*` | a tool of Mistral, which is a sub-step of that agent |
    | `agent.handoff.done` | the beginning of another agent's step |
    | `conversation.response.done`, `conversation.response.error` | the end of the turn |
    """

    name = _NAME

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answer: ModelAnswer | None = None
        self._speaker: Step | None = None
        """The step of the agent to which the turn was handed; None for the first agent."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        kind = text_or_empty(line, "type")
        return kind in _OF_SPEAKER | _OF_TOOL or kind.startswith(("conversation.response.", "agent.handoff."))

    def read(self, line: JsonObject) -> None:
        kind = text_or_empty(line, "type")
        if kind == "conversation.response.started":
            self._open_turn_of_session(text_of(line, "conversation_id"))
        elif kind in _OF_SPEAKER:
            self._find_answer().read_piece(line)
        elif kind in _OF_TOOL:
            self._find_answer().read_piece(line)
            self._read_tool(line, kind)
        elif kind == "agent.handoff.done":
            self._hand_over(text_of(line, "next_agent_name", "next_agent_id") or "agent")
        elif kind == "conversation.response.done":
            self._turn_step.count(usage_of(dict_of(line, "usage")))
            self._find_answer().read_piece(line)
            self._finish(None)
        elif kind == "conversation.response.error":
            self._open_turn()
            code = line.get("code")
            self._finish(self._failure(text_of(line, "message"), code=None if code is None else str(code)))

    def _forget_turn(self) -> None:
        self._answer = self._speaker = None

    # -- within ------------------------------------------------------------

    @property
    def _step(self) -> Step:
        return self._speaker or self._turn_step

    def _find_answer(self) -> ModelAnswer:
        if self._answer is None:
            self._answer = ModelAnswer(self._step, _NAME, [])
        return self._answer

    def _read_tool(self, line: JsonObject, kind: str) -> None:
        id = text_or_empty(line, "id")
        name = text_of(line, "name") or "tool"
        self._begin_tool(id, name, text_of(line, "arguments"), parent=self._step)
        if kind == "tool.execution.done":
            self._end_tool(id, line.get("info"))

    def _hand_over(self, agent: str) -> None:
        """End the answer of the agent that speaks, and begin the step of the next one."""
        if self._answer is not None and self._answer.has_begun:
            self._answer.read_piece(_END)
            self._answer.end()
        self._answer = None
        if self._speaker is not None:
            self._speaker.end()
        self._speaker = self._turn_step.step(agent, agent=agent)

    def _finish(self, error: StreamError | None) -> None:
        """End the turn; its result is the last text of the agent that spoke last."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end()
            message = answer.step.message
            self._open_turn().result = message.text if message is not None and message.text else None
        if self._speaker is not None:
            self._speaker.end(error)
        self._end_turn(error)

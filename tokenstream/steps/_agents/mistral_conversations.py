"""Reads the events of Mistral's conversations and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.untrusted import dict_of, text_of
from tokenstream.formats._kit.openai import usage_of
from tokenstream.steps._agents.reader import AgentReader
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_NAME = "mistral-conversations"
_OF_ANSWER = frozenset({"message.output.delta", "function.call.delta"})
_OF_TOOL = frozenset({"tool.execution.started", "tool.execution.delta", "tool.execution.done"})
_END: dict[str, Json] = {"type": "conversation.response.done"}


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

    name: ClassVar[str] = _NAME

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answer: ModelAnswer | None = None
        """The answer in progress; None between two agents or turns."""
        self._speaker: Step | None = None
        """The step of the agent to which the turn was handed; None for the first agent."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the events of a conversation."""
        kind = text_of(line, "type") or ""
        return kind in _OF_ANSWER | _OF_TOOL or kind.startswith(("conversation.response.", "agent.handoff."))

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as an event says."""
        kind = text_of(line, "type") or ""
        if kind == "conversation.response.started":
            self._run.session = text_of(line, "conversation_id") or self._run.session
            self._open_turn().session = self._run.session
        elif kind in _OF_ANSWER:
            self._find_answer().read_piece(line)
        elif kind in _OF_TOOL:
            self._find_answer().read_piece(line)
            self._read_tool(line, kind)
        elif kind == "agent.handoff.done":
            self._hand_over(text_of(line, "next_agent_name", "next_agent_id") or "agent")
        elif kind == "conversation.response.done":
            self._open_turn().usage = usage_of(dict_of(line, "usage"))
            self._find_answer().read_piece(line)
            self._finish(None)
        elif kind == "conversation.response.error":
            self._open_turn()
            code = line.get("code")
            self._finish(self._failure(text_of(line, "message"), code=None if code is None else str(code)))

    def stop(self, error: BaseException) -> None:
        """End the turn that is open with an exception, because the events are not read any further."""
        self._answer = self._speaker = None
        super().stop(error)

    # -- within ------------------------------------------------------------

    @property
    def _step(self) -> Step:
        """The step of the agent that speaks."""
        return self._speaker or self._open_turn().step

    def _find_answer(self) -> ModelAnswer:
        """Return the answer in progress, and begin one if there is none."""
        if self._answer is None:
            self._answer = ModelAnswer(self._step, _NAME, [])
        return self._answer

    def _read_tool(self, line: dict[str, Json], kind: str) -> None:
        """Begin or end the step of a tool."""
        id = text_of(line, "id") or ""
        self._begin_tool(id, text_of(line, "name") or "tool", self._step, text_of(line, "arguments"))
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
        self._speaker = self._open_turn().step.step(agent, agent=agent)

    def _finish(self, error: StreamError | None) -> None:
        """End the turn; its result is the last text of the agent that spoke last."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.end()
            message = answer.step.message
            self._open_turn().result = message.text if message is not None and message.text else None
        if self._speaker is not None:
            self._speaker.end(error)
            self._speaker = None
        self._end_turn(error)

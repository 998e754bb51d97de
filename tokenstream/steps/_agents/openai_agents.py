"""Reads the events of OpenAI's hosted agent sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, int_of, text_of
from tokenstream.errors import StreamTruncated
from tokenstream.formats._kit.openai import usage_of
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.openai_agents import OpenAIAgents as AgentFormat
from tokenstream.formats._wire.openai_agents.items import (
    ENDS,
    is_tool,
    tool_arguments,
    tool_name,
    tool_result,
)
from tokenstream.message import ToolCall
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_TURN = "agent.session.turn."
_FAILED = frozenset({"failed", "incomplete"})
_NO_STEP = frozenset({"create_subagent_call"})
"""Types of items that run a tool, but have no step of their own: the subagent's step stands for them."""
_REQUEST_IDS = ("request_id", "call_id", "environment_id")


class OpenAIAgentsRun(AgentReader):
    """Reads OpenAI's agent sessions: the main agent's turns are the turns, and subagents are sub-steps.

    | event | is read as |
    |---|---|
    | `turn.created` of the main agent | the beginning of a turn |
    | `subagent.created`, `turn.created` of a subagent | the beginning of a sub-step |
    | events about items and texts | pieces of the answer of the agent whose turn it is; tools are sub-steps |
    | `requires_action` | requests that wait for your answer |
    | `turn.completed`, `.failed`, `.cancelled` | the end of an answer, or of the main agent's turn |
    """

    name: ClassVar[str] = "openai-agents"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._main: str | None = None
        """The id of the main agent's turn in progress."""
        self._answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the ids of their turns."""
        self._subagents: dict[str, Step] = {}
        """The steps of the subagents in progress, by the subagents' ids."""
        self._names: dict[str, str] = {}
        """The names of subagents, by their ids."""
        self._causes: dict[str, ToolCall] = {}
        """The calls that have created subagents, by the subagents' ids."""
        self._requests: list[str] = []
        """The ids of the requests that wait for an answer."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the events of an agent session."""
        return AgentFormat.recognises(line, "")

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as an event says."""
        if self._is_repeated(text_of(line, "event_id")):
            return
        session = text_of(dict_of(line, "session"), "id") or text_of(line, "session_id")
        self._run.introduce(session=session)
        kind = text_of(line, "type") or ""
        if kind.startswith(_TURN):
            self._read_turn(line, kind)
        elif kind in self._READERS:
            self._READERS[kind](self, line)

    # -- turns -------------------------------------------------------------

    def _read_turn(self, line: dict[str, Json], kind: str) -> None:
        """Read an event about a turn of any agent."""
        turn, item = dict_of(line, "turn"), dict_of(line, "item")
        id = text_of(line, "turn_id") or text_of(turn, "id") or text_of(item, "turn_id") or self._main
        if id is None:
            return
        answer = self._answers.get(id)
        if answer is None:
            if kind in ENDS and self._main != id and not turn.get("subagent_id"):
                # A turn that has ended already.
                return
            answer = self._begin(id, text_of(turn, "subagent_id"))
        answer.read_piece(line)
        if kind.startswith(f"{_TURN}item."):
            self._read_item(answer.step, item, is_done=kind.endswith(".done"))
        if kind in ENDS:
            self._end(id, answer, line, kind)

    def _begin(self, id: str, subagent: str | None) -> ModelAnswer:
        """Begin the answer of a turn, and the turn itself if it is the main agent's."""
        if subagent is not None:
            step = self._find_subagent(subagent)
        else:
            if self._main is not None:
                self._finish(StreamTruncated(f"{self.name} began another turn without ending this one"))
            self._main = id
            step = self._open_turn_of_session().step
        self._answers[id] = ModelAnswer(step, AgentFormat(answer=id), [])
        return self._answers[id]

    def _end(self, id: str, answer: ModelAnswer, line: dict[str, Json], kind: str) -> None:
        """End the answer of a turn; the end of the main agent's ends the turn itself."""
        self._answers.pop(id, None)
        answer.end()
        turn = dict_of(line, "turn")
        details = dict_of(turn, "error")
        error = None
        if kind.endswith(".failed"):
            error = self._failure(text_of(details, "message"), code=text_of(details, "code"))
        elif kind.endswith(".cancelled"):
            error = self._failure("the turn was cancelled", code="cancelled")
        if id == self._main:
            report = dict_of(line, "usage") or dict_of(turn, "usage")
            if report:
                # The counts are those of the main agent.
                told = self._open_turn()
                told.usage = sum([below.total_usage for below in told.step.steps], start=usage_of(report))
            self._finish(error)
        elif error is not None:
            subagent = text_of(turn, "subagent_id") or ""
            self._subagents.pop(subagent, answer.step).end(error)

    def _finish(self, error: StreamError | None) -> None:
        """End the turn; subagents that have nothing to do end with it, and others are stopped."""
        working = {id(answer.step) for answer in self._answers.values()}
        for step in reversed([*self._subagents.values()]):
            if id(step) not in working:
                step.end()
        turn = self._open_turn()
        parts = () if turn.step.message is None else turn.step.message.parts
        # Before the last text, the agent comments on what it does.
        texts = [part.text for part in parts if part.kind == "text" and part.text]
        turn.result = texts[-1] if texts else None
        self._end_turn(error)

    def _forget_turn(self) -> None:
        """Forget what belongs to the turn in progress."""
        self._main = None
        self._answers.clear()
        self._subagents.clear()
        self._causes.clear()
        self._requests.clear()

    def _fail(self, line: dict[str, Json]) -> None:
        """End the turn, because the session has failed."""
        self._open_turn()
        self._finish(self._failure(text_of(dict_of(line, "session"), "error")))

    # -- subagents -----------------------------------------------------------

    def _read_subagent(self, line: dict[str, Json]) -> None:
        """Begin the step of a subagent, unless it has begun."""
        subagent = dict_of(line, "subagent")
        id = text_of(subagent, "id")
        if id is not None:
            self._names[id] = text_of(subagent, "name") or id
            self._find_subagent(id, text_of(subagent, "parent_agent_id"))

    def _close_subagent(self, line: dict[str, Json]) -> None:
        """End the step of a subagent."""
        step = self._subagents.pop(text_of(dict_of(line, "subagent"), "id") or "", None)
        if step is not None:
            step.end()

    def _find_subagent(self, id: str, parent: str | None = None) -> Step:
        """Return the step of a subagent; begin it below its parent's if it has none."""
        step = self._subagents.get(id)
        if step is None:
            above = self._subagents.get(parent or "") or self._open_turn().step
            name, cause = self._names.get(id, id), self._causes.pop(id, None)
            step = self._subagents[id] = above.step(name, agent=name, cause=cause)
        return step

    # -- tools -------------------------------------------------------------

    def _read_item(self, step: Step, item: dict[str, Any], *, is_done: bool) -> None:
        """Begin or end the step of a tool, if an item is one."""
        kind, id = text_of(item, "type") or "", text_of(item, "id") or ""
        if kind == "function_call_output":
            call_id = text_of(item, "call_id") or ""
            self._end_tool(call_id, item.get("output"), failure=text_of(item, "error"))
            self._run.requests.note_answered(call_id)
        elif kind == "function_call" and is_done:
            arguments = json_text(item.get("arguments"))
            self._begin_tool(text_of(item, "call_id") or id, tool_name(item), step, arguments)
        elif kind in _NO_STEP:
            arguments, agent = json_text(tool_arguments(item)), text_of(item, "agent_id")
            if agent is not None and agent not in self._subagents:
                call = ToolCall(id=id, name=tool_name(item), arguments_text=arguments, complete=True)
                self._causes[agent] = call
        elif is_tool(kind):
            self._begin_tool(id, tool_name(item), step, json_text(tool_arguments(item)))
            if is_done:
                self._end_tool(id, tool_result(item), failure=_failure_of(item))

    def _read_output(self, line: dict[str, Json]) -> None:
        """Add output of a command to its step, and to the answer."""
        answer = self._answers.get(text_of(line, "turn_id") or self._main or "")
        step, delta = self._tools.get(text_of(line, "item_id") or ""), text_of(line, "delta")
        if answer is not None:
            answer.read_piece(line)
        if step is not None and delta is not None and step.ended is None:
            step.add_output(delta)

    # -- requests ------------------------------------------------------------

    def _read_actions(self, line: dict[str, Json]) -> None:
        """Report what the session waits for; the answers are sent with the SDK."""
        for action in dicts_of(dict_of(line, "session").get("required_actions")):
            id = text_of(action, *_REQUEST_IDS)
            answer = self._answers.get(text_of(action, "turn_id") or self._main or "")
            step = self._open_turn().step if answer is None else answer.step
            if id is not None and step.ended is None:
                step.wait_for(id, action)
                self._requests.append(id)
        self._hold_turn()

    def _note_answered(self, line: dict[str, Json]) -> None:
        """Note that the session has got all that it waited for."""
        for id in self._requests:
            self._run.requests.note_answered(id)
        self._requests.clear()
        self._run.requests.resumed_by(self._asker)

    _READERS: ClassVar[Mapping[str, Callable[[Any, dict[str, Json]], None]]] = {
        "agent.session.in_progress": _note_answered,
        "agent.session.requires_action": _read_actions,
        "agent.session.failed": _fail,
        "agent.session.subagent.created": _read_subagent,
        "agent.session.subagent.active": _read_subagent,
        "agent.session.subagent.closed": _close_subagent,
        "agent.output.command_execution_output.delta": _read_output,
    }
    """The methods that read events other than those about turns, by their types."""


def _failure_of(item: dict[str, Json]) -> str | None:
    """Return a description of a tool's failure; None if it has succeeded."""
    exit_code = int_of(item, "exit_code")
    if exit_code:
        return f"exit code {exit_code}"
    if text_of(item, "status") not in _FAILED:
        return None
    error = item.get("error")
    return error if isinstance(error, str) else text_of(dict_of(item, "error"), "message") or "it failed"

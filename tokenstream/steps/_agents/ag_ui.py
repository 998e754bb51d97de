"""Reads the events of runs in AG-UI, which agents send to user interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, dicts_of, text_of
from tokenstream.formats._wire.ag_ui.format import unwrap
from tokenstream.formats._wire.ag_ui.words import read_output
from tokenstream.steps._agents.reader import AgentReader
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_NAME = "ag-ui"
_CONTENT = ("TEXT_MESSAGE_", "REASONING_", "TOOL_CALL_", "THINKING_")
"""The beginnings of the types of events about an answer."""
_END: dict[str, Any] = {"type": "RUN_FINISHED"}
"""Stands for the end of a subagent's answer, which has no event of its own."""


class AGUIRun(AgentReader):
    """Reads AG-UI's runs: each is a turn, and subagents, tools and steps are sub-steps.

    | event | is read as |
    |---|---|
    | `RUN_STARTED`, `RUN_FINISHED`, `RUN_ERROR` | the beginning and the end of a turn |
    | `TEXT_MESSAGE_*`, `REASONING_*`, `TOOL_CALL_*` | the answer of the agent, or of the subagent it names |
    | `TOOL_CALL_END`, `TOOL_CALL_RESULT` | the beginning and the end of a tool |
    | `SUBAGENT_*` | the beginning and the end of a subagent, below the tool or the agent that has called it |
    | `STEP_*` | the beginning and the end of a step |
    | interrupts of `RUN_FINISHED` | requests that wait for your answer |
    """

    name: ClassVar[str] = _NAME

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the ids of the subagents' runs; "" for that of the agent itself."""
        self._subagents: dict[str, Step] = {}
        """The steps of the subagents in progress, by the ids of their runs."""
        self._named: dict[str, Step] = {}
        """The steps in progress that the agent has named."""
        self._speakers: dict[str, str] = {}
        """The ids of the subagents' runs, by the ids of their messages and calls."""
        self._calls: dict[str, tuple[str, list[str]]] = {}
        """The tools of the calls in progress, with the pieces of their arguments, by the ids of the calls."""
        self._readers: dict[str, Callable[[dict[str, Json]], None]] = {
            "RUN_STARTED": self._read_start,
            "RUN_FINISHED": self._read_end,
            "RUN_ERROR": self._read_error,
            "STEP_STARTED": self._begin_named,
            "STEP_FINISHED": self._end_named,
            "SUBAGENT_STARTED": self._begin_subagent,
            "SUBAGENT_FINISHED": self._end_subagent,
            "SUBAGENT_ERROR": self._end_subagent,
        }
        """The methods that read events other than those of answers, by their types."""

    @classmethod
    def recognises(cls, line: dict[str, Json]) -> bool:
        """Return True for the start of a run, which has ids that only AG-UI has."""
        event = unwrap(line)
        return event.get("type") == "RUN_STARTED" and ("runId" in event or "threadId" in event)

    def read(self, line: dict[str, Json]) -> None:
        """Begin, continue or end turns and steps, as an event says."""
        event = unwrap(line)
        kind = text_of(event, "type") or ""
        reader = self._readers.get(kind)
        if reader is not None:
            reader(event)
        elif kind.startswith(_CONTENT):
            self._read_content(event, kind)

    def stop(self, error: BaseException) -> None:
        """End the turn that is open with an exception, because the events are not read any further."""
        self._forget()
        super().stop(error)

    # -- the run -------------------------------------------------------------

    def _read_start(self, event: dict[str, Json]) -> None:
        """Begin a turn."""
        self._run.session = text_of(event, "threadId") or self._run.session
        self._open_turn().session = self._run.session
        self._find_answer("").read_piece(event)

    def _read_end(self, event: dict[str, Json]) -> None:
        """End the turn; what the run waits for is reported before."""
        answer = self._find_answer("")
        answer.read_piece(event)
        for interrupt in dicts_of(dict_of(event, "outcome").get("interrupts")):
            id = text_of(interrupt, "id")
            if id is not None:
                self._open_turn().step.wait_for(id, interrupt)
        self._finish(None)

    def _read_error(self, event: dict[str, Json]) -> None:
        """End the turn, which has failed."""
        self._find_answer("").read_piece(event)
        self._finish(self._failure(text_of(event, "message"), code=text_of(event, "code")))

    def _finish(self, error: StreamError | None) -> None:
        """End the turn with the steps in it.

        Args:
            error: The error with which it failed; None if it is done.
        """
        for id in [*self._answers]:
            self._end_answer(id)
        for step in reversed([*self._subagents.values(), *self._named.values(), *self._tools.values()]):
            if step.ended is None:
                step.end(error)
        self._forget()
        self._end_turn(error)

    def _forget(self) -> None:
        """Forget what belongs to the turn in progress."""
        for kept in (self._answers, self._subagents, self._named, self._speakers, self._calls):
            kept.clear()

    # -- answers -------------------------------------------------------------

    def _read_content(self, event: dict[str, Json], kind: str) -> None:
        """Add to the answer of the agent, or of the subagent that an event names."""
        id = text_of(event, "toolCallId", "messageId") or ""
        # Only the first event of a message has to name the subagent.
        run = text_of(event, "subagentRunId") or self._speakers.get(id, "")
        if run:
            self._speakers[id] = run
        answer = self._find_answer(run)
        # In its own step, the text of a subagent is an answer.
        answer.read_piece({name: value for name, value in event.items() if name != "subagentRunId"})
        if kind.startswith("TOOL_CALL_"):
            self._read_tool(event, kind, answer.step)

    def _find_answer(self, run: str) -> ModelAnswer:
        """Return the answer in progress of a subagent, or of the agent itself; begin it if there is none."""
        if run not in self._answers:
            step = self._open_turn().step if not run else self._find_subagent(run)
            self._answers[run] = ModelAnswer(step, _NAME, [])
        return self._answers[run]

    def _end_answer(self, run: str) -> None:
        """End an answer; that of a subagent ends with the subagent, without an event of its own."""
        answer = self._answers.pop(run, None)
        if answer is not None:
            if run and answer.has_begun:
                answer.read_piece(_END)
            answer.end()

    # -- subagents and steps -------------------------------------------------

    def _begin_subagent(self, event: dict[str, Json]) -> None:
        """Begin the step of a subagent."""
        id = text_of(event, "subagentRunId")
        if id is not None:
            self._find_subagent(id, event)

    def _find_subagent(self, id: str, event: dict[str, Json] | None = None) -> Step:
        """Return the step of a subagent; begin it below the tool, or the agent, that has called it.

        Args:
            id: The id of the subagent's run.
            event: The event that says that the subagent begins; None if there was none.
        """
        step = self._subagents.get(id)
        if step is None:
            told = event or {}
            tool = self._tools.get(text_of(told, "parentToolCallId") or "")
            above = tool or self._subagents.get(text_of(told, "parentSubagentRunId") or "")
            name = text_of(told, "name") or id
            step = (above or self._open_turn().step).step(name, agent=name)
            self._subagents[id] = step
        return step

    def _end_subagent(self, event: dict[str, Json]) -> None:
        """End the step of a subagent, with its result or its error; the run may go on."""
        id = text_of(event, "subagentRunId") or ""
        step = self._subagents.pop(id, None)
        self._end_answer(id)
        if step is not None and step.ended is None:
            step.result = event.get("result")
            failed = event.get("type") == "SUBAGENT_ERROR"
            step.end(
                self._failure(text_of(event, "message"), code=text_of(event, "code")) if failed else None
            )

    def _begin_named(self, event: dict[str, Json]) -> None:
        """Begin a step that the agent names."""
        name = text_of(event, "stepName") or "step"
        if name not in self._named:
            above = self._subagents.get(text_of(event, "subagentRunId") or "") or self._open_turn().step
            self._named[name] = above.step(name)

    def _end_named(self, event: dict[str, Json]) -> None:
        """End a step that the agent names."""
        step = self._named.pop(text_of(event, "stepName") or "step", None)
        if step is not None and step.ended is None:
            step.end()

    # -- tools ---------------------------------------------------------------

    def _read_tool(self, event: dict[str, Json], kind: str, step: Step) -> None:
        """Begin the step of a tool at the end of its call, and end it at its result.

        Args:
            event: The event.
            kind: The type of the event.
            step: The step of the agent that has called the tool.
        """
        id, name = text_of(event, "toolCallId") or "", text_of(event, "toolCallName")
        if name is not None:
            self._calls.setdefault(id, (name, []))
        if id in self._calls:
            self._calls[id][1].append(text_of(event, "delta") or "")
        if kind in ("TOOL_CALL_END", "TOOL_CALL_RESULT") and id in self._calls:
            name, pieces = self._calls.pop(id)
            self._begin_tool(id, name, step, "".join(pieces) or "{}").provider_executed = False
        if kind == "TOOL_CALL_RESULT":
            output, error, _ = read_output(event)
            self._end_tool(id, output, failure=error)

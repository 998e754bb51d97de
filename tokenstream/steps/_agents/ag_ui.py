"""Reads the events of runs in AG-UI, which agents send to user interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, text_of, text_or_empty
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.formats._wire.ag_ui import unwrap
from tokenstream.formats._wire.ag_ui.parts import read_output
from tokenstream.steps._agents import REMEMBERED, AgentReader
from tokenstream.steps._model_answer import ModelAnswer
from tokenstream.steps._step import LeftOpenStep, Step

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.formats._kit.sessions import Readers
    from tokenstream.steps._run import Steps

_NAME = "ag-ui"
_CONTENT = ("TEXT_MESSAGE_", "REASONING_", "TOOL_CALL_", "THINKING_")
"""The beginnings of the types of events about an answer."""
_END: JsonObject = {"type": "RUN_FINISHED"}
"""Stands for the end of a subagent's answer, which has no event of its own."""
_UNENDED = "the run ended before the subagent did"


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

    name = _NAME

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._run_id: str | None = None
        """The id of the run that is the turn in progress; None if it is not known."""
        self._ended_runs = RecentIds(REMEMBERED)
        """The ids of the last runs that have ended, to recognise an end that is repeated."""
        self._answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the ids of the subagents' runs; "" for that of the agent itself."""
        self._subagents: dict[str, Step] = {}
        self._ended_subagents: set[str] = set()
        """The ids of the runs of the subagents that have ended in the turn in progress."""
        self._named: dict[str, Step] = {}
        self._speakers: dict[str, str] = {}
        """The ids of the subagents' runs, by the ids of their messages and calls."""
        self._asked: list[JsonObject] = []
        """The questions in `CUSTOM` events of LangGraph's adapter, which by default names no interrupts."""
        self._last_chunk = ("", "")
        """The type of the last chunk, and the id of its message or call, which the next one may leave out."""
        self._calls: dict[str, tuple[str, list[str]]] = {}
        """The tools of the calls in progress, with the pieces of their arguments, by the ids of the calls."""

    @classmethod
    def recognises(cls, line: JsonObject) -> bool:
        """Return True for the start of a run, which has ids that only AG-UI has."""
        event = unwrap(line)
        return event.get("type") == "RUN_STARTED" and ("runId" in event or "threadId" in event)

    def read(self, line: JsonObject) -> None:
        event = unwrap(line)
        kind = text_or_empty(event, "type")
        if self._turn is None and self.turns_ended and kind != "RUN_STARTED":
            # Between two turns, an event is late or repeated.
            return
        reader = self._READERS.get(kind)
        if reader is not None:
            reader(self, event)
        elif kind.startswith(_CONTENT):
            self._read_content(event, kind)

    # -- the run -------------------------------------------------------------

    def _read_start(self, event: JsonObject) -> None:
        """Begin a turn; one of another run that is open has been cut, and a repeated start is ignored."""
        id, turn = text_of(event, "runId"), self._turn
        if turn is not None and id is not None and self._run_id not in (id, None):
            self._end_turn(self._truncation_of(turn))
        self._run_id = id or self._run_id
        self._open_turn_of_session(text_of(event, "threadId"))
        self._find_answer("").read_piece(event)

    def _read_end(self, event: JsonObject) -> None:
        """End the turn; what the run waits for is reported before."""
        id = text_of(event, "runId")
        if id is not None and id != self._run_id and id in self._ended_runs:
            # The end of an earlier run is late, or repeated.
            return
        self._find_answer("").read_piece(event)
        interrupts = dicts_of(dict_of(event, "outcome").get("interrupts")) or self._asked
        for interrupt in interrupts:
            request, tool = text_of(interrupt, "id"), self._tools.get(text_or_empty(interrupt, "toolCallId"))
            asker = tool or self._subagents.get(text_or_empty(interrupt, "subagentRunId"))
            if request is not None:
                self._open_step(asker).wait_for(request, interrupt)
        for tool_id, tool in () if interrupts else self._tools.items():
            # The next run brings the result of the application, or the outcome of what it has allowed.
            tool.wait_for(tool_id, {"toolCallId": tool_id, "name": tool.name})
        if interrupts or self._tools:
            self._hold_tools()
            # The subagents wait as well, and the next run goes on with them.
            for subagent in [*self._subagents]:
                self._end_answer(subagent, {**_END, "outcome": event.get("outcome")})
            self._end_steps(None, cut=None)
        self._end_turn(None)

    def _read_custom(self, event: JsonObject) -> None:
        """Note a question of LangGraph's adapter (ag-ui-langgraph 0.0.47), whose run then ends as usual."""
        if event.get("name") == "on_interrupt":
            tool = next(iter(self._tools)) if len(self._tools) == 1 else None
            id = self._run.requests.find_free_id(tool or f"interrupt {len(self._asked)}")
            self._asked.append({"id": id, "toolCallId": tool, "value": event.get("value")})

    def _read_error(self, event: JsonObject) -> None:
        self._find_answer("").read_piece(event)
        self._end_turn(self._failure(text_of(event, "message"), code=text_of(event, "code")))

    def _end_turn(self, error: StreamError | None) -> None:
        """End the turn in progress with the answers and the steps in it; open subagents have been cut."""
        errors = {run: self._end_answer(run) for run in [*self._answers]}
        error = error or errors.get("")
        self._end_steps(error, cut=error or StreamTruncated(_UNENDED))
        if self._run_id is not None:
            self._ended_runs.add(self._run_id)
        super()._end_turn(error)

    def _end_steps(self, error: StreamError | None, *, cut: StreamError | None) -> None:
        """End the open steps of the turn; subagents, which have no end of their own, get the error `cut`."""
        ends: list[tuple[Step, BaseException | None]] = [(step, cut) for step in self._subagents.values()]
        ends += [(step, error) for step in self._named.values()]
        left = LeftOpenStep("it has no result")
        ends += [
            (step, error or (None if step.has_stopped_to_ask else left)) for step in self._tools.values()
        ]
        # A step ends before the one that it is below, which has a lower number.
        for step, reason in sorted(ends, key=lambda each: int(each[0].id), reverse=True):
            step.end(reason)

    def _forget_turn(self) -> None:
        self._run_id, self._last_chunk = None, ("", "")
        self._ended_subagents.clear()
        for kept in (self._answers, self._asked, self._subagents, self._named, self._speakers, self._calls):
            kept.clear()

    # -- answers -------------------------------------------------------------

    def _read_content(self, event: JsonObject, kind: str) -> None:
        """Add to the answer of the agent, or of the subagent that an event names."""
        id = self._find_id(event, kind)
        # Only the first event of a message has to name the subagent.
        run = text_of(event, "subagentRunId") or self._speakers.get(id, "")
        if run and id:
            self._speakers[id] = run
        if run in self._ended_subagents:
            # The event is late, or repeated.
            return
        answer = self._find_answer(run)
        if answer.step.ended is not None:
            # The tool that has called the subagent has ended, and the subagent with it.
            return
        # In its own step, the text of a subagent is an answer.
        answer.read_piece({name: value for name, value in event.items() if name != "subagentRunId"})
        if kind.startswith("TOOL_CALL_"):
            self._read_tool(event, kind, answer.step, id)

    def _find_id(self, event: JsonObject, kind: str) -> str:
        """Return the id of an event's message or call, which a chunk may leave out; "" if it has none."""
        id = text_of(event, "toolCallId", "messageId")
        if id is None and kind == self._last_chunk[0]:
            id = self._last_chunk[1]
        # Any other event of the message ends the one that chunks write.
        self._last_chunk = (kind, id or "") if kind.endswith("_CHUNK") else ("", "")
        return id or ""

    def _find_answer(self, run: str) -> ModelAnswer:
        """Return the answer in progress of a subagent, or of the agent itself; begin it if there is none."""
        if run not in self._answers:
            step = self._turn_step if not run else self._find_subagent(run)
            self._answers[run] = ModelAnswer(step, _NAME, [])
        return self._answers[run]

    def _end_answer(self, run: str, end: JsonObject | None = None) -> StreamError | None:
        """End the answer of a run ("" for the agent's own), if there is one; return its error, or None."""
        answer = self._answers.pop(run, None)
        if answer is None:
            return None
        if end is not None and answer.has_begun:
            answer.read_piece(end)
        return answer.end() or answer.error

    # -- subagents and steps -------------------------------------------------

    def _begin_subagent(self, event: JsonObject) -> None:
        id = text_of(event, "subagentRunId")
        if id:
            self._ended_subagents.discard(id)
            self._find_subagent(id, event)

    def _find_subagent(self, id: str, event: JsonObject | None = None) -> Step:
        """Return the step of a subagent; begin it below the tool, or the agent, that has called it."""
        step = self._subagents.get(id)
        if step is None:
            fields = event or {}
            tool = self._tools.get(text_or_empty(fields, "parentToolCallId"))
            above = tool or self._subagents.get(text_or_empty(fields, "parentSubagentRunId"))
            name = text_of(fields, "name") or id
            step = self._open_step(above).step(name, agent=name)
            self._subagents[id] = step
        return step

    def _end_subagent(self, event: JsonObject) -> None:
        """End the step of a subagent, with its result or its error; the run may go on."""
        id = text_or_empty(event, "subagentRunId")
        if id not in self._subagents or text_of(dict_of(event, "outcome"), "type") == "suspended":
            # It waits with the run, and goes on in the next one.
            return
        step, end, error = self._subagents.pop(id), _END, None
        self._ended_subagents.add(id)
        if step.ended is None:
            step.result = event.get("result")
        if event.get("type") == "SUBAGENT_ERROR":
            message, code = text_of(event, "message"), text_of(event, "code")
            end = {"type": "RUN_ERROR", "message": message, "code": code}
            error = self._failure(message, code=code)
        of_answer = self._end_answer(id, end)
        step.end(error or of_answer)

    def _begin_named(self, event: JsonObject) -> None:
        name = text_of(event, "stepName") or "step"
        if name not in self._named:
            above = self._subagents.get(text_or_empty(event, "subagentRunId"))
            self._named[name] = self._open_step(above).step(name)

    def _open_step(self, step: Step | None) -> Step:
        """Return a step, or that of the turn if it is None or has ended, as with a tool that called it."""
        return self._turn_step if step is None or step.ended is not None else step

    def _end_named(self, event: JsonObject) -> None:
        step = self._named.pop(text_of(event, "stepName") or "step", None)
        if step is not None and step.ended is None:
            step.end()

    # -- tools ---------------------------------------------------------------

    def _read_tool(self, event: JsonObject, kind: str, step: Step, id: str) -> None:
        """Begin the step of a tool at the end of its call, and end it at its result."""
        name = text_of(event, "toolCallName")
        if name is not None:
            self._calls.setdefault(id, (name, []))
        if id in self._calls:
            self._calls[id][1].append(text_or_empty(event, "delta"))
        if kind in ("TOOL_CALL_END", "TOOL_CALL_RESULT") and id in self._calls:
            name, pieces = self._calls.pop(id)
            if id not in self._run.requests.unsettled:
                step = self._begin_tool(id, name, "".join(pieces) or "{}", parent=step)
                step.provider_executed = False
        if kind == "TOOL_CALL_RESULT":
            output, error, _ = read_output(event)
            self._end_tool(id, output, failure=error)

    _READERS: ClassVar[Readers] = {
        "RUN_STARTED": _read_start,
        "RUN_FINISHED": _read_end,
        "RUN_ERROR": _read_error,
        "STEP_STARTED": _begin_named,
        "STEP_FINISHED": _end_named,
        "CUSTOM": _read_custom,
        "SUBAGENT_STARTED": _begin_subagent,
        "SUBAGENT_FINISHED": _end_subagent,
        "SUBAGENT_ERROR": _end_subagent,
    }
    """The methods that read events other than those of answers, by their types."""

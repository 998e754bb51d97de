"""Reads the lines of `claude -p … --output-format stream-json --verbose`."""

from __future__ import annotations

import re
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from tokenstream._basics.untrusted import (
    count_of,
    dict_of,
    dicts_of,
    float_of,
    is_dict,
    is_list,
    text_of,
    text_or_empty,
)
from tokenstream._values.parts import counts_of
from tokenstream.errors import StreamError, StreamTruncated
from tokenstream.events import UsageUpdate
from tokenstream.formats._kit.values import counts_in
from tokenstream.formats._wire.anthropic import usage_of
from tokenstream.formats._wire.anthropic_agents import COUNTS
from tokenstream.message import Usage
from tokenstream.steps._agents import AgentReader
from tokenstream.steps._agents.values import text_in
from tokenstream.steps._model_answer import ClaudeAnswer, ModelAnswer, last_text
from tokenstream.steps._step import LeftOpenStep, Step
from tokenstream.steps._turn import AgentSteer, Turn, refuse_idle

if TYPE_CHECKING:
    from tokenstream._basics.loose import Json, JsonObject
    from tokenstream._values.steer import Steer
    from tokenstream.formats._kit.sessions import Readers
    from tokenstream.steps._program import LineWriter
    from tokenstream.steps._run import Steps

_REFUSAL = re.compile(r"\[API Error.*\](\n[^\n]*try again later[^\n]*)?\s*", re.DOTALL)
"""An answer that Qwen Code writes in place of its model, with advice if the requests were too many."""
_COUNTS = {**COUNTS, "total_tokens": "total_tokens"}
"""Our names of counts by those of a turn; only Qwen Code, whose input has the cached ones, has a total."""
_MODEL_COUNTS = {
    "inputTokens": "input_tokens",
    "outputTokens": "output_tokens",
    "cacheReadInputTokens": "cached_tokens",
    "cacheCreationInputTokens": "cache_write_tokens",
    "costUSD": "cost",
}
"""Our names of counts by those of a model's share of a session."""
_ASKS = {"can_use_tool": "approval", "elicitation": "elicitation", "request_user_dialog": "dialog"}
"""The types of our requests by the subtypes of those that wait for a person; the others are for the host."""
_OVER = frozenset({"completed", "failed", "stopped", "killed", "cancelled"})
"""States of a task in the background that are final."""
_OF_BOTH = frozenset({"system", "stream_event", "assistant", "user", "result"})
"""Types of lines by which Claude Code or Amp can be recognised."""
_OWN_FACTS = frozenset({"model", "permissionMode", "uuid"})
"""Fields of the first line of Claude Code that Amp's has not."""


class ClaudeCode(AgentReader):
    """Reads Claude Code: each answer's events, and the whole messages where there are no events.

    | line | is read as |
    |---|---|
    | `system` with the subtype `init` | the beginning of a turn |
    | `stream_event` | an event of Anthropic's API, of the main agent or of a subagent |
    | `assistant` | a piece of an answer, unless its events were sent before |
    | `user` with a `tool_result` | the end of a tool |
    | `control_request` | a tool that waits for a permission |
    | `result` | the end of a turn, with its tokens and the cost of the session so far |
    """

    name = "claude-code"

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answers: dict[str, ClaudeAnswer] = {}
        """The answer in progress of each agent, by the id of the call that has started the agent; "" for
        the main agent."""
        self._last_reader: ModelAnswer | None = None
        """The reader of the last answer; None before the first."""
        self._line_usage = Usage()
        """The tokens of the turn that whole lines have reported; a result reports them anew."""
        self._counted: dict[str, JsonObject] = {}
        """The highest counts of each message of the turn that has whole lines, by its id."""
        self._left_over: dict[str, float] = {}
        """The tokens of the session that are of no turn with a result, since a later turn was open."""
        self._streamed: set[str] = set()
        """The ids of the messages whose events were sent."""
        self._in_background: set[str] = set()
        """The ids of calls whose agents go on after the call's result."""
        self._tasks: dict[str, str] = {}
        """The ids of the calls that have begun tasks, by the ids of the tasks."""
        self._over: dict[str, str | None] = {}
        """The calls whose tasks have ended, with their failures, until the results of the tasks come."""
        self._is_calling = False
        """True if the last answer of the main agent has called a tool, so that another answer follows."""
        self._answered: deque[tuple[Turn, bool]] = deque()
        """The turns that have their last answer and whose results follow, the oldest first, each with True if
        that answer was sent whole."""

    @classmethod
    def find_name(cls, line: JsonObject) -> str | None:
        """Return the name of an agent that prints such lines; None if a line may be of several agents."""
        kind, session = text_of(line, "type"), text_of(line, "session_id")
        if session is None or kind not in _OF_BOTH:
            return None
        if session.startswith("T-"):
            # Amp calls a session a thread.
            return "amp"
        if kind == "system" and ("qwen_code_version" in line or line.get("subtype") == "session_start"):
            return "qwen-code"
        if kind == "stream_event":
            return cls.name
        if kind == "system":
            is_own = "claude_code_version" in line or ("tools" in line and not _OWN_FACTS.isdisjoint(line))
            return cls.name if line.get("subtype") == "init" and is_own else None
        if kind == "result" and line.get("is_error") is True and text_of(line, "error") is not None:
            return "amp"
        return cls.name if "uuid" in line or (kind == "result" and "total_cost_usd" in line) else None

    @classmethod
    def may_read(cls, line: JsonObject) -> bool:
        """Return True for a line in the manner of Claude Code and Amp, of whichever of the two it is."""
        if text_of(line, "session_id") is None:
            return False
        is_start = line.get("type") == "system" and line.get("subtype") == "init"
        return (is_start and "tools" in line) or (
            line.get("type") == "assistant" and text_of(dict_of(line, "message"), "id") is not None
        )

    def read(self, line: JsonObject) -> None:
        if self._run.agent is None:
            self._run.introduce(self.find_name(line))
        # A run may have many thousand lines, so the fields of each are taken without a call.
        kind, uuid = line.get("type"), line.get("uuid")
        read = self._READERS.get(kind) if isinstance(kind, str) else None
        if read is not None and not (isinstance(uuid, str) and not self._ids.add(uuid)):
            read(self, line)

    @property
    def has_open_turn(self) -> bool:
        """True while a turn is in progress, or waits for its result."""
        return super().has_open_turn or bool(self._answered)

    def end(self, exit_code: int | None) -> StreamError | None:
        error = super().end(exit_code)
        while self._answered:
            turn, _ = self._answered.popleft()
            error = self._truncation_of(turn)
            self._close_turn(turn, error)
        self._stop_background()
        return error

    def stop(self, error: BaseException) -> None:
        self._answers.clear()
        self._stop_turns([turn for turn, _ in self._answered], error)
        self._answered.clear()
        self._count_lines(is_last=True)
        super().stop(error)
        self._stop_background()

    # -- lines -------------------------------------------------------------

    def _read_system(self, line: JsonObject) -> None:
        subtype, call_id = text_of(line, "subtype"), text_of(line, "tool_use_id")
        if subtype == "init":
            self._run.introduce(session=text_of(line, "session_id"), model=text_of(line, "model"))
            self._set_aside()
            self._open_turn()
        elif subtype == "retry":
            self._leave_attempt(dict_of(line, "data"))
        elif subtype == "task_started" and call_id is not None:
            self._tasks[text_or_empty(line, "task_id")] = call_id
            if line.get("is_backgrounded") is not False:
                self._in_background.add(call_id)
        elif subtype in ("task_updated", "task_notification"):
            id = call_id or self._tasks.get(text_or_empty(line, "task_id"))
            if id is not None:
                self._follow_task(id, line)

    def _read_event(self, line: JsonObject) -> None:
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
            if kind == "content_block_start":
                answer.block = event
            if "abandoned_blocks" not in line:
                # The agent ends an answer itself if its provider has not; it then asks anew.
                answer.reader.read_piece(event)
            if answer.calls:
                self._begin_tools(answer)
            # Qwen Code may say after it that it asks anew.
            if kind == "message_stop" and not self._splits_answers:
                self._end_answer(agent)
                self._count_lines()

    def _read_message(self, line: JsonObject) -> None:
        """Read a whole piece of an answer, unless its events were sent before."""
        message = line.get("message")
        if not is_dict(message):
            return
        agent, id = text_or_empty(line, "parent_tool_use_id"), text_of(message, "id")
        answer, content, counts = self._answers.get(agent), message.get("content"), dict_of(message, "usage")
        if self._splits_answers and answer is not None and answer.id in self._streamed and id is not None:
            # Its events have the first of these ids, and no counts.
            self._streamed.add(id)
            self._count_line(id, counts)
        if id is not None and id in self._streamed:
            if answer is not None and answer.id == id:
                answer.end_call(content)
                self._begin_tools(answer)
            return
        if answer is None or not answer.takes(id, counts, is_split=self._splits_answers):
            self._end_answer(agent)
            answer = self._begin_answer(agent, id)
            head = {key: value for key, value in message.items() if key not in ("usage", "content")}
            answer.reader.read_piece({"type": "message_start", "message": {**head, "content": []}})
        if not answer.blocks or answer.id != id:
            answer.id, answer.counts = id, counts
            self._count_line(id, counts)
        elif id is not None and counts != answer.counts:
            # The counts are those of the answer so far.
            self._count_line(id, counts)
        for block in content if is_list(content) else [{"type": "text", "text": content}]:
            if is_dict(block):
                answer.feed_block(block)
                self._begin_tools(answer)

    def _read_user(self, line: JsonObject) -> None:
        """End the tools whose results are in a line; note input that the agent repeats when it takes it."""
        steer = self.steering.find(text_of(line, "uuid"))
        if steer is not None:
            steer.become("applied")
            return
        agent = text_or_empty(line, "parent_tool_use_id")
        for block in dicts_of(dict_of(line, "message").get("content")):
            id = text_of(block, "tool_use_id")
            if id is None:
                continue
            answer = self._answers.get(agent)
            if answer is not None:
                answer.has_results = True
            if id not in self._in_background:
                result = text_in(block.get("content"))
                is_error = block.get("is_error") is True
                self._end_call_of(agent, id, result, failure=(result or "it failed") if is_error else None)

    def _read_request(self, line: JsonObject) -> None:
        """Report that a tool waits for a permission; the answer to it goes to the process."""
        request, id = dict_of(line, "request"), text_or_empty(line, "request_id")
        tool = self._tools.get(text_or_empty(request, "tool_use_id"))
        kind = _ASKS.get(text_or_empty(request, "subtype"))
        if kind is None or (tool is not None and tool.ended is not None):
            return
        step, write = tool or self._turn_step, self.steering.write
        send = None if write is None else partial(_permit, write, id)
        event = step.wait_for(self._request_id(id), {"type": kind, **request}, send=send)
        for waiting in (step, self._turn_step):
            self._run.requests.hold(waiting, self._asker, event)

    def _read_lifecycle(self, line: JsonObject) -> None:
        """Note what the agent says of input: it waits for its place in the turn, or has got there."""
        id, state = text_of(line, "command_uuid"), text_of(line, "state")
        steer = self.steering.find(id)
        if steer is None:
            return
        if state == "queued":
            steer.become("accepted")
        elif state in ("started", "completed"):
            steer.become("applied")
        else:
            steer.refuse(f"the agent says that the input is {state}", state)
            self.steering.settle()

    def _read_result(self, line: JsonObject) -> None:
        """End the turn: it has failed if `is_error` or the subtype says so, whatever other words say."""
        is_aside = bool(self._answered)
        turn, was_whole = self._answered.popleft() if is_aside else (self._open_turn(), False)
        turn.note_session(text_of(line, "session_id"))
        self._run.introduce(session=turn.session)
        if not is_aside:
            # Its questions were answered, or nobody waits for them any more.
            self._run.requests.resumed_by(self._asker)
        counted = counts_in(dict_of(line, "usage"), _COUNTS) or Usage()
        if spent := self._count_spent(line, turn, counted):
            turn.step.count(spent)
            if not is_aside:
                self._line_usage = Usage()
        structured = line.get("structured_output")
        turn.result = structured if structured is not None else text_of(line, "result")
        error: StreamError | None = None
        # Quirk (Qwen Code 0.24, 2026-11): an error of its provider is an answer, and a success.
        is_refused = self._splits_answers and _REFUSAL.fullmatch(text_or_empty(line, "result")) is not None
        # Quirk (Claude Code 2.1, 2026-04): `is_error` is missing or false for some of the subtypes of errors;
        # anthropics/claude-code#40432.
        word = text_or_empty(line, "subtype")
        if is_refused or line.get("is_error") is True or word.startswith("error_"):
            status = line.get("api_error_status")
            # It is the status with which the provider refused the agent's request.
            code = str(status) if isinstance(status, int) else None
            errors = line.get("errors")
            why = "; ".join([text for text in errors if isinstance(text, str)]) if is_list(errors) else None
            why = why or text_of(dict_of(line, "error"), "message") or word
            message = text_of(line, "result", "error") or why
            error = self._failure(message, code=code)
        if is_aside:
            if was_whole and turn.usage:
                turn.step.feed(UsageUpdate(turn.usage))
            self._close_turn(turn, error)
            return
        self._end_answers(counted, text_of(line, "stop_reason"))
        # Quirk (Claude Code 2.1, by a report of 2026-04): a run that is stopped from outside is a "success".
        if (
            error is None
            and structured is None
            and text_of(line, "stop_reason") == "tool_use"
            and self._tools.keys() - self._find_background().keys() - self._over.keys()
        ):
            error = StreamTruncated(f"{self._agent} ended a turn while its tool was still running")
            error.partial = self._find_partial(turn, "truncated")
        self._end_turn(error)
        # The whole messages of a turn come before its result.
        self._streamed.clear()
        self._counted.clear()

    def steer(self, text: str) -> Steer:
        """Write a user's message to the process, which runs with `--input-format stream-json`.

        Quirk (Claude Code 2.1.330, 2026-11): the message is taken into the turn after the tool that runs.
        With the priority "now", it would abort that tool and end the turn.
        """
        if self.steering.write is not None and self._turn is None:
            return refuse_idle(text)
        steer, id = AgentSteer(text, self._turn), str(uuid4())
        message: JsonObject = {"role": "user", "content": [{"type": "text", "text": text}]}
        line: JsonObject = {
            "type": "user",
            "uuid": id,
            "session_id": self._run.session or "",
            "parent_tool_use_id": None,
            "message": message,
        }
        self.steering.send(steer, id, line)
        return steer

    # -- within ------------------------------------------------------------

    def _find_background(self) -> dict[str, Step]:
        """Return the tools that go on when a turn ends: agents in the background, with their own tools."""
        kept: dict[str, Step] = {}
        for id, step in self._tools.items():
            caller = None if step.parent is None or step.parent.cause is None else step.parent.cause.id
            if id in self._in_background or caller in kept:
                kept[id] = step
        return kept

    def _count_spent(self, line: JsonObject, turn: Turn, counted: Usage) -> Usage:
        """Note the cost of the turn that a result ends; return its tokens, with those of its subagents."""
        totals, cost = _sum_of_models(line, "modelUsage"), float_of(line, "total_cost_usd")
        if cost is not None:
            totals["cost"] = cost
        # The agent counts the session so far; one that was resumed begins with what the turns before spent.
        own = self._run.ledger.take(text_or_empty(line, "session_id"), totals)
        if "model_usage_since_last_result" in line:
            since = _sum_of_models(line, "model_usage_since_last_result")
            own = {name: since.get(name, 0) for name in totals}
        turn.cost = own.pop("cost", None)
        sent = counts_of(counted)
        if own:
            own = {name: n + self._left_over.pop(name, 0) for name, n in own.items()}
            if sent and (self._answered or self._turn not in (None, turn)):
                # The session's counts have what a turn after this one has spent.
                self._left_over = {name: n - sent.get(name, 0) for name, n in own.items()}
                return counted
            whole: JsonObject = own
            return Usage(**whole)
        # The counts of the turn may lack those of its subagents, which their lines have.
        of_lines = counts_of(turn.step.counted_usage or Usage()) if sent else {}
        return counted.model_copy(update={name: n for name, n in of_lines.items() if n > sent.get(name, 0)})

    def _set_aside(self) -> None:
        """Set the turn aside if it has its last answer: the next may begin before its result comes."""
        if self._turn is not None and self._turn.step.has_answer and not self._is_calling:
            answer = self._answers.get("")
            is_whole = answer is not None and answer.blocks > 0 and not self._streamed
            self._answered.append((self._turn, is_whole))
            self._end_answer("")
            self._count_lines(is_last=True)
            self._turn = None

    def _end_turn(self, error: StreamError | None) -> None:
        """End the turn in progress with its tools, but for those of agents that go on in the background."""
        for id, failure in [*self._over.items()]:
            self._end_call_of("", id, None, failure=failure)
        kept = self._find_background()
        self._count_lines(is_last=True)
        super()._end_turn(error)
        self._tools.update(kept)

    @property
    def _splits_answers(self) -> bool:
        """True for Qwen Code (0.24): each kind of part has a line with an id, and the last has the counts."""
        return self._run.agent == "qwen-code"

    def _leave_attempt(self, retry: JsonObject) -> None:
        """Break off what Qwen Code asks for anew; an answer before it has called a tool that has run."""
        if retry.get("preserveText") is False and (retry.get("discardedToolCalls") or not self._is_calling):
            self._answers.pop("", None)
            self._turn_step.conclude("truncated")

    def _count_line(self, id: str | None, counts: JsonObject) -> None:
        """Count the tokens in a whole line beyond those that its message has counted so far."""
        known = self._counted.get(id or "", {})
        # Qwen Code gives the line the id of its message.
        if known or id is None or not self._is_repeated(f"counted {id}"):
            iterations = dicts_of(counts.get("iterations"))
            told = usage_of(counts, iterations) if iterations else counts_in(counts, _COUNTS)
            sent = {name: max(n, known.get(name, 0)) for name, n in counts_of(told or Usage()).items()}
            self._counted |= {} if id is None else {id: {**known, **sent}}
            more: JsonObject = {name: n - known.get(name, 0) for name, n in sent.items()}
            self._line_usage += Usage(**more)
            self._count_lines()

    def _count_lines(self, *, is_last: bool = False) -> None:
        """Give a turn without a result the tokens of its whole lines, and those of events."""
        if self._turn is not None and self._line_usage:
            streamed = self._turn.step.usage if self._streamed else Usage()
            self._turn.step.count(streamed + self._line_usage)
        if is_last:
            self._line_usage = Usage()

    def _stop_background(self) -> None:
        """Stop the steps of agents in the background, because no more lines are read."""
        for step in self._tools.values():
            step.end(LeftOpenStep("its lines have ended"))

    def _follow_task(self, id: str, line: JsonObject) -> None:
        patch = dict_of(line, "patch")
        if patch.get("is_backgrounded") is True:
            self._in_background.add(id)
        status = text_of(patch, "status") or text_of(line, "status")
        if status not in _OVER or id not in self._tools:
            return
        self._in_background.discard(id)
        summary = text_of(line, "summary")
        failure = None if status == "completed" else summary or status
        if line.get("subtype") == "task_notification":
            self._end_call_of("", id, summary, failure=failure)
        else:
            self._over[id] = failure

    def _end_call_of(self, agent: str, id: str, result: str | None, *, failure: str | None) -> None:
        """End an agent's call, and the answer that it began, whose last text is the result for None."""
        self._over.pop(id, None)
        self._end_answer(id)
        if id in self._tools:
            if agent:
                self._step_of(agent)
            step = self._resume(id)
            result = last_text(step) if result is None else result
        self._end_tool(id, result, failure=failure)

    def _resume(self, id: str) -> Step:
        """Return the step of a call; if its turn has ended, it goes on in another step, beside the turns."""
        step = self._tools[id]
        if step.ended is not None:
            cause = None if step.parent is None else step.parent.cause
            above = None if cause is None else self._tools.get(cause.id)
            parent = self._run if above is None or above.ended is not None else above
            step = self._tools[id] = parent.step(step.name, agent=step.agent, cause=step.cause)
            step.provider_executed = True
        return step

    def _step_of(self, agent: str) -> Step:
        """Return the step in which an agent's answers are: that of the turn, or of the call that began it."""
        if not agent:
            return self._turn_step
        if agent not in self._tools:
            # No line has reported the call, as of one in the turns before this run.
            self._begin_tool(agent, "agent")
        return self._resume(agent)

    def _begin_answer(self, agent: str, id: str | None) -> ClaudeAnswer:
        """Begin an answer of an agent, known by the call that began it ("" for the main agent)."""
        if not agent:
            self._is_calling = False
        answer = self._answers[agent] = ClaudeAnswer(self._step_of(agent), id, self._last_reader)
        self._last_reader = answer.reader
        return answer

    def _begin_tools(self, answer: ClaudeAnswer) -> None:
        for call in answer.calls:
            self._is_calling = self._is_calling or answer is self._answers.get("")
            if call.id:
                self._begin_tool(call.id, call.name, call.arguments_text, parent=answer.reader.step)
        answer.calls.clear()

    def _end_answer(self, agent: str, usage: Json = None, reason: str | None = None) -> None:
        """End the answer in progress of an agent; one of whole lines has no event that ends it."""
        answer = self._answers.pop(agent, None)
        if answer is not None:
            answer.end(usage, reason)
            self._begin_tools(answer)

    def _end_answers(self, usage: Usage, reason: str | None) -> None:
        """End all answers; if no events have reported the tokens of the turn, the last answer gets them."""
        for agent in [*self._answers]:
            counts = {"input_tokens": usage.input_tokens or 0, "output_tokens": usage.output_tokens or 0}
            is_counted = not (agent or self._streamed) and bool(usage)
            self._end_answer(agent, counts if is_counted else None, None if agent else reason)

    _READERS: ClassVar[Readers] = {
        "system": _read_system,
        "stream_event": _read_event,
        "assistant": _read_message,
        "user": _read_user,
        "command_lifecycle": _read_lifecycle,
        "control_request": _read_request,
        "control_cancel_request": lambda self, line: self.read_reply(line.get("request_id")),
        "result": _read_result,
    }
    """The methods that read lines, by their types; all other lines are signs of life."""


def _permit(write: LineWriter, id: str, answer: Json) -> None:
    response: JsonObject = {"subtype": "success", "request_id": id, "response": answer}
    write({"type": "control_response", "response": response})


def _sum_of_models(line: JsonObject, name: str) -> dict[str, float]:
    """Return the counts under a name in a line, which has them by model."""
    sums: dict[str, float] = {}
    for model in dict_of(line, name).values():
        for theirs, ours in _MODEL_COUNTS.items() if is_dict(model) else ():
            count = float_of(model, theirs) if ours == "cost" else count_of(model, theirs)
            if count is not None:
                sums[ours] = sums.get(ours, 0) + count
    return sums

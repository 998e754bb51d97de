"""Readers that turn a framework's events into steps: what they share, LlamaIndex, OpenAI's Agents SDK."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import is_dict, text_of
from tokenstream._sources.payloads import is_run_event, model_event_of, to_payload
from tokenstream.errors import OutputInvalid, ProtocolError, StreamError
from tokenstream.message import ToolCall, Usage
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._model_answer import ModelAnswer
from tokenstream.steps._step import LeftOpenStep, Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import StepWaiting
    from tokenstream.steps._run import Steps


class RunOfAFramework(ABC):
    """Turns the events of a framework into the steps of a run."""

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._calls: list[ToolCall] = []
        """Tool calls of the models' answers; a call is removed once the step of its tool begins."""
        self._open: dict[str, Step] = {}
        """Steps that have not ended, by the key that the framework uses for the step."""
        self._tool_keys: set[str] = set()
        self.failure: StreamError | None = None
        """The error of the run, if an event has told it."""

    @abstractmethod
    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of a framework
        """Begin, continue or end steps, as an event says."""

    @abstractmethod
    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answers in progress; return the error of each, or None, by the key of its step."""

    def end(self, error: BaseException | None) -> StreamError | None:
        """End all open steps after the last event; return the error that an event has told, or None."""
        error = error or self.failure
        # After an exception, the open answers end with their steps, which get that exception.
        answer_errors: Mapping[str, StreamError | None] = self._end_answers() if error is None else {}
        left = [key for key in self._open if key in self._tool_keys]
        if error is None and left and not any(answer_errors.values()):
            self._wait_for(left)
        for key, step in reversed(self._open.items()):
            reason: BaseException | None = error or answer_errors.get(key)
            if reason is None and key in left and not step.has_stopped_to_ask:
                reason = LeftOpenStep("it has no result")
            step.end(reason)
        self._open.clear()
        return self.failure

    def _wait_for(self, tools: list[str]) -> None:  # noqa: B027 - most frameworks end their tools
        """Let tools without a result wait, by their keys, if the run has stopped because of them."""

    def stop(self) -> None:
        """Stop all open steps, because the events are no longer read."""
        self.end(LeftOpenStep("its events were not read to their end"))

    # -- steps -------------------------------------------------------------

    def _begin_tool(
        self, key: str, name: str, parent: Step | Steps, *, id: str | None, arguments: object = None
    ) -> None:
        """Begin the step of a tool; without an id, its call is the first with the same name and arguments."""
        cause = next((call for call in self._calls if _is_call_of(call, id, name, arguments)), None)
        if cause is not None:
            # Each call starts one tool only.
            self._calls.remove(cause)
        elif id is not None:
            # No followed answer contains the call, but its id is known.
            cause = ToolCall(id=id, name=name, complete=True)
        self._open[key] = parent.step(name, cause=cause)
        self._tool_keys.add(key)

    def _end_step(self, key: str, result: object = None, error: Exception | None = None) -> None:
        """End the step with a key, unless it has ended already; its call may have waited in a run before."""
        step = self._open.pop(key, None)
        if step is None:
            self._run.requests.settle(key, result, error)
        else:
            step.result = result
            step.end(error)


class RunOfAgents(RunOfAFramework):
    """Base of the readers for frameworks whose events name the current agent."""

    _AGENT_KEY: ClassVar[str] = ""
    """The key of the current agent's step: "", because this is not the id of any tool call."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._answer: ModelAnswer | None = None
        self._error: ProtocolError | None = None
        """The error of a faulty answer, with which the current agent's step will end; None if there is none.

        A truncated answer has no such effect, since the framework may ask the model again.
        """

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answer in progress, if any; return the error for the agent's step, or None, by its key."""
        answer, self._answer = self._answer, None
        error = None if answer is None else answer.end()
        if isinstance(error, ProtocolError):
            self._error = self._error or error
        return {self._AGENT_KEY: self._error or error}

    @property
    def _agent(self) -> Step | Steps:
        """The step of the current agent; the run itself before the first agent."""
        return self._open.get(self._AGENT_KEY, self._run)

    def _switch_agent(self, name: str) -> Step:
        """Return the step of the agent that is current from now on; end the step of any other agent."""
        step = self._open.get(self._AGENT_KEY)
        if step is None or step.name != name:
            self._end_answers()
            self._end_step(self._AGENT_KEY, error=self._error)
            self._error = None
            step = self._open[self._AGENT_KEY] = self._run.step(name, agent=name)
        return step

    def _ask(self, asker: str, kind: str, id: str, name: str, arguments: object) -> StepWaiting:
        """Report a call that waits, in the step of its tool if that has begun; the agent waits with it."""
        step, requests = self._open.get(id) or self._open[self._AGENT_KEY], self._run.requests
        request = {"type": kind, "id": id, "name": name, "args": arguments}
        event = step.wait_for(requests.find_free_id(id), request)
        requests.hold(self._open.get(self._AGENT_KEY, step), asker, event)
        return event


def _is_call_of(call: ToolCall, id: str | None, name: str, arguments: object) -> bool:
    """Return True if a call has this id; without one, if it has this name and these arguments."""
    try:
        return call.id == id or (id is None and call.name == name and bool(call.arguments == arguments))
    except OutputInvalid:
        return False


class LlamaIndexRun(RunOfAgents):
    """Reads the events of LlamaIndex's agent workflows; agents and their tools become steps.

    A workflow that asks goes on in the same events; a tool that has asked is called again then, with its id.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._questions: list[tuple[str, str]] = []
        """The key of the step that asks, and the id of the request, of each question without an answer."""

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        if _asks(event):
            self._ask_person(event)
        elif type(event).__name__ == "HumanResponseEvent":
            self._note_answers(*[key for key, _ in self._questions[:1]])
        elif hasattr(event, "current_agent_name"):
            self._read_agent(event)
        elif hasattr(event, "tool_output"):
            # The result of a call, which has the call's `tool_kwargs`, too.
            output = event.tool_output
            error = ToolFailed(str(output.content)) if output.is_error else None
            self._note_answers(str(event.tool_id))
            self._end_step(str(event.tool_id), output, error)
        elif hasattr(event, "tool_kwargs"):
            id = str(event.tool_id)
            self._note_answers(id)
            if id not in self._open:
                self._begin_tool(id, str(event.tool_name), self._agent, id=id)

    # -- within ------------------------------------------------------------

    def _ask_person(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Report a question, in the step of the tool that asks if only one runs; the agent waits with it."""
        agent = self._open.get(self._AGENT_KEY) or self._switch_agent("agent")
        tools = [key for key in self._open if key in self._tool_keys]
        key = tools[0] if len(tools) == 1 else self._AGENT_KEY
        id = self._run.requests.find_free_id("input")
        asked = self._open[key].wait_for(id, {"type": "input", "text": str(getattr(event, "prefix", ""))})
        self._run.requests.hold(agent, _LLAMAINDEX, asked)
        self._questions.append((key, id))

    def _note_answers(self, *keys: str) -> None:
        """Note that the questions of these steps were answered, and those of no certain tool with them."""
        for key, id in [each for each in self._questions if each[0] in (*keys, self._AGENT_KEY)]:
            self._run.requests.note_answered(id)
            self._questions.remove((key, id))

    def _read_agent(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Read an event of an agent: its input, a piece of its model's answer, or the whole answer."""
        step = self._switch_agent(str(event.current_agent_name))
        if hasattr(event, "input"):
            # The event reports a new request to the model, which ends the answer before.
            self._note_answers(*[key for key, _ in self._questions])
            self._end_answers()
            return
        if self._answer is None:
            self._answer = ModelAnswer(step, _LLAMAINDEX, self._calls)
        if hasattr(event, "delta"):
            self._answer.read_piece(_as_chat_response(event, event.delta))
        else:
            # The event has the whole answer. Its text is new only if no pieces were streamed before.
            new_text = "" if self._answer.has_begun else str(event.response.content or "")
            self._answer.read_piece(_as_chat_response(event, new_text))
            self._end_answers()


_LLAMAINDEX = "llamaindex"
"""The name of the format, and of the framework that stops to ask, as for `Requests.hold`."""


def _as_chat_response(event: Any, delta: str) -> JsonObject:  # noqa: ANN401 - an object of LlamaIndex
    """Return an agent's event as a payload of the format "llamaindex", a chat response with `delta`."""
    calls = [
        {
            "block_type": "tool_call",
            "tool_call_id": call.tool_id,
            "tool_name": call.tool_name,
            "tool_kwargs": call.tool_kwargs,
        }
        for call in event.tool_calls
    ]
    raw: Any = to_payload(event.raw)
    thinking = getattr(event, "thinking_delta", None)
    return {
        "delta": delta,
        "raw": raw if is_dict(raw) else None,
        "additional_kwargs": {} if thinking is None else {"thinking_delta": thinking},
        "message": {"role": "assistant", "blocks": calls, "additional_kwargs": {}},
    }


_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")
"""The types of the payloads that end an answer."""


class AgentsRun(RunOfAgents):
    """Reads the events of the OpenAI Agents SDK; agents and their tools become steps.

    No event tells that a tool needs an approval: the events end, and the tool has no output. That comes with
    the next run. The SDK's own object of the run knows what waits, and what agents that are tools have spent.
    """

    def __init__(self, run: Steps, result: Any = None) -> None:  # noqa: ANN401 - an object of the SDK
        super().__init__(run)
        run.requests.resumed_by(_AGENTS)
        self._result = result
        """The SDK's object of the run; None if only its events are known."""
        self._agents: list[Step] = []
        """The steps of the agents, which have the tokens that events tell."""
        self._within_before = self._count_within()

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of the SDK
        if event.type == "agent_updated_stream_event":
            self._switch_agent(str(event.new_agent.name))
        elif event.type == "run_item_stream_event":
            self._read_item(event.item)
        else:
            self._read_model(to_payload(model_event_of(event)))

    def end(self, error: BaseException | None) -> StreamError | None:
        step = self._open.get(self._AGENT_KEY)
        if self._result is not None and step is not None:
            self._count_rest(step)
            if not self._result.interruptions and not self._tool_keys.isdisjoint(self._open):
                error = error or LeftOpenStep("the run was cancelled")
        return super().end(error)

    # -- within ------------------------------------------------------------

    def _count_within(self) -> tuple[int, int]:
        """Return the tokens in and out that no event tells: those of agents that are tools.

        A run that goes on with another one has its counts, and its answers.
        """
        if self._result is None:
            return 0, 0
        spent = self._result.context_wrapper.usage
        answers = [each.usage for each in self._result.raw_responses]
        told = sum([each.total_usage for each in self._agents], start=Usage())
        # The answer in which a run was cancelled is not in the list.
        read = max(sum(each.input_tokens for each in answers), told.input_tokens or 0)
        written = max(sum(each.output_tokens for each in answers), told.output_tokens or 0)
        return spent.input_tokens - read, spent.output_tokens - written

    def _count_rest(self, step: Step) -> None:
        (read, written), (read_before, written_before) = self._count_within(), self._within_before
        read, written = max(0, read - read_before), max(0, written - written_before)
        if read or written:
            step.count(step.total_usage + Usage(input_tokens=read, output_tokens=written))

    def _switch_agent(self, name: str) -> Step:
        step = super()._switch_agent(name)
        if step not in self._agents:
            self._agents.append(step)
        return step

    def _read_model(self, payload: object) -> None:
        """Add a payload of OpenAI Responses to the answer of the current agent's model."""
        if not is_dict(payload):
            return
        kind = text_of(payload, "type")
        if self._answer is None or kind == "response.created":
            self._end_answers()
            # The name stands for an agent that no event has announced.
            step = self._open.get(self._AGENT_KEY) or self._switch_agent("agent")
            self._answer = ModelAnswer(step, "openai-responses", self._calls)
        self._answer.read_piece(payload)
        if kind in _LAST_EVENTS:
            self._end_answers()

    def _read_item(self, item: object) -> None:
        """Begin the step of a tool that was called, or end the step of a tool that has returned."""
        raw: object = to_payload(getattr(item, "raw_item", None))
        fields: JsonObject = raw if is_dict(raw) else {}
        id, approval = text_of(fields, "call_id"), text_of(fields, "approval_request_id")
        kind = getattr(item, "type", None)
        if approval is not None and kind == "tool_call_item":
            # A hosted server's tool, which waits no more.
            self._end_step(approval, fields.get("output"))
        elif id is not None and kind == "tool_call_item":
            # A call of a built-in tool has a type instead of a name.
            name = text_of(fields, "name", "type") or "tool"
            # The call's id is also the key under which the output finds the step.
            self._begin_tool(id, name, self._agent, id=id)
        elif fields and kind == "mcp_approval_request_item":
            name, id = text_of(fields, "name") or "tool", _id_of(fields)
            self._begin_tool(id or name, name, self._agent, id=id)
        elif approval and kind == "mcp_approval_response_item" and not fields.get("approve"):
            self._end_step(approval, error=ToolFailed(text_of(fields, "reason") or "it was not approved"))
        elif id is not None and kind == "tool_call_output_item":
            if id not in self._open and id not in self._run.requests.unsettled:
                # Its call is in a run that was not followed; no field of the output has the tool's name.
                self._begin_tool(id, "tool", self._agent, id=id)
            self._end_step(id, getattr(item, "output", None))

    def _wait_for(self, tools: list[str]) -> None:
        """Report the tools without a result as waiting, or what the SDK's object of the run says instead."""
        asks: list[Any] = [] if self._result is None else self._result.interruptions
        asked = {id: each for each in asks if (id := _id_of(to_payload(each.raw_item)))}
        # An inner call may have the id of an outer one.
        inner = [id for id, each in asked.items() if each.name not in (None, self._name_of(id))]
        for id in [each for each in tools if not asked or (each in asked and each not in inner)]:
            cause = self._open[id].cause
            self._ask(_AGENTS, "approval", id, self._open[id].name, cause and cause.arguments_text)
        for id in inner:
            # A tool of an agent that is a tool itself, which waits with it.
            event = self._ask(_AGENTS, "approval", id, asked[id].name, asked[id].arguments)
            for outer in (each for each in tools if each not in asked or each in inner):
                self._run.requests.hold(self._open[outer], _AGENTS, event)

    def _name_of(self, id: str) -> str | None:
        step = self._open.get(id)
        return None if step is None else step.name


def _id_of(call: object) -> str | None:
    """Return the id of a call, or of a hosted server's request for an approval."""
    return text_of(call, "call_id", "id") if is_dict(call) else None


_AGENTS = "openai-agents"
"""The name of the SDK that stops to ask, as for `Requests.hold`."""


def is_run_of_agents(source: object) -> bool:
    """Return True for the SDK's object of a run, whose events are in `stream_events()`."""
    return hasattr(source, "stream_events") and hasattr(source, "interruptions")


def find_run_of_agents(event: object, run: Steps) -> RunOfAgents | None:
    """Return the reader for an event of the Agents SDK or of LlamaIndex; None for any other event."""
    if is_run_event(event):
        return AgentsRun(run)
    is_of_agent = hasattr(event, "current_agent_name")
    is_of_tool = hasattr(event, "tool_id") and hasattr(event, "tool_kwargs")
    return LlamaIndexRun(run) if is_of_agent or is_of_tool or _asks(event) else None


def _asks(event: object) -> bool:
    """Return True for LlamaIndex's event of a question, or one of a class that a workflow derives from it."""
    return any(each.__name__ == "InputRequiredEvent" for each in type(event).__mro__)

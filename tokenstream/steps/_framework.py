"""Readers that turn a framework's events into steps: LlamaIndex, OpenAI's Agents SDK, LangChain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream._sources.payloads import is_run_event, model_event_of, payload_of
from tokenstream.errors import MisuseError, OutputInvalid, ProtocolError
from tokenstream.message import ToolCall
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._agents.values import INTERRUPT, interrupts_of
from tokenstream.steps._model_answer import ModelAnswer
from tokenstream.steps._step import LeftOpenStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenstream.errors import StreamError
    from tokenstream.events import StepWaiting
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step


class RunOfAFramework(ABC):
    """Turns the events of a framework into the steps of a run."""

    def __init__(self, run: Steps) -> None:
        self._run = run
        self._calls: list[ToolCall] = []
        """Tool calls of the models' answers; a call is removed once the step of its tool begins."""
        self._open: dict[str, Step] = {}
        """Steps that have not ended, by the key that the framework uses for the step."""
        self._tool_keys: set[str] = set()
        """The keys of the steps of tools."""

    @abstractmethod
    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of a framework
        """Begin, continue or end steps, as an event says."""

    @abstractmethod
    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answers in progress; return the error of each, or None, by the key of its step."""

    def end(self, error: BaseException | None) -> None:
        """End all open steps after the last event."""
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
        """The answer in progress."""
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

    def _ask(self, asker: str, kind: str, id: str, name: str, arguments: object) -> None:
        """Report a call that waits, in the step of its tool if that has begun; the agent waits with it."""
        step, requests = self._open.get(id) or self._open[self._AGENT_KEY], self._run.requests
        request = {"type": kind, "id": id, "name": name, "args": arguments}
        event = step.wait_for(requests.find_free_id(id), request)
        requests.hold(self._open.get(self._AGENT_KEY, step), asker, event)


def _is_call_of(call: ToolCall, id: str | None, name: str, arguments: object) -> bool:
    """Return True if a call has this id; without one, if it has this name and these arguments."""
    try:
        return call.id == id or (id is None and call.name == name and bool(call.arguments == arguments))
    except OutputInvalid:
        return False


class LlamaIndexRun(RunOfAgents):
    """Reads the events of LlamaIndex's agent workflows; agents and their tools become steps."""

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Begin, continue or end steps, as an event says; ignore events of other kinds."""
        if hasattr(event, "current_agent_name"):
            self._read_agent(event)
        elif hasattr(event, "tool_output"):
            # The result of a call, which has the call's `tool_kwargs`, too.
            output = event.tool_output
            error = ToolFailed(str(output.content)) if output.is_error else None
            self._end_step(str(event.tool_id), output, error)
        elif hasattr(event, "tool_kwargs"):
            id = str(event.tool_id)
            self._begin_tool(id, str(event.tool_name), self._agent, id=id)

    # -- within ------------------------------------------------------------

    def _read_agent(self, event: Any) -> None:  # noqa: ANN401 - an object of LlamaIndex
        """Read an event of an agent: its input, a piece of its model's answer, or the whole answer."""
        step = self._switch_agent(str(event.current_agent_name))
        if hasattr(event, "input"):
            # The event reports a new request to the model, which ends the answer before.
            self._end_answers()
            return
        if self._answer is None:
            self._answer = ModelAnswer(step, "llamaindex", self._calls)
        if hasattr(event, "delta"):
            self._answer.read_piece(_as_chat_response(event, event.delta))
        else:
            # The event has the whole answer. Its text is new only if no pieces were streamed before.
            new_text = "" if self._answer.has_begun else str(event.response.content or "")
            self._answer.read_piece(_as_chat_response(event, new_text))
            self._end_answers()


def _as_chat_response(event: Any, delta: str) -> dict[str, Any]:  # noqa: ANN401 - an object of LlamaIndex
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
    raw: Any = payload_of(event.raw)
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
    the next run.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        run.requests.resumed_by(_AGENTS)

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - an object of the SDK
        """Begin, continue or end steps, as an event says."""
        if event.type == "agent_updated_stream_event":
            self._switch_agent(str(event.new_agent.name))
        elif event.type == "run_item_stream_event":
            self._read_item(event.item)
        else:
            self._read_model(payload_of(model_event_of(event)))

    # -- within ------------------------------------------------------------

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
        raw: object = payload_of(getattr(item, "raw_item", None))
        id = text_of(raw, "call_id") if is_dict(raw) else None
        kind = getattr(item, "type", None)
        if is_dict(raw) and id is not None and kind == "tool_call_item":
            # A call of a built-in tool has a type instead of a name.
            name = text_of(raw, "name") or text_of(raw, "type") or "tool"
            # The call's id is also the key under which the output finds the step.
            self._begin_tool(id, name, self._agent, id=id)
        elif id is not None and kind == "tool_call_output_item":
            if id not in self._open and id not in self._run.requests.unsettled:
                # Its call is in a run that was not followed; no field of the output has the tool's name.
                self._begin_tool(id, "tool", self._agent, id=id)
            self._end_step(id, getattr(item, "output", None))

    def _wait_for(self, tools: list[str]) -> None:
        """Report the tools that wait for an approval."""
        for id in tools:
            cause = self._open[id].cause
            self._ask(_AGENTS, "approval", id, self._open[id].name, cause and cause.arguments_text)


_AGENTS = "openai-agents"
"""The name of the SDK that stops to ask, as for `Requests.hold`."""
_GRAPH = "langgraph "
"""The name of a graph that stops to ask, as for `Requests.hold`; it is that of the newer protocol, too."""


class RunOfAGraph(RunOfAFramework):
    """Base of the readers of LangGraph's older events, whose interrupts are in the updates or the state."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._model_answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the keys of their steps."""
        self._asked: dict[str, StepWaiting] = {}
        """The interrupts so far by their ids; each may be told in several modes."""

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        """End the answers in progress; return the error of each, or None, by the key of its step."""
        return {key: answer.end() for key, answer in self._model_answers.items()}

    def _ask(self, update: object) -> None:
        """Report what a graph has stopped for: in the step that began last, or in a step of its own."""
        for id, value in interrupts_of(update):
            if id in self._asked:
                continue
            step = next(reversed(self._open.values()), None) or self._run.step("interrupt")
            self._open.setdefault(step.id, step)
            self._asked[id] = step.wait_for(id, value)
            self._run.requests.hold(step, _GRAPH, self._asked[id])

    def _wait_for(self, tools: list[str]) -> None:
        """Let all tools wait with the one that has asked: they run again with the answer."""
        for key in tools if self._asked else ():
            self._run.requests.hold(self._open[key], _GRAPH, *self._asked.values())


class LangChainRun(RunOfAGraph):
    """Reads the events that `astream_events` of a LangChain runnable or a LangGraph graph yields.

    Models, tools, retrievers and the nodes of a graph become steps; other events are ignored.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._call_ids: dict[str, str] = {}
        """The id of the tool call that a node received as its input, by the `run_id` of the node."""
        self._is_of_graph = False
        """True once an event of a graph came: other runnables answer no graph's question."""

    def read_event(self, event: dict[str, Any]) -> None:
        """Begin, continue or end steps, as an event says; ignore events of other kinds."""
        if not self._is_of_graph and "langgraph_node" in dict_of(event, "metadata"):
            self._is_of_graph = True
            self._run.requests.resumed_by(_GRAPH)
        reader = self._READERS.get(str(event.get("event")))
        id = text_of(event, "run_id")
        if reader is not None and id is not None:
            reader(self, id, event, dict_of(event, "data"))

    # -- within ------------------------------------------------------------

    def _parent_ids(self, event: dict[str, Any]) -> list[str]:
        """Return the `run_id`s of an event's parents, the nearest parent first."""
        ids: object = event.get("parent_ids")
        return [each for each in reversed(ids) if isinstance(each, str)] if is_list(ids) else []

    def _begin_step(self, id: str, event: dict[str, Any], _: dict[str, Any]) -> Step:
        """Begin a step under the nearest open parent; LangChain may name the agent in the metadata."""
        parent = self._find_parent(event)
        agent = text_of(dict_of(event, "metadata"), "lc_agent_name")
        step = self._open[id] = parent.step(text_of(event, "name") or "step", agent=agent)
        return step

    def _find_parent(self, event: dict[str, Any]) -> Step | Steps:
        """Return the nearest parent that is an open step; the run itself if there is none."""
        parents = (self._open[id] for id in self._parent_ids(event) if id in self._open)
        return next((step for step in parents if step.ended is None), self._run)

    def _begin_chain(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin a step for a LangChain chain that is a node of a graph; other chains become no steps."""
        call = dict_of(dict_of(data, "input"), "tool_call")
        if text_of(call, "id") is not None:
            # The node runs a tool, which will begin inside it.
            self._call_ids[id] = str(call["id"])
        name = text_of(event, "name")
        if name is not None and name == text_of(dict_of(event, "metadata"), "langgraph_node"):
            self._begin_step(id, event, data)

    def _read_update(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Report what a graph has stopped for, which only the graph itself tells, and no graph above it."""
        self._ask(dict_of(data, "chunk"))

    def _end_chain(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        self._end_step(id, data.get("output"))

    def _begin_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin the step and the answer of a model; its tool calls are collected in `_calls`."""
        self._model_answers[id] = ModelAnswer(self._begin_step(id, event, data), "langchain", self._calls)

    def _read_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Add a chunk to the answer of a model, unless the beginning of the answer was not seen."""
        answer, chunk = self._model_answers.get(id), data.get("chunk")
        if answer is not None:
            answer.read_piece(_as_message(chunk))

    def _end_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """End the answer of a model, and its step."""
        answer = self._model_answers.pop(id, None)
        if answer is None:
            # The start of this model was not seen, or it has ended already.
            return
        if not answer.has_begun:
            # The model did not stream: the whole answer is in its last event.
            answer.read_piece(_as_message(data.get("output")))
        self._end_step(id, error=answer.end())

    def _begin_tool_step(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin the step of a tool; the id of its call is in the event, or known for one of its parents."""
        call_id = text_of(data, "tool_call_id") or next(
            (self._call_ids[each] for each in self._parent_ids(event) if each in self._call_ids), None
        )
        name, parent = text_of(event, "name") or "tool", self._find_parent(event)
        self._begin_tool(id, name, parent, id=call_id, arguments=data.get("input"))

    def _end_tool_step(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """End the step of a tool with its output, which may be a message that reports the tool's error."""
        output = data.get("output")
        failed = getattr(output, "status", None) == "error"
        self._end_step(id, output, ToolFailed(str(getattr(output, "content", ""))) if failed else None)

    def _fail_tool_step(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """End the step of a tool with the exception that the tool has raised."""
        error = data.get("error")
        if type(error).__name__ == "GraphInterrupt":
            # The tool has stopped to ask, and stays open: the update with its question follows.
            return
        self._end_step(id, error=error if isinstance(error, Exception) else ToolFailed(str(error)))

    _READERS: ClassVar[dict[str, Callable[[LangChainRun, str, dict[str, Any], dict[str, Any]], object]]] = {
        "on_chain_start": _begin_chain,
        "on_chain_stream": _read_update,
        "on_chain_end": _end_chain,
        "on_chat_model_start": _begin_model,
        "on_chat_model_stream": _read_model,
        "on_chat_model_end": _end_model,
        "on_llm_start": _begin_model,
        "on_llm_stream": _read_model,
        "on_llm_end": _end_model,
        "on_tool_start": _begin_tool_step,
        "on_tool_end": _end_tool_step,
        "on_tool_error": _fail_tool_step,
        "on_retriever_start": _begin_step,
        "on_retriever_end": _end_chain,
    }


class GraphMessages(RunOfAGraph):
    """Reads the messages that a LangGraph graph streams, each with its metadata.

    Each node with a model's answer becomes a step, and so does each tool. Of a tool only the result
    is streamed, so its step begins and ends at once. Without messages, the updates of nodes have whole ones.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        run.requests.resumed_by(_GRAPH)
        self._has_messages = False
        """True once a message was streamed: updates then repeat what the messages have."""

    def read_event(self, event: object) -> None:
        """Add a message to the step of its node, or begin and end the step of a tool."""
        pair, (mode, data) = message_in(event), _part_of(event)
        if pair is not None:
            self._has_messages = True
            self._read_message(*pair)
        elif mode is None and not _is_update(data):
            raise MisuseError(
                "a run shows the messages and the updates of a graph, and not all of its state: pass "
                'stream_mode="messages", "updates" or a list of both'
            )
        elif is_dict(data) and mode in (None, "updates", "values"):
            self._ask(data)
            for node, change in data.items() if mode != "values" and not self._has_messages else ():
                if not self._read_change(node, change) and mode is None and node != INTERRUPT:
                    self._run.step(node).end()

    # -- within ------------------------------------------------------------

    def _read_change(self, node: str, change: object) -> bool:
        """Read the messages in the update of a node; return True if there are any."""
        messages = list(_messages_in(change))
        for message in messages:
            self._read_message(message, {"langgraph_node": node})
        return bool(messages)

    def _read_message(self, message: Any, metadata: dict[str, Any]) -> None:  # noqa: ANN401 - of LangChain
        """Add a message to the step of its node, or begin and end the step of a tool."""
        kind, node = message.type, text_of(metadata, "langgraph_node") or "node"
        if kind in ("AIMessageChunk", "ai"):
            key = self._key_of(message.id, text_of(metadata, "langgraph_checkpoint_ns") or node)
            if key not in self._model_answers:
                step = self._open[key] = self._run.step(node, agent=text_of(metadata, "lc_agent_name"))
                self._model_answers[key] = ModelAnswer(step, "langchain", self._calls)
            self._model_answers[key].read_piece(message)
            # An "ai" message is a whole answer, of a model that did not stream.
            if kind == "ai" or getattr(message, "chunk_position", None) == "last":
                self._end_step(key, error=self._model_answers.pop(key).end())
        elif kind == "tool":
            # The message is the tool's result.
            id = str(message.tool_call_id)
            error = ToolFailed(str(message.content)) if message.status == "error" else None
            self._begin_tool(id, message.name or node, self._run, id=id)
            self._end_step(id, message, error)

    def _key_of(self, id: object, node_key: str) -> str:
        """Return an answer's key: the id of the model's run ("lc_…", "run-…") or, until then, the node."""
        if not isinstance(id, str) or not id.startswith(("lc_", "run-")):
            return node_key
        # The id is known from now on: move the node's answer and its step to that key.
        if node_key in self._model_answers:
            self._model_answers[id] = self._model_answers.pop(node_key)
            self._open[id] = self._open.pop(node_key)
        return id


def find_run(event: object, run: Steps) -> RunOfAFramework | None:
    """Return the reader for the framework that an event belongs to; None if the event is not recognised."""
    if is_dict(event):
        # `astream_events` of LangChain and LangGraph yields dicts; the other frameworks yield objects.
        if _PART.issubset(event):
            return GraphMessages(run)
        if "run_id" in event and "event" in event:
            return LangChainRun(run)
        told = INTERRUPT in event or any(any(_messages_in(change)) for change in event.values())
        return GraphMessages(run) if told else None
    if is_run_event(event):
        return AgentsRun(run)
    if message_in(event) is not None or _part_of(event)[0] in ("updates", "values"):
        return GraphMessages(run)
    is_of_agent = hasattr(event, "current_agent_name")
    is_of_tool = hasattr(event, "tool_id") and hasattr(event, "tool_kwargs")
    return LlamaIndexRun(run) if is_of_agent or is_of_tool else None


def message_in(event: object) -> tuple[Any, dict[str, Any]] | None:
    """Return the message and its metadata from an item that a graph streams; None for any other item.

    With several stream modes, or with subgraphs, an item is a tuple of their names with the pair
    of message and metadata at its end.
    """
    event = _as_tuple(event)
    while _is_tuple(event) and event:
        message, metadata = event[0], event[-1]
        if is_dict(metadata) and "langgraph_node" in metadata and hasattr(message, "type"):
            return message, metadata
        event = metadata
    return None


def _part_of(event: object) -> tuple[str | None, object]:
    """Return the mode of an item that a graph streams, None if there is only one, and what it has."""
    item = _as_tuple(event)
    if not _is_tuple(item) or not item:
        return None, item
    mode: object = item[-2] if len(item) > 1 else None
    return (mode if isinstance(mode, str) else None), item[-1]


def _is_update(data: object) -> bool:
    """Return True for the updates of nodes; the whole state has values of any kind."""
    changes = [change for name, change in data.items() if name != INTERRUPT] if is_dict(data) else [data]
    return all(
        change is None or is_dict(change) or (is_list(change) and all(is_dict(each) for each in change))
        for change in changes
    )


def _messages_in(change: Any) -> Iterator[Any]:  # noqa: ANN401 - what a node has returned
    """Yield the messages of LangChain in the update of a node, or in several of them."""
    for each in change if is_list(change) else [change]:
        for value in each.values() if is_dict(each) else [each]:
            for item in value if is_list(value) else [value]:
                if hasattr(item, "type") and hasattr(item, "content"):
                    yield item


def is_graph_stream(source: object) -> bool:
    """Return True for what `stream` or `astream` of a LangGraph graph returns."""
    return getattr(source, "__qualname__", None) in ("Pregel.stream", "Pregel.astream")


_PART = frozenset({"type", "ns", "data"})
"""The keys of an item that a graph streams with `version="v2"`."""


def _as_tuple(item: object) -> object:
    """Return an item that a graph streams as a tuple; with `version="v2"`, it is a dict."""
    return (item["ns"], item["type"], item["data"]) if is_dict(item) and _PART.issubset(item) else item


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def _as_message(chunk: object) -> object:
    """Return a chunk as a message; a completion model's chunk, which is text or has text, is converted."""
    text = chunk if isinstance(chunk, str) else getattr(chunk, "text", None)
    if isinstance(text, str) and not hasattr(chunk, "response_metadata"):
        return {
            "type": "AIMessageChunk",
            "content": text,
            "response_metadata": getattr(chunk, "generation_info", None) or {},
        }
    return chunk

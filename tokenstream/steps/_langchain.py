"""Readers that turn what LangChain and LangGraph yield into steps: their events, and what a graph streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream.errors import MisuseError, StreamError
from tokenstream.formats._kit.errors import provider_error
from tokenstream.formats._wire.langchain.graph_parts import (
    MODEL_MESSAGES,
    GraphMessages,
    StreamedMessage,
    field_of,
    is_callback_event,
    messages_in,
    open_part,
)
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._agents.values import INTERRUPT, interrupts_of
from tokenstream.steps._framework import RunOfAFramework
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import StepWaiting
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_GRAPH = "langgraph "
"""The name of a graph that stops to ask, as for `Requests.hold`; it is that of the newer protocol, too."""


class LangChainRun(RunOfAFramework):
    """Reads what LangChain's runnables and LangGraph's graphs yield, and what a LangGraph server sends.

    - Of `astream_events`, models, tools, retrievers and the nodes of a graph become steps; other events are
      ignored.
    - Of what a graph streams, each node with a model's answer becomes a step, and so does each tool. Of a
      tool only the result is streamed, so its step begins and ends at once.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._model_answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the keys of their steps."""
        self._asked: dict[str, StepWaiting] = {}
        """The interrupts so far by their ids; each may come in several modes."""
        self._messages = GraphMessages()
        self._call_ids: dict[str, str] = {}
        """The id of the tool call that a node received as its input, by the `run_id` of the node."""
        self._is_of_graph = False
        """True once an event of a graph came: other runnables answer no graph's question."""

    def read_event(self, event: Any) -> None:  # noqa: ANN401 - of LangChain
        """Read an event, or what else a graph streams."""
        mode, data = open_part(event)
        is_part = not is_callback_event(data)
        if not self._is_of_graph and (is_part or "langgraph_node" in dict_of(data, "metadata")):
            self._is_of_graph = True
            self._run.requests.resumed_by(_GRAPH)
        if is_part:
            self._read_part(mode, data)
            self._ask(event.get("interrupts") if is_dict(event) else None)
            return
        reader = self._READERS.get(str(data["event"]))
        id = text_of(data, "run_id")
        if reader is not None and id is not None:
            reader(self, id, data, dict_of(data, "data"))

    # -- within ------------------------------------------------------------

    def _end_answers(self) -> Mapping[str, StreamError | None]:
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

    def _parent_ids(self, event: JsonObject) -> list[str]:
        """Return the `run_id`s of an event's parents, the nearest parent first."""
        ids: object = event.get("parent_ids")
        return [each for each in reversed(ids) if isinstance(each, str)] if is_list(ids) else []

    def _begin_step(self, id: str, event: JsonObject, _: JsonObject) -> Step:
        """Begin a step under the nearest open parent; LangChain may name the agent in the metadata."""
        parent = self._find_parent(event)
        agent = text_of(dict_of(event, "metadata"), "lc_agent_name")
        step = self._open[id] = parent.step(text_of(event, "name") or "step", agent=agent)
        return step

    def _find_parent(self, event: JsonObject) -> Step | Steps:
        """Return the nearest parent that is an open step; the run itself if there is none."""
        parents = (self._open[id] for id in self._parent_ids(event) if id in self._open)
        return next((step for step in parents if step.ended is None), self._run)

    def _begin_chain(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """Begin a step for a LangChain chain that is a node of a graph; other chains become no steps."""
        call = dict_of(dict_of(data, "input"), "tool_call")
        if text_of(call, "id") is not None:
            # The node runs a tool, which will begin inside it.
            self._call_ids[id] = str(call["id"])
        name = text_of(event, "name")
        if name is not None and name == text_of(dict_of(event, "metadata"), "langgraph_node"):
            self._begin_step(id, event, data)

    def _begin_model(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """Begin the step and the answer of a model; its tool calls are collected in `_calls`."""
        self._model_answers[id] = ModelAnswer(self._begin_step(id, event, data), "langchain", self._calls)

    def _read_model(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """Add a chunk to the answer of a model, unless the beginning of the answer was not seen."""
        answer, chunk = self._model_answers.get(id), data.get("chunk")
        if answer is not None:
            answer.read_piece(_as_message(chunk))

    def _end_model(self, id: str, event: JsonObject, data: JsonObject) -> None:
        answer = self._model_answers.pop(id, None)
        if answer is None:
            # The start of this model was not seen, or it has ended already.
            return
        if not answer.has_begun:
            # The model did not stream: the whole answer is in its last event.
            answer.read_piece(_as_message(data.get("output")))
        self._end_step(id, error=answer.end())

    def _begin_tool_step(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """Begin the step of a tool; the id of its call is in the event, or known for one of its parents."""
        call_id = text_of(data, "tool_call_id") or next(
            (self._call_ids[each] for each in self._parent_ids(event) if each in self._call_ids), None
        )
        name, parent = text_of(event, "name") or "tool", self._find_parent(event)
        self._begin_tool(id, name, parent, id=call_id, arguments=data.get("input"))

    def _end_tool_step(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """End the step of a tool with its output, which may be a message that reports the tool's error."""
        output = data.get("output")
        content, failed = field_of(output, "content"), field_of(output, "status") == "error"
        result = content if is_dict(output) and "tool_call_id" in output else output
        self._end_step(id, result, ToolFailed(str(content)) if failed else None)

    def _fail_tool_step(self, id: str, event: JsonObject, data: JsonObject) -> None:
        error = data.get("error")
        if type(error).__name__ == "GraphInterrupt":
            # The tool has stopped to ask, and stays open: the update with its question follows.
            return
        self._end_step(id, error=error if isinstance(error, Exception) else ToolFailed(str(error)))

    # -- what a graph streams ------------------------------------------------

    def _read_part(self, mode: str | None, data: Any) -> None:  # noqa: ANN401 - as a graph gives it
        """Read the messages in an item; without any, the update of a node is a step."""
        if is_dict(data) and (mode == "error" or data.keys() == {"error", "message"}):
            self.failure = provider_error({"error": data}, ours="the run failed")
            return
        found = self._messages.find(data, mode)
        if mode is None and not found and not _is_update(data):
            raise MisuseError(
                "a run shows the messages and the updates of a graph, and not all of its state: pass "
                'stream_mode="messages", "updates" or a list of both'
            )
        for each in found:
            self._read_message(each)
        if is_dict(data):
            self._ask(data)
            for node in data if mode is None and not found and not self._messages.has_pieces else ():
                if node != INTERRUPT:
                    self._run.step(node).end()

    def _read_message(self, streamed: StreamedMessage) -> None:
        """Add a message to the step of its node, or begin and end the step of a tool."""
        message, metadata, key = streamed
        kind, node = field_of(message, "type"), text_of(metadata, "langgraph_node") or "node"
        if kind in MODEL_MESSAGES:
            if key not in self._model_answers:
                step = self._open[key] = self._run.step(node, agent=text_of(metadata, "lc_agent_name"))
                self._model_answers[key] = ModelAnswer(step, "langchain", self._calls)
            self._model_answers[key].read_piece(message)
            # An "ai" message is a whole answer, of a model that did not stream.
            if kind == "ai" or field_of(message, "chunk_position") == "last":
                self._end_step(key, error=self._model_answers.pop(key).end())
        elif kind == "tool":
            # The message is the tool's result.
            id, status = str(field_of(message, "tool_call_id")), field_of(message, "status")
            error = ToolFailed(str(field_of(message, "content"))) if status == "error" else None
            name = field_of(message, "name")
            self._begin_tool(id, name if isinstance(name, str) and name else node, self._run, id=id)
            self._end_step(id, message["content"] if is_dict(message) else message, error)

    _READERS: ClassVar[dict[str, Callable[[LangChainRun, str, JsonObject, JsonObject], object]]] = {
        "on_chain_start": _begin_chain,
        # Only the graph itself tells what it has stopped for, and no graph above it.
        "on_chain_stream": lambda self, _id, _event, data: self._ask(dict_of(data, "chunk")),
        "on_chain_end": lambda self, id, _event, data: self._end_step(id, data.get("output")),
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
        "on_retriever_end": lambda self, id, _event, data: self._end_step(id, data.get("output")),
    }


def find_run_of_langchain(event: object, run: Steps) -> LangChainRun | None:
    """Return the reader for an event of LangChain or an item of a graph; None for any other event."""
    mode, data = open_part(event)
    is_part = mode in ("updates", "values") or (mode is not None and is_dict(event))
    is_known = is_part or is_callback_event(data) or (is_dict(data) and INTERRUPT in data)
    return LangChainRun(run) if is_known or any(messages_in(data)) else None


def _is_update(data: object) -> bool:
    """Return True for the updates of nodes; the whole state has values of any kind."""
    changes = [change for name, change in data.items() if name != INTERRUPT] if is_dict(data) else [data]
    return all(
        change is None or is_dict(change) or (is_list(change) and all(is_dict(each) for each in change))
        for change in changes
    )


def is_graph_stream(source: object) -> bool:
    """Return True for what `stream` or `astream` of a LangGraph graph returns."""
    return getattr(source, "__qualname__", None) in ("Pregel.stream", "Pregel.astream")


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

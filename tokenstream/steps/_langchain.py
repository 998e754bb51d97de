"""Readers that turn what LangChain and LangGraph yield into steps: their events, and what a graph streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, is_tuple, text_of
from tokenstream.errors import MisuseError
from tokenstream.stages._tools.generators import ToolFailed
from tokenstream.steps._agents.values import INTERRUPT, interrupts_of
from tokenstream.steps._framework import RunOfAFramework
from tokenstream.steps._model_answer import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tokenstream._basics.loose import JsonObject
    from tokenstream.errors import StreamError
    from tokenstream.events import StepWaiting
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step

_GRAPH = "langgraph "
"""The name of a graph that stops to ask, as for `Requests.hold`; it is that of the newer protocol, too."""


class RunOfAGraph(RunOfAFramework):
    """Base of the readers of LangGraph's older events, whose interrupts are in the updates or the state."""

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._model_answers: dict[str, ModelAnswer] = {}
        """The answers in progress, by the keys of their steps."""
        self._asked: dict[str, StepWaiting] = {}
        """The interrupts so far by their ids; each may come in several modes."""

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

    def read_event(self, event: JsonObject) -> None:
        if not self._is_of_graph and "langgraph_node" in dict_of(event, "metadata"):
            self._is_of_graph = True
            self._run.requests.resumed_by(_GRAPH)
        reader = self._READERS.get(str(event.get("event")))
        id = text_of(event, "run_id")
        if reader is not None and id is not None:
            reader(self, id, event, dict_of(event, "data"))

    # -- within ------------------------------------------------------------

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
        failed = getattr(output, "status", None) == "error"
        self._end_step(id, output, ToolFailed(str(getattr(output, "content", ""))) if failed else None)

    def _fail_tool_step(self, id: str, event: JsonObject, data: JsonObject) -> None:
        """End the step of a tool with the exception that the tool has raised."""
        error = data.get("error")
        if type(error).__name__ == "GraphInterrupt":
            # The tool has stopped to ask, and stays open: the update with its question follows.
            return
        self._end_step(id, error=error if isinstance(error, Exception) else ToolFailed(str(error)))

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
        pair, (mode, data) = message_in(event), _find_stream_mode(event)
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

    def _read_message(self, message: Any, metadata: JsonObject) -> None:  # noqa: ANN401 - of LangChain
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


def find_run_of_langchain(event: object, run: Steps) -> RunOfAFramework | None:
    """Return the reader for an event of LangChain or an item of a graph; None for any other event."""
    if is_dict(event):
        # `astream_events` of LangChain and LangGraph yields dicts; the other frameworks yield objects.
        if _PART.issubset(event):
            return GraphMessages(run)
        if "run_id" in event and "event" in event:
            return LangChainRun(run)
        has_news = INTERRUPT in event or any(any(_messages_in(change)) for change in event.values())
        return GraphMessages(run) if has_news else None
    is_of_graph = message_in(event) is not None or _find_stream_mode(event)[0] in ("updates", "values")
    return GraphMessages(run) if is_of_graph else None


def message_in(event: object) -> tuple[Any, JsonObject] | None:
    """Return the message and its metadata from an item that a graph streams; None for any other item.

    With several stream modes, or with subgraphs, an item is a tuple of their names with the pair
    of message and metadata at its end.
    """
    event = _as_tuple(event)
    while is_tuple(event) and event:
        message, metadata = event[0], event[-1]
        if is_dict(metadata) and "langgraph_node" in metadata and hasattr(message, "type"):
            return message, metadata
        event = metadata
    return None


def _find_stream_mode(event: object) -> tuple[str | None, object]:
    """Return the mode of an item that a graph streams, None if there is only one, and what it has."""
    item = _as_tuple(event)
    if not is_tuple(item) or not item:
        return None, item
    *before, data = item
    mode: object = before[-1] if before else None
    return (mode if isinstance(mode, str) else None), data


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

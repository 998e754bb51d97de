"""Turns the events of LangChain and LangGraph into the steps of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream.stages._handlers.tool_failed import ToolFailed
from tokenstream.steps._framework import RunOfAFramework
from tokenstream.steps._spoken import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step


class LangChainRun(RunOfAFramework):
    """Reads the events that `astream_events` of a LangChain runnable or a LangGraph graph yields.

    Models, tools, retrievers and the nodes of a graph become steps; other events are ignored.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: dict[str, ModelAnswer] = {}
        self._ids: dict[str, str] = {}
        """The id of the tool call that a node received as its input, by the `run_id` of the node."""

    def take(self, event: dict[str, Any]) -> None:
        """Begin, continue or end steps, as an event says; ignore events of other kinds."""
        reader = self._READERS.get(str(event.get("event")))
        id = text_of(event, "run_id")
        if reader is not None and id is not None:
            reader(self, id, event, dict_of(event, "data"))

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        return {key: spoken.end() for key, spoken in self._spoken.items()}

    # -- within ------------------------------------------------------------

    def _parents(self, event: dict[str, Any]) -> list[str]:
        """Return the `run_id`s of an event's parents, the nearest parent first."""
        parents: object = event.get("parent_ids")
        return [each for each in reversed(parents) if isinstance(each, str)] if is_list(parents) else []

    def _begin(self, id: str, event: dict[str, Any], _: dict[str, Any]) -> Step:
        parent = self._parent_of(event)
        agent = text_of(dict_of(event, "metadata"), "lc_agent_name")
        step = self._open[id] = parent.step(text_of(event, "name") or "step", agent=agent)
        return step

    def _parent_of(self, event: dict[str, Any]) -> Step | Steps:
        """Return the nearest parent that is an open step; the run itself if there is none."""
        found = (self._open[id] for id in self._parents(event) if id in self._open)
        return next((step for step in found if step.ended is None), self._run)

    def _begin_chain(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin a step if the chain is a node of a graph; other chains become no steps."""
        call = dict_of(dict_of(data, "input"), "tool_call")
        if text_of(call, "id") is not None:
            self._ids[id] = str(call["id"])
        name = text_of(event, "name")
        if name is not None and name == text_of(dict_of(event, "metadata"), "langgraph_node"):
            self._begin(id, event, data)

    def _end_chain(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        self._end_step(id, data.get("output"))

    def _begin_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        self._spoken[id] = ModelAnswer(self._begin(id, event, data), "langchain", self._calls)

    def _read_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        spoken, chunk = self._spoken.get(id), data.get("chunk")
        if spoken is not None:
            spoken.take(_message_of(chunk))

    def _end_model(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """End the answer of a model, and its step."""
        spoken = self._spoken.pop(id, None)
        if spoken is None:
            return
        if not spoken.begun:
            # The model did not stream: the whole answer is in its last event.
            spoken.take(_message_of(data.get("output")))
        self._end_step(id, error=spoken.end())

    def _begin_called(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        """Begin the step of a tool; its call is named by the event itself, or by the nearest node."""
        told = text_of(data, "tool_call_id") or next(
            (self._ids[each] for each in self._parents(event) if each in self._ids), None
        )
        name, parent = text_of(event, "name") or "tool", self._parent_of(event)
        self._begin_tool(id, name, parent, id=told, arguments=data.get("input"))

    def _end_called(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        output = data.get("output")
        failed = getattr(output, "status", None) == "error"
        self._end_step(id, output, ToolFailed(str(getattr(output, "content", ""))) if failed else None)

    def _fail_called(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
        error = data.get("error")
        self._end_step(id, error=error if isinstance(error, Exception) else ToolFailed(str(error)))

    _READERS: ClassVar[dict[str, Callable[[LangChainRun, str, dict[str, Any], dict[str, Any]], object]]] = {
        "on_chain_start": _begin_chain,
        "on_chain_end": _end_chain,
        "on_chat_model_start": _begin_model,
        "on_chat_model_stream": _read_model,
        "on_chat_model_end": _end_model,
        "on_llm_start": _begin_model,
        "on_llm_stream": _read_model,
        "on_llm_end": _end_model,
        "on_tool_start": _begin_called,
        "on_tool_end": _end_called,
        "on_tool_error": _fail_called,
        "on_retriever_start": _begin,
        "on_retriever_end": _end_chain,
    }


class GraphMessages(RunOfAFramework):
    """Reads the messages that a LangGraph graph streams, each with its metadata.

    Each node with a model's answer becomes a step, and so does each tool. Of a tool only the result
    is streamed, so its step begins and ends at once.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: dict[str, ModelAnswer] = {}

    def take(self, event: Any) -> None:  # noqa: ANN401 - an object of LangGraph
        """Add a message to the step of its node, or begin and end the step of a tool."""
        pair = message_in(event)
        if pair is None:
            return
        message, about = pair
        kind, node = message.type, text_of(about, "langgraph_node") or "node"
        if kind in ("AIMessageChunk", "ai"):
            key = self._key_of(message.id, text_of(about, "langgraph_checkpoint_ns") or node)
            if key not in self._spoken:
                step = self._open[key] = self._run.step(node, agent=text_of(about, "lc_agent_name"))
                self._spoken[key] = ModelAnswer(step, "langchain", self._calls)
            self._spoken[key].take(message)
            if kind == "ai" or getattr(message, "chunk_position", None) == "last":
                self._end_step(key, error=self._spoken.pop(key).end())
        elif kind == "tool":
            id = str(message.tool_call_id)
            error = ToolFailed(str(message.content)) if message.status == "error" else None
            self._begin_tool(id, message.name or node, self._run, id=id)
            self._end_step(id, message, error)

    # -- within ------------------------------------------------------------

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        return {key: spoken.end() for key, spoken in self._spoken.items()}

    def _key_of(self, id: object, place: str) -> str:
        """Return the key of an answer: the id of the model's run, or the node until that id is known.

        Args:
            id: The id of a message; it identifies the model's run if it begins with "lc_" or "run-".
            place: The node, in its namespace.
        """
        if not isinstance(id, str) or not id.startswith(("lc_", "run-")):
            return place
        if place in self._spoken:
            self._spoken[id], self._open[id] = self._spoken.pop(place), self._open.pop(place)
        return id


def message_in(event: Any) -> tuple[Any, dict[str, Any]] | None:  # noqa: ANN401 - any object
    """Return the message and its metadata from an item that a graph streams; None for any other item.

    With several stream modes, or with subgraphs, an item is a tuple of their names with the pair
    of message and metadata at its end.
    """
    while _is_tuple(event) and event:
        message, about = event[0], event[-1]
        if is_dict(about) and "langgraph_node" in about and hasattr(message, "type"):
            return message, about
        event = about
    return None


def _is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(value, tuple)


def _message_of(chunk: Any) -> Any:  # noqa: ANN401 - an object of LangChain
    """Return a chunk as a message; a completion model's chunk, which is text or has text, is converted."""
    text = chunk if isinstance(chunk, str) else getattr(chunk, "text", None)
    if isinstance(text, str) and not hasattr(chunk, "response_metadata"):
        return {
            "type": "AIMessageChunk",
            "content": text,
            "response_metadata": getattr(chunk, "generation_info", None) or {},
        }
    return chunk

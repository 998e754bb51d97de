"""Makes runs from the events of LangChain and LangGraph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard

from tokenstream._basics.untrusted import dict_of, is_dict, is_list, text_of
from tokenstream.stages._handlers import ToolFailed
from tokenstream.steps._framework import RunOfAFramework
from tokenstream.steps._spoken import ModelAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream.errors import StreamError
    from tokenstream.steps._run import Steps
    from tokenstream.steps._step import Step


class LangChainRun(RunOfAFramework):
    """Reads the events of `astream_events`, of LangChain and of LangGraph's graphs.

    Models, tools, retrievers and the nodes of a graph become steps; other events are ignored.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: dict[str, ModelAnswer] = {}
        self._ids: dict[str, str] = {}
        """The ids of the tool calls that nodes received as input, by the node's run."""

    def take(self, event: dict[str, Any]) -> None:
        """Take an event."""
        reader = self._READERS.get(str(event.get("event")))
        id = text_of(event, "run_id")
        if reader is not None and id is not None:
            reader(self, id, event, dict_of(event, "data"))

    def _end_answers(self) -> Mapping[str, StreamError | None]:
        return {key: spoken.end() for key, spoken in self._spoken.items()}

    # -- within ------------------------------------------------------------

    def _parents(self, event: dict[str, Any]) -> list[str]:
        parents: object = event.get("parent_ids")
        return [each for each in reversed(parents) if isinstance(each, str)] if is_list(parents) else []

    def _begin(self, id: str, event: dict[str, Any], _: dict[str, Any]) -> Step:
        parent = self._parent_of(event)
        agent = text_of(dict_of(event, "metadata"), "lc_agent_name")
        step = self._open[id] = parent.step(text_of(event, "name") or "step", agent=agent)
        return step

    def _parent_of(self, event: dict[str, Any]) -> Step | Steps:
        found = (self._open[id] for id in self._parents(event) if id in self._open)
        return next((step for step in found if step.ended is None), self._run)

    def _begin_chain(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
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
        spoken = self._spoken.pop(id, None)
        if spoken is None:
            return
        if not spoken.begun:
            # The model did not stream.
            spoken.take(_message_of(data.get("output")))
        self._end_step(id, error=spoken.end())

    def _begin_called(self, id: str, event: dict[str, Any], data: dict[str, Any]) -> None:
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
    """Reads the messages that a graph of LangGraph streams, each with its metadata.

    Nodes with a model's answer become steps, and tools, of which only the end is reported.
    """

    def __init__(self, run: Steps) -> None:
        super().__init__(run)
        self._spoken: dict[str, ModelAnswer] = {}

    def take(self, event: Any) -> None:  # noqa: ANN401 - an object of LangGraph
        """Take a message."""
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
        """Return an answer's key: the id of its run, or its node until a chunk carries that id."""
        if not isinstance(id, str) or not id.startswith(("lc_", "run-")):
            return place
        if place in self._spoken:
            self._spoken[id], self._open[id] = self._spoken.pop(place), self._open.pop(place)
        return id


def message_in(event: Any) -> tuple[Any, dict[str, Any]] | None:  # noqa: ANN401 - any object
    """Return the message and metadata in an item of a graph's stream; None for any other item.

    With several stream modes, or with subgraphs, the pair follows their names in the tuple.
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
    """Return a message; text, or an object with text, from a completion model becomes a message."""
    text = chunk if isinstance(chunk, str) else getattr(chunk, "text", None)
    if isinstance(text, str) and not hasattr(chunk, "response_metadata"):
        return {
            "type": "AIMessageChunk",
            "content": text,
            "response_metadata": getattr(chunk, "generation_info", None) or {},
        }
    return chunk

"""The messages in what a graph of LangGraph streams, in the program and from a server in its five modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import (
    dict_of,
    dicts_of,
    is_dict,
    is_list,
    is_tuple,
    text_of,
    text_or_empty,
)
from tokenstream.formats._kit.values import json_text, split_names
from tokenstream.formats._wire.langchain.parts import MADE_UP_ID_PREFIXES, reason_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import JsonObject

    Found = tuple[Any, JsonObject]

MODEL_MESSAGES = ("AIMessageChunk", "ai")
"""Types of a model's messages: a chunk, or a whole message if the model does not stream."""
DOCUMENTED = split_names(
    "human system tool function chat remove message HumanMessageChunk SystemMessageChunk "
    "ToolMessageChunk FunctionMessageChunk ChatMessageChunk message-start message-finish "
    "content-block-start content-block-delta content-block-finish "
    "checkpoints custom debug end error events feedback input interrupts lifecycle messages/metadata "
    "metadata part state tasks tools updates usage values on_chain_end on_chain_start on_chain_stream "
    "on_chat_model_end on_chat_model_start on_chat_model_stream on_custom_event on_llm_end on_llm_start "
    "on_llm_stream on_parser_end on_parser_start on_parser_stream on_prompt_end on_prompt_start "
    "on_retriever_end on_retriever_start on_tool_end on_tool_error on_tool_start"
)
"""The types of messages that no model has written, the modes of a graph's stream, and the methods and events
of its server and of `astream_events`."""
_PART = frozenset({"type", "ns", "data"})
"""The keys of an item that a graph streams with `version="v2"`."""
_KEPT = ("type", "index")
"""Fields of a block that each piece of it has."""
_FIELDS_OF_EVENTS = {"on_chat_model_stream": "chunk", "on_chat_model_end": "output", "on_tool_end": "output"}
"""The fields of events with a message, by the names of the events."""
_OTHER_MODES = ("checkpoints", "custom", "debug", "tasks")
"""Modes whose items repeat those of others, or are the application's."""
_REMEMBERED = 2_000
"""Number of messages that are remembered at least."""


class StreamedMessage(NamedTuple):
    """A message, or a piece of one, that a graph has streamed."""

    message: Any
    """An object of LangChain, or its fields."""
    metadata: JsonObject
    """LangGraph's metadata, which have the node at least."""
    name: str
    """The name of its answer, which all pieces of that share."""


def open_part(item: Any) -> tuple[str | None, Any]:  # noqa: ANN401 - as a graph or a server gives it
    """Return the mode of an item that a graph streams, None if the item does not tell it, and its data.

    In the program it may be a tuple with the mode before its end, or a dict of `version="v2"`, which a client
    of a server has, too. A list, which a body has as payload, is under `data`.
    """
    if is_dict(item):
        mode = str(item["type"]) if item.keys() >= _PART else None
        return mode, item["data"] if mode is not None or item.keys() == {"data"} else item
    if not is_tuple(item) or not item or _is_pair(item):
        return None, item
    mode = item[-2] if item[1:] else None
    return mode if isinstance(mode, str) else None, item[-1]


def is_callback_event(data: object) -> bool:
    """Return True for an event of `astream_events`."""
    return is_dict(data) and "run_id" in data and "event" in data


def is_of_server(payload: JsonObject) -> bool:
    """Return True for the first payload of a LangGraph server."""
    return open_part(payload)[0] == "metadata" or payload.keys() == {"run_id", "attempt"}


def field_of(message: Any, name: str) -> Any:  # noqa: ANN401 - as LangChain gives it
    return message.get(name) if is_dict(message) else getattr(message, name, None)


def message_event_in(payload: JsonObject) -> tuple[object, JsonObject]:
    """Return the event of a model in an event of a graph, and LangGraph's metadata, {} if there are none.

    In Python, the data are a pair of both; the first may also be a whole message, of a model that was not
    streamed. From a server, the data are the event alone.
    """
    data: object = dict_of(payload, "params").get("data")
    pair = list(data) if is_tuple(data) else data
    if not is_list(pair) or not pair:
        return pair, {}
    metadata = pair[-1]
    return pair[0], metadata if is_dict(metadata) else {}


def source_of(payload: JsonObject, metadata: JsonObject) -> str | None:
    """Return what tells the events of a message from those of others that are open in the same namespace.

    It is the model's run, or the node; None if neither is known.
    """
    node = text_of(dict_of(payload, "params"), "node")
    return text_of(metadata, "run_id") or node or text_of(metadata, "langgraph_node")


class GraphMessages:
    """Finds the messages of a run that no item has had before.

    The updates of nodes and the state repeat what pieces have brought. A state has all messages of its
    thread, so those of the first one are older than the run.

    Args:
        has_begun: True if the first items are not those of the run.
    """

    __slots__ = ("_count", "_growing", "_has_state", "_known", "_metadata", "_names", "_open", "has_pieces")

    def __init__(self, *, has_begun: bool = False) -> None:
        self.has_pieces = False
        """True once a piece was streamed."""
        self._has_state = has_begun
        self._known = RecentIds(_REMEMBERED)
        """The ids of the messages in updates and states."""
        self._count = 0
        """Number of messages and pieces, of which some may lack an id."""
        self._names: dict[str, str] = {}
        """The names of the messages that come in chunks, by their ids."""
        self._open: dict[str, str] = {}
        """The names of messages without an id of LangChain's so far, by their places."""
        self._growing: dict[str, JsonObject] = {}
        """The messages that are sent whole each time that they have grown, by their ids."""
        self._metadata: dict[str, JsonObject] = {}
        """The metadata of such messages."""

    def find(self, data: Any, mode: str | None = None) -> list[StreamedMessage]:  # noqa: ANN401 - as a graph gives it
        """Return the new messages in the data of an item, and note what the item says of later ones."""
        found = [] if mode in _OTHER_MODES else [*messages_in(data)]
        if is_list(data) and not _is_pair(data) and mode != "messages/complete":
            found = [self._find_rest(each) for each, _ in found if is_dict(each)]
        if not is_dict(data) or is_callback_event(data):
            self.has_pieces = self.has_pieces or bool(found)
        else:
            self._metadata |= {id: dict_of(each, "metadata") for id, each in data.items() if is_dict(each)}
            is_state = is_list(data.get("messages"))
            is_old, self._has_state = is_state and not self._has_state, is_state or self._has_state
            new = [
                each for each in found if (id := field_of(each[0], "id")) is None or self._known.add(str(id))
            ]
            found = [] if self.has_pieces or is_old else new
        tables: tuple[dict[str, Any], ...] = (self._names, self._open, self._growing, self._metadata)
        for table in tables:
            while len(table) > _REMEMBERED:
                del table[next(iter(table))]
        return [StreamedMessage(*each, self._name(*each)) for each in found]

    def find_own(self, payload: JsonObject, event: str = "") -> list[StreamedMessage]:
        """Return the new messages in a payload of a server, without those of subgraphs, such as subagents."""
        mode, data = open_part(payload)
        found = [each for each in self.find(data, mode or event) if is_dict(each.message)]
        return [each for each in found if "|" not in str(each.metadata.get("langgraph_checkpoint_ns"))]

    def _find_rest(self, message: JsonObject) -> Found:
        """Return what a message has beyond what it had before; its calls once it has its finish reason."""
        id = str(message.get("id"))
        metadata = self._metadata.get(id, {})
        if message["type"] != "ai":
            return message, metadata
        before, self._growing[id] = self._growing.get(id, {}), message
        chunk: JsonObject = {**_less(message, before), "type": "AIMessageChunk", "id": id}
        if _has_reason(message) and not _has_reason(before):
            chunk["tool_call_chunks"] = [
                {**call, "args": json_text(call.get("args")), "index": n}
                for n, call in enumerate(dicts_of(message.get("tool_calls")))
            ]
        return chunk, metadata

    def _name(self, message: object, metadata: JsonObject) -> str:
        """Return the name of a message, its first id: a provider's may be on a first chunk only."""
        place = text_or_empty(metadata, "langgraph_checkpoint_ns", "langgraph_node")
        self._count += 1
        id = str(field_of(message, "id") or f"{place} {self._count}")
        if field_of(message, "type") == "AIMessageChunk":
            is_made_up = id.startswith(MADE_UP_ID_PREFIXES)
            name = self._names.get(id) or (self._open.pop(place, id) if is_made_up else id)
            self._names[id] = name
            if not is_made_up:
                self._open[place] = name
            if field_of(message, "chunk_position") == "last":
                self._open.pop(place, None)
        return self._names.get(id, id)


def messages_in(data: Any) -> Iterator[Found]:  # noqa: ANN401 - as a graph gives it
    """Yield the messages in the data of an item, with LangGraph's metadata."""
    if _is_pair(data):
        yield data[0], data[1]
    elif is_callback_event(data):
        message = dict_of(data, "data").get(_FIELDS_OF_EVENTS.get(str(data["event"]), ""))
        if _is_message(message):
            yield message, dict_of(data, "metadata")
    elif is_dict(data) or is_list(data):
        for node, change in data.items() if is_dict(data) else [("", data)]:
            for each in change if is_list(change) else [change]:
                for value in each.values() if is_dict(each) and not _is_message(each) else [each]:
                    for item in value if is_list(value) else [value]:
                        if _is_message(item):
                            yield item, {"langgraph_node": node}


def _is_pair(data: Any) -> bool:  # noqa: ANN401 - any value
    """Return True for a message with LangGraph's metadata."""
    is_pair = (is_tuple(data) or is_list(data)) and len(data) == 2
    return is_pair and is_dict(data[1]) and "langgraph_node" in data[1] and _is_message(data[0])


def _is_message(value: object) -> bool:
    return field_of(value, "type") is not None and field_of(value, "content") is not None


def _has_reason(message: JsonObject) -> bool:
    return reason_in(dict_of(message, "response_metadata"), list[str]().append) is not None


def _less(value: Any, before: Any) -> Any:  # noqa: ANN401 - JSON
    """Return what a value has beyond what it had before: the rest of a text, new fields, more tokens."""
    if is_list(value):
        old = dict(enumerate(before)) if is_list(before) else {}
        return [*_less(dict(enumerate(value)), old).values()]
    if is_dict(value):
        known: JsonObject = before if is_dict(before) else {}
        changed = {
            name: _less(each, known.get(name)) for name, each in value.items() if each != known.get(name)
        }
        return {name: value[name] for name in _KEPT if name in value} | changed
    if isinstance(value, str) and isinstance(before, str):
        return value.removeprefix(before)
    return value - before if isinstance(value, int) and isinstance(before, int) else value

"""The messages in what a graph of LangGraph streams, in the program and from a server in its five modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tokenstream._basics.recent_ids import RecentIds
from tokenstream._basics.untrusted import dict_of, dicts_of, is_dict, is_list, is_tuple, text_of
from tokenstream.formats._kit.values import json_text
from tokenstream.formats._wire.langchain.parts import MADE_UP_ID_PREFIXES, reason_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream._basics.loose import Json, JsonObject

MODEL_MESSAGES = ("AIMessageChunk", "ai")
"""Types of a model's messages: a chunk, or a whole message if the model does not stream."""
_CLASSES = {"AIMessage": "ai", "HumanMessage": "human", "SystemMessage": "system", "ToolMessage": "tool"}
"""The types of messages by the names of their classes, as LangChain's own JSON names them."""
_PART = frozenset({"type", "ns", "data"})
"""The keys of an item that a graph streams with `version="v2"`."""
_FIELDS_OF_EVENTS = {"on_chat_model_stream": "chunk", "on_chat_model_end": "output", "on_tool_end": "output"}
"""The fields of events with a message, by the names of the events."""
_GROWING = ("text", "reasoning", "thinking", "reasoning_content")
"""Fields of a message, or of its blocks, with text that grows."""
_REMEMBERED = 2_000
"""Number of ids of messages that are remembered at least."""


class StreamedMessage(NamedTuple):
    """A message, or a piece of one, that a graph has streamed."""

    message: Any
    """An object of LangChain, or its fields."""
    metadata: JsonObject
    """LangGraph's metadata, of which the node is known at least, if anything is."""
    name: str
    """The name of its answer, which all pieces of one share."""


def open_part(item: Any) -> tuple[str | None, Any]:  # noqa: ANN401 - as a graph or a server gives it
    """Return the mode of an item that a graph streams, None if the item does not tell it, and its data.

    | item | from |
    |---|---|
    | a dict with the mode, the namespace and the data | `version="v2"`, in the program or of a client |
    | `{"data": […]}` | a body, whose payload is a list |
    | an object with the mode as `event` | a client of a server |
    | a tuple with the mode before its end, or without one | the program, with and without several modes |
    """
    if is_dict(item):
        mode = text_of(item, "type") if item.keys() >= _PART else None
        return mode, item["data"] if mode is not None or item.keys() == {"data"} else item
    if isinstance(mode := getattr(item, "event", None), str) and hasattr(item, "data"):
        return mode.partition("|")[0], item.data
    if not is_tuple(item) or not item or _is_pair(item):
        return None, item
    *before, data = item
    mode = before[-1] if before else None
    return (mode if isinstance(mode, str) else None), data


def is_event(data: object) -> bool:
    """Return True for an event of `astream_events`."""
    return is_dict(data) and "run_id" in data and "event" in data


def is_of_server(payload: JsonObject, event: str = "metadata") -> bool:
    """Return True for a payload that only a LangGraph server sends: the first one, or one with messages."""
    if event == "metadata" and "run_id" in payload and "attempt" in payload:
        return True
    found = () if is_event(payload) else messages_in(open_part(payload)[1])
    return any(is_dict(message) and "additional_kwargs" in message for message, _ in found)


def field_of(message: Any, name: str) -> Any:  # noqa: ANN401 - as LangChain gives it
    return message.get(name) if is_dict(message) else getattr(message, name, None)


class GraphMessages:
    """Finds the messages of a run that no item has had before.

    Pieces are read in place of the whole messages that the updates of nodes and the state repeat. A state has
    all messages of its thread, so those of the first one are older than the run.

    Args:
        has_begun: True if the first items are not those of the run.
    """

    __slots__ = ("_growing", "_has_state", "_known", "_metadata", "_names", "_open", "_unnamed", "has_pieces")

    def __init__(self, *, has_begun: bool = False) -> None:
        self.has_pieces = False
        """True once a piece was streamed: updates and states then repeat what the pieces have."""
        self._has_state = has_begun
        self._known = RecentIds(_REMEMBERED)
        self._names: dict[str, str] = {}
        """The names of the messages by their ids."""
        self._open: dict[str, tuple[str, bool]] = {}
        """The names of the last messages by their places, and True for those with an id of LangChain's."""
        self._metadata: dict[str, JsonObject] = {}
        self._unnamed = 0
        """Number of whole messages, of which some may lack an id."""
        self._growing: dict[str, _GrowingMessage] = {}

    def find(self, data: Any, mode: str | None = None) -> list[StreamedMessage]:  # noqa: ANN401 - as a graph gives it
        """Return the new messages in the data of an item, and note what the item says of later ones."""
        found = [*messages_in(data)]
        if is_dict(data) and not is_event(data):
            for id, each in data.items():
                if is_dict(each) and each.keys() == {"metadata"}:
                    self._metadata[id] = dict_of(each, "metadata")
            found = [] if self.has_pieces else self._take_new(found, is_state=is_list(data.get("messages")))
        elif found:
            self.has_pieces = True
        if is_list(data) and not _is_pair(data) and mode != "messages/complete":
            found = [
                (self._find_rest(each), self._metadata.get(str(each.get("id")), {})) for each, _ in found
            ]
        return [StreamedMessage(*each, self._name(*each)) for each in found]

    def _take_new(self, found: list[_Found], *, is_state: bool) -> list[_Found]:
        """Return the messages that neither an update nor a state has had; none of the first state."""
        is_old, self._has_state = is_state and not self._has_state, self._has_state or is_state
        new = [each for each in found if (id := field_of(each[0], "id")) is None or self._known.add(str(id))]
        return [] if is_old else new

    def _find_rest(self, message: JsonObject) -> JsonObject:
        """Return what a message has beyond what it had before; a tool's is sent once."""
        if message["type"] != "ai":
            return message
        return self._growing.setdefault(str(message.get("id")), _GrowingMessage()).find_rest(message)

    def _name(self, message: object, metadata: JsonObject) -> str:
        """Return the name of a message: its first id, since LangChain's and a provider's may take turns.

        In one place, another id is that of another message only if it is of the same origin.
        """
        place = text_of(metadata, "langgraph_checkpoint_ns", "langgraph_node") or ""
        if field_of(message, "type") != "AIMessageChunk":
            # It is whole.
            self._unnamed += 1
            id = field_of(message, "id") or f"{place} {self._unnamed}"
            return self._names.get(id, id)
        name, has_made_up = self._open.get(place, (place, True))
        id = field_of(message, "id")
        if isinstance(id, str):
            is_made_up = id.startswith(MADE_UP_ID_PREFIXES)
            is_other = place not in self._open or is_made_up == has_made_up
            name = self._names.setdefault(id, id if is_other else name)
            has_made_up = is_made_up or (has_made_up and not is_other)
        self._open[place] = name, has_made_up
        if field_of(message, "chunk_position") == "last":
            self._open.pop(place, None)
        tables: list[dict[str, Any]] = [self._names, self._open, self._growing, self._metadata]
        for table in tables:
            if len(table) > _REMEMBERED:
                del table[next(iter(table))]
        return name


class _GrowingMessage:
    """A model's message that is sent whole each time that it has grown."""

    __slots__ = ("_has_calls", "_lengths", "_sent", "_usage")

    def __init__(self) -> None:
        self._lengths: dict[object, int] = {}
        """The number of characters of each text so far, by its place."""
        self._sent: JsonObject = {}
        """The fields beside the content that were sent last."""
        self._usage: JsonObject = {}
        self._has_calls = False

    def find_rest(self, message: JsonObject) -> JsonObject:
        """Return a chunk with what is new; calls are whole once the message has its finish reason."""
        content, sent = message.get("content"), self._sent
        others: JsonObject = {name: message.get(name) for name in ("response_metadata", "additional_kwargs")}
        self._sent = others
        chunk: JsonObject = {"type": "AIMessageChunk", "id": message.get("id"), "response_metadata": {}}
        chunk |= {name: value for name, value in others.items() if value != sent.get(name)}
        chunk["additional_kwargs"] = self._rest_of("", dict_of(chunk, "additional_kwargs"))
        if isinstance(content, str):
            chunk["content"] = self._rest(None, content)
        else:
            chunk["content"] = [self._rest_of(n, block) for n, block in enumerate(dicts_of(content))]
        if not self._has_calls and reason_in(dict_of(message, "response_metadata"), lambda _: None):
            self._has_calls = True
            chunk["tool_call_chunks"] = [
                {**call, "args": json_text(call.get("args")), "index": n}
                for n, call in enumerate(dicts_of(message.get("tool_calls")))
            ]
        usage = dict_of(message, "usage_metadata")
        chunk["usage_metadata"], self._usage = _less(usage, self._usage), usage or self._usage
        return chunk

    def _rest(self, place: object, text: str) -> str:
        before, self._lengths[place] = self._lengths.get(place, 0), len(text)
        return text[before:]

    def _rest_of(self, place: object, block: JsonObject) -> JsonObject:
        return {
            name: self._rest((place, name), value) if name in _GROWING and isinstance(value, str) else value
            for name, value in block.items()
        }


def _less(report: JsonObject, before: JsonObject) -> JsonObject:
    """Return counts without those that were reported before."""
    return {
        name: _less(value, dict_of(before, name))
        if is_dict(value)
        else value - before.get(name, 0)
        if isinstance(value, int)
        else value
        for name, value in report.items()
        if value != before.get(name)
    }


_Found = tuple[Any, "JsonObject"]


def messages_in(data: Any) -> Iterator[_Found]:  # noqa: ANN401 - as a graph gives it
    """Yield the messages in the data of an item, with LangGraph's metadata."""
    if _is_pair(data):
        yield _flatten(data[0]), data[1]
    elif is_event(data):
        message = dict_of(data, "data").get(_FIELDS_OF_EVENTS.get(str(data["event"]), ""))
        if _is_message(message):
            yield _flatten(message), dict_of(data, "metadata")
    elif is_dict(data) or is_list(data):
        for node, change in data.items() if is_dict(data) else [("", data)]:
            for each in change if is_list(change) else [change]:
                for value in [each] if _is_message(each) or not is_dict(each) else each.values():
                    for item in value if is_list(value) else [value]:
                        if _is_message(item):
                            yield _flatten(item), {"langgraph_node": node}


def _is_pair(data: Any) -> bool:  # noqa: ANN401 - any value
    """Return True for a message with LangGraph's metadata."""
    is_pair = (is_tuple(data) or is_list(data)) and len(data) == 2
    return is_pair and is_dict(data[1]) and "langgraph_node" in data[1] and _is_message(data[0])


def _is_message(value: Any) -> bool:  # noqa: ANN401 - any value
    if is_dict(value):
        return "type" in value and ("content" in value or "content" in dict_of(value, "kwargs"))
    return hasattr(value, "type") and hasattr(value, "content")


def _flatten(message: Any) -> Any:  # noqa: ANN401 - as LangChain gives it
    """Return a message of LangChain's own JSON, which names a class and its arguments, as others are sent."""
    path: Json = message.get("id") if is_dict(message) else None
    if not is_list(path) or not path:
        return message
    name = str(path[-1])
    return {"additional_kwargs": {}, **dict_of(message, "kwargs"), "type": _CLASSES.get(name, name)}

"""The conversion of objects of SDKs and frameworks back to the payloads from which they were made.

Fields that only repeat other fields, or are derived from other fields, are left out. The frameworks
are LangChain and LlamaIndex. Events of an OpenAI Agents run, and the streams of events of LangChain and
LangGraph, are recognised here, too.
"""

from __future__ import annotations

import importlib
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from tokenstream._basics.untrusted import is_dict, is_list, is_mapping, is_mock
from tokenstream._sources.kinds import SKIPPED, keep
from tokenstream.errors import ProtocolError
from tokenstream.formats._kit.values import split_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tokenstream._basics.loose import Json, JsonObject

_SCALARS = (str, int, float)
_UNCHANGED_TYPES = frozenset({bytes, str, dict, bytearray, memoryview})
_SDKS_WITH_HELPERS = frozenset({"openai", "anthropic"})
"""SDKs whose stream helpers add events of their own to the server's events."""
_SDKS = _SDKS_WITH_HELPERS | {"cohere", "google", "huggingface_hub", "litellm", "mistralai", "ollama"}
"""SDKs whose streams yield decoded payloads, even if a payload is not a JSON object."""
_ADDED_EVENTS = split_names(
    # Events that the stream helper of openai adds for convenience.
    "content.delta content.done logprobs.content.delta logprobs.content.done logprobs.refusal.delta "
    "logprobs.refusal.done refusal.delta refusal.done tool_calls.function.arguments.delta "
    "tool_calls.function.arguments.done "
    # Events that the stream helper of anthropic adds for convenience.
    "citation input_json signature text thinking"
)
"""Types of events that repeat the content of other events."""
_FIELDS_ADDED_BY_TYPE = {"content_block_stop": ("content_block",), "message_stop": ("message",)}
"""Maps the types of the server's events to the fields that a helper adds to these events."""
_FIELDS_ADDED_ANYWHERE = ("snapshot", "parsed", "parsed_output")
_EVENT_FIELDS = frozenset({"data"})
"""The only field of an object for an SSE event, as mistralai has them; the field's value is the payload."""
_NAMED_EVENT_FIELDS = frozenset({"event", "data"})
"""The fields of an object for an SSE event with a name, which mistralai has for conversations."""
_VALUE_NAMES: dict[type, str] = {bool: "true or false", float: "a number", int: "a number", list: "an array"}
"""Maps the types of JSON values that cannot be payloads to their names in messages."""
_ATTRIBUTES = "__dict__"
_DATACLASS_ATTRIBUTE = "__dataclass_fields__"
_REASON_ATTRIBUTE, _OTHER_REASON_ATTRIBUTE = "received_finish_reason", "intermittent_finish_reason"
"""Attributes of a litellm stream with the finish reasons that it has received."""
_ROUTER_PREFIX = "litellm.router"
"""The beginning of the names of the modules that define the streams of litellm's `Router`."""

_LANGCHAIN_FIELDS = (
    "type",
    "id",
    "additional_kwargs",
    "usage_metadata",
    "tool_call_chunks",
    "chunk_position",
)
"""Fields of a chunk that are used; `tool_calls` is not, since LangChain guesses it from the pieces."""
_MESSAGE_FIELDS = frozenset({"type", "content", "response_metadata"})
_WHOLE_MESSAGE_FIELDS = ("tool_calls", "invalid_tool_calls")
_LLAMAINDEX_FIELDS = frozenset({"delta", "raw", "additional_kwargs"})
_MODEL_EVENT = "raw_response_event"
"""The type of an event of an OpenAI Agents run that contains an event of the model."""
_RUN_EVENTS = (_MODEL_EVENT, "run_item_stream_event", "agent_updated_stream_event")
"""Types of events of an OpenAI Agents run."""


def is_object(item: object) -> bool:
    """Return True for an SDK object that can convert itself to a dict."""
    return not isinstance(item, type) and (
        callable(getattr(item, "model_dump", None)) or callable(getattr(item, "to_dict", None))
    )


def is_whole(source: object) -> bool:
    """Return True for a single SDK object, such as a whole answer, which is not a stream.

    The class is checked, because instances of wrappers around a stream may have any attribute.
    """
    kind = source.__class__
    return callable(getattr(kind, "model_dump", None)) or callable(getattr(kind, "to_dict", None))


def to_payload(item: object) -> Any:  # noqa: ANN401 - anything that a source gives
    """Convert an item of a source to bytes, text, or a payload as a dict.

    An SDK object becomes the payload from which the SDK has created it; an event that the server has not
    sent, but a helper of the SDK or the run of a framework, becomes None. An unknown object is returned
    unchanged.

    Example:
        >>> to_payload(b"data: a"), to_payload({"choices": []})
        (b'data: a', {'choices': []})
    """
    if type(item) in _UNCHANGED_TYPES or item is None:
        return item
    kind: Any = item.__class__
    if callable(getattr(kind, "pb", None)) or callable(getattr(kind, "SerializeToString", None)):
        # A class of proto-plus wraps a protobuf message, which its `pb` returns.
        json_format: Any = importlib.import_module("google.protobuf.json_format")
        return json_format.MessageToDict(kind.pb(item) if hasattr(kind, "pb") else item)
    if is_object(item):
        return _convert_object(item)
    if is_mapping(item):
        return _convert_attributes(item) if hasattr(item, _DATACLASS_ATTRIBUTE) else dict(item)
    # This library's own events are dataclasses, too, but not payloads.
    is_own = type(item).__module__.startswith("tokenstream.")
    if is_dataclass(item) and not isinstance(item, type) and not is_own:
        return to_payload(model_event_of(item)) if is_run_event(item) else _convert_attributes(item)
    if getattr(kind, "_fields", ())[:2] == ("event", "data"):
        # A part of a run of LangGraph.
        part: Any = item
        mode, *namespace = part.event.split("|")
        return {"type": mode, "ns": namespace, "data": part.data}
    return _convert_attributes(item) if _is_bare(item) else item


def as_received(items: object, item: object) -> object:
    """Return an item's payload without a finish reason that litellm has made up; any other item unchanged.

    If the provider's stream ends without a finish reason, a litellm stream adds "stop". The
    attributes of that stream show that it has received no reason.
    """
    stream = _stream_in_router(items)
    # Iterators of other libraries do not have the first attribute, so its default is not None.
    lacks_reason = (
        getattr(stream, _REASON_ATTRIBUTE, "") is None
        and getattr(stream, _OTHER_REASON_ATTRIBUTE, None) is None
    )
    if not lacks_reason:
        return item
    payload = to_payload(item)
    choices = payload.get("choices") if is_dict(payload) else None
    for choice in choices if is_list(choices) else ():
        if is_dict(choice):
            choice.pop("finish_reason", None)
    return payload


def _stream_in_router(items: object) -> object:
    """Return the stream within litellm's `Router` stream, if its generator shows it; others as is."""
    while items.__class__.__module__.startswith(_ROUTER_PREFIX):
        generator = getattr(items, "completion_stream", None)
        frame = getattr(generator, "gi_frame", None) or getattr(generator, "ag_frame", None)
        local_variables: Mapping[str, Any] = {} if frame is None else frame.f_locals
        # If the first model has failed, the router reads the stream of another one.
        fallback = local_variables.get("fallback_response")
        items = local_variables.get("model_response") if fallback is None else fallback
    return items


def _is_bare(item: object) -> bool:
    """Return True for an object with the fields of a payload as attributes, such as tests make."""
    has_choices = is_list(getattr(item, "choices", None)) and not is_mock(item)
    return isinstance(item, SimpleNamespace) or (has_choices and hasattr(item, _ATTRIBUTES))


def _convert_attributes(value: object) -> object:
    """Return the public attributes of an object as a dict, also those of the objects within it."""
    if is_list(value):
        return [_convert_attributes(inner) for inner in value]
    if is_dict(value):
        # The objects of huggingface_hub are dataclasses and dicts: a field that is not declared is only an
        # attribute, and a declared one that the server did not send is None.
        named = {**value, **vars(value)} if hasattr(value, _DATACLASS_ATTRIBUTE) else value
    elif is_dataclass(value) and not isinstance(value, type):
        named = {each.name: getattr(value, each.name) for each in fields_of(value)}
    elif is_object(value) or isinstance(value, _SCALARS) or not hasattr(value, _ATTRIBUTES):
        return to_payload(value)
    else:
        named = {name: inner for name, inner in vars(value).items() if name[:1] != "_"}
    return {name: _convert_attributes(inner) for name, inner in named.items() if inner is not None}


def _convert_object(item: Any) -> object:  # noqa: ANN401 - an SDK's object
    """Return the payload for an SDK object; None for an event that a helper of the SDK has added."""
    excluded: set[str] = set()
    # Only in these SDKs are fields with these names additions; in others they may be data of the server.
    if item.__class__.__module__.partition(".")[0] in _SDKS_WITH_HELPERS:
        kind: object = getattr(item, "type", None)
        if kind == "chunk" and hasattr(item, "chunk"):
            # The helper of openai wraps each chunk of the server.
            return to_payload(item.chunk)
        if kind in _ADDED_EVENTS:
            return None
        excluded = {*_FIELDS_ADDED_ANYWHERE, *_FIELDS_ADDED_BY_TYPE.get(str(kind), ())}
    else:
        make = _find_converter(item.__class__)
        payload = None if make is None else make(item)
        if payload is not None:
            return payload
    if not hasattr(item, "model_dump"):
        fields = item.to_dict()
        return {name: value for name, value in fields.items() if name not in excluded}
    # The models of SDKs contain the server's values even if the types differ; pydantic would warn.
    dumped: object = item.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude=excluded, warnings=False
    )
    if is_dict(dumped) and _is_event(item, dumped) and is_dict(dumped["data"]):
        # The object is an SSE event, and its data are the payload.
        return dumped["data"]
    return dumped


def _is_event(item: object, fields: JsonObject) -> bool:
    """Return True if an object with these fields is an SSE event of mistralai; its payload is its `data`."""
    # Objects of openai also have both fields, but their payloads lack the name of the event.
    is_named = fields.keys() == _NAMED_EVENT_FIELDS
    return fields.keys() == _EVENT_FIELDS or (is_named and _package_of(item) == "mistralai")


def _check_server_value(payload: object, items: object) -> object:
    """Refuse a JSON value of an SDK's stream that is no object; return any other converted item."""
    if type(payload) in _VALUE_NAMES and _package_of(items) in _SDKS:
        name = _VALUE_NAMES[type(payload)]
        raise ProtocolError(f"a JSON object is expected, not {name}; what came before it is in .partial")
    return payload


def _package_of(items: object) -> str:
    """Return the name of the package in which an iterator's class or a generator's function is defined."""
    frame: Any = getattr(items, "gi_frame", None) or getattr(items, "ag_frame", None)
    module = items.__class__.__module__ if frame is None else str(frame.f_globals.get("__name__"))
    return module.partition(".")[0]


def _bytes_of_part(item: JsonObject) -> Any:  # noqa: ANN401 - the item, if it is anything else
    """Return the bytes of an event of SageMaker, a piece of any server's body; any other item unchanged."""
    part: object = item.get("PayloadPart")
    data: object = part.get("Bytes") if is_dict(part) else None
    return data if isinstance(data, bytes) and len(item) == 1 else item


class Converter:
    """Converts the items of an iterator to chunks and payloads."""

    def __init__(self, items: object) -> None:
        self._items = items

    def __call__(self, item: object) -> object:
        """Return the chunk or payload of an item; `SKIPPED` if the server has not sent the item.

        A JSON value of the server's that is not an object is a ProtocolError.
        """
        if item.__class__ is str:
            return item
        payload = to_payload(as_received(self._items, item))
        if payload is None and item is not None:
            # A helper of the SDK has added the event.
            return SKIPPED
        if is_dict(payload):
            return _bytes_of_part(payload) if "PayloadPart" in payload else payload
        return keep(_check_server_value(payload, self._items))


@lru_cache
def _find_converter(kind: type) -> Callable[[Any], JsonObject] | None:
    """Return the function that converts objects of a class; None if the class's fields are not known."""
    fields: Any = getattr(kind, "model_fields", {})
    if fields.keys() >= _MESSAGE_FIELDS:
        # A class of LangChain has the name of its message type as a default.
        message_type: object = fields["type"].default
        return {"AIMessageChunk": _convert_chunk, "ai": _convert_whole}.get(str(message_type))
    is_response = fields.keys() >= _LLAMAINDEX_FIELDS and ("message" in fields or "text" in fields)
    return _convert_response if is_response else None


def model_event_of(event: Any) -> object:  # noqa: ANN401 - any object
    """Return the event of the model's API inside an event of an OpenAI Agents run; None if it has none."""
    return event.data if event.type == _MODEL_EVENT else None


def is_run_iterator(items: object) -> bool:
    """Return True for an iterator over the events of an OpenAI Agents run, which may have several answers.

    The iterator is recognised by the name of the generator function that has made the iterator,
    since its items are not known before they are read.
    """
    return _maker_of(items) == "RunResultStreaming.stream_events"


def _maker_of(items: object) -> str:
    return str(getattr(getattr(items, "ag_code", None), "co_qualname", ""))


def is_model_stream(source: object) -> bool:
    """Return True for a stream of LangChain's for one answer, which gives a message if it is awaited."""
    kind = source.__class__
    return all(hasattr(kind, name) for name in ("dispatch", "set_message_id", "output_message", "tool_calls"))


def is_graph_run(source: object) -> bool:
    """Return True for LangGraph's stream of a run, which has `abort` in place of `close`."""
    kind = source.__class__
    return all(hasattr(kind, name) for name in ("abort", "interrupted", "interrupts", "output"))


def is_paced(source: object) -> bool:
    """Return True for a run of a graph of LangGraph, whose nodes run as their events are asked for."""
    return is_graph_run(source) or _maker_of(source).startswith("Pregel.")


def is_run_event(event: object) -> bool:
    return getattr(event, "type", None) in _RUN_EVENTS


def _convert_chunk(chunk: Any) -> JsonObject:  # noqa: ANN401 - of LangChain
    fields = {name: getattr(chunk, name, None) for name in _LANGCHAIN_FIELDS}
    payload = {
        name: value if isinstance(value, str) else _to_json_types(value)
        for name, value in fields.items()
        if value
    }
    # The format is detected by these two fields, so they are there even if they are empty.
    payload["response_metadata"] = _to_json_types(chunk.response_metadata)
    content = payload["content"] = chunk.content
    if is_list(content):
        # These are LangChain's normalised blocks, which versions before 1 do not have.
        payload["content"] = _to_json_types(getattr(chunk, "content_blocks", content))
    return payload


def _convert_whole(message: object) -> JsonObject:
    """Return the payload for a whole message of LangChain, which has further fields than a chunk."""
    return _convert_chunk(message) | {
        name: _to_json_types(getattr(message, name, None)) for name in _WHOLE_MESSAGE_FIELDS
    }


def _convert_response(response: Any) -> JsonObject:  # noqa: ANN401 - of LlamaIndex
    """Return the payload for a chat or completion response of LlamaIndex."""
    payload = {
        name: _to_json_types(getattr(response, name, None)) for name in (*_LLAMAINDEX_FIELDS, "logprobs")
    }
    message = getattr(response, "message", None)
    if message is None:
        # The text of a completion response is cumulative, so it is used only without a delta.
        return payload | {"text": response.text if response.delta is None else ""}
    # The text of the message is cumulative, too.
    has_delta = response.delta is not None
    blocks = [block for block in message.blocks if not (has_delta and block.block_type == "text")]
    return payload | {
        "message": {
            "role": _to_json_types(message.role),
            "blocks": _to_json_types(blocks),
            "additional_kwargs": _to_json_types(message.additional_kwargs),
        }
    }


def _to_json_types(value: object) -> Json:
    """Return a value in JSON types; values that JSON cannot express become None."""
    return to_jsonable_python(value, bytes_mode="base64", fallback=lambda _: None, exclude_none=True)

"""The conversion of objects of frameworks to payloads.

Fields that only repeat other fields, or are derived from other fields, are left out.

The frameworks are LangChain and LlamaIndex. Events of an OpenAI Agents run, and the streams of events of
LangChain and LangGraph, are recognised here, too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python

from tokenstream._basics.untrusted import is_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json

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


def framework_payload_of(item: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any object
    """Return the payload for an object from a framework's stream; None for any other object."""
    make = _find_converter(item.__class__)
    return None if make is None else make(item)


@lru_cache
def _find_converter(kind: type) -> Callable[[Any], dict[str, Any]] | None:
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
    name: object = getattr(getattr(items, "ag_code", None), "co_qualname", None)
    return name == "RunResultStreaming.stream_events"


def is_model_stream(source: object) -> bool:
    """Return True for a stream of LangChain's for one answer, which gives a message if it is awaited."""
    kind = source.__class__
    return all(hasattr(kind, name) for name in ("dispatch", "set_message_id", "output_message", "tool_calls"))


def is_graph_run(source: object) -> bool:
    """Return True for LangGraph's stream of a run, which has `abort` in place of `close`."""
    kind = source.__class__
    return all(hasattr(kind, name) for name in ("abort", "interrupted", "interrupts", "output"))


def is_run_event(event: object) -> bool:
    """Return True for an event of an OpenAI Agents run."""
    return getattr(event, "type", None) in _RUN_EVENTS


def _convert_chunk(chunk: Any) -> dict[str, Any]:  # noqa: ANN401 - of LangChain
    """Return the payload for a chunk of a LangChain message."""
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


def _convert_whole(message: object) -> dict[str, Any]:
    """Return the payload for a whole message of LangChain, which has further fields than a chunk."""
    return _convert_chunk(message) | {
        name: _to_json_types(getattr(message, name, None)) for name in _WHOLE_MESSAGE_FIELDS
    }


def _convert_response(response: Any) -> dict[str, Any]:  # noqa: ANN401 - of LlamaIndex
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

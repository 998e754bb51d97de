"""Payloads out of the objects that SDKs make of them."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from tokenstream.errors import ProtocolError
from tokenstream.formats._read import is_dict, is_list
from tokenstream.sources._frameworks import framework_payload_of, is_run_event, model_event_of
from tokenstream.sources._kinds import SKIPPED

if TYPE_CHECKING:
    from typing import TypeGuard

__all__ = ["Converter", "as_received", "is_object", "is_whole", "payload_of"]

_AS_THEY_ARE = frozenset({bytes, str, dict, bytearray, memoryview})
_HELPFUL = frozenset({"openai", "anthropic"})
"""SDKs with helpers that yield more than what came."""
_SDKS = _HELPFUL | {"cohere", "google", "huggingface_hub", "litellm", "mistralai", "ollama"}
"""SDKs whose loops give what they have decoded, whatever it is."""
_ADDED = frozenset(
    {
        # What the helpers of SDKs add to what came, for convenience: openai's …
        "content.delta",
        "content.done",
        "logprobs.content.delta",
        "logprobs.content.done",
        "logprobs.refusal.delta",
        "logprobs.refusal.done",
        "refusal.delta",
        "refusal.done",
        "tool_calls.function.arguments.delta",
        "tool_calls.function.arguments.done",
        # … and anthropic's.
        "citation",
        "input_json",
        "signature",
        "text",
        "thinking",
    }
)
"""Types of events that say again what another event has said."""
_ADDED_FIELDS = {
    "content_block_stop": ("content_block",),
    "message_stop": ("message",),
}
"""Fields that a helper adds to an event of the wire."""
_ADDED_ANYWHERE = ("snapshot", "parsed", "parsed_output")
_EVENT = frozenset({"data"})
"""The field of an object that stands for an SSE event, as mistralai's do; its data are the payload."""
_VALUES: dict[type, str] = {
    bool: "true or false",
    float: "a number",
    int: "a number",
    list: "an array",
}
"""JSON values that are no payload, and what to call them."""
_FIELDS = "__dataclass_fields__"
"""What a dataclass has; of one that is a dict too, only its attributes hold all."""
_REASON, _OTHER_REASON = "received_finish_reason", "intermittent_finish_reason"
"""Where litellm's stream keeps the finish reasons that were received."""


def is_object(item: object) -> bool:
    """Tell whether something is an object of an SDK, which it can make a dict of."""
    return not isinstance(item, type) and (
        callable(getattr(item, "model_dump", None)) or callable(getattr(item, "to_dict", None))
    )


def is_whole(source: object) -> bool:
    """Tell whether a source is an SDK's object, a whole answer say, and no stream of them.

    Its class tells: what stands around a stream may make up whatever attribute it is asked for.
    """
    kind = source.__class__
    return callable(getattr(kind, "model_dump", None)) or callable(getattr(kind, "to_dict", None))


def payload_of(item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
    """Return what an item of a source holds: bytes, text, or a payload as a dict.

    An SDK's object becomes the payload that it was made of. What cannot be told
    is returned as it is.

    Returns:
        None for an event that an SDK's helper has added to those that came, or a framework's run.

    Example:
        >>> payload_of(b"data: a"), payload_of({"choices": []})
        (b'data: a', {'choices': []})
    """
    if type(item) in _AS_THEY_ARE or item is None:
        return item
    if _is_message(item):
        return _of_message(item)
    if is_object(item):
        return _of_object(item)
    if _is_mapping(item):
        return _of_fields(item) if hasattr(item, _FIELDS) else dict(item)
    # An event of our own is none of anybody's wire.
    if (
        is_dataclass(item)
        and not isinstance(item, type)
        and not type(item).__module__.startswith("tokenstream.")
    ):
        return payload_of(model_event_of(item)) if is_run_event(item) else asdict(item)
    return item


def as_received(items: object, item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
    """Return an item without the finish reason that its stream made up, or the item as it is.

    litellm's stream says "stop" where the provider's ended without a word, and
    knows on the side that none was received.

    Args:
        items: The iterator that gave it.
        item: An object of an SDK, or whatever else came.
    """
    if getattr(items, _REASON, "") is not None or getattr(items, _OTHER_REASON, None) is not None:
        return item
    payload = payload_of(item)
    choices = payload.get("choices") if is_dict(payload) else None
    for choice in choices if is_list(choices) else ():
        if is_dict(choice):
            choice.pop("finish_reason", None)
    return payload


def _is_mapping(item: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(item, Mapping)


def _is_message(item: object) -> bool:
    """Tell whether something is a message of protobuf or of proto-plus, as gRPC clients yield."""
    kind = item.__class__
    return callable(getattr(kind, "pb", None)) or callable(getattr(kind, "SerializeToString", None))


def _of_message(item: Any) -> Any:  # noqa: ANN401 - a message
    """Return a message as the JSON that the same API sends over HTTP."""
    kind = item.__class__
    made: Any = importlib.import_module("google.protobuf.json_format")
    return made.MessageToDict(kind.pb(item) if hasattr(kind, "pb") else item)


def _of_fields(value: Any) -> Any:  # noqa: ANN401 - an object that is a dict too, as huggingface_hub's are
    """Return what such an object was made of; as a dict, what is within it lacks unknown fields."""
    if _is_mapping(value) and hasattr(value, _FIELDS):
        said = {**value, **vars(value)}
        return {name: _of_fields(inner) for name, inner in said.items() if inner is not None}
    return [_of_fields(inner) for inner in value] if is_list(value) else value


def _of_object(item: Any) -> Any:  # noqa: ANN401 - an SDK's object
    without: set[str] = set()
    # In the objects of anybody else the same words may hold what came.
    if item.__class__.__module__.partition(".")[0] in _HELPFUL:
        kind: object = getattr(item, "type", None)
        if kind == "chunk" and hasattr(item, "chunk"):
            return payload_of(item.chunk)
        if kind in _ADDED:
            return None
        without = {*_ADDED_ANYWHERE, *_ADDED_FIELDS.get(str(kind), ())}
    else:
        found = framework_payload_of(item)
        if found is not None:
            return found
    if not hasattr(item, "model_dump"):
        made = item.to_dict()
        return {name: value for name, value in made.items() if name not in without}
    # The models of SDKs hold what came, whether it fits or not: pydantic would warn of that.
    dumped: object = item.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude=without, warnings=False
    )
    if is_dict(dumped) and dumped.keys() == _EVENT and is_dict(dumped["data"]):
        return dumped["data"]
    return dumped


def _of_server(payload: Any, items: object) -> Any:  # noqa: ANN401 - anything that a source gives
    """Return what an item holds, unless it is a JSON value which an SDK has read and that is no payload.

    Out of any other loop it is the caller's.

    Args:
        payload: What the item holds.
        items: The iterator that gave it.

    Raises:
        ProtocolError: It is one: the server sent it.
    """
    if type(payload) in _VALUES and _maker_of(items) in _SDKS:
        raise ProtocolError(
            f"a JSON object is expected, not {_VALUES[type(payload)]}; what came before it is in .partial"
        )
    return payload


def _maker_of(items: object) -> str:
    """Return the package that an iterator is of; of a generator, the one that its function is in."""
    frame: Any = getattr(items, "gi_frame", None) or getattr(items, "ag_frame", None)
    module = items.__class__.__module__ if frame is None else str(frame.f_globals.get("__name__"))
    return module.partition(".")[0]


class Converter:
    """Makes chunks and payloads of the items of an iterator.

    Args:
        items: The iterator.
    """

    __slots__ = ("_items",)

    def __init__(self, items: object) -> None:
        self._items = items

    def __call__(self, item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
        """Return the chunk or the payload that an item holds, or `SKIPPED`.

        Raises:
            ProtocolError: It is a JSON value that is no payload; the server sent it.
        """
        if item.__class__ is str:
            return item
        found = payload_of(as_received(self._items, item))
        if found is None and item is not None:
            return SKIPPED
        return found if found.__class__ is dict else _of_server(found, self._items)

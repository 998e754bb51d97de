"""Converts the objects of SDKs back to the payloads that they were made from."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import is_dict, is_list
from tokenstream.errors import ProtocolError
from tokenstream.sources._frameworks import framework_payload_of, is_run_event, model_event_of
from tokenstream.sources._kinds import SKIPPED

if TYPE_CHECKING:
    from typing import TypeGuard

_AS_THEY_ARE = frozenset({bytes, str, dict, bytearray, memoryview})
_HELPFUL = frozenset({"openai", "anthropic"})
"""SDKs whose stream helpers yield events of their own besides those of the server."""
_SDKS = _HELPFUL | {"cohere", "google", "huggingface_hub", "litellm", "mistralai", "ollama"}
"""SDKs whose streams yield decoded payloads, even if these are not objects."""
_ADDED = frozenset(
    {
        # Events that the helpers of SDKs add for convenience: openai's …
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
"""Types of events that repeat the content of other events."""
_ADDED_FIELDS = {
    "content_block_stop": ("content_block",),
    "message_stop": ("message",),
}
"""Fields that a helper adds to a server's event, by event type."""
_ADDED_ANYWHERE = ("snapshot", "parsed", "parsed_output")
_EVENT = frozenset({"data"})
"""The only field of an object that stands for an SSE event, as in mistralai; its value is the payload."""
_VALUES: dict[type, str] = {
    bool: "true or false",
    float: "a number",
    int: "a number",
    list: "an array",
}
"""JSON values that are not payloads, and their names in messages."""
_FIELDS = "__dataclass_fields__"
"""Attribute of a dataclass; in one that is also a dict, only the attributes hold all fields."""
_REASON, _OTHER_REASON = "received_finish_reason", "intermittent_finish_reason"
"""Attributes in which litellm's stream keeps the finish reasons that it received."""


def is_object(item: object) -> bool:
    """Return True for an SDK's object that can convert itself to a dict."""
    return not isinstance(item, type) and (
        callable(getattr(item, "model_dump", None)) or callable(getattr(item, "to_dict", None))
    )


def is_whole(source: object) -> bool:
    """Return True for a single object of an SDK, such as a whole answer, instead of a stream.

    The class is checked, because wrappers around a stream may have any attribute.
    """
    kind = source.__class__
    return callable(getattr(kind, "model_dump", None)) or callable(getattr(kind, "to_dict", None))


def payload_of(item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
    """Convert an item of a source to bytes, text, or a payload as a dict.

    An SDK's object becomes the payload that it was made from. An unknown object is
    returned unchanged.

    Returns:
        The content; None for an event that an SDK's helper or a framework's run has added.

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
    # Not for this library's own events, which are not payloads.
    if (
        is_dataclass(item)
        and not isinstance(item, type)
        and not type(item).__module__.startswith("tokenstream.")
    ):
        return payload_of(model_event_of(item)) if is_run_event(item) else asdict(item)
    return item


def as_received(items: object, item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
    """Remove a finish reason that litellm invented; return any other item unchanged.

    litellm's stream gives "stop" if the provider's stream ended without a reason, but an
    attribute of the stream shows that none was received.

    Args:
        items: The iterator that gave the item.
        item: An object of an SDK, or any other item.
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
    """Return True for a message of protobuf or proto-plus, as gRPC clients yield them."""
    kind = item.__class__
    return callable(getattr(kind, "pb", None)) or callable(getattr(kind, "SerializeToString", None))


def _of_message(item: Any) -> Any:  # noqa: ANN401 - a message
    """Return a message as the JSON that the same API sends over HTTP."""
    kind = item.__class__
    made: Any = importlib.import_module("google.protobuf.json_format")
    return made.MessageToDict(kind.pb(item) if hasattr(kind, "pb") else item)


def _of_fields(value: Any) -> Any:  # noqa: ANN401 - an object that is a dict too, as huggingface_hub's are
    """Return all fields of such an object; used as a dict, its nested objects would lack unknown fields."""
    if _is_mapping(value) and hasattr(value, _FIELDS):
        said = {**value, **vars(value)}
        return {name: _of_fields(inner) for name, inner in said.items() if inner is not None}
    return [_of_fields(inner) for inner in value] if is_list(value) else value


def _of_object(item: Any) -> Any:  # noqa: ANN401 - an SDK's object
    without: set[str] = set()
    # Only for these SDKs: elsewhere the same names may hold the server's own data.
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
    # SDKs' models hold the server's values even if they do not match; pydantic would warn about that.
    dumped: object = item.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude=without, warnings=False
    )
    if is_dict(dumped) and dumped.keys() == _EVENT and is_dict(dumped["data"]):
        return dumped["data"]
    return dumped


def _of_server(payload: Any, items: object) -> Any:  # noqa: ANN401 - anything that a source gives
    """Return an item's content, but raise for a JSON value from an SDK that is not a payload.

    From any other iterator such a value is the caller's own, and is returned.

    Args:
        payload: The item's content.
        items: The iterator that gave the item.

    Raises:
        ProtocolError: The server sent a JSON value that is not an object.
    """
    if type(payload) in _VALUES and _maker_of(items) in _SDKS:
        raise ProtocolError(
            f"a JSON object is expected, not {_VALUES[type(payload)]}; what came before it is in .partial"
        )
    return payload


def _maker_of(items: object) -> str:
    """Return the package that an iterator's class, or a generator's function, is defined in."""
    frame: Any = getattr(items, "gi_frame", None) or getattr(items, "ag_frame", None)
    module = items.__class__.__module__ if frame is None else str(frame.f_globals.get("__name__"))
    return module.partition(".")[0]


class Converter:
    """Converts the items of an iterator to chunks and payloads.

    Args:
        items: The iterator.
    """

    __slots__ = ("_items",)

    def __init__(self, items: object) -> None:
        self._items = items

    def __call__(self, item: Any) -> Any:  # noqa: ANN401 - anything that a source gives
        """Return the chunk or payload of an item, or `SKIPPED`.

        Raises:
            ProtocolError: The server sent a JSON value that is not an object.
        """
        if item.__class__ is str:
            return item
        found = payload_of(as_received(self._items, item))
        if found is None and item is not None:
            return SKIPPED
        return found if found.__class__ is dict else _of_server(found, self._items)

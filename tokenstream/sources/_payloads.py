"""Payloads out of the objects that SDKs make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import TypeGuard

__all__ = ["AsyncPayloads", "Payloads", "is_object", "is_whole", "payload_of"]

_AS_THEY_ARE = frozenset({bytes, str, dict, bytearray, memoryview})
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
        None for an event that an SDK's helper has added to those that came.

    Example:
        >>> payload_of(b"data: a"), payload_of({"choices": []})
        (b'data: a', {'choices': []})
    """
    if type(item) in _AS_THEY_ARE or item is None:
        return item
    if is_object(item):
        return _of_object(item)
    if _is_mapping(item):
        return dict(item)
    # An event of our own is none of anybody's wire.
    if (
        is_dataclass(item)
        and not isinstance(item, type)
        and not type(item).__module__.startswith("tokenstream.")
    ):
        return asdict(item)
    return item


def _is_mapping(item: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(item, Mapping)


def _of_object(item: Any) -> Any:  # noqa: ANN401 - an SDK's object
    kind: object = getattr(item, "type", None)
    if kind == "chunk" and hasattr(item, "chunk"):
        return payload_of(item.chunk)
    if kind in _ADDED:
        return None
    without = {*_ADDED_ANYWHERE, *_ADDED_FIELDS.get(str(kind), ())}
    if not hasattr(item, "model_dump"):
        made = item.to_dict()
        return {name: value for name, value in made.items() if name not in without}
    # The models of SDKs hold what came, whether it fits or not: pydantic would warn of that.
    return item.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=without, warnings=False)


class Payloads:
    """Gives the items of an iterator as chunks and payloads."""

    __slots__ = ("_items",)

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - a chunk or a payload
        while True:
            item = next(self._items)
            if item.__class__ is bytes:
                return item
            found = payload_of(item)
            if found is not None or item is None:
                return found


class AsyncPayloads:
    """Gives the items of an asynchronous iterator as chunks and payloads."""

    __slots__ = ("_items",)

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401 - a chunk or a payload
        while True:
            item = await anext(self._items)
            if item.__class__ is bytes:
                return item
            found = payload_of(item)
            if found is not None or item is None:
                return found

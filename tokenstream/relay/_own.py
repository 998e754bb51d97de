"""Removal of a provider's private ids and fields from events, before the events are encoded."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from tokenstream.events import (
    CitationAdded,
    MessageStart,
    PartDone,
    PartStart,
    ToolCallDone,
    ToolCallStart,
    Unknown,
)

if TYPE_CHECKING:
    from tokenstream.events import Event

_VALUES: dict[type, str] = {
    PartStart: "content",
    PartDone: "content",
    ToolCallDone: "call",
    CitationAdded: "citation",
}
"""Maps each class of event with a part, a call or a citation to the field with that value."""


def strip_private(event: Event, id: str | None) -> Event | None:
    """Return an event without the provider's private ids and fields; None if nothing is left.

    Args:
        event: The event; it is not changed.
        id: The id of the answer, which replaces the provider's id.

    Example:
        >>> strip_private(MessageStart("resp_1", "gpt-6"), "msg-1")
        MessageStart(choice=0, part=None, id='msg-1', model='gpt-6', role='assistant')
    """
    told: Any = event
    cls = event.__class__
    if cls is MessageStart:
        told = copy(event)
        told.id = id
    elif cls is Unknown:
        return None
    elif cls is ToolCallStart and told.provider_data is not None:
        told = copy(event)
        told.provider_data = None
    elif cls in _VALUES:
        name = _VALUES[cls]
        value = getattr(event, name)
        bare = _strip_part(value)
        if bare is not value:
            told = copy(event)
            setattr(told, name, bare)
    found: Event = told
    return found


def _strip_part(value: Any) -> Any:  # noqa: ANN401 - a part, or None
    """Return a part without its provider fields; the same object if it has none."""
    if getattr(value, "provider_data", None) is not None:
        return value.model_copy(update={"provider_data": None})
    if getattr(value, "kind", "") == "opaque" and value.data:
        return value.model_copy(update={"data": {}})
    return value

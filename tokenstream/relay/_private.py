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
    ToolResult,
    Unknown,
)
from tokenstream.relay._encoders.values import prepare_result

if TYPE_CHECKING:
    from tokenstream.events import Event

_VALUE_FIELDS: dict[type, str] = {
    PartStart: "content",
    PartDone: "content",
    ToolCallDone: "call",
    CitationAdded: "citation",
}
"""Maps each class of event with a part, a call or a citation to the field with that value."""


def strip_private(event: Event, id: str | None) -> Event | None:
    """Return an event without the provider's private ids and fields; None if nothing is left.

    Args:
        event: The event; it is not changed. If nothing is private in it, the result is the same object.
        id: The id of the answer, which replaces the provider's id.

    Example:
        >>> strip_private(MessageStart("resp_1", "gpt-6"), "msg-1")
        MessageStart(choice=0, part=None, id='msg-1', model='gpt-6', role='assistant')
    """
    stripped: Any = event
    cls = event.__class__
    if cls is MessageStart:
        stripped = copy(event)
        stripped.id = id
    elif cls is Unknown:
        # All of it is the provider's own payload.
        return None
    elif cls is ToolCallStart and stripped.provider_data is not None:
        stripped = copy(event)
        stripped.provider_data = None
    elif cls is ToolResult:
        stripped = prepare_result(stripped, raw=False)
    elif cls in _VALUE_FIELDS:
        # The part, call or citation in the event.
        field = _VALUE_FIELDS[cls]
        value = getattr(event, field)
        stripped_value = _strip_part(value)
        if stripped_value is not value:
            stripped = copy(event)
            setattr(stripped, field, stripped_value)
    result: Event = stripped
    return result


def _strip_part(value: Any) -> object:  # noqa: ANN401 - a part, or None
    """Return a part without its provider fields; the same object if it has none."""
    if getattr(value, "provider_data", None) is not None:
        return value.model_copy(update={"provider_data": None})
    # An opaque part has the provider's own payload as its data.
    if getattr(value, "kind", "") == "opaque" and value.data:
        return value.model_copy(update={"data": {}})
    return value

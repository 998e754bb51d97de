"""The decision if an event has content, by the same rules as the accumulator."""

from __future__ import annotations

from tokenstream.events import (
    Event,
    MediaDelta,
    PartDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

GROWING = (TextDelta, RefusalDelta, ToolCallStart, ToolCallDelta, PartDelta, MediaDelta)
"""Events that always count as content for the accumulator."""


def has_content(event: Event) -> bool:
    """Return True if the accumulator counts the event as content."""
    # A delta of reasoning may bring a signature alone, which is not content.
    return isinstance(event, GROWING) or (isinstance(event, ReasoningDelta) and bool(event.text))

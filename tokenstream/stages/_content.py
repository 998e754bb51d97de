"""Which events have content, as the accumulator tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.events import (
    MediaDelta,
    PartDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)

if TYPE_CHECKING:
    from tokenstream.events import Event

GROWING = (TextDelta, RefusalDelta, ToolCallStart, ToolCallDelta, PartDelta, MediaDelta)
"""Events that the accumulator takes for content."""


def has_content(event: Event) -> bool:
    """Tell of an event what the accumulator tells when it takes it.

    Example:
        >>> has_content(TextDelta("Hi")), has_content(ReasoningDelta("", "signature"))
        (True, False)
    """
    return isinstance(event, GROWING) or (isinstance(event, ReasoningDelta) and bool(event.text))

"""The names of SSE events and AWS messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.framing import ServerSentEvent
    from tokenstream.framing._aws_eventstream import EventStreamMessage

PING_NAMES = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})
"""Names of SSE events that only show that the server is alive, whatever their data."""


def name_of(event: ServerSentEvent | EventStreamMessage) -> str:
    """Return an event's name; "" for an event without a name, which the SSE standard calls "message"."""
    return "" if event.event == "message" else event.event

"""One message of a binary event stream of AWS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

INITIAL_RESPONSE = "initial-response"
"""The type of the first message of a stream, which belongs to the protocol and has no content."""
MessageKind: TypeAlias = Literal["event", "exception", "error"]


@dataclass(slots=True)
class EventStreamMessage:
    """One message of a binary event stream.

    Example:
        >>> EventStreamMessage(b'{"role": "assistant"}', event="messageStart").kind
        'event'
    """

    payload: bytes
    """The payload, as bytes."""
    event: str = ""
    """The event type, the exception type or the error code."""
    kind: MessageKind = "event"
    """The kind of message: "event" is part of the answer, "exception" and "error" are failures."""
    headers: dict[str, Any] = field(default_factory=dict[str, Any])
    """All headers by name, including those of the protocol; several messages may share this dict."""

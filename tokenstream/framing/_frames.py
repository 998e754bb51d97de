"""Frames that have more than a payload: a server-sent event, and a message of AWS's binary event stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

INITIAL_RESPONSE = "initial-response"
"""The type of the first message of a stream, which belongs to the protocol and has no content."""
MessageKind: TypeAlias = Literal["event", "exception", "error"]
_REPR_BYTES = 80


@dataclass(slots=True, repr=False)
class ServerSentEvent:
    r"""One event of an event stream.

    Args:
        payload: The event's data as bytes; several data lines are joined by LF.
        event: The event's name.
        id: The last event id as of this event; an earlier event may have set it.
        retry: The reconnection time in milliseconds; None unless this event itself sets it.

    Example:
        >>> ServerSentEvent(b'{"a": 1}', event="delta")
        ServerSentEvent(b'{"a": 1}', event='delta')
    """

    payload: bytes
    event: str = "message"
    id: str = ""
    retry: int | None = None

    @property
    def data(self) -> str:
        """The payload as text; malformed UTF-8 becomes U+FFFD.

        The payload is decoded anew at each access.
        """
        return self.payload.decode("utf-8", "replace")

    def __repr__(self) -> str:
        payload = self.payload
        shown = [repr(payload) if len(payload) <= _REPR_BYTES else f"{payload[:_REPR_BYTES]!r}…"]
        if self.event != "message":
            shown.append(f"event={self.event!r}")
        if self.id:
            shown.append(f"id={self.id!r}")
        if self.retry is not None:
            shown.append(f"retry={self.retry}")
        return f"ServerSentEvent({', '.join(shown)})"


SSEFrame: TypeAlias = "bytes | ServerSentEvent"
"""An event; an event that has only data is represented by its payload alone."""


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

"""Frames that were wrapped twice: the data of an SSE event are themselves the text of an SSE event."""

from __future__ import annotations

from tokenstream.framing import ServerSentEvent, SSEParser

_FIELDS = (b"data:", b"event:", b"id:", b"retry:")


def unwrap(payload: bytes) -> list[ServerSentEvent] | None:
    r"""Return the SSE events in the data of an SSE event; None if the data are not wrapped objects.

    A server that passes whole SSE events to a library, which adds `data:` to each line, sends such data.

    Args:
        payload: The data of a frame, without the white space around them.

    Example:
        >>> [event.data for event in unwrap(b'data: {"a": 1}') or []]
        ['{"a": 1}']
        >>> unwrap(b"data: Hello"), unwrap(b'data: data: {"a": 1}'), unwrap(b'{"a": 1}')
        (None, None, None)
    """
    if not payload.startswith(_FIELDS):
        return None
    events = SSEParser().feed(payload + b"\n\n")
    # Only objects and the sentinel are unwrapped, and only once: other data may be text. A line without data,
    # of a server that wraps each line, says nothing (`is_nothing`).
    is_wrapped = events and all(event.payload[:1] == b"{" or event.payload == b"[DONE]" for event in events)
    return events if is_wrapped else None

"""The protocols in which an answer can be sent: their headers, heartbeats and abilities."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.relay._encoders import ProtocolName, load, protocols
from tokenstream.relay._encoders.encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

_FURTHER_HEADERS: dict[str, dict[str, str]] = {
    # Servers of the AI SDK send this header, and some of its clients require it.
    "ui-message": {"x-vercel-ai-ui-message-stream": "v1"},
}
"""Further headers that a protocol requires."""
_BEATS_WITH_EMPTY_LINES = frozenset({"ndjson"})
"""Protocols whose heartbeat is an empty line; readers of other protocols with JSON lines fail on it."""


@dataclass(frozen=True, slots=True)
class Protocol:
    r"""Properties of a protocol that do not depend on an answer.

    Example:
        >>> find_protocol("ui-message").heartbeat, find_protocol("ollama").heartbeat
        (b': keep-alive\n\n', b'')
    """

    name: str
    media_type: str
    """The content type of a response's body."""
    headers: Mapping[str, str] = field(repr=False)
    """Headers of a response, in lower case."""
    heartbeat: bytes
    """The heartbeat, which may be sent between any two events; empty if the protocol has none."""
    retry: bytes
    """An instruction to reconnect after one second; empty if the protocol has none."""
    has_errors: bool
    """True if the protocol can report an error in the middle of an answer."""
    has_ids: bool
    """True if events can have ids."""
    messages: bool
    """True if the protocol is used over a WebSocket, with one message per event, and not over HTTP."""


@cache
def find_protocol(name: str) -> Protocol:
    """Return the properties of a protocol.

    Args:
        name: The name of a protocol; see `ProtocolName`.

    Raises:
        MisuseError: The protocol is unknown.

    Example:
        >>> find_protocol("tokenstream").has_ids
        True
    """
    encoder = load(name)
    is_sse = encoder.content_type.startswith("text/event-stream")
    headers = {
        "content-type": encoder.content_type,
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        # Middleware that compresses bodies makes an exception for event streams, but for no other type.
        **({} if is_sse else {"content-encoding": "identity"}),
        **_FURTHER_HEADERS.get(name, {}),
    }
    heartbeat = b""
    if is_sse:
        heartbeat = b": keep-alive\n\n"
    elif name in _BEATS_WITH_EMPTY_LINES:
        heartbeat = b"\n"
    # SSE has ids; a line of NDJSON, which also is this library's own protocol, has the event's position.
    has_ids = is_sse or name in _BEATS_WITH_EMPTY_LINES
    # A format without an event for errors overrides neither of these methods.
    has_errors = encoder.failure is not Encoder.failure or encoder.encode_error is not Encoder.encode_error
    return Protocol(
        name=name,
        media_type=encoder.content_type,
        headers=headers,
        heartbeat=heartbeat,
        retry=b"retry: 1000\n\n" if is_sse else b"",
        has_errors=has_errors,
        has_ids=has_ids,
        messages=encoder.messages,
    )


def headers(protocol: ProtocolName = "tokenstream") -> dict[str, str]:
    """Return the headers of a response whose body is an answer in a protocol.

    Some of these headers tell proxies neither to buffer nor to transform the body.

    Args:
        protocol: The protocol's name.

    Raises:
        MisuseError: The protocol is unknown, or is used over a WebSocket.

    Example:
        >>> headers("ui-message")["content-type"]
        'text/event-stream; charset=utf-8'
    """
    properties = find_protocol(protocol)
    if properties.messages:
        bodies = [name for name in protocols() if not load(name).messages]
        raise MisuseError(
            f"{protocol!r} is spoken over a WebSocket, which has no such headers: send what "
            f"relay.encode() returns as messages, or take one of {', '.join(bodies)}"
        )
    return dict(properties.headers)

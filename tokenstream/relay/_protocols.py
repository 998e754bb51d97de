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
        **encoder.further_headers,
    }
    # A format without an event for errors overrides neither of these methods.
    has_errors = encoder.failure is not Encoder.failure or encoder.encode_error is not Encoder.encode_error
    return Protocol(
        name=name,
        media_type=encoder.content_type,
        headers=headers,
        heartbeat=b": keep-alive\n\n" if is_sse else encoder.heartbeat,
        retry=b"retry: 1000\n\n" if is_sse else b"",
        has_errors=has_errors,
        has_ids=is_sse or encoder.has_ids,
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

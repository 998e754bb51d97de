"""Protocols that an answer is sent in: what stands around it over HTTP, and what each can say."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.relay.encoders import load, names
from tokenstream.relay.encoders._encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Protocol", "headers", "protocol"]

_FURTHER: dict[str, dict[str, str]] = {
    # The AI SDK's own servers send it, and some of its clients look for it.
    "ui-message": {"x-vercel-ai-ui-message-stream": "v1"},
}
"""Headers that a protocol asks for."""
_LINES = frozenset({"ndjson"})
"""Protocols in which an empty line is a sign of life; other readers of JSON lines fail at one."""


@dataclass(frozen=True, slots=True)
class Protocol:
    r"""What is known of a protocol without an answer.

    Example:
        >>> protocol("ui-message").life, protocol("ollama").life
        (b': keep-alive\n\n', b'')
    """

    name: str
    media_type: str
    """The content type of a body."""
    headers: Mapping[str, str] = field(repr=False)
    """The headers of a response, in small letters."""
    life: bytes
    """What is sent as a sign of life between two events; empty where the protocol has none."""
    retry: bytes
    """What tells a reader to ask again after a second; empty where there are no words for it."""
    has_errors: bool
    """Whether an error can be told in the middle of an answer."""
    has_ids: bool
    """Whether events can have ids."""
    messages: bool
    """Whether it is spoken over a WebSocket, one message for each event, and not over HTTP."""


@cache
def protocol(name: str) -> Protocol:
    """Return what is known of a protocol.

    Args:
        name: A format that has bytes, "tokenstream" or "ndjson".

    Raises:
        MisuseError: There is no such protocol.

    Example:
        >>> protocol("tokenstream").has_ids
        True
    """
    encoder = load(name)
    events = encoder.content_type.startswith("text/event-stream")
    told = {
        "content-type": encoder.content_type,
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        # Compressing middlewares leave event streams alone, but not the others.
        **({} if events else {"content-encoding": "identity"}),
        **_FURTHER.get(name, {}),
    }
    return Protocol(
        name=name,
        media_type=encoder.content_type,
        headers=told,
        life=b": keep-alive\n\n" if events else b"\n" if name in _LINES else b"",
        retry=b"retry: 1000\n\n" if events else b"",
        has_errors=encoder.failure is not Encoder.failure or encoder.fail is not Encoder.fail,
        has_ids=events or name in _LINES,
        messages=encoder.messages,
    )


def headers(protocol: str = "tokenstream") -> dict[str, str]:
    """Return the headers of a response that has an answer in a protocol as its body.

    Proxies neither buffer nor change such a body.

    Args:
        protocol: The protocol's name.

    Raises:
        MisuseError: There is no such protocol, or it is one of WebSockets.

    Example:
        >>> headers("ui-message")["content-type"]
        'text/event-stream; charset=utf-8'
    """
    found = _protocol(protocol)
    if found.messages:
        bodies = [name for name in names() if not load(name).messages]
        raise MisuseError(
            f"{protocol!r} is spoken over a WebSocket, which has no headers of its own: send what "
            f"relay.encode() gives as messages, or take one of {', '.join(bodies)}"
        )
    return dict(found.headers)


_protocol = protocol

"""The events of one answer in the bytes of a protocol, with what stands around them over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.relay import encoders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.turns import Drop

__all__ = ["Writing"]


class Writing:
    """Writes an answer.

    Args:
        protocol: The protocol's name.
        drop: What to leave out that the protocol has no place for.

    Raises:
        MisuseError: There is no such protocol, or it is one of WebSockets.
    """

    def __init__(self, protocol: str, *, drop: Drop = "all") -> None:
        self._encoder = encoders.create(protocol, drop=drop)
        if self._encoder.messages:
            raise MisuseError(f"{protocol!r} is spoken over a WebSocket: relay.websocket() sends it")
        kind = self._encoder.content_type
        events = kind.startswith("text/event-stream")
        self.headers = {
            "content-type": kind,
            "cache-control": "no-cache, no-transform",
            "x-accel-buffering": "no",
        }
        self.life = b": keep-alive\n\n" if events else b""
        self.parting = b"retry: 1000\n\n" if events else b""

    def feed(self, events: Iterable[Event]) -> bytes:
        """Return what is sent for events."""
        feed = self._encoder.feed
        return b"".join([chunk for event in events for chunk in feed(event)])

    def end(self) -> bytes:
        """Return what ends an answer that is whole."""
        return b"".join(self._encoder.end())

    def fail(self, error: StreamError) -> bytes | None:
        """Return what tells of an error; None where the protocol has no words for it."""
        try:
            return b"".join(self._encoder.failure(error.kind))
        except NotExpressible:
            return None

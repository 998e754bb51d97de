"""The events of one answer in the bytes of a protocol, and as messages of a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.events import Finish, Stopped
from tokenstream.relay import encoders
from tokenstream.relay.encoders._tokenstream import TokenStream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Ending
    from tokenstream.turns import Drop

__all__ = ["Body", "Messages", "Writing"]


class Writing:
    """Writes an answer in chunks that are one event of the protocol each.

    Args:
        protocol: The protocol's name.
        drop: What to leave out that the protocol has no place for.

    Raises:
        MisuseError: There is no such protocol.
    """

    def __init__(self, protocol: str, *, drop: Drop = "all") -> None:
        self._encoder = encoders.create(protocol, drop=drop)
        self._ending: Ending = "complete"

    def feed(self, events: Iterable[Event]) -> list[bytes]:
        """Return what is sent for events."""
        feed = self._encoder.feed
        chunks: list[bytes] = []
        for event in events:
            chunks += feed(event)
            if event.__class__ is Stopped:
                self._ending = "stopped"
        return chunks

    def end(self, ending: Ending | None = None) -> list[bytes]:
        """Return what ends an answer that no error has ended.

        Args:
            ending: The verdict, where somebody knows it.
        """
        encoder, ending = self._encoder, ending or self._ending
        if isinstance(encoder, TokenStream):
            return encoder.conclude(ending)
        if ending == "complete" and not encoder.finishes:
            # Bare text, and runs, end without a reason; their reader is to know that they are whole.
            return [*encoder.feed(Finish("unknown")), *encoder.end()]
        return encoder.end()

    def fail(self, error: StreamError) -> list[bytes] | None:
        """Return what tells of an error; None where the protocol has no words for it."""
        try:
            if isinstance(self._encoder, TokenStream):
                return self._encoder.conclude("truncated", error)
            return self._encoder.failure(error.kind)
        except NotExpressible:
            return None


class Body(Writing):
    """The same as the body of a response."""

    def __init__(self, protocol: str, *, drop: Drop = "all") -> None:
        super().__init__(protocol, drop=drop)
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
        self.retry = b"retry: 1000\n\n" if events else b""


class Messages(Writing):
    """The same as messages of a WebSocket: JSON texts, or binary ones where the protocol is binary."""

    def __init__(self, protocol: str, *, drop: Drop = "all") -> None:
        super().__init__("ndjson" if protocol == "tokenstream" else protocol, drop=drop)
        self._framed = self._encoder.content_type.startswith("text/event-stream")
        self.life = '{"type":"ping"}' if isinstance(self._encoder, TokenStream) else ""

    def tell(self, chunks: Iterable[bytes]) -> list[str | bytes]:
        """Return chunks as messages, without the borders that events have in a body.

        Args:
            chunks: What the other methods returned.
        """
        if not self._framed or self._encoder.messages:
            return [_text(chunk) for chunk in chunks]
        events = [event for chunk in chunks for event in chunk.split(b"\n\n") if event]
        return [_data(event).decode() for event in events]


def _text(chunk: bytes) -> str | bytes:
    try:
        return chunk.decode().removesuffix("\n")
    except UnicodeDecodeError:
        return chunk


def _data(event: bytes) -> bytes:
    return b"\n".join([line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")])

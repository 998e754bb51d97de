"""Encoding of an answer as the body of a response, or as WebSocket messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.relay._sending import AWS_EVENT_STREAM, Sending

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypedDict, Unpack

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Ending
    from tokenstream.relay._shape import Shape
    from tokenstream.turns import Drop

    class _SendingOptions(TypedDict, total=False):
        """The options that a `ChunkWriter` passes on to `Sending`."""

        drop: Drop
        id: str | None
        ids: bool
        raw: bool
        shape: Shape | None


class ChunkWriter(Sending):
    """Encodes several events at once as chunks, each of which is one event of a protocol.

    The options are those of `Sending`, but `end` and `fail` never raise `NotExpressible`.
    """

    def feed(self, events: Iterable[Event]) -> list[bytes]:
        """Return the chunks for some events."""
        return [chunk for event in events for chunk in self.encode_event(event)]

    def end(self, ending: Ending | None = None) -> list[bytes]:
        """Return the chunks that end an answer whose events ended without an error.

        Args:
            ending: The stream's ending; None if the ending is not known.
        """
        try:
            return self.encode_end(ending)
        except NotExpressible:
            # The answer has broken off, and the protocol cannot say so: readers notice the missing end.
            return []

    def fail(self, error: StreamError) -> list[bytes] | None:
        """Return the chunks that report an error; None if the protocol has no event for errors."""
        try:
            return self.encode_error(error)
        except NotExpressible:
            return None


class BodyWriter(ChunkWriter):
    """Encodes an answer as the body of an HTTP response, and has the protocol's headers for it."""

    def __init__(self, protocol: str, **options: Unpack[_SendingOptions]) -> None:
        super().__init__(protocol, **options)
        if self.protocol.messages:
            raise MisuseError(f"{protocol!r} is spoken over a WebSocket: use relay.websocket()")
        self.headers = dict(self.protocol.headers)
        self.heartbeat, self.retry = self.protocol.heartbeat, self.protocol.retry


class MessageWriter(ChunkWriter):
    """Encodes an answer as WebSocket messages: JSON text, or binary if the protocol is binary."""

    def __init__(self, protocol: str, **options: Unpack[_SendingOptions]) -> None:
        # "tokenstream" is SSE; "ndjson" has the same events as lines, of which each is one message.
        super().__init__("ndjson" if protocol == "tokenstream" else protocol, **options)
        if options.get("ids") and self.protocol.name != "ndjson":
            raise MisuseError(f"messages of {protocol!r} have no place for ids: leave ids=True out")
        self._is_sse = self.protocol.media_type.startswith("text/event-stream")
        self._is_binary = self.protocol.media_type == AWS_EVENT_STREAM
        # A ping of our own protocol; with another protocol, no heartbeats are sent.
        self.heartbeat = '{"type":"ping"}' if self.protocol.name == "ndjson" else ""

    def to_messages(self, chunks: Iterable[bytes]) -> list[str | bytes]:
        """Return chunks as messages, without the framing that events have in a body.

        Args:
            chunks: Chunks that `feed`, `end` or `fail` returned.
        """
        if not self._is_sse or self.protocol.messages:
            # Each chunk already is one message. Some binary ones would pass for text, too.
            return [*chunks] if self._is_binary else [chunk.decode().removesuffix("\n") for chunk in chunks]
        # Each SSE event becomes a message, which consists of the event's data.
        events = [event for chunk in chunks for event in chunk.split(b"\n\n") if event]
        return [_join_data(event).decode() for event in events]


def _join_data(event: bytes) -> bytes:
    """Return the data of an SSE event."""
    return b"\n".join([line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")])

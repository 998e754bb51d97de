"""An answer as the body of a response, and as messages of a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, NotExpressible
from tokenstream.relay._sending import Sending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.message import Ending

__all__ = ["Body", "Messages", "Writing"]


class Writing(Sending):
    """Writes an answer in chunks that are one event of the protocol each, with the options of `Sending`."""

    def feed(self, events: Iterable[Event]) -> list[bytes]:
        """Return what is sent for events."""
        return [chunk for event in events for chunk in self.take(event)]

    def end(self, ending: Ending | None = None) -> list[bytes]:
        """Return what ends an answer that no error has ended.

        Args:
            ending: The verdict, where somebody knows it.
        """
        try:
            return self.conclude(ending)
        except NotExpressible:
            # It broke off, which is all that such a protocol can say.
            return []

    def fail(self, error: StreamError) -> list[bytes] | None:
        """Return what tells of an error; None where the protocol has no words for it."""
        try:
            return self.failed(error)
        except NotExpressible:
            return None


class Body(Writing):
    """The same as the body of a response."""

    def __init__(self, protocol: str, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__(protocol, **options)
        known = self.protocol
        if known.messages:
            raise MisuseError(f"{protocol!r} is spoken over a WebSocket: relay.websocket() sends it")
        self.headers = dict(known.headers)
        self.life, self.retry = known.life, known.retry


class Messages(Writing):
    """The same as messages of a WebSocket: JSON texts, or binary ones where the protocol is binary."""

    def __init__(self, protocol: str, **options: Any) -> None:  # noqa: ANN401 - the base's
        super().__init__("ndjson" if protocol == "tokenstream" else protocol, **options)
        self._framed = self.protocol.media_type.startswith("text/event-stream")
        self.life = '{"type":"ping"}' if self.protocol.name == "ndjson" else ""

    def tell(self, chunks: Iterable[bytes]) -> list[str | bytes]:
        """Return chunks as messages, without the borders that events have in a body.

        Args:
            chunks: What the other methods returned.
        """
        if not self._framed or self.protocol.messages:
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

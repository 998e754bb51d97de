"""What a reader of our own protocol comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream import Stream
from tokenstream.errors import StreamError
from tokenstream.events import Event
from tokenstream.message import Message
from tokenstream.relay._encoders.tokenstream import TokenStreamEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable


class Read:
    """What a reader of a body comes to."""

    def __init__(self, chunks: Iterable[bytes], format: Any = None) -> None:
        self.stream = Stream(iter(chunks), format=format, pings=True)
        self.events: list[Event] = []
        self.error: StreamError | None = None
        try:
            self.events.extend(self.stream)
        except StreamError as error:
            self.error = error

    @property
    def messages(self) -> list[Message]:
        return [message.model_copy(update={"format": None}) for message in self.stream.messages]

    def written(self, encoder: TokenStreamEncoder) -> list[bytes]:
        chunks = [chunk for event in self.events for chunk in encoder.feed(event)]
        return chunks + encoder.conclude(self.stream.message.ending, self.error)

"""The body of one response: an answer encoded as chunks or WebSocket messages, and their outlet."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

from tokenstream.relay._attribution import ServedAnswer, make_answer_id
from tokenstream.relay._sending import AWS_EVENT_STREAM, Sending

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable
    from typing import Any, ClassVar, Self

    from tokenstream.relay._asgi.asking import AskedPosition
    from tokenstream.relay._asgi.refusals import Refusal
    from tokenstream.relay._protocols import HeaderFields
    from tokenstream.relay._shape import Shape


class Outlet(ABC):
    """Supplies the chunks of one response to the sending task, which enters it.

    The task passes what `next` has awaited to `encode`, and an exception of either to `encode_end`, until
    `has_ended`. No coroutine is between the task and the source, since each token would pay for it.
    Each chunk consists of whole events, so that a heartbeat may be sent between any two. Everything that
    arrives while a chunk is being sent forms the next one.
    """

    headers: HeaderFields
    """The headers of the response, in the order in which they are sent."""
    heartbeat: bytes = b""
    """The heartbeat, which may be sent between any two chunks; empty if the protocol has none."""
    is_behind = False
    """True if sending the last chunk took long, so that more may have arrived; set by whoever sends."""
    first_chunk: bytes | None = None
    """The chunk with which the body begins, which `open` has read; None if it is still to come."""
    has_ended = False
    """True once no more chunks follow."""
    may_repeat = True
    """False if the request, sent again, would ask the model again."""
    ends_by_itself: ClassVar[bool] = False
    """True if the answer may run on while the server shuts down; False for readers of one in a journal."""

    async def __aenter__(self) -> Self:
        return self

    @cached_property
    def served(self) -> ServedAnswer:
        """The record of the answer, with the id that a refused reader gets."""
        return ServedAnswer(make_answer_id())

    @property
    def answer_id(self) -> str | None:
        """The id of the answer in the head of the response; None for none."""
        return None

    @abstractmethod
    async def __aexit__(self, *error: object) -> None:
        """Close the source of the chunks."""

    async def prepare(self, asked: AskedPosition) -> HeaderFields:
        """Prepare for a request, before all other methods; return headers that replace `headers`."""
        return {}

    async def open(self) -> Refusal | None:
        """Wait until the answer has begun; return a refusal if the answer failed before it began."""
        return None

    async def open_head(self) -> Refusal | None:
        """Prepare for a HEAD request, which gets a head without a body; the answer is not read.

        The result is the refusal whose head is sent in place of the answer's.
        """
        self.stop("only its head was asked for")
        return None

    @abstractmethod
    def next(self) -> Awaitable[Any]:
        """Return an awaitable for what arrives next."""

    @abstractmethod
    def encode(self, arrived: Any) -> bytes | None:  # noqa: ANN401 - the outlet's own
        """Return the chunk for what has arrived; None if nothing is to be sent for it."""

    @abstractmethod
    def encode_end(self, error: Exception) -> bytes | None:
        """Return the last chunk or None; raise an error that is not the answer's."""

    @abstractmethod
    def encode_refusal(self, refusal: Refusal) -> bytes:
        """Return a refusal as the error event that ends a response whose head was sent already."""

    @abstractmethod
    def stop(self, reason: str) -> bool:
        """Ask the answer to end, since its reader has disconnected; return without waiting.

        If the result is False, the chunks do not end by themselves: the task that reads them is
        cancelled.
        """

    def take_drain(self, seconds: float | None) -> None:  # noqa: B027 - most answers need their reader
        """Note how many seconds answers may run on at a shutdown; None if it is not known."""

    async def run_out(self) -> None:  # noqa: B027 - most answers need their reader
        """Wait until the answers that need no reader have ended; called when the server shuts down.

        The reader has got its last chunk. A server ends the application's lifespan only when its responses
        are over, so what the answers use, such as an HTTP client, stays open until then.
        """

    def refuse(self, refusal: Refusal) -> None:  # noqa: B027 - only an answer of its own is refused
        """Send a refusal in place of an answer that has not begun; called before all but `prepare`."""

    def interrupt(self) -> bool:
        """End the answer because the server shuts down; return True if that cuts off an answer."""
        return False

    def shutdown_chunk(self) -> bytes:
        """Return the chunk to send when the server shuts down; empty if the protocol has no event for it."""
        return b""


class MessageWriter(Sending):
    """Encodes an answer as WebSocket messages: JSON text, or binary if the protocol is binary."""

    def __init__(self, protocol: str, *, shape: Shape | None = None) -> None:
        # "tokenstream" is SSE; "ndjson" has the same events as lines, of which each is one message.
        super().__init__("ndjson" if protocol == "tokenstream" else protocol, shape=shape)
        self._is_sse = self.protocol.media_type.startswith("text/event-stream")
        self._is_binary = self.protocol.media_type == AWS_EVENT_STREAM
        # A ping of our own protocol; with another protocol, no heartbeats are sent.
        self.heartbeat = '{"type":"ping"}' if self.protocol.name == "ndjson" else ""

    def to_messages(self, chunks: Iterable[bytes]) -> list[str | bytes]:
        """Return chunks as messages, without the framing that events have in a body."""
        if not self._is_sse:
            # Each chunk already is one message. Some binary ones would pass for text, too.
            return [*chunks] if self._is_binary else [chunk.decode().removesuffix("\n") for chunk in chunks]
        # Each SSE event becomes a message, which consists of the event's data.
        events = [event.split(b"\n") for chunk in chunks for event in chunk.split(b"\n\n") if event]
        data = [[line[6:] for line in event if line.startswith(b"data: ")] for event in events]
        return [b"\n".join(lines).decode() for lines in data]

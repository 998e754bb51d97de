"""Outlets, each of which supplies the chunks of one response."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from tokenstream.errors import StreamError
    from tokenstream.relay._asgi.asking import AskedPosition
    from tokenstream.relay._asgi.refusals import Refusal


class Outlet(ABC):
    """Supplies the chunks of one response: an async iterator, which the sending task enters and reads.

    Each chunk consists of whole events, so that a heartbeat may be sent between any two. Everything that
    arrives while a chunk is being sent forms the next one.
    """

    headers: Mapping[str, str]
    """The headers of the response, in the order in which they are sent."""
    heartbeat: bytes = b""
    """The heartbeat, which may be sent between any two chunks; empty if the protocol has none."""
    is_behind = False
    """True if sending the last chunk took long, so that more may have arrived; set by whoever sends."""

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the source of the chunks."""

    async def prepare(self, asked: AskedPosition) -> Mapping[str, str]:
        """Prepare for one request; called before all other methods.

        Args:
            asked: The parts of the request that say which answer it asks for.

        Returns:
            Further headers of the response, which replace those in `headers`.
        """
        return {}

    async def open(self) -> Refusal | None:
        """Wait until the answer has begun.

        Returns:
            The response to send instead if the answer failed before it began; else None.
        """
        return None

    async def open_head(self) -> Refusal | None:
        """Prepare for a HEAD request, which gets a head without a body; the answer is not read.

        Returns:
            The refusal whose head is to be sent in place of the answer's; None if the answer's is sent.
        """
        self.stop("only its head was asked for")
        return None

    def __aiter__(self) -> Self:
        return self

    @abstractmethod
    async def __anext__(self) -> bytes:
        """Return the next chunk.

        Raises:
            StreamError: The answer failed, and the protocol has no event for errors.
        """

    @abstractmethod
    def stop(self, reason: str) -> bool:
        """Ask the answer to end, since its reader has disconnected; return without waiting.

        Args:
            reason: The reason, for the answer's ending.

        Returns:
            True if the chunks now end by themselves; if False, the task that reads them is cancelled.
        """

    async def run_out(self) -> None:  # noqa: B027 - most answers need their reader
        """Wait until the answers that need no reader have ended; called when the server shuts down.

        The reader has got its last chunk. A server ends the application's lifespan only when its responses
        are over, so what the answers use, such as an HTTP client, stays open until then.
        """

    def encode_error(self, error: StreamError) -> bytes | None:
        """Return an error as the last event; None if the protocol has no event for errors."""
        return None

    def shutdown_chunk(self) -> bytes:
        """Return the chunk to send when the server shuts down; empty if the protocol has no event for it."""
        return b""

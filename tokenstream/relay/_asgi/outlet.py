"""Outlets, which supply the chunks of a response, and refusals, which are sent instead of a failed answer."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from tokenstream.errors import StreamError


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response sent in place of an answer that failed before it began."""

    status: int
    """The HTTP status of the response."""
    body: bytes
    """JSON that describes the error."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further headers, such as Retry-After."""
    late: bytes | None = None
    """The error as an event, to be sent if the head was sent already; None if there is no such event."""
    error: StreamError | None = None
    """The error; raised if the head was sent already and the protocol has no event for errors."""


def error_body(kind: str, message: str, *, retryable: bool, **more: object) -> bytes:
    """Return the JSON body of an error response.

    Args:
        kind: The kind of error, in one word.
        message: A sentence that describes the error.
        retryable: Whether the same request may succeed later.
        more: Further keys and values.

    Example:
        >>> error_body("not_found", "there is nothing here", retryable=False)
        b'{"error":{"type":"not_found","message":"there is nothing here","retryable":false}}'
    """
    told = {"type": kind, "message": message, "retryable": retryable, **more}
    return json.dumps({"error": told}, separators=(",", ":")).encode()


class Outlet(ABC):
    """Supplies the chunks of one response: an async iterator, which the sending task enters and reads.

    Each chunk consists of whole events, so that a heartbeat may be sent between any two. Everything that
    arrives while a chunk is being sent forms the next one.
    """

    headers: Mapping[str, str]
    """The headers of the response, in the order in which they are sent."""
    life: bytes = b""
    """The heartbeat, which may be sent between any two chunks; empty if the protocol has none."""

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

    async def open(self) -> Refusal | None:
        """Wait until the answer has begun; if it fails before that, return the response to send instead."""
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

    def parting_chunk(self) -> bytes:
        """Return the chunk to send when the server shuts down; empty if the protocol has no event for it."""
        return b""

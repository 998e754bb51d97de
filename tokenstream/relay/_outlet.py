"""Between an answer and the response that sends it: what is sent, and what is sent in its place."""

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

__all__ = ["Outlet", "Refusal", "error_body"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response in place of an answer that failed before it began."""

    status: int
    """The HTTP status."""
    body: bytes
    """JSON that says what happened."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further headers, such as Retry-After."""
    late: bytes | None = None
    """The same as an event of the protocol, for where the head was sent already; None where it has none."""
    error: StreamError | None = None
    """What went wrong; raised where there is no event to tell it."""


def error_body(kind: str, message: str, *, retryable: bool, **more: object) -> bytes:
    """Return the JSON that says what went wrong, in the place of an answer.

    Args:
        kind: What it is, in a word.
        message: The same in a sentence.
        retryable: Whether asking again may help.
        more: Further keys.

    Example:
        >>> error_body("not_found", "there is nothing here", retryable=False)
        b'{"error":{"type":"not_found","message":"there is nothing here","retryable":false}}'
    """
    told = {"type": kind, "message": message, "retryable": retryable, **more}
    return json.dumps({"error": told}, separators=(",", ":")).encode()


class Outlet(ABC):
    """Gives the chunks of one response: an iterator, used inside `async with` by the task that sends them.

    Each chunk is whole events, so that anything may be sent between two of them.
    What has come while a chunk was being sent is one chunk together.
    """

    headers: Mapping[str, str]
    """The headers of the response, in the order in which they are sent."""
    life: bytes = b""
    """What is sent as a sign of life, between two events; empty where the protocol has none."""

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of what the chunks come from."""

    async def open(self) -> Refusal | None:
        """Wait until there is something to send; return what is sent instead where there never will be."""
        return None

    def __aiter__(self) -> Self:
        return self

    @abstractmethod
    async def __anext__(self) -> bytes:
        """Return the next chunk.

        Raises:
            StreamError: The answer failed, and the protocol has no event to say so.
        """

    @abstractmethod
    def stop(self, reason: str) -> bool:
        """End the answer where nobody reads it any more; it does not wait.

        Args:
            reason: Why.

        Returns:
            Whether the chunks end by themselves now; where not, reading them is cancelled.
        """

    def parting(self) -> bytes:
        """Return the last chunk where the server goes down; empty where the protocol has no words for it."""
        return b""

"""Requests and replies as the replay server sees them."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tokenstream.testing._body_types import SSE
from tokenstream.testing._frames import Framing, cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message as Headers

    from tokenstream.testing._recording import Breaks

__all__ = ["Chunk", "Exchange", "Framing", "Reply", "Request", "paced", "refusal"]

Chunk: TypeAlias = tuple[float, bytes]
"""Seconds to wait, then bytes to send."""

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""The type of the error, where it is not that of a bad request or of a server that failed."""
_IRREGULAR = (0.6, 1.5, 0.8, 1.2, 1.0, 0.9)
"""Pauses as they come from a model, in units of their mean; their mean is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    """The path with its query, as it was sent."""
    headers: Headers
    body: bytes

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON; None where there is none.

        Raises:
            ValueError: The body is something else.
        """
        return json.loads(self.body) if self.body else None

    @property
    def opens_socket(self) -> bool:
        """Whether it asks for a WebSocket."""
        return "websocket" in self.headers.get("Upgrade", "").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answers.

    Args:
        chunks: The body, piece by piece, each with the seconds to wait before it.
        content_type: What the body is said to be.
        status: The HTTP status.
        headers: Further headers; the request id and the framing are the server's.
        cut: How the connection breaks once the chunks are sent: "close" ends it
            in the middle of the body, "reset" also tells the client so (RST), and
            some systems then drop what it had not read; "stall" sends nothing more
            until the client leaves; None to end the body properly.
        messages: Whether it is said over a WebSocket, each chunk as one message.
    """

    chunks: Sequence[Chunk]
    content_type: str = SSE
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: Breaks | None = None
    messages: bool = False

    def cut_after(self, size: int, how: Literal["close", "reset"] = "close") -> Reply:
        """Return a reply whose connection breaks after `size` bytes of the body.

        Example:
            >>> Reply(chunks=[(0, b"data: a"), (1, b"data: b")]).cut_after(9).chunks
            [(0, b'data: a'), (1, b'da')]
        """
        kept: list[Chunk] = []
        for delay, data in self.chunks:
            kept.append((delay, data[:size]))
            size -= len(data)
            if size <= 0:
                break
        return replace(self, chunks=kept, cut=how)


@dataclass(slots=True)
class Exchange:
    """A request, and how far its answer came."""

    request: Request
    outcome: Literal["answering", "answered", "cut", "abandoned"] = "answering"
    """Abandoned is an answer that the client, or `stop`, did not let end."""
    sent: int = 0
    """Bytes of the body that were sent."""
    received: list[str | bytes] = field(default_factory=list[str | bytes])
    """The messages that the client sent, of a WebSocket."""
    closed: bool = False
    """Whether the client has let go of the answer: it closed the connection, or the response's stream."""
    over: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once the outcome is known."""


def paced(
    body: bytes,
    *,
    rate: float | None,
    first: float = 0.0,
    framing: Framing | None = "sse",
) -> list[Chunk]:
    r"""Cut a body into its frames, at the pace of a model; no byte is changed.

    Args:
        body: The body.
        rate: Frames per second in the mean, in an uneven rhythm; None for no pauses.
        first: Seconds until the first frame.
        framing: How the frames are told apart; None for a body of one piece. JSON that
            is no array is one piece, too.

    Example:
        >>> paced(b"data: a\n\ndata: b\n\n", rate=None)
        [(0.0, b'data: a\n\n'), (0.0, b'data: b\n\n')]
    """
    frames = cut(body, framing)
    waits = [first]
    waits += [
        0.0 if rate is None else _IRREGULAR[number % len(_IRREGULAR)] / rate
        for number in range(1, len(frames))
    ]
    return list(zip(waits, frames, strict=False))


def refusal(status: int, message: str) -> Reply:
    """Return a reply that refuses a request, in the words in which providers do.

    Args:
        status: The HTTP status.
        message: What is wrong.
    """
    usual = "invalid_request_error" if 400 <= status < 500 else "api_error"
    error = {"message": message, "type": _TYPES.get(status, usual), "param": None, "code": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return Reply(chunks=[(0.0, body)], content_type="application/json", status=status)

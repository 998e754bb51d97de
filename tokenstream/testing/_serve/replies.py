"""Requests and replies of the replay server."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.testing._recordings.frames import SSE, FramingName, cut_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message as EmailMessage

    from tokenstream._basics.loose import Json
    from tokenstream.testing._recordings.recording import Breaks
    from tokenstream.testing._serve.sessions.session import ServedSession

Chunk: TypeAlias = tuple[float, bytes]
"""Seconds to wait, then bytes to send."""

_ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
"""Maps a status to its type of error, unless that is the usual type of all 4xx or 5xx statuses."""
_PAUSE_FACTORS = (0.6, 1.5, 0.8, 1.2, 1.0, 0.9)
"""Lengths of pauses in an uneven rhythm, like that of a model, as multiples of the mean pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request received by the server."""

    method: str
    """The method, such as "POST"."""
    path: str
    """The path with its query, as sent."""
    headers: EmailMessage
    """The headers, whose names are in lower case."""
    body: bytes
    """The body, as received; of a session, the message that asks for the answer."""
    conversation: Sequence[Json] = ()
    """The items or turns that a session's server knows, with those of `body`, in the API's form."""

    @property
    def route(self) -> str:
        """The path without its query."""
        return self.path.partition("?")[0]

    @property
    def json(self) -> Json:
        """The JSON value in the body; None if the body is empty.

        Raises:
            ValueError: The body is not JSON.
        """
        return json.loads(self.body) if self.body else None

    @property
    def opens_socket(self) -> bool:
        """True if the request opens a WebSocket."""
        return "websocket" in self.headers.get("Upgrade", "").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer for the server to send.

    Args:
        chunks: The body in pieces, each with the seconds to wait before it.
        content_type: Content type of the body.
        status: The HTTP status.
        headers: Further headers; the server adds the request id and the headers about the
            transfer.
        cut: The way in which the connection breaks after the chunks: "close" closes it inside
            the body; "reset" does so with RST, after which some systems drop bytes that the
            client has not read; "stall" sends nothing more until the client leaves; "half" sends
            only a half of the last WebSocket message; None ends the body properly.
        messages: True to send each chunk as one WebSocket message.
        close_frame: Code and reason with which a WebSocket is closed if `cut` is "close"; None to
            break it without a closing frame.
        session: The session to hold over a WebSocket, in place of sending chunks; None for none.
    """

    chunks: Sequence[Chunk]
    content_type: str = SSE
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: Breaks | None = None
    messages: bool = False
    close_frame: tuple[int, str] | None = None
    session: ServedSession | None = None

    def cut_after(self, size: int, how: Literal["close", "reset"] = "close") -> Reply:
        """Return a reply whose connection breaks after `size` bytes of the body."""
        chunks: list[Chunk] = []
        for delay, data in self.chunks:
            chunks.append((delay, data[:size]))
            size -= len(data)
            if size <= 0:
                break
        return replace(self, chunks=chunks, cut=how)


@dataclass(slots=True)
class Exchange:
    """A request that a test server received, with the progress of its answer."""

    request: Request
    outcome: Literal["answering", "answered", "cut", "abandoned"] = "answering"
    """The fate of the answer; "abandoned" means that the client, or `stop`, ended it early."""
    sent: int = 0
    """Number of bytes of the answer's body that have been sent."""
    received: list[str | bytes] = field(default_factory=list[str | bytes])
    """Messages that the client sent over a WebSocket."""
    closed: bool = False
    """True once the client has closed the connection or the response."""
    over: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set once the outcome is known."""

    @property
    def received_json(self) -> list[Json]:
        """Messages that the client sent over a WebSocket, as JSON values.

        Raises:
            ValueError: A message is not JSON.
        """
        return [json.loads(message) for message in self.received]


def paced(
    body: bytes, *, rate: float | None, first: float = 0.0, framing: FramingName | None = "sse"
) -> list[Chunk]:
    r"""Return the frames of a body, each with its pause in seconds: `first`, then a mean `rate` a second."""
    frames = cut_frames(body, framing)
    waits = [first]
    waits += [
        0.0 if rate is None else _PAUSE_FACTORS[number % len(_PAUSE_FACTORS)] / rate
        for number in range(1, len(frames))
    ]
    # For an empty body there is a wait, but no frame.
    return list(zip(waits, frames, strict=False))


def refusal(status: int, message: str) -> Reply:
    """Return a reply that refuses a request, with an error in the JSON that most providers use."""
    usual = "invalid_request_error" if 400 <= status < 500 else "api_error"
    error = {"message": message, "type": _ERROR_TYPES.get(status, usual), "param": None, "code": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return Reply(chunks=[(0.0, body)], content_type="application/json", status=status)

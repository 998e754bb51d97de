"""Requests and replies as the replay server sees them."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import Message as Headers

__all__ = ["Chunk", "Exchange", "Framing", "Reply", "Request", "paced", "refusal"]

Chunk: TypeAlias = tuple[float, bytes]
"""Seconds to wait, then bytes to send."""

_EVENT_STREAM = "text/event-stream; charset=utf-8"
_IRREGULAR = (0.6, 1.5, 0.8, 1.2, 1.0, 0.9)
"""Pauses as they come from a model, in units of their mean; their mean is 1."""
Framing: TypeAlias = Literal["sse", "ndjson", "json", "aws-eventstream"]
"""How the frames of a body are told apart."""
_BETWEEN = {
    # An event reaches to the end of the empty lines after it. Atomic, so that CRLF is one line ending.
    "sse": re.compile(rb"(?>\r\n|\n|\r){2,}"),
    "ndjson": re.compile(rb"\n+"),
}
"""What stands between the frames of a body of text."""
_MARKS = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
"""Brackets of JSON, and the strings in which they are none."""
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_LEAST_MESSAGE = 16
"""Bytes of the shortest message of AWS's event streams."""


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
            some systems then drop what it had not read; None to end the body
            properly.
    """

    chunks: Sequence[Chunk]
    content_type: str = _EVENT_STREAM
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: Literal["close", "reset"] | None = None

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
    frames = [body] if framing is None else _frames(body, framing)
    waits = [first]
    waits += [
        0.0 if rate is None else _IRREGULAR[number % len(_IRREGULAR)] / rate
        for number in range(1, len(frames))
    ]
    return list(zip(waits, frames, strict=False))


def _frames(body: bytes, framing: Framing) -> list[bytes]:
    if framing == "json":
        ends = _ends_of_elements(body)
    elif framing == "aws-eventstream":
        ends = _ends_of_messages(body)
    else:
        ends = [found.end() for found in _BETWEEN[framing].finditer(body)]
    pieces = [body[begin:end] for begin, end in zip([0, *ends], [*ends, len(body)], strict=True)]
    return [piece for piece in pieces if piece]


def _ends_of_elements(body: bytes) -> list[int]:
    """Return where the objects and arrays end that are in an array of JSON."""
    ends: list[int] = []
    depth = 0
    for found in _MARKS.finditer(body) if body.lstrip(_BEFORE_JSON).startswith(b"[") else ():
        if found[0] in b"[{":
            depth += 1
        elif found[0] in b"]}":
            depth -= 1
            if depth == 1:
                ends.append(found.end())
    return ends


def _ends_of_messages(body: bytes) -> list[int]:
    """Return where the messages of an event stream of AWS end, each of which begins with its length."""
    ends: list[int] = []
    end = 0
    while len(body) - end >= _LEAST_MESSAGE:
        length = int.from_bytes(body[end : end + 4], "big")
        if not _LEAST_MESSAGE <= length <= len(body) - end:
            break
        end += length
        ends.append(end)
    return ends


def refusal(status: int, message: str) -> Reply:
    """Return a reply that refuses a request, in the words in which providers do.

    Args:
        status: The HTTP status, 400 or more.
        message: What is wrong with the request.
    """
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    body = json.dumps({"type": "error", "error": error}).encode()
    return Reply(chunks=[(0.0, body)], content_type="application/json", status=status)

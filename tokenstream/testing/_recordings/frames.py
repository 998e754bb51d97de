"""Cut a body into frames: SSE events, JSON lines or elements, AWS messages."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.framing._sniff import sniff

if TYPE_CHECKING:
    from tokenstream.framing._sniff import Sniffed
    from tokenstream.testing._recordings.recording import Recording

Framing: TypeAlias = Literal["sse", "ndjson", "json", "aws-eventstream"]
"""Framing of a body, as it is detected from its content."""

_BETWEEN = {
    # An event reaches to the end of the empty lines after it. Atomic, so that CRLF is one line ending.
    "sse": re.compile(rb"(?>\r\n|\n|\r){2,}+"),
    "ndjson": re.compile(rb"\n+"),
}
"""Delimiter between the frames of a text body."""
_MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""JSON brackets, and whole strings, so that brackets inside strings do not count."""
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_LEAST_MESSAGE = 16
"""Size of the shortest message of an AWS event stream, in bytes."""
_KINDS: dict[Sniffed, Framing] = {"sse": "sse", "aws-eventstream": "aws-eventstream"}


def frames_of(recording: Recording) -> list[bytes]:
    r"""Return the body of a recording cut after each frame; joined, the pieces are the body.

    A frame is an SSE event with the blank line that ends it, a line of NDJSON, an
    element of a JSON array, a message of an AWS event stream or of a WebSocket.

    Args:
        recording: Any recording; a body without frames is one piece.

    Example:
        >>> from tokenstream.testing import Recording
        >>> frames_of(Recording.of([b"data: a\n\ndata:", b" b\n\n"]))
        [b'data: a\n\n', b'data: b\n\n']
    """
    if recording.messages:
        return [data for _, data in recording.arrivals if data]
    return cut_frames(recording.body, framing_of(recording))


def framing_of(recording: Recording) -> Framing | None:
    """Return the framing of a recording's body; None if the body is one piece."""
    return detect_framing(recording.body, recording.content_type)


def detect_framing(start: bytes, content_type: str | None = None) -> Framing | None:
    r"""Detect the framing of a body; None if the body is one piece.

    Args:
        start: The body, or its first bytes; they outweigh the content type.
        content_type: The content type sent by the server.

    Example:
        >>> detect_framing(b'{"a": 1}\n{"a": 2}\n'), detect_framing(b"<html>")
        ('ndjson', None)
    """
    kind = sniff(start, content_type, over=True)
    if kind != "json":
        return _KINDS.get(kind)
    first, _, second = start.lstrip(_BEFORE_JSON).partition(b"\n")
    lines = first.rstrip().endswith(b"}") and second.lstrip().startswith(b"{")
    return "ndjson" if lines or "ndjson" in (content_type or "") else "json"


def cut_frames(body: bytes, framing: Framing | None) -> list[bytes]:
    """Cut a body into its frames; no byte is changed.

    Args:
        body: The body.
        framing: The framing of the body; None for a body of one piece. JSON other than an
            array is one piece, too.
    """
    if framing is None:
        ends = []
    elif framing == "json":
        ends = _find_element_ends(body)
    elif framing == "aws-eventstream":
        ends = _find_message_ends(body)
    else:
        ends = [found.end() for found in _BETWEEN[framing].finditer(body)]
    return [body[begin:end] for begin, end in pairwise([0, *ends, len(body)]) if begin < end]


def _find_element_ends(body: bytes) -> list[int]:
    """Return the offsets at which the elements of a JSON array end; only objects and arrays count."""
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


def _find_message_ends(body: bytes) -> list[int]:
    """Return the offsets at which the messages of an AWS event stream end; each starts with its length."""
    ends: list[int] = []
    end = 0
    while len(body) - end >= _LEAST_MESSAGE:
        length = int.from_bytes(body[end : end + 4], "big")
        if not _LEAST_MESSAGE <= length <= len(body) - end:
            break
        end += length
        ends.append(end)
    return ends

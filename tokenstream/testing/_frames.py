"""Where the frames of a body end: SSE events, lines or elements of JSON, messages of AWS."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TypeAlias

from tokenstream.framing.sniff import sniff

if TYPE_CHECKING:
    from tokenstream.framing.sniff import Sniffed
    from tokenstream.testing._recording import Recording

__all__ = ["Framing", "cut", "frames_of", "framing_of", "sniffed_framing"]

Framing: TypeAlias = Literal["sse", "ndjson", "json", "aws-eventstream"]
"""How the frames of a body are told apart."""

_BETWEEN = {
    # An event reaches to the end of the empty lines after it. Atomic, so that CRLF is one line ending.
    "sse": re.compile(rb"(?>\r\n|\n|\r){2,}+"),
    "ndjson": re.compile(rb"\n+"),
}
"""What stands between the frames of a body of text."""
_MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Brackets of JSON, and the strings in which they are none."""
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_LEAST_MESSAGE = 16
"""Bytes of the shortest message of AWS's event streams."""
_KINDS: dict[Sniffed, Framing] = {"sse": "sse", "aws-eventstream": "aws-eventstream"}


def frames_of(recording: Recording) -> list[bytes]:
    r"""Return the body of a recording, cut behind each frame; joined they are the body.

    A frame is an SSE event with the blank line that ends it, a line of NDJSON, an
    element of a JSON array, a message of an AWS event stream or of a WebSocket.

    Args:
        recording: Any recording; a body that has no frames is one piece.

    Example:
        >>> from tokenstream.testing import Recording
        >>> frames_of(Recording.of([b"data: a\n\ndata:", b" b\n\n"]))
        [b'data: a\n\n', b'data: b\n\n']
    """
    if recording.messages:
        return [data for _, data in recording.arrivals if data]
    return cut(recording.body, framing_of(recording))


def framing_of(recording: Recording) -> Framing | None:
    """Return how the frames of a recording are told apart; None where it is one piece."""
    return sniffed_framing(recording.body, recording.content_type)


def sniffed_framing(start: bytes, content_type: str | None = None) -> Framing | None:
    r"""Tell how the frames of a body are told apart; None where it is one piece.

    Args:
        start: The body, or its first bytes, which count more than its label.
        content_type: What the server says that it is.

    Example:
        >>> sniffed_framing(b'{"a": 1}\n{"a": 2}\n'), sniffed_framing(b"<html>")
        ('ndjson', None)
    """
    kind = sniff(start, content_type, over=True)
    if kind != "json":
        return _KINDS.get(kind)
    first, _, second = start.lstrip(_BEFORE_JSON).partition(b"\n")
    lines = first.rstrip().endswith(b"}") and second.lstrip().startswith(b"{")
    return "ndjson" if lines or "ndjson" in (content_type or "") else "json"


def cut(body: bytes, framing: Framing | None) -> list[bytes]:
    """Cut a body into its frames; no byte is changed.

    Args:
        body: The body.
        framing: How the frames are told apart; None for a body of one piece. JSON that
            is no array is one piece, too.
    """
    if framing is None:
        ends = []
    elif framing == "json":
        ends = _ends_of_elements(body)
    elif framing == "aws-eventstream":
        ends = _ends_of_messages(body)
    else:
        ends = [found.end() for found in _BETWEEN[framing].finditer(body)]
    return [body[begin:end] for begin, end in pairwise([0, *ends, len(body)]) if begin < end]


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

"""Comments of an event stream as frames, for who wants to see each sign of life."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.framing.sse import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream.framing.sse import SSEParser

__all__ = ["COMMENT", "with_comments"]

COMMENT = ServerSentEvent(b"", "comment", "")
"""Stands for a comment; it is known by being this object."""
_LINE = re.compile(rb"[^\r\n]*[\r\n]*")


def with_comments(framing: SSEParser, chunk: bytes) -> list[Any]:
    r"""Return the frames of a chunk, and `COMMENT` for each comment, in the order of the lines.

    Args:
        framing: What takes the chunk.
        chunk: Bytes as the transport delivered them.

    Example:
        >>> from tokenstream.framing.sse import SSEParser
        >>> [frame is COMMENT for frame in with_comments(SSEParser(), b"data: 1\n\n: ping\n")]
        [False, True]
    """
    frames: list[Any] = []
    for line in _LINE.findall(chunk):
        comments = framing.comments
        frames += framing.frames(line)
        frames += [COMMENT] * (framing.comments - comments)
    return frames

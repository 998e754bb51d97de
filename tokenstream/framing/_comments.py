"""Comments of an event stream as frames, for callers that must notice every heartbeat of the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.framing._sse import SSEParser
from tokenstream.framing._sse_event import ServerSentEvent

if TYPE_CHECKING:
    from tokenstream.framing._sse_event import Frame

COMMENT = ServerSentEvent(b"", event="comment", id="")
"""The frame that stands for a comment; compare frames with it by `is`."""
_LINE = re.compile(rb"[^\r\n]*[\r\n]*")
"""Matches a line with all line ends after it."""


class CommentedSSEParser(SSEParser):
    r"""Read server-sent events, and return `COMMENT` for each comment, in the order of the lines.

    Example:
        >>> [frame is COMMENT for frame in CommentedSSEParser().frames(b"data: 1\n\n: ping\n")]
        [False, True]
    """

    __slots__ = ()

    def frames(self, chunk: bytes, *, now: float = 0.0) -> list[Frame]:
        """Return the frames of a chunk, comments among them."""
        frames: list[Frame] = []
        # Read line by line, so that the comments get their places among the frames.
        for line in _LINE.findall(chunk):
            comments_before = self.comments
            completed = self._feed(line)
            # `line` includes the blank lines after it: a comment comes before the event that they end.
            frames += [COMMENT] * (self.comments - comments_before)
            frames += completed
        return frames

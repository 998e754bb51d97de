"""Input that comes cut into frames already: nothing is left to be found, and some bounds to be held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._json import is_deeper
from tokenstream.errors import LimitExceeded

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

__all__ = ["Messages", "Payloads"]


class Messages:
    """Take each chunk as one whole payload: a WebSocket's messages.

    Args:
        limits: `Limits.event` bounds a message.

    Example:
        >>> from tokenstream.limits import Limits
        >>> messages = Messages(Limits(event=5))
        >>> messages.frames(b"{}"), messages.frames(b"longer"), type(messages.error).__name__
        ([b'{}'], [], 'LimitExceeded')
    """

    __slots__ = ("_most", "error")

    tail = b""
    """Nothing: a message is never unfinished."""
    unfinished: None = None
    """None, for the same reason."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.event
        self.error: StreamError | None = None

    def frames(self, chunk: bytes) -> list[bytes]:
        """Return the message, unless it is too long."""
        if len(chunk) > self._most:
            self.error = LimitExceeded(limit="event", value=self._most)
            return []
        return [chunk]

    def end(self) -> list[bytes]:
        """Return nothing: no message is held."""
        return []


class Payloads:
    """Pass on what somebody else has framed: an SDK's payloads, pieces of text, the body of an error.

    Args:
        limits: `Limits.depth` bounds a payload that was decoded as well.

    Example:
        >>> from tokenstream.limits import Limits
        >>> payloads = Payloads(Limits(depth=1))
        >>> payloads.frames({"a": 1}), payloads.frames({"a": [1]}), type(payloads.error).__name__
        ([{'a': 1}], [], 'LimitExceeded')
    """

    __slots__ = ("_depth", "error")

    tail = b""
    """Nothing: a payload is never unfinished."""
    unfinished: None = None
    """None, for the same reason."""

    def __init__(self, limits: Limits) -> None:
        self._depth = limits.depth
        self.error: StreamError | None = None

    def frames(self, chunk: Any) -> list[Any]:  # noqa: ANN401 - whatever somebody else calls a payload
        """Return the payload, unless it is nested too deeply."""
        # Whoever decoded it may have had no bound, and what reads it goes down level by level.
        if is_deeper(chunk, self._depth):
            self.error = LimitExceeded(limit="depth", value=self._depth)
            return []
        return [chunk]

    def end(self) -> list[Any]:
        """Return nothing: no payload is held."""
        return []

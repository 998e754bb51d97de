"""Framings, as a connection uses them, and those of input that comes cut into frames already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._json import is_deeper
from tokenstream.errors import LimitExceeded

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits

__all__ = ["Framing", "Messages", "Payloads"]


class Framing(Protocol):
    """Chunks in, frames out: what cuts the input of one connection."""

    @property
    def error(self) -> StreamError | None:
        """The fault after the frames that were returned last; None where there is none."""
        ...

    @property
    def tail(self) -> bytes:
        """Bytes that have come of an unfinished frame."""
        ...

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame where it lacks its end; None where there is none."""
        ...

    def frames(self, chunk: Any, /) -> list[Any]:  # noqa: ANN401 - bytes, or a payload
        """Return the frames that a chunk completes."""
        ...

    def end(self) -> list[Any]:
        """Return the frames that the end of the input completes."""
        ...


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
        before: The framing of bytes that came before the first payload; what it holds counts at the end.

    Example:
        >>> from tokenstream.limits import Limits
        >>> payloads = Payloads(Limits(depth=1))
        >>> payloads.frames({"a": 1}), payloads.frames({"a": [1]}), type(payloads.error).__name__
        ([{'a': 1}], [], 'LimitExceeded')
    """

    __slots__ = ("_before", "_depth", "error")

    def __init__(self, limits: Limits, before: Framing | None = None) -> None:
        self._depth = limits.depth
        self._before = before
        self.error: StreamError | None = None

    def frames(self, chunk: Any) -> list[Any]:  # noqa: ANN401 - whatever somebody else calls a payload
        """Return the payload, unless it is nested too deeply."""
        # Whoever decoded it may have had no bound, and what reads it goes down level by level.
        if is_deeper(chunk, self._depth):
            self.error = LimitExceeded(limit="depth", value=self._depth)
            return []
        return [chunk]

    @property
    def tail(self) -> bytes:
        """Bytes that came before the first payload, and were no whole frame."""
        return b"" if self._before is None else self._before.tail

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The frame that those bytes are, where it only lacks its end."""
        return None if self._before is None else self._before.unfinished

    def end(self) -> list[Any]:
        """Return the frames that those bytes are; set `error` if they are none."""
        if self._before is None:
            return []
        frames = self._before.end()
        self.error = self.error or self._before.error
        return frames

"""The framing protocol that a connection uses, and framings for input that arrives as whole frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._basics.json import is_deeper
from tokenstream.errors import LimitExceeded

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.limits import Limits


class Framing(Protocol):
    """Chunks in, frames out: cuts the input of one connection."""

    @property
    def error(self) -> StreamError | None:
        """The fault that comes after the frames returned last, or None."""
        ...

    @property
    def tail(self) -> bytes:
        """The bytes of an unfinished frame that have arrived."""
        ...

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame if only its end is missing, or None."""
        ...

    def frames(self, chunk: Any, /) -> list[Any]:  # noqa: ANN401 - bytes, or a payload
        """Return the frames that a chunk completes."""
        ...

    def end(self) -> list[Any]:
        """Return the frames that the end of the input completes."""
        ...


class WholeMessages:
    """Take each chunk as one whole payload: a WebSocket's messages.

    Args:
        limits: `Limits.event` bounds a message.

    Example:
        >>> from tokenstream.limits import Limits
        >>> messages = WholeMessages(Limits(event=5))
        >>> messages.frames(b"{}"), messages.frames(b"longer"), type(messages.error).__name__
        ([b'{}'], [], 'LimitExceeded')
    """

    __slots__ = ("_most", "error")

    tail = b""
    """Always empty: a message is never unfinished."""
    unfinished: None = None
    """Always None: a message is never unfinished."""

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
    """Pass on input that is framed already: an SDK's payloads, pieces of text, the body of an error.

    Args:
        limits: `Limits.depth` bounds a payload that is already decoded.
        before: The framing of bytes that came before the first payload; `end` returns the frames it holds.

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
        # The caller's decoder may have had no bound, and the readers of the payload are recursive.
        if is_deeper(chunk, self._depth):
            self.error = LimitExceeded(limit="depth", value=self._depth)
            return []
        return [chunk]

    @property
    def tail(self) -> bytes:
        """Bytes that came before the first payload and did not make a whole frame."""
        return b"" if self._before is None else self._before.tail

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The frame that those bytes begin, if only its end is missing; else None."""
        return None if self._before is None else self._before.unfinished

    def end(self) -> list[Any]:
        """Return the frames that those bytes make; set `error` if they are malformed."""
        if self._before is None:
            return []
        frames = self._before.end()
        self.error = self.error or self._before.error
        return frames

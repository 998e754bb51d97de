"""The body of any server, in pieces within the messages of a binary event stream, as SageMaker sends it."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from tokenstream.errors import LimitExceeded
from tokenstream.formats._detect.payloads import is_whole
from tokenstream.framing import AWSEventStreamParser

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.errors import StreamError
    from tokenstream.framing._given import Framing
    from tokenstream.limits import Limits

# SageMaker's InvokeEndpointWithResponseStream (botocore 1.44.8, 2026-11).
_PART = "PayloadPart"
_IS_PART = b"\x0b:event-type\x07\x00\x0bPayloadPart"
"""The header of a message that has a piece of the body."""
_PRELUDE = 12
_MOST_HEADERS = 4096
"""The size up to which the first message's headers are waited for; those of a piece take a hundred bytes."""
_read_prelude = Struct(">III").unpack_from


def begins_with_part(start: bytes) -> bool | None:
    """Return whether the first message of a binary event stream has a piece of another body.

    Args:
        start: The bytes that have arrived.

    Returns:
        None if its headers have not arrived.

    Example:
        >>> begins_with_part(bytes.fromhex("00000010 00000000 05c248eb 7d98c8ff"))
        False
    """
    if len(start) < _PRELUDE:
        return None
    _, headers_size, checksum = _read_prelude(start)
    if checksum != crc32(start[:8]) or headers_size > _MOST_HEADERS:
        return False
    if len(start) < _PRELUDE + headers_size:
        return None
    return _IS_PART in start[_PRELUDE : _PRELUDE + headers_size]


class PayloadParts:
    """Take the pieces of a body out of binary messages, and pass them on to the framing of that body.

    A message that reports a failure is a frame of its own, among those of the body: the format decides,
    as in any binary event stream, if the failure takes something from the answer. The body ends with it.

    Args:
        limits: `line` limits the size of a message; the framing of the body has limits of its own.
        make_body: Makes the placeholder for the body's framing, with a function that it calls with the
            framing once that is known.
    """

    __slots__ = ("_failed", "_limits", "_messages", "_took_last", "body", "error", "tell")

    def __init__(self, limits: Limits, make_body: Callable[[Callable[[Framing], None]], Framing]) -> None:
        self._limits = limits
        self._messages = AWSEventStreamParser(limits=limits)
        self._failed = False
        """True once a failure was reported, after which nothing of the body comes."""
        self._took_last = False
        """True if the last frame of the body, which lacked only its end, was read before the failure."""
        self.body: Framing = make_body(self._use)
        """The framing of the body, or the placeholder for it."""
        self.tell: Callable[[Framing], object] = _ignore
        """Called with the framing of the body once it is known."""
        self.error: StreamError | None = None

    def _use(self, framing: Framing) -> None:
        self.body = framing
        self.tell(framing)

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished frame, or of the message in which the input ended."""
        return (b"" if self._took_last else self.body.tail) or self.message_tail

    @property
    def message_tail(self) -> bytes:
        """The bytes of the message in which the input ended; the tail of the body may stand beside them."""
        return self._messages.tail

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame if only its end is missing; None if the input ended inside a message."""
        return None if self.message_tail or self._failed else self.body.unfinished

    def frames(self, chunk: bytes) -> list[Any]:
        """Return the frames of the body that a chunk completes."""
        frames: list[Any] = []
        for message in self._messages.frames(chunk):
            if self.error is not None:
                return frames
            if message.kind != "event":
                frames += [*self._end_body(), message]
            elif message.event == _PART and message.payload and not self._failed:
                frames += self.body.frames(message.payload)
                self.error = self.body.error
        self.error = self.error or self._messages.error
        return frames

    def _end_body(self) -> list[Any]:
        """End the body before a failure, and return its last frames, also one that lacks only its end."""
        if self._failed:
            return []
        self._failed = True
        frames, last = self.body.end(), self.body.unfinished
        try:
            self._took_last = last is not None and is_whole(last, self._limits)
        except LimitExceeded as error:
            self.error = error
        return [*frames, last] if self._took_last else frames

    def end(self) -> list[Any]:
        """Return the frames of the body that the end of the input completes."""
        self._messages.end()
        if self._failed:
            return []
        frames = self.body.end()
        self.error = self.error or self.body.error
        return frames


def _ignore(_framing: Framing) -> None:
    """Do nothing with a framing."""

"""Framings of input in which no frames have to be found: whole messages, payloads, and plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.json import is_deeper
from tokenstream.errors import LimitExceeded, StreamError
from tokenstream.framing._framing import Decoding, Framing, Shortcut
from tokenstream.framing._lines import UTF8

if TYPE_CHECKING:
    from tokenstream.limits import Limits


class WholeMessages(Framing):
    """Treat each chunk as one whole payload, as the messages of a WebSocket are.

    Args:
        limits: `Limits.event` limits the size of a message.

    Example:
        >>> from tokenstream.limits import Limits
        >>> messages = WholeMessages(Limits(event=5))
        >>> messages.frames(b"{}"), messages.frames(b"longer"), type(messages.error).__name__
        ([b'{}'], [], 'LimitExceeded')
    """

    has_messages = True

    def __init__(self, limits: Limits) -> None:
        self._most = limits.event
        self.error: StreamError | None = None

    def frames(self, chunk: bytes) -> list[bytes]:
        """Return the message in a list; set `error` instead if it is too long."""
        if len(chunk) > self._most:
            self.error = LimitExceeded(limit="event", value=self._most)
            return []
        return [chunk]

    def end(self) -> list[bytes]:
        """Return no messages: none is held back."""
        return []

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        return format.shortcut("message", self._most)


class Bypass(Framing):
    """Pass on input that is already cut into payloads, such as an SDK's events or pieces of text.

    Args:
        limits: `Limits.depth` limits the nesting of a payload that is already decoded.
        before: The framing of bytes that arrived before the first payload; `end` returns its last frames.

    Example:
        >>> from tokenstream.limits import Limits
        >>> payloads = Bypass(Limits(depth=1))
        >>> payloads.frames({"a": 1}), payloads.frames({"a": [1]}), type(payloads.error).__name__
        ([{'a': 1}], [], 'LimitExceeded')
    """

    has_payloads = True

    def __init__(self, limits: Limits, before: Framing | None = None) -> None:
        self._depth, self._most = limits.depth, limits.event
        self._before = before
        self.error: StreamError | None = None

    def frames(self, chunk: Any) -> list[Any]:  # noqa: ANN401 - whatever somebody else calls a payload
        """Return the payload in a list; set `error` instead if it is nested too deeply."""
        # The decoder of the caller may have no limit, and the code that reads the payload is recursive.
        if is_deeper(chunk, self._depth):
            self.error = LimitExceeded(limit="depth", value=self._depth)
            return []
        return [chunk]

    @property
    def tail(self) -> bytes:
        """The bytes that arrived before the first payload, except those of whole frames."""
        return b"" if self._before is None else self._before.tail

    @property
    def unfinished(self) -> Any:  # noqa: ANN401 - a frame
        """The last frame of the bytes before the first payload, if only its end is missing; else None."""
        return None if self._before is None else self._before.unfinished

    def end(self) -> list[Any]:
        """Return the last frames of the bytes before the first payload; set `error` if one is malformed."""
        if self._before is None:
            return []
        frames = self._before.end()
        self.error = self.error or self._before.error
        return frames

    def make_shortcut(self, format: Decoding) -> Shortcut | None:
        return format.shortcut("payload", self._most)


class TextBody(Framing):
    r"""Decode a body of plain text piece by piece; half a character waits for its other half.

    A byte order mark at the start is dropped. Malformed UTF-8 becomes U+FFFD.

    Example:
        >>> body = TextBody()
        >>> body.feed(b"caf\xc3"), body.feed(b"\xa9"), body.end()
        (['caf'], ['é'], [])
    """

    stop: str | None = None
    """Always None: a framing never asks to close the source."""
    error: StreamError | None = None
    """Always None: any bytes are text."""

    def __init__(self) -> None:
        self.replaced = 0
        """Number of U+FFFD that replaced malformed UTF-8."""
        # One decoder writes U+FFFD for malformed UTF-8, the other nothing; the difference is counted.
        self._replacing, self._ignoring = UTF8("replace"), UTF8("ignore")
        self._begun = False
        """True once there is text, so that a byte order mark can no longer come first."""

    @property
    def tail(self) -> bytes:
        """The bytes of an unfinished character."""
        held, _ = self._replacing.getstate()
        return held

    def check(self) -> None:
        """Do nothing: there is never an error."""

    def feed(self, chunk: bytes, *, now: float = 0.0) -> list[str]:
        """Return the text that a chunk completes, in one piece."""
        return self._decode_piece(chunk, final=False)

    frames = feed

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return U+FFFD if the body ended within a character; else no text."""
        return self._decode_piece(b"", final=True)

    def _decode_piece(self, chunk: bytes, *, final: bool) -> list[str]:
        """Return the decoded text in a list; an empty list if there is none.

        The replaced characters are counted as the difference between two decoders, since a
        server may send U+FFFD itself.
        """
        text = self._replacing.decode(chunk, final)
        self.replaced += text.count("\ufffd") - self._ignoring.decode(chunk, final).count("\ufffd")
        if text and not self._begun:
            self._begun = True
            # A byte order mark does not belong to the text.
            text = text.removeprefix("\ufeff")
        return [text] if text else []

"""A body of plain text: without events, lines or an end marker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.framing._lines import UTF8

if TYPE_CHECKING:
    from tokenstream.errors import StreamError


class TextBody:
    r"""Decode a body of plain text piece by piece; half a character waits for its other half.

    A byte order mark at the start is dropped. Malformed UTF-8 becomes U+FFFD.

    Example:
        >>> body = TextBody()
        >>> body.feed(b"caf\xc3"), body.feed(b"\xa9"), body.end()
        (['caf'], ['é'], [])
    """

    __slots__ = ("_begun", "_ignoring", "_replacing", "replaced")

    stop: str | None = None
    """Always None: a framing never asks to close the source."""
    error: StreamError | None = None
    """Always None: any bytes are text."""
    unfinished: None = None
    """Always None: a piece of text has no end that could be missing."""

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
    """The method `feed`, under the name that every framing has."""

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return U+FFFD if the body ended within a character; else no text."""
        return self._decode_piece(b"", final=True)

    def _decode_piece(self, chunk: bytes, *, final: bool) -> list[str]:
        """Return the decoded text in a list; an empty list if there is none.

        The replaced characters are counted as the difference between two decoders, since a
        server may send U+FFFD itself.

        Args:
            final: True if no more bytes will arrive.
        """
        text = self._replacing.decode(chunk, final)
        self.replaced += text.count("\ufffd") - self._ignoring.decode(chunk, final).count("\ufffd")
        if text and not self._begun:
            self._begun = True
            # A byte order mark does not belong to the text.
            text = text.removeprefix("\ufeff")
        return [text] if text else []

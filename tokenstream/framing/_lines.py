"""Common ground of framings: chunks of any type of bytes, lines within limits of size, malformed UTF-8."""

from __future__ import annotations

from abc import ABC, abstractmethod
from codecs import getincrementaldecoder
from typing import Any, Generic, TypeVar

from tokenstream._basics.kept_errors import ErrorKeeper
from tokenstream.errors import LimitExceeded, MisuseError, StreamError
from tokenstream.limits import DEFAULT_LIMITS, Limits

SLICE = 64 * 1024
"""Bytes that are split into lines at a time.

A decompressed chunk may be a thousand times as large as the bytes from the
network, and the list of its lines eight times as large as the chunk.
"""

BOM = b"\xef\xbb\xbf"

FrameT = TypeVar("FrameT")

UTF8 = getincrementaldecoder("utf-8")


def as_bytes(chunk: object, parser: str, *, ended: bool, advice: str = "") -> bytes:
    """Return a chunk as immutable bytes."""
    if isinstance(chunk, memoryview):
        chunk = chunk.tobytes()
    elif not isinstance(chunk, bytes | bytearray):
        raise MisuseError(
            f"{parser}.feed takes bytes as the transport delivered them, not {type(chunk).__name__}{advice}"
        )
    if ended:
        raise MisuseError(f"{parser}.feed came after end(); a new connection needs a new parser or reset()")
    return bytes(chunk)


class LineFraming(ErrorKeeper, ABC, Generic[FrameT]):
    """Read the lines of one connection, wherever the transport cut the chunks; `feed` returns `FrameT`.

    A subclass defines the meaning of a line in `_read_text`, and may change its bound in `_find_bound`.
    """

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self.error: StreamError | None = None
        """The error that follows the frames which the last `feed` returned, or None."""
        self._limits = limits
        # A line of at most this length is within every limit.
        self._longest_safe = min(limits.line, limits.event)
        # A chunk of at most this length is read at once, and its lines are within every limit.
        self._small_chunk = min(self._longest_safe, SLICE)
        self._begin()

    def _begin(self) -> None:
        """Set the state for reading a new connection."""
        self.error = None
        self._ended = False
        # The first bytes, as long as they may be part of a byte order mark; then None.
        self._bom_start: bytes | None = b""
        # A bytearray grows in amortised constant time and needs one byte for each
        # byte; a list of 5-byte fragments would need ten.
        self._line = bytearray()
        # The value of `tail` after an error, when the buffers have been emptied.
        self._tail_at_error = b""
        # True once the byte order mark has been handled; False again after the end or an error.
        self._past_bom = False
        # True if `_past_bom` and no bytes are held: the next chunk may be read without the earlier ones.
        self._holds_nothing = False

    @property
    def tail(self) -> bytes:
        """The bytes of the unfinished frame, at most the first `Limits.tail` of them."""
        return self._tail_at_error if self.error is not None else self._peek_held()[: self._limits.tail]

    def _feed(self, chunk: object) -> list[Any]:
        """Return the frames that a chunk completes; read it in slices of `SLICE` bytes, to save memory."""
        text = self._accept(chunk)
        frames: list[Any] = []
        for start in range(0, len(text), SLICE):
            self._read_slice(text[start : start + SLICE], frames)
            if self.error is not None:
                break
        # These two decide whether a subclass may read the next chunk by a shortcut.
        self._past_bom = self._bom_start is None and self.error is None
        self._holds_nothing = self._past_bom and self._is_idle()
        return frames

    def end(self, *, now: float = 0.0) -> list[FrameT]:
        """End the input, so that `feed` refuses further chunks; an unfinished frame is in `unfinished`.

        Args:
            now: Not used; every stage has this parameter.
        """
        self._ended = True
        # Without these, `feed` takes no shortcut, so it notices that the input has ended.
        self._past_bom = self._holds_nothing = False
        return []

    def reset(self) -> None:
        """Begin reading a new connection."""
        self._begin()

    def _accept(self, chunk: object) -> bytes:
        """Return the bytes of a chunk without a byte order mark; after an error, return no bytes."""
        chunk = as_bytes(chunk, type(self).__name__, ended=self._ended, advice="; encode text as UTF-8 first")
        if self.error is not None:
            return b""
        if self._bom_start is None:
            return chunk
        chunk = self._bom_start + chunk
        if len(chunk) < len(BOM) and BOM.startswith(chunk):
            # The rest of the byte order mark may follow.
            self._bom_start = chunk
            return b""
        self._bom_start = None
        return chunk.removeprefix(BOM)

    def _stop_if_outgrown(self, line: bytes | bytearray, *, whole: bool) -> bool:
        """Set `error` if a line is longer than a limit allows; return True in that case."""
        longest, limit = self._find_bound(line, whole=whole)
        if len(line) <= longest:
            return False
        # Bytes beyond the limit are left out, so that `tail` does not depend on how
        # the chunks were cut.
        self._line = bytearray(line[: min(longest, self._limits.tail)])
        self._tail_at_error = self.tail
        error = LimitExceeded(limit=limit, value=getattr(self._limits, limit))
        error.tail = self._tail_at_error
        self.error = error
        # After an error, no chunk may be read by a shortcut.
        self._past_bom = self._holds_nothing = False
        self._drop_held()
        return True

    def _peek_held(self) -> bytes:
        """Return the start of the held bytes: all of them, or at least the first `Limits.tail` bytes."""
        return (self._bom_start or b"") + self._line[: self._limits.tail]

    def _drop_held(self) -> None:
        self._line = bytearray()

    def _is_idle(self) -> bool:
        return not self._line

    def _read_slice(self, text: bytes, frames: list[Any]) -> None:
        """Read a slice of a chunk, which subclasses may change, and add the frames that it completes."""
        self._read_text(text, frames)

    @abstractmethod
    def _read_text(self, text: bytes, frames: list[Any]) -> None:
        """Add the frames that this text completes to `frames`; set `error` if a line is too long."""

    def _find_bound(self, line: bytes | bytearray, *, whole: bool) -> tuple[int, str]:
        """Return the maximum length of a line, and the limit that sets it: the smaller one of two limits.

        The result must not depend on how much of the line has arrived; otherwise the
        error would depend on how the chunks were cut.
        """
        if self._limits.event < self._limits.line:
            return self._limits.event, "event"
        return self._limits.line, "line"


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def count_malformed(payload: bytes) -> int:
    r"""Return how many U+FFFD decoding inserts; those that the server sent are not counted.

    Example:
        >>> count_malformed("\ufffd".encode() + b"\xff\xe2\x82")
        2
    """
    if len(payload) <= SLICE:
        try:
            payload.decode()
        except UnicodeDecodeError:
            pass
        else:
            return 0
    # Decoded in pieces: a single character beyond U+FFFF makes Python use four bytes for every character.
    replacing, ignoring = UTF8("replace"), UTF8("ignore")
    count = 0
    for start in range(0, len(payload), SLICE):
        piece = payload[start : start + SLICE]
        count += replacing.decode(piece).count("\ufffd") - ignoring.decode(piece).count("\ufffd")
    # A character that is cut off at the end becomes one U+FFFD.
    return count + len(replacing.decode(b"", final=True))

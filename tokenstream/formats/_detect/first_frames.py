"""Keeps the first frames of an answer, to tell at its end whether they are of the format that was named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import StreamTruncated

if TYPE_CHECKING:
    from tokenstream.errors import ProtocolError, StreamError
    from tokenstream.formats._base import Format, Frame

_MOST_KEPT = 8


class FirstFrames:
    """The frames of a connection up to the first content that its format reads; later, only the first one."""

    __slots__ = ("_frames", "_later", "enough")

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        """The first frames, at most eight."""
        self._later = 0
        """Number of frames after these, without content."""
        self.enough = False
        """True once no more frames are kept, because the format has read content."""

    def keep(self, frame: Frame) -> None:
        """Keep a frame; only count it if eight are kept, and ignore it if content was read before."""
        if self.enough:
            return
        if len(self._frames) < _MOST_KEPT:
            self._frames.append(frame)
        else:
            self._later += 1

    def settle(self) -> None:
        """Keep only the first frame from now on: the format has read content."""
        if not self.enough:
            self.enough = True
            del self._frames[1:]

    def drop(self) -> None:
        """Keep nothing: the format is certainly the right one."""
        self.enough = True
        self._frames.clear()

    def find_mismatch(self, format: Format, *, certain: bool = False) -> ProtocolError | None:
        """Return the error for an answer without content in another format; None if there is none.

        Args:
            format: The format that was to read the frames.
            certain: True if the other format has to be known for certain.
        """
        if self.enough:
            return None
        return self._compare(format, certain=certain or bool(format.parts.choices))

    def explain(self, error: StreamError | None, format: Format) -> StreamError | None:
        """Return the error for another format in place of a truncation that this explains.

        Any other error, and None, are returned unchanged.

        Args:
            error: The error at the end of the input.
            format: The format that was to read the frames.
        """
        is_truncated = isinstance(error, StreamTruncated)
        return (self._compare(format, certain=True) if is_truncated else None) or error

    def is_empty(self, format: Format) -> bool:
        """Return True if no frame had a payload: there were only pings, or the sentinel."""
        from tokenstream.formats._detect.wrong_format import has_payload

        return not self.enough and not has_payload(self._frames, format.limits)

    def _compare(self, format: Format, *, certain: bool) -> ProtocolError | None:
        from tokenstream.formats._detect.wrong_format import find_mismatch

        return find_mismatch(format, self._frames, self._later, certain=certain)

"""Reports at the end of the input: that it came too early, or that its frames have another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.errors import LimitExceeded, ProtocolError, StreamTruncated
from tokenstream.events import MessageStart, PartStart, ProviderData, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format, Frame
    from tokenstream.formats._detect.recognise import Mismatch

_MOST_KEPT = 8
_BEGINNINGS = (MessageStart, PartStart, ProviderData, Unknown)
"""Events of which a format may make some for a payload of which it knows nothing but the type."""


class FirstFrames:
    """Keeps the first frames of a connection, to tell whether they are of the format that was named.

    Once the format has read content, it is probably the right one, so only the very first frame is kept:
    if the answer later seems truncated, that frame may still show that it is of another format.
    """

    __slots__ = ("_frames", "_has_read", "_has_unknown", "_later", "enough", "is_detected", "is_proven")

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        """The first frames, at most eight."""
        self._later = 0
        """Number of later frames that also came before any content, and are not kept."""
        self._has_read = False
        """True once any event has had something that the format knows."""
        self._has_unknown = False
        """True once any payload was unknown to the format."""
        self.enough = False
        """True once no more frames are kept, because the format has read content."""
        self.is_detected = False
        """True if the frames have revealed the format; False if the caller has named it."""
        self.is_proven = True
        """False if the frames only fit the format, and so are no whole answer, however they end."""

    def keep(self, frame: Frame) -> None:
        """Keep a frame that arrives before any content; from the ninth on, frames are only counted."""
        if len(self._frames) < _MOST_KEPT:
            self._frames.append(frame)
        else:
            self._later += 1

    def note(self, events: Sequence[Event]) -> None:
        """Note whether the format knows what it has read, judging by the events of a frame."""
        tells_fields = has_unknown = False
        for event in events:
            has_unknown = has_unknown or isinstance(event, Unknown)
            if isinstance(event, ProviderData | MessageStart):
                tells_fields = tells_fields or not isinstance(event, ProviderData) or bool(event.data)
            self._has_read = self._has_read or not isinstance(event, _BEGINNINGS)
        # Of a payload with an unknown field, the rest may be known.
        self._has_unknown = self._has_unknown or (has_unknown and not tells_fields)

    @property
    def are_unknown(self) -> bool:
        return self._has_unknown and not self._has_read

    def settle(self) -> None:
        """Keep only the first frame from now on: the format has read content."""
        if not self.enough:
            self.enough = True
            del self._frames[1:]

    def drop(self) -> None:
        """Forget all frames: the format is certainly the right one."""
        self.enough = True
        self._frames.clear()

    def find_mismatch(self, format: Format, *, certain: bool = False) -> Mismatch | None:
        """Return the error for frames of another format; None if they may be of this one, or were read."""
        if self.enough:
            return None
        return self._compare(format, certain=certain or bool(format.parts.choices))

    def prove_no_answer(self, format: Format) -> bool:
        """Return True for frames without content, all of one kind, which any vocabulary may have.

        That the caller has named the format says no more of the answer than that no other format fits.
        """
        from tokenstream.formats._detect.recognise import find_likeliest

        if self.enough or self.is_detected or not self._frames:
            return not self.is_proven
        return (format.name, False) == find_likeliest(self._frames, format.limits)

    def find_nothing_read(self, format: Format) -> Mismatch | None:
        """Return the error for an answer whose payloads were all unknown; None for any other answer."""
        # A format that has read another connection before may know the answer from there.
        if self.enough or not self.are_unknown or format.parts.has_parts or format.parts.finished:
            return None
        from tokenstream.formats._detect.recognise import find_nothing_read

        return find_nothing_read(format, self._frames, self._later)

    def explain(self, error: StreamError | None, format: Format) -> StreamError | None:
        """Return the error to raise at the end of the input, if possible a more helpful one than `error`.

        An answer that seems truncated may only be of another format, and of one that seems whole, nothing may
        have been read.
        """
        if error is None:
            return self.find_nothing_read(format)
        if not isinstance(error, StreamTruncated):
            return error
        # After a mark of the end, an answer that was only unknown is none that was cut off.
        nothing_read = self.find_nothing_read(format) if format.ended else None
        return self._compare(format, certain=True) or nothing_read or error

    def _compare(self, format: Format, *, certain: bool) -> Mismatch | None:
        from tokenstream.formats._detect.recognise import find_mismatch

        return find_mismatch(format, self._frames, self._later, certain=certain)


def truncation_error(frames: int, open_calls: int) -> StreamTruncated:
    if not frames:
        from tokenstream._basics.error_marks import EMPTY_INPUT_HINT, add_code_hint

        return add_code_hint(StreamTruncated("the input ended without a single event"), EMPTY_INPUT_HINT)
    # "s" * True is a plural "s".
    inside = f", inside {open_calls} tool call{'s' * (open_calls != 1)}" if open_calls else ""
    return StreamTruncated(
        f"the input ended after {frames} frame{'s' * (frames != 1)}{inside}, "
        "before the end of the answer; what had arrived is in .partial"
    )


def number_error(error: ProtocolError, frame: int, advice: str) -> ProtocolError:
    """Say in an error which frame it is about, and what to do, unless a limit says that; return the error."""
    error.event = frame
    advice = "" if isinstance(error, LimitExceeded) else f"; {advice}"
    error.args = (f"frame {frame}: {error.message}{advice}",)
    return error

"""Sorts frames that arrive compressed, arrive out of order, or are repeated by another connection."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, PositionLost
from tokenstream.formats._detect.undetected_format import UndetectedFormat
from tokenstream.framing._frames import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tokenstream._connection.connection import Connection
    from tokenstream.errors import StreamError
    from tokenstream.formats._base import Format
    from tokenstream.formats._resume.event_log import EventLog
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.stages import Reorder
    from tokenstream.stages._metrics.meter import Meter


SLICE_END = ServerSentEvent(b"", event="slice", id="")
"""Stands between the frames of two slices of a compressed chunk, where a driver may look at the clock."""


class Arrivals:
    """Puts frames in order, and drops those that an earlier connection has already brought."""

    def __init__(self, meter: Meter, *, marks_slices: bool) -> None:
        self._meter = meter
        self.reorder: Reorder | None = None
        """Reorders frames and drops repeated ones; None to take frames in the order of arrival."""
        self.log: EventLog | None = None
        """Remembers the events, in case another connection repeats some; None if none can."""
        self._kept: deque[Any] = deque(maxlen=0)
        """The frames that were read, for `stream.payloads`; it takes none if nobody asks for them."""
        self.looks_at_frames = False
        """True if frames may be put in order, dropped or kept."""
        self.lost: PositionLost | None = None
        """The error if another connection does not go on with the same answer; None until then."""
        self.ready: list[Any] = []
        """Frames that `reorder` released because they had waited long enough for missing ones."""
        self.marks_slices = marks_slices
        """True to yield `SLICE_END` between two slices of a compressed chunk."""

    def remember(self, log: EventLog | None = None) -> None:
        """Remember events from now on, because another connection may repeat some."""
        if log is None:
            # Only a stream that another connection may continue loads it.
            from tokenstream.formats._resume.event_log import EventLog

            log = EventLog()
        self.log, self.looks_at_frames = log, True

    def take(self, reorder: Reorder) -> None:
        self.reorder, self.looks_at_frames = reorder, True

    def keep(self) -> deque[Any]:
        """Keep each frame that is read from now on, for `stream.payloads`; return where they are kept."""
        if self._kept.maxlen is not None:
            if self._meter.chunks:
                raise MisuseError(
                    "the payloads were not kept: ask for stream.payloads before anything is read",
                    kind="consumed",
                )
            self._kept, self.looks_at_frames = deque[Any](), True
        return self._kept

    def forget(self) -> None:
        """Remember no events any more, because no connection repeats them."""
        self.log, self.looks_at_frames = None, self.reorder is not None or self._kept.maxlen is None

    def forget_loss(self) -> None:
        """Forget that the answer was lost on another connection, because it was whole without that."""
        self.lost = None

    @property
    def holds_frames(self) -> bool:
        """True while frames wait for a missing frame, which must arrive before a deadline."""
        return self.reorder is not None and self.reorder.deadline is not None

    @property
    def gap(self) -> StreamError | None:
        """The error if a missing frame never came, or a frame belongs to another answer; otherwise None."""
        return self.lost if self.reorder is None else self.reorder.error or self.lost

    def tick(self, now: float) -> StreamError | None:
        """Release the frames that waited long enough for missing ones; return the error of a gap."""
        if self.reorder is None:
            return None
        self.ready = self.reorder.tick(now)
        return self.reorder.error

    def sort(
        self, coding: ContentDecoder | None, connection: Connection, chunk: bytes, now: float
    ) -> Iterator[Any]:
        """Yield the frames of a chunk one by one, and of compressed data, which may grow a lot, by slices."""
        meter, reorder, kept = self._meter, self.reorder, self._kept
        # At its end, the connection may read more frames, which it then logs and keeps itself.
        connection.log, connection.kept_frames = self.log, kept
        ready, self.ready = self.ready, []
        # First the frames that had waited for missing ones.
        kept.extend(ready)
        yield from ready
        is_first = True
        for piece in (chunk,) if coding is None else coding.slices(chunk):
            if self.marks_slices and not is_first:
                yield SLICE_END
            is_first = False
            frames = connection.framing.frames(piece)
            # `waiting`: a mark of the metrics, such as the first frame, is not reached yet.
            if meter.waiting:
                meter.mark(now, frame=bool(frames))
            for frame in frames:
                # A frame that reveals the format may end the log.
                if self.log is not None:
                    in_order: Sequence[Any] = () if self._is_repeated(frame, connection) else (frame,)
                else:
                    in_order = (frame,) if reorder is None else reorder.feed(frame, now=now)
                for each in in_order:
                    kept.append(each)
                    yield each
                if self.lost is not None:
                    break
            # Nothing is read beyond malformed bytes, or once a missing frame was given up (`gap`).
            if connection.framing.error is not None or self.gap is not None:
                return

    def _is_repeated(self, frame: Any, connection: Connection) -> bool:  # noqa: ANN401 - any frame
        """Record a frame; return True if an earlier connection has brought it, or if it sets `lost`."""
        try:
            return connection.is_repeated(frame)
        except PositionLost as error:
            self.lost = error
            return True

    def begin_again(self, kept_format: Format | None, *, skips_ids: bool) -> None:
        """Prepare to resume the answer of `kept_format`, or for a new one; no loss if ids are skipped."""
        self.lost, self.ready = None, []
        if self.log is None:
            return
        if kept_format is None:
            self.remember()
        elif kept_format.resume is not None and kept_format.resume.merges_replays:
            # Such a format recognises repeated events itself, by their positions.
            self.forget()
        else:
            known_format = None if isinstance(kept_format, UndetectedFormat) else kept_format
            self.log.begin_replay(known_format, skips_ids=skips_ids)

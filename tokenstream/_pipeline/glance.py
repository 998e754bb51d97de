"""The fast path, which reads a chunk that is one more delta like the last one, with little decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote

from tokenstream._basics.text_log import TextLog
from tokenstream._connection.error_body import ErrorBody
from tokenstream._growing import is_bare
from tokenstream.accumulator import Accumulator
from tokenstream.errors import PositionLost, StreamInterrupted
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart
from tokenstream.formats._detect.requested import take_request
from tokenstream.framing._comments import COMMENT
from tokenstream.stages._metrics.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokenstream._connection.connection import Connection
    from tokenstream._connection.head import ResponseHead
    from tokenstream._growing import Target
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.told import Told
    from tokenstream.formats._resume.event_log import EventLog
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.limits import Limits
    from tokenstream.message import Usage
    from tokenstream.stages import Reorder
    from tokenstream.stages._metrics.metrics import Metrics


class Observes(Protocol):
    """An observer of a machine, such as a tracer; the methods are called by the stream's code."""

    def ended(self, machine: Any) -> None:  # noqa: ANN401 - a machine, from a higher layer
        """Handle the end of the answer: the ending is set, and the error, if any, has the partial answer.

        The machine calls this method, perhaps more than once for an answer.
        """

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - an argument from a higher layer
        """Return a function that creates the context manager in which a router runs a tool.

        Args:
            within: Creates another context manager, which is entered inside this one; None for none.
        """


class Glancing:
    """The base of machines: the fast path, and the state that a machine uses for each chunk.

    Args:
        limits: Bounds on untrusted input.
        late_usage: Returns token counts that no event has reported yet, or None.
    """

    __slots__ = (
        "_connection",
        "_glanced_event",
        "_returned_count",
        "accumulator",
        "chunk",
        "continues",
        "error",
        "head",
        "limits",
        "log",
        "lost",
        "meter",
        "now",
        "observer",
        "ready",
        "reorder",
        "shortcut",
        "timer",
        "unit",
        "waits",
    )

    def __init__(self, limits: Limits, late_usage: Callable[[], Usage | None]) -> None:
        self.limits = limits
        self.accumulator = Accumulator(limits=limits, late_usage=late_usage)
        """The stage that contains the message."""
        self.accumulator.calls.find_journal_id = self.find_answer_id
        self.meter = Meter(0.0)
        """Records the times for the metrics; the caller replaces its start, 0.0."""
        self._returned_count = 0
        """Number of events that were returned, without those of the fast path."""
        self.head: ResponseHead | None = None
        """The head of the response; None if there is none, or before it arrives."""
        self.observer: Observes | None = None
        """The observer that is notified of the end; None if there is none."""
        self.chunk: Any = None
        """The input that `pull` decodes next; None if there is none."""
        self.reorder: Reorder | None = None
        """Reorders frames and drops repeated ones; None to take frames in the order of arrival."""
        self.log: EventLog | None = None
        """Remembers the events, in case another connection repeats some; None if none can."""
        self.lost: PositionLost | None = None
        """The error for another connection that does not go on with the answer; None so far."""
        self.ready: list[Any] = []
        """Frames that `reorder` released because they had waited long enough for missing ones."""
        self.now = 0.0
        """The clock reading of the last input."""
        self.error: StreamError | None = None
        """The failure that follows the events returned last; None if there is none."""
        self.continues = True
        """True while the answer simply continues: no error, no terminal event, no end."""
        self.timer: Callable[[], float] | None = None
        """A clock for measuring how long reading takes; None to measure nothing."""
        self.waits = False
        """True while no event may be returned before the guards have decided."""
        self.shortcut: Callable[[Any, float], Event | None] | None = None
        """Fast replacement for `give` while chunks may be like the last one; otherwise None."""
        self._connection: Connection
        """Reads the input."""
        self._glanced_event: Event | None = None
        """The event of a payload that was read on the fast path: already taken, but not yet returned."""
        self.unit: type = bytes
        """The class of input that `give` takes: bytes, or str for decoded text."""

    def take_request(self, asked: object) -> None:
        """Tell the format the JSON of the request that this connection answers."""
        take_request(self._connection.format, asked)

    @property
    def metrics(self) -> Metrics:
        """Timing of the answer so far."""
        # Before the first chunk, there is no time of a last input.
        return self.meter.read(
            self.now if self.meter.chunks else None,
            events=self.events_seen,
            usage=self.accumulator.counted,
        )

    @property
    def events_seen(self) -> int:
        """Number of events that were returned."""
        return self._returned_count + self.meter.glanced

    def give(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - bytes, or text
        """Accept the next input, and return its event if the fast path can read the input.

        If the result is None, `pull` has to be called, which reads the input.

        Args:
            chunk: The input: bytes of the body, or decoded text, depending on `unit`.
            now: A clock reading, in seconds.
        """
        if self.shortcut is not None:
            return self.shortcut(chunk, now)
        self.now = now
        self.chunk = chunk
        return None

    def _make_shortcut(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
        """Create the fast path for chunks like the last one, and then give it the next chunk.

        While the machine waits for that chunk, `shortcut` is this method; so the fast path is created only
        if there is another chunk. The result is the chunk's event; None if `pull` has to read the chunk.
        """
        read = self._connection.shortcut()
        self.shortcut = None if read is None else self.glance_with(read)
        return self.give(chunk, now)

    def _read_at_a_glance(self, payload: dict[str, Any], now: float) -> bool:
        """Read a decoded payload on the fast path.

        Returns:
            True if that worked, so that `pull` returns the payload's event; False if it did not.
        """
        if self.shortcut is None or not self._connection.takes_payloads:
            return False
        self._glanced_event = self.shortcut(cast("Any", payload), now)
        # If the fast path fails, it leaves the payload in `chunk`, but `push` still has to prepare it.
        self.chunk = None
        if self._glanced_event is None:
            return False
        self.meter.bytes -= len(payload)  # the function counted it, but a decoded payload has no size
        return True

    def glance_with(  # noqa: C901 - what runs for every token is in one place
        self, read: Callable[[Any], Event | None]
    ) -> Callable[[Any, float], Event | None]:
        """Return a function that does all the work of `Machine.pull` for one chunk in a single call.

        The function remembers the destination of the last delta. When it returns None for a
        chunk, `pull` has to read that chunk, and the function must not be called again.

        Args:
            read: Reads a chunk that is like the last one; returns None for any other chunk.
        """
        meter, accumulator = self.meter, self.accumulator
        max_bytes, max_text = self.limits.body, self.limits.text
        target: Target | None = None
        kind: Any = None
        choice = part = -1
        is_fragment = is_call = is_reasoning = False
        log, pieces = TextLog(), list[str]()

        def glance(chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
            """Return the event of a chunk, and add it to the message; None if `Machine.pull` must read it."""
            nonlocal target, kind, choice, part, is_fragment, is_call, is_reasoning, log, pieces
            stamps = meter.stamps
            # From time to time, the meter has work to do with the times of arrival: `sample` starts it, and
            # then calls this function again.
            if len(stamps) >= meter.check_at:
                if len(pieces) >= log.full_at:
                    # It is enough to join the pieces here: a block may contain a few pieces more.
                    log.pack()
                return self.sample(glance, chunk, now)
            self.now = now
            size = meter.bytes + len(chunk)
            # A chunk that exceeds the limit is left to `pull`, which reports the error.
            event: Any = read(chunk) if size <= max_bytes else None
            if event is None:
                self.shortcut = None
                self.chunk = chunk
                return None
            meter.bytes = size
            stamps.append(now)
            if (
                event.__class__ is kind
                and event.part == part
                and event.choice == choice
                and accumulator.target is target
                # A signature, which may come with reasoning, is left to `Accumulator.take`.
                and (not is_reasoning or is_bare(event))
            ):
                # `Accumulator.take` and `TextLog.append` are inlined: calls would cost time for each event.
                if is_call:
                    event._link = log  # noqa: SLF001 - read by `partial_arguments`
                text = event.fragment if is_fragment else event.text
                pieces.append(text)
                size = len(text)
                log.length += size
                accumulator.held += size
                if accumulator.held > max_text:
                    accumulator.overflow()
                    self.fail()
                if accumulator.built is not None:
                    # The message that was built last lacks this text.
                    accumulator.built = None
            else:
                # The delta goes elsewhere than the last one: remember its destination.
                accumulator.take(event)
                target = accumulator.target
                kind, choice, part, log = target.kind, target.choice, target.part, target.log
                pieces, is_fragment = log.pieces, target.is_fragment
                is_call, is_reasoning = kind is ToolCallDelta, kind is ReasoningDelta
                # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
                if meter.waiting and event.__class__ is TextDelta:
                    meter.mark_text(now)
                if accumulator.error is not None:
                    self.fail()
            taken: Event = event
            return taken

        return glance

    @property
    def answer_format(self) -> Format:
        """The format that reads the answer."""
        return self._connection.format

    def find_answer_id(self) -> str | None:
        """Return the answer's id, which a relay with a journal sends in a header and in the first event."""
        head = self.head
        named = None if head is None or head.refuses else head.headers.get("x-answer-id")
        return self.answer_format.answer_id if named is None else unquote(named)

    def find_text(self, told: Told) -> str:
        """Return the text that has arrived of the part that an event is about, except what is held back."""
        parts = self.accumulator.parts_from(told.choice, told.part)
        content: Any = parts[0].final or parts[0].build(complete=False) if parts else None
        return getattr(content, "transcript" if told.kind == "transcript" else "text", "")

    def notify_observer(self) -> None:
        """Tell the observer (such as a tracer), if there is one, that the ending of the answer is set."""
        if self.observer is not None:
            self.observer.ended(self)

    def sample(
        self,
        glance: Callable[[Any, float], Event | None],
        chunk: Any,  # noqa: ANN401 - a `unit`
        now: float,
    ) -> Event | None:
        """Do the meter's periodic work, then read a chunk on the fast path, and measure how long that takes.

        Args:
            glance: The function of the fast path.
            chunk: The chunk.
            now: A clock reading, in seconds.

        Returns:
            The chunk's event; None if the fast path cannot read the chunk.
        """
        timer = self.timer
        if timer is None:
            self.meter.check_stamps()
            return glance(chunk, now)
        started_at = timer()
        self.meter.check_stamps()
        checked_at = timer()
        event = glance(chunk, now)
        if event is not None:
            self.meter.took(timer() - checked_at, packing=checked_at - started_at)
        return event

    def fail(self) -> None:
        """Set `error` to the accumulator's error, which is raised after the event that caused it."""
        self.error = self.accumulator.error
        self.continues = False
        self.shortcut = None

    def count_late_content(self, event: Event, *, is_first: bool) -> None:
        """Count, for the metrics, an event with content that only the end of the input released.

        Args:
            event: The event.
            is_first: True for the first such event.
        """
        if is_first:
            self.meter.mark_content(self.now)
        self.meter.framed_deltas += 1
        # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
        if self.meter.waiting and event.__class__ is TextDelta:
            self.meter.mark_text(self.now)
        elif event.__class__ is ToolCallStart:
            self.meter.mark_tool_call(self.now)

    @property
    def gap(self) -> StreamError | None:
        """The error for frames that never arrived, or are those of another answer; None for none."""
        return self.lost if self.reorder is None else self.reorder.error or self.lost

    def give_late(self, now: float) -> None:
        """Release the frames that waited long enough for missing ones; `pull` then returns their events."""
        if self.reorder is not None:
            self.ready = self.reorder.tick(now)
            self.error = self.error or self.reorder.error
            if self.ready:
                # An empty chunk makes `pull` read, and no fast path may come between.
                self.chunk, self.now, self.shortcut = b"", now, None

    def sorted_frames(
        self, coding: ContentDecoder | None, connection: Connection, chunk: bytes, now: float
    ) -> Iterator[Any]:
        """Yield the frames of a chunk that is compressed, or whose frames may be repeated or out of order.

        Compressed data may grow a thousandfold, so it is decompressed piece by piece.

        Args:
            coding: Decompresses the chunk; None if the chunk is not compressed.
            connection: Cuts the chunk into frames.
            chunk: The chunk.
            now: A clock reading, in seconds.
        """
        meter, reorder = self.meter, self.reorder
        # The end of the input may give more frames.
        connection.log = self.log
        ready, self.ready = self.ready, []
        # First the frames that had waited for missing ones.
        yield from ready
        for piece in (chunk,) if coding is None else coding.pieces(chunk):
            frames = connection.framing.frames(piece)
            # `waiting`: a mark of the metrics, such as the first frame, is not reached yet.
            if meter.waiting:
                meter.mark(now, frame=bool(frames))
            if self.log is not None:
                yield from self._log_frames(self.log, frames, connection.format)
            elif reorder is None:
                yield from frames
            else:
                for frame in frames:
                    # A comment has no number by which it could be put in order.
                    yield from (frame,) if frame is COMMENT else reorder.feed(frame, now=now)
            # Nothing is read beyond malformed bytes, or once a missing frame was given up (`gap`).
            if connection.framing.error is not None or self.gap is not None:
                return

    def _log_frames(self, log: EventLog, frames: Iterable[Any], format: Format) -> Iterator[Any]:
        """Yield frames, and log them; leave out those that an earlier connection has brought."""
        for frame in frames:
            if frame is COMMENT or isinstance(format, ErrorBody):
                yield frame
                continue
            try:
                repeated = log.check_or_add(frame, format)
            except PositionLost as error:
                self.lost = error
                return
            if repeated:
                format.dropped += 1
            else:
                yield frame


def is_callers_fault(cause: StreamError) -> bool:
    """Return True if the application's own source failed, such as a generator, not a transport."""
    return isinstance(cause, StreamInterrupted) and cause.kind == "unknown"


def give_no_event() -> None:
    """Return None, as the function `pull` of a stopped machine: there are no more events."""

"""What runs for a chunk that is one more delta like the last one: one function, made for many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tokenstream._growing import is_bare
from tokenstream._log import TextLog
from tokenstream.accumulator import Accumulator
from tokenstream.errors import StreamInterrupted
from tokenstream.events import ReasoningDelta, TextDelta, ToolCallDelta, ToolCallStart
from tokenstream.framing._comments import COMMENT
from tokenstream.stages.metrics import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tokenstream._growing import Lane
    from tokenstream.connection import Connection
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._answer import Throughs
    from tokenstream.framing.content_coding import ContentDecoder
    from tokenstream.limits import Limits
    from tokenstream.message import Usage
    from tokenstream.stages import Reorder
    from tokenstream.stages.metrics import Metrics
    from tokenstream.status import ResponseHead

__all__ = ["Glancing", "decoder_of", "is_the_callers", "no_event", "through_of"]


class Observes(Protocol):
    """Goes along with a machine."""

    def ended(self, machine: Any) -> None:  # noqa: ANN401 - a machine, which stands above
        """Take the end, perhaps again: the verdict is given, and what had arrived is on the error."""

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - a router's, which stands above
        """Return what gives the block in which a router runs a tool.

        Args:
            within: Gives the block of somebody else, which stands within it; None where there is none.
        """


class Glancing:
    """What a machine has in hand for each chunk: accumulator and meter, the chunk itself, and its way.

    Args:
        limits: Bounds on untrusted input.
        late_usage: Tells token counts that no event has told yet, None where there are none.
    """

    __slots__ = (
        "_given",
        "accumulator",
        "chunk",
        "error",
        "head",
        "limits",
        "meter",
        "now",
        "observer",
        "plain",
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
        """The stage that holds the message."""
        self.meter = Meter(0.0)
        self._given = 0
        """Events that were given, but for those that were read at a glance."""
        self.head: ResponseHead | None = None
        """The head of the response; None where there is none, or not yet."""
        self.observer: Observes | None = None
        """Is told of the end."""
        self.chunk: Any = None
        """The input that `pull` decodes next."""
        self.reorder: Reorder | None = None
        """Puts the frames right that come out of order or twice; None where they are taken as they come."""
        self.ready: list[Any] = []
        """Frames whose turn has come because time has passed."""
        self.now = 0.0
        """The clock at the last input."""
        self.error: StreamError | None = None
        """What went wrong after the events that were given last."""
        self.plain = True
        """Whether nothing but more input is needed: no error, no terminal event, no end."""
        self.timer: Callable[[], float] | None = None
        """Tells the time, to measure how long reading takes; None where that is not measured."""
        self.waits = False
        """Nothing is given before the guards that were asked have answered."""
        self.shortcut: Callable[[Any, float], Event | None] | None = None
        """Does what `give` does, where the last chunk is done with and the next may be like it."""
        self.unit: type = bytes
        """The class of what `give` takes: str where the input is text that was decoded already."""

    @property
    def metrics(self) -> Metrics:
        """How fast the answer came, as far as it has come."""
        return self.meter.read(
            self.now if self.meter.chunks else None,
            events=self.events_seen,
            usage=self.accumulator.counted,
        )

    @property
    def events_seen(self) -> int:
        """Events that were given."""
        return self._given + self.meter.glanced

    def glance_with(  # noqa: C901 - what runs for every token is in one place
        self, read: Callable[[Any], Event | None]
    ) -> Callable[[Any, float], Event | None]:
        """Return what does for a chunk, in one call, what `Machine.pull` does for any.

        It keeps where the last delta went. What it gives no event for is left to `pull`, and
        then it serves no longer.

        Args:
            read: Reads a chunk like the last one; returns None for any other.
        """
        meter, accumulator = self.meter, self.accumulator
        most_bytes, most_text = self.limits.body, self.limits.text
        lane: Lane | None = None
        kind: Any = None
        choice = part = -1
        is_fragment = is_call = is_reasoning = False
        log, pieces = TextLog(), list[str]()

        def glance(chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
            nonlocal lane, kind, choice, part, is_fragment, is_call, is_reasoning, log, pieces
            stamps = meter.stamps
            if len(stamps) >= meter.look_at:
                if len(pieces) >= log.full_at:
                    # Soon enough: a block may hold some pieces more.
                    log.pack()
                return self.sample(glance, chunk, now)
            self.now = now
            size = meter.bytes + len(chunk)
            event: Any = read(chunk) if size <= most_bytes else None
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
                and accumulator.lane is lane
                and (not is_reasoning or is_bare(event))
            ):
                # As in `Accumulator.take` and `TextLog.append`, whose calls would cost each event.
                if is_call:
                    event._link = log  # noqa: SLF001 - where `partial_arguments` looks
                text = event.fragment if is_fragment else event.text
                pieces.append(text)
                size = len(text)
                log.length += size
                accumulator.held += size
                if accumulator.held > most_text:
                    accumulator.overflow()
                    self.fail()
                if accumulator.built is not None:
                    accumulator.built = None
            else:
                accumulator.take(event)
                lane = accumulator.lane
                kind, choice, part, log = lane.kind, lane.choice, lane.part, lane.log
                pieces, is_fragment = log.pieces, lane.is_fragment
                is_call, is_reasoning = kind is ToolCallDelta, kind is ReasoningDelta
                if meter.waiting and event.__class__ is TextDelta:
                    meter.mark_text(now)
                if accumulator.error is not None:
                    self.fail()
            taken: Event = event
            return taken

        return glance

    def tell_end(self) -> None:
        """Tell who goes along that the verdict is given."""
        if self.observer is not None:
            self.observer.ended(self)

    def sample(
        self,
        glance: Callable[[Any, float], Event | None],
        chunk: Any,  # noqa: ANN401 - a `unit`
        now: float,
    ) -> Event | None:
        """Read a chunk at a glance, and measure how long it takes; gaps are counted before, if it is time."""
        timer = self.timer
        if timer is None:
            self.meter.look()
            return glance(chunk, now)
        begun = timer()
        self.meter.look()
        packed = timer()
        event = glance(chunk, now)
        if event is not None:
            self.meter.took(timer() - packed, packing=packed - begun)
        return event

    def fail(self) -> None:
        """Take the accumulator's error, after the event that brought it."""
        self.error = self.accumulator.error
        self.plain = False
        self.shortcut = None

    def mark(self, event: Event, *, fresh: bool) -> bool:
        """Mark content that came with the end of the input; return False."""
        if fresh:
            self.meter.content(self.now)
        self.meter.plain_deltas += 1
        if self.meter.waiting and event.__class__ is TextDelta:
            self.meter.mark_text(self.now)
        elif event.__class__ is ToolCallStart:
            self.meter.mark_tool_call(self.now)
        return False

    @property
    def gap(self) -> StreamError | None:
        """The error of a frame that never came; None while all come in their turn."""
        return None if self.reorder is None else self.reorder.error

    def give_late(self, now: float) -> None:
        """Give the frames whose turn has come because time has passed; `pull` then gives their events."""
        if self.reorder is not None:
            self.ready = self.reorder.tick(now)
            self.error = self.error or self.reorder.error
            if self.ready:
                self.chunk, self.now, self.shortcut = b"", now, None

    def sorted_frames(
        self, coding: ContentDecoder | None, connection: Connection, chunk: bytes, now: float
    ) -> Iterator[Any]:
        """Give the frames of a chunk that is compressed, or whose frames may be out of order.

        What is compressed may grow a thousandfold, so it is undone piece by piece.
        """
        meter, reorder = self.meter, self.reorder
        ready, self.ready = self.ready, []
        yield from ready
        for piece in (chunk,) if coding is None else coding.pieces(chunk):
            frames = connection.framing.frames(piece)
            if meter.waiting:
                meter.mark(now, frame=bool(frames))
            if reorder is None:
                yield from frames
            else:
                for frame in frames:
                    yield from (frame,) if frame is COMMENT else reorder.feed(frame, now=now)
            if connection.framing.error is not None or self.gap is not None:
                return


def decoder_of(coding: str, limits: Limits) -> ContentDecoder | None:
    """Return what undoes a content coding; None where there is none."""
    if coding.strip().lower() in ("", "identity"):
        return None
    from tokenstream.framing.content_coding import ContentDecoder

    return ContentDecoder(coding, limits=limits)


def through_of(reasoning_tags: bool | Iterable[str]) -> Throughs | None:  # noqa: FBT001 - as callers give it
    """Return what makes that which tells reasoning by its tags; None where no tags are asked for.

    Raises:
        MisuseError: What is asked for is no tag.
    """
    if reasoning_tags is False or reasoning_tags == ():
        return None
    from tokenstream._reasoning_tags import tagged

    return tagged(reasoning_tags)


def is_the_callers(cause: StreamError) -> bool:
    """Tell whether a source broke by itself, such as the application's own generator, and no transport."""
    return isinstance(cause, StreamInterrupted) and cause.kind == "unknown"


def no_event() -> None:
    """Stand in for `pull` once the machine was cut."""

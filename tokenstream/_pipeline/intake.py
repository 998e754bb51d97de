"""The input of an answer, from chunks to events: what has arrived, how far it is read, and how it ends.

These facts are in one class, since each chunk changes them together: for example, the state may not leave
"reading" without `shortcut = None`. The class knows no guards, no retries and no observers: a `Way` takes
the events, and `keep` is called where a checkpoint may be made.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from tokenstream._answer.accumulator import has_content
from tokenstream._basics.untrusted import are_text, is_dict
from tokenstream._pipeline.arrivals import SLICE_END, Arrivals
from tokenstream._pipeline.glance import make_glance
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError, ProviderError, StreamInterrupted
from tokenstream.events import TextDelta, ToolCallStart
from tokenstream.formats._endings import (
    ANSWERED,
    CLOSED,
    OPEN,
    awaits_end,
    find_early_choices,
    find_end_sign,
    has_told_all,
)
from tokenstream.formats._fast.path import make_frame_shortcut
from tokenstream.formats._kit.errors import is_vague

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from tokenstream._connection.status import ErrorBody
    from tokenstream._pipeline.glance import Glance
    from tokenstream._pipeline.link import Link
    from tokenstream._pipeline.way import Way
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._endings import EndSign, InputState
    from tokenstream.stages._metrics.meter import Meter

CurrentEvents: TypeAlias = "tuple[Sequence[Event], int]"
"""The events of a frame, and the number of events returned before them: a tuple, to set both at once."""
NEVER = -math.inf
"""The clock reading before all others."""
NO_EVENTS: CurrentEvents = ((), 0)
"""The value of `Intake.current_events` between two chunks."""


class Intake:
    """Takes the chunks of an answer, from one connection after the other, and gives its events.

    `give` and `push` take a chunk, `read` returns its events one by one, and `finish` and `cut` end the
    input. `shortcut` is None unless the next chunk may be like the last one: whatever ends, replaces or
    interrupts the input sets it to None.
    """

    def __init__(
        self,
        *,
        link: Link,
        way: Way,
        meter: Meter,
        keep: Callable[[], object],
        timer: Callable[[], float] | None,
    ) -> None:
        self.link, self.meter = link, meter
        self._way, self._keep = way, keep
        # A driver, which has a timer, looks at the clock between two slices.
        self.arrivals = Arrivals(meter, marks_slices=timer is not None)
        """Puts frames in order, and drops repeated ones."""

        # The chunk.
        self.chunk: Any = None
        """The input that `read` decodes next; None if there is none."""
        self.now = 0.0
        """The clock reading of the last input."""
        self.returned_count = 0
        """Number of events that were returned, without those of the fast path."""
        self.current_events: CurrentEvents = NO_EVENTS
        """The events of the current frame, and the number of events returned before them."""
        self.current_frame: object = None
        """The frame that caused the error, or that of several whose events are being returned; else None."""
        self.last_frame: object = None
        """The last of the frames in a chunk, while several are read; None for frames that are sorted."""
        self.events_left: list[Event] = []
        """The events that the end of the input has produced, and that have not been returned yet."""
        self.read: Callable[[], Event | None] = self._read_events().__next__
        """Returns the next event that the input contains, or None when more input is needed."""

        # The fast path.
        self.shortcut: Glance | None = None
        """Fast replacement for `give` while chunks may be like the last one; otherwise None."""
        self.glance: Glance | None = None
        """The fast path that was created last: `shortcut` is that, or calls it, while there is one."""
        self.glanced_event: Event | None = None
        """The event of a payload that was read on the fast path: in the message, but not yet returned."""
        self.timer = timer
        """A clock for measuring how long reading takes; None to measure nothing."""

        # Facts of the end.
        self.state: InputState = "reading"
        self.end_sign: EndSign = "nothing"
        """The last sign of the end that the server has sent, in the chunks that are used up."""
        self.error: StreamError | None = None
        """The failure that follows the events returned last; None if there is none."""
        self.awaits_end_since: float | None = None
        """The clock reading since which nothing but the end is left to come; None while more may come."""
        self.resting = False
        """True while the server waits for the client to speak, so that no silence is too long."""
        self.begun_at = NEVER
        """The clock reading at which the server last began to speak after waiting for the client."""

    # -- the connection ------------------------------------------------------

    def take_messages(self) -> None:
        """Expect each piece of input to be one whole payload, like the messages of a WebSocket."""
        self.link.connection.take_messages()
        self.resting = self.link.connection.format.resting

    def begin_again(self, now: float) -> None:
        """Forget everything of the last connection, except for what it has left to be returned."""
        self.error = self.chunk = self.glanced_event = self.current_frame = None
        self.shortcut = self.awaits_end_since = None
        self.end_sign, self.resting, self.state = "nothing", False, "reading"
        self.begun_at = self.now = now
        self.meter.go_on()

    def forget_error(self) -> None:
        """Forget the error of a connection that another has replaced."""
        self.error = None
        self.arrivals.forget_loss()

    def restore(self, unreturned: Sequence[Event], events_seen: int, *, breaks: bool) -> None:
        """Begin in the middle of an answer, with events never returned: `read` returns them first.

        If the connection `breaks` before anything is read, they are left for the next one.
        """
        self.returned_count = events_seen
        if breaks:
            self.drop_unread()
            self.leave(unreturned)
        else:
            self.current_events = unreturned, events_seen

    # -- the way of an event -------------------------------------------------

    def drop_unread(self) -> None:
        """Drop the events that the input has brought and that were not returned."""
        self.events_left, self.current_events = [], NO_EVENTS
        self.read = self._read_events().__next__
        # Nothing is left to read here, so `leave` adds to what is read next.
        self.read()

    # -- the input -----------------------------------------------------------

    @property
    def unread_events(self) -> Sequence[Event]:
        """The events that were decoded, and not returned yet; without those that are held back."""
        events, returned = self.current_events
        return events[max(self.returned_count - returned, 0) :]

    @property
    def reopened_choices(self) -> Collection[int]:
        """Indexes of the choices after whose reason content came, or was read that the reader lacks."""
        format = self.link.connection.format
        choices = format.parts.choices
        if self.link.connection.framing_ended or not format.may_go_on:
            return find_early_choices(format)
        is_within = self.last_frame is not None and self.current_frame is not self.last_frame
        has_more = is_within or any(map(has_content, self.unread_events))
        if has_more and find_end_sign(format) == "open reason":
            return choices
        return [index for index, choice in choices.items() if choice.has_reopened]

    def give(self, chunk: object, now: float) -> Event | None:
        """Accept a chunk of the class `unit`; return its event, or None if `read` has to read it."""
        if self.shortcut is not None:
            return self.shortcut(chunk, now)
        self.now = now
        self.chunk = chunk
        return None

    def push(self, chunk: Any, now: float) -> None:  # noqa: ANN401 - bytes, or what a format takes
        """Accept the next input in any form; `read` then returns its events."""
        if chunk.__class__ is dict and self._read_at_a_glance(chunk, now):
            return
        if is_dict(chunk):
            if not are_text(chunk):
                raise MisuseError(
                    "the payload has a key that is not text; pass each key as a str, as in JSON"
                )
            self.link.connection.take_payloads()
        elif isinstance(chunk, bytes | bytearray) or chunk.__class__ is memoryview:
            # Also for subclasses of bytes, because the fast path expects plain bytes.
            chunk = bytes(chunk)
        elif isinstance(chunk, str):
            if self.link.refusal is not None or not self.link.connection.takes_text:
                chunk = chunk.encode("utf-8", "surrogatepass")
                if self.link.refusal is None:
                    self.link.connection.take_text()
        else:
            from tokenstream.formats._detect.unknown import describe_bad_piece

            raise describe_bad_piece(chunk)
        self.read_plainly(chunk, now)

    def read_plainly(self, chunk: object, now: float) -> None:
        """Let `read` take this input, and no fast path."""
        self.chunk, self.now, self.shortcut = chunk, now, None

    def convert(self, chunk: Any) -> Any:  # noqa: ANN401 - as above
        """Check and convert a chunk as `push` does, and return it in place of reading it."""
        self.push(chunk, self.now)
        converted, self.chunk = self.chunk, None
        return converted

    def _read_at_a_glance(self, payload: dict[str, Any], now: float) -> bool:
        """Read a payload on the fast path into `glanced_event`; return False if `read` has to take it."""
        # Not with guards: the event would wait in `glanced_event`, where a guard cannot stop it.
        if (
            self.shortcut is None
            or not self.link.connection.framing.has_payloads
            or self._way.show_glanced is not None
        ):
            return False
        self.glanced_event = self.shortcut(cast("Any", payload), now)
        if self.glanced_event is None:
            # The fast path has stored the payload in `chunk`, for `read`. That is undone here, because `push`
            # has to check the payload first, and stores it only then.
            self.chunk = None
            return False
        # The fast path has counted `len(payload)` as bytes. For a dict, that is the number of its keys; its
        # size in bytes is not known, so it does not count.
        self.meter.discount_bytes(len(payload))
        return True

    def pass_time(self, now: float) -> None:
        self.now = max(self.now, now)

    def pause(self) -> None:
        """Pause between two slices of a compressed chunk, so that a driver can look at the clock."""
        self.state = "sliced"

    def rest(self) -> None:
        """Note that only the rest of the connection is left to be read: no other connection follows."""
        if self.state in OPEN:
            self.state = "resting"

    def make_shortcut(self, chunk: object, now: float) -> Event | None:
        """Create the fast path for chunks like the last one, and read the next chunk on it if possible.

        After a chunk, this method itself is the `shortcut`, until the next chunk arrives. So no fast path
        is created after the last chunk of an answer.
        """
        # None if the format has no fast way to read a chunk like the last one.
        read, way = self.link.connection.shortcut(), self._way
        glance = self.glance = None if read is None else make_glance(self, way.accumulator, read)
        show = way.show_glanced
        if glance is None or show is None:
            self.shortcut = glance
        else:
            self.shortcut = lambda chunk, now: show(glance(chunk, now))
        return self.give(chunk, now)

    def give_late(self, now: float) -> None:
        """Release the frames that waited long enough for missing ones; `read` then returns their events."""
        gap = self.arrivals.tick(now)
        self.error = self.error or gap
        if gap is not None and self.state == "reading":
            self.state = "ending"
        if self.arrivals.ready:
            self.read_plainly(b"", now)

    def read_refusal(self, refusal: ErrorBody, chunk: bytes, *, is_last: bool) -> None:
        """Read a piece of the body of a response that is an error, which has no events."""
        coding = self.link.coding
        for piece in (chunk,) if coding is None else coding.slices(chunk):
            refusal.feed(piece)
            if refusal.error is not None:
                # Few compressed bytes may be a whole second of work.
                break
        if is_last:
            refusal.end()
        self.error = refusal.error or (None if coding is None else coding.error)
        self.meter.mark(self.now, frame=True)
        if refusal.document.whole:
            self.end_sign = "terminal"
            self.meter.finish(self.now)
        self.state = "reading" if self.error is None and not refusal.document.whole else "ending"

    def end_coding(self, cause: StreamError | None, now: float) -> StreamError | None:
        """End the content coding after a clean end of the input; return its error, or else `cause`."""
        if self.link.coding is None or cause is not None:
            return cause
        self.link.coding.end(now=now)
        return self.link.coding.error

    def leave(self, events: Sequence[Event]) -> None:
        """Let `read` return these events after all others; a checkpoint contains them until then."""
        self.events_left += events
        self.current_events = [*self.events_left], self.returned_count

    def finish(self, cause: StreamError | None, now: float, *, known_over: bool = False) -> None:
        """End the input, which a cause has broken off or which ended cleanly; `read` returns the rest.

        With `known_over`, the caller knows that the answer is over, as if its server had sent an end mark.
        """
        if self.state in CLOSED:
            return
        self.end_input(now)
        link, connection = self.link, self.link.connection
        if link.refusal is not None:
            self.error = self.error or link.refusal.end()
            return
        if self.error is None and link.coding is not None:
            cause = self.end_coding(cause, now)
        # `Resumption.cut_short` may have left events that are not returned yet.
        left_before = len(self.events_left)
        reorder = self.arrivals.reorder
        if reorder is not None and cause is None and self.error is None:
            late_events, self.error = connection.end_order(reorder, now)
            self.events_left += late_events
        is_broken = self._end_connection(cause, known_over=known_over)
        # A checkpoint made from now on contains the events that are not returned yet (`current_events`). It
        # does not contain the events that only close open parts, because it is from before these.
        events_in_checkpoint = self.events_left[:]
        if connection.last_position is not None:
            del events_in_checkpoint[left_before + connection.last_position.events_left :]
        self.current_events = events_in_checkpoint, self.returned_count
        self._keep()
        is_broken = is_broken and connection.format.parts.difference is None
        if is_broken and connection.endings.broken == "complete":
            # The whole answer had arrived, so the broken end takes nothing from it.
            self.error = None
            connection.note("broken_after_finish")
        if self.end_sign == "sentinel" and self.error is None:
            self.end_sign = "terminal"  # the end of the input has confirmed it
        if self.events_left:
            # For example, an answer in one JSON document is complete only now.
            self.now = now
            self.meter.mark(now, frame=True)

    def _end_connection(self, cause: StreamError | None, *, known_over: bool) -> bool:
        """End framing and format; return True if the transport or malformed bytes have broken the end."""
        connection = self.link.connection
        if self.error is not None:
            self._take_wait()
            self.events_left += connection.abandon()
            # Bytes that are not a payload count as a broken end, too.
            return isinstance(self.error, ProtocolError)
        if isinstance(cause, ProviderError) and has_told_all(connection.format):
            # An SDK raises what the provider has sent as an event.
            connection.format.note("error_after_finish")
            cause = None
        self.events_left += connection.end(broken=cause is not None, known_over=known_over)
        self.error = connection.error or cause
        self._take_wait()
        return connection.error is None and cause is not None and _is_of_transport(cause)

    def _take_wait(self) -> None:
        """Give the provider's error the wait that the head of the response asks for, if it names none."""
        error, head = self.error, self.link.head
        if head is not None and isinstance(error, ProviderError) and error.retry_after is None:
            from tokenstream._basics.waits import retry_after_of

            error.retry_after = retry_after_of(head.headers, head.received_at)

    def fail(self, error: StreamError) -> None:
        """Fail with an error, which is raised after the events that were returned before it."""
        self.error = error
        if self.state in OPEN:
            self.state = "ending"
        self.shortcut = None

    def refuse(self, error: StreamError) -> None:
        """Fail with an error of this attempt, which another attempt may replace."""
        self.fail(error)
        # Also if the input has ended: after its end, no other attempt would replace this one.
        self.state = "ending"

    def leave_shortcut(self) -> None:
        """Return an event that is left before the next chunk is read."""
        self.shortcut = None

    def cut(self, now: float) -> None:
        """Drop frames that were not decoded, and events that were not returned."""
        self.end_input(now)
        self.chunk, self.events_left = None, []
        self.state = "shut"

    def end_by_hand(self, now: float) -> None:
        """End the input here without an error, unless it has ended."""
        self.error = None
        if self.state not in CLOSED:
            self.end_input(now)

    def overrule(self) -> None:
        """Forget the sign of the end and every error: a guard decides the ending."""
        self.error, self.end_sign = None, "nothing"

    def dispose(self) -> None:
        """Let go of what refers back to this object."""
        del self.read, self.shortcut, self.glance

    def end_input(self, now: float) -> None:
        """Accept no more input from now on."""
        self.state = "ended"
        self.shortcut = None
        self.meter.finish(now)

    @property
    def events_seen(self) -> int:
        """Number of events that were returned."""
        return self.returned_count + self.meter.glanced

    def _read_events(self) -> Iterator[Event | None]:  # noqa: C901 - what runs for every token is in one place
        """Yield events without end: one at a time, and None whenever input is needed.

        One generator serves all connections. Just before an event is yielded, `on_read`
        adds it to the message, unless another part of the machine does that later; so the message never runs
        ahead of the reader. This code runs for every token, so it avoids calls that usually do nothing.
        """
        link, way, meter, arrivals = self.link, self._way, self.meter, self.arrivals
        accumulator, keep, max_bytes = way.accumulator, self._keep, link.limits.body
        frames: Any
        events: Sequence[Event]
        event: Event | None
        # After `restore`: the events that the checkpoint holds, but that were never returned.
        for event in self.current_events[0]:
            way.on_read(event)
            self.returned_count += 1
            yield event
        while True:
            chunk = self.chunk
            if chunk is None:
                event, self.glanced_event = self.glanced_event, None
                if event is not None:
                    # The fast path has read a payload, and the message contains its event.
                    yield event
                    continue
                is_first = True
                while self.events_left:
                    keep()
                    event = self.events_left.pop(0)
                    if way.on_read(event):
                        self._count_late_content(event, is_first=is_first)
                        is_first = False
                    self.returned_count += 1
                    yield event
                yield None
                continue
            self.chunk = None
            now = self.now
            # A payload that was decoded elsewhere has no known size.
            size = 0 if chunk.__class__ is dict else len(chunk)
            outgrown = meter.bytes + size > max_bytes
            if outgrown:
                # Only the allowed bytes are read; the error follows their events.
                size = max_bytes - meter.bytes
                chunk = chunk[:size]
            meter.count_chunk(size)
            if link.refusal is not None:
                self.read_refusal(link.refusal, chunk, is_last=outgrown)
                continue
            connection, coding = link.connection, link.coding
            if coding is None and not arrivals.looks_at_frames:
                uses_sorted_frames = False
                frames = connection.framing.frames(chunk)
                several = len(frames) > 1
                if several:
                    self.last_frame = frames[-1]
                # `waiting`: a mark of the metrics, such as the first frame or text, is not reached yet.
                if meter.waiting:
                    meter.mark(now, frame=bool(frames))
                if not frames and not outgrown and connection.framing.error is None:
                    # A piece of a frame changes nothing that is checked below.
                    continue
            else:
                uses_sorted_frames = several = True
                frames = arrivals.sort(coding, connection, chunk, now)
            content_events = 0
            error: StreamError | None = None
            # Reads a frame like the last one without decoding it; worth creating only for several frames.
            read_like_last = make_frame_shortcut(connection.format) if several else None
            for frame in frames:
                if several:
                    self.current_frame = frame
                if read_like_last is not None and (event := read_like_last(frame)) is not None:
                    events = (event,)
                elif frame is SLICE_END:
                    self.current_frame = None
                    meter.count_deltas(content_events)
                    content_events = 0
                    self.pause()
                    yield None
                    if self.state != "sliced":
                        # The input has ended here, or another connection has begun.
                        frames = None
                        break
                    self.state = "reading"
                    now = self.now
                    continue
                else:
                    events = connection.format.feed(frame)
                    read_like_last = make_frame_shortcut(connection.format) if several else None
                    # A checkpoint made between two events contains those that are not returned yet.
                    if len(events) > 1:
                        self.current_events = events, self.returned_count
                for event in events:
                    if way.on_read(event):
                        if not content_events:
                            meter.mark_content(now)
                        content_events += 1
                        if event.__class__ is TextDelta:
                            if meter.waiting:
                                meter.mark_text(now)
                        elif event.__class__ is ToolCallStart:
                            meter.mark_tool_call(now)
                    self.returned_count += 1
                    yield event
                format = connection.format
                if format.error is not None or accumulator.error is not None:
                    error = self.error = format.error or accumulator.error
                    # The framing is ahead of the format by the rest of the chunk.
                    self.current_frame = frame
                    is_read_on = link.reads_after_error is not None or is_vague(error)
                    if not (is_read_on and isinstance(error, ProviderError)):
                        break
            else:
                if error is None:
                    self.current_frame = None
                self.error = error or connection.framing.error
                if uses_sorted_frames and self.error is None:
                    self.error = (coding.error if coding else None) or arrivals.gap
                if outgrown and self.error is None:
                    self.error = LimitExceeded(limit="body", value=max_bytes)
            if frames is None:
                continue
            if content_events:
                meter.count_deltas(content_events)
            format = connection.format
            self.end_sign = sign = find_end_sign(format)
            if sign in ANSWERED:
                meter.finish(now)
            if format.resting is not self.resting:
                # The server has begun, or has ceased, to wait for the client.
                self.resting, self.begun_at = not self.resting, now
            awaits_end_since = self.awaits_end_since
            if sign == "nothing" or not awaits_end(format, sign):
                awaits_end_since = None
            elif awaits_end_since is None or content_events:
                awaits_end_since = now
            self.awaits_end_since = awaits_end_since
            is_ending = awaits_end_since is not None or self.error is not None or sign in ANSWERED
            if self.state in OPEN:
                self.state = "ending" if is_ending else "reading"
            fast = format.fast_path
            may_have_shortcut = not is_ending and (fast is None or fast.entries) and meter.content_chunks
            if may_have_shortcut and not (uses_sorted_frames or way.changes_events):
                # The next chunk may be like this one: `give` then creates the fast path, and uses it.
                self.shortcut = self.make_shortcut
            # Frees the payload, since it may be large and the next input may take long to arrive.
            frames = frame = event = read_like_last = None
            events = ()
            self.current_events, self.last_frame = NO_EVENTS, None

    def _count_late_content(self, event: Event, *, is_first: bool) -> None:
        """Count an event with content in the metrics, if only the end of the input has produced the event."""
        if is_first:
            self.meter.mark_content(self.now)
        self.meter.count_deltas(1)
        # `waiting`: a mark of the metrics, such as the first text, is not reached yet.
        if self.meter.waiting and event.__class__ is TextDelta:
            self.meter.mark_text(self.now)
        elif event.__class__ is ToolCallStart:
            self.meter.mark_tool_call(self.now)


def _is_of_transport(cause: StreamError) -> bool:
    """Return False for the provider's error, and for that of the application's own source."""
    own = isinstance(cause, StreamInterrupted) and cause.kind == "unknown"
    return not own and not isinstance(cause, ProviderError)

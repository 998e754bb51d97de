"""The engine of streams and decoders: a connection, an accumulator and a meter, one event at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._basics.untrusted import are_text, is_dict
from tokenstream._connection.connection import Connection
from tokenstream._connection.error_body import ErrorBody
from tokenstream._pipeline import checkpoints
from tokenstream._pipeline.factories import make_content_decoder
from tokenstream._pipeline.glance import Glancing, give_no_event, is_callers_fault
from tokenstream.departures import Departures
from tokenstream.errors import (
    LimitExceeded,
    MisuseError,
    ProtocolError,
    StreamError,
    StreamInterrupted,
    StreamStalled,
    StreamTruncated,
)
from tokenstream.events import Ping, TextDelta, ToolCallStart
from tokenstream.formats._detect.unknown import describe_bad_piece
from tokenstream.framing import ServerSentEvent
from tokenstream.framing._comments import COMMENT
from tokenstream.limits import DEFAULT_LIMITS, Limits, check_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenstream._connection.head import ResponseHead
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.message import Checkpoint, Ending, Usage

_NONE_GIVEN: tuple[Sequence[Event], int] = ((), 0)
_TRUNCATIONS = (StreamTruncated, StreamInterrupted, StreamStalled)


class Machine(Glancing):
    """Framing, format and accumulator of one answer, for loops that take one event at a time.

    `give` and `push` take input, `pull` returns its events one by one, `finish`
    and `cut` end the input, `conclude` sets the ending.

    Args:
        format: The format's name or a format object; None to detect it.
        content_type: The response's content type; None if it is not known.
        limits: Bounds on untrusted input; None for the defaults of `Limits`.
        pings: True to return heartbeats as `Ping` events.
        make_stage: Creates the stage that a format's events pass through; None for no stage.
    """

    __slots__ = (
        "_coding",
        "_current_events",
        "_events_left",
        "_id_at_fault",
        "_last_checkpoint",
        "_next",
        "answered",
        "begun_at",
        "departures",
        "gives_again",
        "holding",
        "input_ended",
        "kept_format",
        "make_stage",
        "pings",
        "pull",
        "resting",
        "take",
        "wanted",
    )

    def __init__(
        self,
        format: str | type[Format] | Format | None,
        *,
        content_type: str | None,
        limits: Limits | None,
        pings: bool,
        make_stage: StageFactory | None = None,
    ) -> None:
        check_option("limits", limits, Limits)
        super().__init__(limits if limits is not None else DEFAULT_LIMITS, self._late_usage)
        self.departures = Departures()
        """Deviations of the server from its documentation, with the rule applied to each."""
        self.wanted = format
        self.pings, self.make_stage = pings, make_stage
        self._coding: ContentDecoder | None = None
        self._current_events: tuple[Sequence[Event], int] = _NONE_GIVEN
        """The events of the current frame, and the number of events returned before them."""
        self._last_checkpoint: Checkpoint | None = None
        """The checkpoint from before the end closed the open parts; None before the end."""
        self._id_at_fault: str | None = None
        """The id of the SSE event that caused the error, or ""; None if no frame has caused an error."""
        self.holding = False
        """True while events are held back, during which no chunk is read on the fast path."""
        self.kept_format: Format | None = None
        """A format that continues with the next connection; None to create a new format for it."""
        self.take: Callable[[Any], bool] = self.accumulator.take
        """Takes each event at the moment it is returned; its result is True if the event has content."""
        self.connect(content_type)
        self._events_left: list[Event] = []
        self.input_ended = False
        """True once no more input is accepted."""
        self.answered = False
        """True once the terminal event has arrived."""
        self.resting = False
        """True while the server waits for the client to speak, so that no silence is too long."""
        self.begun_at = -math.inf
        """The clock reading at which the server last began to speak after waiting for the client."""
        self.gives_again = False
        """True if the next event was already pulled once."""
        self._next: Callable[[], Event | None] = self._events().__next__
        self.pull = self._next
        """Returns the next event, or None when more input is needed."""

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return self._connection.name

    @property
    def end_is_assumed(self) -> bool:
        """True if the answer has ended with the sentinel alone, without a finish reason.

        The end is certain only once the input ends cleanly.
        """
        return self._connection.format.assumed

    @property
    def comments(self) -> int:
        """Number of SSE comments so far."""
        return self._connection.comments

    def connect(self, content_type: str | None, coding: str = "", kept_format: Format | None = None) -> None:
        """Begin a new connection.

        Args:
            content_type: The server's content type.
            coding: The body's content coding, such as "gzip".
            kept_format: The format that reads the connection. None stands for the format in
                `self.kept_format`, or for a new format if there is none.
        """
        self._coding = make_content_decoder(coding, self.limits)
        self._connection = Connection(
            self.wanted,
            content_type=content_type,
            limits=self.limits,
            pings=self.pings,
            departures=self.departures,
            found=self._name_format,
            make_stage=self.make_stage,
            continued_format=kept_format or self.kept_format,
            find_text=self.find_text,
        )
        self.unit = str if self._connection.takes_text else bytes  # the type of the chunks

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore an answer from a checkpoint, before there is any input."""
        self.kept_format, unreturned, self.log = checkpoints.restore_answer(
            checkpoint, self.accumulator, limits=self.limits, pings=self.pings
        )
        self.wanted = checkpoint.format
        self._returned_count = checkpoint.events_seen
        self._current_events = unreturned, checkpoint.events_seen  # to return first; number of those before
        self.connect(None)

    def give_again(self, event: Event) -> None:
        """Put an event back, so that the next `pull` returns it again."""
        pull = self.pull

        def give() -> Event:
            self.pull, self.gives_again = pull, False  # this function took the place of `pull` for one call
            return event

        self.pull, self.gives_again = give, True

    def _name_format(self, name: str) -> None:
        """Tell the accumulator the format's name once it is known."""
        self.accumulator.format = name
        # In the format of our own relay, an answer may start over: the relay passes on restarts.
        self.accumulator.may_restart |= name == "tokenstream"

    def _late_usage(self) -> Usage | None:
        return self._connection.format.late_usage()  # counts that no event has reported yet, or None

    def take_head(self, head: ResponseHead, coding: str = "") -> None:
        """Accept the head of a response; its status decides whether the body is an answer or an error.

        Args:
            head: The head.
            coding: The body's content coding, such as "gzip".
        """
        self.head = head
        if head.refuses:
            refusal = ErrorBody(head, limits=self.limits, pings=self.pings, expected=self.wanted)
            self.connect(head.content_type, coding, refusal)
        else:
            self.connect(head.content_type, coding)

    def take_messages(self) -> None:
        """Expect each piece of input to be one whole payload, like the messages of a WebSocket."""
        connection = self._connection
        if not isinstance(connection.format, ErrorBody):  # the body of an error is read as one whole
            connection.take_messages()
            self.resting = connection.format.resting

    def note_departure(self, name: str) -> None:
        """Count a departure (a deviation from the protocol) that is visible outside the payloads.

        Args:
            name: The name of the rule that was applied.
        """
        self.departures.note(name, event=self._connection.frames_seen)

    def push(self, chunk: Any, now: float) -> None:  # noqa: ANN401 - bytes, or what a format takes
        """Accept the next input in any form; `pull` then returns its events.

        Raises:
            MisuseError: The input is neither bytes, nor text, nor a dict whose keys are text.
        """
        if chunk.__class__ is dict:
            if self._read_at_a_glance(chunk, now):
                return
            self._take_payload(chunk)
        elif isinstance(chunk, bytes | bytearray) or chunk.__class__ is memoryview:
            # Also for subclasses of bytes, because the fast path expects plain bytes.
            chunk = bytes(chunk)
        elif isinstance(chunk, str):
            if not self._connection.takes_text:
                chunk = chunk.encode("utf-8", "surrogatepass")
                self._connection.take_text()
        elif is_dict(chunk):
            # A subclass of dict, which the fast path does not read.
            self._take_payload(chunk)
        else:
            raise describe_bad_piece(chunk)
        self.chunk = chunk
        self.now = now
        self.shortcut = None

    def _take_payload(self, payload: dict[str, Any]) -> None:
        """Check a payload that is already decoded, and have the connection expect more of them."""
        if not are_text(payload):
            raise MisuseError("the payload has a key that is not text; pass JSON objects as dicts")
        self._connection.take_payloads()

    def finish(self, cause: StreamError | None, now: float) -> None:
        """End the input; `pull` then returns the remaining events.

        Args:
            cause: The error that broke off the input; None if the input ended cleanly.
            now: A clock reading, in seconds.
        """
        if self.input_ended:
            return
        self._end_input(now)
        connection = self._connection
        if self._coding is not None and cause is None and self.error is None:
            self._coding.end(now=now)
            cause = self._coding.error
        # `RenewableMachine.cut_short` may have left events before.
        left_before = len(self._events_left)
        if self.reorder is not None and cause is None and self.error is None:
            late, self.error = connection.end_order(self.reorder, now)
            self._events_left += late
        if self.error is not None:
            self._events_left += connection.abandon()
            # Bytes that are not a payload count as a broken end, too.
            broken = isinstance(self.error, ProtocolError)
        else:
            self._events_left += connection.end(broken=cause is not None)
            self.error = connection.error or cause
            # A failure of the application's own source is raised even after a whole answer.
            broken = cause is not None and connection.error is None and not is_callers_fault(cause)
        # A checkpoint is from before the open parts were closed, so the events that close them do not count.
        last_position = connection.last_position
        waiting_count = None if last_position is None else left_before + last_position.events_left
        self._current_events = self._events_left[:waiting_count], self._returned_count
        self._keep_checkpoint()
        if broken and connection.finished and connection.format.parts.difference is None:
            # The whole answer had arrived, so the broken end takes nothing from it.
            self.error = None
            self.note_departure("broken_after_finish")
        if self._events_left:
            # For example, an answer in one JSON document is complete only now.
            self.now = now
            self.meter.mark(now, frame=True)

    def cut(self, now: float) -> None:
        """Stop reading here: drop frames that were not decoded, and events that were held back."""
        self._end_input(now)
        self.chunk = None
        self._events_left = []
        self.pull = give_no_event

    def break_off(self, now: float) -> None:
        """Stop after an exception, such as KeyboardInterrupt, broke off the decoding of an event."""
        # The format may have read events that were never returned.
        all_finished = all(message.finish_reason for message in self.accumulator.messages)
        reader_knows_the_end = self.answered or all_finished
        if self.error is None and self._connection.finished and reader_knows_the_end:
            self.note_departure("broken_after_finish")
        else:
            self.error = self.error or StreamInterrupted(
                "reading was broken off while an event was decoded; what had arrived is in .partial"
            )
            # Without a position, because it is unknown how much of the event was read.
            self._last_checkpoint = self.checkpoint().model_copy(update={"position": None, "state": None})
        self.cut(now)

    def conclude(self, ending: Ending | None = None) -> None:
        """Set the ending, and store the partial answer on the error.

        Args:
            ending: The ending if the caller decides it, such as "stopped"; None to derive it.
        """
        error = self.error
        if ending is None and error is not None:
            ending = "truncated" if isinstance(error, _TRUNCATIONS) else "failed"
        elif ending is None or ending == "complete":
            # An error body is not an answer, and an answer sent by a relay may have been stopped.
            ending = self._connection.format.verdict
        self.accumulator.conclude(ending, cut=() if error is None else self._connection.unfinished_choices)
        if error is not None:
            self._store_partial(error)
        self.notify_observer()

    def _store_partial(self, error: StreamError) -> None:
        """Store the partial answer, a checkpoint and further details on the error."""
        if error.request_id is None and self.head is not None:
            error.request_id = self.head.request_id
        if checkpoints.has_partial(error):
            # It was stored earlier, for example when an attempt failed with this error.
            return
        checkpoints.store_progress(error, self.accumulator.message, self.checkpoint())
        error.events_seen, error.bytes_seen = self.events_seen, self.meter.bytes
        if isinstance(error, _TRUNCATIONS):
            # Not for other errors: their tail would depend on how much was read beyond the fault.
            error.tail = self._connection.tail[: self.limits.tail]

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer so far."""
        if self._last_checkpoint is not None:
            return checkpoints.with_final_ending(self._last_checkpoint, self.accumulator)
        last_event_id = self._last_event_id
        return checkpoints.make_checkpoint(
            self.accumulator, self._connection, self._waiting, self.events_seen, last_event_id, log=self.log
        )

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that were decoded but not yet returned."""
        events, count_before = self._current_events
        return events[self._returned_count - count_before :]

    def _keep_checkpoint(self) -> None:
        """Store the checkpoint for an answer that has ended, once its last events have been returned.

        The events that only close open parts at the end do not count: the checkpoint is from before them.
        """
        if self._connection.last_position is not None and not self._waiting:
            self._last_checkpoint = self.checkpoint()

    @property
    def _last_event_id(self) -> str | None:
        """The id of the last SSE event that was read; None if there is none."""
        # After an error in a frame, the framing's own id is ahead, by the rest of the chunk.
        last_id = self._connection.last_event_id
        if last_id is None or self._id_at_fault is None:
            return last_id
        # "" stands for a frame without an id.
        return self._id_at_fault or None

    # -- within ------------------------------------------------------------

    def _events(self) -> Iterator[Event | None]:  # noqa: C901 - what runs for every token is in one place
        """Yield events without end: one at a time, and None whenever input is needed.

        The accumulator takes each event at the moment it is returned, so the message never runs ahead
        of the reader. This code runs for every token, so it avoids calls that usually do nothing.
        """
        accumulator, meter, max_bytes = self.accumulator, self.meter, self.limits.body
        frames: Any
        events: Sequence[Event]
        event: Event | None
        # After `restore`: the events that the checkpoint holds, but that were never returned.
        for event in self._current_events[0]:
            self.take(event)
            self._returned_count += 1
            yield event
        while True:
            chunk = self.chunk
            if chunk is None:
                event, self._glanced_event = self._glanced_event, None
                if event is not None:
                    # The fast path has read a payload, and the message contains its event.
                    yield event
                    continue
                is_first = True
                while self._events_left:
                    if self._last_checkpoint is None:
                        self._keep_checkpoint()
                    event = self._events_left.pop(0)
                    if self.take(event):
                        self.count_late_content(event, is_first=is_first)
                        is_first = False
                    self._returned_count += 1
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
            meter.framed_chunks += 1
            meter.bytes += size
            connection, coding = self._connection, self._coding
            uses_sorted_frames = coding is not None or self.reorder is not None or self.log is not None
            if not uses_sorted_frames:
                frames = connection.framing.frames(chunk)
                several = len(frames) > 1
                # `waiting`: a mark of the metrics, such as the first frame or text, is not reached yet.
                if meter.waiting:
                    meter.mark(now, frame=bool(frames))
                if not frames and not outgrown and connection.framing.error is None:
                    # A piece of a frame changes nothing that is checked below.
                    continue
            else:
                frames, several = self.sorted_frames(coding, connection, chunk, now), True
            content_events = 0
            # Reads a frame like the last one without decoding it; worth creating only for several frames.
            glance = connection.format.frame_shortcut() if several else None
            for frame in frames:
                event = None if glance is None else glance(frame)
                if event is not None:
                    events = (event,)
                else:
                    events = [Ping()] if frame is COMMENT else connection.format.feed(frame)
                    glance = connection.format.frame_shortcut() if several else None
                    # A checkpoint made between two events contains those that are not returned yet.
                    if len(events) > 1:
                        self._current_events = events, self._returned_count
                for event in events:
                    if self.take(event):
                        if not content_events:
                            meter.mark_content(now)
                        content_events += 1
                        if event.__class__ is TextDelta:
                            if meter.waiting:
                                meter.mark_text(now)
                        elif event.__class__ is ToolCallStart:
                            meter.mark_tool_call(now)
                    self._returned_count += 1
                    yield event
                reader = connection.format
                if reader.error is not None or accumulator.error is not None:
                    self.error = reader.error or accumulator.error
                    # The framing is ahead of the format by the rest of the chunk.
                    self._id_at_fault = frame.id if isinstance(frame, ServerSentEvent) else ""
                    break
            else:
                self.error = connection.framing.error or (coding.error if coding else None) or self.gap
                if outgrown and self.error is None:
                    self.error = LimitExceeded(limit="body", value=max_bytes)
            meter.framed_deltas += content_events
            reader = connection.format
            self.answered = reader.ended
            if self.answered:
                meter.finish(now)
            if reader.resting is not self.resting:
                # The server has begun, or has ceased, to wait for the client.
                self.resting, self.begun_at = not self.resting, now
            self.continues = self.error is None and not self.answered
            if self.continues and meter.content_chunks and not (uses_sorted_frames or self.holding):
                # The next chunk may be like this one: `give` then creates the fast path, and uses it.
                self.shortcut = self._make_shortcut
            # Frees the payload, since it may be large and the next input may take long to arrive.
            frames = frame = event = glance = None
            events = ()
            self._current_events = _NONE_GIVEN

    def _end_input(self, now: float) -> None:
        """Accept no more input from now on."""
        self.input_ended = True
        self.continues = False
        self.shortcut = None
        self.meter.finish(now)

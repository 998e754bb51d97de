"""What streams and decoders drive: a connection, an accumulator and a meter, one event at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from tokenstream._checkpoints import judged, restored, standing
from tokenstream._glance import Glancing, decoder_of, is_the_callers, no_event
from tokenstream.connection import Connection
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
from tokenstream.formats._read import are_text, is_dict
from tokenstream.formats._seen import no_piece
from tokenstream.framing import ServerSentEvent
from tokenstream.framing._comments import COMMENT
from tokenstream.limits import DEFAULT_LIMITS, Limits, check_option
from tokenstream.status import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tokenstream.events import Event
    from tokenstream.formats._answer import Throughs
    from tokenstream.formats.base import Format
    from tokenstream.framing.content_coding import ContentDecoder
    from tokenstream.message import Checkpoint, Ending, Usage
    from tokenstream.status import ResponseHead

__all__ = ["Machine"]

_LOWEST_OTHER_STATUS = 300
_NONE_GIVEN: tuple[Sequence[Event], int] = ((), 0)
_TRUNCATIONS = (StreamTruncated, StreamInterrupted, StreamStalled)


class Machine(Glancing):
    """Framing, format and accumulator of one answer, for loops that take one event at a time.

    `give` and `push` take input, `pull` gives its events one by one, `finish`
    and `cut` end it, `conclude` gives the verdict.

    Args:
        format: The format's name or a format object; None to find it out.
        content_type: The response's content type, where one is known.
        limits: Bounds on untrusted input.
        pings: Whether signs of life become `Ping` events.
        through: Makes what the events of each format pass before they are given; None for nothing.
    """

    __slots__ = (
        "_coding",
        "_connection",
        "_giving",
        "_glanced",
        "_id_at_fault",
        "_left",
        "_next",
        "_stands",
        "answered",
        "begun_at",
        "departures",
        "gives_again",
        "holding",
        "kept",
        "over",
        "pings",
        "pull",
        "resting",
        "take",
        "through",
        "wanted",
    )

    def __init__(
        self,
        format: str | Format | None,
        *,
        content_type: str | None,
        limits: Limits | None,
        pings: bool,
        through: Throughs | None = None,
    ) -> None:
        check_option("limits", limits, Limits)
        super().__init__(limits if limits is not None else DEFAULT_LIMITS, self._late_usage)
        self.departures = Departures()
        """What the server did that its documents do not say, and the rule that was applied."""
        self.wanted = format
        self.pings, self.through = pings, through
        self._connection: Connection
        self._coding: ContentDecoder | None = None
        self._giving: tuple[Sequence[Event], int] = _NONE_GIVEN
        """The events of a frame that has several, and how many had been given before them."""
        self._stands: Checkpoint | None = None
        """Where the answer stood before its end closed what was open."""
        self._id_at_fault: str | None = None
        """The id of the SSE event that is at fault; None where none is."""
        self.holding = False
        """Events are held back; no chunk is read at a glance then."""
        self.kept: Format | None = None
        """A format that goes on with the next connection; None where that is read by a new one."""
        self.take: Callable[[Any], bool] = self.accumulator.take
        """Takes each event at the moment it is given, and tells whether it has content."""
        self.connect(content_type)
        self._left: list[Event] = []
        self._glanced: Event | None = None
        """The event of a payload that was decoded before it came, taken but not given yet."""
        self.over = False
        """Whether no more input is taken."""
        self.answered = False
        """Whether the terminal event came."""
        self.resting = False
        """Whether the server has nothing to say until the client speaks: no silence is too long then."""
        self.begun_at = -math.inf
        """The clock when it last began to speak after that."""
        self.gives_again = False
        """The next event was pulled before."""
        self._next: Callable[[], Event | None] = self._events().__next__
        self.pull = self._next
        """The next event, or None when more input is needed: for loops that take one event at a time."""

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return self._connection.name

    @property
    def assumed(self) -> bool:
        """The sentinel alone told the end; a clean end of the input has yet to confirm it."""
        return self._connection.format.assumed

    @property
    def comments(self) -> int:
        """How many comments came: signs of life that hold nothing."""
        return self._connection.comments

    def connect(self, content_type: str | None, coding: str = "", kept: Format | None = None) -> None:
        """Begin a new connection, whose content type is known now.

        Args:
            content_type: What the server says of the body.
            coding: The content coding that is on its bytes, such as "gzip".
            kept: A format that reads it as it is; None for `self.kept`, or a new one.
        """
        self._coding = decoder_of(coding, self.limits)
        self._connection = Connection(
            self.wanted,
            content_type=content_type,
            limits=self.limits,
            pings=self.pings,
            departures=self.departures,
            found=self._name_format,
            through=self.through,
            kept=kept or self.kept,
        )
        self.unit = str if self._connection.takes_text else bytes

    def restore(self, checkpoint: Checkpoint) -> None:
        """Begin where an answer stood, before any input is given."""
        self.kept, left = restored(checkpoint, self.accumulator, limits=self.limits, pings=self.pings)
        self.wanted = checkpoint.format
        self._given, self._giving = checkpoint.events_seen, (left, checkpoint.events_seen)
        self.connect(None)

    def give_again(self, event: Event) -> None:
        """Give an event that was pulled once more, before all others."""
        pull = self.pull

        def give() -> Event:
            self.pull, self.gives_again = pull, False
            return event

        self.pull, self.gives_again = give, True

    def _name_format(self, name: str) -> None:
        self.accumulator.format = name
        # A relay tells of answers that begin again.
        self.accumulator.may_restart |= name == "tokenstream"

    def _late_usage(self) -> Usage | None:
        return self._connection.format.late_usage()

    def answer(self, head: ResponseHead, coding: str = "") -> None:
        """Take the head of a response: what comes is its body, or, by its status, what an error says.

        Args:
            head: The head.
            coding: The content coding that is on the body's bytes, such as "gzip".
        """
        self.head = head
        if head.status < _LOWEST_OTHER_STATUS:
            self.connect(head.content_type, coding)
        else:
            refusal = ErrorBody(head, limits=self.limits, pings=self.pings, named=self.wanted)
            self.connect(head.content_type, coding, refusal)

    def take_messages(self) -> None:
        """Take each piece of input as one whole payload: a WebSocket's messages."""
        connection = self._connection
        if not isinstance(connection.format, ErrorBody):
            connection.take_messages()
            self.resting = connection.format.resting

    def note(self, name: str) -> None:
        """Count a departure that shows outside the frames."""
        self.departures.note(name, event=self._connection.frames_seen)

    def give(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - bytes, or text
        """Give the next input, and return its event where it is seen at a glance; `pull` gives the others.

        Args:
            chunk: A `unit`: bytes of the body, or text that was decoded already.
            now: A clock reading, in seconds.
        """
        if self.shortcut is not None:
            return self.shortcut(chunk, now)
        self.now = now
        self.chunk = chunk
        return None

    def push(self, chunk: Any, now: float) -> None:  # noqa: ANN401 - bytes, or what a format takes
        """Give the next input in any form; `pull` then gives its events.

        Raises:
            MisuseError: It is neither bytes nor text, nor a payload whose keys are text.
        """
        if chunk.__class__ is dict:
            if self._glance_at(chunk, now):
                return
            self._take_payload(chunk)
        elif isinstance(chunk, bytes | bytearray) or chunk.__class__ is memoryview:
            # What is a kind of bytes, too: a glance takes them for what they are.
            chunk = bytes(chunk)
        elif isinstance(chunk, str):
            if not self._connection.takes_text:
                chunk = chunk.encode("utf-8", "surrogatepass")
                self._connection.take_text()
        elif is_dict(chunk):
            self._take_payload(chunk)
        elif not isinstance(chunk, bytes | str):
            raise no_piece(chunk)
        self.chunk = chunk
        self.now = now
        self.shortcut = None

    def _glance_at(self, payload: dict[str, Any], now: float) -> bool:
        """Tell whether a payload is one more delta like the last one, whose event `pull` then gives."""
        if self.shortcut is None or not self._connection.takes_payloads:
            return False
        self._glanced = self.shortcut(cast("Any", payload), now)
        self.chunk = None
        if self._glanced is None:
            return False
        self.meter.bytes -= len(payload)  # it has no size here
        return True

    def _take_payload(self, payload: dict[str, Any]) -> None:
        if not are_text(payload):
            raise MisuseError("the payload has a key that is no text; payloads are JSON objects as dicts")
        self._connection.take_payloads()

    def finish(self, cause: StreamError | None, now: float) -> None:
        """Say that no more input will come; `pull` then gives what is left.

        Args:
            cause: Why the input broke off, or None when it ended cleanly.
            now: A clock reading, in seconds.
        """
        if self.over:
            return
        self._end_input(now)
        connection = self._connection
        if self._coding is not None and cause is None and self.error is None:
            self._coding.end(now=now)
            cause = self._coding.error
        before = len(self._left)
        if self.reorder is not None and cause is None and self.error is None:
            late, self.error = connection.end_order(self.reorder, now)
            self._left += late
        if self.error is not None:
            self._left += connection.abandon()
            # What is no payload any more is a broken end, too.
            broken = isinstance(self.error, ProtocolError)
        else:
            self._left += connection.end(broken=cause is not None)
            self.error = connection.error or cause
            broken = cause is not None and connection.error is None and not is_the_callers(cause)
        stood = connection.stood
        self._giving = self._left[: None if stood is None else before + stood.left], self._given
        self._stand()
        if broken and connection.finished:
            self.error = None
            self.note("broken_after_finish")
        if self._left:
            # What is whole only now, such as an answer in one JSON document, comes now.
            self.now = now
            self.meter.mark(now, frame=True)

    def cut(self, now: float) -> None:
        """Stop here: frames that were not decoded are dropped, and what was held back with them."""
        self._end_input(now)
        self.chunk = None
        self._left = []
        self.pull = no_event

    def break_off(self, now: float) -> None:
        """Stop because an exception, Ctrl-C say, broke off the decoding of an event; it cannot go on."""
        # What the format has read may not have been given.
        given = all(message.finish_reason for message in self.accumulator.messages)
        if self.error is None and self._connection.finished and (self.answered or given):
            self.note("broken_after_finish")
        else:
            self.error = self.error or StreamInterrupted(
                "reading was broken off while an event was decoded; what had arrived is in .partial"
            )
            # Nobody knows how much of the event was read.
            self._stands = self.checkpoint().model_copy(update={"position": None, "state": None})
        self.cut(now)

    def conclude(self, ending: Ending | None = None) -> None:
        """Give the verdict, and put what had arrived on the error.

        Args:
            ending: The verdict where the caller has one, such as "stopped".
        """
        error = self.error
        if ending is None and error is not None:
            ending = "truncated" if isinstance(error, _TRUNCATIONS) else "failed"
        elif ending is None or ending == "complete":
            # A whole error is no answer, and what a relay sends on may have been stopped.
            ending = self._connection.format.verdict
        self.accumulator.conclude(ending, cut=() if error is None else self._connection.unfinished_choices)
        if error is not None:
            self._put_on(error)
        self.tell_end()

    def _put_on(self, error: StreamError) -> None:
        if error.request_id is None and self.head is not None:
            error.request_id = self.head.request_id
        if error.has_partial:
            return
        error.partial = self.accumulator.message
        error.checkpoint = self.checkpoint()
        error.events_seen = self.events_seen
        error.bytes_seen = self.meter.bytes
        error.tool_calls_delivered = error.checkpoint.tool_calls_delivered
        if isinstance(error, _TRUNCATIONS):
            # In other errors, what was left depends on how much had been read beyond the fault.
            error.tail = self._connection.tail[: self.limits.tail]

    def checkpoint(self) -> Checkpoint:
        """Return where the answer stands."""
        if self._stands is not None:
            return judged(self._stands, self.accumulator)
        last = self._last_event_id
        return standing(self.accumulator, self._connection, self._waiting, self.events_seen, last)

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that the format has read and nobody was given yet."""
        events, before = self._giving
        return events[self._given - before :]

    def _stand(self) -> None:
        """Keep where the answer stands, once nothing is left but what its end closes."""
        if self._connection.stood is not None and not self._waiting:
            self._stands = self.checkpoint()

    @property
    def _last_event_id(self) -> str | None:
        ahead = self._connection.last_event_id
        return ahead if ahead is None or self._id_at_fault is None else self._id_at_fault or None

    # -- within ------------------------------------------------------------

    def _events(self) -> Iterator[Event | None]:  # noqa: C901 - what runs for every token is in one place
        """Give events for ever: one at a time, None whenever input is needed.

        Each event is taken by the accumulator at the moment at which it is
        given, so the message never runs ahead of who reads. What is done here
        is done for every token: calls that do nothing most of the time stay out.
        """
        accumulator, meter, most = self.accumulator, self.meter, self.limits.body
        frames: Any
        events: Sequence[Event]
        event: Event | None
        for event in self._giving[0]:
            self.take(event)
            self._given += 1
            yield event
        while True:
            chunk = self.chunk
            if chunk is None:
                event, self._glanced = self._glanced, None
                if event is not None:
                    yield event
                    continue
                fresh = True
                while self._left:
                    if self._stands is None:
                        self._stand()
                    event = self._left.pop(0)
                    if self.take(event):
                        fresh = self.mark(event, fresh=fresh)
                    self._given += 1
                    yield event
                yield None
                continue
            self.chunk = None
            now = self.now
            # A payload that was decoded by somebody else has no size here.
            size = 0 if chunk.__class__ is dict else len(chunk)
            outgrown = meter.bytes + size > most
            if outgrown:
                size = most - meter.bytes
                chunk = chunk[:size]
            meter.plain_chunks += 1
            meter.bytes += size
            connection, coding = self._connection, self._coding
            apart = coding is not None or self.reorder is not None
            if not apart:
                frames = connection.framing.frames(chunk)
                several = len(frames) > 1
                if meter.waiting:
                    meter.mark(now, frame=bool(frames))
                if not frames and not outgrown and connection.framing.error is None:
                    # A piece of a frame changes nothing of what is asked below.
                    continue
            else:
                frames, several = self.sorted_frames(coding, connection, chunk, now), True
            said = 0
            glance = connection.format.frame_shortcut() if several else None
            for frame in frames:
                event = None if glance is None else glance(frame)
                if event is not None:
                    events = (event,)
                else:
                    events = [Ping()] if frame is COMMENT else connection.format.feed(frame)
                    glance = connection.format.frame_shortcut() if several else None
                    if len(events) > 1:
                        self._giving = events, self._given
                for event in events:
                    if self.take(event):
                        if not said:
                            meter.content(now)
                        said += 1
                        if event.__class__ is TextDelta:
                            if meter.waiting:
                                meter.mark_text(now)
                        elif event.__class__ is ToolCallStart:
                            meter.mark_tool_call(now)
                    self._given += 1
                    yield event
                reader = connection.format
                if reader.error is not None or accumulator.error is not None:
                    self.error = reader.error or accumulator.error
                    # The framing is ahead of what was read, by the rest of the chunk.
                    self._id_at_fault = frame.id if isinstance(frame, ServerSentEvent) else ""
                    break
            else:
                self.error = connection.framing.error or (coding.error if coding else None) or self.gap
                if outgrown and self.error is None:
                    self.error = LimitExceeded(limit="body", value=most)
            meter.plain_deltas += said
            ending = connection.format
            self.answered = ending.ended
            if self.answered:
                meter.finish(now)
            if ending.resting is not self.resting:
                self.resting, self.begun_at = not self.resting, now
            self.plain = self.error is None and not self.answered
            if self.plain and meter.content_chunks and not (apart or self.holding):
                self.shortcut = self._look
            # The next input may be long in coming, and a payload is large.
            frames = frame = event = glance = None
            events = ()
            self._giving = _NONE_GIVEN

    def _look(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
        """Find out how chunks like the last one are read; only now, since a stream may wait long for it."""
        read = self._connection.shortcut()
        self.shortcut = None if read is None else self.glance_with(read)
        return self.give(chunk, now)

    def _end_input(self, now: float) -> None:
        self.over = True
        self.plain = False
        self.shortcut = None
        self.meter.finish(now)

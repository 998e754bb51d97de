"""The engine of streams and decoders: a connection, an accumulator and a meter, one event at a time.

`State` is the state of its input. `pull` returns the events of the input; once that has ended, what the end
has released (`events_left`); and once it is shut, the `Stopped` event if there is one.

If the server can replay the answer, recovery skips that end: it calls `Resumption.cut_short` instead of
`finish`, so that the format stays open, and then `renew`. If a continuation is refused at its end,
`Joining` calls `refuse`, so that recovery can make another attempt.

Rules for this file:

1. Only `settle` sets `pull`, `pull_unguarded`, `on_read` and `changes_events`. Whoever changes a state on
   which they depend calls `settle`, at the latest before the next `pull`.
2. The message gets each event when it is returned, so that it has what the reader has. `glanced_event` is
   an exception: the message has it from `push` on.
3. `shortcut` is None unless the next chunk may be like the last one. Whatever ends, replaces or interrupts
   the input sets it to None.
"""

from __future__ import annotations

import math
import sys
from operator import call
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import unquote
from weakref import ref

from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.request_facts import offered_in
from tokenstream._basics.untrusted import are_text, is_dict
from tokenstream._basics.waits import retry_after_of
from tokenstream._connection.connection import Connection
from tokenstream._connection.status import ErrorBody
from tokenstream._pipeline import checkpoints
from tokenstream._pipeline.arrivals import Arrivals
from tokenstream._pipeline.asked import AskedFacts
from tokenstream._pipeline.delivery_log import DeliveryLog
from tokenstream._pipeline.factories import make_content_decoder
from tokenstream._pipeline.guarding import Guarding
from tokenstream._pipeline.hold import Hold, ends_at_once
from tokenstream._pipeline.joining import Joining
from tokenstream._pipeline.progress import TRUNCATIONS, Progress
from tokenstream._pipeline.reading import NO_EVENTS, make_glance, read_events
from tokenstream.departures import Departures
from tokenstream.errors import MisuseError, ProtocolError, ProviderError, StreamError, StreamInterrupted
from tokenstream.events import PartDone, Stopped
from tokenstream.formats._detect.unknown import describe_bad_piece
from tokenstream.formats._state import ANSWERED, CLOSED, ENDINGS, OPEN
from tokenstream.limits import DEFAULT_LIMITS, Limits, check_option
from tokenstream.stages._calls.dialects import DANGLING, find_call_markup
from tokenstream.stages._content import has_content
from tokenstream.stages._metrics.meter import Meter
from tokenstream.stages._text.tags import has_reasoning

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Collection, Sequence

    from tokenstream._basics.request_facts import OfferedTools
    from tokenstream._connection.head import ResponseHead
    from tokenstream._pipeline.guarding import Stops
    from tokenstream._pipeline.pausing import Pausing
    from tokenstream._pipeline.reading import CurrentEvents
    from tokenstream._pipeline.resumption import Resumption
    from tokenstream._values.origin import Origin
    from tokenstream.events import Event, Finish
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.told_text import ToldText
    from tokenstream.formats._registry import FormatChoice
    from tokenstream.formats._state import Endings, Said, State
    from tokenstream.framing._content_coding import ContentDecoder
    from tokenstream.message import Checkpoint, Ending, Usage
    from tokenstream.stages._guards.guards import Guards
    from tokenstream.stages._metrics.meter import Metrics


class Observes(Protocol):
    """An observer of a machine, such as a tracer; the methods are called by the stream's code."""

    def ended(self, machine: Machine) -> None:
        """Record that the answer has ended; the machine may call this method more than once for an answer.

        By then, the ending is set, and the error, if there is one, has the partial answer.
        """

    def around_tool(self, within: Any) -> Any:  # noqa: ANN401 - an argument from a higher layer
        """Return a function that makes each call's context manager, around the one that `within` makes."""


class Machine:
    """Framing, format and accumulator of one answer, for loops that take one event at a time.

    `give` and `push` take input, `pull` returns its events one by one, `finish`
    and `cut` end the input, `conclude` sets the ending.

    Some of its parts are created only when they are needed. An event passes them in this order:

    1. `arrivals` puts frames in order, and drops those that an earlier connection has brought.
    2. `read` (the generator `reading.read_events`) has the format read a frame, and returns its events.
    3. `joining.hold` holds back the first events of an attempt.
    4. `joining.seam` changes an event of a continuation into one of the answer.
    5. `accumulator` adds the event to the message.
    6. `guarding` passes the event to the guards, which may end the answer.

    The event and the existing parts decide which part does step 5; the first row that applies counts:

    | event                     | the event is added by                                                  |
    |---------------------------|------------------------------------------------------------------------|
    | a `Finish`, with guards   | `guarding.pull`, once they allow it                                    |
    | read on the fast path     | `glance`, in place of steps 1 to 5                                     |
    | read with a hold or seam  | `joining.pull`, at the moment it is returned                           |
    | any other                 | `read`, which calls `on_read`                                          |

    `settle` decides which parts the next event passes. `resumption` keeps what another connection needs.
    """

    __slots__ = (  # noqa: RUF023 - grouped by what they are about
        # The caller's options.
        "limits",
        "make_stage",
        "offered",
        "wanted",
        # The parts.
        "accumulator",
        "arrivals",
        "asked",
        "connection",
        "_superseded",
        "delivered",
        "departures",
        "guarding",
        "joining",
        "meter",
        "observer",
        "pausing",
        "progress",
        "refusal",
        "resumption",
        "timer",
        # The input.
        "coding",
        "begun_at",
        "chunk",
        "head",
        "kept_format",
        "now",
        "reads_behind_error",
        "resting",
        "shortcut",
        "state",
        "unit",
        # The way of an event, which `settle` sets.
        "changes_events",
        "on_read",
        "pull",
        "pull_unguarded",
        "read",
        # The events.
        "_again",
        "awaits_end_since",
        "current_events",
        "current_frame",
        "last_frame",
        "returned_count",
        "events_left",
        "glance",
        "glanced_event",
        "stopped_event",
        # The end.
        "said",
        "error",
    )

    # A name of the class: those of the module are gone by the time at which it is asked.
    _is_finalizing = staticmethod(sys.is_finalizing)

    def __init__(
        self,
        format: FormatChoice,
        *,
        content_type: str | None,
        limits: Limits | None,
        make_stage: StageFactory | None = None,
        offered: OfferedTools | None = None,
    ) -> None:
        check_option("limits", limits, Limits)
        # The caller's options.
        self.limits = limits = limits if limits is not None else DEFAULT_LIMITS
        self.wanted = format
        self.make_stage, self.offered = make_stage, offered

        # The parts.
        self.accumulator = Accumulator(
            limits=limits,
            late_usage=self._find_late_usage,
            find_journal_id=self.find_answer_id,
            find_origin=lambda: self.origin,
        )
        """The stage that contains the message."""
        self.delivered = DeliveryLog(self.accumulator)
        """Records what of the answer its readers were given."""
        self.meter = Meter(0.0)
        """Records the times for the metrics; the caller replaces its start, 0.0."""
        self.departures = Departures()
        """Deviations of the server from its documentation, with the rule applied to each."""
        self.arrivals = Arrivals(self.meter)
        """Puts frames in order, and drops repeated ones."""
        self.asked = AskedFacts()
        """Knows the request, for the answer's origin."""
        self.progress = Progress(self)
        """Makes checkpoints of the answer so far."""
        self.joining: Joining | None = None
        """Holds back, joins and compares events; None if that was never needed."""
        self.guarding: Guarding | None = None
        """Passes events to the guards; None if there are none, or if a guard has stopped the answer."""
        self.resumption: Resumption | None = None
        """Lets further connections go on with the answer; None if there is only one."""
        self.pausing: Pausing | None = None
        """Prepares formats for an answer that goes on after pauses; None if a pause ends the answer."""
        self.observer: Observes | None = None
        """The observer that is notified of the end; None if there is none."""
        self.timer: Callable[[], float] | None = None
        """A clock for measuring how long reading takes; None to measure nothing."""

        # The input.
        self.head: ResponseHead | None = None
        """The head of the response; None if there is none, or before it arrives."""
        self.refusal: ErrorBody | None = None
        """Reads the body of a response that is an error, of which the connection gets nothing; None for an
        answer."""
        self.chunk: Any = None
        """The input that `pull` decodes next; None if there is none."""
        self.now = 0.0
        """The clock reading of the last input."""
        self.shortcut: Callable[[Any, float], Event | None] | None = None
        """Fast replacement for `give` while chunks may be like the last one; otherwise None."""
        self.glance: Callable[[Any, float], Event | None] | None = None
        """The fast path that was created last: `shortcut` is that, or calls it, while there is one."""
        self.kept_format: Format | None = None
        """A format that continues with the next connection; None to create a new format for it."""
        self.state: State = "reading"
        """The state of the input."""
        self.reads_behind_error: bool | None = None
        """True to read the rest of the body after a provider's error, False only that of the piece in hand.

        None to read nothing, so that what a `Decoder` gives does not depend on the chunks.
        """
        self.resting = False
        """True while the server waits for the client to speak, so that no silence is too long."""
        self.begun_at = -math.inf
        """The clock reading at which the server last began to speak after waiting for the client."""
        self.unit: type = bytes
        """The class of input that `give` takes: bytes, or str for decoded text."""
        self.coding: ContentDecoder | None = None
        self._superseded: list[ref[Connection]] = []
        """The connections that others have replaced, as long as they exist."""
        self.connection: Connection
        """Reads the input."""
        self.connect(is_first=True)
        if content_type is not None:
            self.connection.take_content_type(content_type)

        # The end.
        self.error: StreamError | None = None
        """The failure that follows the events returned last; None if there is none."""
        self.said: Said = "nothing"
        """The last word of the server about the end, from the chunks that are used up."""
        self.awaits_end_since: float | None = None
        """The clock reading since which nothing but the end is left to come; None while more may come."""

        # The events.
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
        self.glanced_event: Event | None = None
        """The event of a payload that was read on the fast path: in the message, but not yet returned."""
        self.stopped_event: Event | None = None
        """The `Stopped` event that still has to be returned after a guard has stopped the stream."""
        self._again: Event | None = None
        """An event that was already pulled once, and is returned next."""

        # The way of an event, which `settle` sets.
        self.read: Callable[[], Event | None] = read_events(self).__next__
        """Returns the next event that the input contains, or None when more input is needed."""
        self.pull_unguarded = self.read
        """Returns the next event before the guards receive it: `read`, or `joining.pull`, which calls it."""
        self.pull = self.read
        """Returns the next event, or None when more input is needed: `pull_unguarded`, or `guarding.pull`,
        which calls it."""
        self.on_read: Callable[[Any], bool] = self.accumulator.take
        """Called by `read` with each event; returns True if the event has content. It also adds the event to
        the message, unless `joining` or `guarding` adds it later."""
        self.changes_events = False
        """True while events are held back, moved or dropped, so that no chunk may be read on the fast path.
        A seam may begin to move parts in mid-answer; `Joining._add` then settles the machine."""

    def settle(self) -> None:
        """Choose the functions through which the next events pass; they depend on the machine's state alone.

        | `pull`            | when                                                                  |
        |-------------------|-----------------------------------------------------------------------|
        | `pull_stopped`    | the answer was cut, perhaps because a guard has stopped it            |
        | `_pull_again`     | an event was put back                                                 |
        | `guarding.pull`   | there are guards, which get the events of `pull_unguarded`            |
        | `pull_unguarded`  | otherwise: `joining.pull` while that has to do, then `read` itself    |

        | `on_read`         | when                                                                  |
        |-------------------|-----------------------------------------------------------------------|
        | `has_content`     | `joining` adds the event to the message when it returns it            |
        | `guarding.take`   | there are guards, which have to see a `Finish` before it is added     |
        | `accumulator.take`| otherwise                                                             |

        If a guard counts what arrives, it sees each event before `on_read` does any of this.

        Call this method after each change of these states. `begin_again` leaves that to `Joining.begin`,
        which its only caller calls next, and `Joining.drop_held` to `end_for_guard`.
        `pull_stopped` need not call it: once it has returned its event, it returns None.
        """
        joining, guarding = self.joining, self.guarding
        adds_later = joining is not None and joining.adds_later
        if joining is not None and not adds_later:
            # Nothing is held back or changed, so events are returned just as they are read.
            joining = None
        self.pull_unguarded = self.read if joining is None else joining.pull
        if adds_later:
            self.on_read = has_content
        else:
            self.on_read = self.accumulator.take if guarding is None else guarding.take
        if guarding is not None and guarding.guards.can_count:
            self.on_read = _count_first(guarding.count, self.on_read)
        self.changes_events = joining is not None and joining.changes_events
        if self.state == "shut":
            self.pull = self.pull_stopped
        elif self._again is not None:
            self.pull = self._pull_again
        else:
            self.pull = self.pull_unguarded if guarding is None else guarding.pull

    def make_joining(self) -> Joining:
        """Return `joining`, which is created if there is none."""
        if self.joining is None:
            self.joining = Joining(self)
        return self.joining

    def guard(self, guards: Guards, stops: Stops) -> None:
        """Pass all further events to these guards."""
        self.guarding = Guarding(self, guards, stops)
        if self.kept_format is not None:
            # The answer was restored, so what arrives and is held back is only the rest of it.
            guards.take_restored(self.accumulator.messages)
        if guards.is_holding and not self.holds_back:
            # This hold itself ends with any event; the guards extend it until they have decided.
            self.make_joining().hold_back(Hold(ends_at_once))
        self.settle()

    def make_resumption(self) -> Resumption:
        """Return `resumption`, which lets further connections go on with the answer, or begin it again."""
        # Only a stream with retries needs this module.
        from tokenstream._pipeline.resumption import Resumption

        self.resumption = Resumption(self)
        self.accumulator.allow_restarts()
        return self.resumption

    def make_pausing(self, withholds: Callable[[Finish], bool]) -> Pausing:
        """Return `pausing`, which lets further connections go on after the pauses that `withholds` names."""
        # Only a stream that goes through pauses needs this module.
        from tokenstream._pipeline.pausing import Pausing

        self.pausing = Pausing(self, withholds)
        # The connection that the machine was created with knows nothing of pauses.
        self.connect()
        return self.pausing

    @property
    def holds_back(self) -> bool:
        """True while events are held back."""
        return self.joining is not None and self.joining.hold is not None

    @property
    def format(self) -> str | None:
        """The format's name; None until it is known."""
        return None if self.refusal is not None else self.connection.name

    def keep_frames(self) -> deque[Any]:
        """Keep each frame that is read from now on, for `stream.payloads`; return where they are kept."""
        if self.meter.chunks and not self.arrivals.keeps:
            raise MisuseError(
                "the payloads were not kept: ask for stream.payloads before anything is read", kind="consumed"
            )
        return self.arrivals.keep()

    def connect(self, *, is_first: bool = False) -> None:
        """Begin a new connection, which is read by the `kept_format`, or by a new format if there is none."""
        self.coding = None
        superseded = None if is_first else self.connection
        self.connection = Connection(
            self.wanted,
            limits=self.limits,
            departures=self.departures,
            found=self._name_format,
            make_stage=self.make_stage,
            offered=self.offered,
            continued_format=self.kept_format,
            find_text=self.find_text,
            adapt=None if self.pausing is None else self.pausing.adapt,
        )
        self.unit = str if self.connection.takes_text else bytes  # the type of the chunks
        if superseded is not None:
            self._let_go(superseded)

    def read_with(self, format: Format) -> None:
        """Begin the connection anew, of which nothing was read yet, with a format that is made already."""
        self.kept_format = format
        self.connect()

    def _let_go(self, superseded: Connection) -> None:
        """Dispose of a connection that another has replaced: now or, if it has read frames, at the end."""
        if superseded.is_untouched and superseded.format is not self.connection.format:
            superseded.dispose()
        else:
            self._superseded = [each for each in self._superseded if each() is not None]
            self._superseded.append(ref(superseded))

    def expect_format(self, format: FormatChoice, make_stage: StageFactory | None) -> None:
        """Expect another format, or any, from the next connection on, and another stage for its events."""
        self.wanted, self.make_stage = format, make_stage

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore an answer from a checkpoint, before there is any input."""
        self.kept_format, unreturned, log = checkpoints.restore_answer(
            checkpoint, self.accumulator, limits=self.limits
        )
        if log is not None:
            self.arrivals.remember(log)
        self.wanted = checkpoint.format
        self.returned_count = checkpoint.events_seen
        self.current_events = unreturned, checkpoint.events_seen  # `read` returns them first
        self.connect()

    def give_again(self, event: Event) -> None:
        """Put back an event that was pulled, so that `pull` returns it again.

        It is the next event, except that a `Stopped` event is always the last.
        """
        if isinstance(event, Stopped):
            self.stopped_event = event
        else:
            self._again = event
        self.settle()

    @property
    def gives_again(self) -> bool:
        """True if the next event was already pulled once."""
        return self._again is not None

    def _pull_again(self) -> Event | None:
        """Return the event that was put back."""
        event, self._again = self._again, None
        self.settle()
        return event

    def pull_stopped(self) -> Event | None:
        """Return the `Stopped` event if the answer was stopped, else None."""
        event, self.stopped_event = self.stopped_event, None
        return event

    def _name_format(self, name: str) -> None:
        """Store the format's name in the message; while events are held back, keep the name for later."""
        if self.joining is not None and self.joining.name_format(name):
            return
        self.accumulator.name_format(name)

    def _find_late_usage(self) -> Usage | None:
        """Return token counts that no event has reported; None while the first events are held back."""
        return None if self.holds_back else self.connection.format.late_usage()

    def find_text(self, told: ToldText) -> str:
        """Return a part's text so far, with what is held back, to compare it to the server's whole text."""
        return self.find_own_text(told) if self.joining is None else self.joining.find_text(told)

    @property
    def unread_events(self) -> Sequence[Event]:
        """The events that were decoded, and not returned yet; without those that are held back."""
        events, returned = self.current_events
        return events[max(self.returned_count - returned, 0) :]

    @property
    def endings(self) -> Endings:
        """The endings by what may come next, from what the server has said in all that the reader has."""
        is_behind = self.joining is not None and bool(self.joining.waiting)
        is_amid = self.said == "open reason" and bool(self.reopened_choices)
        return ENDINGS["nothing" if is_behind or is_amid else self.said]

    @property
    def reopened_choices(self) -> Collection[int]:
        """Indexes of the choices whose reason is not their last, as where a server gives one with each chunk.

        Content has followed the reason, or more was read already than the reader has.
        """
        format = self.connection.format
        choices = format.parts.choices
        if self.connection.framing_ended or not format.may_go_on:
            return format.early_choices
        is_within = self.last_frame is not None and self.current_frame is not self.last_frame
        if format.said() == "open reason" and (is_within or any(map(has_content, self.unread_events))):
            return choices
        return [index for index, choice in choices.items() if choice.has_reopened]

    def find_own_text(self, told: ToldText) -> str:
        """Return the text that the message has for a part."""
        parts = self.accumulator.parts_from(told.choice, told.part)
        content: Any = parts[0].final or parts[0].build(complete=False) if parts else None
        return told.find_in(content)

    @property
    def is_unused(self) -> bool:
        """True after a refusal whose connection can serve the next attempt: it has got nothing."""
        is_new = self.refusal is not None and self.kept_format is None
        return is_new and self.connection.serves(self.wanted, self.make_stage)

    @property
    def named_id(self) -> str | None:
        """The answer's id as the relay that sends it has named it, in a header or, if kept, in an event."""
        head = self.head
        named = None if head is None or self.refusal is not None else head.headers.get("x-answer-id")
        return self.connection.format.answer_id if named is None else unquote(named)

    def find_answer_id(self) -> str | None:
        """Return the answer's id at a relay with a journal; the header alone does not show that there is one.

        A journal also gives the answer an address, its events positions, or the first event the id.
        """
        head, told = self.head, self.connection.format.answer_id
        is_kept = told or self.progress.last_event_id or (head is not None and "location" in head.headers)
        return self.named_id if is_kept else None

    def take_head(self, head: ResponseHead, coding: str = "") -> None:
        """Accept the head of a response; its status decides if the body is an answer or an error.

        The content coding is a name such as "gzip".
        """
        self.head = head
        if head.refuses:
            self.refusal, self.unit = ErrorBody(head, limits=self.limits, expected=self.wanted), bytes
        else:
            self.connection.take_content_type(head.content_type, head.url)
        self.coding = make_content_decoder(coding, self.limits)

    def take_request(self, asked: object) -> None:
        """Pass the JSON of the request to the format, which may use it to read the response."""
        if self.offered is None:
            self.connection.take_tools(offered_in(asked))
        self.connection.format.take_request(asked)

    def take_messages(self) -> None:
        """Expect each piece of input to be one whole payload, like the messages of a WebSocket."""
        self.connection.take_messages()
        self.resting = self.connection.format.resting

    def note_departure(self, name: str) -> None:
        """Count a departure (a deviation from the protocol) that is visible outside the payloads."""
        self.departures.note(name, event=self.connection.frames_seen)

    @property
    def origin(self) -> Origin:
        """The origin of the answer, up to the last input."""
        return self.asked.make_origin(self)

    @property
    def metrics(self) -> Metrics:
        """Timing of the answer so far."""
        # Before the first chunk, there is no time of a last input.
        return self.meter.read(
            self.now if self.meter.chunks else None, events=self.events_seen, usage=self.accumulator.counted
        )

    @property
    def events_seen(self) -> int:
        """Number of events that were returned."""
        return self.returned_count + self.meter.glanced

    @property
    def guarded_until(self) -> float:
        """The clock reading at which a guard's deadline passes; infinity if no guard has a deadline."""
        return math.inf if self.guarding is None else self.guarding.deadline

    @property
    def waits(self) -> bool:
        """True while no event may be returned before the guards have decided."""
        return self.guarding is not None and self.guarding.waits

    # -- the input -----------------------------------------------------------

    def give(self, chunk: object, now: float) -> Event | None:
        """Accept the next input, of the class `unit`; return its event if the fast path can read the input.

        If the result is None, `pull` has to be called, which reads the input.
        """
        if self.shortcut is not None:
            return self.shortcut(chunk, now)
        self.now = now
        self.chunk = chunk
        return None

    def push(self, chunk: Any, now: float) -> None:  # noqa: ANN401 - bytes, or what a format takes
        """Accept the next input in any form; `pull` then returns its events."""
        if chunk.__class__ is dict:
            if self._read_at_a_glance(chunk, now):
                return
            self._take_payload(chunk)
        elif isinstance(chunk, bytes | bytearray) or chunk.__class__ is memoryview:
            # Also for subclasses of bytes, because the fast path expects plain bytes.
            chunk = bytes(chunk)
        elif isinstance(chunk, str):
            if self.refusal is not None or not self.connection.takes_text:
                chunk = chunk.encode("utf-8", "surrogatepass")
                if self.refusal is None:
                    self.connection.take_text()
        elif is_dict(chunk):
            # A subclass of dict, which the fast path does not read.
            self._take_payload(chunk)
        else:
            raise describe_bad_piece(chunk)
        self.read_plainly(chunk, now)

    def read_plainly(self, chunk: object, now: float) -> None:
        """Let `pull` read this input, and no fast path."""
        self.chunk, self.now, self.shortcut = chunk, now, None

    def _take_payload(self, payload: dict[str, Any]) -> None:
        """Check a payload that is already decoded; from now on, the connection expects only such payloads."""
        if not are_text(payload):
            raise MisuseError("the payload has a key that is not text; pass each key as a str, as in JSON")
        self.connection.take_payloads()

    def _read_at_a_glance(self, payload: dict[str, Any], now: float) -> bool:
        """Read a payload on the fast path into `glanced_event`; return False if `pull` has to read it."""
        # Not with guards: the event would wait in `glanced_event`, where a guard cannot stop it.
        if self.shortcut is None or not self.connection.takes_payloads or self.guarding is not None:
            return False
        self.glanced_event = self.shortcut(cast("Any", payload), now)
        if self.glanced_event is None:
            # The fast path has stored the payload in `chunk`, for `pull`. That is undone here, because `push`
            # has to check the payload first, and stores it only then.
            self.chunk = None
            return False
        # The fast path has counted `len(payload)` as bytes. For a dict, that is the number of its keys; its
        # size in bytes is not known, so it does not count.
        self.meter.discount_bytes(len(payload))
        return True

    def pass_time(self, now: float) -> None:
        """Note that time has passed without input."""
        self.now = max(self.now, now)

    def pause(self) -> None:
        """Pause between two slices of a compressed chunk, so that a driver can look at the clock."""
        self.state = "sliced"

    def resume(self) -> None:
        """Go on with the next slice."""
        self.state = "reading"

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
        read_like_last, guarding = self.connection.shortcut(), self.guarding
        glance = self.glance = None if read_like_last is None else make_glance(self, read_like_last)
        if glance is None or guarding is None:
            self.shortcut = glance
        else:
            self.shortcut = lambda chunk, now: guarding.show_glanced(glance(chunk, now))
        return self.give(chunk, now)

    def give_late(self, now: float) -> None:
        """Release the frames that waited long enough for missing ones; `pull` then returns their events."""
        arrivals = self.arrivals
        if arrivals.reorder is not None:
            arrivals.ready = arrivals.reorder.tick(now)
            self.error = self.error or arrivals.reorder.error
            if self.error is not None and self.state == "reading":
                self.state = "ending"
            if arrivals.ready:
                self.read_plainly(b"", now)

    def begin_again(self, hold: Hold, kept_format: Format | None, now: float) -> None:
        """Forget everything of the last connection, except for the answer so far.

        `drop_unread` must follow, unless the connection is unused. If the answer is resumed, the hold
        gets the events that were not returned, and `kept_format` reads on.
        """
        self.error = self.chunk = self.glanced_event = self.head = self.current_frame = None
        self.refusal = self.coding = None
        self.said, self.resting = "nothing", False
        self.state = "reading"
        self.shortcut = None
        self.begun_at = self.now = now
        self.meter.go_on()
        self.kept_format = kept_format
        self.awaits_end_since = None
        self.progress.begin_again()
        if kept_format is not None:
            # A new answer does not begin with what the old one has left.
            hold.take_events_left(self.events_left)

    def drop_unread(self) -> None:
        """Drop the events that the input has brought and that were not returned.

        If an event of the last chunk has ended the attempt, those after it belong to nothing that
        follows.
        """
        self.events_left, self.current_events = [], NO_EVENTS
        self.read = read_events(self).__next__
        # Nothing is left to read here, so `leave` adds to what is read next.
        self.read()
        self.settle()

    def read_refusal(self, refusal: ErrorBody, chunk: bytes, *, is_last: bool) -> None:
        """Read a piece of the body of a response that is an error, which has no events."""
        for piece in (chunk,) if self.coding is None else self.coding.slices(chunk):
            refusal.feed(piece)
            if refusal.error is not None:
                # Few compressed bytes may be a whole second of work.
                break
        if is_last:
            refusal.end()
        self.error = refusal.error or (None if self.coding is None else self.coding.error)
        self.meter.mark(self.now, frame=True)
        if refusal.ended:
            self.said = "terminal"
            self.meter.finish(self.now)
        self.state = "reading" if self.error is None and not refusal.ended else "ending"

    # -- the end -------------------------------------------------------------

    def end_coding(self, cause: StreamError | None, now: float) -> StreamError | None:
        """End the content coding after a clean end of the input; return its error, or else `cause`."""
        if self.coding is None or cause is not None:
            return cause
        self.coding.end(now=now)
        return self.coding.error

    def leave(self, events: Sequence[Event]) -> None:
        """Let `pull` return these events after all others; a checkpoint contains them until then."""
        self.events_left += events
        self.current_events = [*self.events_left], self.returned_count

    def finish(self, cause: StreamError | None, now: float, *, is_told: bool = False) -> None:
        """End the input, which a cause has broken off or which ended cleanly; `pull` returns the rest.

        With `is_told`, the caller knows that the answer is over, as if its server had sent an end mark.
        """
        if self.state in CLOSED:
            return
        self.end_input(now)
        if is_told:
            self.connection.take_end()
        if self.refusal is not None:
            self.error = self.error or self.refusal.end()
            return
        connection = self.connection
        if self.error is None and self.coding is not None:
            cause = self.end_coding(cause, now)
        # `Resumption.cut_short` may have left events that are not returned yet.
        left_before = len(self.events_left)
        reorder = self.arrivals.reorder
        if reorder is not None and cause is None and self.error is None:
            late_events, self.error = connection.end_order(reorder, now)
            self.events_left += late_events
        is_broken = self._end_connection(cause)
        # A checkpoint made from now on contains the events that are not returned yet (`current_events`). It
        # does not contain the events that only close open parts, because it is from before these.
        events_in_checkpoint = self.events_left[:]
        if connection.last_position is not None:
            del events_in_checkpoint[left_before + connection.last_position.events_left :]
        self.current_events = events_in_checkpoint, self.returned_count
        self.progress.keep()
        is_broken = is_broken and connection.format.parts.difference is None
        if is_broken and connection.endings.broken == "complete":
            # The whole answer had arrived, so the broken end takes nothing from it.
            self.error = None
            self.note_departure("broken_after_finish")
        if self.said == "sentinel" and self.error is None:
            self.said = "terminal"  # the end of the input has confirmed it
        if self.events_left:
            # For example, an answer in one JSON document is complete only now.
            self.now = now
            self.meter.mark(now, frame=True)

    def _end_connection(self, cause: StreamError | None) -> bool:
        """End framing and format; return True if the transport or malformed bytes have broken the end."""
        connection = self.connection
        if self.error is not None:
            self._take_wait()
            self.events_left += connection.abandon()
            # Bytes that are not a payload count as a broken end, too.
            return isinstance(self.error, ProtocolError)
        if isinstance(cause, ProviderError) and connection.format.is_whole:
            # An SDK raises what the provider has sent as an event.
            connection.format.note("error_after_finish")
            cause = None
        self.events_left += connection.end(broken=cause is not None)
        self.error = connection.error or cause
        self._take_wait()
        return connection.error is None and cause is not None and _is_of_transport(cause)

    def _take_wait(self) -> None:
        """Give the provider's error the wait that the head of the response asks for, if it names none."""
        error, head = self.error, self.head
        if head is not None and isinstance(error, ProviderError) and error.retry_after is None:
            error.retry_after = retry_after_of(head.headers, head.received_at)

    def stop(self, now: float) -> None:
        """Stop reading here, as `cut` does; the message keeps the text that a stage has held back."""
        parts, is_behind_all = self.connection.format.parts, not self.unread_events
        # Text that a guard has not seen, or a hold has not released, is not added.
        is_shown = (
            is_behind_all and self.state not in CLOSED and self.guarding is None and not self.holds_back
        )
        if parts.stage is not None and is_shown:
            parts.stage.end(whole=False)
            for event in parts.take():
                self.on_read(event)
        self.cut(now)

    def cut(self, now: float) -> None:
        """Stop reading here: drop what was not decoded or was held back, but not a due `Stopped` event."""
        self.end_input(now)
        self.chunk, self.events_left = None, []
        if self.guarding is not None:
            # Nothing waits for a guard any more, not even the end of the answer.
            self.guarding.forget_finish()
        self.state = "shut"
        self.settle()

    def break_off(self, now: float) -> None:
        """Stop after an exception, such as KeyboardInterrupt, broke off the decoding of an event."""
        # The format may have read events that were never returned.
        is_whole = self.connection.endings.broken == "complete" and not (self.error or self.refusal)
        has_end = self.said in ANSWERED or all(each.finish_reason for each in self.accumulator.messages)
        if is_whole and has_end:
            self.note_departure("broken_after_finish")
        else:
            self.error = self.error or StreamInterrupted(
                "reading was broken off while an event was decoded; what had arrived is in .partial"
            )
            self.progress.keep_without_position()
        self.cut(now)

    def conclude(self, ending: Ending | None = None) -> None:
        """Set the ending, or derive it for None, and store the partial answer on the error."""
        error = self.error
        if self.accumulator.ending == "streaming":
            self._note_markup()
        if ending is None and error is not None:
            ending = "truncated" if isinstance(error, TRUNCATIONS) else "failed"
        elif ending is None or ending == "complete":
            # An error body is not an answer, and an answer sent by a relay may have been stopped.
            ending = "stopped" if self.refusal is not None else self.connection.format.verdict
        is_cut = self.refusal is None and (error is not None or self.connection.format.goes_on)
        cut = self.connection.unfinished_choices if is_cut else []
        cut = [*cut, *(self.reopened_choices if ending == "stopped" else ())]
        early = () if ending == "complete" else self.connection.format.early_choices
        self.accumulator.conclude(ending, cut=cut, early=early)
        if error is not None:
            self.progress.store_on(error)
        if self.observer is not None:
            self.observer.ended(self)

    def _note_markup(self) -> None:
        """Count a departure for each choice whose whole text has the markup of a call, or of reasoning."""
        parts = self.connection.format.parts
        reads_reasoning = parts.stage is not None and parts.stage.reads_reasoning
        for text in self.accumulator.texts():
            dialect = find_call_markup(text, parts.offered)
            if dialect is not None:
                self.departures.note("call_in_text", event=self.connection.frames_seen, about=dialect)
            if parts.calls_seen and text.rstrip().endswith(DANGLING):
                self.note_departure("opening_left")
            if not reads_reasoning and has_reasoning(text):
                self.note_departure("reasoning_in_text")

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

    def end_for_guard(self, stopped: Stopped | None) -> None:
        """End the answer with an event, or for a guard that failed: drop the guards, and all that is left."""
        self.guarding = None
        self.cut(self.now)
        if self.joining is not None:
            # The usage still includes their tokens.
            self.joining.drop_held()
            self.settle()
        if stopped is not None:
            # The guard decides the ending, even if the terminal event has arrived.
            self.error, self.said = None, "nothing"
            self.give_again(stopped)

    def end_with(self, finish: Finish, now: float) -> None:
        """End the answer here without an error; parts that are still open end as they are."""
        self.error = None
        if self.state not in CLOSED:
            self.end_input(now)
        if self.joining is not None:
            self.joining.end()
        self.drop_unread()
        parts = enumerate(self.accumulator.message.parts)
        ended: list[Event] = [PartDone(None, part=index) for index, part in parts if not part.complete]
        self.leave([*ended, finish])

    def return_to(self, connection: Connection) -> None:
        """Return to an earlier connection, which has brought the whole answer, and forget what followed."""
        superseded, self.connection = self.connection, connection
        self.error = self.refusal = None
        self._let_go(superseded)
        self.arrivals.forget_loss()

    def dispose(self) -> None:
        """Let go of the parts that refer back to this machine, so that all of it is freed with its owner.

        Only the owner calls this, as the last that it does: no method may be called afterwards.
        While Python shuts down, it does nothing.
        """
        if self._is_finalizing():
            return
        for connection in (self.connection, *map(call, self._superseded)):
            if connection is not None:
                connection.dispose()
        del self.accumulator, self.delivered, self.connection, self.progress, self.asked
        del self.read, self.pull, self.pull_unguarded, self.on_read
        self.joining = self.guarding = self.resumption = self.pausing = self.shortcut = self.glance = None

    def end_input(self, now: float) -> None:
        """Accept no more input from now on."""
        self.state = "ended"
        self.shortcut = None
        self.meter.finish(now)


def _is_of_transport(cause: StreamError) -> bool:
    """Return False for the provider's error, and for that of the application's own source."""
    own = isinstance(cause, StreamInterrupted) and cause.kind == "unknown"
    return not own and not isinstance(cause, ProviderError)


def _count_first(count: Callable[[Event], object], on_read: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return an `on_read` that first passes each event to `count`, for guards that count what arrives."""

    def count_and_read(event: Any) -> bool:  # noqa: ANN401 - an event
        count(event)
        return on_read(event)

    return count_and_read

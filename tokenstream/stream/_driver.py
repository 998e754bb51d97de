"""The part of a stream's driver that does not wait: it processes items and decides the ending."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self
from weakref import ref

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream._basics.kept_errors import FunctionFailed, frameless, raised_anew
from tokenstream._basics.request_facts import mask_of
from tokenstream._connection.head import LOWEST_ERROR_STATUS, strip_secrets
from tokenstream._pipeline.machine import Machine
from tokenstream.errors import AnswerFailure, MisuseError, ProviderError, StreamError
from tokenstream.formats._endings import ANSWERED, CLOSED, OPEN
from tokenstream.formats._kit.errors import is_vague
from tokenstream.limits import DEFAULT_DEADLINES, Deadlines, check_option
from tokenstream.stream._cancelling import EndVerdict
from tokenstream.stream._log import inform, log
from tokenstream.stream._opening import Recovers, claim_reorder, prepare, prepare_machine
from tokenstream.stream._options import CLOCKS, Options, Policy
from tokenstream.stream._reading.items import END, LOST, NOTHING, WAITED, BusyTime, SourceFailed, SourceOpened
from tokenstream.stream._reading.silence import RestLimits, Silence
from tokenstream.stream._refusals import concurrent_read_error, interrupted_read_error
from tokenstream.stream._views.aspects import Cursors

if TYPE_CHECKING:
    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._basics.loose import AnyFunction
    from tokenstream._connection.head import ResponseHead
    from tokenstream._pipeline.delivery_log import Reading
    from tokenstream._sources.kinds import AsyncSource, LazySource, SyncSource
    from tokenstream._values.origin import Origin
    from tokenstream.events import Event
    from tokenstream.message import Checkpoint, Ending, Message
    from tokenstream.stages._tools.once import CallRun
    from tokenstream.stream._outputs.once import Once
    from tokenstream.stream._protocols import Clock


class Driver(UncopyableObject):
    """Drives one stream, and decides how the stream ends.

    A pump reads items from the source: its chunks, its end, and errors. This class processes the items;
    `SyncDriver` and `AsyncDriver` add the loop that waits for them.

    In a broadcast, `ReaderDriver`, the driver of one of several readers, has other versions of some members.
    """

    block: ClassVar[str]
    """The statement in which a stream is read, such as "async with"; for error messages."""
    exhausted: ClassVar[type[Exception]]
    """The exception that ends a loop over the events."""
    name: ClassVar[str]
    """The name of the public class."""
    pump: Any
    """Reads the source; each kind of driver has a kind of its own."""
    prepares_each_read: ClassVar[bool]
    """True if `prepare_read` comes before each chunk that the machine's fast path does not read."""

    def __init__(self, options: Options) -> None:
        self.clock: Clock = options.clock or CLOCKS.get()[-1]
        self.has_ended = False
        """True once the ending is decided."""
        self.was_opened = False
        self.verdict = EndVerdict()
        self.in_block = False
        """True once `enter_block` was called."""
        self.head: ResponseHead | None = None
        """The head of the response; None before its arrival, or if the source has no head."""
        self.error: AnswerFailure | MisuseError | None = None
        """The error that views and `final` raise once the stream is over."""
        self.results: dict[Any, Any] = {}
        """Stored outcomes of `result()`, each under a key made of the arguments of the call."""
        self.calls_in_hand: list[tuple[Once, CallRun]] = []
        """The calls that the application has begun with a store, and has to end itself."""
        self.diverted = False
        """True once `stream.responses` reads the answers one by one; this stream then has no own answer."""
        self._sharing: AnyFunction | None = None
        """Returns `sharing`; None if the stream was never shared."""
        self.recovery: Recovers | None = None
        """Continues an answer that broke off; None if the stream does not retry."""
        self.is_cancelled = False
        """True once an answer that runs in the background was cancelled, because the stream was stopped."""
        self._rest_limits: RestLimits | None = None
        """Limits for reading after the terminal event; None before that."""
        self._read_deadlines: Deadlines | None = None
        """The deadlines from which the read timeout was derived; None if the client is the caller's own."""
        self.earliest_deadline = -math.inf
        """A time before which no deadline can pass.

        If `prepares_each_read`, this leaves out the deadline of a gap between frames, which `prepare_read`
        asks for.
        """
        self.machine = Machine(
            options.format,
            limits=options.limits,
            make_stage=options.make_stage,
            offered=options.offered,
            timer=time.perf_counter,
        )
        try:
            check_option("deadlines", options.deadlines, Deadlines)
            self.silence = Silence(options.deadlines or DEFAULT_DEADLINES, self.machine)
            if options.reorder is not None:
                reorder = claim_reorder(options.reorder, self.machine.departures)
                self.machine.intake.arrivals.take(reorder)
            self.machine.meter.begin(options.find_start(self.clock()), wrapped=options.started_at is None)
            if options.job is not None:
                options.job.begin(self.machine)
        except BaseException:
            # Nobody else can take it apart, so that it would wait for the garbage collector.
            self.machine.dispose()
            raise

    def __repr__(self) -> str:
        lazy = None if self.was_opened or self.is_reading else self.pump.lazy
        asked = lazy and lazy.asked
        address = strip_secrets(asked[0]) if asked else self.head.place if self.head else ""
        of_address = f" of {address}" if address else ""
        format = self.machine.link.format or "unknown format"
        state = "nothing was sent yet" if asked else self.message.ending
        return f"<{self.name}{of_address}: {format}, {state}>"

    @property
    def options(self) -> Options:
        """Options for reading another stream like this one."""
        machine = self.machine
        return Options(
            format=machine.link.wanted,
            limits=machine.limits,
            deadlines=self.silence.deadlines,
            clock=self.clock,
            make_stage=machine.link.make_stage,
            offered=machine.link.offered,
        )

    @property
    def origin(self) -> Origin:
        return self.machine.make_origin(now=self.clock())

    @property
    def accumulator(self) -> Accumulator:
        return self.machine.accumulator

    @property
    def readings(self) -> dict[Reading, bool]:
        """The readings of which a reader has been given something; readers write into it."""
        return self.machine.delivered.readings

    def note_look(self) -> None:
        """Note that the program looks at the answer so far, which is delivered thereby."""
        # Once the answer has ended, no other one may replace it.
        if self.recovery is not None and not self.has_ended:
            self.machine.delivered.note_look()

    @property
    def message(self) -> Message:
        return self.apply_stop(self.machine.accumulator.message)

    # -- members that differ in a broadcast's reader ------------------------------

    def cursors(self, choice: int) -> Cursors:
        return Cursors(self, choice)

    @property
    def source_driver(self) -> Self:
        """The driver that reads the source; the readers of a broadcast share one driver."""
        return self

    def enter_block(self) -> None:
        """Note that a `with` block was entered, which closes the stream if a loop leaves it."""
        self.in_block = True

    def set_options(self, policy: Policy | None, size: int | None) -> None:
        """Ignore the options of a broadcast, which this driver does not need."""

    @property
    def event_driver(self) -> Self:
        """The driver whose `step` returns events: this driver, but another one for a broadcast's reader."""
        return self

    def share(self, hub: object) -> None:
        """Note that a hub reads this stream from now on; the hub keeps this driver, and not the reverse."""
        self._sharing = ref(hub)

    @property
    def sharing(self) -> Any:  # noqa: ANN401 - a `Hub`, whose module comes after this one
        """The hub that reads this stream for the readers of a broadcast; None if no broadcast shares it."""
        return None if self._sharing is None else self._sharing()

    def apply_stop(self, message: Message) -> Message:
        """Return a message with the ending that `stop` has requested; unchanged if no end was requested."""
        if self.verdict.end_request is None or message.ending != "streaming":
            return message
        has_reason = message.finish_reason and not self.machine.intake.reopened_choices
        if has_reason or (
            self.machine.link.refusal is None and self.machine.way.endings.stopped == "complete"
        ):
            # The answer had ended before the stop. (The body of an error is no answer.)
            return message.model_copy(update={"ending": "complete"})
        # No counts follow after a stop, so missing ones are estimated.
        return message.model_copy(update={"ending": "stopped", "usage": self.accumulator.counted})

    # -- the phases of a stream --------------------------------------------

    def check_events_left(self) -> None:
        """Raise a `MisuseError` if no events are left for a new loop."""
        if not self.has_ended or self.machine.way.stopped_event is not None:
            # The stream goes on, or the `Stopped` event of a guard is left.
            return
        if isinstance(self.error, MisuseError):
            raise raised_anew(self.error)
        if self.verdict.closed:
            raise MisuseError(
                "the stream was closed; what had arrived is in .message, and the views give it", kind="closed"
            )
        how = "events were read to their end" if self.verdict.end_request is None else "stream was stopped"
        raise MisuseError(
            f"the {how}; the answer is in .message, and the views give it again", kind="consumed"
        )

    def begin_request(self, lazy: LazySource) -> None:
        """Import what a request needs, then start timing it; the clock of a further attempt goes on."""
        if lazy.begins:
            try:
                prepare(lazy, self.machine.link.wanted)
            except Exception as error:
                self._end_for(error)
                raise
            self.machine.meter.begin(self.clock(), wrapped=False)
        self.machine.asked.take_request(lazy.asked)
        if lazy.patience != self.silence.patience:
            self.silence.allow(lazy.patience)

    def open(self, source: SyncSource | AsyncSource) -> None:
        """Process the response head of a source that was just opened."""
        head = source.head
        self._read_deadlines = source.read_deadlines
        if source.patience != self.silence.patience:
            self.silence.allow(source.patience)
        self.was_opened, self.silence.turn = True, None
        if head is not None and head.refuses and head.received_at is None:
            # A refusal may name the time to wait as a date.
            source.head = replace(head, received_at=time.time())
        self.head = source.head or self.head
        prepare_machine(self.machine, source)
        log("stream opened, status %s", None if head is None else head.status, of=self)

    def prepare_read(self) -> bool:
        """Get ready to read another item, maybe of a new source; return False if `conclude` is next."""
        intake = self.machine.intake
        # While a frame is missing, the deadline of that gap may be the earliest.
        is_on_time = intake.now < self.earliest_deadline and not intake.arrivals.holds_frames
        if intake.state == "reading" and is_on_time:
            # The usual case: the answer goes on, and no deadline can have passed.
            return True
        if self.diverted and not self.has_ended:
            raise MisuseError(
                "the answers of this connection are read one by one: read what `stream.responses` gives, "
                "or the stream itself from the start"
            )
        if intake.state in CLOSED or (intake.error is not None and not self._reads_after_error()):
            return False
        if intake.error is not None:
            return True
        if intake.end_sign in ANSWERED:
            # Events are held back at this point only if recovery has to judge the answer.
            # After a mere sentinel, the end of the input decides.
            is_held = self.machine.way.changes_events and intake.end_sign == "terminal"
            is_judged_now = is_held or intake.link.connection.format.parts.withheld is not None
            if is_judged_now and self._change_source(None, intake.now):
                return True
            intake.rest()
            # The rest of the connection, after the terminal event, is read within narrow limits.
            return self.limits_after_end().allow(self.machine, self.clock())
        return self._apply_deadlines_between_reads()

    @property
    def will_ring(self) -> bool:
        """True if nothing is left to deliver, and the next arrival sets the bell passed to `poll`."""
        # While there is a fast path, a chunk has one event, so that none of its events is left.
        intake = self.machine.intake
        is_steady = intake.shortcut is not None and intake.state == "reading"
        return is_steady and self.pump.will_ring

    @property
    def rests(self) -> bool:
        """True while only the rest of the connection, and events held back, are left to come."""
        return not self.has_ended and self.machine.intake.state not in OPEN

    @property
    def is_after_end(self) -> bool:
        """True once the terminal event, or an error, has come: the rest of the connection is all that may."""
        return self.machine.intake.end_sign in ANSWERED or self.machine.intake.error is not None

    def reads_on(self) -> bool:
        """Apply the deadlines, and return True if the next read is usual, though the end may be near."""
        state = self.machine.intake.state
        if self.is_after_end or state in CLOSED or state == "sliced" or self.diverted:
            return False
        return self._apply_deadlines_between_reads()

    def _reads_after_error(self) -> bool:
        """Return True if what has arrived after the provider's error is read before the error is raised."""
        # An error that says nothing may be followed by one that does.
        machine, error = self.machine, self.machine.link.connection.format.error
        may_read_on = machine.link.reads_after_error or is_vague(machine.intake.error)
        if not (may_read_on and isinstance(error, ProviderError) and self.verdict.end_request is None):
            return False
        return self.limits_after_end().allow(machine, self.clock())

    def pass_slice(self) -> None:
        """Apply the deadlines between two slices of a chunk; only `total` passes: decoding is no silence."""
        now, intake = self.clock(), self.machine.intake
        self.silence.exclude_busy_time(now - intake.now)
        intake.pass_time(now)
        self._apply_deadlines_between_reads()

    def _apply_deadlines_between_reads(self) -> bool:
        """Apply the deadlines, and set `earliest_deadline`; return False if the answer has ended thereby."""
        silence, intake = self.silence, self.machine.intake
        # No read is in progress.
        silence.since = None
        is_alone = self.machine.way.guarding is None and intake.arrivals.reorder is None
        spending = None if is_alone or self._spending is None or not self._spending.waits else self._spending
        if spending is not None and (booking := spending.take_more()) is not None:
            self.book(booking)
        if self.machine.meter.framed_chunks == silence.chunks_before and is_alone:
            # Nothing has arrived on this connection, so no deadline can have passed between two reads.
            return True
        earliest = silence.find_safe_time() if is_alone else -math.inf
        if intake.now >= earliest:
            deadline = silence.deadline
            is_due = not is_alone or (deadline is not None and intake.now >= deadline)
            is_reading = intake.state != "sliced"
            if is_due and not (is_reading and self._gives_turn(intake.now, has_waited=False)):
                self._check_deadlines(intake.now)
                deadline = silence.deadline
            # With reordering, any chunk may open a gap, whose deadline may be the earliest.
            knows_gaps = intake.arrivals.reorder is None or self.prepares_each_read
            earliest = silence.find_earliest(deadline) if knows_gaps and spending is None else -math.inf
            if self.machine.way.guarding is not None:
                earliest = min(earliest, self.machine.way.guarded_until)
        self.earliest_deadline = earliest
        return intake.state not in CLOSED and intake.error is None

    def find_read_limit(self, since: float | None, until: float | None = None) -> float | None:
        """Return the time at which a read stops waiting, whose silence counts from `since` or from now."""
        if self.is_after_end:
            # After the terminal event, or an error, the rest of the connection is read only for a short time.
            deadline: float | None = self.limits_after_end().until
        elif self.silence.turn is not None and self.silence.is_turn:
            self.silence.since, deadline = self.silence.turn.since, self.silence.turn.until
        else:
            self.silence.since = self.clock() if since is None else since
            deadline = self.deadline
        if until is None or (deadline is not None and deadline < until):
            return deadline
        return until

    @property
    def deadline(self) -> float | None:
        """The time of the next deadline: of a silence, of a missing frame or of a guard; None without one."""
        until, machine = self.silence.deadline, self.machine
        reorder, guarding = machine.intake.arrivals.reorder, machine.way.guarding
        gap = None if reorder is None else reorder.deadline
        for other in (gap, None if guarding is None else guarding.deadline):
            if other is not None and other < (math.inf if until is None else until):
                until = other
        return until

    def process_item(self, item: Any, now: float) -> Event | None:  # noqa: ANN401 - an item of the pump
        """Process a chunk or an item of `_reading.items`; return an event if there is one at once."""
        if self.has_ended:
            # The stream was stopped while it was being read.
            return None
        intake = self.machine.intake
        if item.__class__ is intake.link.unit:
            # A usual chunk: bytes, or str for text.
            return intake.give(item, now)
        if item.__class__ is BusyTime:
            self.silence.exclude_busy_time(item.seconds)
        elif item is WAITED:
            self._process_wait(now)
        elif item is not NOTHING:  # which says only that the caller's time limit was reached
            try:
                self._process_rare_item(item, now)
            except MisuseError:
                self.cut_short("stopped", "misuse")
                raise
        return None

    def _process_rare_item(self, item: Any, now: float) -> None:  # noqa: ANN401 - an item of the pump
        """Process a rare item that arrived at `now`: an end, an opened or failed source, or an odd chunk."""
        if item is END:
            self._end_input(None, now)
        elif item is LOST:  # a cancelled or interrupted read has made the source unusable
            self._end_input(interrupted_read_error(), now)
        elif item.__class__ is SourceOpened:
            self.open(item.source)
            if item.late:
                # The head arrived after its deadline, and the socket was shut down.
                self._process_wait(now)
        elif item.__class__ is SourceFailed:
            self.fail(item.take_error())
        else:
            self.machine.intake.push(item, now)

    def _process_wait(self, now: float) -> None:
        """Process a wait without arrivals: end the input after the terminal event, or check the deadlines."""
        if self.is_after_end:
            self._end_input(None, now)
        elif not self._gives_turn(now, has_waited=True):
            self._check_deadlines(now)

    def _gives_turn(self, now: float, *, has_waited: bool) -> bool:
        """Let the source deliver what it has, if a deadline has passed; False if the deadline counts now."""
        silence = self.silence
        silence.tick(now)
        if silence.error is None and not silence.is_over:
            return False
        # Each color has a pump of its own, which only its class names.
        has_arrived = self.pump.find_turn(has_waited=has_waited)
        return has_arrived is not None and silence.give_turn(now, has_arrived=has_arrived)

    def _check_deadlines(self, now: float) -> None:
        """End the stream if it was silent for too long; otherwise release events that are due."""
        self.silence.tick(now)
        error = self.silence.error
        if error is None and self.machine.way.guarding is not None:
            self.machine.way.guarding.tick(now)
        if error is not None:
            self._end_input(error, now)
        elif self.silence.is_over:
            # Nothing has followed the finish reason, so the answer ends as it is.
            self._end_input(None, now)
        else:
            self.machine.intake.give_late(now)

    def _end_input(self, cause: StreamError | None, now: float) -> None:
        """Process the end of the input: end the stream, unless recovery replaces the source."""
        guarding = self.machine.way.guarding
        if guarding is not None and self.machine.way.waits and cause is not None:
            # The events that wait for a guard's answer are never delivered.
            guarding.fail(cause)
        elif self.machine.intake.state not in CLOSED and not self._change_source(cause, now):
            self.machine.intake.finish(cause, now)

    def take_up(self, kept: Checkpoint) -> bool:
        """Go on with an answer of another process, or ask for it again; return False without a `retry=`."""
        if self.recovery is None:
            return False
        self.pump.replace(self.recovery.take_up(kept, again=True))
        return True

    def _change_source(self, cause: StreamError | None, now: float) -> bool:
        """Go on with the source of the next attempt; return False if no further attempt is made."""
        recovery = self.recovery
        is_stopped = self.verdict.end_request is not None
        if recovery is None or is_stopped:
            return False
        try:
            source = recovery.make_next_source(cause, now)
        except BaseException as error:
            self._end_for(error)
            raise
        if source is None:
            return False
        # The new source has limits and deadlines of its own.
        self._rest_limits = None
        self.earliest_deadline = -math.inf
        self.silence.begin_connection(now + source.wait)
        self.replace_source(source)
        return True

    def _end_for(self, raised: BaseException) -> None:
        """End the stream, because an exception of the application's goes out, such as one of `on_retry`."""
        try:
            self.cut_short("stopped", "an exception of the application's")
        finally:
            self.release_source()
        # A raised exception holds the frames that read; a later reader gets its equal.
        self.error = FunctionFailed(frameless(raised))

    def take_cancelling(self) -> LazySource | None:
        """Return a source that, when it is opened, cancels an answer that runs in the background.

        The result is None unless `stop` or a guard has stopped this stream, and for a second call.
        """
        recovery = self.recovery
        if recovery is None or self.is_cancelled or not self.has_ended or self.verdict.stop_reason is None:
            return None
        self.is_cancelled = True
        return recovery.make_cancelling()

    @property
    def _spending(self) -> Any:  # noqa: ANN401 - a `Spending`, whose module comes after this one
        """Adds up the costs of the answer; None if they are not limited."""
        return None if self.recovery is None else self.recovery.spending

    def book(self, booking: Any) -> None:  # noqa: ANN401 - a `Booking`
        """Reserve more in a purse before the next read."""
        raise NotImplementedError

    def note_booked(self, reply: Any) -> None:  # noqa: ANN401 - a `Reply`
        """Stop the answer if a purse had no room for more of it."""
        if self.machine.way.guarding is not None:
            self.machine.way.guarding.call(lambda: self._spending.note_booked(reply))

    def fail_booking(self, error: StreamError) -> NoReturn:
        """End the stream with the error of a purse that cannot be used."""
        self.machine.progress.store_on(error, "stopped")
        self._end_for(error)
        raise error

    def take_booking(self) -> Any:  # noqa: ANN401 - a `Booking`, whose module comes after this one
        """Return what books the cost of the answer in its purse; None before its end, and without one."""
        return self._spending.take_booking() if self.has_ended and self._spending is not None else None

    def release_source(self) -> None:
        """Close the source without waiting, or ask the reading task to close it."""
        raise NotImplementedError

    def replace_source(self, source: LazySource) -> None:
        """Close the current source, and read from another one."""
        raise NotImplementedError

    def limits_after_end(self) -> RestLimits:
        """Return the limits for reading after the terminal event; the first call sets the limits.

        So does the first one after an error that says something about itself.
        """
        limits = self._rest_limits
        if limits is None or (limits.waits_for_error and not is_vague(self.machine.intake.error)):
            limits = self._rest_limits = RestLimits.begin(self.machine, self.clock(), self.silence)
        return limits

    # -- ending ------------------------------------------------------------

    def fail(self, error: Exception) -> None:
        """End the input because the source raised an exception."""
        from tokenstream._sources.causes import find_foreign
        from tokenstream._sources.failures import reading_error

        foreign = find_foreign(error)
        begun = self.machine.meter.first_event_at is not None
        mask = mask_of(self.machine.asked.request)
        converted: BaseException = (
            reading_error(error, self._read_deadlines, mask, begun=begun)
            if foreign is None
            else FunctionFailed(foreign)
        )
        if not isinstance(converted, StreamError):
            if isinstance(converted, FunctionFailed):
                converted = converted.raised
                self._end_for(converted)
            try:
                raise converted
            finally:
                # The traceback of what is raised has this frame, which would keep it.
                del error, foreign, converted
        self._end_input(converted, self.clock())

    def conclude(self, ending: Ending | None = None) -> bool:
        """End the stream, by default as the machine decides, once all its events are delivered.

        If the result is True, events may be left, or another source goes on: the caller reads these first.
        """
        machine = self.machine
        intake = machine.intake
        if intake.state not in CLOSED:
            # Recovery may replace the source after an error. The end may release what was held back.
            if intake.error is None or not self._change_source(None, intake.now):
                intake.finish(None, self.clock())
            return True
        if not self.has_ended:
            if intake.events_left and intake.error is None and intake.state == "ended":
                return True
            self._end_with(self._decide_ending(ending))
            log("stream ended, %s", machine.accumulator.ending, of=self)
            if "not_streamed" in machine.departures:
                inform(
                    'the answer came whole and not as a stream: "stream": true may be missing in the request',
                    of=self,
                )
        return False

    @property
    def is_unopened(self) -> bool:
        """True if the source has not been opened yet."""
        raise NotImplementedError

    def conclude_unopened(self) -> AnswerFailure | MisuseError | None:
        """End an unread stream that was not opened or was refused, and return the error; otherwise None."""
        # After the end, a read has raised the error; after `stop` or `close`, the stream does not fail.
        if self.has_ended or self.verdict.end_request is not None or self.machine.meter.chunks > 0:
            return None
        head, intake = self.machine.link.head, self.machine.intake
        if head is not None and head.status >= LOWEST_ERROR_STATUS:
            # Without its body, which may never come: nothing waits at the end of a block.
            intake.finish(None, self.clock())
        # If the opening fails, the input ends before any chunk.
        if intake.state not in CLOSED:
            return None
        self.conclude()
        return self.error

    def cut_short(self, ending: Ending, reason: str | None) -> None:
        """End the stream without reading the rest; an answer that is complete keeps its own ending."""
        if not self.has_ended:
            # An error after which the driver has read on comes before the stop.
            decided_ending = None if is_vague(self.machine.intake.error) else self._decide_ending(ending)
            self.machine.way.stop(self.clock())
            self._end_with(decided_ending)
            log("stream ended, %s: %s", self.machine.accumulator.ending, reason, of=self)

    def interrupt(self, error: StreamError) -> None:
        """End the stream with an error of its reader's, unless it has ended; no other attempt follows."""
        if not self.has_ended:
            self.machine.way.stop(self.clock())
            # A loop that reads on before it is cancelled meets the error, and no end without one.
            self.machine.intake.fail(self.machine.intake.error or error)
            self.error = self.verdict.error_due = self.machine.intake.error
            self._end_with(self._decide_ending(None))

    def _end_with(self, ending: Ending | None) -> None:
        """End the stream; None lets the machine decide the ending."""
        recovery = self.recovery
        try:
            if recovery is not None:  # None for a stream that is never retried
                # Before an observer asks for it. The function that tells the cost may raise an exception.
                recovery.find_cost()
        finally:
            self.machine.conclude(ending)
            if self.verdict.stop_reason is not None:
                self.machine.progress.is_stopped = True
            if ending is None:
                self.error = self.machine.intake.error
            # The last step: after a Ctrl-C in the lines above, the next read repeats them.
            self.has_ended = True
            if recovery is not None:
                recovery.record_end(self.error, self.clock())

    def fall_back(self, error: AnswerFailure) -> None:
        """End the stream, unless it has ended, with the previous answer, from which the new one differs."""
        if self.has_ended:
            return
        self.error = error
        self.machine.accumulator.take_back()
        self.stop("the answer began again, and is another one")

    def break_off(self) -> Exception:
        """End a stream whose decoding was interrupted, as by Ctrl-C; return the exception for the loop."""
        self.machine.break_off(self.clock())
        self.conclude()
        return self.exhausted() if self.error is None else self.error

    def record_closing(self) -> None:
        """Record that the stream is closed early; set `error` if it was neither read nor stopped."""
        self.verdict.is_asked = True
        if self.has_ended:
            return
        self.verdict.closed = True
        is_unread = not self.is_reading and not self.machine.meter.chunks
        if self.verdict.end_request is None and is_unread:
            self.error = MisuseError(
                "the stream was closed before anything was read, so there is no answer: "
                f"read it inside `{self.block}`, or call .stop() if it is not wanted",
                kind="closed",
            )
        self.verdict.request_end("closed", closing=True)

    @property
    def is_reading(self) -> bool:
        """True while a read is in progress."""
        is_busy: bool = self.pump.busy
        return is_busy

    def stop(self, reason: str | None = None) -> None:
        """End the stream here, from any thread or task; the message keeps the content read so far."""
        raise NotImplementedError

    def note_unclosed(self, error: Exception, *, failed: bool = False) -> None:
        """Log an error that was raised while the source was closed, or report it if it is a `MisuseError`.

        A `MisuseError` becomes a note on the stream's error, or on the error that was being raised when
        the closing began. If there is neither, the `MisuseError` is raised.
        """
        if isinstance(error, MisuseError):
            main_error = self.error or error.__context__
            if main_error is not None:
                main_error.add_note(str(error))
            elif not failed:
                raise error
        log("closing the source failed: %s", type(error).__name__, of=self)

    def raise_pull_error(self, error: ValueError) -> NoReturn:
        """Raise the error for a second reader, if one has caused this error; raise others unchanged."""
        # The machine's events come from a generator, which Python lets only one thread or task run at a time.
        if "already executing" in str(error):
            raise concurrent_read_error() from None
        raise error

    def _decide_ending(self, ending: Ending | None) -> Ending | None:
        """Return the ending of the stream: "stopped" or "complete" if a stop was requested, else `ending`."""
        # `decide` returns True if `stop` or `close` was called before the end.
        ending = "stopped" if self.verdict.decide() else ending
        # A guard that is still undecided may stop even an answer that is over.
        is_over = ending == "stopped" and not self.machine.way.waits
        return self.machine.way.endings.stopped or "stopped" if is_over else ending

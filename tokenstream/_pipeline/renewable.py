"""A machine that can use several connections, which resume, continue or restart the answer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokenstream._connection.error_body import ErrorBody
from tokenstream._pipeline.align import Aligner
from tokenstream._pipeline.checkpoints import has_partial, with_final_ending
from tokenstream._pipeline.glance import give_no_event
from tokenstream._pipeline.guarded import GuardedMachine
from tokenstream.errors import PositionLost
from tokenstream.events import Finish, MessageStart, PartDone
from tokenstream.formats._resume.event_log import EventLog

if TYPE_CHECKING:
    from tokenstream._connection.connection import Connection
    from tokenstream._pipeline.hold import Hold
    from tokenstream._pipeline.seam import Seam
    from tokenstream.errors import StreamError
    from tokenstream.events import Event, Restarted
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.told import Told
    from tokenstream.limits import Limits
    from tokenstream.message import Checkpoint, Ending


class RenewableMachine(GuardedMachine):
    """A machine that holds back the first events of each connection, and can use another connection.

    Args:
        format: The format's name or a format object; None to detect it.
        content_type: The response's content type; None if it is not known.
        limits: Bounds on untrusted input; None for the defaults of `Limits`.
        pings: True to return heartbeats as `Ping` events.
        make_stage: Creates the stage that a format's events pass through; None for no stage.
    """

    __slots__ = (
        "_aligner",
        "_checkpoint_at_break",
        "_checkpoint_before",
        "_cleaned",
        "_cut_off",
        "_first_id",
        "_id_before",
        "_refusal",
        "_retry_before",
        "continued",
        "seam",
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
        self._first_id = ""
        """The id of the first SSE event of the answer."""
        self._cut_off: tuple[Connection, int] | None = None
        """The last connection that left a frame unread, and the number of frames read until then; or None."""
        self._id_before: str | None = None
        """The id of the last event on the previous connection; None for an answer that begins anew."""
        self._checkpoint_before: Checkpoint | None = None
        """The checkpoint at which to resume; it stays valid if the server refuses to resume."""
        self._checkpoint_at_break: Checkpoint | None = None
        """The checkpoint at which the answer broke off, until a new answer has returned an event."""
        self._retry_before: int | None = None
        """The reconnection time that the server sent on the previous connection."""
        self._aligner: Aligner | None = None
        """Drops events that the reader already has; None if nothing is repeated."""
        self.seam: Seam | None = None
        """Joins a continuation to the answer; None for a connection with the answer itself."""
        self._cleaned: deque[Event] = deque()
        """Events of a continuation, without the markers of its request, that are returned next."""
        self.continued = False
        """True for an answer that was joined from several requests, and so has no position to resume at."""
        self._refusal: StreamError | None = None
        """The error of this attempt because its seam was too doubtful; otherwise None."""
        super().__init__(format, content_type=content_type, limits=limits, pings=pings, make_stage=make_stage)
        self.accumulator.may_restart = True

    def renew(
        self, hold: Hold, now: float, *, kept_format: Format | None = None, seam: Seam | None = None
    ) -> None:
        """Prepare for another connection, which resumes, continues or restarts the answer.

        Args:
            hold: Holds back the first events.
            now: A clock reading, in seconds.
            kept_format: The format that resumes the answer; None for a new format.
            seam: Joins a continuation to the answer; None if the connection resumes or restarts it.
        """
        self._retry_before = self.reconnect_after
        # Only a resumed answer needs the checkpoint, and the ids of its first and last SSE event so far.
        self._checkpoint_before = None if kept_format is None else self.checkpoint()
        self._renew_log(kept_format)
        self._first_id = "" if kept_format is None else self._first_id or self._connection.first_event_id
        self._id_before = None if kept_format is None else self._last_event_id
        # As long as a new answer has returned no events, the old checkpoint stays valid.
        self._checkpoint_at_break = (
            self.checkpoint() if kept_format is None and self.accumulator.messages else None
        )
        # From here on, the state is that of a machine without input, except for the answer so far.
        self.error = self._refusal = None
        self.input_ended = self.answered = self.resting = False
        self.continues = True
        self.chunk = self._glanced_event = self._id_at_fault = self.head = None
        self.shortcut = None
        self.begun_at = self.now = now
        self.meter.ended_at = None
        self.kept_format, self._last_checkpoint = kept_format, None
        self._held_format_name = ""
        self.ready = []
        if self.reorder is not None:
            if kept_format is None or self.reorder.position is None:
                self.reorder.begin_again()
            else:
                # The resumed answer goes on with the frame after the last one.
                self.reorder.expect(self.reorder.position + 1)
        if kept_format is None:
            # A new answer does not begin with what the old one has left.
            self._events_left = []
        if kept_format is not None and self._hold is not None:
            # The replay goes on after the events that were held back, so these stay held back.
            hold.adopt(self._hold)
        self.seam = seam
        self._cleaned.clear()
        if self.guards is not None and kept_format is None and seam is None:
            # The answer begins anew, so the guards that hold it back judge it from its start.
            self.guards.hold_again()
        self.hold_back(hold)
        # The content type becomes known with the head of the response.
        self.connect(None)
        if kept_format is not None and self._id_before is not None and self.log is None:
            kept_format.drop_repeated_events(self._id_before, self._first_id)

    def _renew_log(self, kept_format: Format | None) -> None:
        """Prepare the log for another connection, which repeats events or begins a new answer."""
        self.lost = None
        if self.log is None:
            return
        if kept_format is None:
            self.log = EventLog()
        elif kept_format.merges_replays:
            # The positions of such a format decide.
            self.log = None
        else:
            # A relay that names its answers numbers its own events, of which some are none in its protocol.
            is_named = self.head is not None and "x-answer-id" in self.head.headers
            self.log.begin_replay(skips_ids=is_named)

    def align(self, restarted: Restarted) -> None:
        """Begin to drop the events of the new answer that repeat the old one.

        Args:
            restarted: The event that gives up the old answer; it is not returned to the loop.
        """
        previous, messages = self._aligner, self.accumulator.messages
        if previous is not None and not previous.is_complete:
            # This answer, too, has not repeated all that the reader has.
            messages = [*previous.messages]
        self.accumulator.take(restarted)
        self._aligner = Aligner(messages, self.accumulator)
        self._pull_from(self._pull_aligned)

    def refuse_seam(self, error: StreamError) -> None:
        """Have the continuation discarded, because its joint with the answer is too doubtful.

        The joint is the place where the continuation's new text begins; see `Joint`. This is called while
        `_fill` releases the held-back events; `_fill` then drops them, and ends the attempt.

        Args:
            error: The error of the attempt.
        """
        self._refusal = error

    @property
    def refusal(self) -> StreamError | None:
        """The error of a continuation that was discarded for its doubtful joint; None for other attempts."""
        return self._refusal

    def find_text(self, told: Told) -> str:
        """Return the text that has arrived of a part of this attempt, which may continue the answer."""
        seam = self.seam
        if seam is None or self._hold is not None:
            return super().find_text(told)
        return seam.find_text(told, super().find_text(seam.locate(told)))

    def end_at_limit(self, now: float) -> None:
        """End the answer with finish reason "length" and no error: it is as long as the request allows."""
        self.error, self._hold = None, None
        if not self.input_ended:
            self._end_input(now)
        self.take = self._take_unheld
        self._pull_from(self._next)
        message = self.accumulator.message
        ended: list[Event] = [
            PartDone(None, part=index) for index, part in enumerate(message.parts) if not part.complete
        ]
        self._events_left = [*ended, Finish("length")]
        # A checkpoint made before these are returned has to contain them.
        self._current_events = [*self._events_left], self._returned_count

    @property
    def differs(self) -> bool:
        """True if the new answer cannot be joined to the old answer, so that another attempt is pointless."""
        return self._aligner is not None and self._aligner.error is not None

    def _pull_aligned(self) -> Event | None:
        """Return the next event that is new to the reader, while a restarted answer repeats the first one.

        The result is None when more input is needed, or if the answer differs from the first one.
        """
        aligner = self._aligner
        if aligner is None or aligner.is_complete:
            # All that the reader has was repeated: from now on, events are new.
            self._aligner = None
            self._pull_from(self._pull_held)
            self.holding = self._hold is not None
            return self._pull_held()
        while aligner.error is None and (event := self._pull_held()) is not None:
            new_event = aligner.drop_repeated(event)
            if new_event is not None:
                return new_event
        ended_cleanly = self.input_ended and self.error is None and self.stopped_event is None
        if ended_cleanly and aligner.error is None and not aligner.is_complete:
            # The new answer is shorter than what the reader has.
            aligner.fail()
        if self.error is None and aligner.error is not None:
            # The answers differ, so the message is the first one again.
            self.error, self.continues = aligner.error, False
            self.accumulator.take_back()
        return None

    def _pull_held(self) -> Event | None:
        """Return the next event, or None when more input is needed, while events are held back."""
        hold = self._hold
        if hold is None:
            # The hold is over. With an aligner, `_pull_aligned` goes on calling this method.
            if self._aligner is None:
                self._pull_from(self._next if self.seam is None else self._pull_after_seam)
            # After a seam, `_unguarded_pull` is `_pull_after_seam`, which also relocates the events.
            return self._unguarded_pull() if self.seam is not None else self._next()
        # `ready` has the events that are returned next; `released` is True once no more are held back.
        if not hold.ready and not hold.released:
            earlier_aligner = self._aligner
            event, is_held = self._fill(hold)
            if is_held:
                return event
            if self._aligns_anew(earlier_aligner):
                # Releasing the hold has started to align the answers.
                return self._pull_aligned()
        if not hold.ready:
            # All held-back events were returned, so the hold is over.
            # No chunk is read on the fast path while events are repeated or relocated.
            moves = self.seam is not None and self.seam.moves
            self._hold, self.holding = None, self._aligner is not None or moves
            return self._pull_held()
        # None if the answer leaves the event out; the next event is then returned.
        relocated = self._add_relocated(hold.ready.popleft())
        return self._pull_held() if relocated is None else relocated

    def _aligns_anew(self, earlier_aligner: Aligner | None) -> bool:
        """Return True if the answer was restarted meanwhile: its aligner is no longer `earlier_aligner`."""
        return self._aligner is not earlier_aligner

    def _begins_another_answer(self, event: Event) -> bool:
        """Return True if an event begins another answer than the one to be resumed."""
        is_resumed = self.kept_format is not None and self._checkpoint_before is not None
        id_expected = self.accumulator.message.id if is_resumed else None
        if id_expected is None or not isinstance(event, MessageStart):
            return False
        return event.id not in (None, id_expected)

    def _check_same_answer(self, event: Event) -> bool:
        """Return True if an event belongs to this answer; otherwise set `error`.

        The server was asked to resume an answer, and may have begun another one.
        """
        if self._begins_another_answer(event):
            self.error, self.continues = _other_answer_error(), False
            return False
        return True

    def _fill(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back the events that the available input contains; release them once the hold is complete.

        Returns:
            While events are held back, or if the continuation was refused: the event for `pull` to return
            now (a heartbeat) or None; and True. Once the held-back events were released: None and False.
        """
        event, is_held = self._hold_available(hold)
        if is_held:
            return event, True
        hold.release(failed=event is None and self.error is not None)
        if self._refusal is not None:
            self.error, self.continues = self._refusal, False
            # Even after its end, this attempt may be replaced by another one.
            self.input_ended = False
            self._pull_from(give_no_event)
            hold.ready.clear()
            return None, True
        # The message gets the format's name together with its first event; a continuation leaves it.
        if self._held_format_name and hold.ready and self.seam is None:
            self.accumulator.format = self._held_format_name
        if hold.ready:
            # Events of the new answer are returned now, so the old checkpoint is no longer valid.
            self._checkpoint_at_break = None
            self.continued = self.seam is not None
        if self.seam is None:
            self.take = self._take_unheld
        else:
            # `take` still adds nothing: `pull` adds each event to the message when it has been relocated.
            hold.ready = deque(self.seam.drop_overlap(hold.ready))
        return None, False

    def _pull_after_seam(self) -> Event | None:
        """Return the next event after a seam, or None when more input is needed.

        The events of the continuation are converted to events of the answer.
        """
        glanced, seam, cleaned = self._glanced_event, self.seam, self._cleaned
        while True:
            if not cleaned:
                event = self._next()
                if event is None:
                    break
                if event is glanced:
                    # An event that was read on the fast path was already taken.
                    return event
                cleaned.extend([event] if seam is None else seam.clean(event))
            elif (relocated := self._add_relocated(cleaned.popleft())) is not None:
                return relocated
        if seam is not None and (self.input_ended or self.error is not None):
            # Text that was held back is not continued.
            cleaned.extend(seam.flush())
        return self._add_relocated(cleaned.popleft()) if cleaned else None

    def _add_relocated(self, event: Event) -> Event | None:
        """Add an event of this attempt to the message, and return it.

        After a seam, the part index and other references are changed to those in the whole answer. Without
        a seam, the event stays as it is. The result is None if the answer leaves the event out, for example
        because it repeats the head of the message.
        """
        relocated: Event | None = event if self.seam is None else self.seam.relocate(event)
        if relocated is not None:
            self._add_to_message(relocated)
        return relocated

    def cut_short(self, cause: StreamError | None) -> StreamError | None:
        """End only the framing, not the format, so that the answer can be resumed; return the error, if any.

        Args:
            cause: The error that broke off the input; None if the input ended cleanly.

        Returns:
            The error; None if the answer is complete, or if only the end of the format can decide that.
        """
        connection = self._connection
        if self._coding is not None and cause is None:
            self._coding.end(now=self.now)
            cause = self._coding.error
        # An event without its blank line may lack lines: the server sends it again after the last id.
        resumes_by_id = (
            self.log is not None and connection.format.position is None and bool(self._last_event_id)
        )
        events, error = connection.cut_short(cause, leaves_unfinished=resumes_by_id)
        if connection.left_frame is not None:
            self._cut_off = (connection, connection.format.frames)
        # `pull` returns these next; a checkpoint made until then has to contain them.
        self._events_left += events
        self._current_events = [*self._events_left], self._returned_count
        return error

    def read_left_frame(self) -> bool:
        """Read the last frame of the connection that broke off, if no later connection has brought it.

        Returns:
            True if the answer is finished with that frame.
        """
        cut_off, self._cut_off = self._cut_off, None
        if cut_off is None or cut_off[0].format.frames != cut_off[1]:
            return False
        connection = cut_off[0]
        events = connection.read_left_frame()
        self._events_left += events
        self._current_events = [*self._events_left], self._returned_count
        if not events or not connection.finished:
            return False
        # What the later connection has brought instead does not matter any more.
        self._connection, self.error, self.lost = connection, None, None
        return True

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the answer so far.

        If the attempt to go on was refused, or has brought no event yet, the result is the checkpoint from
        before that attempt.
        """
        # These two checkpoints: the server refused to resume, or the new answer has no event yet.
        if self._checkpoint_before is not None and self.refused:
            return with_final_ending(self._checkpoint_before, self.accumulator)
        if self._checkpoint_at_break is not None:
            return with_final_ending(self._checkpoint_at_break, self.accumulator)
        checkpoint = super().checkpoint()
        # No server knows the position in an answer that was joined from several requests.
        if not self.continued:
            return checkpoint
        return checkpoint.model_copy(update={"position": None, "state": None})

    @property
    def refused(self) -> bool:
        """True if the response is an error instead of an answer."""
        return isinstance(self._connection.format, ErrorBody)

    @property
    def status(self) -> int | None:
        """The status of the response; None before a response has arrived."""
        return None if self.head is None else self.head.status

    @property
    def events_left(self) -> tuple[Event, ...]:
        """The events that the end of the input has produced, and that have not been returned yet."""
        return tuple(self._events_left)

    @property
    def reconnect_after(self) -> int | None:
        """The reconnection time that the server sent last, on this or an earlier connection; None for none.

        It is in milliseconds.
        """
        retry = self._connection.retry
        return self._retry_before if retry is None else retry

    @property
    def _last_event_id(self) -> str | None:
        """The id of the last SSE event on this connection, or else on the one before it."""
        return super()._last_event_id or self._id_before

    @property
    def dropped(self) -> int:
        """Number of repeated frames that were dropped on this connection."""
        return self.answer_format.dropped

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event; None if the server sent none."""
        return self._last_event_id

    @property
    def answer_format(self) -> Format:
        """The format that reads the answer; an earlier connection's if this one's response is an error."""
        return self.kept_format if self.kept_format is not None and self.refused else self._connection.format

    def store_attempt_partial(self, error: StreamError, ending: Ending) -> None:
        """Store the partial answer of the failed attempt on its error, unless the error has one already.

        Args:
            error: The error.
            ending: The ending that the answer would have had with this error.
        """
        if has_partial(error):
            return
        self._store_partial(error)
        changes = {"ending": ending, "usage": self.accumulator.counted}
        error.partial = error.partial.model_copy(update=changes)
        messages = [message.model_copy(update={"ending": ending}) for message in error.checkpoint.messages]
        error.checkpoint = error.checkpoint.model_copy(update={"messages": tuple(messages)})


def _other_answer_error() -> PositionLost:
    return PositionLost(
        "the server began another answer instead of resuming this one; fetch the finished answer by its id, "
        "or ask anew"
    )

"""The state that an answer keeps from one connection to the next, which resumes, continues or restarts it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from tokenstream._pipeline.checkpoints import with_final_ending, with_pause
from tokenstream.errors import PositionLost
from tokenstream.events import MessageStart

if TYPE_CHECKING:
    from tokenstream._connection.connection import Connection
    from tokenstream._pipeline.joining import Hold
    from tokenstream._pipeline.machine import Machine
    from tokenstream._pipeline.seam import SeamJoiner
    from tokenstream.errors import StreamError
    from tokenstream.events import Event, Finish
    from tokenstream.formats._base import Format
    from tokenstream.message import Checkpoint, Message


class ReadOn(NamedTuple):
    """Another connection goes on with the same answer, which the server still has."""

    format: Format
    """The format that has read the answer so far, and reads on."""


class Continue(NamedTuple):
    """Another connection brings a second answer, whose text goes on where the first one broke off."""

    seam: SeamJoiner
    """Joins the second answer to the first."""


class Restart(NamedTuple):
    """Another connection brings a new answer, from its beginning."""


class GoOn(NamedTuple):
    """Another connection brings the rest of an answer that was paused."""

    finish: Finish
    """The end of the answer so far, which was not reported."""
    message: Message


Renewal: TypeAlias = ReadOn | Continue | Restart | GoOn
"""The purpose of another connection: to resume, continue or restart the answer, or to go on after a pause."""


class _UnreadFrame(NamedTuple):
    """The last frame of a connection that broke off; a later connection may bring it again."""

    connection: Connection
    """The connection that broke off; its `read_left_frame` reads the frame."""
    frames_before: int
    """Number of frames that the format had read before this frame."""


class Resumption:
    """Lets a machine use further connections, and keeps what the next one needs of those before."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.joining = machine.way.make_joining(self)
        """Holds back the first events of each attempt, and joins a continuation."""
        machine.accumulator.may_restart = True
        self._unread: _UnreadFrame | None = None
        """The last frame of a connection that broke off, which was not read; None if there is none."""
        self.id_before: str | None = None
        """The id of the last event on the previous connection; None for an answer that begins again."""
        self._resume_checkpoint: Checkpoint | None = None
        """While the answer is resumed: the checkpoint at which it broke off. If the server refuses to resume,
        this is still the checkpoint of the answer. None for a new answer."""
        self._old_checkpoint: Checkpoint | None = None
        """While a new answer has returned no events: the checkpoint of the answer that it replaces or
        continues. None otherwise."""
        self._retry_before: int | None = None
        """The reconnection time that the server sent on the previous connection."""
        self.paused: Message | None = None
        """The answer before its last pause, if this connection brings the rest of it; otherwise None."""
        self.continued = False
        """True for an answer that was joined from several requests, and so has no position to resume at."""

    def renew(self, hold: Hold, now: float, renewal: Renewal) -> None:
        """Prepare for another connection.

        | `renewal`            | format    | message     | guards that hold back           |
        |----------------------|-----------|-------------|---------------------------------|
        | `ReadOn`             | reads on  | goes on     | judge on, from where they are   |
        | `Continue`           | a new one | goes on     | judge what is joined            |
        | `GoOn`               | a new one | goes on     | judge on, from where they are   |
        | `Restart`            | a new one | a new one   | judge the new answer            |
        """
        machine, joining = self.machine, self.joining
        kept_format = renewal.format if isinstance(renewal, ReadOn) else None
        # Of an answer that begins again after an error, nothing was read.
        is_unused = kept_format is None and machine.link.is_unused
        if not is_unused:
            self._keep_from_last_connection(kept_format)
            # A relay that sends the answer's id numbers its own events, some of which its protocol does not
            # show.
            head = machine.link.head
            is_named = head is not None and "x-answer-id" in head.headers
            machine.intake.arrivals.begin_again(kept_format, skips_ids=is_named)
        if isinstance(renewal, GoOn) and self._old_checkpoint is not None:
            # Until the next connection has brought something, the answer is a paused one.
            self._old_checkpoint = with_pause(self._old_checkpoint, renewal.finish)
        self.paused = renewal.message if isinstance(renewal, GoOn) else None
        if kept_format is not None and joining.hold is not None:
            # The replay goes on after the events that were held back, so these stay held back.
            hold.adopt(joining.hold)
        machine.link.begin_again(kept_format)
        machine.intake.begin_again(now)
        machine.progress.begin_again()
        if kept_format is not None:
            # A new answer does not begin with what the old one has left.
            hold.take_events_left(machine.intake.events_left)
        if not is_unused:
            # `joining.begin` settles the way afterwards.
            machine.intake.drop_unread()
        is_from_start, guarding = isinstance(renewal, Restart), machine.way.guarding
        if guarding is not None and kept_format is None:
            # Another answer arrives next, also if it continues the text of this one.
            guarding.guards.count_again()
        if guarding is not None and is_from_start:
            # The guards that hold the answer back judge it from its start.
            guarding.guards.hold_again()
        # Guards judge events that are held back only if those are the whole answer so far. A resumed answer
        # whose events are still held back keeps the value that it has.
        begins_anew = kept_format is None or joining.hold is None
        joining.begin(
            hold,
            renewal.seam if isinstance(renewal, Continue) else None,
            shows_held=is_from_start if begins_anew else joining.shows_held,
        )
        if not is_unused:
            machine.link.connect()

    def _keep_from_last_connection(self, kept_format: Format | None) -> None:
        """Store what the next connection needs to know about those before."""
        machine = self.machine
        self._retry_before = self.reconnect_after
        # The order matters: `progress.checkpoint` and `progress.last_event_id` read these attributes, too.
        if kept_format is None:
            # A new answer comes next. The checkpoint of this one stays valid until the new answer has
            # returned events.
            self._resume_checkpoint, self.id_before = None, None
            has_answer = bool(machine.accumulator.messages)
            self._old_checkpoint = machine.progress.checkpoint() if has_answer else None
        else:
            # The same answer goes on.
            self._resume_checkpoint = machine.progress.checkpoint()
            self.id_before = machine.progress.last_event_id
            self._old_checkpoint = None

    def note_release(self, *, continued: bool) -> None:
        """Note that events of this attempt are returned now, perhaps as `continued` from another request."""
        # The old checkpoint is no longer valid.
        self._old_checkpoint = None
        self.continued = continued

    def refuse_other_answer(self, event: Event) -> bool:
        """Return True, and set the error, if an event begins another answer than the resumed one."""
        machine = self.machine
        is_resumed = machine.link.kept_format is not None and self._resume_checkpoint is not None
        expected = machine.accumulator.message.id if is_resumed else None
        if expected is None or not isinstance(event, MessageStart) or event.id in (None, expected):
            return False
        if event.another:
            # The next answer of a run that goes on.
            return False
        machine.intake.fail(
            PositionLost(
                "the server began another answer instead of resuming this one; fetch the finished answer by "
                "its id, or ask anew"
            )
        )
        return True

    # -- the end of a connection -------------------------------------------

    def cut_short(self, cause: StreamError | None) -> StreamError | None:
        """End the framing of a broken connection, not the format; return the error, if one is certain."""
        machine = self.machine
        connection = machine.link.connection
        cause = machine.intake.end_coding(cause, machine.intake.now)
        # An event without its blank line may lack lines: the server sends it again after the last id.
        resumes_by_id = (
            machine.intake.arrivals.log is not None
            and connection.format.position is None
            and bool(machine.progress.last_event_id)
        )
        events, error = connection.cut_short(cause, leaves_unfinished=resumes_by_id)
        if connection.left_frame is not None:
            self._unread = _UnreadFrame(connection, connection.format.frames)
        machine.intake.leave(events)
        return error

    def read_left_frame(self) -> bool:
        """Read the frame that `cut_short` left, unless it came again; return True if it ended the answer."""
        machine = self.machine
        unread, self._unread = self._unread, None
        if unread is None:
            return False
        connection = unread.connection
        was_brought_again = connection.format.frames != unread.frames_before
        if was_brought_again:
            return False
        events = connection.read_left_frame()
        machine.intake.leave(events)
        if not events or connection.endings.clean != "complete":
            return False
        # What the later connection has brought instead does not matter any more.
        machine.link.return_to(connection)
        machine.intake.forget_error()
        return True

    def find_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint from before this attempt, if the attempt was refused or has no event yet."""
        checkpoint = self._resume_checkpoint if self.machine.link.refusal is not None else None
        checkpoint = checkpoint or self._old_checkpoint
        return None if checkpoint is None else with_final_ending(checkpoint, self.machine.accumulator)

    @property
    def reconnect_after(self) -> int | None:
        """The reconnection time that the server sent last, on any connection, in milliseconds, or None."""
        retry = self.machine.link.connection.framing.retry
        return self._retry_before if retry is None else retry

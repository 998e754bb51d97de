"""A machine whose connection may be followed by another one, which goes on or begins the answer again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream._align import Aligner
from tokenstream._checkpoints import judged
from tokenstream._machine import Machine
from tokenstream.errors import PositionLost
from tokenstream.events import MessageStart
from tokenstream.status import ErrorBody

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream._hold import Hold
    from tokenstream.errors import StreamError
    from tokenstream.events import Event, Restarted
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Checkpoint, Ending, Usage

__all__ = ["RenewableMachine"]


class RenewableMachine(Machine):
    """Holds back the first events of each connection, and can be made ready for another one.

    Args:
        format: The format's name or a format object; None to find it out.
        content_type: The response's content type, where one is known.
        limits: Bounds on untrusted input.
        pings: Whether signs of life become `Ping` events.
    """

    __slots__ = ("_aligner", "_before", "_first_id", "_hold", "_id_before", "_named", "_retry_before")

    def __init__(
        self,
        format: str | Format | None,
        *,
        content_type: str | None,
        limits: Limits | None,
        pings: bool,
    ) -> None:
        self._hold: Hold | None = None
        """The events that are held back, and until when; None where none are."""
        self._named = ""
        """The name of the format that they are in, which the message does not have yet."""
        self._first_id = ""
        """The id of the first event of the answer."""
        self._id_before: str | None = None
        """The id of the last event of the connection before; a new one begins with none."""
        self._before: Checkpoint | None = None
        """Where the answer stood when it broke off that goes on; a refusal to go on changes nothing of it."""
        self._retry_before: int | None = None
        """The wait that the server told on it."""
        self._aligner: Aligner | None = None
        """Passes over events that were given before; None where all are given."""
        super().__init__(format, content_type=content_type, limits=limits, pings=pings)
        self.accumulator.may_restart = True

    def renew(self, hold: Hold, now: float, *, kept: Format | None = None) -> None:
        """Make ready for another connection, which goes on with the answer or begins it again.

        Args:
            hold: Holds back the events that come first.
            now: A clock reading, in seconds.
            kept: The format that goes on; None for a new one.
        """
        self._retry_before = self.reconnect_after
        self._before = None if kept is None else self.checkpoint()
        self._first_id = "" if kept is None else self._first_id or self._connection.first_event_id
        self._id_before = None if kept is None else self._last_event_id
        self.error = None
        self.over = self.answered = self.resting = False
        self.plain = True
        self.chunk = self._glanced = self._id_at_fault = self._head = None
        self.shortcut = None
        self.begun_at = self.now = now
        self.meter.ended_at = None
        self.kept, self._stands = kept, None
        self._named = ""
        self.ready = []
        if self.reorder is not None:
            if kept is None or self.reorder.position is None:
                self.reorder.begin_again()
            else:
                self.reorder.expect(self.reorder.position + 1)
        if kept is None:
            self._left = []
        if kept is not None and self._hold is not None:
            hold.adopt(self._hold)
        self.hold_back(hold)
        self.connect(None)
        if kept is not None and self._id_before is not None:
            kept.expect_events(self._id_before, self._first_id)

    def hold_back(self, hold: Hold) -> None:
        """Hold back what comes next; the message does not have it before it is given."""
        hold.ready.extend(self._left)
        self._left, self._giving = [], ([], self._given)
        self._hold, self.holding = hold, True
        self.take = hold.has_content
        self.pull = self._pull_held

    def align(self, restarted: Restarted) -> None:
        """Give no event of the answer that begins now which equals one of the answer before.

        Args:
            restarted: What is given up, of which the loop is not told.
        """
        before, given = self._aligner, self.accumulator.messages
        if before is not None and not before.over:
            given = [*before.messages]
        self.accumulator.take(restarted)
        self._aligner = Aligner(given, self.accumulator)
        self.pull = self._pull_aligned

    @property
    def differs(self) -> bool:
        """The answer that began again is another one, and no attempt can change that."""
        return self._aligner is not None and self._aligner.error is not None

    def _pull_aligned(self) -> Event | None:
        """Do what `pull` does while events come again."""
        aligner = self._aligner
        if aligner is None or aligner.over:
            self._aligner, self.pull = None, self._pull_held
            self.holding = self._hold is not None
            return self._pull_held()
        while aligner.error is None and (event := self._pull_held()) is not None:
            found = aligner.take(event)
            if found is not None:
                return found
        if self.over and self.error is None and aligner.error is None and not aligner.over:
            aligner.fail()
        if self.error is None and aligner.error is not None:
            self.error, self.plain = aligner.error, False
            self.accumulator.take_back()
        return None

    def _pull_held(self) -> Event | None:
        """Do what `pull` does while events are held back."""
        hold = self._hold
        if hold is None:
            if self._aligner is None:
                self.pull = self._next
            return self._next()
        if not hold.ready and not hold.released:
            before = self._aligner
            event, waits = self._fill(hold)
            if waits:
                return event
            if self._aligns_anew(before):
                # The release has begun to align.
                return self._pull_aligned()
        if not hold.ready:
            # While events come again, no chunk is read at a glance.
            self._hold, self.holding = None, self._aligner is not None
            return self._next()
        event = hold.ready.popleft()
        self.accumulator.take(event)
        if self.accumulator.error is not None:
            self.fail()
        return event

    def _aligns_anew(self, before: Aligner | None) -> bool:
        return self._aligner is not before

    def _is_another(self, event: Event) -> bool:
        """Tell whether an event begins another answer than the one that the connection is to go on with."""
        known = self.accumulator.message.id if self.kept is not None and self._before is not None else None
        return known is not None and isinstance(event, MessageStart) and event.id not in (None, known)

    def _fill(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back what comes, until it is released; return a sign of life or None, and whether to wait."""
        event = self._next()
        while event is not None:
            if hold.passes(event):
                return event, True
            if self._is_another(event):
                self.error, self.plain = _another_answer(), False
                return None, True
            if hold.keep(event) or self.resting:
                break
            event = self._next()
        if event is None and not self.over:
            return None, True
        hold.release(failed=event is None and self.error is not None)
        if self._named and hold.ready:
            self.accumulator.format = self._named
        self.take = self.accumulator.take
        return None, False

    def cut_short(self, cause: StreamError | None) -> StreamError | None:
        """Return the error of input that ends here, before the format is told, which could not go on then.

        Args:
            cause: Why the input broke off, or None when it ended cleanly.

        Returns:
            None where the answer is whole, or the format itself has to say.
        """
        connection = self._connection
        if self._coding is not None and cause is None:
            self._coding.end(now=self.now)
            cause = self._coding.error
        events, error = connection.cut_short(cause)
        self._left += events
        self._giving = [*self._left], self._given
        return error

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that the format has read and nobody was given yet."""
        held = () if self._hold is None else (*self._hold.ready, *self._hold.held)
        return [*held, *super()._waiting]

    def checkpoint(self) -> Checkpoint:
        if self._before is not None and self.refused:
            return judged(self._before, self.accumulator)
        return super().checkpoint()

    @property
    def refused(self) -> bool:
        """The response is an error, and no answer."""
        return isinstance(self._connection.format, ErrorBody)

    @property
    def status(self) -> int | None:
        """The status of the response; None where there is none."""
        return None if self._head is None else self._head.status

    @property
    def left(self) -> tuple[Event, ...]:
        """The events that are left at the end of the input."""
        return tuple(self._left)

    @property
    def reconnect_after(self) -> int | None:
        """The milliseconds to wait before a new connection, as the server says; None where it does not."""
        told = self._connection.retry
        return self._retry_before if told is None else told

    @property
    def _last_event_id(self) -> str | None:
        return super()._last_event_id or self._id_before

    @property
    def dropped(self) -> int:
        """How many frames came a second time on this connection and were dropped."""
        return self.reader.dropped

    @property
    def last_event_id(self) -> str | None:
        """The id of the last SSE event; None where the server gave none."""
        return self._last_event_id

    @property
    def reader(self) -> Format:
        """The format that reads the answer; a refusal to go on with it is none of its own."""
        return self.kept if self.kept is not None and self.refused else self._connection.format

    def describe(self, error: StreamError, ending: Ending) -> None:
        """Put on an error what had arrived, as its own attempt has left it.

        Args:
            error: The error.
            ending: How the answer would have ended with it.
        """
        if error.has_partial:
            return
        self._put_on(error)
        error.partial = error.partial.model_copy(update={"ending": ending})

    def _name_format(self, name: str) -> None:
        if self._hold is None:
            super()._name_format(name)
        else:
            self._named = name

    def _late_usage(self) -> Usage | None:
        return None if self._hold is not None else super()._late_usage()


def _another_answer() -> PositionLost:
    return PositionLost("the server begins another answer, where it was to go on with this one")

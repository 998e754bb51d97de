"""Holds back the first events of an attempt, and joins a continuation to the answer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokenstream.errors import AnswerRejected
from tokenstream.events import MessageStart
from tokenstream.formats._kit.told_text import added_by
from tokenstream.formats._state import CLOSED

if TYPE_CHECKING:
    from tokenstream._pipeline.hold import Hold
    from tokenstream._pipeline.machine import Machine
    from tokenstream._pipeline.seam import Splice
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._kit.told_text import ToldText


class Joining:
    """Holds back and joins the events of an attempt, which is one of the requests for an answer.

    Each event passes in this order:

    1. `hold` keeps the first events back until one of them shows that the attempt succeeds.
    2. `seam` changes the events of a continuation into events of the whole answer.
    3. The message takes the event; with guards, a `Finish` only after step 4.
    """

    __slots__ = ("_cleaned", "_format_name", "_machine", "hold", "refusal", "seam", "shows_held")

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.hold: Hold | None = None
        """The events that are held back; None if none are held back."""
        self.seam: Splice | None = None
        """Joins a continuation to the answer; None for a connection with the answer itself."""
        self._cleaned: deque[Event] = deque()
        """Events of a continuation, without the markers of its request, that are returned next."""
        self.refusal: StreamError | None = None
        """The error of this attempt because its seam was too doubtful; otherwise None."""
        self.shows_held = True
        """True if guards that can hold the answer back receive each event while it is held back, by
        `Guarding.show_held`; False if the reader gets these events changed, or only some of them. When an
        event is returned, `Guarding.show` passes it to the guards that have not received it yet."""
        self._format_name = ""
        """The format's name, which the message must not contain before the held-back events are returned."""

    @property
    def adds_later(self) -> bool:
        """True if `pull` adds events to the message, and not the machine as soon as it has read them.

        For a continuation this stays True, because its seam may change any of its events. Only `end`, or the
        beginning of the next attempt, ends a seam.
        """
        return self.hold is not None or not (self.seam is None or self.seam.is_over)

    @property
    def changes_events(self) -> bool:
        """True if events are held back, moved or dropped, so that no chunk may be read on the fast path.

        A seam alone does not prevent the fast path while its `moves` is False: it leaves deltas unchanged.
        """
        moves = self.seam is not None and not self.seam.is_over and self.seam.moves
        return self.hold is not None or moves

    @property
    def waiting(self) -> tuple[Event, ...]:
        """The events that are held back, or were held back and have not been returned yet."""
        return () if self.hold is None else (*self.hold.ready, *self.hold.held)

    def hold_back(self, hold: Hold) -> None:
        """Hold back the next events, which the message does not contain before they are returned."""
        self.hold = hold
        self._machine.settle()

    def begin(self, hold: Hold, seam: Splice | None, *, shows_held: bool) -> None:
        """Begin another attempt, with a seam if it is a continuation; guards may see events while held."""
        self.shows_held = shows_held
        self.seam, self.refusal, self._format_name = seam, None, ""
        self._cleaned.clear()
        self.hold_back(hold)

    def drop_held(self) -> None:
        """Drop the held-back events, which are never returned; the usage still includes their tokens."""
        hold, self.hold = self.hold, None
        if hold is not None:
            if usage := hold.usage:
                self._machine.accumulator.spend(usage)
            hold.drop()

    def end(self) -> None:
        """Let all further events pass unchanged: they end the answer, and come from no attempt."""
        self.hold = None
        if self.seam is not None:
            self.seam.end()

    def refuse(self, why: str) -> None:
        """Refuse the continuation, because it does not join the answer."""
        self.refusal = AnswerRejected(f"the continuation does not join the answer: {why}", outcome="seam")

    # -- the way of an event -----------------------------------------------

    def pull(self) -> Event | None:
        """Return the next event, which the message now contains.

        The result is None when more input is needed, at the end, or after a refusal. With guards, a `Finish`
        is added to the message only afterwards.
        """
        if self.refusal is not None:
            return None
        machine = self._machine
        while (hold := self.hold) is not None:
            # `ready` has the events that are returned next; `released` is True once no more are held back.
            if not hold.ready and not hold.released and not self._fill(hold):
                return None
            if not hold.ready:
                # All held-back events were returned, so the hold is over.
                self.hold = None
                machine.settle()
            elif (relocated := self._add(hold.ready.popleft())) is not None:
                return relocated
        return machine.read() if self.seam is None or self.seam.is_over else self._pull_after(self.seam)

    def _pull_after(self, seam: Splice) -> Event | None:
        """Return the next event of a continuation, without markers of the request; None to read more."""
        machine, cleaned = self._machine, self._cleaned
        glanced = machine.glanced_event
        while True:
            if not cleaned:
                event = machine.read()
                if event is None:
                    break
                if event is glanced:
                    # An event that was read on the fast path is in the message already.
                    return event
                cleaned.extend(seam.clean(event))
            elif (relocated := self._add(cleaned.popleft())) is not None:
                return relocated
        if machine.state in CLOSED or machine.error is not None:
            # No more input follows, so text that `clean` held back as a possible marker is not one.
            cleaned.extend(seam.flush())
        return self._add(cleaned.popleft()) if cleaned else None

    def _add(self, event: Event) -> Event | None:
        """Add an event of this attempt to the message, at the moment it is returned, and return it.

        After a seam, the part index and other references are changed to those in the whole answer. Without
        a seam, the event stays as it is. The result is None if the answer leaves the event out, for example
        because it repeats the head of the message.
        """
        machine = self._machine
        relocated: Event | None = event if self.seam is None else self.seam.relocate(event)
        if relocated is not None:
            if relocated.part != event.part and not machine.changes_events:
                # Up to here, all parts of the continuation had the indexes of the answer.
                machine.settle()
            (machine.accumulator if machine.guarding is None else machine.guarding).take(relocated)
            if machine.accumulator.error is not None:
                machine.fail(machine.accumulator.error)
        return relocated

    # -- what is held back -------------------------------------------------

    def _fill(self, hold: Hold) -> bool:
        """Hold back the available events; return True once they were released to `hold.ready`."""
        machine, event = self._machine, None
        is_complete = hold.is_met and not self._is_extended
        while not is_complete and (event := machine.read()) is not None:
            resumption = machine.resumption if isinstance(event, MessageStart) else None
            if resumption is not None and resumption.refuse_other_answer(event):
                return False
            if machine.guarding is not None and self.shows_held:
                machine.guarding.show_held(event)
            hold.keep(event)
            # `rests`: the server waits for the client to speak, so nothing follows to complete the hold.
            # Without a hold: a guard has stopped the answer.
            rests = machine.resting and machine.connection.format.resting
            is_complete = rests or self.hold is None or (hold.is_met and not self._is_extended)
        # Without an event, the input so far is used up, and more of it may complete the hold.
        if self.hold is None or not (is_complete or machine.state in CLOSED):
            return False
        if machine.guarding is not None and not machine.guarding.allow_release():
            return False
        self._release(hold, failed=event is None and machine.error is not None)
        return self.refusal is None

    def _release(self, hold: Hold, *, failed: bool) -> None:
        """Release held-back events, unless the continuation does not join the answer."""
        machine = self._machine
        hold.release(failed=failed)
        # The release has called `on_release`, which may have refused the continuation.
        if self.refusal is not None:
            machine.refuse(self.refusal)
            hold.ready.clear()
            return
        # The message gets the format's name together with its first event; a continuation leaves it.
        if self._format_name and hold.ready and self.seam is None:
            machine.accumulator.name_format(self._format_name)
        if hold.ready and machine.resumption is not None:
            machine.resumption.note_release(continued=self.seam is not None)
        if self.seam is not None:
            hold.ready = deque(self.seam.drop_overlap(hold.ready))

    @property
    def _is_extended(self) -> bool:
        """True while a guard holds events back that the hold itself would release."""
        guarding = self._machine.guarding
        return guarding is not None and guarding.guards.is_holding

    # -- what the format and the accumulator ask ---------------------------

    def name_format(self, name: str) -> bool:
        """Keep the format's name until the held-back events are returned; return False if none are held back.

        The message gets the name only together with its first event.
        """
        if self.hold is not None:
            self._format_name = name
        return self.hold is not None

    def find_text(self, told: ToldText) -> str:
        """Return a part's text so far, with what is held back, to compare it to the server's whole text."""
        machine, hold, seam = self._machine, self.hold, self.seam
        if hold is not None:
            # While the events of a new answer are held back, the message may still be that of the old answer.
            resumes_answer = machine.kept_format is not None
            in_message = machine.find_own_text(told) if resumes_answer else ""
            return in_message + added_by((*hold.ready, *hold.held), told)
        if seam is None:
            return machine.find_own_text(told)
        return seam.find_text(told, machine.find_own_text(seam.locate(told)))

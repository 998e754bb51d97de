"""Holds back the first events of an attempt, and joins a continuation to the answer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from tokenstream._answer.accumulator import GROWING
from tokenstream._answer.usage import NO_USAGE, GrowingUsage
from tokenstream._basics.text_log import size_of
from tokenstream.errors import AnswerRejected
from tokenstream.events import (
    CitationAdded,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    ToolCallDone,
    UsageUpdate,
)
from tokenstream.formats._endings import CLOSED
from tokenstream.formats._kit.whole_text import added_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.seam import SeamJoiner
    from tokenstream._pipeline.way import Way
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._kit.whole_text import WholeText
    from tokenstream.message import Checkpoint, Usage


_VISIBLE_EVENTS = (*GROWING, ToolCallDone, CitationAdded)
_SILENT_PARTS = frozenset({"text", "reasoning", "refusal", "opaque"})
"""Kinds of parts that are invisible while they have no text; those of an unknown kind never have any."""


def is_visible(event: Event) -> bool:
    """Return True if an event makes some of the answer visible, so that it cannot be taken back."""
    if isinstance(event, _VISIBLE_EVENTS):
        return True
    if isinstance(event, ReasoningDelta):
        # A signature alone shows nothing.
        return bool(event.text)
    if isinstance(event, PartStart | PartDone):
        part = event.content
        return part is not None and (part.kind not in _SILENT_PARTS or bool(getattr(part, "text", "")))
    return False


class Hold:
    """Holds events back until one of them ends the hold, or the input ends.

    Args:
        until: Returns True for an event that ends the hold; that event is returned, too.
        on_release: Called when the held events are released. Returns events to be returned before them,
            or None to drop the held events. The argument is True if the input failed before any of
            the answer was visible. Recovery passes a function that accepts or refuses the attempt; this
            function may also set `Joining.refusal`.
    """

    def __init__(
        self, until: Callable[[Event], bool], on_release: Callable[[bool], list[Event] | None] | None = None
    ) -> None:
        self._until = until
        """Returns True for an event that ends the hold."""
        self._on_release = on_release
        """Called at the release: returns events to be returned first, or None to drop the held events."""
        self.is_met = False
        """True once the event that ends the hold has arrived; guards may extend the hold beyond it."""
        self.held: list[Event] = []
        self._dropped: list[Event] = []
        """Events that were held back and then discarded; `start` and `usage` still read them."""
        self.ready: deque[Event] = deque()
        """Events that are returned next."""
        self.released = False
        """True once no more events are held back."""
        self.is_part = False
        """True once the held events were released, and not discarded, so that they are part of the answer."""

    def keep(self, event: Event) -> None:
        self.held.append(event)
        if self._until(event):
            self.is_met = True

    def drop(self) -> None:
        """Discard the held events, and hold back no more."""
        self._dropped += self.held
        self.held, self._on_release = [], None
        self.ready.clear()
        self.released, self.is_part = True, False

    def open(self) -> None:
        """Hold back no more, because another process has delivered a part of the answer."""
        self.released = self.is_part = True

    def adopt(self, other: Hold) -> None:
        """Take over the events that another hold, of the connection before, holds or was about to return."""
        self.held = [*other.held]
        self.ready.extend(other.ready)

    def take_events_left(self, events: list[Event]) -> None:
        """Take the decoded events of a connection that has ended: held, or returned next if none are."""
        if not self.held:
            self.ready.extend(events)
            return
        for event in events:
            self.keep(event)

    def release(self, *, failed: bool) -> None:
        """Move the held events to `ready`; the input has `failed` if it broke off before visible content."""
        # Called once: it belongs to a recovery that has this hold.
        on_release, self._on_release = self._on_release, None
        announcements = [] if on_release is None else on_release(failed)
        if announcements is None:
            self.drop()
            return
        self.ready.extend(announcements)
        self.ready.extend(self.held)
        self.held = []
        self.released = self.is_part = True

    @property
    def waiting(self) -> tuple[Event, ...]:
        """The events that are held back, or were held back and have not been returned yet."""
        return (*self.ready, *self.held)

    @property
    def start(self) -> MessageStart | None:
        """The start of the message, if it is or was among the held events; otherwise None."""
        for event in self._dropped or self.held:
            if isinstance(event, MessageStart):
                return event
        return None

    @property
    def size(self) -> int:
        """Number of bytes of the texts of held events."""
        texts = [
            getattr(event, "text", "") or getattr(event, "fragment", "")
            for event in self._dropped or self.held
        ]
        return sum(map(size_of, texts))

    @property
    def usage(self) -> Usage:
        """The token counts that held events reported; empty if they reported none."""
        events = self._dropped or self.held
        if not events:
            return NO_USAGE
        counts, final = GrowingUsage(), False
        for event in events:
            # After a finish event, the counts are those of the whole answer.
            final = final or isinstance(event, Finish)
            if isinstance(event, UsageUpdate):
                counts.add(event.usage)
        return counts.build(final=final)


def ends_at_once(_: Event) -> bool:
    """Return True for any event: as the `until` of a `Hold`, this leaves the release to the guards."""
    return True


class AttemptListener(Protocol):
    """Learns what becomes of an attempt, and knows of those before."""

    continued: bool
    """True for an answer that was joined from several requests, and so has no position to resume at."""
    id_before: str | None
    """The id of the last event on the previous connection; None for an answer that begins again."""

    def find_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint from before this attempt, if the attempt was refused or has no event yet."""

    def refuse_other_answer(self, event: Event) -> bool:
        """Return True, and set the error, if an event begins another answer than the resumed one."""
        ...

    def note_release(self, *, continued: bool) -> None:
        """Note that events of this attempt are returned now, perhaps as `continued` from another request."""


class Joining:
    """Holds back and joins the events of an attempt, which is one of the requests for an answer.

    Each event passes in this order:

    1. `hold` keeps the first events back until one of them shows that the attempt succeeds.
    2. `seam` changes the events of a continuation into events of the whole answer.
    3. The message takes the event; with guards, a `Finish` only after step 4.
    """

    def __init__(self, way: Way, listener: AttemptListener | None) -> None:
        self._way = way
        self.listener = listener
        """Learns what becomes of an attempt; None if there is only one."""
        self.hold: Hold | None = None
        """The events that are held back; None if none are held back."""
        self.seam: SeamJoiner | None = None
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

    def report_to(self, resumption: AttemptListener | None) -> None:
        self.listener = resumption

    @property
    def adds_later(self) -> bool:
        """True if `pull` adds events to the message, and not the way as soon as it has read them.

        For a continuation this stays True, because its seam may change any of its events. Only `end`, or the
        beginning of the next attempt, ends a seam.
        """
        return self.hold is not None or not (self.seam is None or self.seam.is_over)

    @property
    def changes_events(self) -> bool:
        """True if events are held, moved or dropped, which bars the fast path; a seam may move none."""
        moves = self.seam is not None and not self.seam.is_over and self.seam.moves
        return self.hold is not None or moves

    @property
    def waiting(self) -> tuple[Event, ...]:
        """The events that are held back, or were held back and have not been returned yet."""
        return () if self.hold is None else self.hold.waiting

    def hold_back(self, hold: Hold) -> None:
        """Hold back the next events, which the message does not contain before they are returned."""
        self.hold = hold
        self._way.settle()

    def begin(self, hold: Hold, seam: SeamJoiner | None, *, shows_held: bool) -> None:
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
                self._way.accumulator.spend(usage)
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
        """Return the next event, which the message has now but for a guarded `Finish`; None to read more."""
        if self.refusal is not None:
            return None
        way = self._way
        while (hold := self.hold) is not None:
            # `ready` has the events that are returned next; `released` is True once no more are held back.
            if not hold.ready and not hold.released and not self._fill(hold):
                return None
            if not hold.ready:
                # All held-back events were returned, so the hold is over.
                self.hold = None
                way.settle()
            elif (relocated := self._add(hold.ready.popleft())) is not None:
                return relocated
        return way.intake.read() if self.seam is None or self.seam.is_over else self._pull_after(self.seam)

    def _pull_after(self, seam: SeamJoiner) -> Event | None:
        """Return the next event of a continuation, without markers of the request; None to read more."""
        way, cleaned = self._way, self._cleaned
        glanced = way.intake.glanced_event
        while True:
            if not cleaned:
                event = way.intake.read()
                if event is None:
                    break
                if event is glanced:
                    # An event that was read on the fast path is in the message already.
                    return event
                cleaned.extend(seam.clean(event))
            elif (relocated := self._add(cleaned.popleft())) is not None:
                return relocated
        if way.intake.state in CLOSED or way.intake.error is not None:
            # No more input follows, so text that `clean` held back as a possible marker is not one.
            cleaned.extend(seam.flush())
        return self._add(cleaned.popleft()) if cleaned else None

    def _add(self, event: Event) -> Event | None:
        """Add an event of this attempt to the message, at the moment it is returned, and return it.

        After a seam, the part index and other references are changed to those in the whole answer. Without
        a seam, the event stays as it is. The result is None if the answer leaves the event out, for example
        because it repeats the head of the message.
        """
        way = self._way
        relocated: Event | None = event if self.seam is None else self.seam.relocate(event)
        if relocated is not None:
            if relocated.part != event.part and not way.changes_events:
                # Up to here, all parts of the continuation had the indexes of the answer.
                way.settle()
            (way.accumulator if way.guarding is None else way.guarding).take(relocated)
            if way.accumulator.error is not None:
                way.intake.fail(way.accumulator.error)
        return relocated

    # -- what is held back -------------------------------------------------

    def _fill(self, hold: Hold) -> bool:
        """Hold back the available events; return True once they were released to `hold.ready`."""
        way, event = self._way, None
        is_complete = hold.is_met and not self._is_extended
        while not is_complete and (event := way.intake.read()) is not None:
            resumption = self.listener if isinstance(event, MessageStart) else None
            if resumption is not None and resumption.refuse_other_answer(event):
                return False
            if way.guarding is not None and self.shows_held:
                way.guarding.show_held(event)
            hold.keep(event)
            # `rests`: the server waits for the client to speak, so nothing follows to complete the hold.
            # Without a hold: a guard has stopped the answer.
            rests = way.intake.resting and way.intake.link.connection.format.resting
            is_complete = rests or self.hold is None or (hold.is_met and not self._is_extended)
        # Without an event, the input so far is used up, and more of it may complete the hold.
        if self.hold is None or not (is_complete or way.intake.state in CLOSED):
            return False
        if way.guarding is not None and not way.guarding.allow_release():
            return False
        self._release(hold, failed=event is None and way.intake.error is not None)
        return self.refusal is None

    def _release(self, hold: Hold, *, failed: bool) -> None:
        """Release held-back events, unless the continuation does not join the answer."""
        way = self._way
        hold.release(failed=failed)
        # The release has called `on_release`, which may have refused the continuation.
        if self.refusal is not None:
            way.intake.refuse(self.refusal)
            return
        # The message gets the format's name together with its first event; a continuation leaves it.
        if self._format_name and hold.ready and self.seam is None:
            way.accumulator.name_format(self._format_name)
        if hold.ready and self.listener is not None:
            self.listener.note_release(continued=self.seam is not None)
        if self.seam is not None:
            hold.ready = deque(self.seam.drop_overlap(hold.ready))

    @property
    def _is_extended(self) -> bool:
        """True while a guard holds events back that the hold itself would release."""
        guarding = self._way.guarding
        return guarding is not None and guarding.guards.is_holding

    # -- what the format and the accumulator ask ---------------------------

    def name_format(self, name: str) -> bool:
        """Keep the format's name for the first event; return False if no events are held back."""
        if self.hold is not None:
            self._format_name = name
        return self.hold is not None

    def find_text(self, whole: WholeText) -> str:
        """Return a part's text so far, with what is held back, to compare it to the server's whole text."""
        way, hold, seam = self._way, self.hold, self.seam
        if hold is not None:
            # While the events of a new answer are held back, the message may still be that of the old answer.
            resumes_answer = way.intake.link.kept_format is not None
            in_message = way.find_own_text(whole) if resumes_answer else ""
            return in_message + added_by(hold.waiting, whole)
        if seam is None:
            return way.find_own_text(whole)
        return seam.find_text(whole, way.find_own_text(seam.locate(whole)))

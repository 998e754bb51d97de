"""The way of one event from input to reader: what holds it back, changes it, adds it and judges it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream._answer.accumulator import has_content
from tokenstream.events import PartDone, Stopped
from tokenstream.formats._endings import CLOSED, ENDINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._answer.accumulator import Accumulator
    from tokenstream._pipeline.asked import AskedFacts
    from tokenstream._pipeline.glance import Pull
    from tokenstream._pipeline.guarding import Guarding, Stops
    from tokenstream._pipeline.intake import Intake
    from tokenstream._pipeline.joining import AttemptListener, Joining
    from tokenstream.events import Event, Finish
    from tokenstream.formats._endings import Endings
    from tokenstream.formats._kit.whole_text import WholeText
    from tokenstream.message import Usage
    from tokenstream.stages._guards.guards import Guards


class Way:
    """Passes each event of an input to the reader, through the parts that exist at that time.

    `pull` returns the events of the input; once that has ended, what the end has released (`events_left`);
    and once it is shut, the `Stopped` event if there is one. The message gets each event when it is returned,
    so that it has what the reader has; what `Intake.push` reads at a glance, the message has at once.

    1. `joining.hold` holds back the first events of an attempt.
    2. `joining.seam` changes an event of a continuation into one of the answer.
    3. `accumulator` adds the event to the message.
    4. `guarding` passes the event to the guards, which may end the answer.

    The event and the existing parts decide which part does step 3; the first row that applies counts:

    | event                     | the event is added by                                                  |
    |---------------------------|------------------------------------------------------------------------|
    | a `Finish`, with guards   | `guarding.pull`, once they allow it                                    |
    | read on the fast path     | the input's `glance`                                                   |
    | read with a hold or seam  | `joining.pull`, at the moment it is returned                           |
    | any other                 | the input's `read`                                                     |

    Only `settle` sets `pull`, `pull_unguarded`, `on_read`, `show_glanced` and `changes_events`. Whoever
    changes a state on which they depend calls it, at the latest before the next `pull`.
    """

    accumulator: Accumulator
    on_read: Callable[[Any], bool]
    """Called by `Intake.read` with each event; returns True if the event has content. It also adds the event
    to the message, unless another part of the machine adds it later."""
    show_glanced: Callable[[Event | None], Event | None] | None
    """Takes an event of the fast path, which is in the message already; None if nobody judges it."""
    changes_events: bool
    """True while events are held back, moved or dropped, so that no chunk may be read on the fast path."""
    intake: Intake
    """The input, which `begin` sets."""
    pull_unguarded: Pull
    """Returns the next event before the guards receive it: `read`, or `joining.pull`, which calls it."""
    pull: Pull
    """Returns the next event, or None when more input is needed: `pull_unguarded`, or `guarding.pull`, which
    calls it."""

    def __init__(self) -> None:
        self.joining: Joining | None = None
        """Holds back, joins and compares events; None if that was never needed."""
        self.guarding: Guarding | None = None
        """Passes events to the guards; None if there are none, or if a guard has stopped the answer."""
        self.show_glanced = None
        # A seam may begin to move parts in mid-answer; `Joining._add` then settles the way.
        self.changes_events = False
        self.stopped_event: Event | None = None
        """The `Stopped` event that still has to be returned after a guard has stopped the stream."""
        self.again: Event | None = None
        """An event that was already pulled once, and is returned next."""

    def begin(self, intake: Intake, accumulator: Accumulator) -> None:
        """Take the events of this input, and add them to this message."""
        self.intake, self.accumulator, self.on_read = intake, accumulator, accumulator.take
        self.pull = self.pull_unguarded = intake.read

    def dispose(self) -> None:
        """Let go of the parts that refer back to this object."""
        del self.pull, self.pull_unguarded, self.on_read, self.accumulator, self.intake
        if self.joining is not None:
            self.joining.report_to(None)
        del self.joining, self.guarding, self.show_glanced

    def settle(self) -> None:
        """Choose the functions through which the next events pass; they depend on the machine's state alone.

        | `pull`            | when                                                                  |
        |-------------------|-----------------------------------------------------------------------|
        | `pull_stopped`    | the answer was cut, perhaps because a guard has stopped it            |
        | `pull_again`      | an event was put back                                                 |
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
        self.pull_unguarded = self.intake.read if joining is None else joining.pull
        if adds_later:
            self.on_read = has_content
        else:
            self.on_read = self.accumulator.take if guarding is None else guarding.take
        if guarding is not None and guarding.guards.can_count:
            count, on_read = guarding.count, self.on_read

            def count_and_read(event: Any) -> bool:  # noqa: ANN401 - an event
                count(event)
                return on_read(event)

            self.on_read = count_and_read
        self.show_glanced = None if guarding is None else guarding.show_glanced
        self.changes_events = joining is not None and joining.changes_events
        if self.intake.state == "shut":
            self.pull = self.pull_stopped
        elif self.again is not None:
            self.pull = self.pull_again
        else:
            self.pull = self.pull_unguarded if guarding is None else guarding.pull

    def make_joining(self, listener: AttemptListener | None = None) -> Joining:
        """Return `joining`, which is created if there is none; tell a listener what becomes of attempts."""
        if self.joining is None:
            from tokenstream._pipeline.joining import Joining

            self.joining = Joining(self, listener)
        elif listener is not None:
            self.joining.report_to(listener)
        return self.joining

    def guard(self, guards: Guards, stops: Stops, asked: AskedFacts) -> None:
        """Pass all further events to these guards."""
        from tokenstream._pipeline.guarding import Guarding
        from tokenstream._pipeline.joining import Hold, ends_at_once

        self.guarding = Guarding(self, guards, stops, asked)
        if restored := self.accumulator.messages:
            # What arrives and is held back is only the rest of the answer.
            guards.take_restored(restored)
        if guards.is_holding and not self.holds_back:
            # This hold itself ends with any event; the guards extend it until they have decided.
            self.make_joining().hold_back(Hold(ends_at_once))
        self.settle()

    def give_again(self, event: Event) -> None:
        """Put back an event, which `pull` returns next; a `Stopped` event stays the last."""
        if isinstance(event, Stopped):
            self.stopped_event = event
        else:
            self.again = event
            self.intake.leave_shortcut()
        self.settle()

    def pull_again(self) -> Event | None:
        """Return the event that was put back; None if there is none."""
        event, self.again = self.again, None
        self.settle()
        return event

    def pull_stopped(self) -> Event | None:
        """Return the `Stopped` event if the answer was stopped, else None."""
        event, self.stopped_event = self.stopped_event, None
        return event

    @property
    def holds_back(self) -> bool:
        return self.joining is not None and self.joining.hold is not None

    @property
    def guarded_until(self) -> float:
        """The clock reading at which a guard's deadline passes; infinity if no guard has a deadline."""
        return math.inf if self.guarding is None else self.guarding.deadline

    @property
    def waits(self) -> bool:
        """True while no event may be returned before the guards have decided."""
        return self.guarding is not None and self.guarding.waits

    def name_format(self, name: str) -> None:
        """Store the format's name in the message; while events are held back, keep the name for later."""
        if self.joining is not None and self.joining.name_format(name):
            return
        self.accumulator.name_format(name)

    def find_text(self, whole: WholeText) -> str:
        """Return a part's text so far, with what is held back, to compare it to the server's whole text."""
        return self.find_own_text(whole) if self.joining is None else self.joining.find_text(whole)

    def find_own_text(self, whole: WholeText) -> str:
        """Return the text that the message has for a part."""
        parts = self.accumulator.parts_from(whole.choice, whole.part)
        content: Any = parts[0].final or parts[0].build(complete=False) if parts else None
        return whole.find_in(content)

    def find_late_usage(self) -> Usage | None:
        """Return token counts that no event has reported; None while the first events are held back."""
        return None if self.holds_back else self.intake.link.connection.format.parts.late_usage()

    @property
    def endings(self) -> Endings:
        """The endings by what may come next, from the sign of the end that the reader has."""
        is_held = self.joining is not None and bool(self.joining.waiting)
        is_amid = self.intake.end_sign == "open reason" and bool(self.intake.reopened_choices)
        return ENDINGS["nothing" if is_held or is_amid else self.intake.end_sign]

    def drop_unread(self) -> None:
        """Drop the events that were not returned: those after the end of an attempt belong to nothing."""
        self.intake.drop_unread()
        self.settle()

    def stop(self, now: float) -> None:
        """Stop reading here, as `cut` does; the message keeps the text that a stage has held back."""
        parts, is_after_all = self.intake.link.connection.format.parts, not self.intake.unread_events
        # Text that a guard has not seen, or a hold has not released, is not added.
        is_shown = (
            is_after_all and self.intake.state not in CLOSED and self.guarding is None and not self.holds_back
        )
        if parts.stage is not None and is_shown:
            parts.stage.end(whole=False)
            for event in parts.take():
                self.on_read(event)
        self.cut(now)

    def cut(self, now: float) -> None:
        """Stop reading here: drop what was not decoded or was held back, but not a due `Stopped` event."""
        if self.guarding is not None:
            # Nothing waits for a guard any more, not even the end of the answer.
            self.guarding.forget_finish()
        self.intake.cut(now)
        self.settle()

    def end_for_guard(self, stopped: Stopped | None) -> None:
        """End the answer with an event, or for a guard that failed: drop the guards, and all that is left."""
        self.guarding = None
        self.cut(self.intake.now)
        if self.joining is not None:
            # The usage still includes their tokens.
            self.joining.drop_held()
            self.settle()
        if stopped is not None:
            # The guard decides the ending, even if the terminal event has arrived.
            self.intake.overrule()
            self.give_again(stopped)

    def end_with(self, finish: Finish, now: float) -> None:
        """End the answer here without an error; parts that are still open end as they are."""
        self.intake.end_by_hand(now)
        if self.joining is not None:
            self.joining.end()
        self.drop_unread()
        parts = enumerate(self.accumulator.message.parts)
        ended: list[Event] = [PartDone(None, part=index) for index, part in parts if not part.complete]
        self.intake.leave([*ended, finish])

"""A machine that can hold its first events back, and passes its events to the stream's guards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from tokenstream._pipeline.glance import give_no_event
from tokenstream._pipeline.hold import Hold
from tokenstream._pipeline.machine import Machine
from tokenstream.errors import GuardFailed
from tokenstream.events import Finish, Restarted, Stopped
from tokenstream.formats._kit.told import added_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._base import Format
    from tokenstream.formats._kit.answer import StageFactory
    from tokenstream.formats._kit.told import Told
    from tokenstream.limits import Limits
    from tokenstream.message import Usage
    from tokenstream.stages._guards.guards import Guards


class Stops(Protocol):
    """A stream as its machine sees it: the machine can end the answer and close the source."""

    def stop(self, reason: str) -> None:
        """End the answer here, and close the source at once."""

    def release_source(self) -> None:
        """Close the source."""


class GuardedMachine(Machine):
    """A machine that passes its events to guards, and ends the answer when a guard wants that.

    Its first events can be held back until the guards allow them to be returned. Without guards,
    the machine behaves like a `Machine`.

    Args:
        format: The format's name or a format object; None to detect it.
        content_type: The response's content type; None if it is not known.
        limits: Bounds on untrusted input; None for the defaults of `Limits`.
        pings: True to return heartbeats as `Ping` events.
        make_stage: Creates the stage that a format's events pass through; None for no stage.
    """

    __slots__ = (
        "_finish",
        "_held_format_name",
        "_hold",
        "_stops",
        "_unguarded_pull",
        "guards",
        "stopped_event",
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
        self._hold: Hold | None = None
        """The events that are held back; None if none are held back."""
        self._held_format_name = ""
        """The format's name, which the message must not contain before the held-back events are returned."""
        self.guards: Guards | None = None
        """The rules that check the answer; None if there are none, or if a rule has stopped the answer."""
        self._stops: Stops
        """The stream, which a guard can end."""
        self._finish: Event | None = None
        """The answer's finish event, while guards are still judging it."""
        self.stopped_event: Event | None = None
        """The `Stopped` event that still has to be returned after a guard has stopped the stream."""
        super().__init__(format, content_type=content_type, limits=limits, pings=pings, make_stage=make_stage)
        self._unguarded_pull: Callable[[], Event | None] = self._next
        """Returns the next event, before the guards receive it."""

    def guard(self, guards: Guards, stops: Stops) -> None:
        """Pass all further events to these guards.

        Args:
            guards: The guards.
            stops: The stream, which is ended if a guard wants that.
        """
        self.guards, self._stops = guards, stops
        if self.take == self.accumulator.take:
            # While events are held back, `take` is already another function. `_take_guarded` leaves finish
            # events to `_show_finish`, since a guard may not allow them.
            self.take = self._take_guarded
        # Set `pull` anew: the same function as before, but its events pass through the guards now.
        self._pull_from(self._unguarded_pull)
        if guards.is_holding:
            if self._hold is None:
                # This hold itself ends with any event; the guards extend it until they have decided.
                self.hold_back(Hold(_ends_at_once))
            self._extend_hold()

    def find_text(self, told: Told) -> str:
        """Return the text that has arrived of the part that an event is about, also what is held back."""
        hold = self._hold
        if hold is None:
            return super().find_text(told)
        # The events of a new answer are not in the message yet, which may have the answer before.
        before = "" if self.kept_format is None else super().find_text(told)
        return before + added_by((*hold.ready, *hold.held), told)

    def hold_back(self, hold: Hold) -> None:
        """Hold back the next events; the message does not contain them before they are returned.

        Args:
            hold: Keeps the events, and says when they may be returned.
        """
        hold.take_events_left(self._events_left)
        # The hold has these events now. The pair: no events of the current frame, after the returned ones.
        self._events_left, self._current_events = [], ([], self._returned_count)
        self._hold, self.holding = hold, True
        # Tells only if an event has content; the accumulator takes the event when it is released.
        self.take = hold.has_content
        self._extend_hold()
        self._pull_from(self._pull_held)

    def _extend_hold(self) -> None:
        """Make the current hold, if there is one, last until the guards allow its events."""
        guards = self.guards
        if guards is not None and self._hold is not None:
            self._hold.guarded = lambda: guards.is_holding

    @property
    def guarded_until(self) -> float:
        """The clock reading at which a guard's deadline passes, and the guard stops the answer.

        Infinity if no guard has a deadline.
        """
        deadline = None
        # After the end of the input, only guards that are still deciding (`waits`) may stop the answer.
        if self.guards is not None and (self.waits or not self.input_ended):
            # A budget of seconds counts from the request.
            self.guards.start(self.meter.started_at)
            deadline = self.guards.deadline
        return math.inf if deadline is None else deadline

    @property
    def owes_events(self) -> bool:
        """True if `pull` still returns events of an input that recovery has ended, and ended well."""
        return bool(self._events_left) and self.error is None and self.pull is not give_no_event

    def tick(self, now: float) -> None:
        """Let the guards check their deadlines, and stop the answer if a guard wants that."""
        if self.guards is not None and (self.waits or not self.input_ended):
            self.now = now
            self.guards.tick(now)
            self._stop_if_wanted()

    def fail_guarded(self, error: StreamError) -> None:
        """End the answer with an error, and close the source; held-back events are never returned."""
        self._end_guarded()
        self.error = error
        self._stops.release_source()

    def take_verdict(self, record: Callable[[], object]) -> None:
        """Accept the verdict of a guard whose function was awaited.

        Args:
            record: Records the verdict, or raises the exception of the guard's function.
        """
        if self.guards is not None:
            self._call_guards(record)

    def give_again(self, event: Event) -> None:
        """Put an event back, so that the next `pull` returns it again; a `Stopped` stays the last event."""
        if isinstance(event, Stopped):
            self.stopped_event, self.pull = event, self._pull_stopped
        else:
            super().give_again(event)

    def cut(self, now: float) -> None:
        """Stop reading here, as `Machine.cut` does; a `Stopped` event that is due is still returned."""
        super().cut(now)
        # Nothing waits for a guard any more, not even the end of the answer.
        self._finish, self.waits = None, False
        if self.stopped_event is not None:
            self.pull = self._pull_stopped

    # -- the way of an event -----------------------------------------------

    def _pull_from(self, pull: Callable[[], Event | None]) -> None:
        """Make a function the source of the next events; they then pass through the guards, if there are any.

        Args:
            pull: Returns the next event, or None when more input is needed.
        """
        self._unguarded_pull = pull
        self.pull = pull if self.guards is None else self._pull_guarded

    @property
    def _take_unheld(self) -> Callable[[Any], bool]:
        """The function that adds to the message an event that is not held back.

        Its result is True if the event has content.
        """
        return self.accumulator.take if self.guards is None else self._take_guarded

    def _take_guarded(self, event: Event) -> bool:
        """Add an event to the message, and return True if it has content.

        A `Finish` is not added yet: the guards have to receive it first.
        """
        return not isinstance(event, Finish) and self.accumulator.take(event)

    def _pull_guarded(self) -> Event | None:
        """Return the next event, or None when more input is needed, while guards check each event."""
        # A finish event about which the guards had yet to decide is shown to them once more.
        event, self._finish, self.waits = self._finish, None, False
        if event is None:
            event = self._unguarded_pull()
            # A guard may have stopped the answer because of an event that is held back.
            if self.stopped_event is not None:
                return self._pull_stopped()
            if event is None:
                return self._pull_end()
        return self._show_finish(event) if isinstance(event, Finish) else self._show_to_guards(event)

    def _show_to_guards(self, event: Event) -> Event:
        """Pass an event that the message already contains to the guards, and return it."""
        guards = self.guards
        if guards is not None:
            if isinstance(event, Restarted):
                # The message is empty again, so the rules forget the old answer.
                guards.begin_again()
            now = self.now
            self._call_guards(lambda: guards.feed(event, now))
        return event

    def _show_finish(self, event: Finish) -> Event | None:
        """Pass the end of a choice to the guards.

        Returns:
            `event` if the guards allow the end; None while they decide; the `Stopped` event if a guard
            has stopped the answer.
        """
        guards = self.guards
        if guards is not None:
            self._call_guards(lambda: guards.finish(event))
            if self.guards is None:
                # A guard has stopped the answer.
                return self._pull_stopped()
            if guards.pending:
                self._finish, self.waits = event, True
                return None
        # Only now, because `_take_guarded` leaves finish events out.
        self.accumulator.take(event)
        return event

    def _pull_end(self) -> Event | None:
        """Ask the guards for their last verdicts, once no event is left.

        Returns:
            The `Stopped` event if a guard stops the answer; otherwise None.
        """
        guards = self.guards
        if guards is not None and self.input_ended and self._hold is None:
            self._call_guards(guards.end)
            # If a guard has stopped the answer, `self.guards` is None now, and nothing is waited for.
            self.waits = self.guards is not None and guards.pending
        return self._pull_stopped()

    def _call_guards(self, call: Callable[[], object]) -> None:
        """Call a function that passes something to the guards; then stop the stream if a guard wants that.

        If the function raises an exception, the stream ends with `GuardFailed`.
        """
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a guard may raise anything; it is raised in its place
            failed = GuardFailed(
                f"a guard of the stream raised {type(error).__name__}, so the stream was closed; "
                "what had arrived is in .partial"
            )
            failed.__cause__ = error
            self.fail_guarded(failed)
            return
        self._stop_if_wanted()

    def _stop_if_wanted(self) -> None:
        """Stop the stream if a guard wants that."""
        reason = None if self.guards is None else self.guards.stop
        if reason is None:
            return
        self.stopped_event = Stopped(reason)
        self._end_guarded()
        # The guard decides the ending, even if the terminal event has arrived.
        self.error, self.answered = None, False
        self.pull = self._pull_stopped
        # `_stops` is the stream: it ends, and closes its source.
        self._stops.stop(reason)

    def _end_guarded(self) -> None:
        """End the answer: remove the guards, and drop all input and events that are left."""
        self.guards = None
        self._end_input(self.now)
        self.chunk, self._events_left, self._finish, self.waits = None, [], None, False
        hold, self._hold, self.holding = self._hold, None, False
        self.pull = give_no_event
        if hold is not None:
            # The held-back events are never returned, but their tokens were spent.
            if usage := hold.usage:
                self.accumulator.spend(usage)
            hold.drop()

    def _pull_stopped(self) -> Event | None:
        """Return the `Stopped` event if the answer was stopped, else None."""
        event, self.stopped_event = self.stopped_event, None
        if event is not None:
            self.pull = give_no_event
        return event

    # -- what is held back -------------------------------------------------

    def _pull_held(self) -> Event | None:
        """Return the next event, or None when more input is needed, while events are held back."""
        hold = self._hold
        if hold is None:
            # The hold is over: from now on, `pull` takes the events without this method.
            self._pull_from(self._next)
            return self._next()
        # `ready` has the events that are returned next; `released` is True once no more are held back.
        if not hold.ready and not hold.released:
            event, is_held = self._fill(hold)
            if is_held:
                return event
        if not hold.ready:
            # All held-back events have been returned.
            self._hold, self.holding = None, False
            return self._pull_held()
        return self._add_to_message(hold.ready.popleft())

    def _fill(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back the events that the available input contains; release them once the hold is complete.

        Returns:
            While events are held back: the event for `pull` to return now (a heartbeat) or None; and True.
            Once the hold is over: an event that the caller does not use; and False.
        """
        event, is_held = self._hold_available(hold)
        if not is_held:
            # Without a last event, the input has ended before the hold was complete.
            hold.release(failed=event is None and self.error is not None)
            # The message gets the format's name together with its first event.
            if self._held_format_name and hold.ready:
                self.accumulator.format = self._held_format_name
            self.take = self._take_unheld
        return event, is_held

    def _hold_available(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back the events that the available input contains.

        Returns:
            If events have to stay held back, or a guard has stopped the answer: the event to return now
            (a heartbeat) or None; and True. If the held-back events may be released: the event with which
            the hold became complete, or None if the input ended before that; and False.
        """
        event = None if hold.is_complete else self._next()
        while event is not None:
            if hold.is_heartbeat(event):
                # A heartbeat is returned although events are held back.
                return event, True
            if not self._check_same_answer(event):
                # The event belongs to another answer.
                return None, True
            self._show_held(event)
            # `resting`: the server waits for the client to speak. No hold: a guard has stopped the answer.
            if hold.keep(event) or self.resting or self._hold is None:
                break
            event = self._next()
        # Without an event, the input so far is used up, and more of it may complete the hold.
        needs_input = event is None and not self.input_ended and not hold.is_complete
        if self._hold is None or needs_input:
            return None, True
        return (event, False) if self._ask_permission() else (None, True)

    def _check_same_answer(self, event: Event) -> bool:
        """Return True if an event belongs to this answer, and so can be held back.

        Here, every event does; a subclass may set `error` and return False.
        """
        return True

    def _show_held(self, event: Event) -> None:
        """Pass an event that is held back to the guards."""
        guards = self.guards
        if guards is not None and guards.can_hold:
            now = self.now
            self._call_guards(lambda: guards.feed_held(event, now))

    def _ask_permission(self) -> bool:
        """Ask the guards to allow the held-back events to be returned; return True if they allow it.

        Without guards, the result is True. While the guards decide, `waits` is True, and the result is False.
        It is False, too, if a guard stops the answer; then nothing is held back any more.
        """
        guards = self.guards
        if guards is not None and guards.is_holding:
            self._call_guards(guards.end_held)
            self.waits = self._hold is not None and guards.pending
        return self._hold is not None and not self.waits

    def _add_to_message(self, event: Event) -> Event:
        """Add to the message an event that was held back, at the moment it is returned; return the event."""
        self._take_unheld(event)
        if self.accumulator.error is not None:
            self.fail()
        return event

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that were decoded but not yet returned."""
        held = () if self._hold is None else (*self._hold.ready, *self._hold.held)
        return [*held, *super()._waiting]

    def _name_format(self, name: str) -> None:
        """Tell the message the format's name; while events are held back, keep the name until later."""
        if self._hold is None:
            super()._name_format(name)
        else:
            self._held_format_name = name

    def _late_usage(self) -> Usage | None:
        """Return token counts that no event has reported yet; None while the first events are held back."""
        return None if self._hold is not None else super()._late_usage()

    # -- what is seen at a glance ------------------------------------------

    def _make_shortcut(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
        """Set `shortcut`, the function for the fast path, but with events that pass through the guards.

        As in `Machine`, the result is the chunk's event, or None if `pull` has to be called.
        """
        event = super()._make_shortcut(chunk, now)
        if self.guards is None:
            return event
        # This chunk and all later ones go through the guards.
        glance = self.shortcut
        if glance is not None:
            self.shortcut = lambda chunk, now: self._show_glanced(glance(chunk, now))
        return self._show_glanced(event)

    def _show_glanced(self, event: Event | None) -> Event | None:
        """Pass an event of the fast path, if there is one, to the guards; return it."""
        return None if event is None else self._show_to_guards(event)

    def _read_at_a_glance(self, payload: dict[str, Any], now: float) -> bool:
        """Read a decoded payload on the fast path; return False if that is impossible, as with guards."""
        # Not with guards: the event would wait here, where a guard cannot stop it.
        return self.guards is None and super()._read_at_a_glance(payload, now)


def _ends_at_once(_: Event) -> bool:
    """Return True for any event: as the `until` of a `Hold`, this ends the hold at the first event.

    The held events are then released as soon as the guards have decided.
    """
    return True

"""Guards on the way of an event: each event passes through them, and they may end the answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from tokenstream._basics.error_marks import add_sentence
from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.request_facts import mask_of
from tokenstream.errors import GuardFailed
from tokenstream.events import Finish, Restarted, Stopped
from tokenstream.formats._endings import CLOSED

if TYPE_CHECKING:
    from tokenstream._basics.loose import Action
    from tokenstream._pipeline.asked import AskedFacts
    from tokenstream._pipeline.way import Way
    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.stages._guards.guards import Guards


class Stops(Protocol):
    """A stream as its guards see it: something that ends the answer, and closes the source."""

    def stop(self, reason: str) -> None:
        """End the answer here, and close the source at once."""

    def release_source(self) -> None:
        """Close the source."""


class Guarding:
    """Passes the events of an answer to guards, and ends the answer when a guard wants that.

    `Way.guarding` is this object until a guard has ended the answer, and None afterwards.
    """

    def __init__(self, way: Way, guards: Guards, stops: Stops, asked: AskedFacts) -> None:
        self._way, self._asked = way, asked
        self.guards = guards
        self._stops = stops
        self._finish: Event | None = None
        """The answer's finish event, while guards are still judging it."""
        self.waits = False
        """True while no event may be returned before the guards have decided."""

    # -- the way of an event -----------------------------------------------

    def count(self, event: Event) -> None:
        """Pass an event to the guards that count all that arrives, such as budgets, even what is held back.

        A guard that has counted too much does not stop the answer here, but once this event is returned, or
        once more input is needed: to stop an answer whose end has already arrived would save nothing.
        """
        self.find_price(lambda: self.guards.count(event, self._way.intake.now))

    def find_price(self, function: Action) -> bool:
        """Call a function that asks for a price; return False if its exception has ended the answer."""
        try:
            function()
        except Exception as error:  # noqa: BLE001 - the function may raise anything; it is raised in its place
            self._fail_for(error, "the function price=")
            return False
        return True

    def pull(self) -> Event | None:
        """Return the next event, once the guards have checked it; None when more input is needed."""
        way = self._way
        # A finish event about which the guards had yet to decide is shown to them once more.
        event = self._finish
        self.forget_finish()
        if event is None:
            event = way.pull_unguarded()
            # A guard may have stopped the answer because of an event that is held back.
            if way.stopped_event is not None:
                return way.pull_stopped()
            if event is None:
                return self._pull_end()
        return self._show_finish(event) if isinstance(event, Finish) else self.show(event)

    def take(self, event: Event) -> bool:
        """Add an event, but no `Finish`, which `_show_finish` adds; return True if it has content."""
        return not isinstance(event, Finish) and self._way.accumulator.take(event)

    def show(self, event: Event) -> Event:
        """Pass an event that the message already contains to the guards, and return it."""
        guards = self.guards
        if self._way.guarding is None:
            # A guard has ended the answer with an event before this one.
            return event
        if isinstance(event, Restarted):
            # The message is empty again, so the rules forget the old answer.
            guards.begin_again()
        now = self._way.intake.now
        self.call(lambda: guards.feed(event, now))
        return event

    def show_glanced(self, event: Event | None) -> Event | None:
        """Pass an event of the fast path, if there is one, to the guards; return it."""
        if event is not None and self.guards.can_count:
            self.count(event)
        return None if event is None else self.show(event)

    def _show_finish(self, event: Finish) -> Event | None:
        """Pass the end of a choice to the guards; return it once they allow it, or the `Stopped` event."""
        way, guards = self._way, self.guards
        self.call(lambda: guards.finish(event))
        if way.guarding is None:
            return way.pull_stopped()
        if guards.pending:
            self._finish, self.waits = event, True
            return None
        # Only now: `Guarding.take` has left this event out of the message.
        way.accumulator.take(event)
        return event

    def _pull_end(self) -> Event | None:
        """Ask the guards for verdicts when the input is used up; return the `Stopped` event, if any."""
        way, intake = self._way, self._way.intake
        awaits_end = intake.awaits_end_since is not None and intake.error is None
        needs_more_input = intake.state == "reading" or (awaits_end and intake.state not in CLOSED)
        if needs_more_input:
            if self.guards.can_count:
                self._stop_if_wanted()
        elif way.guarding is not None and intake.state in CLOSED and not way.holds_back:
            self.call(self.guards.end)
            # If a guard has stopped the answer, nothing is waited for.
            self.waits = way.stopped_event is None and self.guards.pending
        return way.pull_stopped()

    # -- events that are held back -----------------------------------------

    def show_held(self, event: Event) -> None:
        if self.guards.can_hold:
            now = self._way.intake.now
            self.call(lambda: self.guards.feed_held(event, now))

    def allow_release(self) -> bool:
        """Return True if held-back events may be returned: not while the guards decide, or after a stop."""
        way = self._way
        if self.guards.is_holding:
            self.call(self.guards.end_held)
            self.waits = way.guarding is not None and self.guards.pending
        return way.guarding is not None and not self.waits

    # -- deadlines and verdicts --------------------------------------------

    @property
    def deadline(self) -> float:
        """The clock reading at which a guard stops the answer; infinity if no guard has a deadline."""
        way, deadline = self._way, None
        # After the end of the input, only guards that are still deciding (`waits`) may stop the answer.
        if self.waits or way.intake.state not in CLOSED:
            # A budget of seconds counts from the request.
            self.guards.start(way.intake.meter.started_at)
            deadline = self.guards.deadline
        return math.inf if deadline is None else deadline

    def tick(self, now: float) -> None:
        """Let the guards check their deadlines, and stop the answer if a guard wants that."""
        way = self._way
        if self.waits or way.intake.state not in CLOSED:
            way.intake.pass_time(now)
            self.guards.tick(now)
            self._stop_if_wanted()

    def fail(self, error: StreamError) -> None:
        """End the answer with an error, and close the source; held-back events are never returned."""
        self.forget_finish()
        self._way.end_for_guard(None)
        self._way.intake.fail(error)
        self._stops.release_source()

    def forget_finish(self) -> None:
        """Forget the finish event about which the guards have not decided yet, if there is one."""
        self._finish, self.waits = None, False

    def call(self, function: Action) -> None:
        """Call a function for the guards; stop the answer if one wants that, or with `GuardFailed`."""
        try:
            function()
        except Exception as error:
            if is_of_signal(error):
                raise
            # A guard may raise anything; it is raised in its place.
            self._fail_for(error, "a guard of the stream")
            return
        self._stop_if_wanted()

    def _fail_for(self, cause: Exception, name: str) -> None:
        """End the answer with `GuardFailed`, because a function of that name has raised an exception."""
        mask = mask_of(self._asked.request)
        failed = GuardFailed(
            f"{name} raised {mask.describe(cause)}, so the stream was closed; what had arrived is in .partial"
        )
        add_sentence(failed, f"{name} raised {type(cause).__name__}")
        failed.__cause__ = mask.mask_error(cause)
        self.fail(failed)

    def _stop_if_wanted(self) -> None:
        way, reason = self._way, self.guards.stop
        if reason is None or way.guarding is None:
            return
        self.forget_finish()
        way.end_for_guard(Stopped(reason))
        # The stream ends, and closes its source.
        self._stops.stop(reason)

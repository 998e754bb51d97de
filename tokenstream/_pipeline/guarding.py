"""Guards on the way of an event: each event passes through them, and they may end the answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from tokenstream._basics.interrupts import is_of_signal
from tokenstream._basics.request_facts import mask_of
from tokenstream.errors import GuardFailed
from tokenstream.events import Finish, Restarted, Stopped
from tokenstream.formats._state import CLOSED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._pipeline.machine import Machine
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
    """Passes the events of a machine to guards, and ends the answer when a guard wants that.

    `Machine.guarding` is this object until a guard has ended the answer, and None afterwards.
    """

    __slots__ = ("_finish", "_machine", "_stops", "guards", "waits")

    def __init__(self, machine: Machine, guards: Guards, stops: Stops) -> None:
        self._machine = machine
        self.guards = guards
        """The rules that check the answer."""
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
        try:
            self.guards.count(event, self._machine.now)
        except Exception as error:  # noqa: BLE001 - the function may raise anything; it is raised in its place
            self._fail_for(error, "the function price=")

    def pull(self) -> Event | None:
        """Return the next event, once the guards have checked it; None when more input is needed."""
        machine = self._machine
        # A finish event about which the guards had yet to decide is shown to them once more.
        event = self._finish
        self.forget_finish()
        if event is None:
            event = machine.pull_unguarded()
            # A guard may have stopped the answer because of an event that is held back.
            if machine.stopped_event is not None:
                return machine.pull_stopped()
            if event is None:
                return self._pull_end()
        return self._show_finish(event) if isinstance(event, Finish) else self.show(event)

    def take(self, event: Event) -> bool:
        """Add an event to the message, and return True if it has content.

        A `Finish` is not added yet: the guards have to judge it first. `_show_finish` adds it once they allow
        it.
        """
        return not isinstance(event, Finish) and self._machine.accumulator.take(event)

    def show(self, event: Event) -> Event:
        """Pass an event that the message already contains to the guards, and return it."""
        guards = self.guards
        if self._machine.guarding is None:
            # A guard has ended the answer with an event before this one.
            return event
        if isinstance(event, Restarted):
            # The message is empty again, so the rules forget the old answer.
            guards.begin_again()
        now = self._machine.now
        self.call(lambda: guards.feed(event, now))
        return event

    def show_glanced(self, event: Event | None) -> Event | None:
        """Pass an event of the fast path, if there is one, to the guards; return it."""
        if event is not None and self.guards.can_count:
            self.count(event)
        return None if event is None else self.show(event)

    def _show_finish(self, event: Finish) -> Event | None:
        """Pass the end of a choice to the guards; return it once they allow it, or the `Stopped` event."""
        machine, guards = self._machine, self.guards
        self.call(lambda: guards.finish(event))
        if machine.guarding is None:
            return machine.pull_stopped()
        if guards.pending:
            self._finish, self.waits = event, True
            return None
        # Only now: `Guarding.take` has left this event out of the message.
        machine.accumulator.take(event)
        return event

    def _pull_end(self) -> Event | None:
        """Ask the guards for verdicts when the input is used up; return the `Stopped` event, if any."""
        machine = self._machine
        needs_more_input = machine.state == "reading" or (
            machine.awaits_end_since is not None and machine.error is None and machine.state not in CLOSED
        )
        if needs_more_input:
            if self.guards.can_count:
                self._stop_if_wanted()
        elif machine.guarding is not None and machine.state in CLOSED and not machine.holds_back:
            self.call(self.guards.end)
            # If a guard has stopped the answer, nothing is waited for.
            self.waits = machine.stopped_event is None and self.guards.pending
        return machine.pull_stopped()

    # -- events that are held back -----------------------------------------

    def show_held(self, event: Event) -> None:
        """Pass an event that is held back to the guards."""
        if self.guards.can_hold:
            now = self._machine.now
            self.call(lambda: self.guards.feed_held(event, now))

    def allow_release(self) -> bool:
        """Ask the guards if the held-back events may be returned; return True if they may.

        While the guards decide, `waits` is True, and the result is False. It is False, too, if a
        guard stops the answer; then nothing is held back any more.
        """
        machine = self._machine
        if self.guards.is_holding:
            self.call(self.guards.end_held)
            self.waits = machine.guarding is not None and self.guards.pending
        return machine.guarding is not None and not self.waits

    # -- deadlines and verdicts --------------------------------------------

    @property
    def deadline(self) -> float:
        """The clock reading at which a guard stops the answer; infinity if no guard has a deadline."""
        machine, deadline = self._machine, None
        # After the end of the input, only guards that are still deciding (`waits`) may stop the answer.
        if self.waits or machine.state not in CLOSED:
            # A budget of seconds counts from the request.
            self.guards.start(machine.meter.started_at)
            deadline = self.guards.deadline
        return math.inf if deadline is None else deadline

    def tick(self, now: float) -> None:
        """Let the guards check their deadlines, and stop the answer if a guard wants that."""
        machine = self._machine
        if self.waits or machine.state not in CLOSED:
            machine.pass_time(now)
            self.guards.tick(now)
            self._stop_if_wanted()

    def fail(self, error: StreamError) -> None:
        """End the answer with an error, and close the source; held-back events are never returned."""
        self.forget_finish()
        self._machine.end_for_guard(None)
        self._machine.fail(error)
        self._stops.release_source()

    def forget_finish(self) -> None:
        """Forget the finish event about which the guards have not decided yet, if there is one."""
        self._finish, self.waits = None, False

    def call(self, function: Callable[[], object]) -> None:
        """Call a function that passes something to the guards; then stop the stream if a guard wants that.

        If the function raises an exception, the stream ends with `GuardFailed`.
        """
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
        mask = mask_of(self._machine.asked.request)
        failed = GuardFailed(
            f"{name} raised {mask.describe(cause)}, so the stream was closed; what had arrived is in .partial"
        )
        failed.__cause__ = mask.mask_error(cause)
        self.fail(failed)

    def _stop_if_wanted(self) -> None:
        """Stop the stream if a guard wants that."""
        machine, reason = self._machine, self.guards.stop
        if reason is None or machine.guarding is None:
            return
        self.forget_finish()
        machine.end_for_guard(Stopped(reason))
        # The stream ends, and closes its source.
        self._stops.stop(reason)

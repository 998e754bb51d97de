"""A machine that can hold its first events back, and whose events pass the guards of a stream."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from tokenstream._glance import no_event
from tokenstream._hold import Hold
from tokenstream._machine import Machine
from tokenstream.errors import GuardFailed
from tokenstream.events import Finish, Restarted, Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from tokenstream.errors import StreamError
    from tokenstream.events import Event
    from tokenstream.formats._answer import Throughs
    from tokenstream.formats.base import Format
    from tokenstream.limits import Limits
    from tokenstream.message import Usage
    from tokenstream.stages._guards.guards import Guards

__all__ = ["GuardedMachine", "Stops"]


class Stops(Protocol):
    """Ends the stream that a machine is part of."""

    def stop(self, reason: str) -> None:
        """End the answer here, and close the source at once."""

    def let_go(self) -> None:
        """Close the source."""


class GuardedMachine(Machine):
    """Holds back what a rule has still to allow, and stops where one says so.

    Without guards it does what a `Machine` does.

    Args:
        format: The format's name or a format object; None to find it out.
        content_type: The response's content type, where one is known.
        limits: Bounds on untrusted input.
        pings: Whether signs of life become `Ping` events.
        through: Makes what the events of each format pass before they are given; None for nothing.
    """

    __slots__ = ("_finish", "_hold", "_named", "_stops", "_way", "guards", "last")

    def __init__(
        self,
        format: str | Format | None,
        *,
        content_type: str | None,
        limits: Limits | None,
        pings: bool,
        through: Throughs | None = None,
    ) -> None:
        self._hold: Hold | None = None
        """The events that are held back, and until when; None where none are."""
        self._named = ""
        """The name of the format that they are in, which the message does not have yet."""
        self.guards: Guards | None = None
        self._stops: Stops
        self._finish: Event | None = None
        """The finish of the answer, while the guards that judge it are waited for."""
        self.last: Event | None = None
        """The event that is still to be given at the end of a stream that a guard has stopped."""
        super().__init__(format, content_type=content_type, limits=limits, pings=pings, through=through)
        self._way: Callable[[], Event | None] = self._next
        """The next event, before the guards have seen it."""

    def guard(self, guards: Guards, stops: Stops) -> None:
        """Have events pass these guards from here on.

        Args:
            guards: The guards.
            stops: Ends the stream.
        """
        self.guards, self._stops = guards, stops
        if self.take == self.accumulator.take:
            self.take = self._take_guarded
        self._go(self._way)
        if guards.holding:
            if self._hold is None:
                self.hold_back(Hold(_at_once))
            self._hold_on()

    def hold_back(self, hold: Hold) -> None:
        """Hold back what comes next; the message does not have it before it is given."""
        hold.take_left(self._left)
        self._left, self._giving = [], ([], self._given)
        self._hold, self.holding = hold, True
        self.take = hold.has_content
        self._hold_on()
        self._go(self._pull_held)

    def _hold_on(self) -> None:
        """Hold back what comes until the guards have spoken, too."""
        guards = self.guards
        if guards is not None and self._hold is not None:
            self._hold.guarded = lambda: guards.holding

    @property
    def guarded_until(self) -> float:
        """The clock at which a guard stops the answer, whatever comes until then."""
        deadline = None
        if self.guards is not None and (self.waits or not self.over):
            self.guards.start(self.meter.started_at)
            deadline = self.guards.deadline
        return math.inf if deadline is None else deadline

    def tick(self, now: float) -> None:
        """Stop where time is over."""
        if self.guards is not None and (self.waits or not self.over):
            self.now = now
            self.guards.tick(now)
            self._obey()

    def fail_guarded(self, error: StreamError) -> None:
        """End with an error; what is held back is never shown."""
        self._end_guarded()
        self.error = error
        self._stops.let_go()

    def answer_from(self, answer: Callable[[], object]) -> None:
        """Take what a guard has answered that was awaited.

        Args:
            answer: Notes it; it raises what the guard has raised.
        """
        if self.guards is not None:
            self._ask(answer)

    def give_again(self, event: Event) -> None:
        if isinstance(event, Stopped):
            self.last, self.pull = event, self._pull_last
        else:
            super().give_again(event)

    def cut(self, now: float) -> None:
        super().cut(now)
        self._finish, self.waits = None, False
        if self.last is not None:
            self.pull = self._pull_last

    # -- the way of an event -----------------------------------------------

    def _go(self, way: Callable[[], Event | None]) -> None:
        """Have events come this way."""
        self._way = way
        self.pull = way if self.guards is None else self._pull_guarded

    @property
    def _taker(self) -> Callable[[Any], bool]:
        """Takes events that are given as soon as they have come."""
        return self.accumulator.take if self.guards is None else self._take_guarded

    def _take_guarded(self, event: Event) -> bool:
        """Take an event, but for the end of a choice: the guards are to see it first."""
        return not isinstance(event, Finish) and self.accumulator.take(event)

    def _pull_guarded(self) -> Event | None:
        """Do what `pull` does where guards look at each event."""
        event, self._finish, self.waits = self._finish, None, False
        if event is None:
            event = self._way()
            if self.last is not None:
                return self._pull_last()
            if event is None:
                return self._pull_end()
        return self._pass_finish(event) if isinstance(event, Finish) else self._pass(event)

    def _pass(self, event: Event) -> Event:
        """Show the guards an event that the message has."""
        guards = self.guards
        if guards is not None:
            if isinstance(event, Restarted):
                guards.begin_again()
            now = self.now
            self._ask(lambda: guards.feed(event, now))
        return event

    def _pass_finish(self, event: Finish) -> Event | None:
        """Show the guards the end of a choice, and give it where they have nothing against it."""
        guards = self.guards
        if guards is not None:
            self._ask(lambda: guards.finish(event))
            if self.guards is None:
                return self._pull_last()
            if guards.pending:
                self._finish, self.waits = event, True
                return None
        self.accumulator.take(event)
        return event

    def _pull_end(self) -> Event | None:
        """Ask the guards that have not spoken, once no event is left."""
        guards = self.guards
        if guards is not None and self.over and self._hold is None:
            self._ask(guards.end)
            self.waits = self.guards is not None and guards.pending
        return self._pull_last()

    def _ask(self, show: Callable[[], object]) -> None:
        """Show something to the guards, and do what they say."""
        try:
            show()
        except Exception as error:  # noqa: BLE001 - a guard may raise anything; it is raised in its place
            failed = GuardFailed(
                f"a guard of the stream raised {type(error).__name__}, so the stream was closed; "
                "what had arrived is in .partial"
            )
            failed.__cause__ = error
            self.fail_guarded(failed)
            return
        self._obey()

    def _obey(self) -> None:
        """Stop where a guard says so."""
        reason = None if self.guards is None else self.guards.stop
        if reason is None:
            return
        self.last = Stopped(reason)
        self._end_guarded()
        # The verdict is the guard's, even if the terminal event has come.
        self.error, self.answered = None, False
        self.pull = self._pull_last
        self._stops.stop(reason)

    def _end_guarded(self) -> None:
        self.guards = None
        self._end_input(self.now)
        self.chunk, self._left, self._finish, self.waits = None, [], None, False
        hold, self._hold, self.holding = self._hold, None, False
        self.pull = no_event
        if hold is not None:
            # None of it is shown, and its tokens were spent.
            if hold.usage is not None:
                self.accumulator.spend(hold.usage)
            hold.drop()

    def _pull_last(self) -> Event | None:
        """Give the event that tells why the answer was stopped, where it was."""
        event, self.last = self.last, None
        if event is not None:
            self.pull = no_event
        return event

    # -- what is held back -------------------------------------------------

    def _pull_held(self) -> Event | None:
        """Do what `pull` does while events are held back."""
        hold = self._hold
        if hold is None:
            self._go(self._next)
            return self._next()
        if not hold.ready and not hold.released:
            event, waits = self._fill(hold)
            if waits:
                return event
        if not hold.ready:
            self._hold, self.holding = None, False
            return self._pull_held()
        return self._admit(hold.ready.popleft())

    def _fill(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back what comes, until it is released; return a sign of life or None, and whether to wait."""
        event, waits = self._keep(hold)
        if not waits:
            hold.release(failed=event is None and self.error is not None)
            if self._named and hold.ready:
                self.accumulator.format = self._named
            self.take = self._taker
        return event, waits

    def _keep(self, hold: Hold) -> tuple[Event | None, bool]:
        """Hold back what comes; return a sign of life or the last of it, and whether to wait for more."""
        event = None if hold.is_enough else self._next()
        while event is not None:
            if hold.passes(event):
                return event, True
            if not self._may_hold(event):
                return None, True
            self._show_held(event)
            if hold.keep(event) or self.resting or self._hold is None:
                break
            event = self._next()
        if self._hold is None or (event is None and not self.over and not hold.is_enough):
            return None, True
        return (event, False) if self._allowed() else (None, True)

    def _may_hold(self, event: Event) -> bool:
        """Tell whether an event is one of this answer."""
        return True

    def _show_held(self, event: Event) -> None:
        """Show the guards an event that is held back."""
        guards = self.guards
        if guards is not None and guards.hold:
            now = self.now
            self._ask(lambda: guards.feed_held(event, now))

    def _allowed(self) -> bool:
        """Tell whether what is held back may be given, now that no more is to be held."""
        guards = self.guards
        if guards is not None and guards.holding:
            self._ask(guards.end_held)
            self.waits = self._hold is not None and guards.pending
        return self._hold is not None and not self.waits

    def _admit(self, event: Event) -> Event:
        """Have the message take an event that is given."""
        self._taker(event)
        if self.accumulator.error is not None:
            self.fail()
        return event

    @property
    def _waiting(self) -> Sequence[Event]:
        """The events that the format has read and nobody was given yet."""
        held = () if self._hold is None else (*self._hold.ready, *self._hold.held)
        return [*held, *super()._waiting]

    def _name_format(self, name: str) -> None:
        if self._hold is None:
            super()._name_format(name)
        else:
            self._named = name

    def _late_usage(self) -> Usage | None:
        return None if self._hold is not None else super()._late_usage()

    # -- what is seen at a glance ------------------------------------------

    def _look(self, chunk: Any, now: float) -> Event | None:  # noqa: ANN401 - a `unit`
        event = super()._look(chunk, now)
        if self.guards is None:
            return event
        glance = self.shortcut
        if glance is not None:
            self.shortcut = lambda chunk, now: self._passed(glance(chunk, now))
        return self._passed(event)

    def _passed(self, event: Event | None) -> Event | None:
        return None if event is None else self._pass(event)

    def _glance_at(self, payload: dict[str, Any], now: float) -> bool:
        # Its event would wait here, where a guard cannot stop it.
        return self.guards is None and super()._glance_at(payload, now)


def _at_once(_: Event) -> bool:
    """Hold nothing back but for the guards."""
    return True

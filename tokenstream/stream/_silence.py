"""A stage with a deadline: how long a stream is silent, and when that is too long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokenstream.errors import StreamStalled

if TYPE_CHECKING:
    from tokenstream._guarded import GuardedMachine
    from tokenstream._machine import Machine
    from tokenstream.limits import Deadlines
    from tokenstream.stages import Reorder

__all__ = ["Gap", "GuardTime", "Silence"]

_WAITED_FOR = {
    "first_event": "the first event did not come",
    "idle_bytes": "no byte came",
    "idle_content": "no content came",
    "total": "the answer did not end",
}


class Silence:
    """A stage that gives what it takes, and whose error is the deadline that has passed.

    Time in which the loop itself was busy is no silence.

    Args:
        deadlines: How long a stream may be silent.
        machine: Knows when something came.
    """

    stop: str | None = None

    __slots__ = ("_away", "_chunks", "_machine", "deadlines", "error", "since")

    def __init__(self, deadlines: Deadlines, machine: Machine) -> None:
        self.deadlines = deadlines
        self._machine = machine
        self._away = (0.0, 0.0)
        """The clock at the last content, and how long nobody read since."""
        self.since: float | None = None
        """The clock when the read began that is in progress; None between two reads."""
        self.error: StreamStalled | None = None
        self._chunks = -1
        """How many chunks had come when another connection began; until the next one, no other is idle."""

    @property
    def deadline(self) -> float | None:
        """The clock at which the silence is too long; None where nothing bounds it."""
        return min((begun + seconds for _, seconds, begun in self._waits()), default=None)

    @property
    def due(self) -> float:
        """A reading of the clock before which no deadline passes, whatever comes until then."""
        meter = self._machine.meter
        if meter.first_event_at is None or meter.chunks == self._chunks or self._machine.resting:
            # What comes next may begin what has a deadline.
            return -math.inf
        deadline = self.deadline
        return math.inf if deadline is None else deadline

    def feed(self, item: Any, *, now: float = 0.0) -> list[Any]:  # noqa: ANN401 - whatever passes
        """Return what came."""
        return [item]

    def tick(self, now: float) -> list[Any]:
        """Look whether a deadline has passed; `error` says which."""
        for limit, seconds, begun in self._waits():
            if now - begun > seconds and self.error is None:
                self.error = StreamStalled(
                    f"{_WAITED_FOR[limit]} within {seconds:g} s (Deadlines.{limit}); "
                    "what had arrived is in .partial",
                    limit=limit,
                )
        return []

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return nothing: nothing is held."""
        return []

    def check(self) -> None:
        """Raise the error."""
        if self.error is not None:
            raise self.error

    def begin_again(self, now: float) -> None:
        """Wait for the first event of another connection, from now on."""
        self.error = None
        self._chunks = self._machine.meter.chunks
        self._machine.begun_at = now

    def was_away(self, seconds: float) -> None:
        """Leave out time in which the loop was busy with something else, and did not read."""
        self._machine.meter.away += seconds
        if self._machine.resting:
            return
        content_at, away = self._away
        last = self._machine.meter.content_at
        self._away = (last, seconds + (away if content_at == last else 0.0))

    def _waits(self) -> list[tuple[str, float, float]]:
        """Return what is waited for: the deadline's name, its seconds, and since when."""
        meter, deadlines, since = self._machine.meter, self.deadlines, self.since
        waits: list[tuple[str, float | None, float]] = [("total", deadlines.total, meter.started_at)]
        if self._machine.resting or self._machine.waits:
            pass
        elif meter.first_event_at is None or meter.chunks == self._chunks:
            begun = self._waiting_since(meter.started_at)
            begun = begun if since is None else max(begun, since)
            waits.insert(0, ("first_event", deadlines.first_event, begun))
        else:
            waits.append(("idle_content", deadlines.idle_content, self._waiting_since(meter.content_at)))
            if since is not None:
                waits.append(("idle_bytes", deadlines.idle_bytes, max(self._machine.now, since)))
        return [(limit, seconds, begun) for limit, seconds, begun in waits if seconds is not None]

    def _waiting_since(self, last: float) -> float:
        content_at, away = self._away
        last = max(last, self._machine.begun_at)
        return last + (away if content_at == self._machine.meter.content_at else 0.0)


class Gap:
    """A stage that gives what it takes, and whose deadline is that of a gap between frames.

    Args:
        reorder: Waits for the frame that is missing.
    """

    error: None = None
    stop: None = None

    __slots__ = ("_reorder",)

    def __init__(self, reorder: Reorder) -> None:
        self._reorder = reorder

    @property
    def deadline(self) -> float | None:
        """The clock at which the gap has been open for too long; None while there is none."""
        return self._reorder.deadline

    def feed(self, item: Any, *, now: float = 0.0) -> list[Any]:  # noqa: ANN401 - whatever passes
        """Return what came."""
        return [item]

    def tick(self, now: float) -> list[Any]:
        """Return nothing: the machine takes what is due."""
        return []

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return nothing: nothing is held."""
        return []

    def check(self) -> None:
        """Raise nothing: the machine has the error."""


class GuardTime:
    """A stage that gives what it takes, and whose deadline is the time that guards allow an answer.

    Args:
        machine: Has the guards.
    """

    error: None = None
    stop: None = None

    __slots__ = ("_machine",)

    def __init__(self, machine: GuardedMachine) -> None:
        self._machine = machine

    @property
    def deadline(self) -> float | None:
        """The clock at which a guard stops the answer; None where none counts time."""
        until = self._machine.guarded_until
        return None if until == math.inf else until

    def feed(self, item: Any, *, now: float = 0.0) -> list[Any]:  # noqa: ANN401 - whatever passes
        """Return what came."""
        return [item]

    def tick(self, now: float) -> list[Any]:
        """Have the guards stop the answer."""
        self._machine.tick(now)
        return []

    def end(self, *, now: float = 0.0) -> list[Any]:
        """Return nothing: nothing is held."""
        return []

    def check(self) -> None:
        """Raise nothing: the machine has the error."""

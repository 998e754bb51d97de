"""How long a stream is silent, and when that is too long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.errors import StreamStalled

if TYPE_CHECKING:
    from tokenstream._machine import Machine
    from tokenstream.limits import Deadlines

__all__ = ["REST_SECONDS", "Silence"]

REST_SECONDS = 0.5
"""How long to wait for the end of a body after the answer's own end."""
_WAITED_FOR = {
    "first_event": "the first event did not come",
    "idle_bytes": "no byte came",
    "idle_content": "no content came",
    "total": "the answer did not end",
}


class Silence:
    """Holds the deadlines against what came when; time in which the loop itself was busy is no silence.

    Args:
        deadlines: How long a stream may be silent.
        machine: What knows when something came.
    """

    __slots__ = ("_away", "_deadlines", "_machine", "due")

    def __init__(self, deadlines: Deadlines, machine: Machine) -> None:
        self._deadlines = deadlines
        self._machine = machine
        self._away = (0.0, 0.0)
        """The clock at the last content, and how long nobody read since."""
        self.due = -math.inf
        """A reading of the clock before which no deadline passes."""

    def look(self, now: float, since: float | None = None) -> StreamStalled | None:
        """Return the error of the deadline that has passed; None where there is none, and `due` is new.

        Args:
            now: A clock reading.
            since: The clock when the read began that is still in progress, or None.
        """
        self.due = math.inf
        for limit, seconds, begun in self._waits(since):
            if seconds is None:
                continue
            if now - begun > seconds:
                return StreamStalled(
                    f"{_WAITED_FOR[limit]} within {seconds:g} s (Deadlines.{limit}); "
                    "what had arrived is in .partial",
                    limit=limit,
                )
            self.due = min(self.due, begun + seconds)
        if self._machine.meter.first_event_at is None or self._machine.resting:
            # What comes next may begin what has a deadline.
            self.due = -math.inf
        return None

    def patience(self, now: float, since: float | None) -> float | None:
        """Return how long a read may still wait, in seconds; None for ever."""
        if self._machine.answered:
            return REST_SECONDS
        waits = [
            seconds - (now - begun)
            for _, seconds, begun in self._waits(now if since is None else since)
            if seconds is not None
        ]
        return max(min(waits), 0.0) if waits else None

    def was_away(self, seconds: float) -> None:
        """The loop was busy with something else, and did not read."""
        if self._machine.resting:
            return
        content_at, away = self._away
        last = self._machine.meter.content_at
        self._away = (last, seconds + (away if content_at == last else 0.0))

    def _waits(self, since: float | None) -> list[tuple[str, float | None, float]]:
        """Return what is waited for: the deadline's name, its seconds, and since when."""
        meter, deadlines = self._machine.meter, self._deadlines
        waits = [("total", deadlines.total, meter.started_at)]
        if self._machine.resting:
            return waits
        if meter.first_event_at is None:
            begun = self._waiting_since(meter.started_at)
            begun = begun if since is None else max(begun, since)
            return [("first_event", deadlines.first_event, begun), *waits]
        waits.append(("idle_content", deadlines.idle_content, self._waiting_since(meter.content_at)))
        if since is not None:
            waits.append(("idle_bytes", deadlines.idle_bytes, max(self._machine.now, since)))
        return waits

    def _waiting_since(self, last: float) -> float:
        content_at, away = self._away
        last = max(last, self._machine.begun_at)
        return last + (away if content_at == self._machine.meter.content_at else 0.0)

"""The phases of a stream, and its verdict."""

from __future__ import annotations

import threading
from enum import Enum

__all__ = ["NEXT", "Phase", "Step", "Verdict"]


class Phase(Enum):
    """Where a stream is between its first read and its verdict.

    | phase    | step     | next     | because                                                     |
    |----------|----------|----------|-------------------------------------------------------------|
    | opening  | opened   | reading  | the source is open, and its head is known                   |
    | opening  | answered | draining | the source could not be opened                              |
    | opening  | ended    | ended    | `stop`, `close`, or a mistake in the calling code           |
    | reading  | opened   | reading  | another source goes on where the one before broke off       |
    | reading  | answered | draining | the terminal event, the end of the input, or an error came  |
    | reading  | ended    | ended    | `stop`, `close`, or a mistake in the calling code           |
    | draining | ended    | ended    | the connection's end was read, held events are given        |

    A step that a phase does not name cannot happen in it.
    """

    OPENING = "opening"
    """The source is still to be opened."""
    READING = "reading"
    """The answer is being read."""
    DRAINING = "draining"
    """The answer is over: what is left is the end of its connection, and events that were held back."""
    ENDED = "ended"
    """The verdict is given."""


class Step(Enum):
    """Something that takes a stream from one phase to the next."""

    OPENED = "opened"
    ANSWERED = "answered"
    ENDED = "ended"


NEXT: dict[tuple[Phase, Step], Phase] = {
    (Phase.OPENING, Step.OPENED): Phase.READING,
    (Phase.OPENING, Step.ANSWERED): Phase.DRAINING,
    (Phase.OPENING, Step.ENDED): Phase.ENDED,
    (Phase.READING, Step.OPENED): Phase.READING,
    (Phase.READING, Step.ANSWERED): Phase.DRAINING,
    (Phase.READING, Step.ENDED): Phase.ENDED,
    (Phase.DRAINING, Step.ENDED): Phase.ENDED,
}
"""The table of `Phase`."""


class Verdict:
    """Decides once how a stream ends: by itself, or because somebody stopped it, whichever came first."""

    __slots__ = ("_decided", "_lock", "asked", "closed", "reason")

    def __init__(self) -> None:
        # Held for two statements; reentrant, because a signal's handler may stop the stream in between.
        self._lock = threading.RLock()
        self._decided = False
        self.asked: str | None = None
        """Why somebody stopped the stream before its end; None where nobody did."""
        self.reason: str | None = None
        """Why it was stopped, where it was not closed only."""
        self.closed = False
        """The stream was closed before its end."""

    def ask(self, reason: str, *, closing: bool = False) -> None:
        """Ask for the end of the stream, unless it has come already.

        Args:
            reason: Why.
            closing: Whether the stream is closed, so that nobody has stopped it.
        """
        with self._lock:
            if not self._decided and self.asked is None:
                self.asked = reason
                self.reason = None if closing else reason

    def decide(self) -> bool:
        """Decide now, and return True where the stream was stopped; a later `ask` changes nothing."""
        with self._lock:
            self._decided = True
        return self.asked is not None

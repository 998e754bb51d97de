"""The phases of a stream, and the decision on how the stream ends."""

from __future__ import annotations

import threading
from enum import Enum


class Phase(Enum):
    """Phase of a stream between its first read and the decision on its ending.

    | phase    | step     | next     | because                                                     |
    |----------|----------|----------|-------------------------------------------------------------|
    | opening  | opened   | reading  | the source is open, and its head is known                   |
    | opening  | answered | draining | the source could not be opened                              |
    | opening  | ended    | ended    | `stop`, `close`, or a mistake in the calling code           |
    | reading  | opened   | reading  | another source goes on where the previous source broke off  |
    | reading  | answered | draining | the terminal event, the end of the input, or an error       |
    | reading  | ended    | ended    | `stop`, `close`, or a mistake in the calling code           |
    | draining | opened   | reading  | only the sentinel marked the end, and the answer was cut    |
    | draining | ended    | ended    | the rest was read, and events held back were delivered      |

    A step that is missing in the table cannot happen in that phase.
    """

    __hash__ = object.__hash__  # that of `Enum` is a Python call

    OPENING = "opening"
    """The source is not open yet."""
    READING = "reading"
    """The answer is being read."""
    DRAINING = "draining"
    """The answer is over; the end of its connection must be read, and events held back be delivered."""
    ENDED = "ended"
    """The ending is decided."""


class PhaseStep(Enum):
    """A step that moves a stream from one phase to the next."""

    __hash__ = object.__hash__

    OPENED = "opened"
    ANSWERED = "answered"
    ENDED = "ended"


NEXT: dict[tuple[Phase, PhaseStep], Phase] = {
    (Phase.OPENING, PhaseStep.OPENED): Phase.READING,
    (Phase.OPENING, PhaseStep.ANSWERED): Phase.DRAINING,
    (Phase.OPENING, PhaseStep.ENDED): Phase.ENDED,
    (Phase.READING, PhaseStep.OPENED): Phase.READING,
    (Phase.READING, PhaseStep.ANSWERED): Phase.DRAINING,
    (Phase.READING, PhaseStep.ENDED): Phase.ENDED,
    (Phase.DRAINING, PhaseStep.OPENED): Phase.READING,
    (Phase.DRAINING, PhaseStep.ENDED): Phase.ENDED,
}
"""The table of `Phase`: maps a phase and a step to the next phase."""


class EndVerdict:
    """Decides once how a stream ends: by itself or by a stop, whichever is first."""

    __slots__ = ("_decided", "_lock", "closed", "end_request", "error_due", "is_asked", "stop_reason")

    def __init__(self) -> None:
        # Held for two statements only. Reentrant, because a signal handler may call `stop` between them.
        self._lock = threading.RLock()
        self._decided = False
        self.end_request: str | None = None
        """Reason of the first `stop` or `close` before the end; None if neither was called."""
        self.stop_reason: str | None = None
        """Reason of `stop`; None if the stream was only closed."""
        self.is_asked = False
        """True once `stop` or `close` was called, also after the end: tools may still run then."""
        self.closed = False
        """True if the stream was closed before its end."""
        self.error_due: Exception | None = None
        """The error that ended the stream, until the loop raises it, which closes the source first."""

    def request_end(self, reason: str, *, closing: bool = False) -> None:
        """Request the end of the stream, or only its `closing`, which is not reported as a stop.

        Only the first request counts, and none once the ending is decided.
        """
        with self._lock:
            self.is_asked = True
            if not self._decided and self.end_request is None:
                self.end_request = reason
                self.stop_reason = None if closing else reason

    def decide(self) -> bool:
        """Decide the ending; return True if the end was requested before. Later requests have no effect."""
        with self._lock:
            self._decided = True
        return self.end_request is not None

"""Items that a pump returns in place of a chunk: they say what has happened to the source that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from tokenstream._basics.kept_errors import without_own_frames

if TYPE_CHECKING:
    from tokenstream._sources.kinds import AsyncSource, SyncSource

TimedItem: TypeAlias = "tuple[float, Any]"
"""An item that a pump returns, after the time of its arrival."""

END = object()
"""The source has ended."""
LOST = object()
"""A read was cancelled or interrupted, and the source cannot be read any further."""
WAITED = object()
"""The read reached its time limit before a chunk arrived."""
NOTHING = object()
"""The caller's own time limit was reached before a chunk arrived; no deadline of the stream was checked."""
LEAST_WAIT = 0.02
"""Shortest wait, in seconds: enough for a busy event loop to read what its socket already holds."""
MAX_AHEAD = 128
"""Maximum number of chunks that are read ahead of the loop."""
NOTABLE_SECONDS = 0.01
"""Shortest time between two reads of the loop that is reported as `BusyTime`."""


class SourceOpened(NamedTuple):
    """The source was opened."""

    source: SyncSource | AsyncSource
    late: bool = False
    """True if the head arrived after its deadline, and the socket was shut down."""


class SourceFailed:
    def __init__(self, error: Exception) -> None:
        self.error = without_own_frames(error)

    def take_error(self) -> Exception:
        """Return the exception, and let go of it.

        Its traceback holds the frame that reads the source, and a variable of that frame this object.
        """
        error = self.error
        del self.error
        return error


class BusyTime(NamedTuple):
    """A time in which nothing was read because the loop was busy elsewhere; the source was not silent."""

    seconds: float


class ArrivalBell(Protocol):
    """Wakes a waiting loop when something has arrived: a threading or anyio event, or a queue entry."""

    def set(self) -> object:
        """Ring the bell; ringing it twice does no harm."""

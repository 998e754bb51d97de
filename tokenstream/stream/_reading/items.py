"""Items that a pump brings besides chunks: the things that can happen to a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenstream.sources import AsyncSource, SyncSource

END = object()
"""The source has ended."""
LOST = object()
"""A read was cancelled or broken off, and the source did not survive it."""
WAITED = object()
"""The read timed out without a chunk."""
NOTABLE_SECONDS = 0.01
"""Shortest absence of the loop that is reported as `Away`."""


class SourceOpened:
    """The source was opened.

    Args:
        source: The open source.
        late: True if the head came after its deadline, and the socket has been shut down.
    """

    __slots__ = ("late", "source")

    def __init__(self, source: SyncSource | AsyncSource, *, late: bool = False) -> None:
        self.source = source
        self.late = late


class SourceFailed:
    """The source raised an exception."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Away:
    """Nothing was read for a while, because the loop was busy elsewhere; the source was not silent."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class ArrivalBell(Protocol):
    """Wakes a waiting loop when something has arrived: an event of threading or anyio, or a queue entry."""

    def set(self) -> object:
        """Ring the bell; ringing twice is fine."""
        ...

"""Items that a pump brings besides chunks: what happened to the source, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tokenstream.sources import AsyncSource, SyncSource

__all__ = ["END", "LOST", "NOTABLE_SECONDS", "WAITED", "Away", "Bell", "Failed", "Opened"]

END = object()
"""The source has ended."""
LOST = object()
"""A read was cancelled or broken off, and the source did not survive that."""
WAITED = object()
"""Nothing came until the time that the read was given."""
NOTABLE_SECONDS = 0.01
"""A loop that is away for less than this has not kept the source waiting."""


class Opened:
    """The source was opened.

    Args:
        source: The open source.
        late: Its head came later than it was waited for, and its socket is shut down.
    """

    __slots__ = ("late", "source")

    def __init__(self, source: SyncSource | AsyncSource, *, late: bool = False) -> None:
        self.source = source
        self.late = late


class Failed:
    """The source raised."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class Away:
    """Nobody read for a while, because the loop had not taken what there was."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Bell(Protocol):
    """Tells whoever waits that something has come: an event of a library's, or a place in line."""

    def set(self) -> object:
        """Ring; it may be rung again."""
        ...

"""Events that are held back at the start of an attempt, so that one which shows nothing leaves no trace."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokenstream.events import (
    CitationAdded,
    Finish,
    PartDone,
    PartStart,
    Ping,
    ReasoningDelta,
    ToolCallDone,
    UsageUpdate,
)
from tokenstream.stages._content import GROWING, has_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.message import Usage

__all__ = ["Hold", "shows"]

_SHOWING = (*GROWING, ToolCallDone, CitationAdded)
_SILENT_PARTS = frozenset({"text", "reasoning", "refusal"})
"""Parts that show nothing while they are empty."""


def shows(event: Event) -> bool:
    """Tell whether an event shows something of the answer: then it cannot be taken back.

    Example:
        >>> from tokenstream.events import MessageStart, TextDelta
        >>> shows(MessageStart()), shows(TextDelta("Hi"))
        (False, True)
    """
    if isinstance(event, _SHOWING):
        return True
    if isinstance(event, ReasoningDelta):
        return bool(event.text)
    if isinstance(event, PartStart | PartDone):
        part = event.content
        return part is not None and (part.kind not in _SILENT_PARTS or bool(getattr(part, "text", "")))
    return False


class Hold:
    """Holds events back until one of them shows something, or the input is over.

    Args:
        until: Tells whether an event ends it; that event is given as well.
        announce: Returns the events that are to be given before those that were held, or None where those
            are to be forgotten; it is told whether the input has failed before any showed something.
    """

    __slots__ = ("_announce", "_held", "_met", "_until", "guarded", "ready", "released")

    def __init__(
        self, until: Callable[[Event], bool], announce: Callable[[bool], list[Event] | None] | None = None
    ) -> None:
        self._until = until
        self._announce = announce
        self._met = False
        """The event has come that ends it."""
        self.guarded: Callable[[], bool] | None = None
        """Tells whether a guard still holds what comes; None where none does."""
        self._held: list[Event] = []
        self.ready: deque[Event] = deque()
        """What is to be given next."""
        self.released = False
        """Nothing is held any more."""

    def has_content(self, event: Event) -> bool:
        """Tell of an event that is held what the accumulator tells of one that it takes."""
        return has_content(event)

    def passes(self, event: Event) -> bool:
        """Tell whether an event is a sign of life, which is given at once."""
        return isinstance(event, Ping)

    def keep(self, event: Event) -> bool:
        """Hold an event back, and tell whether it was the last one."""
        self._held.append(event)
        self._met = self._until(event) or self._met
        return self.is_enough

    @property
    def is_enough(self) -> bool:
        """Nothing more is to be held."""
        return self._met and (self.guarded is None or not self.guarded())

    def drop(self) -> None:
        """Forget what was held, and hold nothing more."""
        self._held = []
        self.ready.clear()
        self.released = True

    def adopt(self, other: Hold) -> None:
        """Go on with what another one has held, of a connection that this one's goes on with."""
        self._held = [*other.held]
        self.ready.extend(other.ready)

    def take_left(self, events: list[Event]) -> None:
        """Take what was left at the end of a connection: it is given next, but behind what is held."""
        if not self._held:
            self.ready.extend(events)
        for event in events if self._held else ():
            self.keep(event)

    def release(self, *, failed: bool) -> None:
        """Make what was held ready to be given.

        Args:
            failed: Whether the input has failed before anything showed.
        """
        first = [] if self._announce is None else self._announce(failed)
        if first is not None:
            self.ready.extend(first)
            self.ready.extend(self._held)
        self._held = []
        self.released = True

    @property
    def held(self) -> tuple[Event, ...]:
        """What is held back."""
        return tuple(self._held)

    @property
    def usage(self) -> Usage | None:
        """The token counts that were told in what is held; None where none were."""
        from tokenstream._growing import GrowingUsage

        counts, final = GrowingUsage(), False
        for event in self._held:
            final = final or isinstance(event, Finish)
            if isinstance(event, UsageUpdate):
                counts.add(event.usage)
        return counts.build(final=final)

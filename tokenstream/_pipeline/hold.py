"""Holds back the first events of an attempt, so that an attempt without visible content leaves no trace."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tokenstream._answer.usage import NO_USAGE, GrowingUsage
from tokenstream._basics.text_log import size_of
from tokenstream.events import (
    CitationAdded,
    Finish,
    MessageStart,
    PartDone,
    PartStart,
    ReasoningDelta,
    ToolCallDone,
    UsageUpdate,
)
from tokenstream.stages._content import GROWING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.events import Event
    from tokenstream.message import Usage

_VISIBLE_EVENTS = (*GROWING, ToolCallDone, CitationAdded)
_SILENT_PARTS = frozenset({"text", "reasoning", "refusal", "opaque"})
"""Kinds of parts that are invisible while they have no text; those of an unknown kind never have any."""


def is_visible(event: Event) -> bool:
    """Return True if an event makes some of the answer visible, so that it cannot be taken back."""
    if isinstance(event, _VISIBLE_EVENTS):
        return True
    if isinstance(event, ReasoningDelta):
        # A signature alone shows nothing.
        return bool(event.text)
    if isinstance(event, PartStart | PartDone):
        part = event.content
        return part is not None and (part.kind not in _SILENT_PARTS or bool(getattr(part, "text", "")))
    return False


class Hold:
    """Holds events back until one of them ends the hold, or the input ends.

    Args:
        until: Returns True for an event that ends the hold; that event is returned, too.
        on_release: Called when the held events are released. Returns events to be returned before them,
            or None to drop the held events. The argument is True if the input failed before any of
            the answer was visible. Recovery passes a function that accepts or refuses the attempt; this
            function may also set `Joining.refusal`.
    """

    __slots__ = ("_dropped", "_held", "_on_release", "_until", "is_met", "ready", "released")

    def __init__(
        self, until: Callable[[Event], bool], on_release: Callable[[bool], list[Event] | None] | None = None
    ) -> None:
        self._until = until
        """Returns True for an event that ends the hold."""
        self._on_release = on_release
        """Called at the release: returns events to be returned first, or None to drop the held events."""
        self.is_met = False
        """True once the event that ends the hold has arrived; guards may extend the hold beyond it."""
        self._held: list[Event] = []
        self._dropped: list[Event] = []
        """Events that were held back and then discarded; `start` and `usage` still read them."""
        self.ready: deque[Event] = deque()
        """Events that are returned next."""
        self.released = False
        """True once no more events are held back."""

    def keep(self, event: Event) -> None:
        """Hold an event back."""
        self._held.append(event)
        if self._until(event):
            self.is_met = True

    def drop(self) -> None:
        """Discard the held events, and hold back no more."""
        self._dropped, self._held, self._on_release = self._held, [], None
        self.ready.clear()
        self.released = True

    @property
    def was_dropped(self) -> bool:
        """True if events were held back, and then discarded."""
        return bool(self._dropped)

    def adopt(self, other: Hold) -> None:
        """Take over the events that another hold, of the connection before, holds or was about to return."""
        self._held = [*other.held]
        self.ready.extend(other.ready)

    def take_events_left(self, events: list[Event]) -> None:
        """Take the events that a connection had decoded, but not returned, when it ended.

        They are held back after the events that are held already; if none are held, they are returned next.
        """
        if not self._held:
            self.ready.extend(events)
            return
        for event in events:
            self.keep(event)

    def release(self, *, failed: bool) -> None:
        """Move the held events to `ready`, from which they are returned next.

        The input has `failed` if it broke off before any of the answer was visible.
        """
        # Called once: it belongs to a recovery that has this hold.
        on_release, self._on_release = self._on_release, None
        announcements = [] if on_release is None else on_release(failed)
        # None means that the held events have to be dropped.
        if announcements is not None:
            self.ready.extend(announcements)
            self.ready.extend(self._held)
        self._held = []
        self.released = True

    @property
    def held(self) -> tuple[Event, ...]:
        """The events that are held back."""
        return tuple(self._held)

    @property
    def start(self) -> MessageStart | None:
        """The start of the message, with its id and model, if it is among the held events; otherwise None.

        Like `usage`, it stays known after the held events were discarded.
        """
        for event in self._dropped or self._held:
            if isinstance(event, MessageStart):
                return event
        return None

    @property
    def size(self) -> int:
        """Number of bytes of the texts of held events."""
        texts = [
            getattr(event, "text", "") or getattr(event, "fragment", "")
            for event in self._dropped or self._held
        ]
        return sum(map(size_of, texts))

    @property
    def usage(self) -> Usage:
        """The token counts that held events reported; empty if they reported none."""
        events = self._dropped or self._held
        if not events:
            return NO_USAGE
        counts, final = GrowingUsage(), False
        for event in events:
            # After a finish event, the counts are those of the whole answer.
            final = final or isinstance(event, Finish)
            if isinstance(event, UsageUpdate):
                counts.add(event.usage)
        return counts.build(final=final)


def ends_at_once(_: Event) -> bool:
    """Return True for any event: as the `until` of a `Hold`, this leaves the release to the guards."""
    return True

"""What stands for the driver of a stream in each of its readers, in either colour."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from tokenstream.errors import StreamClosed
from tokenstream.stream._aspects import Alone, Cursors
from tokenstream.stream._broadcast_cursors import Following, Views
from tokenstream.stream._broadcast_hub import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._cursor import Cursor
    from tokenstream.stream._broadcast_hub import Place
    from tokenstream.stream._items import Bell
    from tokenstream.stream._opening import First

__all__ = ["Follower"]


class Follower(Alone):
    """Stands for the driver in one of several readers; what they share is the real one's.

    What waits is the hub's: its methods are awaited where that is asynchronous.

    Args:
        hub: Reads for all.
        place: Where the reader is.
        whole: Whether it is the stream itself, which is closed for all.
    """

    __slots__ = ("__weakref__", "hub", "place", "whole")

    following: type[Following[Any]] = Following
    """Makes a cursor the reader's own."""

    def __init__(self, hub: Any, place: Place, *, whole: bool = False) -> None:  # noqa: ANN401 - of either colour
        self.hub = hub
        self.place = place
        self.whole = whole

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a driver has
        return getattr(self.hub.driver, name)

    def __repr__(self) -> str:
        return repr(self.hub.driver) if self.whole else f"<{self.place.name!r} of {self.hub.driver!r}>"

    def __del__(self) -> None:
        # Nothing more: it may be any thread's, at any moment. Whoever waits for the reader looks again.
        self.place.gone = True

    # -- reading -----------------------------------------------------------

    def cursors(self, choice: int) -> Views:
        return Views(Cursors(self, choice), self._follow)

    def _follow(self, cursor: Cursor[Any]) -> Following[Any]:
        return self.following(cursor, self.hub, self.place)

    @property
    def own(self) -> Any:  # noqa: ANN401 - of either colour
        return self.hub.driver

    def choose(self, policy: Any, size: Any) -> None:  # noqa: ANN401 - they are checked there
        self.hub.choose(policy, size)

    @property
    def by_event(self) -> Any:  # noqa: ANN401 - the same, but for `step`
        return _ByEvent(self)

    def next_event(self) -> Any:  # noqa: ANN401 - an event
        """Return the reader's next event; at the end raise its error, or end the loop."""
        return self.hub.wait_for(self.place, partial(self.hub.take, self.place), None)

    def step(self) -> Any:  # noqa: ANN401 - `NEWS`
        """Wait until something has come that no view of the reader has looked at."""
        return self.step_until(None)

    def step_until(self, until: float | None) -> Any:  # noqa: ANN401 - `NEWS`, or None
        """Do the same, but no longer than until a reading of the clock."""
        return self.hub.wait_for(self.place, self._news(), until)

    def step_now(self) -> Any:  # noqa: ANN401 - `NEWS`, or None
        """Do the same without waiting."""
        return self.hub.look_now(self._news())

    def _news(self) -> Callable[[], Any]:
        return partial(self.hub.look, self.place, self.place.seen)

    def enter_loop(self) -> None:
        """Refuse a new loop over the events where there are none left for this reader."""
        hub, place = self.hub, self.place
        if place.gone:
            raise StreamClosed("this reader was closed: ask .broadcast() of its stream for another one")
        left = not place.reads_events or self.has_events
        if hub.over and not left and hub.driver.error is None:
            hub.driver.enter_loop()

    # -- beside other streams, in one loop -----------------------------------

    @property
    def has_events(self) -> bool:
        """An event has come for this reader."""
        return bool(self.place.condensed) or self.place.position != self.hub.ring.end

    @property
    def is_waiting_beside(self) -> bool:
        """All that has come is given, and there will be a ring when there is more."""
        waiting: bool = self.hub.driver.is_waiting_beside
        return waiting and not self.has_events

    @property
    def due(self) -> float:
        """When to look at deadlines; at once where a full queue has to be looked at."""
        due: float = self.hub.driver.due
        return -math.inf if self.hub.crowded else due

    def idle_until(self, since: float) -> float | None:
        """Return the clock at which `expire` is to be called, where nothing comes until then; None for never.

        Args:
            since: The clock since when nothing has come.
        """
        # Those whom a full queue waits for may have ended, which nobody tells.
        until: float | None = since + PATIENCE if self.hub.crowded else self.hub.driver.idle_until(since)
        return until

    def begin_beside(self, bell: Bell) -> None:
        """Begin to read for a loop that reads other streams as well."""
        self.hub.begin_beside(bell)

    def next_beside(self, bell: Bell) -> Any:  # noqa: ANN401 - an event, or None
        """Return the next event for such a loop, where it has come."""
        return self.hub.next_beside(self.place, bell)

    # -- opening and ending --------------------------------------------------

    @property
    def is_reading(self) -> bool:
        """A read is in progress."""
        return self.hub.leader is not None

    def open_now(self) -> Any:  # noqa: ANN401 - None, once awaited
        """Open the source before the first read."""
        return self.hub.alone(self.hub.driver.open_now)

    def wait_open(self, first: First) -> Any:  # noqa: ANN401 - None, once awaited
        """Read until the answer has begun."""
        return self.hub.alone(partial(self.hub.driver.wait_open, first))

    def ask_to_close(self) -> None:
        """Note that the stream is closed before its end."""
        self.hub.set_free()
        self.hub.driver.ask_to_close()

    def close(self, **how: bool) -> Any:  # noqa: ANN401 - None, once awaited
        """Leave; the stream itself is closed for all."""
        return self.hub.close(**how) if self.whole else self.hub.leave(self.place)


class _ByEvent:
    """The driver of a reader whose steps are events, as handlers of events need them."""

    __slots__ = ("_follower",)

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a driver has
        return getattr(self._follower, name)

    def step(self) -> Any:  # noqa: ANN401 - an event
        """Return the next event."""
        return self._follower.next_event()

"""One stream for several consumers: where each of them is, and who reads for all; everything but the waiting.

Whoever needs more than has come reads one event for all, unless somebody does
so already; the others wait to be told. No task and no thread is needed for that.
"""

from __future__ import annotations

import inspect
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, get_args

from tokenstream._ring import Ring
from tokenstream.errors import MisuseError, StreamError
from tokenstream.limits import check_whole
from tokenstream.stream._phase import Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from tokenstream.events import Event
    from tokenstream.message import ToolCall
    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._items import Bell
    from tokenstream.stream._sync_driver import SyncDriver

__all__ = ["NEWS", "PATIENCE", "Hub", "Place", "Policy", "checked"]

Policy: TypeAlias = Literal["wait", "drop_oldest", "raise"]
"""Says what happens where a reader of raw events falls behind by the whole queue."""

_SIZE = 1024
"""Events that are held for readers which are behind."""
_FEW = 64
"""Readers that are kept whether or not they have left."""
PATIENCE = 0.1
"""Seconds after which it is looked whether those still are that a full queue waits for."""
NEWS: Any = object()
"""Says that something has come, in the place of an event: whoever gets it looks for itself."""
_POLICIES: tuple[Policy, ...] = get_args(Policy)

DriverT = TypeVar("DriverT", bound="SyncDriver | AsyncDriver")


class Place:
    """Where a reader is.

    Args:
        name: Tells it from others.
        position: The number of the event that it is given next.
    """

    __slots__ = (
        "before",
        "busy",
        "condensed",
        "dropped",
        "gone",
        "lost",
        "name",
        "owner",
        "position",
        "reads_events",
        "seen",
    )

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.reads_events = False
        """It has begun with the events, and not with views alone."""
        self.condensed: list[Event] = []
        """Events that stand for those that came before it, the last one first."""
        self.dropped = 0
        """How many events it has missed."""
        self.lost = 0
        """How far it had fallen behind when it could no longer be given each event."""
        self.seen = -1
        """How many events had come when it last looked."""
        self.before = -1
        """The same when it last waited."""
        self.busy = False
        """It is being read."""
        self.gone = False
        """Nobody reads it any more."""
        self.owner: object = None
        """The thread or task that has read an event of it last."""


class Hub(Generic[DriverT]):
    """Reads a stream for several readers, whose views are cursors in the one message.

    Args:
        driver: Drives the stream; it is read by nobody else from here on.
    """

    __slots__ = (
        "__weakref__",
        "_behind",
        "_bells",
        "_chosen",
        "_listeners",
        "_numbers",
        "_owners",
        "_readers",
        "_slowest",
        "_sweep_at",
        "around_tool",
        "driver",
        "leader",
        "news",
        "over",
        "policy",
        "ring",
        "size",
        "watcher",
    )

    def __init__(self, driver: DriverT) -> None:
        self.driver = driver
        self.policy: Policy = "wait"
        """What to do about a reader of events that is behind by `size`."""
        self.size = _SIZE
        """How many events are held for readers of events."""
        machine = driver.machine
        begun = machine.meter.first_event_at is not None and not machine.gives_again
        # Readers begin at 0, which is not held where events were read before.
        self.ring: Ring[Event] = self._new_ring(Ring(1, begin=int(begun)))
        self._chosen = False
        """The options are no default any more."""
        self.news: tuple[int, Any] = (0, None)
        """How many events have come, and the last one."""
        self.over = False
        """The stream has ended, and all its events have come."""
        self.leader: object = None
        """The thread or task that reads for all."""
        self._numbers = count(1)
        self._readers: list[Place] = []
        """The readers of events that are waited for."""
        self._sweep_at = _FEW
        """The number of readers at which those that have left are forgotten."""
        self._slowest = 0
        """A number that none of them is behind."""
        self._behind = 0
        """How many of them were behind when that was looked at, and have not gone on."""
        self._owners: set[int] = set()
        """Who reads those."""
        self.watcher: Place | None = None
        """The reader that is told when they go on; the others are told by it, when it has read."""
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Gives the block in which a router runs a tool; None where it runs it as it is."""
        self._listeners: dict[object, Callable[[], object]] = {}
        self._bells: list[Bell] = []
        """Those of loops that read other streams as well."""
        driver.pump.busy = True

    def __del__(self) -> None:
        driver = getattr(self, "driver", None)
        if driver is not None:
            driver.pump.busy = False

    def join(self, name: str | None = None, *, here: bool = False) -> Place:
        """Return the place of another reader.

        Args:
            name: Its name; None for a number.
            here: Whether it is given what comes from here on, and nothing that came before.
        """
        return Place(f"reader {next(self._numbers)}" if name is None else name, self.ring.end if here else 0)

    def listen(self, function: Callable[[], object]) -> Callable[[], None]:
        """Have a function called whenever something has come, and at the end.

        It is called by whoever reads, and must not block.

        Args:
            function: Takes no arguments.

        Returns:
            A function that ends it.
        """
        listener = object()
        self._listeners[listener] = function

        def end() -> None:
            self._listeners.pop(listener, None)

        return end

    def choose(self, policy: Policy | None, size: int | None) -> None:
        """Take options that are for all readers; once chosen, or begun with, they are no others.

        Args:
            policy: The policy; None for any.
            size: How many events are held; None for any.

        Raises:
            MisuseError: They are others already.
        """
        kept = (self.policy, self.size)
        asked = checked(policy, size, *kept)
        if asked != kept and self._chosen:
            raise MisuseError(
                f"this stream is shared with policy={kept[0]!r} and size={kept[1]}, which are for all its "
                "readers: leave both out to take them"
            )
        if asked != kept:
            self.policy, self.size = asked
            self.ring = self._new_ring(self.ring)
        self._chosen = self._chosen or policy is not None or size is not None

    def _new_ring(self, events: Ring[Event]) -> Ring[Event]:
        # What tells of a stop waits for nobody, and has room of its own.
        held = self.size + 1 if self.policy == "wait" else self.size
        ring: Ring[Event] = Ring(held, begin=events.begin)
        for number in range(events.begin, events.end):
            ring.append(events[number])
        return ring

    # -- what has come -------------------------------------------------------

    def look(self, place: Place, seen: int) -> Any:  # noqa: ANN401 - `NEWS`, or None
        """Tell whether something has come that a reader has not seen."""
        if place.gone:
            raise self.driver.exhausted
        number = self.news[0]
        if number == seen:
            return None
        place.before, place.seen = seen, number
        return NEWS

    def take(self, place: Place) -> Event | None:
        """Return the next event of a reader, where it has come.

        Raises:
            MisuseError: It is too far behind, and is told so by its policy.
        """
        if place.gone:
            raise self.driver.exhausted
        if not place.reads_events:
            self._begin(place)
        place.owner = self.whoami()
        if place.condensed:
            return place.condensed.pop()
        ring = self.ring
        position = place.position
        if place.lost or position < ring.begin:
            position = self._catch_up(place)
        if position == ring.end:
            return None
        place.position = position + 1
        if self._behind and position <= ring.end - self.size:
            self._behind -= 1
            if not self._behind:
                self.make_room()
        return ring[position]

    def _begin(self, place: Place) -> None:
        """Begin to give a reader events: from the start of the answer, or what they have come to."""
        place.reads_events = self._chosen = True
        if place.position < self.ring.begin:
            from tokenstream.stream._event_cursor import EventCursor

            place.condensed = EventCursor(self.driver.accumulator).ready()[::-1]
            place.position = self.ring.end
        if self.policy == "wait":
            if len(self._readers) >= self._sweep_at:
                self._readers = [place for place in self._readers if not place.gone]
                self._sweep_at = max(_FEW, 2 * len(self._readers))
            self._readers.append(place)
            self._slowest = min(self._slowest, place.position)

    def _catch_up(self, place: Place) -> int:
        """Do what the policy says about a reader that has fallen out of the ring."""
        missed = self.ring.begin - place.position
        if self.policy == "drop_oldest":
            place.dropped += missed
            place.position = self.ring.begin
            return place.position
        place.lost = place.lost or self.ring.end - place.position
        raise MisuseError(
            f"{place.name!r} was behind by {place.lost} events, and {self.size} are held for it: "
            "read faster, give .broadcast() a larger size, or read its views, which miss nothing"
        )

    def publish(self, event: Event | None) -> None:
        """Give all readers an event that was read."""
        if event is not None:
            self.ring.append(event)
            self.news = (self.news[0] + 1, event)

    def tell(self) -> None:
        """Tell those who listen that something has come."""
        # Any thread may begin to listen, and leave off.
        for function in self._listeners.copy().values():
            function()

    # -- who reads -------------------------------------------------------------

    def whoami(self) -> object:
        """Return the thread or the task that asks."""
        return threading.current_thread()

    def must_wait(self, me: object, *, again: bool = True) -> bool:
        """Tell whether readers of events are behind, so that no event may be read before they go on.

        Args:
            me: The thread or the task that asks.
            again: Whether to look at all readers again, some of whom may have left.

        Raises:
            MisuseError: They are read by whoever would wait for them.
        """
        full = self.ring.end - self.size
        if self.policy != "wait" or self._slowest > full or self.driver.phase is Phase.ENDED:
            return False
        if self._behind and not again and id(me) not in self._owners:
            return True
        # Whose consumer has failed, say, may be kept by the error: nobody waits for that.
        readers = self._readers = [
            place
            for place in self._readers
            if not place.gone and (place.position > full or not _is_over(place.owner))
        ]
        self._slowest = min((place.position for place in readers), default=self.ring.end)
        behind = [place for place in readers if place.position <= full]
        self._behind = len(behind)
        self._owners = {id(place.owner) for place in behind}
        if id(me) in self._owners:
            names = ", ".join(repr(place.name) for place in behind if place.owner is me)
            raise MisuseError(
                f"the {self.size} events that are held wait for {names}, and the same thread or task wants "
                "to read on: read there first, or close it, or take .broadcast(policy='drop_oldest')"
            )
        return bool(behind)

    @property
    def crowded(self) -> bool:
        """A full queue kept whoever looked last from reading on, and still may."""
        return bool(self._behind) and not self.over

    def _may_read(self, me: object) -> bool:
        """Tell whether there is more to be read, and nobody to be waited for."""
        return self.leader is None and not self.over and not self.must_wait(me)

    def lead(self, me: object) -> _Turn:
        """Return a block in which whoever has asked reads the stream."""
        return _Turn(self, me)

    def wake(self) -> None:
        """Have all who wait look again."""
        for bell in self._bells:
            bell.set()

    def make_room(self) -> None:
        """Have it looked whether more may be read."""
        for bell in self._bells:
            bell.set()

    def rest(self, place: Place) -> None:
        """Note that a reader is not being read any more."""
        place.busy = False
        if self.watcher is place:
            self.watcher = None
            self.wake()

    def begin_beside(self, bell: Bell) -> None:
        """Begin to read for a loop that reads other streams as well, unless somebody reads.

        Args:
            bell: Rung when there is something to look at.
        """
        self._bells = [*self._bells, bell]
        if self.leader is None:
            self.driver.begin_beside(bell)

    def set_free(self) -> None:
        """Let the driver end the stream, where nobody reads it."""
        if self.leader is None:
            self.driver.pump.busy = False


class _Turn:
    """A block in which one reader reads for all."""

    __slots__ = ("_hub", "_me")

    def __init__(self, hub: Hub[Any], me: object) -> None:
        self._hub = hub
        self._me = me

    def __enter__(self) -> None:
        self._hub.leader = self._me
        self._hub.driver.pump.busy = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        hub = self._hub
        hub.leader = None
        hub.driver.pump.busy = True
        hub.wake()
        if kind is None or hub.driver.phase is not Phase.ENDED:
            return False
        if issubclass(kind, hub.driver.exhausted) or isinstance(error, StreamError):
            # The driver raises it again for each reader.
            hub.over = True
            return True
        return False


def _is_over(owner: Any) -> bool:  # noqa: ANN401 - a thread, or a task of either kind
    """Tell whether a thread or a task has ended."""
    if isinstance(owner, threading.Thread):
        return not owner.is_alive()
    if sys.modules.get("trio") is not None and hasattr(owner, "coro"):
        return inspect.getcoroutinestate(owner.coro) == inspect.CORO_CLOSED
    return bool(owner.done())


# -- options ---------------------------------------------------------------------


def checked(
    policy: Any,  # noqa: ANN401 - any argument
    size: Any,  # noqa: ANN401 - any argument
    usual: Policy = "wait",
    held: int = _SIZE,
) -> tuple[Policy, int]:
    """Return the options of a hub.

    Args:
        policy: The policy; None for the usual one.
        size: How many events are held; None for as many as else.
        usual: The usual policy.
        held: How many events are held else.

    Raises:
        MisuseError: One is none.
    """
    policy, size = usual if policy is None else policy, held if size is None else size
    if policy not in _POLICIES:
        raise MisuseError(f"policy={policy!r} is none: it is one of {', '.join(map(repr, _POLICIES))}")
    return policy, check_whole("size", size)

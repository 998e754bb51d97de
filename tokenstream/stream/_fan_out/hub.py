"""The state of a stream for several readers: their places, and the one that reads now.

A reader that needs more than has arrived becomes the *leader*: it reads one event for all
readers, and then wakes the others, which wait meanwhile. No extra task or thread is needed.
Subclasses for threads and for tasks do the waiting.
"""

from __future__ import annotations

import inspect
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, get_args

from tokenstream._basics.ring import Ring
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
    from tokenstream.stream._reading.items import ArrivalBell
    from tokenstream.stream._sync_driver import SyncDriver

Policy: TypeAlias = Literal["wait", "drop_oldest", "raise"]
"""Handling of a loop over events that falls behind by as many events as the queue holds."""

_SIZE = 1024
"""Default number of events held for readers that are behind."""
_FEW = 64
"""Number of readers up to which closed readers are not removed from the list."""
PATIENCE = 0.1
"""Seconds between two checks whether the slow readers of a full queue still exist."""
NEWS: Any = object()
"""Passed to a view instead of an event; the view then looks at the message itself."""
_POLICIES: tuple[Policy, ...] = get_args(Policy)

DriverT = TypeVar("DriverT", bound="SyncDriver | AsyncDriver")


class ReaderPlace:
    """A reader's position in the stream.

    Args:
        name: The name of the reader, for error messages.
        position: The number of the reader's next event.
    """

    __slots__ = (
        "dropped",
        "in_use",
        "is_closed",
        "last_user",
        "lost_by",
        "name",
        "position",
        "reads_events",
        "seen_before",
        "seen_count",
        "summary",
    )

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position
        self.reads_events = False
        """True once the reader has read an event, and not only views."""
        self.summary: list[Event] = []
        """Events that summarise the answer so far, in reverse order, if the first events are not held."""
        self.dropped = 0
        """Number of events that the reader has missed."""
        self.lost_by = 0
        """Number of events by which the reader was behind when it lost its next event; 0 before that."""
        self.seen_count = -1
        """Number of events that had arrived when the reader last looked."""
        self.seen_before = -1
        """The previous value of `seen`."""
        self.in_use = False
        """True while the reader is in use."""
        self.is_closed = False
        """True once the reader was closed or dropped."""
        self.last_user: object = None
        """The thread or task that last read an event from the reader."""


class Hub(Generic[DriverT]):
    """Reads a stream for several readers, whose views are cursors in one shared message.

    Args:
        driver: The driver of the stream; only the hub reads it from now on.
    """

    __slots__ = (
        "__weakref__",
        "_bells",
        "_listeners",
        "_lowest_position",
        "_numbers",
        "_options_fixed",
        "_readers",
        "_slow_count",
        "_slow_users",
        "_sweep_at",
        "around_tool",
        "driver",
        "has_ended",
        "leader",
        "news",
        "policy",
        "ring",
        "size",
        "watcher",
    )

    def __init__(self, driver: DriverT) -> None:
        self.driver = driver
        self.policy: Policy = "wait"
        """Handling of a loop over events that falls `size` events behind."""
        self.size = _SIZE
        """Number of events to hold for loops over events."""
        machine = driver.machine
        begun = machine.meter.first_event_at is not None and not machine.gives_again
        # Readers begin at event 0. If events were read before, the ring begins at 1, so that
        # readers get a summary instead.
        self.ring: Ring[Event] = self._new_ring(Ring(1, begin=int(begun)))
        self._options_fixed = False
        """True once the options were set, or a loop over events has begun."""
        self.news: tuple[int, Any] = (0, None)
        """Number of events that have arrived, and the last event."""
        self.has_ended = False
        """True once the stream has ended and all its events were read."""
        self.leader: object = None
        """The thread or task that reads the stream for all readers; None between two reads."""
        self._numbers = count(1)
        self._readers: list[ReaderPlace] = []
        """Places of the loops over events, for which the policy "wait" waits."""
        self._sweep_at = _FEW
        """Number of readers at which closed readers are removed from the list."""
        self._lowest_position = 0
        """A position that is not greater than any position of `_readers`."""
        self._slow_count = 0
        """Number of readers for which a full queue waited at the last check."""
        self._slow_users: set[int] = set()
        """Ids of the threads or tasks that use the readers counted by `_slow_count`."""
        self.watcher: ReaderPlace | None = None
        """The only reader that is woken once a full queue has room; its read wakes the other readers."""
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Returns the context in which a router runs a tool; None for no context."""
        self._listeners: dict[object, Callable[[], object]] = {}
        self._bells: list[ArrivalBell] = []
        """Bells of loops that also read other streams."""
        driver.pump.busy = True

    def __del__(self) -> None:
        driver = getattr(self, "driver", None)
        if driver is not None:
            driver.pump.busy = False

    def add_reader(self, name: str | None = None, *, from_now: bool = False) -> ReaderPlace:
        """Add a new reader, and return its place.

        Args:
            name: The reader's name; None for a number.
            from_now: True if the reader gets only events that arrive from now on.
        """
        return ReaderPlace(
            f"reader {next(self._numbers)}" if name is None else name, self.ring.end if from_now else 0
        )

    def listen(self, function: Callable[[], object]) -> Callable[[], None]:
        """Call a function whenever something has arrived, and at the end of the stream.

        The function is called during a read, so it must not block.

        Args:
            function: The function, which gets no arguments.

        Returns:
            A function that ends these calls.
        """
        listener = object()
        self._listeners[listener] = function

        def end() -> None:
            self._listeners.pop(listener, None)

        return end

    def set_options(self, policy: Policy | None, size: int | None) -> None:
        """Set the options for all readers; they are fixed once set, or once a loop over events has begun.

        Args:
            policy: The policy; None to accept any policy.
            size: Number of events to hold; None to accept any number.

        Raises:
            MisuseError: Other options are already fixed.
        """
        kept = (self.policy, self.size)
        asked = check_options(policy, size, *kept)
        if asked != kept and self._options_fixed:
            raise MisuseError(
                f"this stream is already shared with policy={kept[0]!r} and size={kept[1]} for all its "
                "readers: leave both arguments out to use these"
            )
        if asked != kept:
            self.policy, self.size = asked
            self.ring = self._new_ring(self.ring)
        self._options_fixed = self._options_fixed or policy is not None or size is not None

    def _new_ring(self, events: Ring[Event]) -> Ring[Event]:
        """Return a ring of the current size, with the given events."""
        # The event that reports a stop does not wait for slow readers, so it needs an extra slot.
        held = self.size + 1 if self.policy == "wait" else self.size
        ring: Ring[Event] = Ring(held, begin=events.begin)
        for number in range(events.begin, events.end):
            ring.append(events[number])
        return ring

    # -- events that have arrived --------------------------------------------

    def look_for_news(self, place: ReaderPlace, seen: int) -> Any:  # noqa: ANN401 - `NEWS`, or None
        """Return `NEWS` if something has arrived since a reader last looked, otherwise None.

        Args:
            place: The reader's place.
            seen: Number of events that had arrived when the reader last looked.
        """
        if place.is_closed:
            raise self.driver.exhausted
        number = self.news[0]
        if number == seen:
            return None
        place.seen_before, place.seen_count = seen, number
        return NEWS

    def take_event(self, place: ReaderPlace) -> Event | None:
        """Return the next event of a reader; None if no event has arrived for it.

        Raises:
            MisuseError: The reader is too far behind, and the policy is not "drop_oldest".
        """
        if place.is_closed:
            raise self.driver.exhausted
        if not place.reads_events:
            self._begin_events(place)
        place.last_user = self.identify_caller()
        if place.summary:
            return place.summary.pop()
        ring = self.ring
        position = place.position
        if place.lost_by or position < ring.begin:
            position = self._apply_policy(place)
        if position == ring.end:
            return None
        place.position = position + 1
        if self._slow_count and position <= ring.end - self.size:
            self._slow_count -= 1
            if not self._slow_count:
                self.announce_room()
        return ring[position]

    def _begin_events(self, place: ReaderPlace) -> None:
        """Start to deliver events to a reader.

        If the first of them are no longer held, the reader gets a summary of the answer so far.
        """
        place.reads_events = self._options_fixed = True
        if place.position < self.ring.begin:
            from tokenstream.stream._views.event_cursor import EventCursor

            place.summary = EventCursor(self.driver.accumulator).ready()[::-1]
            place.position = self.ring.end
        if self.policy == "wait":
            if len(self._readers) >= self._sweep_at:
                self._readers = [place for place in self._readers if not place.is_closed]
                self._sweep_at = max(_FEW, 2 * len(self._readers))
            self._readers.append(place)
            self._lowest_position = min(self._lowest_position, place.position)

    def _apply_policy(self, place: ReaderPlace) -> int:
        """Apply the policy to a reader whose next event is no longer held; return its new position."""
        missed = self.ring.begin - place.position
        if self.policy == "drop_oldest":
            place.dropped += missed
            place.position = self.ring.begin
            return place.position
        place.lost_by = place.lost_by or self.ring.end - place.position
        raise MisuseError(
            f"{place.name!r} fell {place.lost_by} events behind, and only {self.size} are held: "
            "read faster, give .broadcast() a larger size, or read its views, which miss nothing"
        )

    def publish(self, event: Event | None) -> None:
        """Add an event that was read to the queue for all readers."""
        if event is not None:
            self.ring.append(event)
            self.news = (self.news[0] + 1, event)

    def notify_listeners(self) -> None:
        """Call the listeners, because something has arrived."""
        # The dict is copied, because any thread may add or remove a listener meanwhile.
        for function in self._listeners.copy().values():
            function()

    # -- the leader ------------------------------------------------------------

    def identify_caller(self) -> object:
        """Return the current thread or task."""
        return threading.current_thread()

    def must_wait(self, caller: object, *, recheck: bool = True) -> bool:
        """Return True if the queue is full, so that no event may be read before slow readers go on.

        Args:
            caller: The current thread or task.
            recheck: True to check all readers again, because some may be closed by now.

        Raises:
            MisuseError: The current thread or task itself uses a slow reader, and would wait forever.
        """
        full = self.ring.end - self.size
        if self.policy != "wait" or self._lowest_position > full or self.driver.phase is Phase.ENDED:
            return False
        if self._slow_count and not recheck and id(caller) not in self._slow_users:
            return True
        # Do not wait for a reader whose thread or task has ended; the traceback of an error may keep
        # that reader alive.
        readers = self._readers = [
            place
            for place in self._readers
            if not place.is_closed and (place.position > full or not _has_ended(place.last_user))
        ]
        self._lowest_position = min((place.position for place in readers), default=self.ring.end)
        behind = [place for place in readers if place.position <= full]
        self._slow_count = len(behind)
        self._slow_users = {id(place.last_user) for place in behind}
        if id(caller) in self._slow_users:
            names = ", ".join(repr(place.name) for place in behind if place.last_user is caller)
            raise MisuseError(
                f"the queue of {self.size} events is full and waits for {names}, which this thread or task "
                "reads itself: read from it first, or close it, or use .broadcast(policy='drop_oldest')"
            )
        return bool(behind)

    @property
    def is_full(self) -> bool:
        """True if the queue was full at the last check."""
        return bool(self._slow_count) and not self.has_ended

    def _may_read(self, caller: object) -> bool:
        """Return True if a thread or task may read now: without a leader or full queue, before the end."""
        return self.leader is None and not self.has_ended and not self.must_wait(caller)

    def lead(self, caller: object) -> _Leadership:
        """Return a context in which a thread or task reads the stream for all readers."""
        return _Leadership(self, caller)

    def wake(self) -> None:
        """Wake all waiting readers, so that they look again."""
        for bell in self._bells:
            bell.set()

    def announce_room(self) -> None:
        """Wake the watcher, because a full queue may have room."""
        for bell in self._bells:
            bell.set()

    def end_reading(self, place: ReaderPlace) -> None:
        """Record that a reader is no longer in use."""
        place.in_use = False
        if self.watcher is place:
            self.watcher = None
            self.wake()

    def begin_polling(self, bell: ArrivalBell) -> None:
        """Begin to read for a loop that also reads other streams, unless there is a leader.

        Args:
            bell: Rung when something may have arrived.
        """
        self._bells = [*self._bells, bell]
        if self.leader is None:
            self.driver.begin_polling(bell)

    def release_driver(self) -> None:
        """Allow the driver to end the stream, unless a reader is reading."""
        if self.leader is None:
            self.driver.pump.busy = False


class _Leadership:
    """A context in which one thread or task reads the stream for all readers."""

    __slots__ = ("_caller", "_hub")

    def __init__(self, hub: Hub[Any], caller: object) -> None:
        self._hub = hub
        self._caller = caller

    def __enter__(self) -> None:
        self._hub.leader = self._caller
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
            # The error is not raised here, because the driver raises it for each reader.
            hub.has_ended = True
            return True
        return False


def _has_ended(owner: Any) -> bool:  # noqa: ANN401 - a thread, or a task of either kind
    """Return True if a thread or task has ended."""
    if isinstance(owner, threading.Thread):
        return not owner.is_alive()
    if sys.modules.get("trio") is not None and hasattr(owner, "coro"):
        return inspect.getcoroutinestate(owner.coro) == inspect.CORO_CLOSED
    return bool(owner.done())


# -- options ---------------------------------------------------------------------


def check_options(
    policy: Any,  # noqa: ANN401 - any argument
    size: Any,  # noqa: ANN401 - any argument
    usual: Policy = "wait",
    held: int = _SIZE,
) -> tuple[Policy, int]:
    """Return the options of a hub, with defaults instead of None.

    Args:
        policy: The policy; None for `usual`.
        size: Number of events to hold; None for `held`.
        usual: The default policy.
        held: The default number of events.

    Raises:
        MisuseError: An option is invalid.
    """
    policy, size = usual if policy is None else policy, held if size is None else size
    if policy not in _POLICIES:
        raise MisuseError(f"policy={policy!r} is unknown: use one of {', '.join(map(repr, _POLICIES))}")
    return policy, check_whole("size", size)

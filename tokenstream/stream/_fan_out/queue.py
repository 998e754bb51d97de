"""The queue of a broadcast: the events that have arrived, and each reader's cursor in them.

A *slow reader* is a loop over events that has fallen behind by as many events as the queue holds;
its policy decides on the events that it lacks.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, get_args

from tokenstream.errors import MisuseError
from tokenstream.events import Event, Restarted
from tokenstream.limits import check_whole
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._options import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._sync_driver import SyncDriver

    FoundT = TypeVar("FoundT")
    Finder: TypeAlias = Callable[[], FoundT | None]


_SIZE = 1024
"""Default number of events held for readers that are behind."""
_FEW = 64
"""Number of readers up to which closed readers stay in the list; only a longer list is cleaned."""
PATIENCE = 0.1
"""Seconds between two checks whether the slow readers of a full queue still exist."""
NEWS: Any = object()
"""Takes the place of an event for a view: something has arrived, which the view reads from the message."""
_POLICIES: tuple[Policy, ...] = get_args(Policy)

DriverT = TypeVar("DriverT", bound="SyncDriver | AsyncDriver")


class Ring(Generic[ItemT]):
    """The last items of a sequence, each accessible by its number.

    Any number of readers share a ring: a reader's state is the number of its next item.

    Args:
        size: The largest number of items that are held.
        begin: The number of the first item.

    Example:
        >>> ring = Ring[str](2)
        >>> for letter in "abc":
        ...     ring.append(letter)
        >>> ring.begin, ring.end, ring[1], ring[2]
        (1, 3, 'b', 'c')
    """

    def __init__(self, size: int, *, begin: int = 0) -> None:
        self.end = begin
        """The number that the next item will get."""
        self._items: deque[ItemT] = deque(maxlen=size)

    @property
    def begin(self) -> int:
        """The number of the oldest item that is held."""
        return self.end - len(self._items)

    def append(self, item: ItemT) -> None:
        """Add an item; it replaces the oldest one if the ring is full."""
        self._items.append(item)
        self.end += 1

    def __getitem__(self, number: int) -> ItemT:
        if not self.begin <= number < self.end:
            raise IndexError(number)
        return self._items[number - self.begin]


class ReaderCursor:
    """A reader's cursor in the events of a stream."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.next = number
        """Number of the next event to deliver, counted from the start of the stream."""
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
        """Number of events that had arrived at the look before the last one; see `seen_count`."""
        self.in_use = False
        self.is_closed = False
        """True once the reader was closed or dropped."""
        self.last_user: object = None
        """The thread or task that last read an event from the reader."""

    def begin_behind(self, summary: list[Event], number: int) -> None:
        """Begin with events (reversed) that summarise the answer so far, and go on at a later event."""
        self.summary = summary
        self.next = number

    def skip_to(self, number: int) -> int:
        """Miss the events before the one of this number; return the number."""
        self.dropped += number - self.next
        self.next = number
        return number

    def lose_next(self, end: int) -> int:
        """Note that the next event is lost; return by how many events the reader was then behind."""
        self.lost_by = self.lost_by or end - self.next
        return self.lost_by


class EventQueue(Generic[DriverT]):
    """Holds the events of a stream for several readers, each of which takes every event."""

    def __init__(self, driver: DriverT) -> None:
        self.driver = driver
        self.policy: Policy = "wait"
        """Handling of a loop over events that falls `size` events behind."""
        self.size = _SIZE
        """Number of events to hold for loops over events."""
        machine = driver.machine
        # `wait_open` gives the event that it has read back to the machine, so readers still get that event.
        were_events_read = machine.meter.first_event_at is not None and machine.way.again is None
        # Readers begin at event 0. If events were read before, the ring begins at 1, so that
        # readers get a summary instead.
        self.ring: Ring[Event] = self._new_ring(Ring(1, begin=1 if were_events_read else 0))
        self._options_fixed = False
        """True once the options were set, or a loop over events has begun."""
        self.news: tuple[int, Any] = (0, None)
        """Number of events that have arrived, and the last event."""
        self.last_restart: tuple[int, Event | None] = (-1, None)
        """Number of the last event that began the answer anew, and this event."""
        self.has_ended = False
        """True once the stream has ended and all its events were read."""
        self._numbers = count(1)
        """Numbers for readers without a name."""
        self._readers: list[ReaderCursor] = []
        """Cursors of the loops over events, for which the policy "wait" waits."""
        self._sweep_at = _FEW
        """Number of readers at which closed readers are removed from the list."""
        self._lowest_number = 0
        """A number that is not greater than that of any cursor's next event in `_readers`."""
        self._slow_count = 0
        """Number of readers for which a full queue waited at the last check."""
        self._slow_users: set[int] = set()
        """Ids of the threads or tasks that use the readers counted by `_slow_count`."""

    def identify_caller(self) -> object:
        """Return the current thread or task."""
        return threading.current_thread()

    def announce_room(self) -> None:
        """Wake a reader that waits for room in a full queue."""
        raise NotImplementedError

    def add_reader(self, name: str | None, *, from_now: bool = False) -> ReaderCursor:
        """Add a reader, whose name is by default a number, and return its cursor in the stream."""
        return ReaderCursor(
            f"reader {next(self._numbers)}" if name is None else name, self.ring.end if from_now else 0
        )

    def set_options(self, policy: Policy | None, size: int | None) -> None:
        """Set the options for all readers; None accepts any, and a loop over events fixes them."""
        current = (self.policy, self.size)
        requested = check_options(policy, size, *current)
        if requested != current and self._options_fixed:
            raise MisuseError(
                f"this stream is already shared with policy={current[0]!r} and size={current[1]} for all its "
                "readers: leave both arguments out to use these"
            )
        if requested != current:
            self.policy, self.size = requested
            self.ring = self._new_ring(self.ring)
        self._options_fixed = self._options_fixed or policy is not None or size is not None

    def _new_ring(self, events: Ring[Event]) -> Ring[Event]:
        """Return a ring buffer of the queue's present size, with the events of the buffer before it."""
        # The event that reports a stop does not wait for slow readers, so it needs an extra slot.
        slots = self.size + 1 if self.policy == "wait" else self.size
        ring: Ring[Event] = Ring(slots, begin=events.begin)
        for number in range(events.begin, events.end):
            ring.append(events[number])
        return ring

    # -- events that have arrived --------------------------------------------

    def look_for_news(self, cursor: ReaderCursor, seen_count: int) -> object:
        """Return the constant `NEWS` if something has arrived since a reader last looked, otherwise None.

        For a closed reader, this raises the exception that ends its loop.
        """
        if cursor.is_closed:
            raise self.driver.exhausted
        event_count = self.news[0]
        if event_count == seen_count:
            return None
        cursor.seen_before, cursor.seen_count = seen_count, event_count
        return NEWS

    def take_event(self, cursor: ReaderCursor) -> Event | None:
        """Return the next event of a reader; None if no event has arrived for it.

        For a closed reader, this raises the exception that ends its loop.
        """
        if cursor.is_closed:
            raise self.driver.exhausted
        if not cursor.reads_events:
            # The first read; if the first events are no longer held, this makes the summary.
            self._begin_events(cursor)
        cursor.last_user = self.identify_caller()
        if cursor.summary:
            # Events that summarise the answer so far, in reverse order.
            return cursor.summary.pop()
        ring = self.ring
        number = cursor.next
        if cursor.lost_by or number < ring.begin:
            # The reader's next event is no longer held.
            number = self._apply_policy(cursor)
            if cursor.summary:
                return cursor.summary.pop()
        if number == ring.end:
            return None
        cursor.next = number + 1
        if self._slow_count and number <= ring.end - self.size:
            # This reader was slow until now.
            self._slow_count -= 1
            if not self._slow_count:
                self.announce_room()
        return ring[number]

    def _begin_events(self, cursor: ReaderCursor) -> None:
        """Start to deliver events to a reader, or a summary if the first ones are no longer held."""
        cursor.reads_events = self._options_fixed = True
        if cursor.next < self.ring.begin:
            from tokenstream.stream._views.event_cursor import EventCursor

            # Reversed, because `take_event` takes the events from the end of the list.
            cursor.begin_behind(EventCursor(self.driver.accumulator).ready()[::-1], self.ring.end)
        # Other policies never wait for a reader, so they need no list of readers.
        if self.policy == "wait":
            # Closed readers are removed each time the list has doubled: that goes through all readers.
            if len(self._readers) >= self._sweep_at:
                self._readers = [cursor for cursor in self._readers if not cursor.is_closed]
                self._sweep_at = max(_FEW, 2 * len(self._readers))
            self._readers.append(cursor)
            self._lowest_number = min(self._lowest_number, cursor.next)

    def _apply_policy(self, cursor: ReaderCursor) -> int:
        """Let a slow reader skip events that are not held, but for a restart's; return the next number."""
        if self.policy == "drop_oldest":
            number, restarted = self.last_restart
            if restarted is not None and cursor.next <= number < self.ring.begin:
                # The reader must not take the events after it for a part of the answer that was given up.
                cursor.summary.append(restarted)
                cursor.dropped -= 1
            return cursor.skip_to(self.ring.begin)
        # Later calls raise the same error, with the number of the first one.
        behind = cursor.lose_next(self.ring.end)
        raise MisuseError(
            f"{cursor.name!r} fell {behind} events behind, and only {self.size} are held: "
            "read faster, give .broadcast() a larger size, or read its views, which miss nothing"
        )

    def publish(self, event: Event | None) -> None:
        """Add an event that was read to the queue, for all readers; do nothing if it is None."""
        if event is not None:
            self.ring.append(event)
            # The number of events so far, and the last event.
            self.news = (self.news[0] + 1, event)
            if event.__class__ is Restarted:
                self.last_restart = (self.ring.end - 1, event)

    # -- a full queue --------------------------------------------------------

    def check_slow(self, caller: object, *, recheck: bool = True) -> bool:
        """Look for slow readers; return True if no event may be read before they go on.

        It is a mistake if the `caller`, a thread or task, uses a slow reader itself: it would wait
        forever.
        """
        last_slow = self.ring.end - self.size
        is_anybody_slow = self.policy == "wait" and self._lowest_number <= last_slow
        if not is_anybody_slow or self.driver.has_ended:
            # After the end, only the report of a stop may follow, which does not wait for slow readers.
            return False
        found_slow_readers = self._slow_count > 0
        is_caller_slow = id(caller) in self._slow_users
        if found_slow_readers and not is_caller_slow and not recheck:
            # The result of the last check still counts.
            return True
        # Do not wait for a reader whose thread or task has ended; the traceback of an error may keep
        # that reader alive.
        readers = self._readers = [
            cursor
            for cursor in self._readers
            if not cursor.is_closed and (cursor.next > last_slow or not _has_ended(cursor.last_user))
        ]
        self._lowest_number = min((cursor.next for cursor in readers), default=self.ring.end)
        slow = [cursor for cursor in readers if cursor.next <= last_slow]
        self._slow_count = len(slow)
        self._slow_users = {id(cursor.last_user) for cursor in slow}
        if id(caller) in self._slow_users:
            names = ", ".join(repr(cursor.name) for cursor in slow if cursor.last_user is caller)
            raise MisuseError(
                f"the queue of {self.size} events is full and waits for {names}, which this thread or task "
                "reads itself: read from it first, or close it, or use .broadcast(policy='drop_oldest')"
            )
        return bool(slow)

    @property
    def is_full(self) -> bool:
        """True if the queue was full at the last check."""
        return bool(self._slow_count) and not self.has_ended


def _has_ended(user: Any) -> bool:  # noqa: ANN401 - a thread, or a task of either kind
    """Return True if a thread or task has ended."""
    if isinstance(user, threading.Thread):
        return not user.is_alive()
    # Only trio's tasks have this attribute; they have no method that shows if they have ended.
    if sys.modules.get("trio") is not None and hasattr(user, "coro"):
        return inspect.getcoroutinestate(user.coro) == inspect.CORO_CLOSED
    return bool(user.done())


def check_options(
    policy: object, size: object, default_policy: Policy = "wait", default_size: int = _SIZE
) -> tuple[Policy, int]:
    """Return the options of a hub, with defaults instead of None."""
    policy = default_policy if policy is None else policy
    size = default_size if size is None else size
    if policy not in _POLICIES:
        raise MisuseError(f"policy={policy!r} is unknown: use one of {', '.join(map(repr, _POLICIES))}")
    return policy, check_whole("size", size)

"""The driver of a broadcast's reader, sync or async, which replaces the driver of the stream."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast

from tokenstream._basics.elsewhere import UncopyableObject
from tokenstream.errors import MisuseError
from tokenstream.stages._protocols import ItemT
from tokenstream.stream._fan_out.queue import NEWS, PATIENCE, ReaderCursor
from tokenstream.stream._views.aspects import Cursors

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tokenstream._basics.loose import Action
    from tokenstream.stages._protocols import Cursor
    from tokenstream.stream._fan_out.hub import Hub
    from tokenstream.stream._opening import First
    from tokenstream.stream._options import Policy
    from tokenstream.stream._protocols import Driver
    from tokenstream.stream._reading.items import ArrivalBell

    FromHub: TypeAlias = Any
    """A hub's result: a value from a `SyncHub`, an awaitable of that value from an `AsyncHub`."""


class SharedCursor(Generic[ItemT]):
    """A reader's cursor in an answer that a broadcast reads for all its readers.

    Other readers may be ahead, so more than one event may have arrived since this cursor last looked.
    """

    def __init__(self, cursor: Cursor[ItemT], hub: Hub[Any], reader_cursor: ReaderCursor) -> None:
        self._cursor = cursor
        self._hub = hub
        self._reader_cursor = reader_cursor
        self._waiting: deque[Any] | None = getattr(cursor, "waiting", None)
        """The items that a text cursor returns next, usually none; None for any other cursor."""
        self._seen_count = -2
        """Number of events that had arrived when the cursor last looked.

        It is -2 before the first look, which thus never finds exactly one new event: that event alone
        would be read, but a first look has to read all of the text.
        """

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Return an attribute that only some cursors have, such as `repairs`."""
            return getattr(self._cursor, name)

    def ready(self) -> ItemT | None:
        """Return the next item that the reader does not have yet; None if the reader has all items."""
        number, last_event = self._hub.news
        new_count = number - self._seen_count
        self._reader_cursor.seen_count = self._seen_count = number
        # If only one event is new, its piece need not be looked up in the text.
        if new_count == 1 and self._waiting is not None and not self._waiting:
            return self._cursor.after(last_event)
        return self._cursor.ready()

    def after(self, event: object) -> ItemT | None:
        """Return the next item that the reader lacks, or None; the event may also be `NEWS`."""
        reader_cursor = self._reader_cursor
        event_count, last_event = self._hub.news
        reader_cursor.seen_count = self._seen_count = event_count
        # `seen_before` is the number of events before the look that has found this news.
        is_only_one_new = event is NEWS and event_count == reader_cursor.seen_before + 1
        # A single new event need not be looked up in the message.
        return self._cursor.after(last_event) if is_only_one_new else self._cursor.ready()

    def end(self) -> ItemT | None:
        return self._cursor.end()

    def make_waiting(self) -> SharedCursor[ItemT]:
        cursor: Any = self._cursor  # only views of calls ask for this
        waiting = cursor.make_waiting()
        return type(self)(waiting, self._hub, self._reader_cursor)


class SharedCursors:
    """Makes the same cursors as `Cursors`, wrapped for one reader of a broadcast."""

    def __init__(self, cursors: Cursors, share: Callable[[Cursor[Any]], SharedCursor[Any]]) -> None:
        self._cursors = cursors
        self._share = share

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., SharedCursor[Any]]:
            """Return a function that makes the cursor of this name, wrapped for the reader."""
            make = getattr(self._cursors, name)

            def make_shared(*args: object, **named: object) -> SharedCursor[Any]:
                return self._share(make(*args, **named))

            return make_shared


class ReaderDriver(UncopyableObject):
    """Replaces the stream's driver in one reader of a broadcast.

    Attributes that are not defined here are the attributes of the stream's driver. Methods that
    wait return the hub's result: a value from a `SyncHub`, an awaitable from an `AsyncHub`.

    Args:
        hub: The hub, which reads the stream for all readers.
        is_stream: True if the reader is the stream itself, so that closing it closes the stream.
    """

    cursor_type: type[SharedCursor[Any]] = SharedCursor
    """The class that wraps a cursor for the reader."""

    def __init__(self, hub: Hub[Any], cursor: ReaderCursor, *, is_stream: bool = False) -> None:
        self.hub: FromHub = hub
        self.cursor = cursor
        self.is_stream = is_stream

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            return getattr(self.hub.driver, name)

    def __repr__(self) -> str:
        return repr(self.hub.driver) if self.is_stream else f"<{self.cursor.name!r} of {self.hub.driver!r}>"

    def __del__(self) -> None:
        # `__del__` runs in any thread at any time, so it must not take a lock. Waiting readers check
        # `is_closed` from time to time.
        self.cursor.is_closed = True

    # -- reading -----------------------------------------------------------

    def cursors(self, choice: int) -> SharedCursors:
        # This object has all members of the stream's driver.
        return SharedCursors(Cursors(cast("Driver", self), choice), self._share)

    def _share(self, cursor: Cursor[Any]) -> SharedCursor[Any]:
        return self.cursor_type(cursor, self.hub, self.cursor)

    def set_options(self, policy: Policy | None, size: int | None) -> None:
        self.hub.set_options(policy, size)

    @property
    def event_driver(self) -> _EventDriver:
        """A form of this driver for a router's event handlers: its `step` returns events, never `NEWS`."""
        return _EventDriver(self)

    def next_event(self) -> FromHub:
        """Return the reader's next event; after the last event, raise the stream's error or end the loop."""
        return self.hub.wait_for(self.cursor, partial(self.hub.take_event, self.cursor), None)

    def step(self) -> FromHub:
        """Wait until something has arrived that no view of the reader has read yet; then return `NEWS`.

        The constant `NEWS` takes the place of an event: the views read what has arrived from the message.
        """
        return self.step_until(None)

    def step_until(self, until: float | None, *, pauses: bool = False) -> FromHub:
        """Wait until something unseen has arrived, and return `NEWS`; at the time `until`, return None.

        A view that `pauses` also gets None once only the rest of the connection is left to be read.
        """
        return self.hub.wait_for(self.cursor, self._make_news_finder(), until, pauses=pauses)

    def step_now(self) -> FromHub:
        """Return `NEWS` if something has arrived that no view of the reader has read yet, else None."""
        return self.hub.look_now(self._make_news_finder(), self.hub.driver.step_now)

    def _make_news_finder(self) -> Action:
        """Return a function that, without waiting, returns `NEWS` if there is something unseen, else None."""
        return partial(self.hub.look_for_news, self.cursor, self.cursor.seen_count)

    def check_events_left(self) -> None:
        hub, cursor = self.hub, self.cursor
        if cursor.is_closed:
            raise MisuseError(
                "this reader was closed: ask .broadcast() of its stream for another one", kind="closed"
            )
        # A reader that has read no events yet starts with all that are held, or with their summary.
        are_events_left = not cursor.reads_events or self.has_events
        if hub.has_ended and not are_events_left and hub.driver.error is None:
            # The driver refuses the loop. (After an error, the loop itself raises that error.)
            hub.driver.check_events_left()

    # -- beside other streams, in one loop -----------------------------------

    @property
    def has_events(self) -> bool:
        # A late reader first gets a summary of the events that are no longer held.
        return bool(self.cursor.summary) or self.cursor.next != self.hub.ring.end

    @property
    def will_ring(self) -> bool:
        """True if nothing is left to deliver, and the next arrival sets the bell passed to `poll`."""
        waiting: bool = self.hub.driver.will_ring
        return waiting and not self.has_events

    @property
    def earliest_deadline(self) -> float:
        """A time before which a loop over several streams need not check the deadlines of this reader.

        While the queue is full, it is minus infinity, so that the loop checks each time: a slow reader, for
        which the queue waits, may be gone without notice.
        """
        due: float = self.hub.driver.earliest_deadline
        return -math.inf if self.hub.is_full else due

    def idle_until(self, since: float) -> float | None:
        """Return the time at which to call `expire` if nothing has arrived `since`; None for never."""
        # A full queue may wait for a thread or task that ends without notice, so check again soon.
        until: float | None = since + PATIENCE if self.hub.is_full else self.hub.driver.idle_until(since)
        return until

    def begin_polling(self, bell: ArrivalBell) -> None:
        self.hub.begin_polling(bell)

    def poll(self, bell: ArrivalBell | None = None) -> FromHub:
        """Return the next event; None if none has arrived: its arrival sets the bell, if there is one."""
        hub, driver = self.hub, self.hub.driver
        read = driver.step_now if bell is None else partial(driver.poll, bell)
        return hub.look_now(partial(hub.take_event, self.cursor), read)

    # -- opening and ending --------------------------------------------------

    @property
    def is_reading(self) -> bool:
        return self.hub.leader is not None

    def open_now(self) -> FromHub:
        return self.hub.run_alone(self.hub.driver.open_now)

    def wait_open(self, first: First) -> FromHub:
        return self.hub.run_alone(partial(self.hub.driver.wait_open, first))

    def record_closing(self) -> None:
        """Record that the stream is closed before its end."""
        # The hub keeps the pump marked as busy, so that nobody else reads.
        self.hub.free_pump()
        self.hub.driver.record_closing()

    def close(self, **how: bool) -> FromHub:
        """Close this reader; if this reader is the stream itself, close the stream for all readers."""
        return self.hub.close(**how) if self.is_stream else self.hub.remove_reader(self.cursor)


class _EventDriver:
    """The driver of a broadcast's reader for the event handlers of a router: its `step` returns events.

    The `step` of a `ReaderDriver` only reports that something has arrived.
    """

    def __init__(self, reader_driver: ReaderDriver) -> None:
        self._reader_driver = reader_driver

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            return getattr(self._reader_driver, name)

    def step(self) -> FromHub:
        return self._reader_driver.next_event()


class ReaderFacts:
    """The properties that a reader has in addition to those of a stream."""

    __slots__ = ()

    _driver: Any

    @property
    def name(self) -> str:
        """The name of the reader in error messages."""
        return self._reader_driver.cursor.name

    @property
    def dropped(self) -> int:
        """Number of events that the reader has missed under the policy "drop_oldest"."""
        return self._reader_driver.cursor.dropped

    @property
    def _reader_driver(self) -> ReaderDriver:
        """The driver of this reader, with the type that type checkers do not know of `_driver`."""
        driver: ReaderDriver = self._driver
        return driver

"""Cursors for one reader of a broadcast, in an answer of which other readers may have read more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tokenstream.stream._fan_out.queue import NEWS

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tokenstream.stages._cursor import Cursor
    from tokenstream.stream._fan_out.hub import Hub
    from tokenstream.stream._fan_out.queue import ReaderPlace
    from tokenstream.stream._protocols import CallCursor
    from tokenstream.stream._views.aspects import Cursors

ItemT = TypeVar("ItemT")

if TYPE_CHECKING:
    from tokenstream.stream._views.aspects import Cursors as _CursorMaker
else:
    # At run time, `__getattr__` takes each method from the `Cursors` of the reader.
    _CursorMaker = object


class SharedCursor(Generic[ItemT]):
    """A reader's position in an answer that a broadcast reads for all its readers.

    Other readers may be ahead, so more than one event may have arrived since this cursor last looked.

    Args:
        hub: The hub, which reads the stream for all readers.
    """

    __slots__ = ("_cursor", "_hub", "_place", "_seen_count", "_waiting")

    def __init__(self, cursor: Cursor[ItemT], hub: Hub[Any], place: ReaderPlace) -> None:
        self._cursor = cursor
        self._hub = hub
        self._place = place
        self._waiting: deque[Any] | None = getattr(cursor, "waiting", None)
        """What a text cursor returns next, which is mostly nothing; None for any other cursor."""
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
        self._place.seen_count = self._seen_count = number
        # If only one event is new, its piece need not be looked up in the text.
        if new_count == 1 and self._waiting is not None and not self._waiting:
            return self._cursor.after(last_event)
        return self._cursor.ready()

    def after(self, event: object) -> ItemT | None:
        """Return the next item that the reader does not have yet; None if the reader has all items.

        Args:
            event: An event, or `NEWS`, which only says that something has arrived.
        """
        place = self._place
        event_count, last_event = self._hub.news
        place.seen_count = self._seen_count = event_count
        # `seen_before` is the number of events before the look that has found this news.
        is_only_one_new = event is NEWS and event_count == place.seen_before + 1
        # A single new event need not be looked up in the message.
        return self._cursor.after(last_event) if is_only_one_new else self._cursor.ready()

    def end(self) -> ItemT | None:
        """Return the next item that the end of the stream adds; None if the end adds no further item."""
        return self._cursor.end()

    def make_waiting(self) -> SharedCursor[ItemT]:
        """Return a cursor that delivers the tool calls only once the answer is complete."""
        cursor: CallCursor[ItemT] = self._cursor  # type: ignore[assignment] # only such a view asks for this
        return type(self)(cursor.make_waiting(), self._hub, self._place)


class SharedCursors(_CursorMaker):
    """Makes the same cursors as `Cursors`, wrapped for one reader of a broadcast."""

    __slots__ = ("_cursors", "_share")

    def __init__(self, cursors: Cursors, share: Callable[[Cursor[Any]], SharedCursor[Any]]) -> None:
        self._cursors = cursors
        self._share = share

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[..., SharedCursor[Any]]:
            """Return a function that makes the cursor of this name, wrapped for the reader."""
            make = getattr(self._cursors, name)

            def make_shared(*args: object, **named: object) -> SharedCursor[Any]:
                """Call the method of `Cursors` with these arguments, and wrap its cursor for one reader."""
                return self._share(make(*args, **named))

            return make_shared

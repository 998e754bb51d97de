"""The reading of a stream for several readers: one of them reads, and the others wait for it.

A reader that needs more than has arrived becomes the *leader*: it reads one event for all
readers, and then wakes the others, which wait meanwhile. No extra task or thread is needed.
Subclasses for threads and for tasks do the waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError, StreamError
from tokenstream.stream._fan_out.queue import DriverT, EventQueue, ReaderCursor, check_options

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tokenstream._basics.loose import Action
    from tokenstream.message import ToolCall
    from tokenstream.stream._options import Policy
    from tokenstream.stream._reading.items import ArrivalBell


class Hub(EventQueue[DriverT]):
    """Reads a stream once for all readers of a broadcast, whose views are cursors in one shared message."""

    def __init__(self, driver: DriverT) -> None:
        super().__init__(driver)
        self.leader: object = None
        """The thread or task that reads the stream for all readers; None between two reads."""
        self.watcher: ReaderCursor | None = None
        """Place of the only reader that is woken once a full queue has room; its read wakes the others."""
        self.around_tool: Callable[[ToolCall], AbstractContextManager[Any]] | None = None
        """Returns the context in which a router runs a tool; None for no context."""
        self._listeners: dict[object, Action] = {}
        """The functions to call when something has arrived, each under a key of its own."""
        self._bells: list[ArrivalBell] = []
        """Bells, each of which wakes a loop, such as a merge, that also reads other streams."""
        # A pump that seems busy refuses every read except those of a leader.
        driver.pump.busy = True
        driver.share(self)

    def __del__(self) -> None:
        """Allow others to read the stream again, because the hub is dropped; its creation may have failed."""
        driver = getattr(self, "driver", None)
        if driver is not None:
            driver.pump.busy = False

    @classmethod
    def share(cls, driver: Any, policy: Policy | None, size: int | None) -> Any:  # noqa: ANN401 - of either kind
        """Return a stream's broadcast, and the driver that the stream itself must use from now on.

        By default, the policy is "wait" and the size 1,024 events.
        """
        if driver.diverted:
            raise MisuseError(
                "the answers of this connection are read one by one: share each stream of `.responses`"
            )
        check_options(policy, size)
        hub: Any = cls(driver.source_driver)
        hub.set_options(policy, size)
        # The stream becomes a reader that continues where it was; closing this reader closes the source.
        return hub.make_broadcast(hub.add_reader("the stream", from_now=True))

    def listen(self, function: Action) -> Callable[[], None]:
        """Call a function at every arrival and at the end; return a function that ends these calls.

        The function is called during a read, so it must not block.
        """
        # The function itself cannot be the key, because it may be added twice.
        key = object()
        self._listeners[key] = function

        def end() -> None:
            """Stop calling the listener; a second call of this function does nothing."""
            self._listeners.pop(key, None)

        return end

    def notify_listeners(self) -> None:
        """Call the listeners, because something has arrived."""
        # The dict is copied, because any thread may add or remove a listener meanwhile.
        for function in self._listeners.copy().values():
            function()

    # -- the leader ------------------------------------------------------------

    def _may_read(self, caller: object) -> bool:
        """Return True if a thread or task may read the next event now, for all readers."""
        return self.leader is None and not self.has_ended and not self.check_slow(caller)

    def has_waited(self, until: float | None, *, pauses: bool) -> bool:
        """Return True if a reader waits no longer: time is up, or only the connection's rest is left."""
        is_late = until is not None and self.driver.clock() >= until
        return is_late or (pauses and self.driver.rests)

    def lead(self, caller: object) -> _Leadership:
        return _Leadership(self, caller)

    def end_leading(self, error: BaseException | None) -> bool:
        """Wake the other readers after a read for all; return True if each raises the exception itself."""
        self.leader = None
        # From now on, the pump refuses reads again.
        self.driver.pump.busy = True
        self.wake()
        # `exhausted` is the exception that ends a loop: StopIteration or StopAsyncIteration.
        if self.driver.has_ended and isinstance(error, (self.driver.exhausted, StreamError)):
            # The error is not raised here, because the driver raises it for each reader.
            self.has_ended = True
            return True
        return False

    def wake(self) -> None:
        """Wake all that wait for news of the stream, so that they look again.

        This class rings the bells of loops over several streams; each subclass also wakes the readers.
        """
        for bell in self._bells:
            bell.set()

    def announce_room(self) -> None:
        """Announce that the queue of events has room again.

        This class rings the bells of loops over several streams; each subclass also wakes the `watcher`,
        the reader that waits for room.
        """
        for bell in self._bells:
            bell.set()

    def end_reading(self, cursor: ReaderCursor) -> None:
        cursor.in_use = False
        if self.watcher is cursor:
            self.watcher = None
            self.wake()

    def begin_polling(self, bell: ArrivalBell) -> None:
        """Begin to read for a loop that also reads other streams, unless a reader is reading for all now."""
        # A new list, because another thread may be going through the old one.
        self._bells = [*self._bells, bell]
        if self.leader is None:
            self.driver.begin_polling(bell)

    def free_pump(self) -> None:
        """Mark the driver's pump as free, unless a reader is reading now.

        Between two reads, the pump seems busy; the driver would then not end the stream.
        """
        if self.leader is None:
            self.driver.pump.busy = False


class _Leadership:
    """A context in which one thread or task reads the stream for all readers."""

    def __init__(self, hub: Hub[Any], caller: object) -> None:
        self._hub = hub
        self._caller = caller

    def __enter__(self) -> None:
        self._hub.leader = self._caller
        # The pump seems busy to all others, and refuses their reads; only now it may be read.
        self._hub.driver.pump.busy = False

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        """Wake the other readers; suppress the exception that ends the stream: each reader raises it."""
        return self._hub.end_leading(error)


class BroadcastBase:
    """One stream for several consumers; subclasses make the readers."""

    def __init__(self, hub: Hub[Any]) -> None:
        self._hub = hub

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._hub.driver!r}>"

    def listen(self, function: Callable[[], object]) -> Callable[[], None]:
        """Call a function whenever something has arrived, and at the end of the stream.

        The function is called during a read, so it must neither block nor raise an exception.

        Args:
            function: The function, which gets no arguments.

        Returns:
            A function that ends these calls.
        """
        return self._hub.listen(function)

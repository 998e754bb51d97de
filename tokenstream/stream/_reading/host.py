"""The event loop in which a stream is read, of asyncio or of trio, and the alarm of a reader on asyncio."""

from __future__ import annotations

import math
import sys
import weakref
from operator import attrgetter
from time import monotonic
from types import coroutine
from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import do_nothing
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator

    from tokenstream._basics.loose import Action, AnyFunction


class Host:
    """An event loop that can be recognised, and that any thread can ask to call a function.

    Args:
        find: Returns the loop running in this thread.
        call: Returns a loop's thread-safe method to schedule a function.
        name: "asyncio" or "trio".

    Raises:
        RuntimeError: No loop of that kind is running in this thread.
    """

    def __init__(self, find: AnyFunction, call: Callable[[Any], Any], name: str) -> None:
        self.loop = find()
        """The asyncio loop, or the trio token."""
        self.name = name
        """ "asyncio" or "trio"."""
        self._find = find
        self._call = call(self.loop)

    def is_running(self) -> bool:
        try:
            return self._find() is self.loop
        except RuntimeError:
            return False

    def is_over(self) -> bool:
        """Return True if this loop has ended for good; may be called from any thread."""
        return not self.is_running() and not self.call(do_nothing)

    def check_running(self) -> bool:
        """Return True if this loop runs the calling code, False if it has ended; refuse to mix two loops."""
        if self.is_running():
            return True
        if self.is_over():
            return False
        raise MisuseError(
            f"the stream is read in {self}, and cannot be read in {find_host() or 'no loop'}: "
            "read it where it was opened, or open a new one"
        )

    def call(self, function: Action) -> bool:
        """Have the loop call a function soon, from any thread; return False if the loop has ended."""
        try:
            self._call(function)
        except RuntimeError:
            # Raised by a closed loop of either kind; trio's error is a RuntimeError too.
            return False
        return True

    def __repr__(self) -> str:
        return f"{self.name} loop {id(self.loop):#x}"


def find_host() -> Host | None:
    """Return the event loop that is running in this thread, or None.

    Streams in one loop share the same `Host`, to save memory.
    """
    # The list holds a weak reference to the host that was found last.
    last_host = _last_host[0]()
    if last_host is not None and last_host.is_running():
        return last_host
    for name, find, call in _LOOP_KINDS:
        # A library that is not imported has no running loop.
        library = sys.modules.get(name)
        if library is not None:
            try:
                host = Host(find(library), call, name)
            except RuntimeError:
                # No loop of this library is running in this thread.
                continue
            _last_host[0] = weakref.ref(host)
            return host
    return None


_last_host: list[Callable[[], Host | None]] = [lambda: None]
"""A weak reference to the last loop found."""
_LOOP_KINDS: tuple[tuple[str, Callable[[Any], AnyFunction], Callable[[Any], Any]], ...] = (
    ("trio", attrgetter("lowlevel.current_trio_token"), attrgetter("run_sync_soon")),
    ("asyncio", attrgetter("get_running_loop"), attrgetter("call_soon_threadsafe")),
)
"""For each library: its name, and functions that return the `find` and the `call` of `Host`."""


@coroutine
def pass_turn() -> Generator[None, None, None]:
    """Let the other tasks of an asyncio loop run once, in a third of the time of `asyncio.sleep(0)`."""
    yield


class Alarm:
    """Wakes one task of asyncio: when something arrives, or at a given time.

    An alarm has no reference to its reader, so that a stream that was dropped can be garbage-collected
    although its timer rings minutes later.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiter: asyncio.Future[float | None] | None = None
        """The wait in progress; None if no task waits."""
        self._timer: asyncio.TimerHandle | None = None
        """Rings at `_due`; None if no time is set."""
        self._due = math.inf
        """Time at which the timer rings, as returned by `time.monotonic`; infinity without a timer."""
        self.steady_deadline = math.nan
        """The stream's `earliest_deadline` for which the timer rings early enough; NaN if there is none."""
        self.until = math.inf
        """Earliest time limit of a wait, by the stream's clock, for which the timer rings early enough."""

    @property
    def has_waiter(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def begin(self) -> asyncio.Future[float | None]:
        """Begin a wait; await the future that is returned.

        Its result is None if something has arrived. If only the timer has rung, it is the time that was
        set with `set_timer`.
        """
        waiter = self._waiter = self.loop.create_future()
        return waiter

    def set(self) -> None:
        """Wake the task, because something has arrived."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            # The wait may have been cancelled.
            if not waiter.done():
                waiter.set_result(None)

    def set_timer(self, due: float) -> None:
        """Wake the task at a time at the latest, as returned by `time.monotonic`."""
        if due < self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(max(due - monotonic(), 0.0), self._ring)
            self._due = due

    def cancel(self) -> None:
        """Cancel the timer, because nothing more arrives."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due, self.steady_deadline = None, math.inf, math.nan

    def _ring(self) -> None:
        """Wake the task, because the time has come."""
        waiter, due = self._waiter, self._due
        self.cancel()
        self._waiter = None
        if waiter is not None and not waiter.done():
            waiter.set_result(due)

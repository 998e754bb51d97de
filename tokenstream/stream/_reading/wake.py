"""Waking a read that blocks in another thread, by shutting down its socket.

Closing the socket would not end the read.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from tokenstream.stream._reading.items import LEAST_WAIT

if TYPE_CHECKING:
    from tokenstream._basics.loose import Action, AnyFunction

_IDLE_SECONDS = 10.0
"""Seconds after which the thread ends if nothing is left to do."""
_LONGEST_WAIT = 10.0
"""Seconds after which the thread looks whether the call for which it waits was cancelled."""
_LEAST_TO_DROP = 64
"""Number of calls up to which those that were cancelled are not looked for."""


class TimedCall:
    """A call that is to be made at a given time, unless it is cancelled before."""

    def __init__(self, call: Action) -> None:
        self._call: Action | None = call
        """The function; None once it was called or cancelled."""
        self._lock = threading.Lock()
        """Held during the call."""
        self.was_made = False
        """True once the call has begun."""

    @property
    def is_over(self) -> bool:
        return self._call is None

    def make(self) -> None:
        with self._lock:
            call, self._call = self._call, None
            if call is not None:
                self.was_made = True
                call()

    def cancel(self) -> None:
        """Cancel the call; if it has begun, wait for its end, so that it has no effect after this method."""
        with self._lock:
            self._call = None


class TimerThread:
    """Makes calls at their times, in one thread, which lives only as long as there are any.

    Args:
        idle: Seconds after which the thread ends if nothing is left to do.

    Example:
        >>> called = threading.Event()
        >>> timer = TimerThread(idle=0.0).set(0.0, called.set)
        >>> called.wait(60.0), timer.was_made
        (True, True)
    """

    __slots__ = ("_changed", "_drop_at", "_idle", "_numbers", "_process", "_queue", "_thread", "_wakes_at")

    def __init__(self, idle: float = _IDLE_SECONDS) -> None:
        self._idle = idle
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition(threading.Lock())
        """Notified if the thread has to look again at the attributes below, which its lock guards."""
        self._queue: list[tuple[float, int, TimedCall]] = []
        """A heap: the time of each call, its number, and the call."""
        self._numbers = count()
        self._drop_at = _LEAST_TO_DROP
        """The length of the queue at which cancelled calls are dropped."""
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0
        """The time at which the waiting thread looks at the queue by itself; 0.0 while it does not wait."""

    def __len__(self) -> int:
        """Return the number of calls that wait, with those that were cancelled and not yet dropped."""
        return len(self._queue)

    def set(self, seconds: float, call: Action) -> TimedCall:
        """Call a quick function after some seconds; raise RuntimeError if the interpreter is exiting."""
        if self._process != os.getpid():
            # Only this thread has been forked, and another one may have held the lock.
            self._begin()
        timed, due = TimedCall(call), monotonic() + seconds
        with self._changed:
            queue = self._queue
            if len(queue) >= self._drop_at:
                queue[:] = [each for each in queue if not each[2].is_over]
                heapify(queue)
                self._drop_at = max(_LEAST_TO_DROP, 2 * len(queue))
            if self._thread is None:
                thread = threading.Thread(target=self._run, daemon=True, name="tokenstream-timers")
                thread.start()
                self._thread = thread
            heappush(queue, (due, next(self._numbers), timed))
            if due < self._wakes_at:
                # Mostly not: to wake the thread costs as much as the rest of a short answer's waits.
                self._changed.notify()
        return timed

    def _run(self) -> None:
        while (timed := self._wait_for_due()) is not None:
            try:
                timed.make()
            except Exception as error:  # noqa: BLE001 - reported as of a thread of its own; the others go on
                report: Any = threading.ExceptHookArgs((type(error), error, error.__traceback__, None))
                threading.excepthook(report)

    def _wait_for_due(self) -> TimedCall | None:
        """Wait for the next call, and return it; None if there has been none for a while."""
        queue = self._queue
        with self._changed:
            while True:
                now = monotonic()
                # A call that was cancelled stays until its time or the end of a wait: the next answer sets
                # a later one, for which the thread then need not be woken.
                while queue and queue[0][0] <= now:
                    timed = heappop(queue)[2]
                    if not timed.is_over:
                        return timed
                is_idle = not queue
                seconds = self._idle if is_idle else min(queue[0][0] - now, _LONGEST_WAIT)
                self._wakes_at = now + seconds
                was_woken = self._changed.wait(seconds)
                self._wakes_at = 0.0
                while queue and queue[0][2].is_over and not was_woken:
                    heappop(queue)
                if is_idle and not queue and not was_woken:
                    self._thread = None
                    return None


timers = TimerThread()
"""The thread of this process."""


def shut_down(find_socket: AnyFunction | None) -> bool:
    """Shut down a source's socket, if it serves this body alone, so that a blocking read returns.

    The result is False if that fails. This function never blocks, and may be called from any thread.
    """
    source_socket = find_socket() if find_socket is not None else None
    if source_socket is None:
        return False
    import socket

    try:
        if isinstance(source_socket, socket.socket):
            # SSLSocket.shutdown would switch off the encryption while the other thread reads.
            socket.socket.shutdown(source_socket, socket.SHUT_RDWR)
        else:
            source_socket.shutdown(socket.SHUT_RDWR)
    except (OSError, TypeError):
        # The socket is already closed, or is a uvloop socket, which cannot be shut down.
        return False
    return True


class ReadTimer:
    """Context manager that limits a blocking read by shutting down its socket after a time.

    Args:
        seconds: Longest time for the read.
    """

    def __init__(self, find_socket: AnyFunction, seconds: float) -> None:
        self._find_socket = find_socket
        self._seconds = seconds
        self._timer: TimedCall | None = None
        """Sets the last timer when the time is over."""
        self._last: TimedCall | None = None
        """Ends the read, which returns when its socket is shut down."""

    @property
    def fired(self) -> bool:
        """True if the time passed before the read returned."""
        return self._last is not None and self._last.was_made

    def __enter__(self) -> Self:
        # While the interpreter exits, no thread can be started, and the read has no time limit.
        with suppress(RuntimeError):
            self._timer = timers.set(self._seconds, self._give_turn)
        return self

    def _give_turn(self) -> None:
        """Let the read return what has arrived, as after a time in which the process was stopped."""
        with suppress(RuntimeError):
            self._last = timers.set(LEAST_WAIT, partial(shut_down, self._find_socket))

    def __exit__(self, *error: object) -> None:
        # The first one may have set the second one meanwhile.
        if self._timer is not None:
            self._timer.cancel()
        if self._last is not None:
            self._last.cancel()

"""Reading of one stream by a relay, faster than in a loop: without a timer for each event.

Each ordinary read of a stream costs a turn of the event loop, a timer and an event
object. Here the task that reads the source sets a flag when something arrives. A single
timer covers all deadlines of the stream; it is armed again only when it has expired.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.stream._reading.reader import LEAST_WAIT

if TYPE_CHECKING:
    import asyncio

    from anyio import Event as Waiter

    from tokenstream.events import Event
    from tokenstream.stream._async_driver import AsyncDriver
    from tokenstream.stream._reading.host import Host


class SoleReader:
    """Reads a stream for a relay that is the stream's only reader, without a timer for each event.

    Args:
        driver: The stream's driver.
        host: The running event loop.
    """

    def __init__(self, driver: AsyncDriver, host: Host) -> None:
        self._driver = driver
        self._loop: asyncio.AbstractEventLoop | None = host.loop if host.name == "asyncio" else None
        self._has_arrived = False
        """True if something has arrived since the last read."""
        self._future: asyncio.Future[None] | None = None
        """The future that a task under asyncio waits for; None while no task waits."""
        self._waiter: Waiter | None = None
        """The event that a task under trio waits for; None while no task waits."""
        self._timer: asyncio.TimerHandle | None = None
        """Calls `_check_deadlines` at the next deadline; under asyncio only."""
        self._timer_suffices = False
        """True while the running timer expires before every deadline that new events can set."""
        self._idle_since = 0.0
        """The clock reading since which nothing has arrived."""
        self._deadline_passed = False
        """True if a deadline was found passed once. It takes effect only the second time, because data that
        has arrived already may not have been read yet.
        """
        # Raises an error if the events were read to their end already, or the stream was closed.
        driver.check_events_left()
        # From now on, the driver calls `set` when something has arrived.
        driver.begin_polling(self)

    async def next(self) -> Event:
        """Wait for the next event.

        Raises:
            StopAsyncIteration: The events have ended.
            StreamError: The answer failed.
        """
        driver = self._driver
        while True:
            # A driver that does not ring (call `set`) for the next event may have one already.
            if self._has_arrived or not driver.will_ring:
                event = await self.take_arrived()
                if event is not None:
                    return event
            if not self._has_arrived:
                await self._wait()

    async def take_arrived(self) -> Event | None:
        """Return the next event if it has arrived already, else None."""
        self._has_arrived = self._deadline_passed = False
        driver = self._driver
        event = driver.poll_fast()
        # Without a fast path, the driver has to poll; it calls this object's `set` when more has arrived.
        return await driver.poll(self) if event is None else event

    def set(self) -> None:
        """Wake the task that waits in `next`.

        The task that reads the source calls this method when something has arrived. Its name is that of an
        event's method, because other loops over a stream pass an event.
        """
        self._has_arrived = True
        # Under asyncio, a waiting task has set `_future`; under trio, `_waiter`.
        if self._future is not None:
            if not self._future.done():
                self._future.set_result(None)
        elif self._waiter is not None:
            self._waiter.set()

    def close(self) -> None:
        """Cancel the timer; called after the last read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- waiting ---------------------------------------------------------------

    async def _wait(self) -> None:
        """Wait until something arrives or a deadline passes."""
        driver, loop = self._driver, self._loop
        if loop is None:
            await self._wait_with_anyio()
            return
        self._idle_since = driver.clock()
        # While the running timer suffices, waiting costs no timer of its own.
        if not (self._timer_suffices and self._timer is not None):
            until = driver.idle_until(self._idle_since)
            # While the answer simply continues, new events set no deadline before the earliest one, which is
            # -inf while it is not known.
            self._timer_suffices = driver.earliest_deadline > -math.inf and driver.machine.continues
            self._set_timer(loop, until)
        self._future = loop.create_future()
        try:
            await self._future
        finally:
            self._future = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop, until: float | None) -> None:
        """Set the timer for a deadline, unless the timer is running and expires before this deadline.

        When the timer expires, it is set again for the deadline that is next then.

        Args:
            loop: The running event loop.
            until: The clock reading of the deadline; None for no deadline.
        """
        if until is None:
            return
        when = loop.time() + max(until - self._driver.clock(), LEAST_WAIT)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._check_deadlines, loop)

    def _check_deadlines(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the driver act on a deadline that has passed, or set the timer again; the timer calls this."""
        driver, self._timer = self._driver, None
        if self._future is None:
            # No task is waiting; the next task that waits arms the timer again.
            return
        until = driver.idle_until(self._idle_since)
        if until is None or until > driver.clock():
            self._set_timer(loop, until)
        elif not self._deadline_passed:
            # Data that has arrived may not have been read yet: check once more.
            self._deadline_passed = True
            self._set_timer(loop, until)
        else:
            driver.expire()
            self.set()

    async def _wait_with_anyio(self) -> None:
        """Wait until something arrives or a deadline passes, under trio.

        Unlike asyncio, trio has no timer that several waits can share, so each wait has its own timeout.
        """
        from anyio import Event, move_on_after

        driver, deadline_passed = self._driver, False
        idle_since = driver.clock()
        while not self._has_arrived:
            until = driver.idle_until(idle_since)
            if until is not None and until <= driver.clock():
                # As in `_check_deadlines`, a deadline takes effect when it is found passed the second time.
                if deadline_passed:
                    driver.expire()
                    self._has_arrived = True
                    return
                deadline_passed = True
            self._waiter = Event()
            try:
                with move_on_after(None if until is None else max(until - driver.clock(), LEAST_WAIT)):
                    await self._waiter.wait()
            finally:
                self._waiter = None

"""Reading a source in the loop's own task, if no other task is available or needed.

A `DirectReader` has the interface of a `Reader`, and reads one chunk at a time. A cancelled
read ends most sources for good, without an error: the next read then looks like a clean
end. So a `DirectReader` remembers the cancellation, and reports `LOST` instead of `END`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream._sources.kinds import AsyncSource, LazySource, SourceHolder
from tokenstream.stream._reading.items import END, LOST, NOTABLE_SECONDS, BusyTime, SourceFailed, SourceOpened
from tokenstream.stream._reading.reader import CLOSING_SECONDS, close_source, raise_only
from tokenstream.stream._reading.wake import shut_down

if TYPE_CHECKING:
    from anyio import CancelScope

    from tokenstream.stream._protocols import Clock
    from tokenstream.stream._reading.host import Host
    from tokenstream.stream._reading.items import TimedItem


class DirectReader(SourceHolder["AsyncSource"]):
    """Reads a source without a task of its own: each call of `wait` reads one chunk."""

    def __init__(self, source: AsyncSource | LazySource, clock: Clock, host: Host | None) -> None:
        self.set_source(source)
        self.since: float | None = None
        """Time at which the current or the last read was requested."""
        self.has_ended = False
        """True once the source is closed or being closed."""
        self.closing_error: Exception | None = None
        self.stopped = False
        """True if a read in progress was asked to end."""
        self._clock = clock
        self._host = host
        self._items: list[TimedItem] = []
        """Items that were read but not taken yet, each with the time of its arrival."""
        self._last_read_at = clock()
        """Time at which the last read began or ended; the loop's pauses are counted from it."""
        self._was_lost = False
        """True if a read was cancelled, and no chunk has arrived since."""
        self._open_began = False
        self._is_reading = False
        self._scope: CancelScope | None = None
        """Surrounds the read in progress."""

    def take_items(self) -> list[TimedItem]:
        """Return the items that have arrived, each with the time of its arrival.

        If none has arrived, the caller is about to read, so the time of its read is counted from now. If the
        last read was a while ago, the result then has one item, a `BusyTime`: the loop, not the source, has
        caused that pause.
        """
        items, self._items = self._items, []
        if not items:
            now = self.since = self._clock()
            busy_seconds, self._last_read_at = now - self._last_read_at, now
            if busy_seconds > NOTABLE_SECONDS:
                items.append((now, BusyTime(busy_seconds)))
        return items

    def take_sole_item(self) -> None:
        """Return None: `take_items` also notes when the read begins."""

    def begin_steady_wait(self, earliest_deadline: float, until: float | None) -> None:
        """Return None: no task sets the future for which the caller would wait."""

    @property
    def is_intact(self) -> bool:
        """True if another reader can continue with the source without losing anything."""
        return self.source is not None and not (
            self._was_lost or self._is_reading or self._items or self.has_ended
        )

    @property
    def _is_instant(self) -> bool:
        """True if the source never waits, so that no event loop is needed."""
        return self.source is not None and self.source.instant

    @property
    def _survives_cancellation(self) -> bool:
        """True if a cancelled read loses nothing."""
        return self.source is not None and self.source.survives

    @property
    def is_loop_over(self) -> bool:
        """True if the source needs an event loop that has ended."""
        return self._host is not None and not self._is_instant and self._host.is_over()

    def check_host(self) -> None:
        """Refuse to read in another event loop; if the earlier loop has ended, add an error to the items."""
        if self._host is not None and not self._is_instant and not self._host.check_running():
            from tokenstream._sources.failures import ended_loop_error

            self._put_item(SourceFailed(ended_loop_error()))

    async def wait(self, seconds: float | None) -> bool:
        """Read once; return True if an item or the end of the source arrived in time."""
        source, self._is_reading = self.source, True
        try:
            if source is not None and source.instant:
                await self._read_at_once(source, seconds)
            else:
                await self._read_in_time(seconds)
        except StopAsyncIteration:
            # A generator whose read was cancelled has ended, although the source had not.
            self._put_item(LOST if self._was_lost else END)
        except Exception as error:  # noqa: BLE001 - the stream raises it after the events before it
            self._put_item(SourceFailed(error))
        except BaseException:
            # The task was cancelled, or Ctrl-C struck.
            self._was_lost = not self._survives_cancellation
            raise
        finally:
            self._is_reading = False
            if self.stopped:
                # `stop` leaves the closing to the read that it ends.
                await self.close(failed=True)
        return bool(self._items) or self.has_ended

    def stop(self) -> None:
        """End a read in progress, which then closes the source."""
        self.stopped = self._is_reading
        if self._scope is not None:
            self._scope.cancel()

    def wake(self) -> None:
        """Make a read in progress return without an item, if that loses nothing."""
        if self._scope is not None and self._survives_cancellation:
            self._scope.cancel()

    async def close(self, *, failed: bool = False) -> None:
        """Close the source; if a read is in progress, that read closes the source."""
        self.stop()
        if self._is_reading or self.has_ended:
            return
        self.has_ended = True
        if self.is_loop_over:
            # Without its event loop, the source can only be cut off from the server.
            self.abandon()
            return
        if self._host is None or self._is_instant:
            # Nothing has to wait, and there may be no event loop for the scopes below.
            await self._close()
            return
        from anyio import current_effective_deadline, move_on_after

        if self.source is not None and self.source.enters:
            # The source's context manager may hold a cancel scope, so it must exit outside of our scopes.
            await self._close()
            return
        is_cancelled = current_effective_deadline() == -math.inf
        if not failed and not is_cancelled:
            await self._close_in_task()
            return
        # An error or a cancellation must not wait for long, but the source must be closed all the same.
        with move_on_after(CLOSING_SECONDS, shield=True):
            await self._close()

    async def _close_in_task(self) -> None:
        """Close the source in a task of its own, which goes on for a while if this call is cancelled."""
        from anyio import CancelScope, Event, create_task_group, current_time

        scope, closed = CancelScope(shield=True), Event()

        async def close() -> None:
            with scope:
                await self._close()
            closed.set()

        try:
            async with create_task_group() as tasks:
                tasks.start_soon(close)
                try:
                    await closed.wait()
                except BaseException:
                    scope.deadline = current_time() + CLOSING_SECONDS
                    raise
        except BaseExceptionGroup as errors:
            # A Ctrl-C struck the closing task.
            raise_only(errors)

    def abandon(self) -> None:
        """Shut down the source's socket; the garbage collector does the rest, since closing would wait."""
        if self.source is not None:
            shut_down(self.source.socket)

    # -- within ------------------------------------------------------------

    async def _read_at_once(self, source: AsyncSource, seconds: float | None) -> None:
        """Read a chunk of a source that never waits; only the source's own `limit_read` limits the time."""
        if source.limit_read is None:
            self._put_item(await source.next_chunk())
            return
        source.limit_read(seconds)
        # The source raises this error when the time has passed by its own clock.
        try:
            self._put_item(await source.next_chunk())
        except TimeoutError as error:
            from tokenstream._sources.causes import find_foreign

            if find_foreign(error) is not None:
                raise
        self._last_read_at = self._clock()

    async def _read_in_time(self, seconds: float | None) -> None:
        """Open the source, or read a chunk if the source is open; cancel either after a number of seconds."""
        from anyio import CancelScope, current_time

        lazy = None if self._open_began else self.lazy
        if lazy is not None and lazy.enters:
            # The source's context manager may open a cancel scope, which must not outlive one of ours.
            await self._open(lazy)
            return
        deadline = math.inf if seconds is None else current_time() + seconds
        try:
            with CancelScope(deadline=deadline) as self._scope:
                if self.source is not None:
                    self._put_item(await self.source.next_chunk())
                elif lazy is None:
                    # The request was sent, and the wait for its response was cancelled.
                    self._put_item(LOST)
                else:
                    await self._open(lazy)
            # `cancelled_caught` is True if the time has passed, or `wake` or `stop` has cancelled the read.
            self._was_lost = self._was_lost or (
                self._scope.cancelled_caught and not self._survives_cancellation
            )
        finally:
            self._scope = None
            self._last_read_at = self._clock()

    async def _open(self, lazy: LazySource) -> None:
        """Open the source, and add a `SourceOpened` with it to the items, for the driver to process first."""
        self._open_began = True
        opened: AsyncSource = await lazy.open()
        self.set_source(opened)
        self._put_item(SourceOpened(opened))

    async def _close(self) -> None:
        """Close the source, or discard a request that was not sent; store the error of closing."""
        if self.source is None:
            if self.lazy is not None and not self._open_began:
                self.lazy.discard()
            # An opening that was cancelled leaves nothing that could be closed.
            return
        try:
            await close_source(self.source)
        except Exception as error:  # noqa: BLE001 - `closing_error` gives it to the caller
            self.closing_error = error

    def _put_item(self, item: object) -> None:
        """Add an item, with the time, to those that the driver takes."""
        self._last_read_at = self._clock()
        self._items.append((self._last_read_at, item))
        if item.__class__ is bytes:
            # A chunk has arrived, so an earlier cancelled read did no harm to the source.
            self._was_lost = False

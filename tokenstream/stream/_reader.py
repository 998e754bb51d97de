"""The task that reads an asynchronous source ahead of the loop.

A loop that is cancelled, by a timeout around `anext` say, must lose nothing; but
most sources do not survive a cancelled read. So a task of its own opens the
source, reads it and closes it, and the loop takes what that task has brought.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenstream.sources import AsyncSource, Deferred
from tokenstream.sources._kinds import SKIPPED
from tokenstream.stream._items import END, NOTABLE_SECONDS, WAITED, Away, Failed, Opened
from tokenstream.stream._said import homeless
from tokenstream.stream._wake import shut_down

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from anyio import CancelScope, Event
    from anyio.abc import TaskGroup

    from tokenstream.stream._host import Host
    from tokenstream.stream._items import Bell

__all__ = ["CLOSING_SECONDS", "LEAST_WAIT", "RUNNING", "Reader", "closed", "left", "unpacked"]

_MOST_AHEAD = 64
"""Chunks that are read ahead of those that the loop has taken, which are as many at most."""
_MOST_BYTES_AHEAD = 256 * 1024
"""Bytes of such chunks; the last one may go beyond."""
_LARGE = _MOST_BYTES_AHEAD // _MOST_AHEAD
"""Chunks that are no larger than this cannot be too many bytes."""
CLOSING_SECONDS = 5.0
"""How long a source may take to close once whoever waits for that was cancelled, or has failed."""
_MOST_LEFT = 1_000
"""Chunks that are taken out of a body that was closed."""
LEAST_WAIT = 0.02
"""Seconds in which a loop that was kept busy takes in what already lies in the socket."""
RUNNING: set[asyncio.Task[None]] = set()
"""Tasks that run: an event loop itself holds them weakly."""


class Reader:
    """Reads a source in a task of its own.

    It knows nothing of the stream, so that a stream which nobody holds any more
    can be collected, and ends its reader then.

    Args:
        source: The source, opened or not.
        clock: Where the time comes from, in seconds.
        host: The event loop.
    """

    __slots__ = (
        "_clock",
        "_closed",
        "_filled",
        "_finished",
        "_host",
        "_items",
        "_reading",
        "_room",
        "_whole",
        "closing_error",
        "over",
        "since",
        "source",
        "stopped",
    )

    def __init__(self, source: AsyncSource | Deferred, clock: Callable[[], float], host: Host) -> None:
        self.source = source
        self.since: float | None = None
        """The clock when the read that is in progress began; None between reads."""
        self.over = False
        """Whether the task has ended."""
        self.stopped = False
        """Whether the task was told to end."""
        self.closing_error: Exception | None = None
        self._clock = clock
        self._host = host
        self._items: list[tuple[float, Any]] = []
        self._filled: Bell | None = None
        self._room: Event | None = None
        self._finished: Event | None = None
        self._whole: CancelScope | None = None
        """Surrounds all that the task does."""
        self._reading: CancelScope | None = None
        """Surrounds the reading alone."""
        self._closed = False

    def start(self, tasks: TaskGroup | None) -> None:
        """Start the task: in a group of tasks, or on asyncio by itself."""
        if tasks is not None:
            tasks.start_soon(self._run, name="tokenstream reader")
            return
        task: asyncio.Task[None] = self._host.loop.create_task(self._run(), name="tokenstream reader")
        RUNNING.add(task)
        task.add_done_callback(self._done)
        self._started(task)

    def _started(self, task: asyncio.Task[None]) -> None:
        """Take note of the task."""

    # -- for the loop ------------------------------------------------------

    def take(self) -> list[tuple[float, Any]]:
        """Return what has come, each with the clock at its arrival."""
        items, self._items = self._items, []
        if self._room is not None:
            self._room.set()
        return items

    @property
    def has_come(self) -> bool:
        """Something has come that nobody has taken."""
        return bool(self._items)

    @property
    def rings(self) -> bool:
        """Somebody is told when something has come."""
        return self._filled is not None

    def listen(self, bell: Bell) -> None:
        """Have a bell rung whenever something has come, from here on."""
        self._filled = bell

    @property
    def homeless(self) -> bool:
        """Whether the event loop of the task is over."""
        return self._host.is_over()

    def stay_at_home(self) -> None:
        """Refuse to be read in another event loop than before; where that is over, nothing more comes."""
        if not self._host.stay():
            self.abandon()
            self.over = True
            # What is open can only be closed in its own loop.
            self._closed = isinstance(self.source, AsyncSource)
            self._items.append((self._clock(), Failed(homeless())))

    async def wait(self, seconds: float | None) -> bool:
        """Wait until something has come, and tell whether it has; the end of the task counts too.

        Args:
            seconds: How long to wait; None for ever.
        """
        if self._items or self.over:
            return True
        from anyio import Event, move_on_after
        from anyio.lowlevel import checkpoint

        # A task that was held back brings more as soon as it is let run; a timer costs several times that.
        await checkpoint()
        if self._items or self.over:
            return True
        others, filled = self._filled, Event()
        self._filled = filled
        try:
            if seconds is None:
                await filled.wait()
            else:
                with move_on_after(max(seconds, LEAST_WAIT)):
                    await filled.wait()
        finally:
            self._filled = others
            if others is not None:
                # What came meanwhile was told here alone.
                others.set()
        return filled.is_set()

    def stop(self) -> None:
        """End the task; it closes the source."""
        self.stopped = True
        if not self._host.is_running():
            # It is over: there is no task any more.
            return
        self._cancel()
        self._wake()

    def wake(self) -> None:
        """Have whoever waits come back without anything."""
        if self._filled is not None:
            self._put(self._clock(), WAITED)

    def _cancel(self) -> None:
        """End the opening or the read that is in progress."""
        if self._reading is not None:
            self._reading.cancel()
        elif self._whole is not None and isinstance(self.source, Deferred):
            self._whole.cancel()

    async def close(self, *, failed: bool = False) -> None:
        """End the task and wait until the source is closed, also where this is cancelled.

        Args:
            failed: Whether an error or a cancellation is on its way, which must not wait for ever.

        Raises:
            MisuseError: The task is another event loop's; it is ended all the same.
        """
        from anyio import move_on_after

        if not self.over and not self._host.is_running():
            self.abandon()
            if not self._host.stay():
                return
        self.stop()
        try:
            if not failed:
                await self._end_of_task()
        finally:
            with move_on_after(CLOSING_SECONDS, shield=True):
                await self._end_of_task()
                if not self._closed:
                    # The loop ended before the task began.
                    await self._close()
            if self._whole is not None and not self.over:
                self._whole.cancel()

    async def _end_of_task(self) -> None:
        if not self.over:
            from anyio import Event

            self._finished = self._finished or Event()
            await self._finished.wait()

    def abandon(self) -> None:
        """End the task from wherever this is, without waiting; it gets no more of its source."""
        if not self.over:
            self._host.call(self.stop)
        if isinstance(self.source, AsyncSource):
            shut_down(self.source.socket)

    # -- the task ----------------------------------------------------------

    async def _run(self) -> None:
        from anyio import CancelScope, current_time

        # Whoever reads the stream ends this: a cancellation from around the block would
        # come out of the group of tasks instead of what the block itself has raised. One
        # scope surrounds all, because what is entered to open a source may hold a scope
        # of its own until it is left, and scopes are left in their order.
        patience = CLOSING_SECONDS
        try:
            with CancelScope(shield=True) as whole:
                self._whole = whole
                try:
                    if not self.stopped:
                        await self._open_and_read()
                    patience = math.inf
                finally:
                    self.since = None
                    # A task that was cancelled by somebody else keeps the end of its loop waiting.
                    whole.deadline = current_time() + patience
                    await self._close()
        finally:
            self._end()

    async def _open_and_read(self) -> None:
        from anyio import CancelScope

        clock, source = self._clock, self.source
        try:
            if isinstance(source, Deferred):
                self.since = clock()
                source = self.source = await source.open()
                self._put(clock(), Opened(source))
            with CancelScope() as self._reading:
                if not self.stopped:
                    await self._read(source)
        except StopAsyncIteration:
            self._put(clock(), END)
        except Exception as error:  # noqa: BLE001 - it is raised in the loop, in its place
            self._put(clock(), Failed(error))

    async def _read(self, source: AsyncSource) -> None:
        clock, step, convert = self._clock, source.chunks.__anext__, source.convert
        self.since = clock()
        while not self.stopped:
            chunk = await step()
            now = self.since = clock()
            items = self._items
            most = _MOST_AHEAD
            if chunk.__class__ is bytes:
                if len(chunk) > _LARGE:
                    most = self._room_for(chunk)
            elif convert is not None:
                chunk = convert(chunk)
                if chunk is SKIPPED:
                    continue
            items.append((now, chunk))
            if self._filled is not None:
                self._filled.set()
            if len(items) >= most:
                await self._wait_for_room(now)

    async def _wait_for_room(self, began: float) -> None:
        from anyio import Event

        self.since = None
        while len(self._items) >= _MOST_AHEAD or not self._room_for(b""):
            self._room = Event()
            await self._room.wait()
            self._room = None
        now = self.since = self._clock()
        if now - began > NOTABLE_SECONDS:
            self._put(now, Away(now - began))

    def _room_for(self, chunk: bytes) -> int:
        """Return how many chunks may be held with this one: none where they are too many bytes."""
        size = len(chunk) + sum(len(held) for _, held in self._items if held.__class__ is bytes)
        return _MOST_AHEAD if size < _MOST_BYTES_AHEAD else 0

    async def _close(self) -> None:
        self._closed = True
        source = self.source
        if isinstance(source, Deferred):
            source.discard()
            return
        try:
            if self._whole is not None and self._whole.cancel_called and not source.entered:
                # It was opened although that had been cancelled.
                await _closed_all_the_same(source)
            else:
                await closed(source)
        except Exception as error:  # noqa: BLE001 - whoever closes the stream is told
            self.closing_error = error

    def _put(self, now: float, item: object) -> None:
        self._items.append((now, item))
        self._wake()

    def _wake(self) -> None:
        if self._filled is not None:
            self._filled.set()

    def _end(self) -> None:
        self.over = True
        if self._finished is not None:
            self._finished.set()
        self._wake()

    def _done(self, task: asyncio.Task[None]) -> None:
        RUNNING.discard(task)
        if not task.cancelled():
            # What is no Exception has left the loop already; asyncio asks that somebody looks at it.
            task.exception()
        self._end()


async def _closed_all_the_same(source: AsyncSource) -> None:
    from anyio import move_on_after

    with move_on_after(CLOSING_SECONDS, shield=True):
        await closed(source)


async def closed(source: AsyncSource) -> None:
    """Close a source, and end what gives its chunks where that is a generator which nobody else ends.

    A body of httpx is a generator within others. Trio complains of each that is
    collected unfinished; a cancelled read ends them all.
    """
    await source.close()
    if getattr(source.chunks, "ag_frame", None) is None:
        return
    from anyio import CancelScope

    # Whatever it raises says no more than that it is over, which is meant.
    with CancelScope() as scope, suppress(Exception):
        scope.cancel()
        for _ in range(_MOST_LEFT):
            await source.chunks.__anext__()


async def left(tasks: TaskGroup) -> None:
    """Leave a group of tasks whose tasks are over, as if there had been none."""
    try:
        await tasks.__aexit__(None, None, None)
    except BaseExceptionGroup as errors:
        # Ctrl-C, where it met the task that reads.
        raise unpacked(errors) from None


def unpacked(errors: BaseExceptionGroup) -> BaseException:
    """Return the error that is alone in a group; the group itself where there are several."""
    only, *others = errors.exceptions
    return errors if others else only

"""The task that reads a source on asyncio, without anyio's cancel scopes around the reads.

The two scopes of a `Reader`, with anyio's records of their task, take as much memory as the rest
of a stream that has just begun. A source that is a context manager may have its own scope, so
only a `Reader` can read it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tokenstream.stream._reading.items import END, SourceFailed
from tokenstream.stream._reading.reader import CLOSING_SECONDS, Reader

if TYPE_CHECKING:
    import asyncio

    from tokenstream._sources.kinds import AsyncSource, LazySource
    from tokenstream.stream._protocols import Clock
    from tokenstream.stream._reading.host import Host

_AGAIN_SECONDS = 2.0
"""Time after which a read is cancelled again: it may have swallowed the first cancellation."""
_MOST_TURNS = 32
"""Number of turns of the event loop that a read which waits for nothing may take before it is cancelled."""


class NativeReader(Reader):
    """Reads a source in an asyncio task.

    `asyncio.Task.cancel` cancels a task once. This class cancels the task, like anyio, again and again
    until it ends.
    """

    def __init__(self, source: AsyncSource | LazySource, clock: Clock, host: Host) -> None:
        super().__init__(source, clock, host)
        self._cancellable = False
        """True while the source is being opened or read; closing the source must not be cancelled."""
        self._task: asyncio.Task[None] | None = None
        """The task that reads the source; None before its start."""
        self._timer: asyncio.TimerHandle | None = None
        """Cancels the task again; None before the first cancellation."""

    def _store_task(self, task: asyncio.Task[None]) -> None:
        """Keep the task that reads the source, so that it can be cancelled; it has just been started."""
        self._task = task

    def _cancel_read(self, turns: int = 0) -> None:
        """Cancel the task once it waits for something, such as bytes of its connection; do that only once.

        A task that waits for nothing is about to go on, perhaps because it has read the end of the body
        and is now giving its connection back to the pool of the client. httpx protects that with a
        shielded anyio scope, which `asyncio.Task.cancel` ignores: the connection would never be given
        back. `turns` counts the turns of the event loop since the task was to be cancelled.
        """
        if self._timer is not None:
            # A second cancellation has to wait: the first may have made the read close its connection in a
            # shielded anyio scope, too.
            return
        # anyio decides by this attribute, too, when to cancel a task.
        waits_for = getattr(self._task, "_fut_waiter", None)
        if (waits_for is None or waits_for.done()) and turns < _MOST_TURNS and self._cancellable:
            self._host.loop.call_soon(self._cancel_read, turns + 1)
        else:
            self._cancel_until_end()

    def _cancel_until_end(self) -> None:
        """Cancel the task now, and again after a time if it then still opens or reads the source."""
        if self._cancellable and self._task is not None:
            self._timer = self._host.loop.call_later(_AGAIN_SECONDS, self._cancel_until_end)
            self._task.cancel()

    async def _run(self) -> None:
        """Open, read and close the source; cancellations end only the opening and the reading."""
        import asyncio

        # A task cancelled from outside has `CLOSING_SECONDS` to close the source; any other has no limit.
        clock, patience = self._clock, CLOSING_SECONDS
        try:
            try:
                if not self.stopped:
                    self._cancellable = True
                    source = self.source or await self._open()
                    if not self.stopped:
                        await self._read(source)
                patience = math.inf
            except StopAsyncIteration:
                self._put_item(clock(), END)
                patience = math.inf
            except Exception as error:  # noqa: BLE001 - raised in the loop, in its place
                self._put_item(clock(), SourceFailed(error))
                patience = math.inf
            except BaseException as error:  # noqa: BLE001 - raised here or in the loop
                # A cancellation comes from outside, such as the end of the event loop, or from within.
                if not (self.stopped and isinstance(error, asyncio.CancelledError)):
                    self._keep_for_loop(error)
                patience = math.inf
            finally:
                self._cancellable = False
                if self._timer is not None:
                    self._timer.cancel()
                self.since = None
                await self._close_within(patience)
        finally:
            self._mark_ended()
            self._task = None

    async def _close_within(self, seconds: float) -> None:
        """Close the source within a number of seconds, protected from cancellations."""
        task, source = self._task, self.source
        while self.stopped and task is not None and task.cancelling():
            # This class itself made these cancellations, to end the read; the closing must not count them.
            task.uncancel()
        if source is not None and source.closes_at_once:
            # There is nothing to close but a generator that has ended.
            self._closed = True
            return
        from anyio import CancelScope, current_time

        deadline = math.inf if seconds == math.inf else current_time() + seconds
        with CancelScope(shield=True, deadline=deadline) as self._task_scope:
            await self._close()

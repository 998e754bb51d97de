"""The next change of something, for any number of tasks that wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anyio import Event


class Changes:
    """Wakes all tasks that wait for the next change; on asyncio, a wait costs one future."""

    __slots__ = ("_event", "_waiters")

    def __init__(self) -> None:
        self._waiters: dict[asyncio.Future[None], None] = {}
        """The waits of tasks on asyncio, in order."""
        self._event: Event | None = None
        """Set at the next change, for tasks on trio; None if no such task waits."""

    async def wait(self) -> None:
        """Wait for the next change."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # No loop of asyncio runs, so this is trio, or another loop that anyio supports.
            await self._wait_with_anyio()
            return
        # A future costs less than an event of anyio, and every follower waits for every record.
        waiter = loop.create_future()
        self._waiters[waiter] = None
        try:
            await waiter
        finally:
            # A wait that was cancelled; the others were removed by `notify`.
            self._waiters.pop(waiter, None)

    def notify(self) -> None:
        """Wake the tasks that wait."""
        if self._waiters:
            waiters, self._waiters = self._waiters, {}
            for waiter in waiters:
                # The task may have been cancelled in this turn of the event loop.
                if not waiter.done():
                    waiter.set_result(None)
        if self._event is not None:
            event, self._event = self._event, None
            event.set()

    async def _wait_with_anyio(self) -> None:
        """Wait for the next change on an event loop other than asyncio's."""
        if self._event is None:
            from anyio import Event

            self._event = Event()
        await self._event.wait()

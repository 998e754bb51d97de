"""The next change of something, for any number of tasks that wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from anyio import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable


_MOST_WAITERS = 16
"""The number of waits from which on those that were cancelled are looked for."""


class Changes:
    """Wakes all tasks that wait for the next change; on asyncio, a wait costs one future."""

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []
        """The waits of tasks on asyncio, in order; some may have been cancelled."""
        self._most = _MOST_WAITERS
        """The number of waits at which the cancelled ones are dropped."""
        self._event: Event | None = None
        """Set at the next change, for tasks on trio; None if no such task waits."""

    def wait(self) -> Awaitable[None]:
        """Return an awaitable for the next change; await it at once."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # No loop of asyncio runs, so this is trio, or another loop that anyio supports.
            return self._wait_with_anyio()
        if len(self._waiters) >= self._most:
            self._waiters = [waiter for waiter in self._waiters if not waiter.done()]
            self._most = max(_MOST_WAITERS, 2 * len(self._waiters))
        # A future costs less than an event of anyio, and every follower waits for every record.
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        return waiter

    def notify(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                # The task may have been cancelled.
                if not waiter.done():
                    waiter.set_result(None)
        if self._event is not None:
            event, self._event = self._event, None
            event.set()

    async def _wait_with_anyio(self) -> None:
        if self._event is None:
            self._event = Event()
        await self._event.wait()

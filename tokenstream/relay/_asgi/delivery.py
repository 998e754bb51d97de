"""Delivery of one answer to one reader over a connection, which may be lost at any time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from tokenstream.relay._asgi.shutdown import watch_shutdown
from tokenstream.stream._reading.reader import leave_group

if TYPE_CHECKING:
    from anyio import CancelScope
    from anyio.abc import TaskGroup

STOP_SECONDS = 1.0
"""The seconds that a stopped answer has to end by itself before it is cancelled."""


class Delivery(ABC):
    """Sends an answer, and ends it if its reader disconnects or the server shuts down.

    Three tasks take part:

    1. The task that calls `run` reads the answer and sends it.
    2. A task receives, which is the only way to notice a disconnect while nothing is sent.
    3. A task sends heartbeats during silence.

    Args:
        grace: Seconds that the answer is still read after its reader has disconnected.
        receive: The callable that receives from the reader, to detect the server's shutdown.
        send: The callable that sends to the reader, to detect the server's shutdown.
    """

    _sending: CancelScope
    """The scope of the task that reads and sends the answer."""
    _tasks: TaskGroup

    def __init__(self, grace: float, receive: object, send: object) -> None:
        self._grace = grace
        self._callables = receive, send
        self._busy = False
        """True while a part of the answer is being sent."""
        self._disconnected = False
        """True once the reader has disconnected."""
        self._shutting_down = False
        """True once the server is shutting down."""
        self._sent_at = 0.0
        """The clock reading of the last send."""

    async def run(self) -> None:
        """Send until the answer ends, its reader disconnects, or the server shuts down.

        Raises:
            StreamError: The answer has failed, and its protocol cannot report that to the reader.
        """
        from anyio import CancelScope, create_task_group

        self._sending = CancelScope()
        self._tasks = await create_task_group().__aenter__()
        try:
            with watch_shutdown(self._shut_down, *self._callables):
                self._tasks.start_soon(self._listen)
                self._tasks.start_soon(self._stay_alive)
                with self._sending:
                    await self._deliver()
                await self._conclude()
        finally:
            self._tasks.cancel_scope.cancel()
            await leave_group(self._tasks)

    # -- for each kind of connection -------------------------------------------

    @abstractmethod
    async def _deliver(self) -> None:
        """Read the answer, and send all of it."""

    @abstractmethod
    async def _listen(self) -> None:
        """Wait until the reader disconnects, or does something else that ends the answer."""

    @abstractmethod
    async def _stay_alive(self) -> None:
        """Send heartbeats during silence."""

    @abstractmethod
    async def _conclude(self) -> None:
        """Send the last messages to the reader of an answer that did not end by itself."""

    @abstractmethod
    def _stop_source(self, reason: str) -> bool:
        """Ask the source of the answer to end; return True if it will end by itself.

        Args:
            reason: The reason, for the answer's ending.
        """

    # -- ending ------------------------------------------------------------------

    def _note_disconnect(self) -> None:
        """Note that the reader has disconnected; the answer ends after the grace period."""
        if not self._disconnected:
            self._disconnected = True
            self._tasks.start_soon(self._stop_after_grace)

    async def _stop_after_grace(self) -> None:
        from anyio import sleep

        await sleep(self._grace)
        await self._stop("its reader has gone")

    async def _stop(self, reason: str) -> None:
        """Stop the answer, or cancel it if it does not end by itself."""
        from anyio import sleep

        if self._stop_source(reason):
            await sleep(STOP_SECONDS)
        self._sending.cancel()

    def _shut_down(self) -> None:
        """Cancel sending, since the server is shutting down."""
        self._shutting_down = True
        self._sending.cancel()

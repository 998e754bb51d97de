"""Delivery of one response, by tasks that send chunks, send heartbeats and notice a disconnect."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream.relay._asgi.outlet import error_body
from tokenstream.relay._asgi.shutdown import break_off, watch_shutdown
from tokenstream.stream._reading.reader import leave_group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from anyio import Event

    from tokenstream.relay._asgi.outlet import Outlet, Refusal

Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, Any]]]"
"""The ASGI callable `receive`, which returns the client's next message."""
Send: TypeAlias = "Callable[[MutableMapping[str, Any]], Awaitable[None]]"
"""The ASGI callable `send`, which sends a message to the client."""
Head: TypeAlias = "tuple[int, list[tuple[bytes, bytes]]]"
"""The status and the headers of a response."""

_PATIENCE = 1.0
"""The seconds that a stopped answer has to end by itself before it is cancelled."""
_SHORT = 0.01
"""The shortest pause before the next check whether a heartbeat is due, in seconds."""
_PARTING_SECONDS = 0.5
"""The seconds allowed for sending the last chunk while the server shuts down."""
_NO_CONTENT = 204
_GONE = 499
"""The status for a client that has disconnected, as in the logs of nginx; only middleware sees it."""
_GOING_DOWN = error_body("shutdown", "The server is being restarted.", retryable=True)


@dataclass(frozen=True, slots=True)
class ResponseTiming:
    """The timing of a response."""

    open_within: float | None = 10.0
    """Seconds after which the head is sent even without an event; None to wait for the first event."""
    keep_alive: float | None = 10.0
    """Seconds of silence after which a heartbeat is sent; None for no heartbeats."""
    grace: float = 0.0
    """Seconds that an answer goes on after its reader has disconnected."""


class Delivery:
    """Sends the chunks of an outlet as one response.

    Three tasks take part:

    1. The task that calls `run` enters the outlet, reads its chunks and sends them.
    2. A task awaits `receive`, the only way to notice a disconnect while nothing is sent.
    3. A task sends the head when `open_within` has passed, and the heartbeats.

    Tasks 1 and 3 never interleave: each waits until the other task has sent its whole message.

    Args:
        outlet: Supplies the chunks.
        head: The status and the headers.
        pace: The timing.
        receive: ASGI's `receive`.
        send: ASGI's `send`.
    """

    def __init__(
        self, outlet: Outlet, head: Head, pace: ResponseTiming, receive: Receive, send: Send
    ) -> None:
        self._outlet = outlet
        self._head = head
        self._pace = pace
        self._receive = receive
        self._send = send
        self._begun = False
        """True once sending the head has begun."""
        self._busy = False
        """True while a message of the answer is being sent."""
        self._heartbeat_sent: Event | None = None
        """Set when the current heartbeat was sent; None while no heartbeat is being sent."""
        self._is_whole = False
        """True once sending the last message has begun; nothing may follow it."""
        self._gone = False
        """True once the reader has disconnected."""
        self._going_down = False
        """True once the server is shutting down."""
        self._sent_at = 0.0
        """The clock reading of the last send."""

    async def run(self) -> None:
        """Send until the answer ends, its reader disconnects, or the server shuts down.

        Raises:
            StreamError: The answer has failed after its head was sent, and the protocol has no error event.
        """
        from anyio import CancelScope, create_task_group

        self._scope = CancelScope()
        self._tasks = await create_task_group().__aenter__()
        try:
            with watch_shutdown(self._shut_down, self._receive, self._send):
                self._tasks.start_soon(self._listen)
                self._tasks.start_soon(self._stay_alive)
                with self._scope:
                    await self._deliver()
                if self._going_down:
                    await self._send_parting()
                if self._gone and not self._begun:
                    await self._close_unanswered()
        finally:
            self._tasks.cancel_scope.cancel()
            await leave_group(self._tasks)

    # -- sending -------------------------------------------------------------

    async def _deliver(self) -> None:
        """Send all chunks of the outlet, or the response that replaces an answer that never began."""
        async with self._outlet as outlet:
            refusal = await outlet.open()
            if refusal is not None:
                await self._refuse(refusal)
                return
            async for chunk in outlet:
                if not self._gone:
                    await self._send_chunk(chunk)
            if not self._gone:
                await self._send_chunk(b"", more=False)

    async def _send_chunk(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a chunk of the answer, after any heartbeat being sent; `more` is False for the last chunk."""
        if self._heartbeat_sent is not None:
            await self._heartbeat_sent.wait()
        self._busy = True
        await self._write(chunk, more=more)
        self._busy = False

    async def _write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a chunk or a heartbeat, preceded by the head if that was not sent yet."""
        self._is_whole = not more
        try:
            if not self._begun:
                self._begun = True
                status, headers = self._head
                await self._send({"type": "http.response.start", "status": status, "headers": headers})
                chunk = self._outlet.life + chunk
            await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        except OSError:
            # From ASGI 2.4 on, servers report a client that has disconnected with this exception.
            self._note_disconnect()
        self._sent_at = time.monotonic()

    async def _refuse(self, refusal: Refusal) -> None:
        """Send the response that replaces an answer that never began."""
        if self._heartbeat_sent is not None:
            await self._heartbeat_sent.wait()
        if self._gone:
            return
        if self._begun:
            if refusal.late is None and refusal.error is not None:
                raise refusal.error
            await self._send_chunk(refusal.late or b"", more=False)
            return
        self._busy = True
        await self._send_whole(refusal.status, refusal.body, dict(refusal.headers))
        self._busy = False

    async def _send_whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a complete response at once."""
        self._begun = self._is_whole = True
        told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        if status == _NO_CONTENT:
            told = dict(headers)
        pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in told.items()]
        try:
            await self._send({"type": "http.response.start", "status": status, "headers": pairs})
            await self._send({"type": "http.response.body", "body": body, "more_body": False})
        except OSError:
            self._note_disconnect()

    # -- the other tasks -------------------------------------------------------

    async def _listen(self) -> None:
        """Wait until the reader disconnects."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._note_disconnect()

    async def _stay_alive(self) -> None:
        """Send the head after `open_within`, and heartbeats during silence."""
        from anyio import sleep

        pace, life = self._pace, self._outlet.life
        opens_at = None if pace.open_within is None else time.monotonic() + pace.open_within
        while not (self._gone or self._is_whole):
            if self._begun and not (pace.keep_alive and life):
                break
            # The next thing to send: before the head, the head; after it, a heartbeat.
            due = self._sent_at + (pace.keep_alive or 0.0) if self._begun else opens_at
            wait = _PATIENCE if due is None else due - time.monotonic()
            if wait > 0 or self._busy:
                await sleep(min(max(wait, _SHORT), pace.keep_alive or _PATIENCE))
            else:
                await self._send_heartbeat(life if self._begun else b"")

    async def _send_heartbeat(self, life: bytes) -> None:
        """Send a heartbeat, or only the head if `life` is empty; other tasks wait for it meanwhile."""
        from anyio import Event

        self._heartbeat_sent = Event()
        try:
            await self._write(life)
        finally:
            self._heartbeat_sent.set()
            self._heartbeat_sent = None

    # -- ending ----------------------------------------------------------------

    def _note_disconnect(self) -> None:
        """Note that the reader has disconnected; the answer ends after the grace period."""
        if not self._gone:
            self._gone = True
            self._tasks.start_soon(self._stop)

    async def _stop(self) -> None:
        """Stop the answer after the grace period, or cancel it if it does not end by itself."""
        from anyio import sleep

        await sleep(self._pace.grace)
        if self._outlet.stop("its reader has gone"):
            await sleep(_PATIENCE)
        self._scope.cancel()

    def _shut_down(self) -> None:
        """Cancel sending, since the server is shutting down."""
        self._going_down = True
        self._scope.cancel()

    async def _close_unanswered(self) -> None:
        """Send a status to a reader that disconnected before the head: middleware requires a response."""
        from anyio import move_on_after

        with move_on_after(_PARTING_SECONDS):
            await self._send_whole(_GONE, b"", {})

    async def _send_parting(self) -> None:
        """Send the last chunk on shutdown; abort the connection if an earlier chunk is still being sent."""
        from anyio import move_on_after

        if self._gone or (self._is_whole and not self._busy):
            return
        stuck = self._busy or self._heartbeat_sent is not None
        if not stuck:
            with move_on_after(_PARTING_SECONDS) as scope:
                if self._begun:
                    await self._write(self._outlet.parting_chunk(), more=False)
                else:
                    await self._send_whole(503, _GOING_DOWN, {"retry-after": "1"})
            stuck = scope.cancelled_caught
        if stuck:
            break_off(self._receive, self._send)

"""Delivery of an outlet's chunks to one reader over a connection, which may be lost at any time."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from anyio import CancelScope, create_task_group, sleep

from tokenstream._basics.error_marks import add_notice
from tokenstream.errors import AnswerFailure, ErrorKind, MisuseError, StreamError
from tokenstream.relay._asgi.refusals import quote_id
from tokenstream.relay._asgi.shutdown import abort_connection, watch_shutdown
from tokenstream.stream._reading.reader import raise_only, run_until_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from anyio.abc import TaskGroup

    from tokenstream._basics.waits import HeaderFields
    from tokenstream.relay._asgi.asking import AskedPosition
    from tokenstream.relay._attribution import ServedAnswer
    from tokenstream.relay._incident import Incident
    from tokenstream.relay._sending import Sending

STOP_SECONDS = 1.0
"""The seconds that a stopped answer has to end by itself before it is cancelled."""
_KINDS: dict[int, ErrorKind] = {429: "rate_limited", 500: "server", 503: "overloaded"}
"""Maps statuses of refusals to the kinds of their error events; "invalid_request" for all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The times of a relay, in seconds; one object may serve all endpoints of an application.

    Raises:
        MisuseError: `keep_alive` or `send_timeout` is not positive, or another time is negative.

    Example:
        >>> from tokenstream import AsyncStream, relay
        >>> patient = Timing(grace=30.0, keep_alive=5.0)
        >>> async def endpoint(request: object) -> object:
        ...     return relay.respond(AsyncStream(["The sky"], format="pieces"), timing=patient)
    """

    open_within: float | None = 10.0
    """Seconds to wait for the first event before the head is sent anyway; None to wait without limit. An
    answer that fails before the head gets a status for the error; a later error is sent as an event. Only
    for responses that start an answer."""
    keep_alive: float | None = 10.0
    """Seconds of silence between heartbeats, if the protocol has them; None for no heartbeats."""
    grace: float = 0.0
    """Seconds that an answer without a journal is still read after its reader has disconnected."""
    send_timeout: float | None = 30.0
    """Seconds that one send may wait for a reader that does not read, before the reader counts as
    disconnected; None for no limit."""
    drain: float | None = None
    """Seconds that an answer may run on once its server shuts down, one in a journal without its readers;
    None for a second less than the server itself waits, or for 25 if that is not known."""

    def __post_init__(self) -> None:
        for name in ("keep_alive", "send_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise MisuseError(f"{name}= must be more than 0 seconds, or None, not {seconds!r}")
        if not self.grace >= 0 or not (self.open_within is None or self.open_within >= 0):
            raise MisuseError("open_within= and grace= must not be negative")
        if not (self.drain is None or self.drain >= 0):
            raise MisuseError(f"drain= is None or a number of seconds from 0 on, not {self.drain!r}")


TIMING = Timing()


def check_timing(timing: Any) -> Timing:  # noqa: ANN401 - as callers give it
    if not isinstance(timing, Timing):
        raise MisuseError(f"timing= takes a relay.Timing, such as relay.Timing(grace=30), not {timing!r}")
    return timing


class Outlet(ABC):
    """Supplies the chunks of one response to the sending task, which enters it.

    The task passes what `next` has awaited to `encode`, and an exception of either to `encode_end`, until
    `has_ended`. No coroutine is between the task and the source, since each token would pay for it.
    Each chunk consists of whole events, so that a heartbeat may be sent between any two. Everything that
    arrives while a chunk is being sent forms the next one.
    """

    is_behind = False
    """True if sending the last chunk took long, so that more may have arrived; set by whoever sends."""
    _refusal: Incident | None = None
    """The response to send instead, if the request alone shows that the answer cannot be sent."""
    first_chunk: bytes | None = None
    """The chunk with which the body begins, which `open` has read; None if it is still to come."""
    has_ended = False
    may_repeat = True
    """False if the request, sent again, would ask the model again."""
    ends_by_itself: ClassVar[bool] = False
    """True if the answer may run on while the server shuts down; False for readers of one in a journal."""

    def __init__(self, writer: Sending, served: ServedAnswer, id: str | None) -> None:
        self.writer = writer
        """Encodes what is sent, or only the errors that are not the answer's own."""
        self.served = served
        """The record of the answer, with the id that a refused reader gets."""
        self.headers: HeaderFields = {**writer.protocol.headers, "x-answer-id": quote_id(id)}
        self.heartbeat = writer.protocol.heartbeat
        """The heartbeat, which may be sent between any two chunks; empty if the protocol has none."""

    @property
    def answer_id(self) -> str | None:
        """The id of the answer in the head of the response, by which the log is searched; None for none."""
        return self.served.id

    async def __aenter__(self) -> Self:
        return self

    @abstractmethod
    async def __aexit__(self, *error: object) -> None:
        """Close the source of the chunks."""

    async def prepare(self, asked: AskedPosition) -> HeaderFields:
        """Prepare for a request, before all other methods; return headers that replace `headers`."""
        return {}

    async def open(self) -> Incident | None:
        """Wait until the answer has begun; return a refusal if the answer failed before it began."""
        return None

    async def open_head(self) -> Incident | None:
        """Prepare for a HEAD request, which gets a head without a body; the answer is not read.

        The result is the refusal whose head is sent in place of the answer's.
        """
        self.stop("only its head was asked for")
        return None

    @abstractmethod
    def next(self) -> Awaitable[Any]:
        """Return an awaitable for what arrives next."""

    @abstractmethod
    def encode(self, arrived: Any) -> bytes | None:  # noqa: ANN401 - the outlet's own
        """Return the chunk for what has arrived; None if nothing is to be sent for it."""

    @abstractmethod
    def encode_end(self, error: Exception) -> bytes | None:
        """Return the last chunk or None; raise an error that is not the answer's."""

    def encode_refusal(self, refusal: Incident) -> bytes:
        """Return a refusal as the error event that ends a response whose head was sent already."""
        error = refusal.error
        if not isinstance(error, AnswerFailure):
            kind = _KINDS.get(refusal.status, "invalid_request")
            error = StreamError(refusal.message, kind=kind, retryable=refusal.retryable)
            add_notice(error, refusal.message)
        return b"".join(self.writer.encode_error(error)) if refusal.message else b""

    @abstractmethod
    def stop(self, reason: str) -> bool:
        """Ask the answer to end, since its reader has disconnected; return without waiting.

        If the result is False, the chunks do not end by themselves: the task that reads them is
        cancelled.
        """

    def take_drain(self, seconds: float | None) -> None:  # noqa: B027 - most answers need their reader
        """Note how many seconds answers may run on at a shutdown; None if it is not known."""

    async def run_out(self) -> None:  # noqa: B027 - most answers need their reader
        """Wait until the answers that need no reader have ended; called when the server shuts down.

        The reader has got its last chunk. A server ends the application's lifespan only when its responses
        are over, so what the answers use, such as an HTTP client, stays open until then.
        """

    def refuse(self, refusal: Incident) -> None:  # noqa: B027 - only an answer of its own is refused
        """Send a refusal in place of an answer that has not begun; called before all but `prepare`."""

    def interrupt(self) -> bool:
        """End the answer because the server shuts down; return True if that cuts off an answer."""
        return False

    def shutdown_chunk(self) -> bytes:
        """Return the chunk to send when the server shuts down; empty if the protocol has no event for it."""
        return b""


class Delivery(ABC):
    """Sends answers to one reader; ends them if the reader disconnects or the server shuts down.

    Subclasses say how to send, how to notice a disconnect, and what to send last.

    Three tasks take part:

    1. The task that calls `run` receives from the reader: while nothing is sent, only that shows a
       disconnect. Below an application's middleware, each wake-up of this task costs more.
    2. A second task reads the answer and sends it. With `_delivers_first`, these two change places.
    3. A third task sends heartbeats during silence.
    """

    _sending: CancelScope
    _tasks: TaskGroup
    _delivers_first: ClassVar[bool] = False
    """True to receive only once the answer waits, as what the reader sends after its end is for others."""

    def __init__(self, timing: Timing, receive: Any, send: Any) -> None:  # noqa: ANN401 - of a framework
        self._timing = timing
        self._receive, self._send = receive, send
        self._disconnected = False
        self.shutting_down = False
        """True once this response is ended because the server shuts down."""
        self._came_late = False
        """True if the server was shutting down already when this response began."""
        self._sent_at = 0.0
        self._send_began: float | None = None
        """The clock reading at which the send that is not over began; None if there is none.

        It stays set if the sending is cancelled, because what was being sent may be incomplete then.
        """
        self._is_aborted = False
        """True once the connection of a reader that does not read was aborted."""

    async def run(self) -> None:
        """Send until the answer ends, its reader disconnects, or the server shuts down."""
        self._sending = CancelScope()
        try:
            with watch_shutdown(self, self._receive, self._send) as self._came_late:
                async with create_task_group() as self._tasks:
                    work, other = self._listen, self._deliver_and_conclude
                    if self._delivers_first:
                        work, other = other, work
                    self._tasks.start_soon(run_until_cancelled, other)
                    self._tasks.start_soon(run_until_cancelled, self._stay_alive)
                    await work()
        except BaseExceptionGroup as errors:
            raise_only(errors)

    async def _deliver_and_conclude(self) -> None:
        with self._sending:
            await self._deliver()
        await self._conclude()
        self._tasks.cancel_scope.cancel()

    # -- for each kind of connection -------------------------------------------

    @abstractmethod
    async def _deliver(self) -> None:
        """Read the answer, and send all of it."""

    @abstractmethod
    async def _listen(self) -> None:
        """Receive from the reader until it disconnects, or sends a message that ends the answer.

        Subclasses implement this method, which runs as a task beside `_deliver`.
        """

    @abstractmethod
    async def _stay_alive(self) -> None:
        """Send a heartbeat after each period of silence.

        Subclasses implement this method, which runs as a task beside `_deliver`.
        """

    @abstractmethod
    async def _conclude(self) -> None:
        """Send the last messages to the reader, if a stop or the server's shutdown has cut off the answer."""

    @abstractmethod
    def _stop_source(self, reason: str) -> bool:
        """Ask the source of the answer to end; return False if the task that reads it must be cancelled."""

    @abstractmethod
    def _interrupt_source(self) -> bool:
        """End the answer because the server shuts down; return False if there is none, or only its reader."""

    @property
    def _is_sending(self) -> bool:
        """True while something is being sent, and after a send that was cancelled."""
        return self._send_began is not None

    # -- ending ------------------------------------------------------------------

    def _note_disconnect(self) -> None:
        """Record that the reader has disconnected, and let the answer end after the grace period."""
        if not self._disconnected:
            self._disconnected = True
            self._tasks.start_soon(self._stop_after_grace)

    def let_stuck_go(self) -> None:
        """Abort the connection of a reader that has not read for too long, and count it as disconnected.

        Called several times a second. Otherwise the reader would hold the provider's connection for ever.
        """
        began, limit = self._send_began, self._timing.send_timeout
        overdue = -1.0 if began is None or limit is None else time.monotonic() - began - limit
        if overdue < 0:
            return
        if not self._is_aborted:
            self._is_aborted = True
            if abort_connection(self._receive, self._send):
                # The send ends, and the server reports the disconnect.
                return
        elif overdue < STOP_SECONDS:
            return
        self._disconnected = True
        self._sending.cancel()

    async def _stop_after_grace(self) -> None:
        await sleep(self._timing.grace)
        await self._stop("its reader has gone")

    async def _stop(self, reason: str) -> None:
        """End the answer: ask its source to end, and after a second cancel the task that sends."""
        if self._stop_source(reason):
            await sleep(STOP_SECONDS)
        self._sending.cancel()

    def choose_drain(self) -> float | None:
        """Return the seconds that an answer may run on at a shutdown; 0 because servers close WebSockets."""
        return 0.0

    def end_for_shutdown(self) -> bool:
        """Cancel the task that sends; return True if that cuts off an answer."""
        if self.shutting_down:
            return False
        self.shutting_down = True
        is_cut = self._interrupt_source()
        self._sending.cancel()
        return is_cut

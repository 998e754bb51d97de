"""Sending of an answer, or of a whole session, over a WebSocket of a browser, which may ask and stop."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, overload

import anyio
from anyio import BrokenResourceError, CancelScope, create_memory_object_stream, move_on_after, sleep

from tokenstream._basics.elsewhere import OF_RELAY, explain_options
from tokenstream.errors import MisuseError, pass_over
from tokenstream.relay._asgi.asking import check_origins, sent_cross_site
from tokenstream.relay._asgi.delivery import STOP_SECONDS, TIMING, Timing, check_timing
from tokenstream.relay._asgi.sockets import (
    MessageRefused,
    MessageWriter,
    ServerSocket,
    SocketDelivery,
    wrap_socket,
)
from tokenstream.relay._events_in import EventsIn, close_stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from tokenstream._basics.loose import JsonObject
    from tokenstream.events import Event
    from tokenstream.relay._encoders import ProtocolName
    from tokenstream.relay._shape import Shape
    from tokenstream.router import Router

    class InterruptibleAnswer(Protocol):
        """An answer that can be stopped, or interrupted where the user has heard enough."""

        def __aiter__(self) -> AsyncIterator[Event]: ...
        def stop(self, reason: str | None = None) -> None: ...
        async def interrupt(self, *, played_ms: float | None = None) -> None: ...

    class AsksInTurn(Protocol):
        """An open conversation, such as an `AsyncSession`."""

        def ask(self, content: str, *, router: Router | None = None) -> InterruptibleAnswer: ...


_MAX_QUESTION = 1_048_576
"""The maximum size of a client's message, in characters or bytes; a question may hold a whole document."""
_LONGEST_AUDIO = 86_400_000
"""The maximum of `played_ms`, a day."""
_EXPECTED = (
    'a message must be {"type":"ask","text":"…"}, {"type":"stop"} or {"type":"interrupt","played_ms":…}'
)


class SessionDelivery(SocketDelivery):
    """Asks a session what the client asks, and sends the answers, until the client disconnects."""

    def __init__(
        self,
        socket: ServerSocket,
        session: AsksInTurn,
        router: Router | None,
        make_writer: Callable[[], MessageWriter],
        timing: Timing,
    ) -> None:
        if not (hasattr(session, "ask") and hasattr(session, "__aenter__")):
            raise MisuseError(f"session= is an AsyncSession, and not {type(session).__name__}")
        super().__init__(socket, make_writer, timing)
        self._session = session
        self._router = router
        self._answer: InterruptibleAnswer | None = None
        self._scope: CancelScope | None = None
        """The scope in which the answer is read; None once its end is being sent, or if there is none."""
        self._is_interrupted = False
        self._is_cut = False
        """True once the interrupted answer is to be cancelled, because it did not end by itself."""
        self._unsent: list[bytes] = []
        """The end of an answer that was cancelled before it could be sent."""
        # A question waits in the listener until the answer before it has ended, so no queue grows.
        self._questions_in, self._questions = create_memory_object_stream[str](0)
        self._has_begun = anyio.Event()
        """Set once the latest question was asked, so that its answer can be stopped."""

    async def _give_up(self) -> None:
        self._questions_in.close()
        self._questions.close()

    async def _deliver(self) -> None:
        """Answer the client's questions, one after the other."""
        with self._questions:
            async for text in self._questions:
                self._writer = self._make_writer()
                self._answer = self._session.ask(text, router=self._router)
                self._is_interrupted = self._is_cut = False
                self._unsent = []
                with CancelScope() as self._scope:
                    self._has_begun.set()
                    await self._send_answer(EventsIn(self._answer))
                self._scope = None
                if self._owes_end and self._refused is None:
                    await super()._send_last(self._unsent or self._writer.encode_end("stopped"))

    async def _send_chunks(self, chunks: list[bytes]) -> None:
        """Send chunks as messages, then cancel the answer if that is due: a message is sent whole."""
        await super()._send_chunks(chunks)
        if self._is_cut and self._scope is not None:
            self._scope.cancel()

    async def _send_last(self, chunks: list[bytes]) -> None:
        """Send the end of an answer, which can no longer be interrupted."""
        scope, self._scope = self._scope, None
        if scope is not None and scope.cancel_called:
            self._unsent = chunks
        else:
            await super()._send_last(chunks)

    # -- the client's messages -------------------------------------------------

    async def _listen(self) -> None:
        """Receive the client's messages, and act on them, until it disconnects or makes a mistake."""
        # The delivery may end while a question is waiting.
        with self._questions_in, suppress(BrokenResourceError):
            while self._refused is None and (message := await self._read_message(_MAX_QUESTION)) is not None:
                await self._act_on(message)

    async def _act_on(self, message: JsonObject) -> None:
        """Ask, stop or interrupt, as a message of the client says."""
        match message:
            case {"type": "ask", "text": str(text), **rest} if text and not rest:
                await self._interrupt(None)
                self._has_begun = anyio.Event()
                await self._questions_in.send(text)
                await self._has_begun.wait()
            case {"type": "stop", **rest} if not rest:
                await self._interrupt(None)
            case {"type": "interrupt", "played_ms": int() | float() as played_ms, **rest} if (
                not rest and not isinstance(played_ms, bool) and 0 <= played_ms <= _LONGEST_AUDIO
            ):
                await self._interrupt(played_ms)
            case _:
                self._refuse(MessageRefused(_EXPECTED))

    async def _interrupt(self, played_ms: float | None) -> None:
        """Interrupt the latest answer, of which the client may not say how much was heard."""
        answer, scope = self._answer, self._scope
        if answer is None or (scope is None and played_ms is None):
            return
        # The provider's connection may take nothing more; the client's answer ends all the same.
        with move_on_after(STOP_SECONDS), pass_over("closed"):
            await answer.interrupt(played_ms=played_ms)
        if scope is not None and not self._is_interrupted:
            self._is_interrupted = True
            self._tasks.start_soon(self._cut_later, scope)

    async def _cut_later(self, scope: CancelScope) -> None:
        """Cancel an answer that does not end within a second, but not while a message is being sent."""
        await sleep(STOP_SECONDS)
        if self._scope is scope:
            self._is_cut = True
            if not self._is_sending:
                scope.cancel()

    def _stop_source(self, reason: str) -> bool:
        """Stop the answer that is being sent; return True if its end is still to come."""
        if self._scope is not None and self._answer is not None:
            self._answer.stop(reason)
        return self._owes_end


_MAX_MESSAGE = 65_536


class _AnswerDelivery(SocketDelivery):
    """Sends one answer over a WebSocket, while listening for a message of the client."""

    def __init__(
        self, socket: ServerSocket, events: EventsIn, make_writer: Callable[[], MessageWriter], timing: Timing
    ) -> None:
        super().__init__(socket, make_writer, timing)
        self._events = events
        self._listening = CancelScope()

    async def _give_up(self) -> None:
        """Close the source of the answer, since `run`, which enters and leaves it, is not reached."""
        await close_stream(self._events.source)

    async def _deliver(self) -> None:
        await self._send_answer(self._events)

    async def _send_last(self, chunks: list[bytes]) -> None:
        """Stop listening, and send the end of the answer.

        Messages of the client after the end belong to its next request.
        """
        self._listening.cancel()
        await super()._send_last(chunks)

    async def _listen(self) -> None:
        """Wait for one message of the client, since any message ends the answer.

        Later messages are left for the application to receive.
        """
        with self._listening:
            if self._listening.cancel_called:
                # The answer ended before this task began. A message that is there already would be taken.
                return
            message = await self._read_message(_MAX_MESSAGE)
            if message == {"type": "stop"}:
                self._tasks.start_soon(self._stop, "the client has stopped it")
            elif message is not None:
                self._refuse(MessageRefused('while an answer is sent, only {"type":"stop"} may be sent'))

    def _stop_source(self, reason: str) -> bool:
        return self._events.stop(reason)


@overload
async def websocket(
    ws: object,
    stream: AsyncIterable[Event],
    *,
    protocol: ProtocolName = "tokenstream",
    shape: Shape | None = None,
    origins: Iterable[str] = (),
    timing: Timing = TIMING,
) -> bool: ...


@overload
async def websocket(
    ws: object,
    *,
    session: AsksInTurn,
    router: Router | None = None,
    protocol: ProtocolName = "tokenstream",
    shape: Shape | None = None,
    origins: Iterable[str] = (),
    timing: Timing = TIMING,
) -> bool: ...


@explain_options(**OF_RELAY)
async def websocket(
    ws: object,
    stream: AsyncIterable[Event] | None = None,
    *,
    session: AsksInTurn | None = None,
    router: Router | None = None,
    protocol: ProtocolName = "tokenstream",
    shape: Shape | None = None,
    origins: Iterable[str] = (),
    timing: Timing = TIMING,
) -> bool:
    """Send an answer, or all answers of a session, over a WebSocket, one message per event.

    The function accepts the connection, unless the application has accepted it already.

    With `stream`, it enters the stream, reads it and closes it. The connection stays open for the
    next request. While the answer is being sent, the client may send `{"type":"stop"}`; any other
    message ends the answer and closes the connection with code 1007, 1008 or 1009. Messages after
    the end are left for the application to receive; one of them may be a stop that was sent too late.

    With `session=`, it asks the session each question that the client sends as
    `{"type":"ask","text":"…"}`, and sends the answer, until the client disconnects. A question that
    comes during an answer interrupts it. So does `{"type":"stop"}`, or, with the milliseconds of
    audio that the user has heard, `{"type":"interrupt","played_ms":1200}`, which may also come after
    the end of the answer. Any other message closes the connection with the same codes.

    Args:
        ws: A WebSocket of Starlette, FastAPI or Litestar, or a server's connection of `websockets`.
        stream: The answer; None with `session=`.
        session: The `AsyncSession` to ask, which the application has entered, and which nobody else asks;
            None with `stream`.
        router: Runs the tools that the session's answers call; None to end an answer with its calls.
        protocol: The name of the protocol in which to send the answers.
        shape: Transforms the text of each text part: a function that takes a text view and returns a
            transformed view, such as `lambda text: text.redact(pattern)`.
        origins: The origins of other sites whose pages may open the connection, such as
            `["https://page.example"]`; "*" for all. See `is_cross_site`.
        timing: The times for heartbeats, and for a client that is slow or has gone.

    Returns:
        True if the connection is still open; False also for a connection of another site's page, which is
        refused, or closed with code 1008 if the application has accepted it.

    Raises:
        MisuseError: The protocol is unknown; `ws` is not a supported WebSocket; `stream` or `session` is not
            asynchronous; both are given, or neither; or one of `origins` is no origin.
        MisuseError: Somebody else reads an answer of the session, or it was closed; see `MisuseError.kind`.

    Example:
        >>> from tokenstream import AsyncSession, aconnect
        >>> async def endpoint(ws: object, payloads: AsyncIterable[object]) -> None:
        ...     async for payload in payloads:
        ...         await websocket(ws, aconnect("https://api.example/v1/chat", json=payload))
        >>> async def chat(ws: object, session: AsyncSession) -> None:
        ...     await websocket(ws, session=session)
    """
    make_writer = partial(MessageWriter, protocol, shape=shape)
    check_timing(timing)
    allowed, socket = check_origins(origins), wrap_socket(ws)
    if session is not None and stream is None:
        delivery: SocketDelivery = SessionDelivery(socket, session, router, make_writer, timing)
    elif session is not None or stream is None:
        raise MisuseError("relay.websocket() sends an answer, or the answers of session=: pass one of them")
    elif router is not None:
        raise MisuseError(
            "router= runs the tools of a session: of one answer, run them with stream.run(router)"
        )
    else:
        delivery = _AnswerDelivery(socket, EventsIn(stream), make_writer, timing)
    if sent_cross_site(socket.read_header, allowed):
        return await delivery.turn_away()
    return await delivery.converse()

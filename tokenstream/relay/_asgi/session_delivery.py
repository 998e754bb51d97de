"""Delivery of all answers of a session over a WebSocket, whose client asks, stops and interrupts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from tokenstream.errors import MisuseError, StreamClosed
from tokenstream.relay._asgi.delivery import STOP_SECONDS
from tokenstream.relay._asgi.socket_delivery import MessageRefused, SocketDelivery, parse_message
from tokenstream.relay._asgi.sockets import Disconnected
from tokenstream.relay._events_in import EventsIn
from tokenstream.session import AsyncSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import CancelScope

    from tokenstream.relay._asgi.sockets import ServerSocket
    from tokenstream.relay._asgi.writing import MessageWriter
    from tokenstream.router import Router
    from tokenstream.session import AsyncAnswer

_MAX_QUESTION = 1_048_576
"""The maximum size of a client's message, in characters or bytes; a question may hold a whole document."""
_LONGEST_AUDIO = 86_400_000
"""The maximum of `played_ms`, a day."""
_EXPECTED = (
    'a message must be {"type":"ask","text":"…"}, {"type":"stop"} or {"type":"interrupt","played_ms":…}'
)


class SessionDelivery(SocketDelivery):
    """Asks a session what the client asks, and sends the answers, until the client disconnects.

    Args:
        session: The session, which the application has entered.
        router: Runs the tools that the answers call; None to end an answer with its calls.

    The other options are those of `SocketDelivery`.

    Raises:
        MisuseError: The session is not asynchronous.
    """

    def __init__(
        self,
        socket: ServerSocket,
        session: AsyncSession,
        router: Router | None,
        make_writer: Callable[[], MessageWriter],
        *,
        keep_alive: float | None,
        grace: float,
        send_timeout: float | None,
    ) -> None:
        from anyio import Event, create_memory_object_stream

        if not isinstance(cast("object", session), AsyncSession):
            raise MisuseError(f"session= is an AsyncSession, and not {type(session).__name__}")
        super().__init__(socket, make_writer, keep_alive=keep_alive, grace=grace, send_timeout=send_timeout)
        self._session = session
        self._router = router
        self._answer: AsyncAnswer | None = None
        """The latest answer; None before the first question."""
        self._scope: CancelScope | None = None
        """The scope in which the answer is read; None once its end is being sent, or if there is none."""
        self._is_interrupted = False
        """True once the client has interrupted the answer."""
        self._is_cut = False
        """True once the interrupted answer is to be cancelled, because it did not end by itself."""
        self._unsent: list[bytes] = []
        """The end of an answer that was cancelled before it could be sent."""
        # A question waits in the listener until the answer before it has ended, so no queue grows.
        self._questions_in, self._questions = create_memory_object_stream[str](0)
        self._has_begun = Event()
        """Set once the latest question was asked, so that its answer can be stopped."""

    async def _give_up(self) -> None:
        """Close the stream of questions; the session is the application's."""
        self._questions_in.close()
        self._questions.close()

    async def _deliver(self) -> None:
        """Answer the client's questions, one after the other."""
        from anyio import CancelScope

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
                    await super()._send_last(self._unsent or self._writer.end("stopped"))

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
        from anyio import BrokenResourceError

        with self._questions_in:
            try:
                while True:
                    await self._act_on(parse_message(await self._socket.receive(), _MAX_QUESTION))
            except Disconnected:
                self._note_disconnect()
            except MessageRefused as refused:
                self._refuse(refused)
            except BrokenResourceError:
                # The delivery has ended while a question was waiting.
                pass

    async def _act_on(self, message: dict[str, Any]) -> None:
        """Ask, stop or interrupt, as a message of the client says.

        Raises:
            MessageRefused: The message is not one of those that are allowed.
        """
        from anyio import Event

        match message:
            case {"type": "ask", "text": str(text), **rest} if text and not rest:
                await self._interrupt(None)
                self._has_begun = Event()
                await self._questions_in.send(text)
                await self._has_begun.wait()
            case {"type": "stop", **rest} if not rest:
                await self._interrupt(None)
            case {"type": "interrupt", "played_ms": int() | float() as played_ms, **rest} if (
                not rest and not isinstance(played_ms, bool) and 0 <= played_ms <= _LONGEST_AUDIO
            ):
                await self._interrupt(played_ms)
            case _:
                raise MessageRefused(_EXPECTED)

    async def _interrupt(self, played_ms: float | None) -> None:
        """Interrupt the latest answer.

        Args:
            played_ms: The milliseconds of its audio that were heard; None if the client doesn't say.
        """
        from anyio import move_on_after

        answer, scope = self._answer, self._scope
        if answer is None or (scope is None and played_ms is None):
            return
        # The provider's connection may take nothing more; the client's answer ends all the same.
        with move_on_after(STOP_SECONDS), suppress(StreamClosed):
            await answer.interrupt(played_ms=played_ms)
        if scope is not None and not self._is_interrupted:
            self._is_interrupted = True
            self._tasks.start_soon(self._cut_later, scope)

    async def _cut_later(self, scope: CancelScope) -> None:
        """Cancel an answer that does not end within a second, but not while a message is being sent."""
        from anyio import sleep

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

"""Delivery of all answers of a session over a WebSocket, whose client asks, stops and interrupts."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, cast

from tokenstream.errors import MisuseError
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
_EXPECTED = (
    'a message must be {"type":"ask","text":"…"}, {"type":"stop"} or {"type":"interrupt","played_ms":…}'
)


class SessionDelivery(SocketDelivery):
    """Asks a session what the client asks, and sends the answers, until the client disconnects.

    Args:
        session: The session, which the application has entered.
        router: Runs the tools that the answers call; None to leave calls to the client.

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
    ) -> None:
        from anyio import Event, create_memory_object_stream

        if not isinstance(cast("object", session), AsyncSession):
            raise MisuseError(f"session= is an AsyncSession, and not {type(session).__name__}")
        super().__init__(socket, make_writer, keep_alive=keep_alive, grace=grace)
        self._session = session
        self._router = router
        self._answer: AsyncAnswer | None = None
        """The latest answer; None before the first question."""
        self._answer_scope: CancelScope | None = None
        """The scope in which the latest answer is read."""
        # A question waits in the listener until the answer before it has ended, so no queue grows.
        self._asking, self._asked = create_memory_object_stream[str](0)
        self._taken = Event()
        """Set once the latest question was asked, so that its answer can be stopped."""

    async def _give_up(self) -> None:
        """Close what questions go through; no answer has begun, and the session is the application's."""
        self._asking.close()
        self._asked.close()

    async def _deliver(self) -> None:
        """Answer the client's questions, one after the other."""
        from anyio import CancelScope

        with self._asked:
            async for text in self._asked:
                self._writer = self._make_writer()
                self._answer = self._session.ask(text, router=self._router)
                self._owes_end = True
                self._taken.set()
                with CancelScope() as self._answer_scope:
                    await self._send_answer(EventsIn(self._answer))
                if self._answer_scope.cancelled_caught and self._owes_end:
                    # The interrupted answer was cancelled, because it did not end by itself.
                    await self._send_last(self._writer.end("stopped"))

    # -- the client's messages -------------------------------------------------

    async def _listen(self) -> None:
        """Do what the client's messages say, until it disconnects or makes a mistake."""
        from anyio import BrokenResourceError

        with self._asking:
            try:
                while True:
                    await self._obey(parse_message(await self._socket.receive(), _MAX_QUESTION))
            except Disconnected:
                self._note_disconnect()
            except MessageRefused as refused:
                self._refuse(refused)
            except BrokenResourceError:
                # The delivery has ended while a question was waiting.
                pass

    async def _obey(self, message: dict[str, Any]) -> None:
        """Do what one message of the client says.

        Raises:
            MessageRefused: The message is not one of those that are allowed.
        """
        from anyio import Event

        match message:
            case {"type": "ask", "text": str(text), **rest} if text and not rest:
                await self._interrupt(None)
                self._taken = Event()
                await self._asking.send(text)
                await self._taken.wait()
            case {"type": "stop", **rest} if not rest:
                await self._interrupt(None)
            case {"type": "interrupt", "played_ms": int() | float() as played_ms, **rest} if (
                not rest and not isinstance(played_ms, bool) and 0 <= played_ms < inf
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

        answer, scope = self._answer, self._answer_scope
        if answer is None or scope is None or not (self._owes_end or played_ms is not None):
            return
        # The provider's connection may take nothing more; the client's answer ends all the same.
        with move_on_after(STOP_SECONDS):
            await answer.interrupt(played_ms=played_ms)
        self._tasks.start_soon(_cancel_later, scope)

    def _stop_source(self, reason: str) -> bool:
        """Stop the answer that is being sent; return True if there is one, which will end by itself."""
        if self._answer is None or not self._owes_end:
            return False
        self._answer.stop(reason)
        return True


async def _cancel_later(scope: CancelScope) -> None:
    """Cancel what does not end by itself within a second."""
    from anyio import sleep

    await sleep(STOP_SECONDS)
    scope.cancel()

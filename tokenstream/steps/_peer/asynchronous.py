"""A peer that is read and written in coroutines, on asyncio and on trio."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import explain_options
from tokenstream.errors import StreamInterrupted, pass_over
from tokenstream.limits import DEFAULT_LIMITS, Deadlines, Limits
from tokenstream.steps._chunks import AsyncChunks
from tokenstream.steps._peer.base import (
    SILENCE,
    AsyncPeerMessage,
    BasePeer,
    concurrent_read_error,
    is_broken_pipe,
)
from tokenstream.steps._peer.exchange import PeerCall, join_params
from tokenstream.steps._program import (
    AGENT_DEADLINES,
    PATIENCE,
    AccompaniedReader,
    Patience,
    broken_pipe_error,
)
from tokenstream.stream._reading.host import find_host

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.framing._json_rpc import JSONRPCMessage, RPCId
    from tokenstream.stream._reading.host import Host


class AsyncPeer(BasePeer):
    """The other side of a conversation in JSON-RPC, such as an agent's process, in coroutines.

    A loop over the peer gets its requests and notifications; pass the peer to `Steps.follow` to
    build a run from them as well. The process is yours: a peer starts and ends none.

    Args:
        reader: What the agent writes: an `asyncio.StreamReader`, or a byte stream of trio or anyio.
        writer: What the agent reads: an `asyncio.StreamWriter`, or a byte stream of trio or anyio.
        limits: Bounds on what the agent sends. `body` bounds the messages that wait for a loop.
        deadlines: The longest waits for the agent. While it owes no answer, or waits for one, its silence
            has no bound.
    """

    @explain_options(headers="messages are lines, and none have a Content-Length")
    def __init__(
        self,
        reader: Any,  # noqa: ANN401 - known by its methods
        writer: Any,  # noqa: ANN401 - as above
        *,
        limits: Limits = DEFAULT_LIMITS,
        deadlines: Deadlines = AGENT_DEADLINES,
    ) -> None:
        super().__init__(limits=limits, deadlines=deadlines)
        self._chunks = AsyncChunks(reader)
        self._writer = writer
        self._is_of_asyncio = hasattr(writer, "write") and hasattr(writer, "drain")
        """True if the writer itself keeps what cannot be sent yet."""
        self._outgoing: deque[bytes] = deque()
        self._send_lock: Any = None
        """Lets one task send at a time; None before the first."""
        self._wake: Any = None
        """Set when `reply_soon` has put something into `_outgoing`; None while nothing waits for that."""
        self._host: Host | None = None
        """The event loop in which the peer is read; None before that."""
        self._is_reading = False
        self._reading = AccompaniedReader([] if self._is_of_asyncio else [self._send_when_woken])

    # -- to the agent ------------------------------------------------------

    async def ask(self, method: str, params: Any = None, /, **names: Any) -> Any:  # noqa: ANN401 - JSON
        """Send a request and wait for its result; messages that come meanwhile are kept for the loop.

        The arguments and errors are those of `Peer.ask`.
        """
        call = await self.begin(method, params, **names)
        patience = Patience(self.deadlines)
        while not call.done:
            self.exchange.check_room(call)
            with suppress(StopAsyncIteration):
                await self._wait(patience, is_resting=False)
        if call.error is not None:
            raise call.error
        return call.result

    async def begin(self, method: str, params: Any = None, /, **names: Any) -> PeerCall:  # noqa: ANN401 - JSON
        """Send a request, and return at once; the answer comes while a loop or `ask` reads.

        The arguments, the result and the errors are those of `Peer.begin`.
        """
        await self._settle(method)
        call, data = self.exchange.begin(method, join_params(method, params, names))
        await self._write(data)
        return call

    async def notify(self, method: str, params: Any = None, /, **names: Any) -> None:  # noqa: ANN401 - JSON
        """Send a notification, which has no answer; see `Peer.notify`."""
        await self._write(self.exchange.notify(method, join_params(method, params, names)))

    async def reply(self, to: JSONRPCMessage | RPCId, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer a request of the agent; the arguments and errors are those of `Peer.reply`."""
        await self._write(self.exchange.answer(to, {"result": result}))

    def reply_soon(self, to: JSONRPCMessage | RPCId, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer a request of the agent from an ordinary function, in any thread; the loop sends the answer.

        Args:
            to: The message, or its id.
            result: The result, as JSON.

        Raises:
            MisuseError: No such request waits for a reply.
            StreamInterrupted: The agent no longer reads.
        """
        self._send_from_anywhere(self.exchange.answer(to, {"result": result}))

    def begin_soon(self, method: str, params: JsonObject) -> int:
        """Send a request whose answer nobody waits for, from an ordinary function; return its id.

        Raises:
            StreamInterrupted: The agent no longer reads.
        """
        call, data = self.exchange.begin(method, params, is_awaited=False)
        self._send_from_anywhere(data)
        return call.id

    def _send_from_anywhere(self, data: bytes) -> None:
        """Send bytes, or leave them to the loop that reads; may be called in any thread."""
        send = partial(self._send_soon, data)
        host = self._host
        if host is None or host.is_running():
            send()
        elif not host.call(send):
            raise broken_pipe_error() from RuntimeError("the event loop of the peer has ended")

    async def refuse(self, to: JSONRPCMessage | RPCId, code: int, message: str) -> None:
        """Answer a request of the agent with an error; see `Peer.refuse`."""
        await self._write(self.exchange.answer(to, {"error": {"code": code, "message": message}}))

    # -- from the agent ----------------------------------------------------

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AsyncPeerMessage:
        while (message := self._take_message()) is None:
            await self._wait(self._patience, is_resting=self.exchange.is_resting)
        return AsyncPeerMessage(message, self)

    async def aclose(self) -> None:
        """Send what waits to be sent, and close the agent's input; the process is yours.

        What the agent prints until it ends, or is silent, is read before, for 5 seconds at most.
        """
        await self._close_input()
        await self._drain()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            await self.aclose()
        else:
            # Whoever leaves with an error does not wait for the agent.
            await self._close_input()

    # -- for `Steps.follow` ------------------------------------------------

    async def read(self) -> bool:
        """Read and take in a chunk; return True if it completes a message.

        Raises:
            StopAsyncIteration: The agent has closed its output.
            MisuseError: Another task is reading; `kind` is "concurrent".
        """
        if self._is_reading:
            raise concurrent_read_error()
        self._is_reading = True
        self._host = self._host or find_host()
        try:
            chunk: Any = await self._reading.read(self._chunks.read)
            return self._take_in(chunk)
        except StopAsyncIteration:
            self.exchange.end()
            raise
        finally:
            self._is_reading = False

    # -- within ------------------------------------------------------------

    async def _close_input(self) -> None:
        """Send what waits to be sent, and close the agent's input."""
        self._is_closing = True
        with suppress(StreamInterrupted):
            await self._send_waiting()
        close = getattr(self._writer, "aclose", None)
        try:
            if close is not None:
                await close()
            else:
                self._writer.close()
                await self._writer.wait_closed()
        except Exception as error:
            # A pipe that the agent has closed cannot be closed without an error.
            if not is_broken_pipe(error):
                raise

    async def _settle(self, method: str) -> None:
        """Read what may still come of the last turn, before a request begins the next one."""
        from anyio import move_on_after

        if not self._chunks.is_pipe:
            # An asynchronous generator does not survive that a read is cancelled.
            return
        # Another task that reads takes it in by itself.
        with pass_over("concurrent"), suppress(StopAsyncIteration):
            for seconds in self._settling(method):
                with move_on_after(seconds) as scope:
                    await self.read()
                if scope.cancelled_caught:
                    return

    async def _drain(self) -> None:
        """Read what the agent prints until it ends: a process with a full pipe could not end."""
        from anyio import move_on_after

        is_over = not self._chunks.is_pipe or self.exchange.has_ended
        try:
            with move_on_after(PATIENCE), pass_over("concurrent"), suppress(StopAsyncIteration):
                while not is_over:
                    with move_on_after(SILENCE) as scope:
                        await self.read()
                    is_over = scope.cancelled_caught
        except Exception as error:
            # The caller may have closed the agent's output.
            if not is_broken_pipe(error):
                raise

    async def _wait(self, patience: Patience, *, is_resting: bool) -> None:
        """Read a chunk within the deadlines; raise StopAsyncIteration once all output was taken."""
        try:
            has_message = await patience.read_async(self.read, is_resting=is_resting)
        except StopAsyncIteration:
            # The end may have completed a last message, or failed a request.
            if self.exchange.is_drained:
                raise
            return
        if has_message:
            patience.note_content()

    async def _write(self, data: bytes) -> None:
        """Send bytes, after those that wait to be sent."""
        if not self._is_of_asyncio:
            self._outgoing.append(data)
            await self._send_waiting()
            return
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise broken_pipe_error() from error

    def _send_soon(self, data: bytes) -> None:
        """Send bytes, or leave them to the loop that reads; called in the peer's event loop."""
        if self._is_of_asyncio:
            self._writer.write(data)
            return
        self._outgoing.append(data)
        if self._wake is not None:
            self._wake.set()

    async def _send_waiting(self) -> None:
        """Send the bytes that wait for it, on trio and with streams of anyio."""
        from anyio import Lock

        self._send_lock = self._send_lock or Lock()
        send = getattr(self._writer, "send_all", None) or getattr(self._writer, "send", None)
        async with self._send_lock:
            while self._outgoing and send is not None:
                try:
                    await send(self._outgoing.popleft())
                except Exception as error:
                    if not is_broken_pipe(error):
                        raise
                    raise broken_pipe_error() from error

    async def _send_when_woken(self) -> None:
        """Send what `reply_soon` leaves to be sent, while the loop reads."""
        from anyio import CancelScope, Event

        while True:
            self._wake = Event()
            # A message that is cut in the middle would break the conversation.
            with CancelScope(shield=True):
                await self._send_waiting()
            await self._wake.wait()

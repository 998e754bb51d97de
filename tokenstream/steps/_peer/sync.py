"""A peer that is read and written in ordinary functions."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tokenstream._basics.elsewhere import explain_options
from tokenstream.errors import pass_over
from tokenstream.limits import DEFAULT_LIMITS, Deadlines, Limits
from tokenstream.steps._chunks import SyncChunks
from tokenstream.steps._peer.base import SILENCE, BasePeer, PeerMessage, concurrent_read_error
from tokenstream.steps._peer.exchange import PeerCall, join_params
from tokenstream.steps._program import AGENT_DEADLINES, PATIENCE, Patience, broken_pipe_error, write_whole
from tokenstream.stream._reading.read_ahead import ReadTimeout

if TYPE_CHECKING:
    from tokenstream._basics.loose import JsonObject
    from tokenstream.framing._json_rpc import JSONRPCMessage, RPCId


class Peer(BasePeer):
    r"""The other side of a conversation in JSON-RPC, such as an agent's process.

    A loop over the peer gets its requests and notifications; pass the peer to `Steps.follow` to
    build a run from them as well. The process is yours: a peer starts and ends none.

    Args:
        reader: What the agent writes: its standard output, or any binary file.
        writer: What the agent reads: its standard input.
        limits: Bounds on what the agent sends. `body` bounds the messages that wait for a loop.
        deadlines: The longest waits for the agent. While it owes no answer, or waits for one, its silence
            has no bound.

    Example:
        >>> import io
        >>> from tokenstream import Peer
        >>> answers = io.BytesIO(b'{"method": "note"}\n{"id": 0, "result": {"ok": true}}\n')
        >>> with Peer(answers, io.BytesIO()) as peer:
        ...     print(peer.ask("initialize", protocolVersion=1))
        ...     print([message.method for message in peer])
        {'ok': True}
        ['note']
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
        self._chunks = SyncChunks(reader)
        self._writer = getattr(writer, "buffer", writer)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()

    # -- to the agent ------------------------------------------------------

    def ask(self, method: str, params: Any = None, /, **names: Any) -> Any:  # noqa: ANN401 - JSON
        """Send a request and wait for its result; messages that come meanwhile are kept for the loop.

        Args:
            method: The method.
            params: The parameters, as an object or an array; None for those by name alone.
            names: Parameters by their names.

        Raises:
            ProviderError: The agent answers with an error; `code` and `data` are the agent's.
            StreamTruncated: The agent has closed its output.
            StreamInterrupted: The agent no longer reads.
            StreamStalled: The agent was silent for longer than the deadlines allow.
            LimitExceeded: Too many messages came meanwhile.
        """
        call = self.begin(method, params, **names)
        patience = Patience(self.deadlines)
        while not call.done:
            self.exchange.check_room(call)
            with suppress(StopIteration):
                self._wait(patience, is_resting=False)
        if call.error is not None:
            raise call.error
        return call.result

    def begin(self, method: str, params: Any = None, /, **names: Any) -> PeerCall:  # noqa: ANN401 - JSON
        """Send a request, and return at once; the answer comes while a loop or `ask` reads.

        The arguments are those of `Peer.ask`.

        Returns:
            The request with its `result`, which `run.follow(peer, until=…)` takes, too.

        Raises:
            StreamInterrupted: The agent no longer reads.
        """
        self._settle(method)
        call, data = self.exchange.begin(method, join_params(method, params, names))
        self._write(data)
        return call

    def begin_soon(self, method: str, params: JsonObject) -> int:
        """Send a request whose answer nobody waits for; return its id.

        Raises:
            StreamInterrupted: The agent no longer reads.
        """
        call, data = self.exchange.begin(method, params, is_awaited=False)
        self._write(data)
        return call.id

    def notify(self, method: str, params: Any = None, /, **names: Any) -> None:  # noqa: ANN401 - JSON
        """Send a notification, which has no answer.

        The arguments are those of `Peer.ask`.

        Raises:
            StreamInterrupted: The agent no longer reads.
        """
        self._write(self.exchange.notify(method, join_params(method, params, names)))

    def reply(self, to: JSONRPCMessage | RPCId, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer a request of the agent.

        Args:
            to: The message, or its id.
            result: The result, as JSON.

        Raises:
            MisuseError: No such request waits for a reply.
            StreamInterrupted: The agent no longer reads.
        """
        self._write(self.exchange.answer(to, {"result": result}))

    def refuse(self, to: JSONRPCMessage | RPCId, code: int, message: str) -> None:
        """Answer a request of the agent with an error.

        Args:
            to: The message, or its id.
            code: The error's code, such as -32601 for a method that you do not have.
            message: A description of the error.

        Raises:
            MisuseError: No such request waits for a reply.
            StreamInterrupted: The agent no longer reads.
        """
        self._write(self.exchange.answer(to, {"error": {"code": code, "message": message}}))

    # -- from the agent ----------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> PeerMessage:
        while (message := self._take_message()) is None:
            self._wait(self._patience, is_resting=self.exchange.is_resting)
        return PeerMessage(message, self)

    def close(self) -> None:
        """Close the agent's input, and stop reading; the process is left to you.

        What the agent prints until it ends, or is silent, is read before, for 5 seconds at most.
        """
        self._close_input()
        self._drain()
        self._chunks.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
        else:
            # Whoever leaves with an error does not wait for the agent.
            self._close_input()
            self._chunks.release()

    # -- for `Steps.follow` ------------------------------------------------

    def read(self, seconds: float | None) -> bool:
        """Read and take in a chunk; return True if it completes a message.

        Args:
            seconds: Longest time to wait; None for no limit.

        Raises:
            StopIteration: The agent has closed its output.
            ReadTimeout: Nothing came in time.
            MisuseError: Another thread is reading; `kind` is "concurrent".
        """
        if not self._read_lock.acquire(blocking=False):
            raise concurrent_read_error()
        try:
            chunk: Any = self._chunks.read(seconds)
            return self._take_in(chunk)
        except StopIteration:
            self.exchange.end()
            raise
        finally:
            self._read_lock.release()

    # -- within ------------------------------------------------------------

    def _close_input(self) -> None:
        self._is_closing = True
        with suppress(OSError):
            self._writer.close()

    def _settle(self, method: str) -> None:
        """Read what may still come of the last turn, before a request begins the next one."""
        if not self._chunks.is_pipe:
            # Such a read has no time limit, and may wait for the next turn.
            return
        # Another thread that reads takes it in by itself.
        with pass_over("concurrent"), suppress(ReadTimeout, StopIteration):
            for seconds in self._settling(method):
                self.read(seconds)

    def _drain(self) -> None:
        """Read what the agent prints until it ends: a process with a full pipe could not end."""
        until = time.monotonic() + PATIENCE
        with pass_over("concurrent"), suppress(ReadTimeout, StopIteration, OSError, ValueError):
            while self._chunks.is_pipe and time.monotonic() < until and not self.exchange.has_ended:
                self.read(SILENCE)

    def _wait(self, patience: Patience, *, is_resting: bool) -> None:
        """Read a chunk within the deadlines; raise StopIteration once all output was taken."""
        try:
            has_message = patience.read(self.read, is_resting=is_resting)
        except StopIteration:
            # The end may have completed a last message, or failed a request.
            if self.exchange.is_drained:
                raise
            return
        if has_message:
            patience.note_content()

    def _write(self, data: bytes) -> None:
        """Send all bytes; raise StreamInterrupted if the agent no longer reads."""
        try:
            with self._write_lock:
                write_whole(self._writer, data)
        except (OSError, ValueError) as error:
            raise broken_pipe_error() from error

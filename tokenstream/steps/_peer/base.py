"""The base of both kinds of peers: the conversation, its messages, and what is told of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tokenstream._sources.causes import class_names
from tokenstream.errors import MisuseError, StreamInterrupted
from tokenstream.framing._json_rpc import JSONRPCMessage
from tokenstream.limits import DEFAULT_LIMITS
from tokenstream.steps._peer.exchange import PeerExchange
from tokenstream.steps._program import AGENT_DEADLINES, Patience
from tokenstream.stream._reading.reader import LEAST_WAIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenstream.limits import Deadlines, Limits
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._peer.asynchronous import AsyncPeer
    from tokenstream.steps._peer.sync import Peer
    from tokenstream.steps._run import Steps

LATEST = 0.5
"""Number of seconds after the end of a turn in which more of it may come."""
SILENCE = 0.2
"""Number of seconds of silence after which a peer that is closed prints no more, or prints it in vain."""
_BROKEN = frozenset({"BrokenResourceError", "ClosedResourceError"})
"""Classes of errors of trio and of anyio for a stream that can no longer be written."""


class BasePeer:
    """The conversation with a peer.

    Args:
        limits: Bounds on what the peer sends.
        deadlines: The longest waits for it.
    """

    if not TYPE_CHECKING:
        # The attributes are in the subclasses' dictionary.
        __slots__ = ()

    def __init__(self, *, limits: Limits = DEFAULT_LIMITS, deadlines: Deadlines = AGENT_DEADLINES) -> None:
        self.exchange = PeerExchange(limits=limits)
        """The conversation without its I/O."""
        self.deadlines = deadlines
        """The longest waits for the peer."""
        self.followed: tuple[Steps, AgentReader] | None = None
        """The run that was built last from this conversation, and the reader that goes on with it."""
        self._patience = self._make_patience()
        """The patience of the loop over the messages."""
        self._is_closing = False
        """True once the peer's input was closed."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'ended' if self.exchange.has_ended else 'open'}>"

    @property
    def skipped(self) -> int:
        """Number of lines that are no JSON-RPC, such as logs, and were left out."""
        return self.exchange.skipped

    def _make_patience(self) -> Patience:
        return Patience(self.deadlines, time.monotonic)

    def _settling(self, method: str) -> Iterator[float]:
        """Yield, before a request, for how many seconds to read on, because the last turn may go on.

        Some agents answer the request of a turn before they have sent the last of it. What comes after the
        next request cannot be told from the next turn.
        """
        exchange = self.exchange
        is_turn = self.followed is not None and method in self.followed[1].turn_methods
        answered_at = exchange.answered_at.get(method) if is_turn else None
        now = begun = time.monotonic()
        while answered_at is not None and now < begun + LATEST and exchange.has_room:
            # Messages that have come meanwhile are read, however long ago that was.
            yield max(answered_at + LATEST - now, LEAST_WAIT)
            now = time.monotonic()

    def _take_in(self, chunk: bytes) -> bool:
        """Take in bytes of the peer; return True if they complete a message.

        Once the peer is closed, what no loop has room for is dropped.
        """
        if self._is_closing and not self.exchange.has_room:
            return False
        return self.exchange.feed(chunk, now=time.monotonic())

    def _take_message(self) -> JSONRPCMessage | None:
        """Return the next message that has come; None if there is none yet."""
        exchange = self.exchange
        while (item := exchange.take()) is not None:
            if isinstance(item, JSONRPCMessage):
                return item
        call, exchange.broken_call = exchange.broken_call, None
        if call is not None and call.error is not None:
            raise call.error
        return None


def is_broken_pipe(error: BaseException) -> bool:
    """Return True for an error of a writer that is closed, or whose reader has gone."""
    return isinstance(error, OSError) or not _BROKEN.isdisjoint(class_names(error))


def concurrent_read_error() -> MisuseError:
    """Return the error for a read while another thread or task reads."""
    return MisuseError(
        "another thread or task is reading from this peer, and only one may at a time: send the request with "
        "begin(…), and the other one reads its answer",
        kind="concurrent",
    )


def broken_pipe_error(error: BaseException) -> StreamInterrupted:
    """Return the error for a message that cannot be sent."""
    failed = StreamInterrupted("the agent no longer reads what it is sent: its process may have ended")
    failed.__cause__ = error
    return failed


class _AnyMessage(JSONRPCMessage):
    """A message of a peer.

    Args:
        message: The message as the framing gives it.
        exchange: The conversation with the peer that has sent it.
    """

    __slots__ = ("_exchange",)

    def __init__(self, message: JSONRPCMessage, exchange: PeerExchange) -> None:
        super().__init__(message.raw, message.size)
        self._exchange = exchange

    @property
    def wants_reply(self) -> bool:
        """True for a request that has no reply yet: the peer waits for one."""
        return self.kind == "request" and self._exchange.is_waiting_for(self.id)


class PeerMessage(_AnyMessage):
    """A request or a notification of a `Peer`.

    `method` and `params` say what it is about; `raw` is the whole message. An answer that belongs to no
    request of yours is passed on, too: its method is "".
    """

    __slots__ = ("_peer",)

    def __init__(self, message: JSONRPCMessage, peer: Peer) -> None:
        super().__init__(message, peer.exchange)
        self._peer = peer

    def reply(self, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer the request.

        Args:
            result: The result, as JSON.

        Raises:
            MisuseError: The message wants no reply, or has one.
            StreamInterrupted: The peer no longer reads.
        """
        self._peer.reply(self, result)

    def refuse(self, code: int, message: str) -> None:
        """Answer the request with an error.

        Args:
            code: The error's code, such as -32601 for a method that you do not have.
            message: A description of the error.

        Raises:
            MisuseError: The message wants no reply, or has one.
            StreamInterrupted: The peer no longer reads.
        """
        self._peer.refuse(self, code, message)


class AsyncPeerMessage(_AnyMessage):
    """A request or a notification of an `AsyncPeer`.

    `method` and `params` say what it is about; `raw` is the whole message. An answer that belongs to no
    request of yours is passed on, too: its method is "".
    """

    __slots__ = ("_peer",)

    def __init__(self, message: JSONRPCMessage, peer: AsyncPeer) -> None:
        super().__init__(message, peer.exchange)
        self._peer = peer

    async def reply(self, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer the request.

        Args:
            result: The result, as JSON.

        Raises:
            MisuseError: The message wants no reply, or has one.
            StreamInterrupted: The peer no longer reads.
        """
        await self._peer.reply(self, result)

    async def refuse(self, code: int, message: str) -> None:
        """Answer the request with an error.

        Args:
            code: The error's code, such as -32601 for a method that you do not have.
            message: A description of the error.

        Raises:
            MisuseError: The message wants no reply, or has one.
            StreamInterrupted: The peer no longer reads.
        """
        await self._peer.refuse(self, code, message)

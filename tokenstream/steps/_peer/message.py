"""Messages of a peer, which can be replied to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._basics.members import show_members
from tokenstream.framing._json_rpc import JSONRPCMessage

if TYPE_CHECKING:
    from tokenstream.steps._peer.asynchronous import AsyncPeer
    from tokenstream.steps._peer.exchange import PeerExchange
    from tokenstream.steps._peer.sync import Peer


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


@show_members
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


@show_members
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

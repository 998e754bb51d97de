"""The base of both kinds of peers: the conversation, its messages, and what is reported of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tokenstream._sources.causes import class_names
from tokenstream.errors import MisuseError, StreamError
from tokenstream.framing._json_rpc import JSONRPCMessage
from tokenstream.steps._builder import RunBuilder
from tokenstream.steps._peer.exchange import Note, PeerCall, PeerExchange
from tokenstream.steps._program import NOTHING, Exit, Patience
from tokenstream.stream._reading.items import LEAST_WAIT

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

    def __init__(self, *, limits: Limits, deadlines: Deadlines) -> None:
        self.exchange = PeerExchange(limits=limits)
        """The conversation without its I/O."""
        self.deadlines = deadlines
        """The longest waits for the peer."""
        self.followed: tuple[Steps, AgentReader] | None = None
        """The run that was built last from this conversation, and the reader that goes on with it."""
        self._patience = Patience(deadlines)
        self._is_closing = False
        """True once the peer's input was closed."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'ended' if self.exchange.has_ended else 'open'}>"

    @property
    def skipped(self) -> int:
        """Number of lines that are no JSON-RPC, such as logs, and were left out."""
        return self.exchange.skipped

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
        """Take in bytes, or drop them once the peer is closed; return True if they complete a message."""
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


class PeerRun(RunBuilder):
    """Builds a run from the messages of a peer, from the requests to it, and from their answers.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Tells where the loop ends before the messages do; None for their end.
        peer: The peer.
    """

    def __init__(self, run: Steps, agent: str | None, until: object, peer: Peer | AsyncPeer) -> None:
        self._peer = peer
        # An `AsyncPeer` has a way to reply from an ordinary function.
        reply_soon: Any = getattr(peer, "reply_soon", None)
        self._reply: Any = reply_soon or peer.reply
        self._make_message = AsyncPeerMessage if reply_soon else PeerMessage
        self._exchange = peer.exchange
        self._call = until if isinstance(until, PeerCall) else None
        earlier = peer.followed
        goes_on = earlier is not None and earlier[0] is run and agent in (None, earlier[1].name)
        super().__init__(run, None if goes_on else agent, None if self._call is not None else until)
        if goes_on and earlier is not None:
            # A second turn of the same conversation.
            self._agent.use(earlier[1])

    @property
    def plain_lines(self) -> int:
        return self._peer.skipped

    @property
    def is_resting(self) -> bool:
        """True if the agent has nothing to do, or waits for an answer: it owes none, and no turn is open."""
        has_turn = self._reader is not None and self._reader.has_open_turn
        return self._exchange.is_resting and (not has_turn or self._exchange.has_requests)

    def feed(self, item: object) -> bool:
        """Return True if the bytes that the peer has read complete a message, as the peer says."""
        return bool(item)

    def end(self) -> None:
        """Do nothing: the peer knows that its input has ended."""

    def take(self) -> object:
        exchange, call = self._exchange, self._call
        while not self.must_stop:
            if call is not None and exchange.has_passed(call):
                self.must_stop = True
                break
            item = exchange.take()
            if item is None:
                return NOTHING
            if isinstance(item, JSONRPCMessage):
                message = self._make_message(item, self._peer)
                self._read(message, message.raw)
                return message
            self._read_note(item)
        return NOTHING

    def finish(self, ended: Exit) -> StreamError | None:
        """End the run's turns; return the error of the run or of a request without an answer, or None."""
        error = super().finish(ended)
        call, self._exchange.broken_call = self._exchange.broken_call, None
        return error if error is not None or call is None else call.error

    def _read_note(self, note: Note) -> None:
        """Build the run further from a request to the agent, or from the answer to one."""
        message = note.message
        if not self.has_ended and note.is_answer:
            self._agent.call("read_answer", message, note.method, message)
        elif not self.has_ended:
            self._agent.call("read_sent", message, note.method, message.get("params"), message.get("id"))
        self._check_turns()

    def _prepare(self, reader: AgentReader) -> None:
        super()._prepare(reader)
        self._peer.followed = (self._run, reader)
        reader.steering.ask = self._peer.begin_soon
        self._exchange.on_reply = reader.read_reply
        reader.send_answer = self._reply


def is_broken_pipe(error: BaseException) -> bool:
    """Return True for an error of a writer that is closed, or whose reader has gone."""
    return isinstance(error, OSError) or not _BROKEN.isdisjoint(class_names(error))


def concurrent_read_error() -> MisuseError:
    return MisuseError(
        "another thread or task is reading from this peer, and only one may at a time: send the request with "
        "begin(…), and the other one reads its answer",
        kind="concurrent",
    )


class _AnyMessage(JSONRPCMessage):
    """A message of a peer.

    Args:
        message: The message as the framing gives it.
        peer: The peer that has sent it.
    """

    def __init__(self, message: JSONRPCMessage, peer: Peer | AsyncPeer) -> None:
        super().__init__(message.raw, message.size)
        self._peer: Any = peer

    @property
    def wants_reply(self) -> bool:
        """True for a request that has no reply yet: the peer waits for one."""
        return self.kind == "request" and self._peer.exchange.is_waiting_for(self.id)


class PeerMessage(_AnyMessage):
    """A request or a notification of a `Peer`.

    `method` and `params` say what it is about; `raw` is the whole message. An answer that belongs to no
    request of yours is passed on, too: its method is "".
    """

    __slots__ = ()

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
    """A request or a notification of an `AsyncPeer`; otherwise like `PeerMessage`."""

    __slots__ = ()

    async def reply(self, result: Any) -> None:  # noqa: ANN401 - JSON
        """Answer the request; the arguments and errors are those of `PeerMessage.reply`."""
        await self._peer.reply(self, result)

    async def refuse(self, code: int, message: str) -> None:
        """Answer the request with an error; see `PeerMessage.refuse`."""
        await self._peer.refuse(self, code, message)

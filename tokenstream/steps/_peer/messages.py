"""Builds a run from the messages of a peer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream.framing._json_rpc import JSONRPCMessage
from tokenstream.steps._peer.asynchronous import AsyncPeer
from tokenstream.steps._peer.exchange import PeerCall
from tokenstream.steps._peer.message import AsyncPeerMessage, PeerMessage
from tokenstream.steps._read_beside import NOTHING, RunBuilder

if TYPE_CHECKING:
    from tokenstream.errors import StreamError
    from tokenstream.steps._agents.reader import AgentReader
    from tokenstream.steps._exit_code import Exit
    from tokenstream.steps._peer.exchange import Note
    from tokenstream.steps._peer.sync import Peer
    from tokenstream.steps._run import Steps


class PeerRun(RunBuilder):
    """Builds a run from the messages of a peer, from the requests to it, and from their answers.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Tells where the loop ends before the messages do; None for their end.
        peer: The peer.
    """

    def __init__(self, run: Steps, agent: str | None, until: Any, peer: Peer | AsyncPeer) -> None:  # noqa: ANN401 - checked by the base
        self._peer = peer
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
        """Number of lines that are no JSON-RPC, such as logs, and were passed by."""
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
        """Return the next message, and build the run from all up to it; `NOTHING` if there is none yet."""
        while not self._has_come():
            item = self._exchange.take()
            if item is None:
                return NOTHING
            if isinstance(item, JSONRPCMessage):
                peer = self._peer
                message = (
                    AsyncPeerMessage(item, peer) if isinstance(peer, AsyncPeer) else PeerMessage(item, peer)
                )
                self._read(message, message.raw)
                return message
            self._read_note(item)
        return NOTHING

    def finish(self, ended: Exit) -> StreamError | None:
        """End the run's turns; return the error of the run or of a request without an answer, or None."""
        error = super().finish(ended)
        call, self._exchange.broken_call = self._exchange.broken_call, None
        return error if error is not None or call is None else call.error

    def _has_come(self) -> bool:
        """Return True if the loop ends here, and note that."""
        if self._call is not None and self._exchange.has_passed(self._call):
            self.must_stop = True
        return self.must_stop

    def _read_note(self, note: Note) -> None:
        """Build the run further from a request to the agent, or from the answer to one."""
        message = note.message
        if note.is_answer:
            self._call_reader("read_answer", message, note.method, message)
        else:
            shown = message.get("params")
            self._call_reader("read_sent", message, note.method, shown, message.get("id"))
        self._check_turns()

    def _prepare(self, reader: AgentReader) -> None:
        """Let the reader answer the agent's requests."""
        super()._prepare(reader)
        peer = self._peer
        peer.followed = (self._run, reader)
        reader.steering.ask = peer.begin_soon
        self._exchange.on_reply = reader.read_reply
        reader.send_answer = peer.reply_soon if isinstance(peer, AsyncPeer) else peer.reply

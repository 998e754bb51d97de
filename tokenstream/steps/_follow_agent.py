"""The choice of how an agent is followed: by its lines or a peer's messages, with the readers of both."""

from __future__ import annotations

import codecs
import inspect
import io
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

from tokenstream._basics.json import decode, to_json_bytes
from tokenstream._basics.untrusted import is_list
from tokenstream._sources.kinds import do_nothing
from tokenstream.errors import LimitExceeded, MisuseError, ProtocolError
from tokenstream.framing._json_frames import JSONFrames
from tokenstream.framing._json_rpc import JSONRPCMessage
from tokenstream.limits import Deadlines, check_option
from tokenstream.steps._agents.agentcore import TEXT
from tokenstream.steps._agents.values import begins_as_payload, is_envelope, value_in
from tokenstream.steps._chunks import AsyncChunks, SyncChunks, is_asynchronous, is_response
from tokenstream.steps._follow import cannot_follow_error
from tokenstream.steps._followed import AsyncFollowedItems, FollowedItems
from tokenstream.steps._peer.asynchronous import AsyncPeer
from tokenstream.steps._peer.base import AsyncPeerMessage, PeerMessage, broken_pipe_error
from tokenstream.steps._peer.exchange import PeerCall
from tokenstream.steps._peer.sync import Peer
from tokenstream.steps._program import AGENT_DEADLINES, NOTHING, RunBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream._basics.loose import Json
    from tokenstream.errors import StreamError
    from tokenstream.steps._agents import AgentReader
    from tokenstream.steps._peer.exchange import Note
    from tokenstream.steps._program import Exit
    from tokenstream.steps._run import Steps

    LineWriter: TypeAlias = Callable[[dict[str, Json]], object]

_LINE_ENDS = (b"\n", b"\r")
_OBJECTS = (dict, str)
"""Types of values that a line may stand for; a string is text of an agent."""


class LineReader(RunBuilder):
    """Cuts an agent's output into lines, and builds a run from their objects.

    Args:
        run: The run that receives the steps.
        agent: The name of the agent; None to detect it.
        until: Ends the loop before the end of the lines, as in `RunBuilder`; None to read all lines.
        has_bare_lines: True if it is known that each item is a line without its line end.
        write: Writes a line to the agent; None if it is only read.
    """

    def __init__(
        self,
        run: Steps,
        agent: str | None,
        until: object,
        *,
        has_bare_lines: bool = False,
        write: LineWriter | None = None,
    ) -> None:
        self._write = write
        super().__init__(run, agent, until)
        self._frames = JSONFrames()
        self._ready: deque[Any] = deque()
        self._error: StreamError | None = None
        self._plain_lines = 0
        self._has_bare_lines = has_bare_lines
        self._is_after_bare_line = has_bare_lines
        """True after a line without its line end: what follows is that end, or another line."""
        self._envelope_lines = 0
        """Number of lines without their line ends that are SSE without data, or else a log."""

    @property
    def plain_lines(self) -> int:
        """Number of lines that are no JSON objects, such as logs, and were passed by."""
        return self._plain_lines + self._frames.banner_lines

    def feed(self, item: object) -> bool:
        """Take in a line or any other piece of the output, as bytes or text, or an object of a line."""
        before = len(self._ready)
        if isinstance(item, str):
            item = item.encode("utf-8", "surrogatepass")
        if isinstance(item, bytes | bytearray):
            self._feed_bytes(bytes(item))
        else:
            self._ready.append(item)
        return len(self._ready) > before

    def end(self) -> None:
        """Take in the end of the input; the last line may lack its line end."""
        rest = self._frames.unfinished
        self._frames.end()
        self._parse(rest)

    def take(self) -> object:
        """Return the object of the next line, and build the run from it; `NOTHING` if there is none yet."""
        if not self._ready:
            if self._error is not None and not self.has_ended:
                raise self._error
            return NOTHING
        item: object = self._ready.popleft()
        line = {"type": TEXT, "text": item} if item.__class__ is str else item
        if self._until is None and not self.has_ended:
            # The way of most lines.
            self._agent.read(line)
        else:
            self._read(item, line)
        return item

    def _prepare(self, reader: AgentReader) -> None:
        """Let the reader write to the agent."""
        super()._prepare(reader)
        reader.steering.write = self._write

    def _feed_bytes(self, chunk: bytes) -> None:
        """Take in a chunk, which may be a line of a list of lines, without a line end."""
        line = chunk.strip()
        if begins_as_payload(line) and b"\n" not in line and self._frames.holds_nothing:
            value: object = None
            try:
                value = value_in(line)
            except LimitExceeded as error:
                self._error = self._error or error
                return
            except ProtocolError:
                pass
            # An object or a string is complete; of anything else, more may follow.
            if value.__class__ in _OBJECTS:
                # A CR alone ends no line: its LF may follow, or have been cut off.
                self._is_after_bare_line = self._has_bare_lines or chunk[-1:] != b"\n"
                if line[:1] == b"{":
                    self._begin_lines()
                self._ready.append(value)
                return
        if self._is_after_bare_line:
            begins_with_line_end = chunk.lstrip(b" \t")[:1] in _LINE_ENDS
            if self._has_bare_lines or (not begins_with_line_end and b"\n" not in line):
                # A whole line is not followed by more of it, so this is another one.
                if is_envelope(line) and not self._frames.has_lines:
                    self._envelope_lines += 1
                else:
                    self._plain_lines += line != b""
                return
            self._is_after_bare_line = False
        for payloads in self._frames.feed(chunk):
            self._parse(payloads)
        self._error = self._error or self._frames.error

    def _begin_lines(self) -> None:
        """Take in that a line holds JSON: the lines that looked like SSE before it were a log."""
        self._plain_lines += self._envelope_lines
        self._envelope_lines = 0
        if not self._frames.has_lines:
            self._frames.begin_lines()

    def _parse(self, payloads: list[bytes]) -> None:
        """Add the objects in some lines, up to the first that exceeds a limit."""
        has_lines = self._frames.has_lines
        for payload in payloads:
            if self._error is not None:
                return
            try:
                if has_lines and payload[:1] == b"{":
                    # The way of most lines.
                    self._ready.append(decode(payload))
                else:
                    self._add(value_in(payload if has_lines else b"data:" + payload))
            except LimitExceeded as error:
                self._error = error
            except ProtocolError:
                self._plain_lines += 1

    def _add(self, value: object) -> None:
        """Add a line's value if it is an object."""
        if isinstance(value, _OBJECTS):
            self._ready.append(value)
        else:
            self._plain_lines += 1


def are_bare_lines(source: object) -> bool:
    """Return True for a list in which each item is a line without its line end."""
    if not is_list(source):
        return False
    texts = [item for item in source if isinstance(item, bytes | str)]
    has_whole_line = any(item[:1] in (b"{", "{") and item.rstrip()[-1:] in (b"}", "}") for item in texts)
    has_line_end = any("\n" in text if isinstance(text, str) else b"\n" in text for text in texts)
    return has_whole_line and not has_line_end


class FollowedLines(FollowedItems[dict[str, Any]]):
    """Yields the decoded JSON object of each line of an agent, in `for`; made by `Steps.follow`."""


class AsyncFollowedLines(AsyncFollowedItems[dict[str, Any]]):
    """Yields the decoded JSON object of each line of an agent, in `async for`; made by `Steps.follow`."""


class _BorrowedPeer:
    """Reads a peer, and leaves it open when the loop over it ends."""

    def __init__(self, peer: Peer) -> None:
        self.is_instant = False
        self.read = peer.read
        self.release = do_nothing
        self.close = do_nothing


class _BorrowedAsyncPeer:
    """Reads a peer, and leaves it open when the loop over it ends."""

    def __init__(self, peer: AsyncPeer) -> None:
        self.read = peer.read

    async def aclose(self) -> None:
        """Do nothing: the peer is the caller's."""


def follow_agent(
    source: Any,  # noqa: ANN401 - told by its methods
    run: Steps,
    *,
    agent: str | None,
    exit_code: object,
    stderr: object,
    stdin: object,
    until: object,
    deadlines: Deadlines,
) -> FollowedItems[Any] | AsyncFollowedItems[Any]:
    """Return an iterable over what an agent prints or sends; reading it builds the run."""
    check_option("deadlines", deadlines, Deadlines)
    if isinstance(source, Peer | AsyncPeer):
        if stdin is not None:
            raise MisuseError("stdin= is for the lines of an agent: a peer has its own")
        messages = PeerRun(run, agent, until, source)
        limits = source.deadlines if deadlines is AGENT_DEADLINES else deadlines
        if isinstance(source, AsyncPeer):
            peer = _BorrowedAsyncPeer(source)
            return AsyncFollowedItems(peer, messages, limits, exit_code, stderr)
        return FollowedItems(_BorrowedPeer(source), messages, limits, exit_code, stderr)
    write = None if stdin is None else make_line_writer(stdin)
    lines = LineReader(run, agent, until, has_bare_lines=are_bare_lines(source), write=write)
    if is_asynchronous(source):
        return AsyncFollowedLines(AsyncChunks(source), lines, deadlines, exit_code, stderr)
    is_readable = is_response(source) or any(hasattr(source, name) for name in ("__iter__", "read"))
    if not is_readable or source.__class__ in (str, bytes, dict):
        raise cannot_follow_error(source)
    return FollowedLines(SyncChunks(source), lines, deadlines, exit_code, stderr)


def make_line_writer(stdin: object) -> LineWriter:
    """Return a function that writes a line's JSON to a pipe, or to asyncio's `StreamWriter` in its loop."""
    pipe: Any = stdin
    write_some = getattr(pipe, "write", None)
    if not callable(write_some) or inspect.iscoroutinefunction(write_some):
        raise MisuseError(
            "stdin= takes the standard input of the agent's process, a pipe or a writer of asyncio, "
            f"not {type(stdin).__name__}"
        )

    takes_text = hasattr(pipe, "encoding") or isinstance(stdin, io.TextIOBase | codecs.StreamWriter)
    # A writer of asyncio says nothing when its process is gone.
    is_closing = getattr(pipe, "is_closing", bool)

    def write(line: dict[str, Json]) -> None:
        """Write one line at once."""
        data = to_json_bytes(line) + b"\n"
        try:
            if is_closing():
                raise BrokenPipeError
            if takes_text:
                pipe.write(data.decode())
                data = b""
            while data:
                written = pipe.write(data)
                # A raw pipe may take less; all others return nothing, or the whole.
                data = data[written:] if isinstance(written, int) else b""
            if (flush := getattr(pipe, "flush", None)) is not None:
                flush()
        except (OSError, ValueError, RuntimeError) as error:
            raise broken_pipe_error(error) from error

    return write


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

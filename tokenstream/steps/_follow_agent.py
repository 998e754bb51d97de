"""The choice of how an agent is followed: by its lines or its messages, in `for` or in `async for`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tokenstream._sources.kinds import do_nothing
from tokenstream.errors import MisuseError
from tokenstream.limits import Deadlines, check_option
from tokenstream.steps._chunks import AsyncChunks, SyncChunks, is_asynchronous, is_response
from tokenstream.steps._follow import cannot_follow_error
from tokenstream.steps._followed import AsyncFollowedItems, FollowedItems
from tokenstream.steps._input import make_line_writer
from tokenstream.steps._lines import AsyncFollowedLines, FollowedLines, LineReader, are_bare_lines
from tokenstream.steps._patience import AGENT_DEADLINES
from tokenstream.steps._peer.asynchronous import AsyncPeer
from tokenstream.steps._peer.messages import PeerRun
from tokenstream.steps._peer.sync import Peer

if TYPE_CHECKING:
    from tokenstream.steps._run import Steps


class _BorrowedPeer:
    """Reads a peer, and leaves it open when the loop over it ends.

    Args:
        peer: The peer.
    """

    def __init__(self, peer: Peer) -> None:
        self.is_instant = False
        self.read = peer.read
        self.release = do_nothing
        self.close = do_nothing


class _BorrowedAsyncPeer:
    """Reads a peer, and leaves it open when the loop over it ends.

    Args:
        peer: The peer.
    """

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
    """Return an iterable over what an agent prints or sends; reading it builds the run.

    Raises:
        MisuseError: The source cannot be read, or an option is of another kind.
    """
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

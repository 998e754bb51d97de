"""What editors infer of runs and their steps; checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_type

from tokenstream import (
    AsyncPeer,
    AsyncStream,
    Deadlines,
    Limits,
    Message,
    Peer,
    Steps,
    Stream,
    ToolCall,
    Usage,
)
from tokenstream.events import Event
from tokenstream.steps import RunEvents, Step, Turn
from tokenstream.steps._follow import (
    AsyncFollowedItems,
    AsyncFollowedLines,
    AsyncFollowedRun,
    EitherFollowedItems,
    EitherFollowedLines,
    EitherFollowedRun,
    FollowedItems,
    FollowedLines,
    FollowedRun,
)
from tokenstream.steps._peer.base import AsyncPeerMessage, PeerMessage
from tokenstream.steps._peer.exchange import PeerCall

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Iterator
    from subprocess import Popen

    import anyio.abc
    import httpx
    import trio


def steps(run: Steps, call: ToolCall, stream: Stream, async_stream: AsyncStream) -> None:
    """A step gives back the stream that it follows, as what it is."""
    assert_type(Steps("run", limits=Limits(steps=9)), Steps)
    # Bounds have a class of their own.
    Steps(limits=9)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with run.step("search", agent="researcher", cause=call) as step, step.step(call) as below:
        assert_type(step, Step)
        assert_type(below, Step)
    assert_type(step.follow(stream), Stream)
    assert_type(step.follow(async_stream), AsyncStream)
    with step.follow(stream) as followed:
        assert_type(followed, Stream)


def agents(run: Steps, process: Popen[bytes], lines: list[str]) -> None:
    """A pipe gives the objects in its lines; each turn has a verdict."""
    assert process.stdout is not None
    assert_type(run.follow(process.stdout, exit_code=process.wait), FollowedLines)
    assert_type(run.follow(lines, agent="codex"), FollowedLines)
    assert_type(run.follow((line for line in lines), agent="codex", until="turn"), FollowedLines)
    for line in run.follow(process.stdout, stderr=process.stderr, until="turn", deadlines=Deadlines()):
        assert_type(line, dict[str, Any])
    assert_type(run.turns, tuple[Turn, ...])
    assert_type(run.turns[0].usage, Usage)
    assert_type(run.turns[0].cost, float | None)


async def async_agents(run: Steps, process: Process) -> None:
    assert process.stdout is not None
    assert_type(run.follow(process.stdout, exit_code=process.wait), AsyncFollowedLines)


async def byte_streams(
    run: Steps, stream: anyio.abc.ByteReceiveStream, of_trio: trio.abc.ReceiveStream, response: httpx.Response
) -> None:
    """Those of anyio and trio are read as that of asyncio is; a response may be of either kind."""
    assert_type(run.follow(stream, deadlines=Deadlines(idle_bytes=60)), AsyncFollowedLines)
    async with run.follow(of_trio, stderr=of_trio) as lines:
        async for line in lines:
            assert_type(line, dict[str, Any])
    assert_type(run.follow(response), Any)


def objects(run: Steps, found: list[Message]) -> None:
    """Objects stay what they are, with options and without."""
    assert_type(run.follow(found), FollowedRun[Message])
    assert_type(run.follow(found, until=lambda message: message.complete), FollowedItems[Message])


class Both:
    """Lines that both kinds of loop can read."""

    def __iter__(self) -> Iterator[str]:
        yield "{}"

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "{}"


async def both(run: Steps) -> None:
    """What both kinds of loop can read, either kind reads; a named agent's lines give objects."""
    events = run.follow(Both())
    assert_type(events, EitherFollowedRun[str])
    assert_type([event for event in events], list[str])  # noqa: C416 - as a loop reads it
    assert_type([event async for event in events], list[str])
    lines = run.follow(Both(), agent="codex", until="turn")
    assert_type(lines, EitherFollowedLines)
    assert_type([line for line in lines], list[dict[str, Any]])  # noqa: C416 - as a loop reads it
    assert_type([line async for line in lines], list[dict[str, Any]])
    assert_type(run.follow(Both(), until="turn"), EitherFollowedItems[str])
    assert_type(run.follow(aiter(Both())), AsyncFollowedRun[str])


def peer(run: Steps, peer: Peer) -> None:
    """A peer gives messages, in its own loop and in that of a run."""
    turn = peer.begin("session/prompt", prompt=[])
    assert_type(turn, PeerCall)
    assert_type(list(peer), list[PeerMessage])
    with run.follow(peer, until=turn) as followed:
        assert_type(followed, FollowedItems[PeerMessage])
        for message in followed:
            if message.wants_reply:
                message.reply({})


async def async_peer(run: Steps, peer: AsyncPeer) -> None:
    turn = await peer.begin("session/prompt", {"prompt": []})
    assert_type(turn, PeerCall)
    assert_type([message async for message in peer], list[AsyncPeerMessage])
    followed = run.follow(peer, until=turn, deadlines=Deadlines())
    assert_type(followed, AsyncFollowedItems[AsyncPeerMessage])
    async for message in followed:
        await message.reply({})


async def events(run: Steps) -> None:
    """One object for both kinds of loop."""
    found = run.events()
    assert_type(found, RunEvents)
    assert_type(found.ready(), list[Event])
    assert_type(list(found), list[Event])
    assert_type([event async for event in found], list[Event])
    assert_type(next(found).step, str | None)

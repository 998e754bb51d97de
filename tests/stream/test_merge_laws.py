"""Laws of several streams side by side: whatever comes when, each gives what it would give alone."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel
from hypothesis import given
from hypothesis import strategies as st

from tests.stream.bodies import ANSWER
from tests.stream.merging import KINDS, AsyncFeed, Feed, saying
from tests.support.either import Each, at_once, inside
from tokenstream import AsyncStream, Message, Stream, merge
from tokenstream.errors import StreamError

_BODIES = [ANSWER, saying("Hel", "lo"), saying(*(f"{number} " for number in range(20))), ANSWER[:5]]
_PAUSE = "pause"
_LONG = 50
"""Turns of the loop within which what was given is read."""

Told = tuple[dict[int, list[str]], dict[int, str], dict[int, Message]]


@st.composite
def _arrivals(draw: st.DrawFn) -> tuple[list[list[bytes]], list[Any]]:
    """Draw bodies in chunks, and the order in which these come: numbers of bodies, and pauses."""
    cut: list[list[bytes]] = []
    for body in draw(st.lists(st.sampled_from(_BODIES), min_size=1, max_size=4)):
        whole = b"".join(body)
        at = sorted(draw(st.lists(st.integers(1, len(whole) - 1), max_size=8)))
        cut.append([whole[begin:end] for begin, end in zip([0, *at], [*at, len(whole)], strict=True)])
    turns = [number for number, chunks in enumerate(cut) for _ in range(len(chunks) + 1)]
    pauses = draw(st.lists(st.just(_PAUSE), max_size=6))
    return cut, draw(st.permutations([*turns, *pauses]))


def _alone(bodies: list[list[bytes]]) -> Told:
    told: Told = ({}, {}, {})
    for number, body in enumerate(bodies):
        with Stream(iter(body), format="openai-chat") as stream:
            events = told[0][number] = []
            try:
                events.extend(repr(event) for event in stream)
            except StreamError as error:
                told[1][number] = str(error)
            told[2][number] = stream.message
    return told


def _fed(feeds: list[Any], bodies: list[list[bytes]], turn: int, given: list[int]) -> None:
    """Give the next chunk of a body, or its end."""
    body = bodies[turn]
    if given[turn] < len(body):
        feeds[turn].feed(body[given[turn]])
    else:
        feeds[turn].end()
    given[turn] += 1


async def _read(streams: dict[int, Any]) -> Told:
    events: dict[int, list[str]] = {at: [] for at in streams}
    async with inside(merge(streams, fail_fast=False)) as merged:
        try:
            async for label, event in Each(merged):
                events[label].append(repr(event))
        except StreamError:
            pass
    return events, {at: str(error) for at, error in merged.errors.items()}, dict(merged.messages)


def _merged(bodies: list[list[bytes]], order: list[Any]) -> Told:
    feeds, given_ = [Feed() for _ in bodies], [0] * len(bodies)

    def feed() -> None:
        for turn in order:
            if turn is _PAUSE:
                threading.Event().wait(0.0005)
            else:
                _fed(feeds, bodies, turn, given_)

    feeding = threading.Thread(target=feed)
    feeding.start()
    streams = {at: Stream(each.chunks(), format="openai-chat") for at, each in enumerate(feeds)}
    told: Told = at_once(_read(streams))
    feeding.join()
    return told


def _merged_async(bodies: list[list[bytes]], order: list[Any], kind: str) -> Told:
    async def main() -> Told:
        feeds, given_ = [AsyncFeed() for _ in bodies], [0] * len(bodies)
        told: list[Told] = []

        async def feed() -> None:
            for turn in order:
                if turn is _PAUSE:
                    # Not until all tasks wait: on asyncio that is asked every 0.1 s.
                    for _ in range(_LONG):
                        await anyio.lowlevel.checkpoint()
                else:
                    _fed(feeds, bodies, turn, given_)

        streams = {at: AsyncStream(each.chunks(), format="openai-chat") for at, each in enumerate(feeds)}
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed)
            told.append(await _read(streams))
        return told[0]

    return anyio.run(main, backend=kind)


@given(_arrivals(), st.sampled_from(KINDS))
def test_each_stream_gives_what_it_gives_alone(
    arrivals: tuple[list[list[bytes]], list[Any]], kind: str
) -> None:
    bodies, order = arrivals
    actual = _merged(bodies, order) if kind == "sync" else _merged_async(bodies, order, kind)

    assert _alone(bodies) == actual

"""Several answers of one session at once: each lane is read by a task or thread of its own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
import websockets.asyncio.client
import websockets.sync.client

from tests.session.servers import Hangup, LanesServer, Line, serving
from tests.support.timing import wait_for
from tokenstream import (
    AsyncSession,
    Deadlines,
    LimitExceeded,
    Limits,
    Retry,
    Router,
    Session,
    StreamInterrupted,
    StreamStalled,
)

LANES = ("a", "b", "c", "d")


def open_session(url: str, **options: Any) -> Session:
    return Session(lambda: websockets.sync.client.connect(url), **options)


def open_async_session(url: str, **options: Any) -> AsyncSession:
    return AsyncSession(_client_of_the_loop(url), **options)


def _client_of_the_loop(url: str) -> Callable[[], Any]:
    from sniffio import current_async_library
    from websockets.trio import client as trio_client

    client: Any = trio_client if current_async_library() == "trio" else websockets.asyncio.client
    return lambda: client.connect(url)


# -- threads -----------------------------------------------------------------------


def test_threads_read_a_lane_each() -> None:
    """At once, over one connection, and each gets its own answers."""
    server = LanesServer(pieces=2)
    with serving(server) as url, open_session(url) as session, ThreadPoolExecutor(len(LANES)) as pool:

        def ask(lane: str) -> list[str]:
            texts = []
            for number in range(3):
                with session.ask(f"{lane}{number}", lane=lane) as answer:
                    texts.append("".join(answer.text))
            return texts

        said = dict(zip(LANES, pool.map(ask, LANES), strict=True))

        assert said == {
            lane: [f"I know: {lane}0", f"I know: {lane}0 | {lane}1", f"I know: {lane}0 | {lane}1 | {lane}2"]
            for lane in LANES
        }
        assert session.rotations == 0


def test_a_silent_lane_holds_up_no_other_thread() -> None:
    """Whichever thread reads the connection, the others get their pieces as they come."""
    server = LanesServer(pieces=2)
    spoken = threading.Event()
    server.pause = lambda line, number: line.lane == "a" and number == 1 and spoken.wait(10)
    with serving(server) as url, open_session(url) as session, ThreadPoolExecutor(2) as pool:

        def ask(lane: str) -> str:
            with session.ask("one", lane=lane) as answer:
                return answer.final().text

        silent = pool.submit(ask, "a")
        wait_for(lambda: server.sent >= 2)

        assert pool.submit(ask, "b").result(5) == "I know: one"
        assert not silent.done()
        spoken.set()
        assert silent.result(5) == "I know: one"


# -- tasks -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_tasks_read_a_lane_each() -> None:
    """At once, over one connection, and each gets its own answers."""
    server = LanesServer(pieces=2)
    said: dict[str, list[str]] = {lane: [] for lane in LANES}
    with serving(server) as url:
        async with open_async_session(url) as session:

            async def ask(lane: str) -> None:
                for number in range(3):
                    async with session.ask(f"{lane}{number}", lane=lane) as answer:
                        said[lane].append("".join([piece async for piece in answer.text]))

            async with anyio.create_task_group() as tasks:
                for lane in LANES:
                    tasks.start_soon(ask, lane)

            assert session.rotations == 0
    assert said == {
        lane: [f"I know: {lane}0", f"I know: {lane}0 | {lane}1", f"I know: {lane}0 | {lane}1 | {lane}2"]
        for lane in LANES
    }


@pytest.mark.anyio
async def test_one_task_reads_two_lanes_in_turns() -> None:
    """Although each answer reads ahead."""
    with serving(LanesServer(pieces=3)) as url:
        async with (
            open_async_session(url) as session,
            session.ask("one", lane="a") as first,
            session.ask("uno", lane="b") as second,
        ):
            pieces = [(await anext(first.text), await anext(second.text)) for _ in range(3)]
            texts = ((await first.final()).text, (await second.final()).text)

    assert pieces[0] == ("I k", "I k")
    assert texts == ("I know: one", "I know: uno")

"""Answers that two server processes share over a Redis, for readers that are cut off again and again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from tests.project import ROOT
from tests.relay.redis_served import piece
from tests.support.cutting import Cutting
from tests.support.effort import trials
from tests.support.proxies import free_port
from tests.support.redis_servers import RedisServer, anyio_backend
from tests.support.served import wait_until_it_answers
from tests.support.timing import PATIENCE
from tokenstream import Retry, aconnect
from tokenstream.errors import StreamInterrupted
from tokenstream.framing import SSEParser

__all__ = ["anyio_backend"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


class Processes:
    """Two server processes on one Redis."""

    def __init__(self, path: str) -> None:
        self.ports = [free_port(), free_port()]
        self.running = [
            subprocess.Popen([sys.executable, "-m", "tests.relay.redis_served", path, str(port)], cwd=ROOT)
            for port in self.ports
        ]
        for number, process in enumerate(self.running):
            wait_until_it_answers(f"{self.url(number)}/none", process)

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{self.ports[number]}/answers"

    async def start(self, number: int, count: int, pause: float) -> str:
        async with httpx.AsyncClient(timeout=PATIENCE) as client:
            said = await client.post(f"{self.url(number)}/", json={"count": count, "pause": pause})
        assert 201 == said.status_code
        id: str = said.json()["id"]
        return id


@contextmanager
def processes(folder: Path) -> Generator[Processes]:
    with RedisServer(folder) as server:
        both = Processes(server.path)
        try:
            yield both
        finally:
            for process in both.running:
                process.kill()
                process.wait()


async def by_hand(url: str) -> str:
    """Follow an answer as a page would: what comes again would show, and what is missing, too."""
    position, text, over = 0, list[str](), False
    async with httpx.AsyncClient(timeout=20) as client:
        while not over:
            parser = SSEParser()
            headers = {"last-event-id": str(position)} if position else {}
            try:
                async with client.stream("GET", url, headers=headers) as response:
                    assert 200 == response.status_code, response.status_code
                    async for chunk in response.aiter_bytes():
                        for event in parser.feed(chunk):
                            told = json.loads(event.data)
                            if told["type"] == "live":
                                continue
                            assert event.id == str(position + 1)
                            position += 1
                            text.append(told.get("text", ""))
                            over = over or told["type"] == "end"
            except httpx.TransportError:
                await anyio.sleep(0.002)
    return "".join(text)


async def by_our_client(url: str) -> str:
    """Follow an answer with nothing but an option."""
    retry = Retry(attempts=1_000, wait=0)
    async with aconnect(url, method="GET", retry=retry) as stream:
        return (await stream.final()).text


async def _cut(
    both: Processes, follow: Callable[[str], Any], *, readers: int, cuts: int
) -> tuple[int, set[str]]:
    found = list[str]()
    async with Cutting(both.ports, seed=7, cuts=cuts, most=3_000) as proxy:

        async def read(id: str) -> None:
            found.append(await follow(f"{proxy.url}/answers/{id}"))

        ids = [await both.start(number, 400, 0.005) for number in (0, 1)]
        async with anyio.create_task_group() as tasks:
            for number in range(readers):
                tasks.start_soon(read, ids[number % 2])
    assert readers == len(found)
    return proxy.cuts, set(found)


_WHOLE = "".join(map(piece, range(400)))
_MANY = trials(500, one_in=8)


@pytest.mark.slow
@pytest.mark.parametrize("follow", [by_hand, by_our_client], ids=lambda follow: follow.__name__)
async def test_readers_that_are_cut_off_many_times_have_the_whole_answer(
    tmp_path: Path, follow: Callable[[str], Any]
) -> None:
    """Each cut is at any byte, and each connection to any process: no character is lost or doubled."""
    with processes(tmp_path) as both:
        cuts, texts = await _cut(both, follow, readers=trials(50, one_in=5), cuts=_MANY)

    assert _MANY == cuts
    assert {_WHOLE} == texts


@pytest.mark.slow
async def test_two_processes_share_answers(tmp_path: Path) -> None:
    with processes(tmp_path) as both:
        cuts, texts = await _cut(both, by_our_client, readers=4, cuts=12)
        stopped, killed = await both.start(0, 100_000, 0.01), await both.start(0, 100_000, 0.01)
        async with aconnect(f"{both.url(1)}/{stopped}", method="GET") as stream:
            async for _ in stream.text:
                break
            async with httpx.AsyncClient(timeout=PATIENCE) as client:
                said = await client.post(f"{both.url(1)}/{stopped}/stop")
                assert {"state": "stopped"} == said.json()
            ending = (await stream.final()).ending
        async with aconnect(f"{both.url(1)}/{killed}", method="GET") as other:
            async for _ in other.text:
                break
            both.running[0].send_signal(signal.SIGKILL)
            with anyio.fail_after(PATIENCE), pytest.raises(StreamInterrupted) as caught:
                await other.final()

    assert (12, {_WHOLE}) == (cuts, texts)
    assert "stopped" == ending
    assert caught.value.partial.text.startswith("0 – 🌊")

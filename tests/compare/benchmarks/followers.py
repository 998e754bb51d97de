"""What an event costs for each of a thousand readers that follow one answer of a journal over SSE."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.tables import Table
from tests.support.packages import needed
from tests.support.redis_servers import RedisServer
from tokenstream import AsyncStream, relay

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine

    from tests.compare.benchmarks.timing import Plan

_ROUNDS = 3
_ENOUGH = 60_000
"""Events times readers of one run."""
_PROTOCOLS = ("tokenstream", "ui-message", "openai-chat")
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "method": "GET",
    "path": "/",
    "headers": [],
}
_MARK = "token "
"""Stands in every event of the answer."""


class _Sent:
    """Counts the events that readers were sent, and tells when all have one."""

    def __init__(self) -> None:
        self._count = self._wanted = 0
        self._event = asyncio.Event()

    def add(self, body: bytes) -> None:
        self._count += body.count(_MARK.encode())
        if self._count >= self._wanted:
            self._event.set()

    async def until(self, count: int) -> None:
        self._wanted = count
        if self._count < count:
            self._event.clear()
            await self._event.wait()


async def _read(app: Any, sent: _Sent) -> None:
    """Be a reader, without a socket."""
    never = asyncio.Event()

    async def receive() -> None:
        await never.wait()

    async def send(message: Any) -> None:
        sent.add(message.get("body", b""))

    await app(dict(_SCOPE), receive, send)


@asynccontextmanager
async def _journal(redis_path: str | None) -> AsyncGenerator[relay.Journal]:
    if redis_path is None:
        async with relay.MemoryJournal() as journal:
            yield journal
    else:
        client = needed("redis.asyncio").Redis(unix_socket_path=redis_path)
        async with client, relay.RedisJournal(client) as journal:
            yield journal


async def _ours(protocol: Any, redis_path: str | None, readers: int, events: int) -> float:
    """Follow an answer of a journal; each event is sent before the next one comes."""
    sent = _Sent()
    tokens: asyncio.Queue[str | None] = asyncio.Queue()

    async def body() -> AsyncIterator[str]:
        while (token := await tokens.get()) is not None:
            yield token

    async with _journal(redis_path) as journal:
        id = await journal.start(AsyncStream(body(), format="pieces"))
        apps = [relay.follow(journal, id, protocol=protocol) for _ in range(readers)]
        tasks = [asyncio.create_task(_read(app, sent)) for app in apps]

        async def give(number: int) -> None:
            await tokens.put(f"{_MARK}{number}")

        taken = await _timed(give, sent, readers, events)
        await tokens.put(None)
        await asyncio.gather(*tasks)
    return taken


async def _theirs(readers: int, events: int) -> float:
    """Give strings to readers of sse-starlette, with one event of the loop that wakes all."""
    response = needed("sse_starlette").EventSourceResponse
    sent, ready, over = _Sent(), list[str](), False
    told = asyncio.Event()

    async def strings() -> AsyncIterator[str]:
        at = 0
        while not over:
            while at < len(ready):
                at += 1
                yield ready[at - 1]
            await told.wait()

    def tell() -> None:
        nonlocal told
        waited, told = told, asyncio.Event()
        waited.set()

    async def give(number: int) -> None:
        ready.append(f'{{"type":"text_delta","text":"{_MARK}{number}"}}')
        tell()

    tasks = [asyncio.create_task(_read(response(strings()), sent)) for _ in range(readers)]
    taken = await _timed(give, sent, readers, events)
    over = True
    tell()
    await asyncio.gather(*tasks)
    return taken


async def _timed(
    give: Callable[[int], Coroutine[Any, Any, None]], sent: _Sent, readers: int, events: int
) -> float:
    await give(0)
    await sent.until(readers)
    gc.collect()
    begun = process_time()
    for number in range(1, events + 1):
        await give(number)
        await sent.until(readers * (number + 1))
    return process_time() - begun


def _least(run: Callable[..., Coroutine[Any, Any, float]], readers: int, events: int) -> float:
    found = [asyncio.run(run(readers, events)) for _ in range(_ROUNDS)]
    return min(found) / readers / events * 1e6


def followers(plan: Plan) -> list[Table]:
    """Return what an event costs for each reader, beside sse-starlette."""
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder)) as redis:
        # The events of a journal in Redis come at its beat, 50 a second, and so are fewer.
        ways = [(protocol, None, 1) for protocol in _PROTOCOLS] + [("tokenstream", redis.path, 10)]
        for readers in (10, plan.readers):
            events = min(plan.events, max(_ENOUGH // readers, 20))
            theirs = _least(_theirs, readers, events)
            rows.append([f"sse-starlette, ready-made strings, {readers:,} readers", f"{theirs:.1f}", "1.00"])
            for protocol, path, share in ways:
                ours = _least(partial(_ours, protocol, path), readers, max(events // share, 20))
                named = f"`relay.follow`, {protocol}{', Redis' if path else ''}, {readers:,} readers"
                rows.append([named, f"{ours:.1f}", f"{ours / theirs:.2f}"])
    return [
        Table(
            "One answer to many readers in one process, each event sent to all before the next one comes",
            ["", "µs per event and reader", "of sse-starlette"],
            rows,
            ["Without a server: what is sent is counted. The journal's work and the upstream's are in ours."],
        )
    ]

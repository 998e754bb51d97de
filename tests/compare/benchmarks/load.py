"""What a token costs a server in processor time: in a StreamingResponse, the relay and its journals."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.contenders import get, route_of_spent, server, spent
from tests.compare.benchmarks.tables import Table
from tests.support import wire
from tests.support.redis_servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.applications import Starlette

    from tests.compare.benchmarks.timing import Plan

_TOKENS = 200
_SECONDS = 4
_LOADS = ((10, 50), (10, 250), (100, 20), (5, 20))
"""Answers at once, and the tokens of each per second; the last have few others to share messages with."""
_WAYS = {
    "bare": ("StreamingResponse, the upstream's bytes", None),
    "respond": ("`respond`, to tokenstream", "bare"),
    "openai-chat": ("`respond`, to openai-chat", "bare"),
    "memory": ("`respond` through a MemoryJournal", "respond"),
    "redis": ("`respond` through a RedisJournal", "respond"),
}
"""The name of each way, and the way whose cost it is compared with."""
_TOKEN = wire.chat({"content": "token NUMBER "}).replace(b"NUMBER", b"%d")


async def _upstream(count: int, pause: float) -> AsyncIterator[bytes]:
    began = time.monotonic()
    for number in range(1, count + 1):
        await asyncio.sleep(max(began + number * pause - time.monotonic(), 0))
        yield _TOKEN % number
    yield wire.chat({}, "stop") + wire.DONE


def _app(redis_path: str) -> Starlette:
    from redis.asyncio import Redis
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    from tokenstream import AsyncStream, relay

    journals: dict[str, relay.Journal] = {}

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with (
            Redis(unix_socket_path=redis_path) as client,
            relay.MemoryJournal() as journals["memory"],
            relay.RedisJournal(client) as journals["redis"],
        ):
            yield

    async def answer(request: Any) -> Any:
        way, asked = request.path_params["way"], request.query_params
        source = _upstream(int(asked["count"]), float(asked["pause"]))
        if way == "bare":
            return StreamingResponse(source, media_type="text/event-stream")
        if way in journals:
            return relay.respond(AsyncStream(source), journal=journals[way])
        return relay.respond(AsyncStream(source), protocol="tokenstream" if way == "respond" else way)

    return Starlette(routes=[route_of_spent(), Route("/{way}", answer)], lifespan=lifespan)


async def _measure(port: int, way: str, streams: int, tokens: int, pace: int) -> float:
    """Return the microseconds for each token; the streams begin one after the other."""

    async def read(number: int) -> bytes:
        await asyncio.sleep(number / pace / streams)
        return await get(port, f"/{way}?count={tokens}&pause={1 / pace}")

    before = await spent(port)
    bodies = await asyncio.gather(*map(read, range(streams)))
    after = await spent(port)
    if failed := [body for body in bodies if b"token %d " % tokens not in body]:
        first = failed[0].partition(b"\r\n")[0].decode()
        raise RuntimeError(f"{way}: {len(failed)} of {streams} answers are not whole; the first: {first}")
    return (after - before) / streams / tokens * 1e6


def load(plan: Plan) -> list[Table]:
    """Return what a token costs by each way, the ways in turns: the median and the least."""
    tables = []
    rounds = min(plan.rounds, 10)
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer(Path(folder)) as redis,
        server(__name__, redis.path) as port,
    ):
        for way in _WAYS:
            asyncio.run(_measure(port, way, 10, 10, 250))
        for streams, pace in _LOADS:
            tokens = min(plan.tokens, _TOKENS, _SECONDS * pace)
            found: dict[str, list[float]] = {way: [] for way in _WAYS}
            for _ in range(rounds):
                for way, taken in found.items():
                    taken.append(asyncio.run(_measure(port, way, streams, tokens, pace)))
            rows = []
            for way, (name, beside) in _WAYS.items():
                middle, least = median(found[way]), min(found[way])
                ratio = "" if beside is None else f"{middle / median(found[beside]):.2f} × {beside}"
                rows.append([name, f"{middle:.0f}", f"{least:.0f}", ratio])
            tables.append(
                Table(
                    f"{streams} answers of {tokens} tokens, {pace} a second each, one reader per answer",
                    ["", "µs per token", "least", "beside"],
                    rows,
                    ["Processor time of the server, uvicorn; the readers and Redis are other processes."],
                )
            )
    return tables


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(_app(sys.argv[2]), port=int(sys.argv[1]), log_level="error", access_log=False)

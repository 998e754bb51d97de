"""How much later a token arrives through the relay than through a bare StreamingResponse of Starlette's."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.contenders import server
from tests.compare.benchmarks.tables import Table
from tests.support import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.compare.benchmarks.timing import Plan

_PAUSE = 0.02
"""Seconds between two tokens of a stream: 50 a second."""
_BEGIN = 1.0
"""Seconds in which all streams begin."""
_STAMP = re.compile(rb"<(\d+)>")
_TOKEN = wire.chat({"content": "<STAMP> "}).replace(b"STAMP", b"%d")
_WAYS = {
    "/bare": "StreamingResponse, the upstream's bytes",
    "/openai-chat": "`respond`, to openai-chat",
    "/ui-message": "`respond`, to ui-message",
    "/tokenstream": "`respond`, to tokenstream",
}


async def _tokens(count: int) -> AsyncIterator[bytes]:
    """Give events that say when they were made, on a clock that all processes share."""
    began = time.monotonic()
    for number in range(1, count + 1):
        await asyncio.sleep(max(began + number * _PAUSE - time.monotonic(), 0))
        yield _TOKEN % time.monotonic_ns()
    yield wire.chat({}, "stop") + wire.DONE


def _serve(port: int) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    from tokenstream import AsyncStream
    from tokenstream import relay as ours

    async def endpoint(request: Any) -> Any:
        source = _tokens(int(request.query_params["tokens"]))
        if request.url.path == "/bare":
            return StreamingResponse(source, media_type="text/event-stream")
        return ours.respond(AsyncStream(source), protocol=request.url.path[1:])

    app = Starlette(routes=[Route(path, endpoint) for path in _WAYS])
    uvicorn.run(app, port=port, log_level="error", access_log=False)


async def _read(port: int, path: str, tokens: int, late: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path}?tokens={tokens} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
    while data := await reader.read(65536):
        now = time.monotonic_ns()
        late += [(now - int(stamp)) / 1e6 for stamp in _STAMP.findall(data)]
    writer.close()


async def _measure(port: int, path: str, streams: int, tokens: int) -> list[float]:
    """Return how late each token was, in milliseconds; streams begin one after the other."""
    late: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(streams):
            tasks.create_task(_read(port, path, tokens, late))
            await asyncio.sleep(_BEGIN / streams)
    return late


def relay(plan: Plan) -> list[Table]:
    """Return how late tokens come by each way, the ways in turns, the calmest round of each."""
    streams, tokens, rounds = plan.streams, plan.tokens, plan.rounds
    found: dict[str, list[tuple[float, float]]] = {path: [] for path in _WAYS}
    with server(__name__) as port:
        for path in _WAYS:
            asyncio.run(_measure(port, path, 2, 5))
        for _ in range(rounds):
            for path, told in found.items():
                late = asyncio.run(_measure(port, path, streams, tokens))
                told.append((quantiles(late, n=100)[98], median(late)))
    bare = min(found["/bare"])
    rows = []
    for path, told in found.items():
        p99, middle = min(told)
        added = "" if path == "/bare" else f"{p99 - bare[0]:+.2f}"
        rows.append([_WAYS[path], f"{middle:.2f}", f"{p99:.2f}", added])
    return [
        Table(
            f"{streams} streams of 50 tokens a second on loopback, uvicorn: how late a token is, in ms",
            ["", "median", "p99", "p99 beside bare"],
            rows,
            ["From when the upstream makes it to the client, which is another process; the calmest round."],
        )
    ]


if __name__ == "__main__":
    _serve(int(sys.argv[1]))

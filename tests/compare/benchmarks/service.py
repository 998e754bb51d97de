"""What a whole answer costs a service, with its request to a provider and its response to a reader."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from statistics import median
from typing import TYPE_CHECKING, Any

from tests.compare.benchmarks.contenders import get, route_of_spent, server, spent
from tests.compare.benchmarks.tables import Table
from tests.support import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.applications import Starlette

    from tests.compare.benchmarks.timing import Plan

_TOKENS, _PAUSE, _ROUNDS = 100, 0.05, 5
_TOKEN = wire.chat({"content": " word"})
_WAYS = {
    "openai": "openai's SDK, and a StreamingResponse",
    "each": "`relay.respond`, `aconnect` with a client for each answer",
    "aiohttp": '`relay.respond`, `aconnect(client="aiohttp")`',
    "shared": "`relay.respond`, a shared httpx client that keeps 20 connections",
    "kept": "`relay.respond`, a shared httpx client that keeps 1,000 connections",
}


def _provider() -> Starlette:
    """Return a provider that sends as many tokens as it is asked for."""
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def chat(request: Any) -> StreamingResponse:
        count = json.loads(await request.body())["max_tokens"]

        async def tokens() -> AsyncIterator[bytes]:
            for _ in range(count):
                await asyncio.sleep(_PAUSE)
                yield _TOKEN
            yield wire.chat({}, "stop") + wire.DONE

        return StreamingResponse(tokens(), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


async def _by_openai(client: Any, ask: dict[str, Any]) -> AsyncIterator[str]:
    """Send what a service of openai's SDK sends: each piece as an event, and the end."""
    finish = None
    async for part in await client.chat.completions.create(**ask):
        for choice in part.choices:
            if choice.delta.content:
                yield f"data: {json.dumps({'type': 'text-delta', 'delta': choice.delta.content})}\n\n"
            finish = choice.finish_reason or finish
    if finish is not None:
        yield f"data: {json.dumps({'type': 'finish'})}\n\n"


def _service(base: str) -> Starlette:
    """Return the service, with one address for each way to ask the provider."""
    import httpx
    import openai
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    from tokenstream import Retry, aconnect, relay

    clients: dict[str, Any] = {"each": None, "aiohttp": "aiohttp"}
    limits = {
        way: httpx.Limits(max_keepalive_connections=kept) for way, kept in (("shared", 20), ("kept", 1000))
    }

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        async with contextlib.AsyncExitStack() as stack:
            clients["openai"] = openai.AsyncOpenAI(api_key="none", base_url=f"{base}/v1")
            for way, limit in limits.items():
                clients[way] = await stack.enter_async_context(httpx.AsyncClient(limits=limit))
            yield

    async def answer(request: Any) -> Any:
        way, count = request.path_params["way"], int(request.query_params["count"])
        ask = {"model": "m", "messages": [], "stream": True, "max_tokens": count}
        if way == "openai":
            return StreamingResponse(_by_openai(clients[way], ask), media_type="text/event-stream")
        stream = aconnect(f"{base}/v1/chat/completions", json=ask, client=clients[way], retry=Retry())
        return relay.respond(stream, protocol="ui-message")

    return Starlette(routes=[route_of_spent(), Route("/{way}", answer)], lifespan=lifespan)


async def _measure(port: int, way: str, readers: int, count: int) -> float:
    """Return the milliseconds for each answer; the readers come one after the other, and read at once."""

    async def read(number: int) -> bytes:
        await asyncio.sleep(number * count * _PAUSE / 2 / readers)
        return await get(port, f"/{way}?count={count}")

    before = await spent(port)
    bodies = await asyncio.gather(*map(read, range(readers)))
    after = await spent(port)
    if broken := [body for body in bodies if b'"finish"' not in body]:
        raise RuntimeError(
            f"{way}: {len(broken)} of {readers} answers are not whole; the first: {broken[0]!r:.200}"
        )
    return (after - before) / readers * 1e3


def service(plan: Plan) -> list[Table]:
    """Return what an answer costs by each way, the ways in turns, beside openai's SDK."""
    readers, count = plan.streams, min(plan.tokens, _TOKENS)
    found: dict[str, list[float]] = {way: [] for way in _WAYS}
    with server(__name__, "provider") as provider, server(__name__, f"http://127.0.0.1:{provider}") as port:
        for way in _WAYS:
            asyncio.run(_measure(port, way, 2, 2))
        for _ in range(min(plan.rounds, _ROUNDS)):
            for way, taken in found.items():
                taken.append(asyncio.run(_measure(port, way, readers, count)))
    least = median(found["openai"])
    rows = [
        [name, f"{median(found[way]):.1f}", f"{median(found[way]) / least:.2f}"]
        for way, name in _WAYS.items()
    ]
    return [
        Table(
            f"A whole service: {readers} answers of {count} tokens at once, from a provider to a reader each",
            ["", "ms per answer", "of openai"],
            rows,
            ["Processor time of the service, uvicorn; the provider and the readers are other processes."],
        )
    ]


if __name__ == "__main__":
    import uvicorn

    app = _provider() if sys.argv[2] == "provider" else _service(sys.argv[2])
    uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False, timeout_keep_alive=60)

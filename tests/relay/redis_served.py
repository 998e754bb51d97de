"""A relay whose answers are kept in a Redis, for several processes: `python redis_served.py SOCKET PORT`."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.served import lifespan_in
from tokenstream import AsyncStream, relay


def piece(number: int) -> str:
    """Return a piece of the answer, which is like no other."""
    return f"{number} " if number % 7 else f"{number} – 🌊 \\ \n"


async def pieces(count: int, pause: float) -> AsyncIterator[str]:
    for number in range(count):
        yield piece(number)
        await anyio.sleep(pause)


def app(path: str, *, drain: float = 0.5) -> Starlette:
    client = Redis(unix_socket_path=path)
    journal = relay.RedisJournal(client, lease=4.0, drain=drain)

    async def ask(number: object, *counted: Any) -> AsyncIterator[str]:
        # Here the model is asked; an answer that is made and refused is not read.
        await client.rpush("asked", str(number))
        async for each in pieces(*counted):
            yield each

    def answer(asked: Any) -> AsyncStream:
        return AsyncStream(ask(asked.get("number"), asked["count"], asked["pause"]), format="pieces")

    routes = [Mount("/answers", relay.endpoints(journal, answer))]
    return Starlette(routes=routes, lifespan=lifespan_in(client, journal))


def make() -> Starlette:
    """Return the application for a server that makes it itself: REDIS names the socket."""
    return app(os.environ["REDIS"], drain=20.0)


if __name__ == "__main__":
    uvicorn.run(app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning")

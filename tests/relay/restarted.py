"""A chat whose answers are kept in a Redis, for any server: REDIS in the environment is its socket."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount

from tokenstream import AsyncStream, relay

client = Redis(unix_socket_path=os.environ["REDIS"])
journal = relay.RedisJournal(client, lease=4.0, drain=20.0)


async def pieces(question: str) -> AsyncIterator[str]:
    """Answer for a second; a list in the Redis says that the model was asked."""
    await client.rpush("asked", question)
    for number in range(20):
        yield f"{question}.{number} "
        await anyio.sleep(0.05)


def answer(question: Any) -> AsyncStream:
    return AsyncStream(pieces(question), format="pieces")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncGenerator[None]:
    async with client, journal:
        yield


app = Starlette(routes=[Mount("/answers", relay.endpoints(journal, answer))], lifespan=lifespan)

"""What tests of journals in a Redis have in common: journals of several processes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from tests.support.redis_servers import RedisServer
from tokenstream.relay import RedisJournal
from tokenstream.relay.journal import Storage
from tokenstream.relay.journal._redis import RedisStorage


def client_of(server: RedisServer, **options: Any) -> Redis:
    return Redis(unix_socket_path=server.path, **options)


def in_redis(client: Redis, **bounds: Any) -> Storage:
    return RedisStorage(client, **bounds)


@asynccontextmanager
async def two_journals(
    server: RedisServer, **options: Any
) -> AsyncGenerator[tuple[RedisJournal, RedisJournal, Redis]]:
    """Give journals of two processes, and a client beside them."""
    async with client_of(server) as one, client_of(server) as other, client_of(server) as beside:
        await beside.flushall()
        async with RedisJournal(one, **options) as a, RedisJournal(other, **options) as b:
            yield a, b, beside


@asynccontextmanager
async def full(client: Redis) -> AsyncGenerator[None]:
    """Fill a Redis: what it holds already is more than it may hold."""
    await client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        await client.config_set("maxmemory", 0)

"""A Redis as the place of journals: the laws of all storages, and those of all journals."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.relay.journal_laws.laws import JournalLaws
from tests.relay.journals import failure_of
from tests.relay.redis_places import client_of, full, in_redis
from tests.relay.storage_laws import Opened, StorageLaws
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tokenstream.relay.journal import Storage

__all__ = ["anyio_backend", "server"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


@pytest.fixture
def opened(server: RedisServer) -> Opened:
    @asynccontextmanager
    async def open_storages(**bounds: Any) -> AsyncGenerator[tuple[Storage, Storage]]:
        async with client_of(server) as one, client_of(server, decode_responses=True) as other:
            await one.flushall()
            storages = in_redis(one, **bounds), in_redis(other, **bounds)
            try:
                yield storages
            finally:
                for storage in storages:
                    await storage.aclose()

    return open_storages


class TestRedisStorage(StorageLaws):
    """Every law of storages, between a client that decodes and one that does not."""


class TestRedisJournal(JournalLaws):
    """Every law of journals, in the same Redis."""


async def test_nothing_that_was_kept_outlives_its_answer(server: RedisServer) -> None:
    """Not even if a busy producer keeps it late; nor does a full Redis keep it."""
    async with client_of(server) as client:
        await client.flushall()
        storage = in_redis(client)
        await storage.create("a", owner=None, token="1", lease=60.0)
        async with full(client):
            assert "unavailable" == await failure_of(storage.keep("a", "1", b"kept"))
        await storage.keep("a", "1", b"kept")
        await storage.append("a", "1", 1, [b"{}"], lease=60.0, over=True)
        await storage.keep("a", "1", b"late")

        assert not await client.hexists("tokenstream:{a}:state", "kept")

"""A Redis as the place of journals: the laws of all storages, and those of all journals."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.relay.journal_laws.laws import JournalLaws
from tests.relay.redis_places import client_of, in_redis
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

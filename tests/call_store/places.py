"""A real Redis for the tests of stores."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.support.redis_servers import RedisServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis for the tests of a module."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@contextmanager
def flushed(server: RedisServer) -> Generator[Redis]:
    """Give a client of an empty Redis."""
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
        yield client

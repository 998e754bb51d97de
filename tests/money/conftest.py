"""Purses at the three places that they may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support.redis_servers import RedisServer, server
from tokenstream import Purse

__all__ = ["make", "server"]


@pytest.fixture(params=["memory", "file", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Purse]]:
    """Return what makes a purse; each of the same name has the same money, but for one in memory."""
    if request.param != "redis":
        yield lambda **bounds: Purse(file=tmp_path / "purse" if request.param == "file" else None, **bounds)
        return
    server: RedisServer = request.getfixturevalue("server")
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
        yield lambda **bounds: Purse(redis=client, **bounds)

"""What the tests of stores have in common: an answer with calls, and stores of each kind."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from tests.support.redis_servers import RedisServer
from tokenstream.testing import script

__all__ = ["BODY", "CALLS", "RESULTS", "Rooms", "flushed", "server"]

CALLS = (12, 12, 13)
"""The rooms that the calls of `BODY` book: the first two calls are equal."""
BODY = (
    script()
    .tool_call("book", {"room": 12})
    .tool_call("book", {"room": 12})
    .tool_call("book", {"room": 13})
    .finish("tool_calls")
    .chunks("openai-chat")
)
RESULTS = ["room 12, number 1", "room 12, number 2", "room 13, number 3"]


class Rooms:
    """A tool, which counts how often it has run."""

    def __init__(self) -> None:
        self.booked: list[int] = []

    def book(self, room: int) -> str:
        self.booked.append(room)
        return f"room {room}, number {len(self.booked)}"


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

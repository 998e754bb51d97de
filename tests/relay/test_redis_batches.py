"""What several answers write to Redis at the same moment goes there together, and fails alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from tests.relay.journals import Answer, message_of, read
from tests.relay.redis_places import in_redis
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tests.support.timing import PATIENCE
from tokenstream import relay
from tokenstream.relay.journal import JournalError, Storage

__all__ = ["anyio_backend", "server"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


class _CountingRedis(Redis):
    """Counts the messages with which scripts of several answers are sent, of which the next may fail."""

    messages = 0
    fate: Callable[[], Awaitable[Any]] | None = None
    """Happens to the next message."""

    def pipeline(self, *arguments: Any, **options: Any) -> Any:
        self.messages += 1
        pipeline: Any = super().pipeline(*arguments, **options)
        fate, self.fate = self.fate, None
        if fate is not None:
            pipeline.execute = lambda **_: fate()
        return pipeline


async def _break_off() -> None:
    raise ConnectionError


@asynccontextmanager
async def _storage(server: RedisServer) -> AsyncGenerator[tuple[Storage, _CountingRedis]]:
    async with _CountingRedis(unix_socket_path=server.path) as client:
        await client.flushall()
        storage = in_redis(client)
        yield storage, client
        await storage.aclose()


async def _begin(storage: Storage, *ids: str) -> None:
    for id in ids:
        assert await storage.create(id, owner=None, token=id, lease=60.0)


async def test_what_is_written_at_the_same_moment_is_one_message(server: RedisServer) -> None:
    """However many answers begin or write; where Redis has not got the script yet, a second one brings it."""
    ids = [str(number) for number in range(50)]
    async with _storage(server) as (storage, client):
        for first in (0, 1, 2):
            if first < 2:
                await client.script_flush()
            async with anyio.create_task_group() as tasks:
                for id in ids:
                    if first == 0:
                        tasks.start_soon(_begin, storage, id)
                    else:
                        tasks.start_soon(_append, storage, id, first, b"%s %d" % (id.encode(), first))
        messages = client.messages
        pages = [await storage.read(id, 0, 9) for id in ids]

    assert 2 + 2 + 1 == messages
    assert [(b"%d 1" % n, b"%d 2" % n) for n in range(50)] == [page.records if page else () for page in pages]


async def _append(storage: Storage, id: str, first: int, record: bytes) -> None:
    await storage.append(id, id, first, [record], lease=60.0)


async def test_a_write_that_is_refused_is_refused_alone(server: RedisServer) -> None:
    told: dict[str, str] = {}

    async def append(storage: Storage, id: str, token: str) -> None:
        try:
            await storage.append(id, token, 1, [b"1"], lease=60.0)
            told[id] = "written"
        except JournalError as error:
            told[id] = error.kind

    async with _storage(server) as (storage, _):
        await _begin(storage, "a", "b", "c")
        async with anyio.create_task_group() as tasks:
            for id, token in (("a", "a"), ("b", "else"), ("c", "c")):
                tasks.start_soon(append, storage, id, token)

    assert {"a": "written", "b": "fenced", "c": "written"} == told


@pytest.mark.parametrize("fate", [_break_off, anyio.sleep_forever])
async def test_a_message_that_fails_is_reported_to_each_answer_in_it(
    server: RedisServer, fate: Callable[[], Awaitable[Any]]
) -> None:
    leases, errors = {"a": 3600.0, "b": 0.05, "c": 3600.0}, list[JournalError]()

    async def append(storage: Storage, id: str) -> None:
        with pytest.raises(JournalError) as caught:
            await storage.append(id, id, 1, [b"1"], lease=leases[id])
        errors.append(caught.value)
        await _append(storage, id, 1, b"2")

    async with _storage(server) as (storage, client):
        await _begin(storage, *leases)
        client.fate = fate
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for id in leases:
                    tasks.start_soon(append, storage, id)
        pages = [await storage.read(id, 0, 9) for id in leases]

    assert ["unavailable"] * 3 == [error.kind for error in errors]
    assert 3 == len(set(errors))
    assert [(b"2",)] * 3 == [page.records if page else () for page in pages]


async def test_a_task_that_is_cancelled_while_it_sends_for_others_leaves_none_waiting(
    server: RedisServer,
) -> None:
    outcomes: list[str] = []

    async def append(storage: Storage, id: str) -> None:
        try:
            await storage.append(id, id, 1, [b"1"], lease=60.0)
            outcomes.append("written")
        except JournalError as error:
            outcomes.append(error.kind)

    async with _storage(server) as (storage, _):
        await _begin(storage, "a", "b")
        async with anyio.create_task_group() as tasks:
            first = anyio.CancelScope()

            async def cancelled() -> None:
                with first:
                    await append(storage, "a")

            tasks.start_soon(cancelled)
            tasks.start_soon(append, storage, "b")
            await anyio.lowlevel.checkpoint()
            first.cancel()
        await storage.append("b", "b", 1, [b"1"], lease=60.0)
        page = await storage.read("b", 0, 9)

    assert ["written"] == outcomes
    assert page is not None
    assert (b"1",) == page.records


async def test_the_first_token_is_there_at_once_and_the_end_too(server: RedisServer) -> None:
    """Only tokens in the middle wait for others, for a moment; nothing is lost where a message is."""
    async with _CountingRedis(unix_socket_path=server.path) as client:
        await client.flushall()
        async with relay.RedisJournal(client, drain=0) as journal:
            answer = Answer("One ")
            id = await journal.start(answer.stream)
            entries = journal.follow(id)
            records = [(await anext(entries)).record for _ in range(3)]
            assert any(b"One " in record for record in records)
            client.fate, before = _break_off, client.messages
            for number in range(200):
                answer.send(f"{number} ")
                await anyio.lowlevel.checkpoint()
            answer.end()
            whole = await read(journal, id)

    # The one that failed, and at least one with what was in it.
    assert client.messages > before + 1
    assert "One " + "".join(f"{number} " for number in range(200)) == message_of(whole)[0].text

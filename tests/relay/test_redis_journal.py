"""`RedisJournal`: what a Redis does beside the laws of all journals, and what it is made with."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from tests.relay.journals import Answer, begin, failure_of, journal_fails, message_of, read, texts_of, until
from tests.relay.redis_places import client_of, two_journals
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tests.support.timing import PATIENCE
from tokenstream import relay
from tokenstream.errors import MisuseError
from tokenstream.relay.journal import Bounds, Entry, JournalError

__all__ = ["anyio_backend", "server"]

pytestmark = [pytest.mark.not_quick, pytest.mark.anyio]


async def test_an_event_reaches_another_process_at_once(server: RedisServer) -> None:
    """Readers are told of what was written, long before they would look by themselves."""
    async with two_journals(server, lease=60.0) as (one, other, _):
        answer, id, reader, _ = await begin(one, other)
        waits = list[float]()
        for number in range(5):
            await anyio.sleep(0.05)
            before = time.monotonic()
            answer.send(str(number))
            await anext(reader)
            waits.append(time.monotonic() - before)
        assert "stopped" == await other.stop(id)
        with anyio.fail_after(PATIENCE):
            await answer.gone.wait()

    assert min(waits) < 1.0


@pytest.mark.slow
async def test_connections_do_not_grow_with_readers(server: RedisServer) -> None:
    """A process has one connection for being told, and eight at most for the rest."""
    async with two_journals(server) as (one, other, beside):
        answers = [Answer(*map(str, range(20))) for _ in range(30)]
        ids = [await one.start(answer.stream) for answer in answers]
        found = list[list[Entry]]()

        async def follow(id: str) -> None:
            found.append(await read(other, id))

        async with anyio.create_task_group() as tasks:
            for id in ids:
                for _ in range(10):
                    tasks.start_soon(follow, id)
            await anyio.wait_all_tasks_blocked()
            for answer in answers:
                answer.send(*map(str, range(20, 30)), over=True)
        clients: Any = await beside.info("clients")

    assert 300 == len(found)
    assert {"".join(map(str, range(30)))} == texts_of(*found)
    assert clients["connected_clients"] <= 2 * 9 + 1


async def test_a_process_hears_from_redis_only_of_the_records_of_others(server: RedisServer) -> None:
    """The readers of an answer that is produced here get its tokens without a message from Redis."""
    async with two_journals(server) as (one, other, beside):
        answer, id, *_ = await begin(one, one)
        elsewhere = other.follow(id)
        await anyio.wait_all_tasks_blocked()
        assert [] == await beside.pubsub_channels("*news")
        await anext(elsewhere)

        async def is_told() -> bool:
            return len(await beside.pubsub_channels("*news")) == 1

        await until(is_told)
        answer.send("lo", over=True)

        assert {"Hello"} == texts_of(await read(one, id), await read(other, id))


async def test_two_connections_are_enough(server: RedisServer) -> None:
    """A client with a small pool makes answers wait their turn, and fails none; with one it is told."""
    async with client_of(server, max_connections=2) as client, relay.RedisJournal(client) as journal:
        ids = list[str]()
        found = list[list[Entry]]()

        async def start() -> None:
            ids.append(await journal.start(Answer(*map(str, range(20)), over=True).stream))
            found.append(await read(journal, ids[-1]))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(start)

    assert len(found) == 20
    assert texts_of(*found) == {"".join(map(str, range(20)))}
    with pytest.raises(MisuseError, match="two connections"):
        relay.RedisJournal(client_of(server, max_connections=1))


@pytest.mark.slow
async def test_an_id_that_is_used_again_is_waited_for_as_before(server: RedisServer) -> None:
    """Messages about the earlier answer, which was forgotten, don't make anyone ask Redis without a pause."""
    stats: Any = {}
    async with two_journals(server) as (one, _, beside), anyio.create_task_group() as tasks:
        for _ in range(2):
            answer = Answer("Hello")
            assert "id" == await one.start(answer.stream, id="id")
            tasks.start_soon(read, one, "id")
            await anyio.sleep(0.3)
            await beside.config_resetstat()
            await anyio.sleep(0.5)
            stats = await beside.info("commandstats")
            assert "stopped" == await one.stop("id")
            with anyio.fail_after(PATIENCE):
                await answer.gone.wait()
            await anyio.sleep(0.2)
            await beside.flushall()

    assert sum(each["calls"] for name, each in stats.items() if "eval" in name) < 20


async def test_keys_have_the_prefix_and_one_tag_for_each_answer(server: RedisServer) -> None:
    """All keys of an answer lie on one node of a cluster, whatever its id; others stay."""
    async with two_journals(server, prefix="chat:") as (one, other, beside):
        await beside.set("mine", "1")
        for id in ("plain", "a{b}c", "}{", "ü 🌊"):
            await one.start(Answer("x", over=True).stream, id=id)
            assert {"x"} == texts_of(await read(other, id))
        names: list[Any] = await beside.keys()
        keys = {name.decode() for name in names} - {"mine"}
        tags = [key.removeprefix("chat:{").partition("}:")[0] for key in keys]
        lives = [await beside.ttl(key) for key in keys]

    assert all(key.startswith("chat:{") for key in keys)
    assert 8 == len(keys)
    assert 4 == len(set(tags))
    assert not [tag for tag in tags if "{" in tag or "}" in tag]
    assert min(lives) > 0


async def test_whatever_belongs_to_an_owner_expires(server: RedisServer) -> None:
    """The counts of answers that run and have ended, and of keys: an owner may never come back."""
    bounds = Bounds(kept=2, running=1)
    async with two_journals(server, per_owner=bounds) as (one, other, beside):
        for number in range(3):
            await one.start(Answer("x", over=True).stream, id=f"ended {number}", owner="eve")
            assert {"x"} == texts_of(await read(other, f"ended {number}", owner="eve"))
        await one.start(Answer("x").stream, id="runs", owner="eve")
        with journal_fails("too_many_answers"):
            await other.start(Answer("x").stream, id="refused", owner="eve")
        for owner in ("eve", None):
            await one.claim_key("key", "ended 2", owner=owner)
        names: list[Any] = await beside.keys()
        lives = {name.decode(): await beside.ttl(name) for name in names}
        assert "stopped" == await one.stop("runs", owner="eve")

    assert {"answers", "keys"} == {
        name.split("%3A")[2].partition("}")[0] for name in lives if "{owner" in name
    }
    assert not [name for name, seconds in lives.items() if seconds <= 0]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["away for longer than a lease", "restarted empty"])
async def test_an_answer_that_redis_does_not_keep_is_one_warning(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However many readers come back to it, and whoever ends it: it says what the storage had said."""
    with RedisServer(tmp_path) as server:
        async with client_of(server) as client, relay.RedisJournal(client, lease=1.0, drain=0.0) as journal:
            answers = [Answer("Hel") for _ in range(3)]
            ids = [await journal.start(answer.stream) for answer in answers]

            async def come_back(id: str) -> None:
                """Read as a page does, which asks again after a 503."""
                while True:
                    try:
                        await read(journal, id)
                    except JournalError as error:
                        if error.kind != "unavailable":
                            return
                        await anyio.sleep(0.1)
                    else:
                        return

            async with anyio.create_task_group() as tasks:
                for id in ids * 2:
                    tasks.start_soon(come_back, id)
                await anyio.sleep(0.2)
                if fault == "restarted empty":
                    server.kill()
                    server.start()
                else:
                    tasks.start_soon(anyio.to_thread.run_sync, server.pause, 3.0)
                    await anyio.sleep(0.2)
                for answer in answers:
                    answer.send("lo")
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]

    assert sorted(ids) == sorted(line.rpartition(" · answer ")[2] for line in lines)
    assert all("the journal no longer takes the answer: JournalError(" in line for line in lines)


async def test_a_server_that_comes_back_costs_nothing(tmp_path: Path) -> None:
    """Started again from its log, it has all; writer and readers go on, with nothing lost or doubled."""
    with RedisServer(tmp_path, appendonly="yes", appendfsync="always") as server:
        async with two_journals(server, lease=20.0) as (one, other, _):
            answer = Answer("0 ")
            id = await one.start(answer.stream)
            found = list[list[Entry]]()

            async def follow(journal: relay.RedisJournal) -> None:
                with anyio.fail_after(PATIENCE):
                    found.append([entry async for entry in journal.follow(id)])

            async with anyio.create_task_group() as tasks:
                for journal in (one, other, other):
                    tasks.start_soon(follow, journal)
                for number in range(1, 21):
                    answer.send(f"{number} ")
                    await anyio.sleep(0.02)
                    if number in {7, 14}:
                        server.kill()
                        answer.send("and ")
                        await anyio.sleep(0.1)
                        await anyio.to_thread.run_sync(server.start)
                answer.end()
            late = await read(other, id)

    whole = "".join(f"{number} " + "and " * (number in {7, 14}) for number in range(21))
    assert {whole} == texts_of(late, *found)
    assert all([entry.record for entry in entries] == [entry.record for entry in late] for entries in found)
    assert [*range(1, len(late) + 1)] == [entry.position for entry in late]


async def test_a_server_that_has_forgotten_all_is_reported(tmp_path: Path) -> None:
    """Without a log it comes back empty: readers hear of it, and the provider's connection is closed."""
    with RedisServer(tmp_path) as server:
        async with two_journals(server, lease=2.0) as (one, other, _):
            answer, _, reader, got = await begin(one, other)
            server.kill()
            await anyio.to_thread.run_sync(server.start)
            answer.send("lo")
            with anyio.fail_after(PATIENCE):
                with pytest.raises(JournalError) as caught:
                    got += [entry async for entry in reader]
                await answer.gone.wait()

    assert "Hel" == message_of(got)[0].text
    assert caught.value.status in {404, 410}


async def test_an_end_that_was_lost_is_reported(server: RedisServer) -> None:
    """A server that came back from an older copy has less than a reader, who is told, and never misled."""
    async with two_journals(server, lease=2.0) as (one, other, beside):
        answer, id, reader, got = await begin(one, other, "lo", " wor", "ld")
        got += [await anext(reader) for _ in range(3)]
        key = f"tokenstream:{{{id}}}"
        await beside.xdel(f"{key}:records", "5-0", "6-0")
        await beside.hset(f"{key}:state", "end", "4")
        answer.send("!")
        with anyio.fail_after(PATIENCE):
            with journal_fails("answer_expired", match="lost the end"):
                got += [entry async for entry in reader]
            await answer.gone.wait()

    assert "Hello world" == message_of(got)[0].text


async def test_records_that_were_evicted_are_never_skipped(server: RedisServer) -> None:
    """Where Redis makes room for others, readers that are behind are told, and those that are not go on."""
    async with two_journals(server) as (one, other, beside):
        answer, id, reader, got = await begin(one, other)
        await beside.delete(f"tokenstream:{{{id}}}:records")
        answer.send("lo", over=True)
        got += [entry async for entry in reader]
        assert await failure_of(read(one, id, after=1)) == "answer_expired"

    assert "Hello" == message_of(got)[0].text


@pytest.mark.parametrize(
    "client", [redis.Redis(), None, "redis://localhost"], ids=["sync", "none", "address"]
)
def test_a_client_that_is_none_is_refused(client: Any) -> None:
    """A client that blocks would stop the loop: the error says which one is meant."""
    with pytest.raises(MisuseError, match=r"takes a redis\.asyncio\.Redis, not a "):
        relay.RedisJournal(client)


@pytest.mark.parametrize(
    "bounds", [{"prefix": ""}, {"prefix": "a{"}, {"max_bytes": 0}, {"expire": -1}], ids=repr
)
def test_bounds_that_hold_nothing_are_refused(server: RedisServer, bounds: dict[str, Any]) -> None:
    """A prefix that splits the keys of an answer, or a bound of nothing, is told at once."""
    with pytest.raises(MisuseError, match=r"prefix|max_bytes"):
        relay.RedisJournal(client_of(server), **bounds)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = object()
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(MisuseError, match=r'pip install "redis>=\d'):
        relay.RedisJournal(client)


def test_under_trio_it_is_reported(server: RedisServer) -> None:
    """redis-py runs under asyncio only."""

    async def enter() -> None:
        async with relay.RedisJournal(client_of(server)):
            pass

    with pytest.raises(MisuseError, match="under asyncio only"):
        anyio.run(enter, backend="trio")

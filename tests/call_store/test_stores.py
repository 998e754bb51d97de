"""Stores of calls: what each answers, in memory and in a real Redis, with plain and asynchronous methods."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from pydantic import BaseModel, PlainSerializer, SecretStr
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.either import got
from tests.support.redis_servers import RedisServer, anyio_backend, server
from tokenstream import AsyncStream, Stream, testing
from tokenstream.call_store import (
    AsyncRedisCallStore,
    CallState,
    MemoryCallStore,
    RedisCallStore,
    UncertainCall,
)
from tokenstream.errors import CallStoreUnavailable, MisuseError
from tokenstream.relay import MemoryJournal, RedisJournal
from tokenstream.relay.journal import Journal

__all__ = ["anyio_backend", "server"]

pytestmark = pytest.mark.anyio

KINDS = ("memory", "redis", "async redis", "memory journal", "redis journal")
in_each_store = pytest.mark.parametrize("kind", KINDS)


@asynccontextmanager
async def opened(kind: str, server: RedisServer, **options: Any) -> AsyncGenerator[Any]:
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
        async with AsyncRedis(unix_socket_path=server.path) as async_client:
            journals: dict[str, Journal] = {
                "memory journal": MemoryJournal(),
                "redis journal": RedisJournal(async_client),
            }
            if kind in journals:
                store = journals[kind].calls
                for name, value in options.items():
                    setattr(store, name, value)
                yield store
            elif kind == "memory":
                yield MemoryCallStore(**options)
            elif kind == "redis":
                yield RedisCallStore(client, **options)
            else:
                yield AsyncRedisCallStore(async_client, **options)


@in_each_store
async def test_only_the_first_reader_gets_a_call_as_new(kind: str, server: RedisServer) -> None:
    async with opened(kind, server) as store:
        assert CallState("new") == await got(store.begin("key", 60, token="a"))
        assert CallState("new") == await got(store.begin("key", 60, token="a"))
        assert CallState("running") == await got(store.begin("key", 60, token="b"))
        assert CallState("new") == await got(store.begin("other", 60, token="b"))

        await got(store.finish("key", '{"n": 1}', token="a"))

        assert CallState("done", '{"n": 1}') == await got(store.begin("key", 60, token="b"))
        assert CallState("done", '{"n": 1}') == await got(store.begin("key", 60, token="a"))


@in_each_store
async def test_a_call_whose_lease_is_over_is_unknown_until_it_is_forgotten(
    kind: str, server: RedisServer
) -> None:
    """Nobody runs it; its end, if it comes after all, is taken."""
    async with opened(kind, server) as store:
        await got(store.begin("key", 0.05, token="a"))
        await anyio.sleep(0.1)

        assert CallState("unknown") == await got(store.begin("key", 60, token="b"))
        assert CallState("unknown") == await got(store.begin("key", 60, token="b", again=True))
        await got(store.finish("key", "1", token="a"))
        assert CallState("done", "1") == await got(store.begin("key", 60, token="b"))

        assert await got(store.forget("key"))
        assert not await got(store.forget("key"))
        assert CallState("new") == await got(store.begin("key", 60, token="b"))
        await got(store.finish("key", "2", token="a"))
        assert CallState("running") == await got(store.begin("key", 60, token="c"))


@in_each_store
async def test_a_failed_call_is_begun_again_only_on_request(kind: str, server: RedisServer) -> None:
    async with opened(kind, server) as store:
        await got(store.begin("key", 60, token="a"))
        await got(store.finish("key", "no room é", token="a", failed=True))

        assert CallState("failed", "no room é") == await got(store.begin("key", 60, token="b"))
        assert CallState("new") == await got(store.begin("key", 60, token="b", again=True))
        await got(store.finish("key", None, token="b"))
        assert CallState("done", None) == await got(store.begin("key", 60, token="c"))


@in_each_store
async def test_the_end_of_a_forgotten_call_is_kept(kind: str, server: RedisServer) -> None:
    async with opened(kind, server) as store:
        await got(store.begin("key", 60, token="a"))
        await got(store.forget("key"))
        await got(store.finish("key", "1", token="a"))

        assert CallState("done", "1") == await got(store.begin("key", 60, token="b"))


@in_each_store
async def test_uncertain_calls_are_listed_and_settled_by_a_person(kind: str, server: RedisServer) -> None:
    """Only those of which nobody knows the end; a settled one is done, whatever comes after."""
    async with opened(kind, server) as store:
        ends: dict[str, dict[str, Any]] = {"done": {"result": "1"}, "kept": {"result": None}}
        for key in ("running", "gone", "left", "dropped", *ends):
            await got(store.begin(key, 0.001 if key == "gone" else 60, token="a"))
        await got(store.finish("failed", "no", token="a", failed=True))
        for key, end in ends.items():
            await got(store.finish(key, **end, token="a"))
        await got(store.abandon("left", token="b"))
        assert "running" == (await got(store.look("left"))).status
        await got(store.abandon("left", token="a"))
        await got(store.abandon("done", token="a"))
        await got(store.abandon("dropped", token="a", may_have_run=False))
        await anyio.sleep(0.01)

        assert {"gone", "left", "kept"} == {call.key for call in await got(store.uncertain())}
        assert "new" == (await got(store.look("dropped"))).status
        assert [False] * 5 == [
            await got(store.settle(key, 1)) for key in ("running", "done", "failed", "dropped", "other")
        ]
        for key in ("gone", "left", "kept"):
            entry = UncertainCall(key)
            assert await got(store.settle(key if key == "gone" else entry, {"sent": 7}))
            assert not await got(store.settle(entry, {"sent": 8}))
            await got(store.finish(key, "2", token="a"))
            assert CallState("done", '{"sent":7}') == await got(store.begin(key, 60, token="c"))
        assert [] == await got(store.uncertain())
        with pytest.raises(MisuseError, match="JSON can express"):
            await got(store.settle("left", object()))


class Login(BaseModel):
    user: str
    password: SecretStr
    tries: int = 1


def login(login: Login, pin: Annotated[str, PlainSerializer(lambda _: "***")] = "") -> None:
    raise KeyboardInterrupt(login, pin)


def pay(to: str, usd: float, memo: str = "") -> None:
    raise KeyboardInterrupt(to, usd, memo)


@in_each_store
async def test_an_uncertain_call_tells_a_person_what_it_asks_for(kind: str, server: RedisServer) -> None:
    """The tool, the arguments, the answer, the call's number in it, and the time; but no secret."""
    script = testing.script().tool_call("pay", '{"usd": 1e2, "to": "ann", "memo": ""}')
    script = script.tool_call("login", {"login": {"user": "ann", "password": "s3cret"}, "pin": "s3cret"})
    script = script.tool_call("pay", {"to": "ben" * 100, "usd": 1})
    body, begun = script.finish().chunks("openai-chat"), datetime.now(UTC)
    async with opened(kind, server) as store:
        store.max_result = 200
        async with AsyncStream(body, job="job 7, turn 1") as stream:
            calls = [call async for call in stream.validated_calls(pay, login, once=store)]
        for call in calls:
            with pytest.raises(KeyboardInterrupt):
                await call.run()
        listed = sorted(await got(store.uncertain()), key=lambda entry: entry.number)
        assert [call.key for call in calls] == [entry.key for entry in listed]
        assert ["pay", "login", "pay"] == [entry.name for entry in listed]
        assert ['{"memo":"","to":"ann","usd":100}', None] == [listed[n].arguments for n in (0, 2)]
        hidden = json.loads(listed[1].arguments)
        assert {"login": {"user": "ann", "password": "**********"}, "pin": "***"} == hidden
        for entry in listed:
            assert "job 7, turn 1" == entry.answer_id
            assert begun <= entry.since <= datetime.now(UTC)
            assert await got(store.settle(entry, "done"))
        with Redis(unix_socket_path=server.path) as client:
            assert b"ann" not in b"".join(client.dump(key) or b"" for key in client.keys("*"))


def test_a_store_that_takes_no_text_about_its_calls_lists_their_keys() -> None:
    class Older(MemoryCallStore):
        def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> CallState:  # type: ignore[override]
            return super().begin(key, lease, token=token, again=again)

    store = Older()
    body = testing.script().tool_call("pay", {"to": "ann", "usd": 5}).finish().chunks("openai-chat")
    [call] = Stream(body, job="job 7").validated_calls(pay, once=store)
    with pytest.raises(KeyboardInterrupt):
        call.run()

    assert [UncertainCall(call.key)] == store.uncertain()


def test_the_calls_of_another_prefix_are_not_listed(server: RedisServer) -> None:
    with Redis(unix_socket_path=server.path, decode_responses=True) as client:
        client.flushall()
        stores = [RedisCallStore(client, prefix=prefix) for prefix in ("a*:", "ab:", "[a]:")]
        for number, store in enumerate(stores):
            store.begin(f"{number}:é", 60, token="t")
            store.abandon(f"{number}:é", token="t")

        assert [["0:é"], ["1:é"], ["2:é"]] == [[call.key for call in store.uncertain()] for store in stores]


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_of_many_threads_one_begins_a_call(kind: str, server: RedisServer) -> None:
    with Redis(unix_socket_path=server.path) as client, ThreadPoolExecutor(8) as threads:
        client.flushall()
        store: Any = MemoryCallStore() if kind == "memory" else RedisCallStore(client)
        for number in range(20):
            states = threads.map(lambda at, key=str(number): store.begin(key, 60, token=str(at)), range(8))
            assert ["new", *["running"] * 7] == sorted(state.status for state in states)


def test_a_store_in_memory_forgets_the_calls_that_ended_first() -> None:
    """Calls that have begun stay: they must not run twice."""
    store = MemoryCallStore(max_calls=3)
    for key in ("a", "b", "c"):
        store.begin(key, 60, token="t")
    with pytest.raises(CallStoreUnavailable, match="max_calls=3 calls have begun, and none"):
        store.begin("d", 60, token="t")
    store.finish("b", "1", token="t")
    store.finish("a", "1", token="t")

    store.begin("d", 60, token="t")

    statuses = [store.begin(key, 60, token="other").status for key in ("a", "c", "d")]
    assert ["done", "running", "running"] == statuses
    assert "<MemoryCallStore: 2 calls have begun, 1 have ended>" == repr(store)


def test_redis_forgets_a_call_after_a_time(server: RedisServer) -> None:
    """`keep` bounds what is stored, counted from the call's end."""
    with Redis(unix_socket_path=server.path) as client:
        client.flushall()
        store = RedisCallStore(client, prefix="shop:", keep=0.2)
        store.begin("key", 0.1, token="t")
        assert 0 < client.pttl("shop:{key}:call") <= 300
        store.finish("key", "1", token="t")
        until = time.monotonic() + 30
        while client.keys("*"):
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("cls", [RedisCallStore, AsyncRedisCallStore])
def test_a_store_in_redis_refuses_what_cannot_work(cls: Any) -> None:
    clients: list[Any] = [Redis(), AsyncRedis()]
    client, other = clients if cls is RedisCallStore else reversed(clients)
    with pytest.raises(MisuseError, match="this store takes a redis"):
        cls(other)
    wrong: list[dict[str, Any]] = [{"prefix": "{"}, {"prefix": ""}, {"lease": 0}, {"keep": 0}]
    for options in wrong:
        with pytest.raises(MisuseError, match="must"):
            cls(client, **options)


async def test_a_redis_that_is_gone_is_an_error_without_its_address(tmp_path: Path) -> None:
    """The address may name a host, a port and a user."""
    path = str(tmp_path / "none.sock")
    plain = RedisCallStore(Redis(unix_socket_path=path, retry=Retry(NoBackoff(), 0)))
    with pytest.raises(CallStoreUnavailable, match=r"cannot be used now \(ConnectionError\)"):
        plain.begin("key", 60, token="t")
    later = AsyncRedisCallStore(AsyncRedis(unix_socket_path=path, retry=AsyncRetry(NoBackoff(), 0)))
    with pytest.raises(CallStoreUnavailable, match=r"cannot be used now \(ConnectionError\)"):
        await later.finish("key", "1", token="t")

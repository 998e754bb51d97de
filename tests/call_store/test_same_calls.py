"""With `same_calls`, an answer with other calls than the first one under the same id is refused."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel
from redis.asyncio import Redis as AsyncRedis

from tests.call_store.places import calling, flushed
from tests.call_store.sqlite_store import SQLiteCallStore
from tests.support.redis_servers import RedisServer, server
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Router, Stream
from tokenstream.call_store import AsyncRedisCallStore, CallState, MemoryCallStore, RedisCallStore
from tokenstream.errors import CallsDiffer, CallUncertain, StreamTruncated

__all__ = ["server"]

ANN, BEN, EVE = ({"to": name, "usd": 100} for name in ("ann", "ben", "eve"))
INVALID = {"to": "ann", "dollars": 5}


class Transfer(BaseModel):
    to: str
    usd: float


def body(*calls: Any, finish: str | None = "tool_calls", choice: int = 0) -> list[bytes]:
    """Return an answer that transfers something with each call; without a finish, it is cut off."""
    return calling(*(("transfer", json.dumps(each)) for each in calls), finish=finish, choice=choice)


class Bank:
    def __init__(self) -> None:
        self.sent: list[str] = []

    def transfer(self, to: str, usd: float, memo: str = "") -> str:
        self.sent.append(to)
        return f"sent {usd:g} to {to}{memo}"


VALIDATED = Counter[str]()
"""How often the name of each customer was validated."""


def note_validated(name: str) -> str:
    VALIDATED[name] += 1
    return name


class WatchedBank(Bank):
    """A bank that counts validations of its customers' names."""

    def transfer(self, to: Annotated[str, AfterValidator(note_validated)], usd: float, memo: str = "") -> str:
        return super().transfer(to, usd, memo)


def read(store: Any, bank: Bank, chunks: list[bytes]) -> list[Any]:
    with Stream(chunks, job="job 7, turn 1") as stream:
        calls = stream.validated_calls(bank.transfer, once=store)
        return [call.run() for call in calls if call.error is None]


def read_type(store: Any, bank: Bank, chunks: list[bytes]) -> list[Any]:
    found: list[Any] = []
    with Stream(chunks, job="job 7, turn 1") as stream:
        for call in stream.validated_calls(transfer=Transfer, once=store):
            if call.error is None and call.state == CallState("new"):
                call.finish(bank.transfer(**call.arguments.model_dump()))
            found += [call.run()] if call.error is None else []
    return found


def route(store: Any, bank: Bank, chunks: list[bytes]) -> list[Any]:
    router = Router(once=store)
    router.tool(bank.transfer)
    results = Stream(chunks, job="job 7, turn 1").run(router)
    return [value for id, value in results.items() if id not in results.errors]


def read_async(store: Any, bank: Bank, chunks: list[bytes]) -> list[Any]:
    async def main() -> list[Any]:
        async with AsyncStream(chunks, job="job 7, turn 1") as stream:
            calls = stream.validated_calls(bank.transfer, once=store)
            return [await call.run() async for call in calls if call.error is None]

    return asyncio.run(main())


def route_async(store: Any, bank: Bank, chunks: list[bytes]) -> list[Any]:
    async def main() -> list[Any]:
        router = Router(once=store)
        router.tool(bank.transfer)
        results = await AsyncStream(chunks, job="job 7, turn 1").run(router)
        return [value for id, value in results.items() if id not in results.errors]

    return asyncio.run(main())


READERS = (read, read_type, route, read_async, route_async)


def shown(*names: str) -> list[str]:
    return [f'transfer({{"to":"{name}","usd":100}})' for name in names]


@in_one_test(
    "reader", READERS, by=lambda reader: reader.__name__, slow={*(each.__name__ for each in READERS[1:])}
)
@in_one_test(
    ("first", "second", "number"),
    [
        ([ANN], [BEN], 0),
        ([ANN, BEN], [ANN, EVE], 1),
        ([ANN, BEN], [BEN, ANN], 0),
        ([ANN, BEN], [BEN], 0),
        ([ANN], [ANN, ANN], 1),
        ([ANN], [ANN, BEN], 1),
        ([ANN, BEN], [ANN], 1),
        ([ANN, BEN], [], 0),
        ([], [ANN], 0),
    ],
)
def test_an_answer_with_other_calls_is_refused_with_both_lists(
    reader: Callable[..., list[Any]], first: list[Any], second: list[Any], number: int
) -> None:
    store, bank = MemoryCallStore(same_calls=True), Bank()
    reader(store, bank, body(*first, finish="tool_calls" if first else "stop"))
    with pytest.raises(CallsDiffer, match=rf"call {number + 1} is another one") as caught:
        reader(store, bank, body(*second, finish="tool_calls" if second else "stop"))

    assert sorted(each["to"] for each in first) == sorted(bank.sent)
    assert number == caught.value.number
    assert shown(*(each["to"] for each in first)) == caught.value.first
    assert shown(*(each["to"] for each in second))[: number + 1] == caught.value.second[: number + 1]
    assert "ann" not in str(caught.value)
    assert [] == store.uncertain()


@pytest.mark.slow
@in_one_test("again", READERS)
@in_one_test("reader", READERS)
@in_one_test("calls", [[ANN], [ANN, BEN], [ANN, ANN], [ANN, INVALID], [INVALID, BEN], []])
def test_the_same_calls_run_once_whoever_reads_them(
    reader: Callable[..., list[Any]], again: Callable[..., list[Any]], calls: list[Any]
) -> None:
    store, bank = MemoryCallStore(same_calls=True), Bank()
    chunks = body(*calls, finish="tool_calls" if calls else "stop")
    first = reader(store, bank, chunks)

    assert first == again(store, bank, chunks)
    # A router of an `AsyncStream` runs its tools in parallel.
    assert sorted(call["to"] for call in calls if "usd" in call) == sorted(bank.sent)


@in_one_test("reader", [read, route, read_async])
def test_a_call_that_was_not_valid_is_compared_too(reader: Callable[..., list[Any]]) -> None:
    """The model has made another attempt, which is another list."""
    store, bank = MemoryCallStore(same_calls=True), Bank()
    reader(store, bank, body(INVALID))
    with pytest.raises(CallsDiffer) as caught:
        reader(store, bank, body(ANN))

    assert [] == bank.sent
    assert ['transfer({"dollars":5,"to":"ann"})'] == caught.value.first


@in_one_test("reader", READERS)
def test_an_answer_that_was_cut_off_says_nothing_of_later_calls(reader: Callable[..., list[Any]]) -> None:
    """Only the calls that it has shown have to come again."""
    store, bank = MemoryCallStore(same_calls=True), Bank()
    # The third call is what shows that the second one is over.
    with pytest.raises(StreamTruncated):
        reader(store, bank, body(ANN, BEN, EVE, finish=None))
    reader(store, bank, body(ANN, BEN, ANN))
    with pytest.raises(CallsDiffer):
        reader(store, bank, body(ANN, BEN, EVE))

    assert ["ann", "ann", "ben"] == sorted(bank.sent)


@in_one_test("reader", [read, route, read_async, route_async])
def test_each_call_is_described_once(reader: Callable[..., list[Any]]) -> None:
    store, bank = MemoryCallStore(same_calls=True), WatchedBank()
    VALIDATED.clear()
    reader(store, bank, body(*({"to": f"customer {number}", "usd": 1} for number in range(40))))

    assert 40 == len(bank.sent)
    assert 0 < max(VALIDATED.values()) < 20


def test_other_answers_and_choices_have_lists_of_their_own() -> None:
    store, bank = MemoryCallStore(same_calls=True), Bank()
    read(store, bank, body(ANN))
    with Stream(body(BEN), job="job 7, turn 2") as stream:
        [call.run() for call in stream.validated_calls(bank.transfer, once=store)]
    with Stream([*body(ANN)[:-1], *body(EVE, choice=1)], job="job 7, turn 1") as stream:
        [call.run() for call in stream.choice(1).validated_calls(bank.transfer, once=store)]

    assert ["ann", "ben", "eve"] == sorted(bank.sent)


@pytest.mark.parametrize("options", [{}, {"same_calls": False}])
def test_without_the_option_other_calls_run(options: dict[str, Any]) -> None:
    """Each call is then told by its arguments alone."""
    store, bank = MemoryCallStore(**options), Bank()
    read(store, bank, body(ANN))
    read(store, bank, body(BEN))

    assert ["ann", "ben"] == sorted(bank.sent)


def test_long_arguments_are_compared_whole_and_kept_short() -> None:
    store, bank = MemoryCallStore(same_calls=True), Bank()
    long = "x" * 100_000
    read(store, bank, body({**ANN, "memo": long}))
    read(store, bank, body({**ANN, "memo": long}))
    with pytest.raises(CallsDiffer) as caught:
        read(store, bank, body({**ANN, "memo": f"{long}y"}))

    assert ["ann"] == bank.sent
    assert len(caught.value.first[0]) < 5_000
    assert caught.value.first != caught.value.second


def test_two_processes_with_one_redis_compare_their_answers(server: RedisServer) -> None:
    with flushed(server) as client:
        bank = Bank()

        async def beside(chunks: list[bytes]) -> list[Any]:
            async with AsyncRedis(unix_socket_path=server.path) as async_client:
                store = AsyncRedisCallStore(async_client, same_calls=True)
                async with AsyncStream(chunks, job="job 7, turn 1") as stream:
                    calls = stream.validated_calls(bank.transfer, once=store)
                    return [await call.run() async for call in calls]

        store = RedisCallStore(client, same_calls=True)
        assert ["sent 100 to ann"] == read(store, bank, body(ANN))
        assert ["sent 100 to ann"] == asyncio.run(beside(body(ANN)))
        with pytest.raises(CallsDiffer):
            asyncio.run(beside(body(BEN)))
        assert ["ann"] == bank.sent
        assert [] == store.uncertain()


def test_a_store_with_only_the_methods_that_are_required_compares_answers(tmp_path: Path) -> None:
    store, bank = SQLiteCallStore(tmp_path / "calls"), Bank()
    store.same_calls = True
    with closing(store.database):
        read(store, bank, body(ANN))
        read(store, bank, body(ANN))
        with pytest.raises(CallsDiffer):
            read(store, bank, body(BEN))

    assert ["ann"] == bank.sent


class Dying(SQLiteCallStore):
    """A store whose process dies before the first end is kept of something that has begun."""

    has_died = False

    def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
        if not self.has_died and self.look(key).status == "running":
            self.has_died = True
            raise SystemExit
        super().finish(key, result, token=token, failed=failed)


def test_an_entry_that_was_begun_and_not_finished_lets_no_other_call_through(tmp_path: Path) -> None:
    """Only the same call finishes the entry, also once its lease is over."""
    store, bank = Dying(tmp_path / "calls"), Bank()
    store.same_calls = True
    with closing(store.database):
        with pytest.raises(SystemExit):
            read(store, bank, body(ANN))
        for _ in range(2):
            with pytest.raises(CallUncertain, match="from number 1 on"):
                read(store, bank, body(BEN))
            store.database.execute("UPDATE calls SET until = 0")
        assert [] == bank.sent
        assert ["sent 100 to ann"] == read(store, bank, body(ANN))

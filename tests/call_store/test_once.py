"""Calls run at most once: in views and routers, in both kinds of streams, however often an answer is read."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from tests.call_store.bookings import BODY, CALLS, RESULTS, Rooms
from tests.call_store.places import calling, flushed
from tests.support.redis_servers import RedisServer, server
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Retry, Router, Stream, resilient
from tokenstream.call_store import (
    AsyncCallStore,
    AsyncRedisCallStore,
    CallState,
    MemoryCallStore,
    RedisCallStore,
)
from tokenstream.errors import CallStoreUnavailable, CallUncertain, MisuseError, StreamError
from tokenstream.router import ToolFailed
from tokenstream.testing import script

__all__ = ["server"]

NAMED: dict[str, Any] = {"job": "turn 7"}


class Booking(BaseModel):
    room: int


def read(store: Any, rooms: Rooms, body: Any = BODY, **options: Any) -> list[Any]:
    with Stream(body, **(options or NAMED)) as stream:
        return [call.run() for call in stream.validated_calls(rooms.book, once=store)]


async def read_async(store: Any, rooms: Rooms) -> list[Any]:
    async def book(room: int) -> str:
        await anyio.lowlevel.checkpoint()
        return rooms.book(room)

    stream = AsyncStream(BODY, job="turn 7")
    return [await call.run() async for call in stream.validated_calls(book, once=store)]


async def read_async_plain_tool(store: Any, rooms: Rooms) -> list[Any]:
    stream = AsyncStream(BODY, job="turn 7")
    return [await call.run() async for call in stream.validated_calls(rooms.book, once=store)]


def route(store: Any, rooms: Rooms) -> list[Any]:
    router = Router(once=store)
    router.tool(rooms.book)
    return list(Stream(BODY, job="turn 7").run(router).values())


async def route_async(store: Any, rooms: Rooms) -> list[Any]:
    router = Router(once=store, concurrency=1)
    router.tool("book")(rooms.book)
    return list((await AsyncStream(BODY, job="turn 7").run(router)).values())


def finished(found: Any) -> list[Any]:
    """Return what a reader has found, which an asynchronous one has still to find."""
    return found if isinstance(found, list) else anyio.run(lambda: found)


@pytest.mark.slow
@given(st.lists(st.sampled_from([read, read_async, read_async_plain_tool, route, route_async]), max_size=5))
def test_each_call_runs_once_whoever_reads_the_answer(readers: list[Callable[..., Any]]) -> None:
    store, rooms = MemoryCallStore(), Rooms()

    for reader in readers:
        assert RESULTS == finished(reader(store, rooms))

    assert rooms.booked == (list(CALLS) if readers else [])


def test_two_processes_with_one_redis_run_each_call_once(server: RedisServer) -> None:
    with flushed(server) as client:
        rooms = Rooms()

        async def beside() -> list[Any]:
            async with AsyncRedis(unix_socket_path=server.path) as async_client:
                return await read_async(AsyncRedisCallStore(async_client), rooms)

        assert RESULTS == read(RedisCallStore(client), rooms)
        assert RESULTS == anyio.run(beside)
        assert RESULTS == read(RedisCallStore(client), rooms)
        assert list(CALLS) == rooms.booked


@in_one_test("cut", range(1, len(BODY) - 1))
def test_an_answer_that_is_cut_and_restarted_runs_each_call_once(cut: int) -> None:
    store, rooms = MemoryCallStore(), Rooms()
    bodies = [BODY[:cut], BODY]

    with pytest.raises(StreamError):
        read(store, rooms, BODY[:cut])
    stream = resilient(lambda: bodies.pop(0), Retry(again=True, wait=0), job="turn 7")
    assert RESULTS == [call.run() for call in stream.validated_calls(rooms.book, once=store)]
    assert list(CALLS) == rooms.booked


@pytest.mark.parametrize("of", ["readers", "one call"])
def test_a_call_that_runs_is_waited_for(of: str) -> None:
    store, begun, go_on = MemoryCallStore(), threading.Event(), threading.Event()
    runs: list[int] = []

    def book(room: int) -> str:
        runs.append(room)
        begun.set()
        assert go_on.wait(30)
        return "booked"

    def calls() -> Any:
        return Stream(body, **NAMED).validated_calls(book, once=store)

    body = script().tool_call("book", {"room": 1}).finish("tool_calls").chunks("openai-chat")
    [first] = calls()

    def run() -> list[Any]:
        return [first.run()] if of == "one call" else [call.run() for call in calls()]

    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(run) for _ in range(4)]
        assert begun.wait(30)
        go_on.set()
        assert [["booked"]] * 4 == [each.result(30) for each in found]
    assert [1] == runs


def test_the_call_of_a_type_cannot_be_run_and_so_does_not_fail() -> None:
    store = MemoryCallStore()
    [call, *_] = Stream(BODY, **NAMED).validated_calls(book=Booking, once=store)
    with pytest.raises(MisuseError, match="has nothing to run"):
        call.run()

    assert CallState("new") == call.state
    call.finish("booked")
    assert "booked" == call.run()


def test_a_call_that_began_and_never_ended_is_uncertain_until_it_is_forgotten() -> None:
    clock = [0.0]
    store, rooms = MemoryCallStore(lease=60, clock=lambda: clock[0]), Rooms()

    class Killed(BaseException):
        pass

    def die(room: int) -> None:
        rooms.booked.append(room)
        raise Killed

    with Stream(BODY, **NAMED) as stream, pytest.raises(Killed):
        for call in stream.validated_calls(book=die, once=store):
            call.run()
    stream.close()
    clock[0] = 61

    first, *others = Stream(BODY, **NAMED).validated_calls(rooms.book, once=store)

    assert isinstance(first.error, CallUncertain)
    assert first.error.key == first.key
    assert CallState("unknown") == first.state
    assert "Do not repeat it" in first.error_for_model
    assert {"room": 12} == first.arguments
    with pytest.raises(CallUncertain, match="may have run, or not: it is not run again"):
        first.run()
    assert [None, None] == [call.error for call in others]
    assert [12] == rooms.booked

    assert store.forget(first.error.key)
    first, *others = Stream(BODY, **NAMED).validated_calls(rooms.book, once=store)
    assert "room 12, number 2" == first.run()


@pytest.mark.parametrize("reader", [route, route_async])
def test_a_router_tells_the_model_of_an_uncertain_call(reader: Callable[..., Any]) -> None:
    clock = [0.0]
    store, rooms = MemoryCallStore(lease=60, clock=lambda: clock[0]), Rooms()
    [first, *_] = Stream(BODY, **NAMED).tool_calls
    store.begin(first.key, 60, token="of a process that was killed")
    clock[0] = 61

    values = finished(reader(store, rooms))

    assert "It is not known whether this call has taken effect" in values[0]
    assert [12, 13] == rooms.booked


@pytest.mark.parametrize("error", [ValueError("full"), ToolFailed("full")])
def test_a_failed_call_is_not_run_again_unless_the_store_says_so(error: Exception) -> None:
    store = MemoryCallStore()
    runs: list[int] = []
    body = script().tool_call("book", {"room": 1}).finish("tool_calls").chunks("openai-chat")

    def book(room: int) -> str:
        runs.append(room)
        if len(runs) == 1:
            raise error
        return "booked"

    [call] = Stream(body, **NAMED).validated_calls(book, once=store)
    with pytest.raises(type(error), match="full"):
        call.run()
    for failed in (call, *Stream(body, **NAMED).validated_calls(book, once=store)):
        with pytest.raises(ToolFailed, match="full"):
            failed.run()
    assert [1] == runs

    store.retry_failed = True
    [call] = Stream(body, **NAMED).validated_calls(book, once=store)
    assert "booked" == call.run()
    assert [1, 1] == runs


def test_the_application_ends_the_calls_of_types_itself() -> None:
    """Only if the state is new may it do what the call asks for."""
    store = MemoryCallStore()

    def handle() -> list[CallState]:
        states: list[CallState] = []
        for call in Stream(BODY, **NAMED).validated_calls(book=Booking, once=store):
            assert call.state is not None
            if call.state.status == "new":
                if call.arguments.room == 12:
                    call.finish({"ok": call.arguments.room})
                else:
                    call.fail("no such room")
            states.append(call.state)
        return states

    ends = [("done", '{"ok":12}'), ("done", '{"ok":12}'), ("failed", "no such room")]
    assert ends == [tuple(state) for state in handle()]
    assert handle() == handle()
    first, _, last = Stream(BODY, **NAMED).validated_calls(book=Booking, once=store)
    assert {"ok": 12} == first.run()
    with pytest.raises(ToolFailed, match="no such room"):
        last.run()
    with pytest.raises(MisuseError, match="is done: only a call whose state"):
        first.finish(1)
    with pytest.raises(MisuseError, match="is failed: only a call whose state"):
        last.fail("x")


@pytest.mark.anyio
async def test_the_application_ends_the_calls_of_types_in_an_asynchronous_stream() -> None:
    store, rooms = MemoryCallStore(), Rooms()
    async for call in AsyncStream(BODY, job="turn 7").validated_calls(book=Booking, once=store):
        await call.finish(rooms.book(call.arguments.room))

    assert RESULTS == await read_async(store, Rooms())


def test_without_a_store_a_call_has_no_state_and_cannot_be_ended() -> None:
    for call in Stream(BODY, **NAMED).validated_calls(book=Booking):
        assert call.state is None
        with pytest.raises(MisuseError, match=r"has no store for call\.finish"):
            call.finish(1)
        with pytest.raises(MisuseError, match=r"has no store for call\.fail"):
            call.fail("x")


@pytest.mark.parametrize("result", [object(), "x" * 200, float("inf")])
def test_a_result_that_cannot_be_kept_is_given_once(result: object, caplog: pytest.LogCaptureFixture) -> None:
    """The tool has run, so it is not run again to have its result."""
    store = MemoryCallStore(max_result=100)
    body = script().tool_call("get", {}).finish("tool_calls").chunks("openai-chat")
    runs: list[int] = []

    def get() -> object:
        runs.append(1)
        return result

    with caplog.at_level(logging.WARNING, "tokenstream"):
        [call] = Stream(body, **NAMED).validated_calls(get, once=store)
        assert result == call.run()
        [call] = Stream(body, **NAMED).validated_calls(get, once=store)

    assert [1] == runs
    if isinstance(result, float):
        assert result == call.run()
    else:
        assert isinstance(call.error, CallUncertain)
        assert "has run, but its result could not be kept" in str(call.error)
        assert "is not kept" in caplog.text


def test_a_shared_store_needs_an_answer_with_an_identity(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A random key would mean nothing in another process; a short id may be another answer's, too."""
    body, rooms = partial(calling, ("book", '{"room": 12}')), Rooms()
    with flushed(server) as client:
        store = RedisCallStore(client)
        with Stream(body(), format="openai-chat") as stream:
            view = stream.validated_calls(rooms.book, once=store)
            for _ in range(2):
                with pytest.raises(MisuseError, match="pass job= to the stream"):
                    next(view)
        assert ["room 12, number 1"] == read(store, rooms, body(id="resp_68a0b2f9c1d2"), job=None)
        assert "" == caplog.text
        with caplog.at_level(logging.WARNING, "tokenstream"):
            assert ["room 12, number 2"] == read(store, rooms, body(id="chatcmpl-543"), job=None)
        assert "the id of the answer is short" in caplog.text
        assert ["room 12, number 3"] == read(MemoryCallStore(), rooms, body(), job=None)


def test_a_store_that_cannot_begin_loses_no_call() -> None:
    class Flaky(MemoryCallStore):
        def __init__(self) -> None:
            super().__init__()
            self.failures = {"look", "begin"}

        def look(self, key: str) -> CallState:
            self.fail_once("look")
            return super().look(key)

        def begin(
            self, key: str, lease: float, *, token: str, again: bool = False, about: str = ""
        ) -> CallState:
            state = super().begin(key, lease, token=token, again=again, about=about)
            self.fail_once("begin")
            return state

        def fail_once(self, name: str) -> None:
            if name in self.failures:
                self.failures.remove(name)
                raise CallStoreUnavailable("gone for a moment")

    rooms = Rooms()
    view = Stream(BODY, **NAMED).validated_calls(rooms.book, once=Flaky())
    with pytest.raises(CallStoreUnavailable):
        next(view)

    first, *others = view
    with pytest.raises(CallStoreUnavailable):
        first.run()
    assert RESULTS == [call.run() for call in (first, *others)]


def test_a_store_that_cannot_take_the_end_loses_no_result(caplog: pytest.LogCaptureFixture) -> None:
    class Full(MemoryCallStore):
        def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
            raise CallStoreUnavailable("it is full")

    store, rooms = Full(lease=0.05), Rooms()
    with caplog.at_level(logging.WARNING, "tokenstream"):
        assert RESULTS == read(store, rooms)
    assert "the end of tool call" in caplog.text
    time.sleep(0.1)
    found = [call.error for call in Stream(BODY, **NAMED).validated_calls(rooms.book, once=store)]
    assert [CallUncertain] * 3 == [type(error) for error in found]
    assert list(CALLS) == rooms.booked


@pytest.mark.anyio
async def test_a_cancelled_read_loses_no_call_and_begins_none_twice() -> None:
    """The time-out strikes while the store is asked; the next read asks for the same call again."""

    class Slow(AsyncCallStore):
        def __init__(self) -> None:
            self.store = MemoryCallStore()
            self.pause = 30.0

        async def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> CallState:
            state = self.store.begin(key, lease, token=token, again=again)
            pause, self.pause = self.pause, 0.0
            await anyio.sleep(pause)
            return state

        async def look(self, key: str) -> CallState:
            pause, self.pause = self.pause, 0.0
            await anyio.sleep(pause)
            return self.store.look(key)

        async def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
            self.store.finish(key, result, token=token, failed=failed)

        async def forget(self, key: str) -> bool:
            return self.store.forget(key)

    rooms = Rooms()
    async with AsyncStream(BODY, job="turn 7") as stream:
        view = stream.validated_calls(rooms.book, once=Slow())
        with anyio.move_on_after(0.05):
            await anext(view)
        assert RESULTS == [await call.run() async for call in view]
    assert list(CALLS) == rooms.booked


def test_calls_of_a_complete_answer_are_begun_only_then() -> None:
    """`when_complete` hands out nothing of an answer that fails, so nothing of it has begun."""
    store, rooms = MemoryCallStore(), Rooms()
    with pytest.raises(StreamError):
        list(Stream(BODY[:-2], **NAMED).validated_calls(rooms.book, once=store).when_complete())
    assert "<MemoryCallStore: 0 calls have begun, 0 have ended>" == repr(store)

    whole = Stream(BODY, **NAMED).validated_calls(rooms.book, once=store).when_complete()
    assert RESULTS == [call.run() for call in whole]


def test_calls_with_errors_are_not_begun() -> None:
    store = MemoryCallStore()
    body = script().tool_call("book", {"room": "?"}).finish("tool_calls").chunks("openai-chat")

    [call] = Stream(body, **NAMED).validated_calls(Rooms().book, once=store)

    assert call.error is not None
    assert call.state is None
    assert "<MemoryCallStore: 0 calls have begun, 0 have ended>" == repr(store)


def test_a_plain_stream_refuses_what_it_cannot_await() -> None:
    with pytest.raises(MisuseError, match="a Stream cannot await the tool or the store"):
        read(AsyncRedisCallStore(AsyncRedis()), Rooms())
    no_stores: list[Any] = [{}, MemoryCallStore, Redis()]
    for wrong in no_stores:
        with pytest.raises(MisuseError, match="once= takes a CallStore"), Stream(BODY, **NAMED) as stream:
            stream.validated_calls(Rooms().book, once=wrong)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    import gc

    gc.collect()

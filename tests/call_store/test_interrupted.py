"""A run that is interrupted leaves its call as new or as uncertain, at once, whatever step it is at."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from inspect import isawaitable
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest
from pydantic import BaseModel
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from tests.call_store.sqlite_store import SQLiteCallStore
from tests.support.redis_servers import RedisServer, server
from tests.support.tables import in_one_test
from tokenstream import AsyncStream, Router, Stream
from tokenstream.call_store import (
    AsyncCallStore,
    AsyncRedisCallStore,
    CallState,
    MemoryCallStore,
    RedisCallStore,
)
from tokenstream.errors import CallStoreUnavailable, CallUncertain, StreamError
from tokenstream.testing import script

__all__ = ["server"]

BODY = script().tool_call("pay", {"cents": 250}).finish("tool_calls").chunks("anthropic")
KINDS = ("memory", "sqlite", "redis")
SETTLED = {"look": {"new"}, "begin": {"new"}, "tool": {"unknown"}, "finish": {"done", "unknown"}}
"""The states in which a call may be once its run was interrupted at a step."""


class Struck(BaseException):
    """An interruption of a class that no library knows."""


INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit, Struck)


class Striking:
    """A store in front of another one: it raises an exception at one step, before or after the step is done.

    The step "tool" is the caller's. With `hangs`, the step waits for ever, for a cancellation to come.
    """

    is_shared = True
    retry_failed = False
    lease = 600.0
    max_result = 1 << 20

    def __init__(self, store: Any, step: str, when: str, error: BaseException | None) -> None:
        self.store, self.step, self.when, self.error = store, step, when, error
        self.has_struck = False
        self.strikes = anyio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)
        is_async = isinstance(self.store, AsyncRedisCallStore)
        return self.later(name, method) if self.error is None or is_async else self.at_once(name, method)

    def at_once(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def do(*arguments: Any, **options: Any) -> Any:
            self.strike(name, "before")
            result = method(*arguments, **options)
            self.strike(name, "after")
            return result

        return do

    def later(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def do(*arguments: Any, **options: Any) -> Any:
            await self.hang(name, "before")
            result = method(*arguments, **options)
            result = await result if isawaitable(result) else result
            await self.hang(name, "after")
            return result

        return do

    def strike(self, name: str, when: str) -> None:
        if not self.has_struck and (self.step, self.when) == (name, when):
            self.has_struck = True
            self.strikes.set()
            if self.error is not None:
                raise self.error

    async def hang(self, name: str, when: str) -> None:
        was_struck = self.has_struck
        self.strike(name, when)
        if self.has_struck and not was_struck:
            await anyio.sleep_forever()


@contextmanager
def opened(kind: str, server: RedisServer, path: Path) -> Generator[Any]:
    """Give an empty store of a kind, whose calls have ten minutes to end."""
    with ExitStack() as stack:
        if kind == "redis":
            client = stack.enter_context(Redis(unix_socket_path=server.path))
            client.flushall()
            yield RedisCallStore(client)
        elif kind == "sqlite":
            store = SQLiteCallStore(path / "calls")
            store.database.execute("PRAGMA synchronous = OFF")
            stack.callback(store.database.close)
            yield store
        else:
            yield MemoryCallStore()


def check(store: Any, step: str, allowed: set[str] | None = None) -> None:
    """Check that the next reader, of another process, gets the call without waiting for anybody."""

    def pay(cents: int) -> str:
        return f"paid {cents}"

    [call] = Stream(BODY, job="job 1").validated_calls(pay, once=store)
    assert call.state is not None
    # A store with four methods has no word for "unknown": an end without a result says the same.
    is_uncertain = call.state == CallState("done", None)
    assert ("unknown" if is_uncertain else call.state.status) in (allowed or SETTLED[step])
    assert is_uncertain == (call.state.status == "done" and isinstance(call.error, CallUncertain))
    if call.error is None:
        assert call.run() in ("paid 250", "paid once")


def run_view(store: Any, pay: Callable[..., Any]) -> list[Any]:
    with Stream(BODY, job="job 1") as stream:
        return [call.run() for call in stream.validated_calls(pay=pay, once=store)]


def run_router(store: Any, pay: Callable[..., Any]) -> list[Any]:
    router = Router(once=store)
    router.tool("pay")(pay)
    return list(Stream(BODY, job="job 1").run(router).values())


STEPS = [(step, when) for step in ("look", "begin", "finish") for when in ("before", "after")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@in_one_test(
    ("read", "error", "step", "when"),
    [
        (read, error, step, when)
        for read in (run_view, run_router)
        for error in (*INTERRUPTIONS, CallStoreUnavailable, ValueError)
        for step, when in [("tool", ""), *STEPS]
        # A router does not look a call up before it runs it.
        if (read, step) != (run_router, "look") and (step != "tool" or error in INTERRUPTIONS)
    ],
)
def test_a_call_is_new_or_unknown_at_once_after_any_exception_at_any_step(
    kind: str,
    server: RedisServer,
    tmp_path: Path,
    read: Callable[..., list[Any]],
    error: type[BaseException],
    step: str,
    when: str,
) -> None:
    """Only the tool may have had its effect; a call that was only begun has had none."""
    with opened(kind, server, tmp_path) as store:
        store.forget(key_of_call())
        striking = Striking(store, step, when, error("struck"))

        def pay(cents: int) -> str:  # noqa: ARG001 - the model writes it
            striking.strike("tool", "")
            return "paid once"

        if (step, error) == ("finish", CallStoreUnavailable):
            # The tool has run: its reader has the result all the same.
            assert ["paid once"] == read(striking, pay)
        else:
            with pytest.raises(error, match="struck"):
                read(striking, pay)
        check(store, step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [CallStoreUnavailable, ValueError])
def test_a_result_that_was_stored_outlives_the_loss_of_the_reply(
    kind: str, server: RedisServer, tmp_path: Path, error: type[Exception]
) -> None:
    """Giving a call up does nothing to one that has ended, in a store of four methods as in the others."""

    def pay(cents: int) -> str:  # noqa: ARG001 - the model writes it
        return "paid once"

    with opened(kind, server, tmp_path) as store:
        store.forget(key_of_call())
        with suppress(error):
            run_view(Striking(store, "finish", "after", error("struck")), pay)

        assert CallState("done", '"paid once"') == store.look(key_of_call())


@pytest.mark.anyio
async def test_an_asynchronous_store_keeps_what_has_ended() -> None:
    calls = MemoryCallStore()

    class Four(AsyncCallStore):
        async def begin(self, key: str, lease: float, *, token: str, again: bool = False) -> CallState:
            return calls.begin(key, lease, token=token, again=again)

        async def look(self, key: str) -> CallState:
            return calls.look(key)

        async def finish(self, key: str, result: str | None, *, token: str, failed: bool = False) -> None:
            calls.finish(key, result, token=token, failed=failed)

        async def forget(self, key: str) -> bool:
            return calls.forget(key)

    store = Four()
    await store.begin("key", 600, token="process 1")
    await store.finish("key", '"paid"', token="process 1")
    await store.abandon("key", token="process 1")

    assert CallState("done", '"paid"') == calls.look("key")


def key_of_call() -> str:
    [call] = Stream(BODY, job="job 1").tool_calls
    return call.key


@pytest.mark.parametrize("error", INTERRUPTIONS)
def test_a_store_that_is_gone_as_well_keeps_no_interruption_back(error: type[BaseException]) -> None:
    """The exception from outside is the one that is raised, and the same reader does not wait either."""

    class Gone(MemoryCallStore):
        def abandon(self, key: str, *, token: str, may_have_run: bool = True) -> None:
            raise CallStoreUnavailable("gone")

    def pay(cents: int) -> NoReturn:  # noqa: ARG001 - the model writes it
        raise error

    [call] = Stream(BODY, job="job 1").validated_calls(pay, once=Gone())
    with pytest.raises(error):
        call.run()
    with pytest.raises(CallUncertain):
        call.run()


def test_a_reader_that_is_interrupted_while_it_waits_for_another_one_leaves_its_call_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryCallStore()
    store.begin(key_of_call(), 600, token="of another process")

    def strike(_: float) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", strike)
    with pytest.raises(KeyboardInterrupt):
        run_view(store, lambda cents: cents)

    assert "running" == store.look(key_of_call()).status


class Payment(BaseModel):
    cents: int


@pytest.mark.parametrize("error", INTERRUPTIONS)
def test_an_application_that_is_interrupted_says_so_with_fail(error: type[BaseException]) -> None:
    """The call of a type may have been done, so it did not simply fail."""
    store = MemoryCallStore(retry_failed=True)
    [call] = Stream(BODY, job="job 1").validated_calls(pay=Payment, once=store)
    call.fail(error())

    assert "unknown" == store.look(call.key).status
    with pytest.raises(CallUncertain):
        call.run()


@pytest.mark.parametrize(
    "kind", ["memory", *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])]
)
@in_one_test("error", INTERRUPTIONS)
def test_an_application_that_is_interrupted_with_a_call_in_hand_leaves_it_unknown(
    kind: str, server: RedisServer, tmp_path: Path, error: type[BaseException]
) -> None:
    with opened(kind, server, tmp_path) as store:
        store.forget(key_of_call())
        with pytest.raises(error), Stream(BODY, job="job 1") as stream:
            for _ in stream.validated_calls(pay=Payment, once=store):
                raise error
        check(store, "tool")

        store.forget(key_of_call())
        with pytest.raises(error), Stream(BODY, job="job 1") as stream:
            for call in stream.validated_calls(pay=Payment, once=store):
                call.finish("paid once")
                raise error
        assert CallState("done", '"paid once"') == store.look(key_of_call())


@pytest.mark.parametrize("error", [StreamError("broken"), ValueError()])
def test_a_call_in_hand_stays_with_an_application_that_goes_on(error: Exception) -> None:
    store, calls = MemoryCallStore(), list[Any]()
    with suppress(StreamError, ValueError), Stream(BODY, job="job 1") as stream:
        calls += [*stream.validated_calls(pay=Payment, once=store)]
        raise error
    assert "running" == store.look(key_of_call()).status
    calls[0].finish("paid")

    assert "done" == store.look(key_of_call()).status


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_cancelled_task_with_a_call_in_hand_leaves_it_unknown(
    kind: str, server: RedisServer, tmp_path: Path
) -> None:
    """The store is told although the task may wait for nothing any more."""
    with opened(kind, server, tmp_path) as store:
        later: Any = Striking(store, "", "", None)
        with anyio.CancelScope() as scope:
            async with AsyncStream(BODY, job="job 1") as stream:
                async for _ in stream.validated_calls(pay=Payment, once=later):
                    scope.cancel()
                    await anyio.sleep_forever()
        check(store, "tool")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize(("step", "when"), [("tool", ""), *STEPS])
async def test_a_cancelled_task_leaves_its_call_new_or_unknown_at_once(
    kind: str, server: RedisServer, tmp_path: Path, step: str, when: str
) -> None:
    """The store is told although the task may wait for nothing any more."""
    with opened(kind, server, tmp_path) as store:
        await cancel_at(Striking(store, step, when, None))
        check(store, step)


@pytest.mark.parametrize(("step", "when"), [("tool", ""), *STEPS])
def test_a_task_that_is_cancelled_leaves_redis_the_same(server: RedisServer, step: str, when: str) -> None:
    """redis-py has one event loop, and its own ways to be cancelled."""

    async def main() -> None:
        async with AsyncRedis(unix_socket_path=server.path) as client:
            await client.flushall()
            await cancel_at(Striking(AsyncRedisCallStore(client), step, when, None))

    anyio.run(main)
    with Redis(unix_socket_path=server.path) as client:
        check(RedisCallStore(client), step)


async def cancel_at(store: Any) -> None:
    """Read and run the calls with a store, and cancel that once the store has struck."""

    async def pay(cents: int) -> str:  # noqa: ARG001 - the model writes it
        await store.hang("tool", "")
        return "paid once"

    async def read() -> None:
        async with AsyncStream(BODY, job="job 1") as stream:
            async for call in stream.validated_calls(pay, once=store):
                await call.run()

    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(read)
        with anyio.fail_after(30):
            await store.strikes.wait()
        tasks.cancel_scope.cancel()

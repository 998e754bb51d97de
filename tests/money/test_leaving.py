"""Whoever leaves while a purse is asked has what was taken put back, and pays for what has arrived."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tests.money.test_room import ASKED, URL, Words, answering, price
from tests.support.either import run_in
from tests.support.tables import in_one_test
from tests.support.timing import PATIENCE
from tokenstream import AsyncStream, Purse, Retry, Route, aconnect
from tokenstream.errors import StreamError

Place = Callable[..., Purse]


@dataclass
class Gate:
    """Holds up one change of a purse, before it is made or once it is, until it is opened."""

    number: int
    is_after: bool
    asked: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def hold(self, *, is_after: bool) -> None:
        self.asked += not is_after
        if (self.asked, is_after) == (self.number, self.is_after):
            self.reached.set()
            assert self.opened.wait(PATIENCE)

    def guard(self, patch: pytest.MonkeyPatch) -> None:
        """Stand in the way of the file and of Redis."""
        make_change = Purse.change

        def change(purse: Purse, *given: Any) -> Any:
            self.hold(is_after=False)
            changed = make_change(purse, *given)
            self.hold(is_after=True)
            return changed

        patch.setattr(Purse, "change", change)


async def leave_task(read: Callable[[], Any], _: AsyncStream, gate: Gate) -> None:
    """Cancel the task as `asyncio.timeout` and `wait_for` do."""
    task = asyncio.ensure_future(read())
    await at(gate, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


async def leave_scope(read: Callable[[], Any], _: AsyncStream, gate: Gate) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await at(gate, tasks.cancel_scope.cancel)


async def stop(read: Callable[[], Any], stream: AsyncStream, gate: Gate) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await at(gate, stream.stop)


async def at(gate: Gate, leave: Callable[[], object]) -> None:
    """Leave while the change is held up, which goes on once everybody has noticed."""
    assert await anyio.to_thread.run_sync(gate.reached.wait, PATIENCE)
    with anyio.CancelScope(shield=True):
        leave()
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        gate.opened.set()


WAYS = {
    "Task.cancel": ("asyncio", leave_task),
    "a scope of asyncio": ("asyncio", leave_scope),
    "a scope of trio": ("trio", leave_scope),
    "stop on asyncio": ("asyncio", stop),
    "stop on trio": ("trio", stop),
}
CHANGES = {"the request": (1, 200, 0), "more of the answer": (2, 200, 1), "the rest": (2, 20, 1)}
"""The number of the change at which somebody leaves, the answer's words, and the requests by then."""


@pytest.mark.parametrize("make", ["file", "redis"], indirect=True)
@in_one_test("way", WAYS)
@in_one_test("change", CHANGES)
@in_one_test("is_after", [False, True])
def test_nothing_stays_taken(
    make: Place, way: str, change: str, is_after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world, leave), (number, words, sent) = WAYS[way], CHANGES[change]
    gate, asked, purse = Gate(number, is_after), list[Any](), make(most=100_000)
    before = purse.spent

    async def program() -> AsyncStream:
        route = Route(URL, json=ASKED, price=price, client=answering("async", Words(words), asked))
        stream = aconnect(route, retry=Retry(most=purse, wait=0))

        async def read() -> None:
            with suppress(StreamError):
                async with stream:
                    await stream.final()

        await leave(read, stream, gate)
        return stream

    with monkeypatch.context() as patch:
        gate.guard(patch)
        stream = run_in(world, program)

    assert len(asked) == sent
    assert purse.spent - before == pytest.approx(stream.cost or 0)

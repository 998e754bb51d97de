"""What an event costs that several consumers share, and what a thousand of them hold."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from functools import partial
from time import process_time
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bodies import BODIES
from tests.benchmarks.tables import Table
from tokenstream import AsyncStream, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from tests.benchmarks.timing import Plan

__all__ = ["fan_out"]

_MANY = 1_000
_READERS = (1, 2, 10, _MANY)
_ROUNDS = 3
_ENOUGH = 60_000
"""Events times readers of one run."""
_STALLED = 10
_HELD = 64


async def _paced(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """Give chunks, and let all tasks run before each."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


async def _read(items: AsyncIterator[Any]) -> int:
    count = 0
    async for _ in items:
        count += 1
    return count


async def _stall(reader: Any) -> None:
    async for _ in reader:
        await asyncio.Event().wait()


async def _tasks(chunks: list[bytes], readers: int, kind: str) -> None:
    """Read a stream in so many tasks."""
    async with AsyncStream(_paced(chunks)) as stream:
        hub = stream.broadcast()
        found = [hub.reader() for _ in range(readers)]
        await asyncio.gather(*(_read(reader.text if kind == "text" else reader) for reader in found))


async def _alone(chunks: list[bytes], kind: str) -> None:
    async with AsyncStream(_paced(chunks)) as stream:
        await _read(stream.text if kind == "text" else stream)


def _in_turns(chunks: list[bytes], readers: int, kind: str) -> None:
    """Read a stream in one thread, an item of each reader after the other."""
    found = Stream(chunks).tee(readers)
    for _ in zip(*(reader.text if kind == "text" else reader for reader in found), strict=True):
        pass


def _alone_in_turns(chunks: list[bytes], kind: str) -> None:
    stream = Stream(chunks)
    for _ in stream.text if kind == "text" else stream:
        pass


def _fastest(run: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        begun = process_time()
        run()
        best = min(best, process_time() - begun)
    return best


def _rows(plan: Plan) -> list[list[str]]:
    rows = []
    rounds = min(plan.rounds, _ROUNDS)
    for kind in ("text", "events"):
        body = BODIES["openai-chat"](plan.events)
        alone = _fastest(partial(_run, _alone, body.chunks, kind), rounds)
        sync = _fastest(partial(_alone_in_turns, body.chunks, kind), rounds)
        rows.append(
            [f"{kind}, not shared", f"{alone / plan.events * 1e6:.1f}", "", f"{sync / plan.events * 1e6:.1f}"]
        )
        for readers in _READERS:
            count = min(plan.events, max(_ENOUGH // readers, 20))
            chunks = BODIES["openai-chat"](count).chunks
            taken = _fastest(partial(_run, _tasks, chunks, readers, kind), rounds) / count * 1e6
            turns = _fastest(partial(_in_turns, chunks, readers, kind), rounds) / count * 1e6
            rows.append(
                [f"{kind}, {readers:,} readers", f"{taken:.1f}", f"{taken / readers:.1f}", f"{turns:.1f}"]
            )
    return rows


def _run(main: Callable[..., Coroutine[Any, Any, object]], *args: object) -> None:
    asyncio.run(main(*args))


async def _held(chunks: list[bytes], size: int) -> tuple[int, int, int]:
    """Return the bytes that a thousand consumers hold, some of them stalled, and what the others got."""
    tracemalloc.start()
    async with AsyncStream(_paced(chunks)) as stream:
        hub = stream.broadcast(policy="drop_oldest", size=size)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        readers = [hub.reader() for _ in range(_MANY)]
        stalled = [asyncio.create_task(_stall(hub.reader())) for _ in range(_STALLED)]
        tasks = [
            asyncio.create_task(_read(reader.text if number % 2 else reader))
            for number, reader in enumerate(readers)
        ]
        await asyncio.sleep(0)
        begun = tracemalloc.get_traced_memory()[0]
        least = min(await asyncio.gather(*tasks))
        del tasks, readers
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        for task in stalled:
            task.cancel()
        await asyncio.gather(*stalled, return_exceptions=True)
    tracemalloc.stop()
    return (begun - before) // _MANY, after - before, least


def _held_rows(plan: Plan) -> list[list[str]]:
    rows = []
    for count in (50, min(plan.events, 400)):
        chunks = BODIES["openai-chat"](count).chunks
        each, after, least = asyncio.run(_held(chunks, _HELD))
        rows.append([f"{count:,}", f"{least:,}", f"{each:,}", f"{after / 1024:.0f}"])
    return rows


def fan_out(plan: Plan) -> list[Table]:
    """Return what an event costs with so many readers, and what these hold."""
    return [
        Table(
            "openai-chat, one event per chunk, shared by so many readers",
            ["", "tasks: µs per event", "and reader", "in turns: µs per event"],
            _rows(plan),
            ["Tasks: each has its turn before the next chunk comes. In turns: one thread, a loop over all."],
        ),
        Table(
            f"{_MANY:,} tasks, half of them views and half loops over events, {_HELD} events held, "
            f"and {_STALLED} stalled ones",
            ["text deltas", "least items that one got", "bytes per reader and task", "KB left at the end"],
            _held_rows(plan),
            [],
        ),
    ]

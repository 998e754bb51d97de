"""What an event costs that several consumers share."""

from __future__ import annotations

import asyncio
import gc
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

_READERS = (1, 2, 10, 1_000)
_ROUNDS = 3
_ENOUGH = 60_000
"""Events times readers of one run."""


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


def fan_out(plan: Plan) -> list[Table]:
    """Return what an event costs with so many readers."""
    return [
        Table(
            "openai-chat, one event per chunk, shared by so many readers",
            ["", "tasks: µs per event", "and reader", "in turns: µs per event"],
            _rows(plan),
            ["Tasks: each has its turn before the next chunk comes. In turns: one thread, a loop over all."],
        ),
    ]

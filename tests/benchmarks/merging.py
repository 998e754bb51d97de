"""A thousand streams in one loop: how long what has come waits until its event is given."""

from __future__ import annotations

import asyncio
import gc
from array import array
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from tests.benchmarks.tables import Table
from tests.benchmarks.turns import light_heap
from tests.support import wire
from tokenstream import AsyncStream, merge
from tokenstream.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.benchmarks.timing import Plan

__all__ = ["merging"]

_RATE = 50
"""Tokens per second of each stream."""
_SLOTS = 20
"""How often the ticker ticks between two tokens of a stream."""
_ROLE = wire.chat({"role": "assistant", "content": ""})
_END = wire.chat({}, "stop") + wire.DONE


class _Waits:
    """How long tokens have waited, in seconds.

    It makes nothing that the garbage collector would look at.
    """

    def __init__(self) -> None:
        self.wall = array("d")

    def note(self, source: _Source) -> None:
        """Take note of the next token of a source."""
        self.wall.append(perf_counter() - source.wall[source.seen])
        source.seen += 1


class _Source:
    """A source that notes the clock when it gives a token.

    Args:
        chunks: What it gives, again and again.
        begin: Seconds after which it begins.
        tokens: How many tokens it gives.
    """

    def __init__(self, chunks: list[bytes], begin: float, tokens: int) -> None:
        self._chunks = chunks
        self._begin = begin
        self.tokens = tokens
        self.given = self.seen = 0
        self.wall = array("d")
        """The clocks when each token was given."""
        self._items: list[bytes | None] = []
        self._fed: asyncio.Future[None] | None = None

    def _give(self) -> bytes:
        self.given += 1
        self.wall.append(perf_counter())
        return self._chunks[self.given % len(self._chunks)]

    async def sleeping(self) -> AsyncIterator[bytes]:
        """Sleep between two tokens, by a timer of its own."""
        loop = asyncio.get_running_loop()
        begin = loop.time() + self._begin
        await asyncio.sleep(self._begin)
        yield _ROLE
        for number in range(self.tokens):
            await asyncio.sleep(max(begin + (number + 1) / _RATE - loop.time(), 0))
            yield self._give()
        yield _END

    async def fed(self) -> AsyncIterator[bytes]:
        """Give what the ticker feeds."""
        loop = asyncio.get_running_loop()
        while True:
            items, self._items = self._items, []
            for item in items:
                if item is None:
                    return
                yield item
            if not self._items:
                self._fed = loop.create_future()
                await self._fed
                self._fed = None

    def tick(self, at: float) -> None:
        """Feed what is due.

        Args:
            at: Seconds since the start.
        """
        due = int((at - self._begin) * _RATE)
        if due < 0 or self.given >= self.tokens:
            return
        if not self.given:
            self._items.append(_ROLE)
        while self.given < min(due + 1, self.tokens):
            self._items.append(self._give())
        if self.given == self.tokens:
            self._items += [_END, None]
        if self._fed is not None and not self._fed.done():
            self._fed.set_result(None)


async def _tick(sources: list[_Source]) -> None:
    """Feed the sources in turns: one task and one timer for all."""
    loop = asyncio.get_running_loop()
    begin, turn = loop.time(), 0
    while any(source.given < source.tokens for source in sources):
        turn += 1
        await asyncio.sleep(max(begin + turn / _RATE / _SLOTS - loop.time(), 0))
        for source in sources[turn % _SLOTS :: _SLOTS]:
            source.tick(loop.time() - begin)


async def _bare(sources: list[_Source], bodies: list[AsyncIterator[bytes]], waits: _Waits) -> None:
    """Read the sources alone, each in a task of its own."""

    async def read(source: _Source, body: AsyncIterator[bytes]) -> None:
        async for chunk in body:
            if chunk is not _ROLE and chunk is not _END:
                waits.note(source)

    await asyncio.gather(*map(read, sources, bodies))


async def _merged(sources: list[_Source], bodies: list[AsyncIterator[bytes]], waits: _Waits) -> None:
    """Read a stream of each in one loop."""
    streams = {number: AsyncStream(body, format="openai-chat") for number, body in enumerate(bodies)}
    async with merge(streams) as merged:
        async for number, event in merged:
            if event.__class__ is TextDelta:
                waits.note(sources[number])


_READERS: dict[str, Callable[..., Awaitable[None]]] = {
    "the sources alone": _bare,
    "merge": _merged,
}


async def _run(read: Callable[..., Awaitable[None]], plan: Plan, *, kind: str) -> tuple[_Waits, float, float]:
    """Return how long each token has waited, sorted, and the time of the processor and of the wall."""
    count, tokens = plan.merged_streams, plan.merged_tokens
    # Answers do not begin in one moment: these do within a fifth of the time that one takes.
    spread = tokens / _RATE / 5
    chunks = [wire.chat({"content": f" token{number}"}) for number in range(_RATE)]
    sources = [_Source(chunks, number / count * spread, tokens) for number in range(count)]
    bodies = [source.sleeping() if kind == "asleep" else source.fed() for source in sources]
    waits = _Waits()
    gc.collect()
    begun, wall = process_time(), perf_counter()
    ticking = asyncio.create_task(_tick(sources)) if kind == "fed" else None
    await read(sources, bodies, waits)
    taken, wall = process_time() - begun, perf_counter() - wall
    if ticking is not None:
        await ticking
    return waits, taken, wall


def _marks(waits: array[float]) -> list[float]:
    """Return the median, what 99 % stay below, and the most."""
    ordered = sorted(waits)
    return [ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)], ordered[-1]]


def merging(plan: Plan) -> list[Table]:
    """Return how long tokens wait, beside what the sources cost alone."""
    with light_heap():
        return [_table(plan)]


def _table(plan: Plan) -> Table:
    rows: list[list[str]] = []
    named = {"asleep": "generators that sleep", "fed": "fed by one ticker"}
    for kind, shown in named.items():
        for name, read in _READERS.items():
            waits, taken, wall = asyncio.run(_run(read, plan, kind=kind))
            told = " ".join(f"{mark * 1e3:.1f}" for mark in _marks(waits.wall))
            rows.append(
                [f"{shown}: {name}", told, f"{taken / len(waits.wall) * 1e6:.1f}", f"{taken / wall:.0%}"]
            )
    title = f"merging: {plan.merged_streams:,} streams of {plan.merged_tokens} tokens, {_RATE} per second"
    head = [
        "ms from giving to the loop",
        "median, p99, most",
        "µs per token",
        "of one core",
    ]
    return Table(title, head, rows)

"""How much resident memory an open `AsyncStream` costs whose source waits: run in a fresh process.

python -m tests.benchmarks.resident 2000
python -m tests.benchmarks.resident 2000 merged
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support import wire
from tokenstream import AsyncStream, merge
from tokenstream.events import TextDelta

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tokenstream.stream import AsyncMerge

_FIRST = wire.chat({"role": "assistant", "content": "Hi"})


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - not of any file system
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _waiting(gate: asyncio.Event) -> AsyncIterator[bytes]:
    yield _FIRST
    await gate.wait()


async def _opened(gate: asyncio.Event) -> AsyncStream:
    stream = AsyncStream(_waiting(gate), format="openai-chat")
    await anext(stream)
    return stream


async def resident(count: int) -> float:
    """Return the bytes that each of so many streams costs after its first event."""
    gate = asyncio.Event()
    # What the first ones load and cache is no part of the others.
    first = [await _opened(gate) for _ in range(5)]
    gc.collect()
    before = _resident()
    streams = [await _opened(gate) for _ in range(count)]
    gc.collect()
    taken = _resident() - before
    for stream in (*first, *streams):
        await stream.aclose()
    return taken / count


async def _opened_together(gate: asyncio.Event, count: int) -> AsyncMerge[int]:
    merged = merge({at: AsyncStream(_waiting(gate), format="openai-chat") for at in range(count)})
    begun: set[int] = set()
    async for label, event in merged:
        if isinstance(event, TextDelta):
            begun.add(label)
        if len(begun) == count:
            break
    with suppress(TimeoutError):
        # All of them are waited for then.
        await asyncio.wait_for(anext(merged), 0.1)
    return merged


async def resident_merged(count: int) -> float:
    """Return the same for so many streams in one loop."""
    gate = asyncio.Event()
    async with await _opened_together(gate, 5):
        gc.collect()
        before = _resident()
        async with await _opened_together(gate, count):
            gc.collect()
            return (_resident() - before) / count


if __name__ == "__main__":
    measure = resident_merged if "merged" in sys.argv else resident
    print(f"{asyncio.run(measure(int(sys.argv[1]))):.0f}")

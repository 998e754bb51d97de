"""What a long answer holds, and what an open stream does."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tracemalloc
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bodies import middle_of, openai_chat
from tests.benchmarks.contenders import each
from tests.benchmarks.tables import Table, judge
from tokenstream import AsyncStream, Limits, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.benchmarks.timing import Plan

__all__ = ["lazily", "memory"]

_MB = 1_000_000
_SPARE = 5 * _MB
_OPEN_BAR = 6 * 1024
_RESIDENT_BAR = 10 * 1024
_MERGED_BAR = 14 * 1024
_FEW = 5
_DISTINCT = 1_000
_ENDLESS = Limits(body=1 << 40)
"""A million events as OpenAI sends them are more bytes than the default bound on a body."""


def lazily(count: int, *, ascii_only: bool = False) -> Iterator[bytes]:
    """Give the chunks of a chat of `count` text deltas; a thousand distinct ones come again and again."""
    head, middle, tail = middle_of(openai_chat(_DISTINCT, ascii_only=ascii_only))
    return chain(head, islice(cycle(middle), count), tail)


def _long_answer(count: int, *, ascii_only: bool) -> tuple[int, int, int]:
    """Return the peak of `stream.text`, the same with the message, and the size of the text."""
    chunks = lazily(count, ascii_only=ascii_only)
    gc.collect()
    tracemalloc.start()
    stream = Stream(chunks, format="openai-chat", limits=_ENDLESS)
    for _ in stream.text:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    text = stream.message.text
    with_message = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, with_message, sys.getsizeof(text)


def _long_rows(plan: Plan) -> Table:
    rows, notes = [], []
    for kind, ascii_only in (("ASCII text", True), ("text with é, 日 and 🙂", False)):
        peak, with_message, text = _long_answer(plan.memory, ascii_only=ascii_only)
        rows.append([kind, *(f"{size / _MB:.1f}" for size in (text, peak, with_message, 2 * text + _SPARE))])
        what = f"{kind}: peak {peak / _MB:.1f} MB, with the message {with_message / _MB:.1f} MB"
        notes.append(judge(what, "at most 2 × text + 5 MB", reached=with_message <= 2 * text + _SPARE))
    head = ["MB", "text, joined", "peak", "peak with the message", "2 × text + 5 MB"]
    return Table(f"memory: {plan.memory:,} events as stream.text (tracemalloc)", head, rows, notes)


def _given(chunks: list[bytes]) -> Iterator[bytes]:
    yield from chunks


def _measured() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _open(chunks: list[bytes], count: int, read: int, format: Any) -> float:
    tracemalloc.start()
    before = _measured()
    streams = []
    for _ in range(count):
        stream = Stream(_given(chunks), format=format)
        for _ in range(read):
            next(stream)
        streams.append(stream)
    held = _measured() - before
    tracemalloc.stop()
    for stream in streams:
        stream.close()
    return held / count


async def _open_async(chunks: list[bytes], count: int, read: int, format: Any) -> float:
    tracemalloc.start()
    before = _measured()
    streams = []
    for _ in range(count):
        stream = AsyncStream(each(chunks), format=format)
        for _ in range(read):
            await anext(stream)
        streams.append(stream)
    held = _measured() - before
    tracemalloc.stop()
    for stream in streams:
        await stream.aclose()
    return held / count


async def _bare_async(chunks: list[bytes], count: int) -> float:
    """Return what the source itself holds once it was read."""
    tracemalloc.start()
    before = _measured()
    sources: list[AsyncIterator[bytes]] = []
    for _ in range(count):
        source = each(chunks)
        await anext(source)
        sources.append(source)
    held = _measured() - before
    tracemalloc.stop()
    return held / count


def _open_rows(plan: Plan) -> Table:
    chunks = openai_chat(100).chunks
    rows, notes = [], []
    for format in ("openai-chat", None):
        for read in (0, _FEW, 50):
            held: dict[str, Any] = {
                "Stream": _open(chunks, plan.open_streams, read, format),
                "AsyncStream": asyncio.run(_open_async(chunks, plan.open_streams, read, format)),
            }
            name = f"{read} events read" + ("" if format else ", format found out")
            rows.append([name, *(f"{size / 1024:.2f}" for size in held.values())])
            size = held["Stream"]
            what = f"Stream, {name}: {size / 1024:.2f} KB"
            notes.append(judge(what, "at most 6 KB", reached=size <= _OPEN_BAR))
    bare = asyncio.run(_bare_async(chunks, plan.open_streams))
    notes.append(f"the asynchronous generator beneath holds {bare / 1024:.2f} KB of it")
    title = f"memory: {plan.open_streams:,} open streams over generators (tracemalloc)"
    return Table(title, ["KB per stream", "Stream", "AsyncStream"], rows, notes)


def _resident_rows(plan: Plan) -> Table:
    rows, notes = [], []
    for more, count, bar in (
        ([], 2 * plan.open_streams, _RESIDENT_BAR),
        (["merged"], 10 * plan.open_streams, _MERGED_BAR),
    ):
        # In a process of its own: what one that has run has freed, it takes again without growing.
        command = [sys.executable, "-m", "tests.benchmarks.resident", str(count), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        size = int(done.stdout)
        rows.append([f"`{' '.join(['python', *command[1:]])}`", f"{size / 1024:.2f}"])
        what = f"{count:,} AsyncStreams{', merged' if more else ''}: {size / 1024:.2f} KB"
        notes.append(judge(what, f"at most {bar // 1024} KB", reached=size <= bar))
    return Table("memory: AsyncStreams whose sources wait (resident)", ["", "KB per stream"], rows, notes)


def memory(plan: Plan) -> list[Table]:
    """Return the tables of a long answer and of open streams."""
    return [_open_rows(plan), _resident_rows(plan), _long_rows(plan)]

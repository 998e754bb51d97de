"""What a stream's typed view costs beside the stage alone, and beside decoding alone, on the same text.

The stage is fed pieces that are there. A stream gets them as they are, or as the
bytes of openai-chat in one event per chunk, which are to be decoded as well.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tests.benchmarks.bodies import openai_chat_of
from tests.benchmarks.documents import FRAGMENT, fragments, plan
from tests.benchmarks.tables import Table
from tests.benchmarks.turns import fastest
from tokenstream import AsyncStream, Decoder, Stream
from tokenstream.stages import Partials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.benchmarks.contenders import Run
    from tests.benchmarks.timing import Plan

_STAGE = "stages.Partials, fed the pieces"
_DECODED = "Decoder alone, fed the bytes"
_OF_PIECES = "stream.partials, of the pieces"
_OF_BYTES = "stream.partials, of the bytes"
_ASYNC = "AsyncStream.partials, of the bytes"
_SIZES = (200, 10_000, 100_000)
_CHARACTERS = 100_000
"""Short answers are read again and again until a run is this long."""


class Step(BaseModel):
    """One of the objects of the list."""

    number: int
    title: str
    minutes: int
    optional: bool
    text: str
    tools: list[str]


class Recipe(BaseModel):
    """What fills in."""

    name: str
    steps: list[Step]


def _stage(pieces: list[str]) -> None:
    stage = Partials(Recipe)
    for piece in pieces:
        stage.feed(piece)
    stage.end()


def _decoded(chunks: list[bytes]) -> None:
    decoder = Decoder("openai-chat")
    for chunk in chunks:
        decoder.feed(chunk)
    decoder.end()


def _of_pieces(pieces: list[str]) -> None:
    with Stream(iter(pieces), format="pieces") as stream:
        for _ in stream.partials(Recipe):
            pass


def _of_bytes(chunks: list[bytes]) -> None:
    with Stream(iter(chunks), format="openai-chat") as stream:
        for _ in stream.partials(Recipe):
            pass


async def _given(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def _async(chunks: list[bytes], times: int) -> None:
    for _ in range(times):
        async with AsyncStream(_given(chunks), format="openai-chat") as stream:
            async for _ in stream.partials(Recipe):
                pass


def _again(read: Callable[[list[Any]], None], given: list[Any], times: int) -> Run:
    def run() -> None:
        for _ in range(times):
            read(given)

    return run


def _again_async(chunks: list[bytes], times: int) -> Run:
    return lambda: asyncio.run(_async(chunks, times))


def _costs(text: str, rounds: int) -> dict[str, float]:
    """Return what a piece costs each of them, in seconds."""
    times = max(1, _CHARACTERS // len(text))
    pieces = fragments(text)
    chunks = openai_chat_of(pieces).chunks
    runs: dict[str, Callable[[], Run]] = {
        _STAGE: partial(_again, _stage, pieces, times),
        _DECODED: partial(_again, _decoded, chunks, times),
        _OF_PIECES: partial(_again, _of_pieces, pieces, times),
        _OF_BYTES: partial(_again, _of_bytes, chunks, times),
        _ASYNC: partial(_again_async, chunks, times),
    }
    best = fastest([*runs.values()], rounds)
    return {name: seconds / times / len(pieces) for name, seconds in zip(runs, best, strict=True)}


def typed_streams(plan_: Plan) -> Table:
    """Return the table of streams beside their stage, by the size of the answer."""
    costs = {size: _costs(plan(size), plan_.rounds) for size in _SIZES}
    rows = [
        [name, *(f"{by[name] * 1e6:.1f} ({by[name] / by[_STAGE]:.2f} ×)" for by in costs.values())]
        for name in next(iter(costs.values()))
    ]
    head = ["µs per piece", *(f"{size / 1000:g} KB" for size in _SIZES)]
    return Table(f"typed objects: streams beside their stage, by {FRAGMENT} characters", head, rows)

"""Count the package's own objects that wait for the garbage collector, because they refer to one another."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from types import AsyncGeneratorType, CoroutineType, FrameType, FunctionType, GeneratorType, MethodType
from typing import Any

import anyio

from tests.project import PACKAGE

_FOLDER = f"{PACKAGE}/"
_NAME = f"{PACKAGE.name}."
_WARM_UP = 3
"""Runs before what is counted: they fill what is kept on purpose, such as caches."""


async def areading(chunks: list[bytes]) -> AsyncIterator[bytes]:
    """Yield chunks, each after a turn of the event loop."""
    for chunk in chunks:
        await anyio.lowlevel.checkpoint()
        yield chunk


def left_by(run: Callable[[], object]) -> dict[str, int]:
    """Return the package's objects that a run made and nobody holds, by kind, with the collector off."""
    for _ in range(_WARM_UP):
        run()
    with _uncollected() as left:
        run()
    return left


def left_beside(run: Callable[[], object]) -> dict[str, int]:
    """Return the objects that only the collector frees, by kind, although the result of a run is kept."""
    for _ in range(_WARM_UP):
        run()
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        kept = run()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        del kept
        return dict(Counter(name for thing in gc.garbage if (name := _name_of(thing)) is not None))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        if was_enabled:
            gc.enable()


async def left_by_async(run: Callable[[], Awaitable[object]]) -> dict[str, int]:
    for _ in range(_WARM_UP):
        await run()
    counts: list[dict[str, int]] = []
    # Tasks run in any order, so that a later run may be the first to fill a cache; a leak comes each time.
    for _ in range(_WARM_UP):
        with _uncollected() as left:
            await run()
        counts.append(left)
    return min(counts, key=len)


@contextmanager
def _uncollected() -> Generator[dict[str, int]]:
    """Count what is more at the end of the block; the result is empty before."""
    left: dict[str, int] = {}
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        before = _count()
        yield left
        left.update(_count() - before)
    finally:
        if was_enabled:
            gc.enable()


def _count() -> Counter[str]:
    return Counter(name for thing in gc.get_objects() if (name := _name_of(thing)) is not None)


def _name_of(thing: Any) -> str | None:
    """Return the name of an object that is of the package, or runs its code; None for any other."""
    match thing:
        case FunctionType():
            is_own, name = str(thing.__module__).startswith(_NAME), thing.__qualname__
        case MethodType():
            return _name_of(thing.__func__)
        case GeneratorType():
            is_own, name = _is_own(thing.gi_code), thing.__qualname__
        case CoroutineType():
            is_own, name = _is_own(thing.cr_code), thing.__qualname__
        case AsyncGeneratorType():
            is_own, name = _is_own(thing.ag_code), thing.__qualname__
        case FrameType():
            is_own, name = _is_own(thing.f_code), f"frame of {thing.f_code.co_name}"
        case _:
            kind = type(thing)
            is_own, name = str(kind.__module__).startswith(_NAME), kind.__qualname__
    return name if is_own else None


def _is_own(code: Any) -> bool:
    return bool(code.co_filename.startswith(_FOLDER))

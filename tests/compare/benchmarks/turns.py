"""Contenders take turns, and the fastest run of each counts."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.compare.benchmarks.contenders import Run


@contextmanager
def light_heap() -> Generator[None, None, None]:
    """Have `gc.collect()` look only at what is made from here on.

    What modules and inputs are made of would be looked through again before each round.
    """
    was_light = gc.get_freeze_count() > 0
    gc.freeze()
    yield
    if not was_light:
        gc.unfreeze()


def _seconds(prepare: Callable[[], Run]) -> float:
    run = prepare()
    begun = process_time()
    run()
    return process_time() - begun


def fastest(prepared: list[Callable[[], Run]], rounds: int, seconds: float = 0.0) -> list[float]:
    """Return the seconds of processor time that the fastest run of each took, in turns.

    Args:
        prepared: What does what is not timed, and returns what is, for each.
        rounds: How often each has its turn at least.
        seconds: How long to go on beyond that.
    """
    best = [float("inf")] * len(prepared)
    stop = perf_counter() + seconds
    with light_heap():
        while rounds > 0 or perf_counter() < stop:
            rounds -= 1
            gc.collect()
            best = [min(known, _seconds(prepare)) for known, prepare in zip(best, prepared, strict=True)]
    return best

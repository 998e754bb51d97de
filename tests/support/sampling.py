"""A part of many cases by default, others with the slow tests, and all of them in a thorough run."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest
from _pytest.mark import ParameterSet

from tests.support.effort import THOROUGH, in_steps

T = TypeVar("T")


def sampled(
    cases: Sequence[T | ParameterSet], *, one_in: int, slow_one_in: int = 1
) -> list[T | ParameterSet]:
    """Return the cases as parameters, always the same ones.

    Args:
        one_in: One in so many is tried by default; the others are marked `slow`.
        slow_one_in: One in so many of those marked `slow` is there at all, unless the run is a thorough one.
    """
    kept = few_of(len(cases), one_in)
    others = [number for number in range(len(cases)) if number not in kept]
    slow = {*others} if THOROUGH else {others[at] for at in few_of(len(others), slow_one_in)}
    return [
        case if number in kept else _slow(case) for number, case in enumerate(cases) if number in kept | slow
    ]


def sampled_rows(rows: Sequence[tuple[T, ...]], *, one_in: int) -> list[tuple[T, ...] | ParameterSet]:
    kept = few_of(len(rows), one_in)
    return [
        row if number in kept else pytest.param(*row, marks=pytest.mark.slow)
        for number, row in enumerate(rows)
    ]


def few(cases: Sequence[T], *, one_in: int) -> list[T]:
    """Return one in so many cases, always the same ones, where another test has them all."""
    return [cases[number] for number in sorted(few_of(len(cases), one_in))]


def in_turn(cases: Iterable[T], name: str, *, one_in: int) -> list[T]:
    """Return one in so many cases, by a name others than by the next; in a thorough run, all."""
    step = in_steps(one_in)
    return [*cases][zlib.crc32(name.encode()) % step :: step]


def part_of(cases: Sequence[T], *, one_in: int) -> list[T]:
    """Return one in so many cases, always the same ones, or all of them in a thorough run."""
    return [*cases] if THOROUGH else few(cases, one_in=one_in)


def _slow(case: object) -> ParameterSet:
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.slow], id=case.id)
    return pytest.param(case, marks=pytest.mark.slow)


def few_of(count: int, one_in: int) -> set[int]:
    """Choose one in so many positions, always the same ones."""
    return {*random.Random(count).sample(range(count), -(-count // one_in))}

"""A part of many cases by default, the others with the slow tests: each is run by one of the two."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import pytest
from _pytest.mark import ParameterSet

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


def sampled(cases: Sequence[T | ParameterSet], *, one_in: int) -> list[T | ParameterSet]:
    """Return the cases as parameters; all but one in `one_in` are marked `slow`, always the same ones."""
    kept = _kept(len(cases), one_in)
    return [case if number in kept else _slow(case) for number, case in enumerate(cases)]


def sampled_rows(rows: Sequence[tuple[T, ...]], *, one_in: int) -> list[tuple[T, ...] | ParameterSet]:
    """Return rows of several parameters, as `sampled` returns single ones."""
    kept = _kept(len(rows), one_in)
    return [
        row if number in kept else pytest.param(*row, marks=pytest.mark.slow)
        for number, row in enumerate(rows)
    ]


def _slow(case: object) -> ParameterSet:
    """Mark a case as slow, also one that is a parameter already."""
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, marks=[*case.marks, pytest.mark.slow], id=case.id)
    return pytest.param(case, marks=pytest.mark.slow)


def _kept(count: int, one_in: int) -> set[int]:
    return {*random.Random(count).sample(range(count), -(-count // one_in))}

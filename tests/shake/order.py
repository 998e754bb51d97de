"""Runs tests in another order each time: a plugin of pytest, which `python -m tests.shake` loads."""

from __future__ import annotations

import os
import random
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SEED", "pytest_collection_modifyitems", "shuffled"]

SEED = "TOKENSTREAM_SHAKE"
"""The environment variable with the seed of the order."""
T = TypeVar("T")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle the tests, in each process of `-n` alike."""
    items[:] = shuffled(items, os.environ[SEED], lambda item: item.path)


def shuffled(items: Sequence[T], seed: str, group_of: Callable[[T], object]) -> list[T]:
    """Return items in another order: groups in any order, and in any order within each.

    Modules stay together, because their fixtures would be made for each test otherwise.

    Args:
        items: The items, with those of a group one after the other.
        seed: The same seed makes the same order.
        group_of: Returns the group of an item.
    """
    chance = random.Random(seed)
    groups = [[*group] for _, group in groupby(items, group_of)]
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
    return [item for group in groups for item in group]

"""Runs tests in another order each time: a plugin of pytest, which `python -m tests.shake` loads."""

from __future__ import annotations

import os
import random
import time
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = "TOKENSTREAM_SHAKE"
"""The environment variable with the seed of the order."""
SECONDS = "TOKENSTREAM_SHAKE_SECONDS"
"""The environment variable with the seconds after which no test begins."""
_UNTIL = pytest.StashKey[float]()
T = TypeVar("T")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Shuffle the tests, in each process of `-n` alike."""
    items[:] = shuffled(items, os.environ[SEED], lambda item: item.path)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note the end of the time that the tests have."""
    session.config.stash[_UNTIL] = time.monotonic() + float(os.environ[SECONDS])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Leave out the tests for which no time is left: in another order, others come first."""
    if time.monotonic() < item.config.stash[_UNTIL]:
        return None
    # The last test that ran has left the fixtures of its module to one that is left out.
    item.session._setupstate.teardown_exact(None)  # noqa: SLF001 - as pytest does at the end of a session
    return True


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

"""Tests of which no change says that they are needed: all that they notice, others notice, too."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import pytest

from tests.mutations.recording import Record

_STAYS = re.compile(r"limit|bound|max_|secre|redact|hostile|record|promise|docs", re.IGNORECASE)
"""Words of tests of bounds, secrets, promises and recordings, which stay whatever changes say."""


def listed(
    items: Sequence[pytest.Item], record: Record, noticing: Sequence[Collection[str]]
) -> Iterator[str]:
    """Yield a line for each test or each of its rows that is unneeded, with the needed ones in its place.

    Of the tests that run a line of the room, those stay that alone run one, or that `_STAYS` describes.
    """
    running = {at: items[at].nodeid for at in sorted(set().union(*record.touching.values()))}
    alone = {tests[0] for tests in record.touching.values() if len(tests) == 1}
    stay = {test for at, test in running.items() if at in alone or _stays(items[at])}
    tests = [*running.values()]
    found = unneeded(tests, noticing, stay)
    yield f"{len(tests)} tests; {len(stay)} stay; {len(found)} are unneeded by {len(noticing)} changes"
    needed = {test.partition("[")[0] for test in tests if test not in found}
    groups = defaultdict[str, list[str]](list)
    for test in found:
        function = test.partition("[")[0]
        groups[test if function in needed else function].append(test)
    for name, some in groups.items():
        others = dict.fromkeys(other for one in some for other in found[one])
        yield f"{name} ({len(some)}): " + (", ".join(others) or "notices nothing")


def unneeded(
    tests: Sequence[str], noticing: Sequence[Collection[str]], stay: Collection[str]
) -> dict[str, list[str]]:
    """Return each test that is unneeded, with the needed ones that notice what it does.

    Needed is what stays, then the test that notices most of what is left, and so on; of two alike, the first.
    """
    noticed = {test: {number for number, by in enumerate(noticing) if test in by} for test in tests}
    needed = [test for test in tests if test in stay]
    needed += _cover(noticed, set().union(*(noticed[test] for test in needed)))
    return {
        test: list(_cover({other: noticed[other] & noticed[test] for other in needed}, set()))
        for test in tests
        if test not in needed
    }


def _cover(noticed: Mapping[str, set[int]], before: set[int]) -> Iterator[str]:
    left = set().union(*noticed.values()) - before
    while left:
        best = max(noticed, key=lambda test: len(noticed[test] & left))
        yield best
        left -= noticed[best]


def _stays(item: pytest.Item) -> bool:
    source = inspect.getsource(item.function) if isinstance(item, pytest.Function) else ""
    return bool(_STAYS.search(f"{item.nodeid}\n{source}"))

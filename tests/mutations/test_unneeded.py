"""A test is needed if it stays for what it is, or if a change would go unnoticed without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutations.changes import changes
from tests.mutations.unneeded import unneeded

_ROOM = """
def clipped(text, most):
    if len(text) > most:
        return text[:most] + "…"
    return text
"""
_TESTS: dict[str, Callable[..., bool]] = {
    "short": lambda clipped: clipped("a", 2) == "a",
    "exact": lambda clipped: clipped("ab", 2) == "ab",
    "long": lambda clipped: clipped("abc", 2) == "ab…",
    "long, again": lambda clipped: clipped("abc", 2) == "ab…",
    "anything": callable,
}


def _noticing() -> list[set[str]]:
    """Return for each change of the room the tests that fail."""
    found = []
    for change in changes(_ROOM):
        room: dict[str, Any] = {}
        exec(change.apply(_ROOM), room)
        found.append({name for name, test in _TESTS.items() if not test(room["clipped"])})
    return found


def test_a_test_is_unneeded_if_others_notice_all_that_it_does() -> None:
    expected = {"short": ["exact"], "long, again": ["long"], "anything": []}

    assert expected == unneeded([*_TESTS], _noticing(), ())


def test_what_stays_is_needed_and_counts_first() -> None:
    """A test of a bound stays beside one that notices as much, which is then unneeded."""
    found = unneeded([*_TESTS], _noticing(), {"short", "long, again"})

    assert {"long": ["long, again"], "anything": []} == found

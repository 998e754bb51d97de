"""The list of npm's packages, which .ci/run installs: exact versions, and no test asks for others."""

from __future__ import annotations

import re

import pytest

from tests.support.node import PACKAGES, node_with


def test_each_package_has_one_version() -> None:
    """A range would let tests fail on a day on which nobody changed anything."""
    exact = re.compile(r"(npm:[\w.-]+@)?\d+\.\d+\.\d+")
    ranges = [name for name, version in PACKAGES.items() if not exact.fullmatch(version)]

    assert PACKAGES
    assert ranges == []


def test_a_test_may_ask_only_for_what_is_listed() -> None:
    """A test that asks for another package would be skipped for ever, since nothing installs it."""
    with pytest.raises(AssertionError, match="left-pad"):
        node_with("ai", "left-pad")

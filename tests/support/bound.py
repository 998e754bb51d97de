"""A bound on what a test costs: above it, a test that is not marked as slow fails.

TOKENSTREAM_MOST_SECONDS=1 allows a second of processor time, with that of the programs that the
test has started. Time in which it waits for the processor does not count, so a busy machine
changes little.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Set the bound that the environment asks for."""
    if seconds := os.environ.get("TOKENSTREAM_MOST_SECONDS"):
        config.pluginmanager.register(Bound(float(seconds)))


class Bound:
    """Fails what costs more than `seconds` and isn't marked as slow.

    Args:
        seconds: Processor time for all of a test, with its fixtures.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Note when the test begins."""
        self._begun = _processor_seconds()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Have the end of a test that costs too much fail."""
        report = yield
        used = _processor_seconds() - self._begun
        if call.when == "teardown" and used > self._seconds and item.get_closest_marker("slow") is None:
            report.outcome = "failed"
            report.longrepr = (
                f"{item.nodeid} takes {used:.2f} s of processor time, more than {self._seconds:g} s: "
                "make it cheaper, or mark it `slow` (tests/support/products.py says how for some of its rows)"
            )
        return report


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system

"""What a machine lacks, at the end of a run: how many tests need each program, and the rows left out.

A test is skipped with a reason that begins with "needs" and the name of what it has not found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.support.tables import SKIPPED_ROWS

_ROW = "row that is skipped"
_NEED = re.compile(r"\bneeds (.+?)(?=[,:;]| and | at | in |$)")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget the rows of the test before."""
    SKIPPED_ROWS.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        report.user_properties.extend((_ROW, row) for row in SKIPPED_ROWS)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: Any) -> Generator[None]:
    """Write the rows that were left out, and a line about what is missing, after what pytest writes."""
    yield
    needs = Counter[str]()
    for kind in ("skipped", "passed"):
        for report in terminalreporter.getreports(kind):
            needs.update({need for reason in _reasons(report) for need in _NEED.findall(reason)})
            for name, reason in _rows(report) if terminalreporter.hasopt("s") else ():
                terminalreporter.line(f"SKIPPED ROW {report.nodeid}: {name}: {reason}")
    if needs:
        counts = (f"{count} {_tests(count)} {need}" for need, count in needs.most_common())
        terminalreporter.line(f"{MISSING}{', '.join(counts)}")


MISSING = "missing here: "
"""Begins the line about what is missing."""


def _tests(count: int) -> str:
    return "test needs" if count == 1 else "tests need"


def _rows(report: Any) -> list[tuple[str, str]]:
    return [row for name, row in getattr(report, "user_properties", ()) if name == _ROW]


def _reasons(report: Any) -> Iterator[str]:
    if report.skipped:
        yield report.longrepr[2]
    for _, reason in _rows(report):
        yield reason

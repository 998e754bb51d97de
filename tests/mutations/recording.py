"""Which lines of the changed modules each test runs, and how long it takes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutations.swapping import Functions

_Line = tuple[str, int]
"""A file, and the number of a line."""


@dataclass
class Record:
    """What tests do without a change; tests go by their position in the session."""

    seconds: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Of the processor and on the clock, for each test that passes."""
    touching: dict[_Line, array[int]] = field(default_factory=dict)
    """Tests that run a line."""

    def add(self, other: Record) -> None:
        self.seconds |= other.seconds
        for line, tests in other.touching.items():
            self.touching.setdefault(line, array("I")).extend(tests)


class Lines:
    """A plugin of pytest that notes which lines run.

    What makes a fixture or a result that is kept counts for all later tests of the file.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._log: list[_Line] = []
        self._of_file: set[_Line] = set()
        self._of_session: set[_Line] = set()
        self._path = Path()
        self._made = 0
        # mypy looks at the oldest Python, which does not have it.
        self._monitoring: Any = vars(sys)["monitoring"]
        tool, line = self._monitoring.COVERAGE_ID, self._monitoring.events.LINE
        self._monitoring.use_tool_id(tool, "mutations")
        self._monitoring.register_callback(tool, line, self._on_line)
        for code in functions.codes():
            self._monitoring.set_local_events(tool, code, line)

    def begin(self, path: Path) -> None:
        if path != self._path:
            self._path = path
            self._of_file.clear()
            self._functions.forget()
        self._made = self._functions.made()
        self._log = []
        self._monitoring.restart_events()

    def end(self) -> set[_Line]:
        """Return the lines that have run since the test began, and those that it builds on."""
        if self._functions.made() != self._made:
            self._of_file.update(self._log)
        return {*self._log, *self._of_file, *self._of_session}

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        outer, self._log = self._log, []
        self._monitoring.restart_events()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                (self._of_session if fixturedef.scope == "session" else self._of_file).update(self._log)
            self._log = outer + self._log

    def _on_line(self, code: CodeType, line: int) -> object:
        self._log.append((code.co_filename, line))
        return self._monitoring.DISABLE

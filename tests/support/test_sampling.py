"""Of many cases a part is tried, always the same one, and all of them in a thorough run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.project import ROOT
from tests.support.effort import in_steps, trials
from tests.support.sampling import few, in_turn, part_of, sampled

_CASES = list(range(120))


def _told() -> list[Any]:
    """Return how much is tried of everything."""
    rows = sampled(_CASES, one_in=12, slow_one_in=5)
    slow = [row for row in rows if not isinstance(row, int)]
    counts = [trials(100), trials(101, one_in=50), in_steps(7), len(rows) - len(slow), len(slow)]
    parts = [few(_CASES, one_in=12), part_of(_CASES, one_in=12), in_turn(_CASES, "a", one_in=12)]
    return [*counts, *map(len, parts)]


def test_a_part_is_tried_by_default() -> None:
    """A tenth of the cases here; of what is left to the slow tests a fifth."""
    assert [3, 3, 7, 10, 22, 10, 10, 10] == _told()
    assert sampled(_CASES, one_in=12, slow_one_in=5) == sampled(_CASES, one_in=12, slow_one_in=5)


def test_names_see_all_cases_in_turn() -> None:
    """What one recording leaves out another one has."""
    assert {*_CASES} == {case for name in range(60) for case in in_turn(_CASES, str(name), one_in=4)}


@pytest.mark.slow
def test_all_is_tried_in_a_thorough_run() -> None:
    """Only what another test has whole stays a part."""
    code = "from tests.support.test_sampling import _told; print(*_told())"
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "thorough"}
    said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    assert [100, 101, 1, 10, 110, 10, 120, 120] == [*map(int, said.stdout.split())]

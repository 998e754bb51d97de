"""The tests that `pytest -m quick` leaves out by name are there."""

from __future__ import annotations

import re

from tests.conftest import NOT_QUICK, PROFILES
from tests.project import ROOT


def test_each_name_that_is_left_out_is_that_of_a_test() -> None:
    """A test that was renamed would be run again."""
    gone: list[str] = []
    for left_out in NOT_QUICK:
        path, _, test = left_out.partition("::")
        if not any(
            f"def {test}(" in file.read_text(encoding="utf-8") if test else True
            for file in ROOT.glob(f"{path.rstrip('/')}*")
        ):
            gone.append(left_out)

    assert [] == gone
    assert sorted(NOT_QUICK) == list(NOT_QUICK)


def test_the_page_for_contributors_says_how_often_a_law_is_tried() -> None:
    """Five examples of each law, and forty, are what its commands have without any variable."""
    page = (ROOT / ".github" / "checks.md").read_text(encoding="utf-8")
    said = dict(
        re.findall(
            r"\b(five|forty) examples of each law[^|]*\| `pytest -m \"?([^`\"]+?)\"?(?: tests/<room>)?`", page
        )
    )

    assert {"five": "quick", "forty": "full"} == {number: PROFILES[marks] for number, marks in said.items()}

"""The tests that `pytest -m quick` runs."""

from __future__ import annotations

import re

from tests.conftest import PROFILES
from tests.project import ROOT


def test_the_page_for_contributors_says_how_often_a_law_is_tried() -> None:
    """Five examples of each law, and forty, are what its commands have without any variable."""
    page = (ROOT / ".github" / "checks.md").read_text(encoding="utf-8")
    said = dict(
        re.findall(
            r"\b(five|forty) examples of each law[^|]*\| `pytest -m \"?([^`\"]+?)\"?(?: tests/<room>)?`", page
        )
    )

    assert {"five": "quick", "forty": "full"} == {number: PROFILES[marks] for number, marks in said.items()}

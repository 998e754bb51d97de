"""The table of reports/capabilities.md is true: each capability that it claims is tried."""

from __future__ import annotations

import re

import pytest

from tests.capabilities.probes import PROBES
from tests.project import ROOT

LACKED = {"XML, YAML, TOON while streaming", "JSON polling where a host cannot stream"}
"""What this library leaves to others."""
_ROW = re.compile(r"^\| (?P<name>[^|]+) \| \*\*(?P<ours>[^|]+)\*\* \|", re.MULTILINE)


@pytest.mark.parametrize("name", PROBES)
def test_a_capability_that_the_page_claims_is_there(name: str) -> None:
    """A small program has it."""
    PROBES[name]()


def test_each_row_is_tried_or_lacked() -> None:
    """No cell says more than a program has shown."""
    page = (ROOT / "reports" / "capabilities.md").read_text(encoding="utf-8")
    head, *rows = _ROW.finditer(page)

    assert head["name"] == "capability"
    assert {row["name"] for row in rows if row["ours"].startswith("–")} == LACKED
    assert {row["name"] for row in rows} == PROBES.keys() | LACKED

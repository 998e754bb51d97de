"""The table of capabilities is true: each of ours is tried, and each row is on the page."""

from __future__ import annotations

import pytest

from tests.capabilities.page import SECTION
from tests.capabilities.probes import PROBES
from tests.capabilities.rows import ROWS

LACKED = {"XML, YAML, TOON while streaming", "JSON polling where a host cannot stream"}
"""What this library leaves to others."""


@pytest.mark.parametrize("name", PROBES)
def test_a_capability_that_the_page_claims_is_there(name: str) -> None:
    """A small program has it."""
    PROBES[name]()


def test_each_row_is_tried_or_lacked() -> None:
    """No cell says more than a program has shown."""
    assert {row.name for row in ROWS if row.ours.startswith("–")} == LACKED
    assert {row.name for row in ROWS} - PROBES.keys() == LACKED


def test_the_page_is_made_from_the_rows() -> None:
    """`python -m tests.capabilities.page` writes it anew."""
    assert SECTION.on_the_page() == SECTION.render()

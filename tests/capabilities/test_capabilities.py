"""The table of the page on capabilities is true: each capability that it claims is tried."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from tests.capabilities.probes import PROBES
from tests.project import CAPABILITIES
from tokenstream._apis import FormatName, ProtocolName
from tokenstream.stages._calls.dialects import NAMES

LACKED = {"XML, YAML, TOON while streaming", "JSON polling where a host cannot stream"}
"""What this library leaves to others."""
_ROW = re.compile(r"^\| (?P<name>[^|]+) \| \*\*(?P<ours>[^|]+)\*\* \|", re.MULTILINE)


@pytest.mark.parametrize("name", PROBES)
def test_a_capability_that_the_page_claims_is_there(name: str) -> None:
    """A small program has it."""
    PROBES[name]()


def test_each_row_is_tried_or_lacked() -> None:
    """No cell says more than a program has shown."""
    page = CAPABILITIES.read_text(encoding="utf-8")
    head, *rows = _ROW.finditer(page)

    assert head["name"] == "capability"
    assert {row["name"] for row in rows if row["ours"].startswith("–")} == LACKED
    assert {row["name"] for row in rows} == PROBES.keys() | LACKED


def test_the_numbers_in_our_cells_are_counted() -> None:
    """Of formats, of dialects of calls in the text, and of protocols."""
    page = CAPABILITIES.read_text(encoding="utf-8")
    formats, protocols = (len(get_args(names)) for names in (FormatName, ProtocolName))

    for cell in (f"y {formats} / y", f"y, {len(NAMES)} dialects", f"y {protocols}"):
        assert f"| **{cell}** |" in page

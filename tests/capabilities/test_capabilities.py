"""The table of capabilities is true: each word that it says of this library is tried."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest

from tests.capabilities import long_probes
from tests.capabilities.table import PROBES
from tests.project import CAPABILITIES
from tokenstream._providers.apis import FormatName, ProtocolName
from tokenstream.stages._calls.dialects import NAMES

if TYPE_CHECKING:
    from pathlib import Path

LACKED = {"XML, YAML, TOON while streaming", "JSON polling where a host cannot stream"}
"""What this library leaves to others."""
_ROW = re.compile(r"^\| (?P<name>[^|]+) \| \*\*(?P<ours>[^|]+)\*\* \|", re.MULTILINE)
_VERDICTS = re.compile(r"\b[yp]\b|–|\d+|dialects|\band\b|[\W_]")
"""What of a row is no claim of its own: marks, numbers (which are counted), and what joins words."""
_PROGRAMS = {program.__name__: program for words in PROBES.values() for program in words.values()}
_LONG = [name for name, program in _PROGRAMS.items() if program.__module__ == long_probes.__name__]


@pytest.mark.parametrize("name", [name for name in _PROGRAMS if name not in _LONG])
def test_a_capability_that_the_page_claims_is_there(name: str) -> None:
    """A small program has it."""
    _PROGRAMS[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", _LONG)
def test_a_capability_that_takes_more_than_a_loop_is_there(name: str, tmp_path: Path) -> None:
    """A program has it, with real processes and servers."""
    _PROGRAMS[name](tmp_path)


def test_each_row_is_tried_or_lacked() -> None:
    """No row is missing here, and none is too many."""
    page = CAPABILITIES.read_text(encoding="utf-8")
    head, *rows = _ROW.finditer(page)

    assert head["name"] == "capability"
    assert {row["name"] for row in rows if row["ours"].startswith("–")} == LACKED
    assert {row["name"] for row in rows} == PROBES.keys() | LACKED


def test_each_word_of_a_row_and_of_our_cell_is_tried() -> None:
    """Take away what programs try: nothing is left that says something."""
    page = CAPABILITIES.read_text(encoding="utf-8")
    for row in _ROW.finditer(page):
        left = f"{row['name']} {row['ours']}"
        for words in sorted(PROBES.get(row["name"], ()), key=len, reverse=True):
            assert words in left, (row["name"], words)
            left = left.replace(words, "")
        if row["name"] in PROBES:
            assert not _VERDICTS.sub("", left), (row["name"], left)


def test_the_numbers_in_our_cells_are_counted() -> None:
    """Of formats, of dialects of calls in the text, and of protocols."""
    page = CAPABILITIES.read_text(encoding="utf-8")
    formats, protocols = (len(get_args(names)) for names in (FormatName, ProtocolName))

    for cell in (f"y {formats} / y", f"y, {len(NAMES)} dialects", f"y {protocols}"):
        assert f"| **{cell}** |" in page

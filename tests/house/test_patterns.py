"""Regular expressions mean the same on every Python, also on that of Debian 12."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.house.patterns import lost_places
from tests.project import ROOT


@pytest.mark.parametrize(
    ("pattern", "lost"),
    [
        (r"(?:ab?c)*+", 1),
        (r"1(?:\.[0-9]{1,40})?+", 1),
        (r"(?:[a-z]++\.)*+", 1),
        (r"(?:a(?:bb|cc))*+", 1),
        (r"(?:a|(?<=\w)b(?=\w))*+", 1),
        (r"(?:a(?:bb|cc))*+x(?:ab?c){2,3}+", 2),
        (r"(?:(?>ab?c))*+", 0),
        (r"(?:[^\"\\]++|\\.)*+", 0),
        (r"(?:\\.[^\"\\]*+)*+", 0),
        (r"(?:(b)c)*+", 0),
        (r"(.)\1*+", 0),
    ],
)
def test_a_group_that_loses_its_place_is_found(pattern: str, lost: int) -> None:
    """CPython 3.11.2 read each of these cases wrongly."""
    assert lost_places(pattern) == lost


@pytest.mark.slow
def test_no_pattern_of_the_package_loses_its_place() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.patterns"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == ""

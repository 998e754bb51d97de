"""What is left of a product of tables by default: enough to see each row, or each pair of rows."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.project import ROOT
from tests.support.products import covering

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TABLES = """
import pytest

@pytest.mark.parametrize("digit", range(3))
@pytest.mark.parametrize("letter", "ab")
@pytest.mark.slow_rows("a-2")
def test_a_product(digit, letter):
    pass

@pytest.mark.pairs
@pytest.mark.parametrize("digit", range(3))
@pytest.mark.parametrize("letter", "ab")
def test_pairs(digit, letter):
    pass

@pytest.mark.parametrize("digit", range(4))
@pytest.mark.parametrize("letter", "abc")
@pytest.mark.parametrize("sign", "+-")
def test_three_tables(sign, letter, digit):
    pass

@pytest.mark.few_rows(3)
@pytest.mark.parametrize("digit", range(9))
def test_few(digit):
    pass

@pytest.mark.parametrize(("digit", "letter"), [(0, "a"), (1, "a"), (2, "b")])
def test_a_table(digit, letter):
    pass
"""


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(1, 2), st.data())
def test_nothing_is_seen_less_often_than_it_should_be(
    sizes: list[int], size: int, data: st.DataObject
) -> None:
    """Whatever is left of the product by what other markers leave out."""
    full = list(product(*(range(each) for each in sizes)))
    items = data.draw(st.lists(st.sampled_from(full), min_size=1, unique=True))
    kept = covering(items, size)

    def seen(numbers: Iterable[int]) -> set[object]:
        return {each for at in numbers for each in combinations(enumerate(items[at]), min(size, len(sizes)))}

    assert seen(range(len(items))) == seen(kept)


@pytest.mark.slow
def test_the_markers_choose_what_runs_by_default(tmp_path: Path) -> None:
    """And the rest of a product is what runs as slow."""
    (tmp_path / "test_it.py").write_text(_TABLES, encoding="utf-8")

    def chosen(expression: str, *names: str, profile: str = "full") -> set[str]:
        command = [
            "-m",
            "pytest",
            "-q",
            "--co",
            "-p",
            "tests.support.products",
            "-m",
            expression,
            *(names or ["test_it.py"]),
        ]
        said = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "HYPOTHESIS_PROFILE": profile},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return {line.partition("::")[2] for line in said.splitlines() if "::" in line}

    usual, slow = chosen("not slow and not site"), chosen("slow")
    whole = {f"test_a_product[{letter}-{digit}]" for letter in "ab" for digit in range(3)}

    assert usual & slow == set()
    assert whole <= usual | slow
    assert "test_a_product[a-2]" in slow
    assert len(usual & whole) == 3
    assert {f"test_pairs[{letter}-{digit}]" for letter in "ab" for digit in range(3)} <= usual
    assert len([test for test in usual if test.startswith("test_few")]) == 3
    assert {f"test_few[{digit}]" for digit in range(9)} <= usual | slow
    assert {"test_a_table[0-a]", "test_a_table[1-a]", "test_a_table[2-b]"} <= usual

    triples = {
        f"test_three_tables[{sign}-{letter}-{digit}]"
        for sign in "+-"
        for letter in "abc"
        for digit in range(4)
    }
    seen = triples & (usual | slow)

    assert 12 <= len(seen) < 18
    assert len({test.partition("[")[2][1:] for test in seen}) == 12
    assert triples <= usual | chosen("slow", profile="thorough")
    assert triples <= usual | chosen("slow", "test_it.py::test_three_tables")

"""The tests that `pytest -m quick` leaves out by name are there."""

from __future__ import annotations

from tests.conftest import NOT_QUICK
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

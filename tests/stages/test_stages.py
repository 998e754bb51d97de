"""What the stages share: one place to import them from, that loads what is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tokenstream import stages


def test_every_name_can_be_imported() -> None:
    """Each is found in its module when it is first asked for, and listed before."""
    assert set(stages.__all__) <= set(dir(stages))
    assert {name: name for name in stages.__all__} == {
        name: getattr(stages, name).__name__ for name in stages.__all__
    }


def test_another_name_is_an_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match=r"'tokenstream\.stages' has no attribute 'Nothing'"):
        _ = stages.Nothing  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.slow
def test_metrics_load_neither_a_parser_nor_pydantic() -> None:
    """Every stream has metrics, and few have structured output."""
    program = "import sys, tokenstream.stages._metrics.meter\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert "tokenstream.stages._metrics.meter" in loaded
    assert set() == loaded & {"pydantic", "tokenstream.partial_json", "tokenstream.stages._objects"}

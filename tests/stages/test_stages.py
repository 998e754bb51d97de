"""A stage loads what it uses, and nothing of the others."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_metrics_load_neither_a_parser_nor_pydantic() -> None:
    """Every stream has metrics, and few have structured output."""
    program = "import sys, tokenstream.stages._metrics.meter\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())

    assert "tokenstream.stages._metrics.meter" in loaded
    assert set() == loaded & {"pydantic", "tokenstream.partial_json", "tokenstream.stages._objects"}

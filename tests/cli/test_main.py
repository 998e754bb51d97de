"""`python -m tokenstream`."""

from __future__ import annotations

import runpy
import sys

import pytest


def test_the_module_is_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Its help names the commands."""
    monkeypatch.setattr(sys, "argv", ["tokenstream", "--help"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("tokenstream", run_name="__main__")

    assert caught.value.code == 0
    assert "demo" in capsys.readouterr().out

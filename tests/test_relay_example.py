"""examples/relay.py sends on what a provider says."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

from tests.project import ROOT

if TYPE_CHECKING:
    import pytest


def test_the_events_of_the_provider_reach_the_browser(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are our own, each a line of JSON, and read as the same answer."""
    monkeypatch.setenv("PROVIDER", "")
    runpy.run_path(str(ROOT / "examples" / "relay.py"), run_name="__main__")
    printed = capsys.readouterr().out

    assert 'data: {"type":"text_delta","text":"The sky "}' in printed
    assert 'data: {"type":"end","ending":"complete"}' in printed
    assert printed.endswith("The sky is blue.\n")

"""examples/relay.py sends on what a provider says."""

from __future__ import annotations

import json
import runpy
from typing import TYPE_CHECKING

from tests.project import ROOT

if TYPE_CHECKING:
    import pytest


def test_the_events_of_the_provider_reach_the_browser(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are our own, each a line of JSON, in pieces of any size, and read as the same answer."""
    monkeypatch.setenv("PROVIDER", "")
    runpy.run_path(str(ROOT / "examples" / "relay.py"), run_name="__main__")
    printed = capsys.readouterr().out
    told = [json.loads(line[6:]) for line in printed.splitlines() if line.startswith("data: {")]
    texts = [event["text"] for event in told if event["type"] == "text_delta"]

    assert "The sky is blue." == "".join(texts)
    assert {"type": "end", "ending": "complete"} == told[-1]
    assert printed.endswith("The sky is blue.\n")

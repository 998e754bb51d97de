"""A run that knows the agent of these tests."""

from __future__ import annotations

import pytest

from tests.steps.peer.support import Prompts
from tokenstream.steps._agents import detect


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run know the agent of these tests."""
    monkeypatch.setitem(vars(detect)["_READERS"], "prompts", Prompts)
    monkeypatch.setattr(detect, "_ALL", (Prompts, *vars(detect)["_ALL"]))

"""Fixtures shared by the tests of `tokenstream.testing`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.testing.projects import Project, project_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answer.rec"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return project_in(tmp_path, monkeypatch)

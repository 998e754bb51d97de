"""The site, built once, strictly, for all tests that look at it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import PACKAGE, ROOT
from tests.support.chromium import chromium, context, page
from tests.support.packages import needed

pytestmark = pytest.mark.not_quick

__all__ = ["build", "chromium", "context", "page", "site"]


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a folder, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(source), str(target)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed("sphinx")
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", target)
    assert (0, "") == (done.returncode, done.stderr)
    return target

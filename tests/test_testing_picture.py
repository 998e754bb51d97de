"""The picture of docs/guides/testing.md shows what is kept of a cut answer."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.project import ROOT

_DOCS = ROOT / "docs"


@pytest.mark.slow
def test_the_picture_is_what_its_script_draws() -> None:
    """`python docs/_programs/testing_picture.py` draws it anew."""
    script: dict[str, Any] = runpy.run_path(str(_DOCS / "_programs" / "testing_picture.py"))

    assert (_DOCS / "pictures" / "testing.svg").read_text("utf-8") == script["draw"]()

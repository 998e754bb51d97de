"""The pictures of docs/ui.md show what a loop is given."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from tests.project import ROOT

_SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "ui_pictures.py"))
_FOLDER = ROOT / "docs" / "ui"


@pytest.mark.parametrize("name", sorted({*_SCRIPT["PICTURES"], "markdown"}))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """`python docs/ui_pictures.py` draws it anew."""
    assert (_FOLDER / f"{name}.svg").read_text("utf-8") == _SCRIPT["pictures"]()[name]


def test_the_page_shows_each_picture() -> None:
    """None is drawn for nobody."""
    page = (ROOT / "docs" / "ui.md").read_text("utf-8")

    assert set(re.findall(r"\(ui/(\w+)\.svg\)", page)) == {path.stem for path in _FOLDER.glob("*.svg")}

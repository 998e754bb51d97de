"""The pictures of docs/ui.md and docs/ui/ show what a loop is given."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from tests.project import ROOT
from tests.support.packages import needed

needed("markdown_it")
_SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "ui_pictures.py"))
_FOLDER = ROOT / "docs" / "ui"


@pytest.mark.parametrize("name", sorted({*_SCRIPT["PICTURES"], "markdown"}))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """`python docs/ui_pictures.py` draws it anew."""
    assert (_FOLDER / f"{name}.svg").read_text("utf-8") == _SCRIPT["pictures"]()[name]


def test_the_pages_show_each_picture() -> None:
    """None is drawn for nobody."""
    pages = [ROOT / "docs" / "ui.md", *_FOLDER.glob("*.md")]
    shown = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"\(([\w/]+\.svg)\)", page.read_text("utf-8"))
    }

    assert shown == set(_FOLDER.glob("*.svg"))

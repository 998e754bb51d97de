"""The pictures of docs/guides/ui.md and docs/guides/ui/ show what a loop is given."""

from __future__ import annotations

import re
import runpy
from functools import cache
from typing import Any

from tests.project import ROOT
from tests.support.packages import needed
from tests.support.tables import in_one_test

needed("markdown_it")
_SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "_programs" / "ui_pictures.py"))
_FOLDER = ROOT / "docs" / "pictures" / "ui"
_drawn = cache(_SCRIPT["pictures"])


@in_one_test("name", sorted({*_SCRIPT["PICTURES"], "markdown"}))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """`python docs/_programs/ui_pictures.py` draws it anew."""
    assert (_FOLDER / f"{name}.svg").read_text("utf-8") == _drawn()[name]


def test_the_pages_show_each_picture() -> None:
    """None is drawn for nobody."""
    guides = ROOT / "docs" / "guides"
    pages = [guides / "ui.md", *(guides / "ui").glob("*.md")]
    shown = {
        (page.parent / target).resolve()
        for page in pages
        for target in re.findall(r"\(([\w./]+\.svg)\)", page.read_text("utf-8"))
    }

    assert shown == set(_FOLDER.glob("*.svg"))

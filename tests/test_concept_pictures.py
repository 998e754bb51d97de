"""The pictures of the pages that explain ideas show what the library returns."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from tests.project import ROOT

_DOCS = ROOT / "docs"
_SCRIPT: dict[str, Any] = runpy.run_path(str(_DOCS / "concept_pictures.py"))


@pytest.mark.parametrize("name", sorted(_SCRIPT["PICTURES"]))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """`python docs/concept_pictures.py` draws it anew."""
    assert (_DOCS / name).read_text("utf-8") == _SCRIPT["PICTURES"][name]()


def test_each_picture_is_shown_on_a_page() -> None:
    """None is drawn for nobody."""
    shown = {
        (page.parent / target).resolve()
        for page in _DOCS.rglob("*.md")
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", page.read_text("utf-8"))
    }

    assert [] == [name for name in _SCRIPT["PICTURES"] if _DOCS / name not in shown]

"""The pictures of the concept pages, of a run and of a journal show what the library returns."""

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


def test_each_concept_page_shows_a_picture_of_its_own() -> None:
    """None is drawn for nobody."""
    pages = [*(_DOCS / "concepts").glob("*.md"), _DOCS / "steps.md", _DOCS / "journals.md"]
    shown = [
        (page.parent / target).relative_to(_DOCS).as_posix()
        for page in pages
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+\.svg)\)", page.read_text("utf-8"))
    ]

    assert sorted(shown) == sorted(_SCRIPT["PICTURES"])
    assert len(shown) == len(pages)

"""The pictures of the documentation show what the library returns, and each is on a page."""

from __future__ import annotations

import re
import runpy
from functools import cache
from typing import Any

import pytest

from tests.docs.pages import PAGES
from tests.project import ROOT
from tests.support.packages import needed
from tests.support.tables import in_one_test

needed("markdown_it")
_DOCS = ROOT / "docs"
_PICTURES = _DOCS / "pictures"


def _script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(_DOCS / "_programs" / name))


_UI = _script("ui_pictures.py")
_drawn = cache(_UI["pictures"])
_DRAWN = {**_script("concept_pictures.py")["PICTURES"], **_script("path_pictures.py")["PICTURES"]}


@in_one_test("name", sorted(_DRAWN))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """concept_pictures.py and path_pictures.py in docs/_programs draw them anew."""
    assert (_PICTURES / name).read_text("utf-8") == _DRAWN[name]()


@in_one_test("name", sorted({*_UI["PICTURES"], "markdown"}))
def test_a_picture_of_an_interface_is_what_its_script_draws(name: str) -> None:
    """`python docs/_programs/ui_pictures.py` draws it anew."""
    assert (_PICTURES / "ui" / f"{name}.svg").read_text("utf-8") == _drawn()[name]


@pytest.mark.slow
def test_the_picture_of_a_cut_answer_is_what_its_script_draws() -> None:
    """`python docs/_programs/testing_picture.py` draws it anew."""
    assert (_PICTURES / "testing.svg").read_text("utf-8") == _script("testing_picture.py")["draw"]()


def test_each_of_these_pictures_is_on_a_page() -> None:
    """None is drawn for nobody."""
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^):]+\.svg)\)", page.read_text("utf-8"))
    }

    assert {(_PICTURES / name).resolve() for name in _DRAWN} | {*(_PICTURES / "ui").glob("*.svg")} <= shown

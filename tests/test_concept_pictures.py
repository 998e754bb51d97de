"""The pictures of the guides show what the library returns."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

from tests.docs_pages import PAGES
from tests.project import ROOT
from tests.support.tables import in_one_test

if TYPE_CHECKING:
    from collections.abc import Callable

_DOCS = ROOT / "docs"
_SCRIPTS = ("concept_pictures.py", "path_pictures.py")
_DRAWN: dict[str, Callable[[], str]] = {
    name: draw
    for script in _SCRIPTS
    for name, draw in runpy.run_path(str(_DOCS / "_programs" / script))["PICTURES"].items()
}


@in_one_test("name", sorted(_DRAWN))
def test_a_picture_is_what_its_script_draws(name: str) -> None:
    """concept_pictures.py and path_pictures.py in docs/_programs draw them anew."""
    assert (_DOCS / "pictures" / name).read_text("utf-8") == _DRAWN[name]()


def test_each_of_these_pictures_is_on_a_page() -> None:
    """None is drawn for nobody."""
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^\]]+\]\(([^):]+\.svg)\)", page.read_text("utf-8"))
    }

    assert [] == [name for name in _DRAWN if (_DOCS / "pictures" / name).resolve() not in shown]

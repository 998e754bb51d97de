"""The path of the documentation: ten short pages, each with a program first; and all that is beside it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from tests.docs.pages import BESIDE, SITE, blocks, links, list_path, name_of, without_code
from tests.project import PACKAGE, ROOT
from tests.support.tables import in_one_test

_DOCS = ROOT / "docs"
_PATH = list_path()
_SECTION = re.compile(r"^#{2,} .+$", re.MULTILINE)


def _words(page: Path) -> int:
    """Return how many words a page has, without its code."""
    text = without_code(page.read_text(encoding="utf-8"))
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def test_the_path_has_ten_pages() -> None:
    assert len(set(_PATH)) == len(_PATH) == 10


@in_one_test("page", _PATH, ids=name_of)
def test_a_page_of_the_path_begins_with_a_program_and_leads_on(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    first = next(blocks(text, "python"))
    headings = list(_SECTION.finditer(without_code(text)))

    assert first.line <= text.count("\n", 0, headings[0].start()), "a section comes before the first program"
    assert headings[-1][0] == "## Where to go deeper"
    assert links(text[headings[-1].start() :])
    assert re.search(r"^!\[.+\]\(.+\.(?:svg|png)\)$", text, re.MULTILINE)


@in_one_test("page", _PATH, ids=name_of)
def test_a_page_of_the_path_is_read_in_ten_minutes(page: Path) -> None:
    """Who wants more follows its links."""
    assert _words(page) <= 1_500


def test_the_documentation_stays_small() -> None:
    """Someone keeps an overview of it, and reads each page again now and then."""
    assert len(SITE) <= 80
    assert sum(map(_words, SITE)) <= 73_700


def test_the_package_has_the_path_as_one_file() -> None:
    """Coding agents read it; `python docs/_programs/build_hooks.py` writes it anew."""
    packed = (PACKAGE / "llms-path.txt").read_bytes()
    made: str = runpy.run_path(str(_DOCS / "_programs" / "build_hooks.py"))["join_path"](ROOT)

    assert made.encode() == packed
    assert len(packed) <= 100_000


def test_what_lies_beside_the_site_stays_small() -> None:
    """Reports are for who doubts a sum, and the rest is for contributors."""
    assert sum(map(_words, BESIDE)) <= 35_300
    assert len((ROOT / ".github" / "architecture.md").read_text(encoding="utf-8").split()) <= 2_500

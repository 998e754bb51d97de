"""The path of the documentation: ten short pages, each with a program first; and all that is beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs_pages import blocks, links, name_of, without_code
from tests.project import ROOT
from tests.support.tables import in_one_test

if TYPE_CHECKING:
    from pathlib import Path

_DOCS = ROOT / "docs"
_INDEX = (_DOCS / "index.md").read_text(encoding="utf-8")
_PATH = [_DOCS / link for link in links(_INDEX.partition("\n## The path\n")[2].partition("\n## ")[0])]
_MADE = {
    "docs/about/capabilities.md",
    "docs/about/conformance.md",
    "docs/about/conformance/recovery.md",
    "docs/reference/errors-index.md",
    "docs/reference/failures.md",
    "docs/guides/relay/losses.md",
}
"""Pages that programs make, or try line by line."""
_SECTION = re.compile(r"^#{2,} .+$", re.MULTILINE)


def _words(page: Path) -> int:
    """Return how many words a page has, without its code."""
    text = without_code(page.read_text(encoding="utf-8"))
    return sum(bool(re.search(r"\w", word)) for word in text.split())


def test_the_path_has_ten_pages() -> None:
    """They are listed on the first page."""
    assert len(set(_PATH)) == len(_PATH) == 10


@in_one_test("page", _PATH, ids=name_of)
def test_a_page_of_the_path_begins_with_a_program_and_leads_on(page: Path) -> None:
    """Its first section has the program, which comes before a second one; a picture; and links at the end."""
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
    written = [page for page in _DOCS.rglob("*.md") if name_of(page) not in _MADE]

    assert len(written) <= 80
    assert sum(map(_words, written)) <= 107_850
    assert len((_DOCS / "about" / "architecture.md").read_text(encoding="utf-8").split()) <= 2_500

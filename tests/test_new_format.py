"""The checklist of .github/CONTRIBUTING.md for a new format."""

from __future__ import annotations

import pytest

from tests.new_format import missing
from tests.project import ROOT
from tests.support import registry

_COVERED_ELSEWHERE = {
    "tokenstream": {
        "tests/formats/test_tokenstream.py, or a folder tests/formats/tokenstream/",
        "the page docs/formats/tokenstream.md",
    },
    "text": {
        "tests/formats/test_text.py, or a folder tests/formats/text/",
        "recordings under tests/recordings/text/",
    },
    "pieces": {"recordings under tests/recordings/pieces/", "the page docs/formats/pieces.md"},
}
"""Places of formats that are no provider's: their tests and pages have other names."""


@pytest.mark.parametrize("name", registry.names())
def test_every_format_has_all_its_places(name: str) -> None:
    """A format is added everywhere at once, or the checklist says what is missing."""
    assert _COVERED_ELSEWHERE.get(name, set()) == set(missing(name))


def test_a_format_that_was_only_begun_lacks_every_place_of_the_table() -> None:
    """The page's table and the command name the same places."""
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = page.partition("| place | what it has |")[2].partition("\n\n")[0].splitlines()[2:]

    assert len(rows) == len(missing("parrot"))

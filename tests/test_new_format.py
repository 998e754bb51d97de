"""The checklist of .github/CONTRIBUTING.md for a new format."""

from __future__ import annotations

import pytest

from tests.new_format import missing
from tests.project import ROOT
from tests.support import registry
from tests.support.tables import in_one_test

_ERRORS = {"an error in ERRORS of tests/support/error_frames.py"}
_WORDS = {"its errors in FRAMES of tests/support/error_frames.py, and their words in reports/error-words.md"}
_TABLES = {"its rows in the made tables: run `python -m tests.made_tables`"}
_EXCEPTIONS = {
    # No provider's: their tests and pages have other names, and they have no words to show.
    "tokenstream": {"tests/formats/test_tokenstream.py, or a folder tests/formats/tokenstream/", *_WORDS},
    "text": {
        "tests/formats/test_text.py, or a folder tests/formats/text/",
        "recordings with their expected messages under tests/recordings/text/",
        *_ERRORS,
        *_WORDS,
        *_TABLES,
    },
    "pieces": {
        "recordings with their expected messages under tests/recordings/pieces/",
        *_ERRORS,
        *_WORDS,
        *_TABLES,
    },
    # Their errors are those of other formats, or none; or they are raised only at the end of a session.
    "openai-realtime": _ERRORS,
    # Its sessions need no writer: none of our servers speaks with two voices at once.
    "openai-live": {*_ERRORS, "a writer in that record: an encoder in tokenstream/relay/_encoders/"},
    "anthropic-agents": _ERRORS,
    "gemini-live": _ERRORS,
    "langchain": {*_ERRORS, *_WORDS},
    "llamaindex": {*_ERRORS, *_WORDS},
}
"""What a format lacks on purpose."""


@pytest.mark.slow
@in_one_test("name", registry.names())
def test_every_format_has_all_its_places(name: str) -> None:
    """A format is added everywhere at once, or the checklist says what is missing."""
    assert _EXCEPTIONS.get(name, set()) == set(missing(name))


def test_a_format_that_was_only_begun_lacks_every_place_of_the_table() -> None:
    """The page's table and the command name the same places."""
    page = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = page.partition("| place | what it has |")[2].partition("\n\n")[0].splitlines()[2:]

    assert len(rows) == len(missing("parrot"))

"""The tables of words in reports/vocabulary.md are what the formats do."""

from __future__ import annotations

import pytest

from tests import vocabulary
from tests.support import registry
from tests.support.error_frames import ERRORS
from tests.support.recordings import ours


@pytest.mark.slow
def test_the_tables_on_the_page_are_current() -> None:
    """What a format reads, and under which name, is on the page as it is in the code.

    `python -m tests.vocabulary` writes it anew.
    """
    assert vocabulary.SECTION.render() == vocabulary.SECTION.on_the_page()


def test_every_format_is_in_the_tables() -> None:
    """A format without a recording of ours would be missing without anybody's notice."""
    told = set(registry.names()) - {"text", "pieces"}

    assert told == {recorded.format for recorded in ours()}
    assert told - set(ERRORS) <= {
        "anthropic-agents",
        "gemini-live",
        "openai-live",
        "openai-realtime",
        "langchain",
        "llamaindex",
    }

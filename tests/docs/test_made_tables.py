"""The made tables of docs/reports/ can be written when a version is released."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.made_tables import error_words, lost_reasons, relay_losses, script_places, vocabulary
from tests.made_tables.__main__ import SECTIONS
from tests.support import registry
from tests.support.encoders import PROTOCOLS
from tests.support.error_frames import shapes_of, words_of
from tests.support.recordings import ours
from tokenstream import testing

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.made_tables.section import Section

_WITH_ERRORS = {name for name in registry.names() if shapes_of(name)}
_TABLES: list[tuple[Section, Collection[str]]] = [
    (vocabulary.SECTION, {recorded.format for recorded in ours()} | _WITH_ERRORS),
    (error_words.SECTION, {name for name in registry.names() if words_of(name)}),
    (script_places.SECTION, testing.all_formats),
    (lost_reasons.SECTION, PROTOCOLS),
    (relay_losses.SECTION, PROTOCOLS),
]


def test_every_format_is_in_the_tables_of_words() -> None:
    """A format without a recording of ours would be missing without anybody's notice."""
    told = set(registry.names()) - {"text", "pieces"}

    assert told == {recorded.format for recorded in ours()}
    assert told - _WITH_ERRORS <= {
        "anthropic-agents",
        "gemini-live",
        "openai-live",
        "openai-realtime",
        "langchain",
        "llamaindex",
    }


@pytest.mark.slow
@pytest.mark.parametrize("section, names", _TABLES, ids=[section.module for section, _ in _TABLES])
def test_a_table_of_the_reports_names_each_format(section: Section, names: Collection[str]) -> None:
    """The pages are written at a release, and not with each change."""
    made = section.render()

    assert [] == [name for name in names if f"`{name}`" not in made]


def test_each_made_table_has_its_place_on_a_page() -> None:
    """A page whose comments are gone cannot be written."""
    for section in SECTIONS:
        assert section.on_the_page().startswith(section.begin)

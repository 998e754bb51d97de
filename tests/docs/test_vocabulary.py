"""The tables of words in docs/reports/vocabulary.md have each format."""

from __future__ import annotations

from tests.support import registry
from tests.support.error_frames import shapes_of
from tests.support.recordings import ours


def test_every_format_is_in_the_tables() -> None:
    """A format without a recording of ours would be missing without anybody's notice."""
    told = set(registry.names()) - {"text", "pieces"}

    assert told == {recorded.format for recorded in ours()}
    assert {name for name in told if not shapes_of(name)} <= {
        "anthropic-agents",
        "gemini-live",
        "openai-live",
        "openai-realtime",
        "langchain",
        "llamaindex",
    }

"""Blocks rendered one by one are the whole rendered at once."""

from __future__ import annotations

from tests.support.beside import needs_recordings
from tests.support.markdown import broken
from tests.support.previews import recorded_answers


@needs_recordings
def test_recorded_answers_hold_the_law() -> None:
    """Each answer of a real model, at five ways of cutting it into pieces."""
    found = [broken(text) for text in recorded_answers() if len(text) < 5_000]

    assert [] == [each for each in found if each]

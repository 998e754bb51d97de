"""Places to cut a recording at, if they are too many to try them all."""

from __future__ import annotations

import pytest

from tokenstream.testing import Recording
from tokenstream.testing._recordings.places import choose_cut_places


def test_a_small_recording_is_cut_at_every_byte() -> None:
    """Up to the bound, no place is left out."""
    recording = Recording.of([b"data: Hello\n\n"])

    assert [*range(13)] == choose_cut_places(recording, 256)


def test_of_a_large_recording_a_sample_is_cut() -> None:
    """It is the same each time, has boundaries of frames and places between them, and is bounded."""
    recording = Recording.of([b"data: Hello\n\n"] * 1_000)
    places = choose_cut_places(recording, 64)

    assert places == choose_cut_places(recording, 64)
    assert 48 < len(places) <= 64
    assert {0} < {place for place in places if place % 13 == 0}
    assert [place for place in places if place % 13]
    assert places[-1] < len(recording.body)


@pytest.mark.slow
def test_of_a_huge_recording_few_places_are_cut() -> None:
    """The cost of all cuts together is bounded, too."""
    assert 16 >= len(choose_cut_places(Recording.of([b"data: Hello\n\n"] * 100_000), 256))


def test_messages_of_a_websocket_are_cut_between() -> None:
    """No message arrives in part."""
    recording = Recording.of([b"{}", b"{}", b"{}"], messages=True)

    assert [0, 2, 4] == choose_cut_places(recording, 256)
    assert [0, 2] == choose_cut_places(recording, 2)


def test_an_empty_recording_has_no_place_to_cut() -> None:
    """There is nothing that could be missing."""
    assert [] == choose_cut_places(Recording(), 256)

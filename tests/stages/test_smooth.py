"""An even pace out of bursts, never later than the bound."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pacing import arrivals, played
from tokenstream.errors import MisuseError
from tokenstream.stages import Chain, Smooth

BURSTS = [(n * 0.2, "one two three four five six seven eight ") for n in range(50)]
"""200 characters a second, in one burst of 40 each 200 ms."""


def test_bursts_become_an_even_flow() -> None:
    """Between two updates there is a picture of a screen, and in each about as much."""
    shown = played(Smooth(max_delay=0.5), BURSTS)[60:-1]
    sizes = [len(text) for _, text in shown]
    gaps = [later - now for (now, _), (later, _) in itertools.pairwise(shown)]

    assert max(gaps) < 0.051
    assert statistics.mean(sizes) == pytest.approx(200 / 60, rel=0.3)
    assert max(sizes) <= 3 * statistics.mean(sizes)


def test_the_beginning_is_shown_at_once() -> None:
    """Nobody waits longer for the first letter than without it."""
    assert Smooth(max_delay=1.0).feed("Hello there", now=3.0) == ["H"]


def test_words_stay_whole() -> None:
    smooth = Smooth(max_delay=0.2, whole=True)
    words = ["one ", "two ", "three ", "four ", "five ", "six"]
    shown = played(smooth, [(0.0, word) for word in words])

    assert [text for _, text in shown] == words
    smooth = Smooth(max_delay=0.2, whole=True)
    begun = [piece for word in words for piece in smooth.feed(word, now=0.0)]
    assert begun == ["one "]
    ticked = [smooth.tick(n / 60) for n in range(1, 13)]
    assert [piece for pieces in ticked for piece in pieces] == words[1:]
    assert max(map(len, ticked)) == 1


@given(arrivals(), st.floats(0.02, 2), st.booleans())
def test_the_pieces_joined_are_the_text_and_none_is_late(
    given_: list[tuple[float, str]], max_delay: float, whole: bool
) -> None:
    shown = played(Smooth(max_delay, whole=whole), given_)

    assert "".join(text for _, text in shown) == "".join(text for _, text in given_)
    assert all(text for _, text in shown)
    if whole:
        assert [text for _, text in shown] == [text for _, text in given_ if text]
    came = [now for now, text in given_ for _ in text]
    went = [now for now, text in shown for _ in text]
    assert all(later - now <= max_delay + 1e-6 for now, later in zip(came, went, strict=True))


@given(st.lists(st.text(max_size=20), max_size=20), st.lists(st.floats(0, 1), min_size=20, max_size=20))
def test_nothing_is_lost_where_nobody_ticks(pieces: list[str], gaps: list[float]) -> None:
    """A `for` loop cannot wait for two things."""
    chain = Chain(Smooth(max_delay=0.1))
    now, shown = 0.0, []
    for piece, gap in zip(pieces, gaps, strict=False):
        now += gap
        shown += chain.feed(piece, now=now)

    assert "".join(shown + chain.end(now=now)) == "".join(pieces)


@pytest.mark.parametrize("seconds", [0, -0.1, float("inf"), "1"])
def test_an_invalid_delay_is_refused(seconds: float) -> None:
    with pytest.raises(MisuseError, match="max_delay= takes a number of seconds above 0"):
        Smooth(seconds)

"""Fewer pieces in the same time, none of the text lost, nothing held for long."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pacing import arrivals, played
from tokenstream.errors import MisuseError
from tokenstream.stages import Chain, Throttle
from tokenstream.stages._text.pacing import Accumulate


def test_the_first_piece_comes_at_once_and_what_follows_is_joined() -> None:
    throttle = Throttle(hz=10)

    assert throttle.feed("a", now=5.0) == ["a"]
    assert (throttle.feed("b", now=5.02), throttle.feed("c", now=5.09)) == ([], [])
    assert throttle.deadline == pytest.approx(5.1)
    assert throttle.tick(5.1) == ["bc"]
    assert throttle.deadline is None


def test_what_is_held_comes_with_the_next_piece_where_nobody_ticks() -> None:
    """A `for` loop cannot wait for two things."""
    throttle = Throttle(hz=10)
    throttle.feed("a", now=0.0)
    throttle.feed("b", now=0.01)

    assert throttle.feed("c", now=4.0) == ["bc"]


@given(arrivals(), st.floats(0.5, 200))
def test_the_pieces_joined_are_the_text_and_none_is_late(given_: list[tuple[float, str]], hz: float) -> None:
    shown = played(Throttle(hz), given_)

    assert "".join(text for _, text in shown) == "".join(text for _, text in given_)
    assert all(text for _, text in shown)
    before_end = [now for now, _ in shown][:-1]
    gaps = [later - now for now, later in itertools.pairwise(before_end)]
    assert all(gap >= 1 / hz - 1e-6 for gap in gaps)
    came = [now for now, text in given_ for _ in text]
    went = [now for now, text in shown for _ in text]
    assert all(later - now <= 1 / hz + 1e-6 for now, later in zip(came, went, strict=True))


def test_the_text_so_far_is_given_as_often_as_the_pieces_before_it() -> None:
    chain = Chain(Throttle(hz=10), Accumulate())

    assert [chain.feed(piece, now=now) for piece, now in (("a", 0.0), ("b", 0.01), ("c", 0.2))] == [
        ["a"],
        [],
        ["abc"],
    ]
    assert (chain.feed("", now=0.5), chain.end(now=0.6)) == ([], [])


@pytest.mark.parametrize("hz", [0, -1, float("nan"), float("inf"), "20", True, None])
def test_an_invalid_rate_is_refused(hz: float) -> None:
    with pytest.raises(MisuseError, match="hz= takes a number of pieces a second above 0"):
        Throttle(hz)

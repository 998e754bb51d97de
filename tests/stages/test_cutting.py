"""What holds for every stage that cuts a text into pieces: bounds, linear time, and no needless wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tests.support.text_stages import HOSTILE, cut, grows_too_fast
from tests.support.texts import pieces_of, run
from tokenstream.errors import MisuseError
from tokenstream.stages import Graphemes, Lines, Sentences, Words


@pytest.mark.parametrize("stage", [Words, Lines, Graphemes])
@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", sampled(sorted(HOSTILE), one_in=6))
def test_the_time_is_linear_and_the_held_text_is_bounded(name: str, size: int, stage: Any) -> None:
    assert "" == grows_too_fast(stage, HOSTILE[name], size)
    bounded = stage(longest=50)
    for piece in pieces_of(HOSTILE[name] * 200, size):
        bounded.feed(piece)

        assert len("".join(bounded.end()).removesuffix("\n")) <= 50


@pytest.mark.parametrize("stage", [Words, Sentences])
@given(drawn=cut())
def test_nothing_waits_whose_end_is_sure(stage: Any, drawn: tuple[str, list[str]]) -> None:
    cutting, so_far, given_ = stage(), "", []
    for piece in drawn[1]:
        so_far += piece
        given_ += cutting.feed(piece)

        assert run(stage(), [so_far])[:-1] == given_


@in_one_test(
    "stage, name",
    [
        (Words, "longest"),
        (Lines, "longest"),
        (Graphemes, "longest"),
        (Sentences, "longest"),
        (Sentences, "first"),
    ],
)
@in_one_test("value", [0, -1, True, 2.5, "9"])
def test_a_bound_is_a_whole_number_above_0(stage: Any, name: str, value: Any) -> None:
    with pytest.raises(MisuseError, match=f"{name}= takes a whole number"):
        stage(**{name: value})

"""Frames out of order or twice are put right, and a gap that never closes is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream.errors import MisuseError, PositionLost, ProtocolError
from tokenstream.framing import ServerSentEvent
from tokenstream.stages import Reorder


def numbers(frames: list[Any]) -> list[Any]:
    return [frame["n"] for frame in frames]


def fed(reorder: Reorder, given: list[Any], *, now: float = 0.0) -> list[Any]:
    return [frame for number in given for frame in reorder.feed({"n": number}, now=now)]


@given(st.permutations(range(24)), st.lists(st.integers(0, 23), max_size=12), st.integers(0, 30))
def test_any_order_and_any_repetition_gives_each_frame_once_in_order(
    order: list[int], again: list[int], place: int
) -> None:
    reorder = Reorder("n", window=64)
    arrivals = [*order[:place], *again, *order[place:]]
    given_ = fed(reorder, arrivals) + reorder.end()

    assert numbers(given_) == list(range(24))
    assert reorder.dropped == len(again)
    assert reorder.error is None


@given(st.permutations(range(12)))
def test_a_frame_without_a_number_keeps_its_place_after_the_one_before_it(order: list[int]) -> None:
    reorder = Reorder("n")
    given_: list[Any] = []
    for number in order:
        given_ += reorder.feed({"n": number}) + reorder.feed({"behind": number})

    assert [each for each in given_ if "n" in each] == [{"n": number} for number in range(12)]
    assert len(given_) == 24


def test_frames_in_order_pass_at_once() -> None:
    reorder = Reorder("n")

    assert [numbers(reorder.feed({"n": number})) for number in range(3)] == [[0], [1], [2]]
    assert reorder.deadline is None


def test_the_number_is_found_in_bytes_and_in_events_and_within_objects() -> None:
    reorder = Reorder("meta.seq")
    plain, event = (json.dumps({"meta": {"seq": seq}}).encode() for seq in (1, 0))
    frame = ServerSentEvent(event)

    assert reorder.feed(plain) == []
    assert reorder.feed(frame) == [frame, plain]


def test_a_function_tells_the_number_of_a_frame() -> None:
    reorder = Reorder(lambda frame: frame.id)
    first, second = (ServerSentEvent(b"{}", id=id) for id in ("0", "1"))

    assert reorder.feed(second) == []
    assert reorder.feed(first) == [first, second]


def test_of_ids_that_are_no_numbers_only_what_comes_again_is_dropped() -> None:
    """The order of such ids cannot be told; as many are remembered as the window says."""
    reorder = Reorder("n", window=2)

    assert numbers(fed(reorder, ["b", "a", "b", "c", "d", "a"])) == ["b", "a", "c", "d", "a"]
    assert reorder.dropped == 1


def test_a_gap_that_is_not_closed_in_time_is_an_error_with_its_number() -> None:
    reorder = Reorder("n", timeout=5.0)
    given_ = fed(reorder, [0, 2, 3], now=10.0)

    assert (numbers(given_), reorder.deadline) == ([0], 15.0)
    assert (reorder.tick(14.9), reorder.error) == ([], None)
    assert reorder.tick(15.0) == []
    assert isinstance(reorder.error, ProtocolError)
    assert (reorder.error.event, reorder.error.retryable) == (1, True)
    assert "frame number 1 never came (it did not come within 5 s)" in str(reorder.error)
    assert (reorder.feed({"n": 1}), reorder.end(), reorder.deadline) == ([], [], None)
    with pytest.raises(ProtocolError, match="number 1"):
        reorder.check()


def test_a_gap_is_reported_once_the_window_is_full() -> None:
    reorder = Reorder("n", window=3)

    assert numbers(fed(reorder, [0, 2, 3, 4])) == [0]
    assert reorder.error is None
    fed(reorder, [5])
    assert "3 frames after it have come" in str(reorder.error)


def test_a_gap_at_the_end_of_the_input_is_reported() -> None:
    reorder = Reorder("n")
    fed(reorder, [0, 2])

    assert (reorder.end(), str(reorder.error)[:32]) == ([], "frame number 1 never came (the i")


@pytest.mark.parametrize("how", ["time", "end", "window"])
def test_an_answer_that_begins_with_another_number_is_given_all_the_same(how: str) -> None:
    reorder = Reorder("n", window=3)
    held = fed(reorder, [1, 2])
    assert held == []
    if how == "window":
        given_ = fed(reorder, [3, 4])
    else:
        given_ = reorder.tick(5.0) if how == "time" else reorder.end()

    assert numbers(given_)[:2] == [1, 2]
    assert reorder.error is None


def test_a_stream_that_was_joined_in_the_middle_is_returned_at_once() -> None:
    """A first number beyond the window cannot be a frame that arrived too early."""
    reorder = Reorder("n", window=10)

    assert numbers(fed(reorder, [5000, 5001])) == [5000, 5001]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"key": ""},
        {"key": 3},
        {"window": 0},
        {"window": True},
        {"timeout": -1},
        {"timeout": "5"},
        {"first": -1},
    ],
)
def test_invalid_arguments_are_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises(MisuseError, match=f"{next(iter(nonsense))}="):
        Reorder(**nonsense)


@pytest.mark.parametrize("order", [[5, 6, 7], [0, 1, 3]])
def test_more_than_the_first_frame_may_not_be_missing(order: list[int]) -> None:
    """Nothing is spliced over what never came."""
    reorder = Reorder("n")
    fed(reorder, order)

    assert reorder.end() == []
    assert isinstance(reorder.error, ProtocolError)


@pytest.mark.parametrize("order", [[5000, 4999], [1, "tick", 0]])
def test_a_frame_from_before_the_first_one_is_an_error(order: list[Any]) -> None:
    """The frame was never returned before, so it is no repetition."""
    reorder = Reorder("n", window=10)
    for number in order:
        if number == "tick":
            reorder.tick(5.0)
        else:
            reorder.feed({"n": number})

    assert reorder.dropped == 0
    assert "where the answer was begun" in str(reorder.error)


def test_the_end_stays_after_all_that_is_held() -> None:
    """A sentinel without a number comes last."""
    reorder = Reorder("n")
    given_ = [*reorder.feed({"n": 0}), *reorder.feed({"n": 3}), *reorder.feed({"n": 2})]
    given_ += [*reorder.feed({"end": True}), *reorder.feed({"n": 1})]

    assert given_ == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}, {"end": True}]


@pytest.mark.parametrize("number", [0, 1, 3, "a"])
def test_a_number_that_comes_again_with_other_content_is_of_another_answer(number: int | str) -> None:
    reorder = Reorder("n")
    frames = [{"n": each, "text": "Hel", "obfuscation": "xx"} for each in (0, 1, 3, "a")]
    for frame in frames:
        reorder.feed(frame)

    assert reorder.feed({"n": number, "text": "Hel", "obfuscation": "yyy"}) == []
    assert (reorder.dropped, reorder.error) == (1, None)
    assert reorder.feed({"n": number, "text": "Bye", "obfuscation": "xx"}) == []
    assert isinstance(reorder.error, PositionLost)
    assert reorder.error.event == (number if isinstance(number, int) else None)
    assert reorder.feed({"n": 2, "text": "lo"}) == []

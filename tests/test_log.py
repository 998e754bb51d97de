"""Text that grows by pieces and is joined when somebody asks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import sse
from tokenstream._basics.text_log import TextLog
from tokenstream._pipeline.machine import Machine


@given(st.lists(st.text(max_size=5), max_size=40), st.data())
def test_any_part_of_the_text_is_as_if_it_had_been_joined_at_once(
    pieces: list[str], data: st.DataObject
) -> None:
    """Whatever was asked for before."""
    log, whole = TextLog(), "".join(pieces)
    for number, piece in enumerate(pieces):
        log.append(piece)
        if data.draw(st.booleans()):
            start = data.draw(st.integers(0, log.length))
            assert log.since(start) == "".join(pieces[: number + 1])[start:]
    start, end = sorted([data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))])

    assert log.join() == whole
    assert log.length == len(whole)
    assert log.slice(start, end) == whole[start:end]


def test_many_small_pieces_are_kept_in_few_objects() -> None:
    """A list of a million tokens would cost many times their text."""
    log = TextLog()
    for _ in range(100_000):
        log.append("ab")

    assert log.since(199_990) == "ab" * 5
    assert log.join() == "ab" * 100_000
    assert log.slice(0, 4) == "abab"
    assert log.slice(199_996, 199_998) == "ab"


@pytest.mark.slow
def test_the_pieces_of_an_answer_are_kept_in_few_objects_too() -> None:
    """What is read at a glance is added without a call; it is joined now and then."""
    machine = Machine("text", content_type=None, limits=None, pings=False)
    most, log = 0, None
    for number in range(10_000):
        machine.push(sse("ab"), 0.0) if number < 2 else machine.give(sse("ab"), 0.0)
        while machine.pull() is not None:
            pass
        parts = machine.accumulator.parts_from(0, 0)
        log = parts[0].log if parts else None
        most = max(most, 0 if log is None else len(log.pieces))

    assert log is not None
    assert "ab" * 10_000 == log.join()
    assert 9_000 < machine.meter.glanced
    assert most < 1_200

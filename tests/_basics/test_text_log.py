"""Text that grows by pieces and is joined when somebody asks."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.wire import sse
from tokenstream._answer.accumulator import Accumulator
from tokenstream._basics.text_log import ByteLog, TextLog
from tokenstream._pipeline.machine import Machine
from tokenstream.events import (
    CitationAdded,
    Event,
    Finish,
    PartDone,
    ReasoningDelta,
    TextDelta,
    ToolCallStart,
)
from tokenstream.message import Citation
from tokenstream.stages._protocols import ITEM_END
from tokenstream.stream._views.log_cursor import LogDeltaCursor, LogTextCursor


@given(st.lists(st.text(max_size=5), max_size=40), st.data())
def test_any_part_of_the_text_is_as_if_it_had_been_joined_at_once(
    pieces: list[str], data: st.DataObject
) -> None:
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
    assert not pieces or log.cut(start, end) == whole[start:end]


def test_many_small_pieces_are_kept_in_few_objects() -> None:
    """A list of a million tokens would cost many times their text."""
    log = TextLog()
    for _ in range(100_000):
        log.append("ab")

    assert log.since(199_990) == "ab" * 5
    assert log.join() == "ab" * 100_000
    assert log.slice(0, 4) == "abab"
    assert log.slice(199_996, 199_998) == log.cut(199_996, 199_998) == "ab"
    assert len(log.pieces) < 1_200


@pytest.mark.parametrize("start", [-1, 0, 1, 2_047, 2_048, 2_049, 4_095, 4_096, 5_998, 5_999, 6_000, 6_001])
def test_text_and_bytes_are_read_from_any_position(start: int) -> None:
    text, data = TextLog(), ByteLog()
    for number in range(3_000):
        text.append(f"{number % 10}b")
        data.append(b"%db" % (number % 10))
    whole = "".join(f"{number % 10}b" for number in range(3_000))

    assert whole[max(start, 0) :] == text.since(start)
    assert whole[max(start, 0) :].encode() == data.since(start)
    assert whole.encode() == data.join()


@pytest.mark.slow
def test_the_pieces_of_an_answer_are_kept_in_few_objects_too() -> None:
    """What is read at a glance is added without a call; it is joined now and then."""
    machine = Machine("text", limits=None)
    intake = machine.intake
    most, log = 0, None
    for number in range(10_000):
        intake.push(sse("ab"), 0.0) if number < 2 else intake.give(sse("ab"), 0.0)
        while machine.way.pull() is not None:
            pass
        parts = machine.accumulator.parts_from(0, 0)
        log = parts[0].log if parts else None
        most = max(most, 0 if log is None else len(log.pieces))

    assert log is not None
    assert "ab" * 10_000 == log.join()
    assert 9_000 < machine.meter.glanced
    assert most < 1_200


_IN_TURNS = [
    (ReasoningDelta if part == 1 else TextDelta)(text, part=part)
    for text, part in zip("abcdefghijkl", (0, 1, 0, 2, 0, 0, 1, 2, 1, 0, 2, 2), strict=True)
]


@given(st.sets(st.integers(0, len(_IN_TURNS))))
def test_a_reader_that_looks_now_and_then_has_all_after_the_last_delta(looks: set[int]) -> None:
    accumulator = Accumulator()
    text, deltas = LogTextCursor(accumulator, 0, TextDelta), LogDeltaCursor(accumulator, 0)
    texts, told = "", ""
    for number, delta in enumerate(_IN_TURNS):
        accumulator.take(delta)
        if number in looks or delta is _IN_TURNS[-1]:
            texts += text.after(delta) or text.ready() or ""
            first = deltas.after(delta) or deltas.ready()
            while first is not None:
                told, first = told + first.text, deltas.ready()
            assert len(told) == number + 1

    assert ("acdefhjkl", "abcdefghijkl") == (texts, told)


@pytest.mark.slow
def test_parts_that_take_turns_cost_a_number_for_each_turn() -> None:
    """A hostile server may change the part with every letter."""
    accumulator, count = Accumulator(), 20_000
    tracemalloc.start()
    for number in range(count):
        accumulator.take(TextDelta("ab", part=number % 2))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 32 * count


def _told(events: list[Event], *, late: bool) -> list[Any]:
    """Return what a text's reader is told that is told of ends, `|` for an end."""
    accumulator = Accumulator()
    cursor = LogTextCursor(accumulator, 0, TextDelta)
    cursor.tell_ends()
    told = list[Any]()
    for event in events:
        accumulator.take(event)
        if not late and (item := cursor.after(event)) is not None:
            told += [item, *iter(cursor.ready, None)]
    told += iter(cursor.ready, None)
    return ["|" if item is ITEM_END else item for item in told]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([TextDelta("a"), PartDone(), TextDelta("b", part=1)], "a|b"),
        ([TextDelta("a"), ToolCallStart("c", "f", part=1), TextDelta("b")], "a|b"),
        ([TextDelta("a"), Finish("stop"), TextDelta("b")], "a|b"),
        ([TextDelta("a"), PartDone(), Finish("stop")], "a|"),
        ([TextDelta("a"), TextDelta("b", part=1), TextDelta("c")], "a|bc"),
        ([TextDelta("a"), CitationAdded(Citation(), part=1), TextDelta("b")], "ab"),
        (
            [TextDelta("a"), ReasoningDelta("x", part=1), TextDelta("b"), PartDone(part=1), TextDelta("c")],
            "a|bc",
        ),
    ],
)
def test_a_reader_is_told_where_items_end(events: list[Event], expected: str, late: bool) -> None:
    assert "".join(_told(events, late=late)).replace("||", "|") == expected


def test_a_reader_that_is_not_told_of_ends_gets_text_alone() -> None:
    accumulator = Accumulator()
    for event in (TextDelta("a"), PartDone(), TextDelta("b", part=1), Finish("stop")):
        accumulator.take(event)

    assert LogTextCursor(accumulator, 0, TextDelta).ready() == "ab"

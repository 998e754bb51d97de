"""Differences between two answers are reported field by field."""

from __future__ import annotations

import pytest

from tests.support.tables import in_one_test
from tokenstream.errors import StreamInterrupted, StreamTruncated
from tokenstream.events import Finish, ReasoningDelta, Restarted, Resumed, TextDelta
from tokenstream.message import Message, TextPart, ToolCall, Usage
from tokenstream.testing import Arrival, Recording
from tokenstream.testing._pytest.diff import contains_answers, differences

_LONG = "The quick brown fox jumps over the lazy dog, and it's fine with that."


def test_messages_are_reported_by_the_fields_that_differ() -> None:
    one = Message(id="a", parts=(TextPart(text="Hi"), ToolCall(id="1", name="now")), ending="complete")
    other = one.model_copy(update={"ending": "truncated", "usage": Usage(output_tokens=3)})
    told = differences(one, other)

    assert [
        "usage.output_tokens: left None, right 3",
        "usage.basis: left 'none', right 'reported'",
        "ending: left 'complete', right 'truncated'",
    ] == told


def test_texts_are_shown_where_they_part() -> None:
    told = differences(TextDelta(_LONG), TextDelta(_LONG.replace("dog", "cat")))

    assert [
        "text: they part at character 40 (of 69 and 69)",
        "    left:  …'jumps over the lazy dog, and it\\'s fine with that.'",
        "    right: …'jumps over the lazy cat, and it\\'s fine with that.'",
        "                                 ^",
    ] == told


def test_the_mark_is_below_what_is_escaped() -> None:
    """Line ends and quotes before the place are as wide as they are written."""
    *_, left, _right, mark = differences("\n'" + "x" * 30, "\n'" + "x" * 10 + "y" * 20)

    assert left.index("'\\n\\'") + len("'\\n\\'") + 10 == mark.index("^")


def test_events_of_a_list_are_reported_by_their_place() -> None:
    one = [TextDelta("a"), TextDelta("b"), Finish("stop"), TextDelta("c")]
    other = [TextDelta("a"), ReasoningDelta("r"), TextDelta("b"), Finish("length")]
    told = differences(one, other[:3])

    assert "[1]: only right has ReasoningDelta(choice=0, part=0, text='r', signature=None)" == told[0]
    assert (
        "[2]: only left has Finish(choice=0, part=None, reason='stop', raw_reason=None, message=None)"
        == told[1]
    )


def test_answers_that_begin_again_are_reported_by_what_was_given_up() -> None:
    """The error that ended an attempt is no part of the answer, so it makes no difference."""
    broken = Restarted(Message(parts=(TextPart(text="Hel"),)), StreamTruncated("the input ended"))
    reset = Restarted(broken.discarded, StreamInterrupted("the connection broke"))
    other = Restarted(Message(parts=(TextPart(text="Hal"),)))

    assert [] == differences([broken, Resumed()], [reset, Resumed()])
    assert ["[0].discarded.parts[0].text: left 'Hel', right 'Hal'"] == differences([broken], [other])
    assert ["[0].dropped: left 0, right 2"] == differences([Resumed()], [Resumed(dropped=2)])


def test_items_that_look_the_same_are_compared() -> None:
    """A value's repr does not show all of it."""
    one, other = Recording.of([b"a"], status=200), Recording.of([b"a"], status=500)

    assert ["[0].status: left 200, right 500", "[1]: only right has 2"] == differences([one], [other, 2])


def test_lists_that_shift_are_matched() -> None:
    """An event that has moved is compared with its like, and both places are named."""
    told = differences([TextDelta("a"), Finish("stop")], [TextDelta("x"), TextDelta("a"), Finish("length")])

    assert "[0]: only right has TextDelta(choice=0, part=0, text='x')" == told[0]
    assert "[1 and 2].reason: left 'stop', right 'length'" == told[1]


def test_long_lists_are_compared_place_by_place() -> None:
    """Lists that would take long to match are not matched."""
    told = differences(list(range(500)), [0, 7, *range(2, 501)])

    assert ["[1]: left 1, right 7", "[500]: only right has 500"] == told


def test_much_that_differs_is_cut_short() -> None:
    told = differences([*range(100)], [*range(100, 200)])

    assert "… and more" == told[-1]
    assert 61 == len(told)


def test_mappings_are_reported_by_their_keys() -> None:
    told = differences({"a": 1, "b": [1]}, {"b": [2], "c": 3})

    assert ["['a']: only left has 1", "['b'][0]: left 1, right 2"] == told[:2]
    assert "['c']: only right has 3" == told[-1]


def test_bodies_are_reported_by_event_and_byte() -> None:
    told = differences(b"data: Hello\n\ndata: you\n\n", b"data: Hello\n\ndata: all\n\n")

    assert "the value: they part at event 2, byte 19 (of 24 and 24)" == told[0]
    assert "the value: they part at byte 1 (of 2 and 2)" == differences(b"ab", b"ac")[0]


@pytest.mark.parametrize(
    "other, expected",
    [
        (
            Recording.of([b"data: a\n\n", b"data: c\n\n"]),
            "body: they part at event 2, byte 15 (of 18 and 18)",
        ),
        (Recording.of([b"data: a\n\ndata: b\n\n"]), "chunks (their sizes): left [9, 9], right [18]"),
        (
            Recording((Arrival(0.0, b"data: a\n\n"), Arrival(1.5, b"data: b\n\n"))),
            "arrivals (their times): left [0.0, 0.0], right [0.0, 1.5]",
        ),
        (Recording.of([b"data: a\n\n", b"data: b\n\n"], status=500), "status: left 200, right 500"),
    ],
)
def test_recordings_are_reported_by_head_body_borders_and_times(other: Recording, expected: str) -> None:
    """First the bytes are compared, then the ends of chunks, then the times."""
    one = Recording.of([b"data: a\n\n", b"data: b\n\n"])

    assert expected == differences(one, other)[0]


def test_values_of_different_types_are_shown() -> None:
    told = differences(1, "1", names=("expected", "came"))

    assert ["the value (of two types, int and str): expected 1, came '1'"] == told


def test_objects_that_only_know_that_they_differ_are_shown() -> None:
    """If no field differs, the values themselves are shown."""
    one, other = object(), object()

    assert [f"the value: left {one!r}, right {other!r}"] == differences(one, other)


@in_one_test(
    "value, ours",
    [
        (Message(), True),
        (Usage(), True),
        (TextDelta("a"), True),
        ([1, TextDelta("a")], True),
        ((ToolCall(),), True),
        (Recording(), True),
        ({"a": 1, "b": Message()}, True),
        ({"a": 1}, False),
        ([1, 2], False),
        ("text", False),
        ([], False),
    ],
)
def test_what_speaks_of_answers_is_known(value: object, ours: bool) -> None:
    assert ours == contains_answers(value)

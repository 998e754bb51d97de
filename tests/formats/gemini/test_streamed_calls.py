"""Gemini: calls whose arguments come value by value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.gemini.payloads import STOP, Payload, call, chunk, text, value
from tests.formats.gemini.streaming import fragments, streamed
from tests.formats.gemini.support import gemini
from tests.support.tables import in_one_test
from tokenstream.events import ToolCallDelta, Unknown

# -- streamed calls --------------------------------------------------------------------


def test_a_streamed_call_grows_value_by_value() -> None:
    told = gemini(
        chunk(call("f", {"thoughtSignature": "c2ln"}, willContinue=True)),
        chunk(value("$.a.b", stringValue="New ", willContinue=True)),
        chunk(value("$.a.b", stringValue='"Delhi"\n', willContinue=True)),
        chunk(value("$.a.b", stringValue="")),
        chunk(value("$.a.list[0].n", numberValue=2.5)),
        chunk(value("$.a.list[1]", boolValue=True)),
        chunk(value("$.a['x y']", nullValue="NULL_VALUE")),
        chunk(value("$.end", stringValue="é")),
        chunk(call(), finish="STOP"),
    )
    expected = {"a": {"b": 'New "Delhi"\n', "list": [{"n": 2.5}, True], "x y": None}, "end": "é"}

    assert [done.arguments for done in told.calls] == [expected]
    assert fragments(told) == told.calls[0].arguments_text
    assert told.calls[0].provider_data == {"thoughtSignature": "c2ln", "made_up_id": True}
    assert told.rules == set()
    first = next(event for event in told.events if isinstance(event, ToolCallDelta))
    assert first.fragment == '{"a": {"b": "New '


def test_several_values_may_come_in_one_piece_and_the_last_may_close() -> None:
    arguments = [{"jsonPath": "$.a", "numberValue": 1}, {"jsonPath": "$.b", "stringValue": "x"}]
    for frames in (
        [chunk(call("f", willContinue=True)), chunk(call(partialArgs=arguments))],
        [chunk(call("f", partialArgs=arguments))],
    ):
        assert [done.arguments for done in gemini(*frames, STOP).calls] == [{"a": 1, "b": "x"}]


def test_fields_of_a_piece_that_are_null_say_nothing() -> None:
    """Some libraries write all fields that a call may have."""
    null = dict.fromkeys(("name", "id", "args", "partialArgs"))
    pieces = [{**null, **piece} for piece in ({"name": "f", "willContinue": True}, {})]
    started, ended = ({"functionCall": piece} for piece in pieces)
    told = gemini(chunk(started), chunk(value("$.a", numberValue=1, args=None)), chunk(ended), STOP)

    assert [done.arguments for done in told.calls] == [{"a": 1}]


def test_a_streamed_call_without_values_has_an_empty_object() -> None:
    assert [done.arguments_text for done in streamed(call()).calls] == ["{}"]


@in_one_test("fields", [{}, {"thoughtSignature": "c2ln"}, {"thought": False, "functionResponse": {}}])
def test_an_empty_call_beside_an_empty_text_ends_a_call(fields: Payload) -> None:
    """Some servers end a streamed call so; behind a whole call, or without any, it says nothing."""
    end = chunk({**fields, "functionCall": {}, "text": ""})
    whole = chunk(call("f", args={"a": 1}))
    ended = gemini(chunk(call("f", willContinue=True)), chunk(value("$.a", numberValue=1)), end, STOP)
    after, alone = gemini(whole, end, STOP), gemini(chunk(text("Hi")), end, STOP)

    assert [{"a": 1}] == [done.arguments for done in ended.calls] == [done.arguments for done in after.calls]
    assert ("Hi", []) == (alone.message.text, alone.calls)
    assert set() == ended.rules == after.rules == alone.rules


def test_other_empty_fields_beside_an_empty_text_end_no_call() -> None:
    """The call goes on behind them."""
    told = streamed(
        {"text": "", "functionResponse": {}}, value("$.a", numberValue=1), {"text": "", "functionCall": {}}
    )

    assert [{"a": 1}] == [done.arguments for done in told.calls]


def test_members_may_come_as_an_object_too() -> None:
    told = streamed(
        call(args={"a": [1, "x"], "b": {"c": None}}, willContinue=True), value("$.d", numberValue=1), call()
    )

    assert [done.arguments for done in told.calls] == [{"a": [1, "x"], "b": {"c": None}, "d": 1}]


def test_a_start_that_comes_twice_begins_one_call() -> None:
    """The tool is not called without its arguments before it is called with them."""
    start = chunk(call("f", willContinue=True))
    told = gemini(start, start, chunk(value("$.a", numberValue=1)), chunk(call()), STOP)

    assert [(done.name, done.arguments) for done in told.calls] == [("f", {"a": 1})]
    assert told.rules == {"call_repeated"}


def test_values_before_the_name_are_those_of_the_call() -> None:
    first, second = chunk(value("$.a", numberValue=1)), chunk(value("$.b", numberValue=2))
    start = chunk(call("f", willContinue=True))
    moved, lost = (
        gemini(first, start, second, chunk(call()), STOP),
        gemini(first, chunk(call()), start, second, STOP),
    )

    assert [done.arguments for done in moved.calls] == [{"a": 1, "b": 2}]
    assert [done.arguments for done in lost.calls] == [{"b": 2}]


def test_two_streamed_calls_follow_each_other() -> None:
    told = gemini(
        chunk(call("f", willContinue=True)),
        chunk(text("meanwhile")),
        chunk(value("$.a", numberValue=1)),
        chunk(call()),
        chunk(call("g", willContinue=True)),
        chunk(value("$.b", numberValue=2)),
        chunk(call()),
        STOP,
    )

    assert [(done.name, done.arguments) for done in told.calls] == [("f", {"a": 1}), ("g", {"b": 2})]
    assert told.rules == set()


def test_a_signature_may_come_with_any_piece() -> None:
    told = streamed({**call(willContinue=True), "thoughtSignature": "c2ln"}, call())

    assert told.calls[0].provider_data == {"thoughtSignature": "c2ln", "made_up_id": True}


def test_calls_of_different_candidates_do_not_mix() -> None:
    told = gemini(
        chunk(call("f", willContinue=True)),
        chunk(call("g", willContinue=True), index=1),
        chunk(value("$.a", numberValue=1)),
        chunk(value("$.a", numberValue=2), index=1),
        chunk(call()),
        chunk(call(), index=1),
        STOP,
        chunk(finish="STOP", index=1),
    )

    assert [(done.name, done.arguments) for done in told.calls] == [("f", {"a": 1}), ("g", {"a": 2})]


# -- values that are hard to place ---------------------------------------------------------


@in_one_test(
    "values",
    [
        [("$", 1)],
        [("a", 1)],
        [("$..a", 1)],
        [("$.a[*]", 1)],
        [("$.a[-1]", 1)],
        [("$[0]", 1)],
        [("$['\\q']", 1)],
        [(None, 1)],
        [("$." + "a." * 400 + "a", 1)],
        [("$.l[1]", 1)],
        [("$.l[999999999]", 1)],
        [("$.l[0]", 1), ("$.l.x", 2)],
        [("$.l.x", 1), ("$.l[0]", 2)],
        [("$.a", 1), ("$.a.b", 2)],
        [("$.a", 1), ("$.b", 2), ("$.a", 3)],
        [("$.a.x", 1), ("$.b", 2), ("$.a.y", 3)],
        [("$.l[0].x", 1), ("$.l[1].x", 2), ("$.l[0].y", 3)],
        [("$.a", 1), ("$.a.b", 2), ("$.c", 3)],
        [("$.l[0]", 1), ("$.l.x", 2), ("$.c", 3)],
    ],
)
def test_a_value_that_has_no_place_leaves_the_call_unfinished(values: list[tuple[Any, int]]) -> None:
    told = streamed(*[value(path, numberValue=number) for path, number in values], call())

    assert told.calls == []
    assert "call_invalid" in told.rules
    assert [each.name for each in told.message.tool_calls] == ["f"]


def test_a_piece_without_a_value_is_carried() -> None:
    told = streamed(value("$.a", numberValue=1), value("$.b"), call())

    assert [done.arguments for done in told.calls] == [{"a": 1}]
    assert told.rules == {"delta_misfits"}
    assert told.data["partialArgs"] == [{"jsonPath": "$.b"}]
    assert any(isinstance(event, Unknown) for event in told.events)


@pytest.mark.parametrize("fields", [{"stringValue": 1}, {"numberValue": "3"}, {"structValue": {"x": 1}}])
def test_a_call_with_a_value_that_cannot_be_read_is_not_handed_out(fields: Payload) -> None:
    """A call must not run without an argument that the model gave it."""
    told = streamed(value("$.a", numberValue=1), value("$.b", **fields), call())

    assert told.calls == []
    assert told.rules == {"delta_misfits", "call_invalid"}
    assert told.data["partialArgs"] == [{"jsonPath": "$.b", **fields}]


def test_a_piece_without_a_value_may_end_a_string() -> None:
    told = streamed(value("$.a", stringValue="x", willContinue=True), value("$.a"), call())

    assert [done.arguments for done in told.calls] == [{"a": "x"}]
    assert told.rules == set()


def test_a_number_that_json_has_no_word_for_is_no_value() -> None:
    """A client may hold one."""
    told = gemini(
        chunk(call("f", willContinue=True)),
        chunk(value("$.a", numberValue=float("inf"))),
        chunk(call()),
        STOP,
        plain=True,
    )

    assert told.calls == []
    assert told.rules == {"delta_misfits", "call_invalid"}


def test_arguments_of_a_streamed_call_that_are_no_object_leave_it_unfinished() -> None:
    """No member can be told."""
    told = streamed(call(args=[1], willContinue=True), call())

    assert told.calls == []
    assert told.rules == {"call_invalid"}


def test_halves_of_a_character_are_joined_over_pieces() -> None:
    """Some servers cut it in the middle."""
    told = streamed(
        value("$.a", stringValue="\ud83d", willContinue=True), value("$.a", stringValue="\ude00"), call()
    )

    assert [done.arguments for done in told.calls] == [{"a": "😀"}]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\\n é😀', max_size=5),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("ab c.'\"", min_size=1, max_size=3), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)

objects = st.dictionaries(st.sampled_from(["a", "b", "c d", "é"]), values, min_size=1, max_size=4)


def pieces_of(inside: Any, path: str = "$", *, letters: bool = True) -> list[Payload]:
    """Return the pieces in which a streamed call brings a value; strings whole or character by character."""
    named: list[tuple[Any, Any]] = []
    if isinstance(inside, dict):
        named = [(json.dumps(name), each) for name, each in inside.items()]
    elif isinstance(inside, list):
        named = list(enumerate(inside))
    if named:
        return [
            piece for name, each in named for piece in pieces_of(each, f"{path}[{name}]", letters=letters)
        ]
    if isinstance(inside, str) and letters:
        return [
            *[value(path, stringValue=letter, willContinue=True) for letter in inside],
            value(path, stringValue=""),
        ]
    if isinstance(inside, str):
        return [value(path, stringValue=inside)]
    if inside is None:
        return [value(path, nullValue="NULL_VALUE")]
    return [value(path, **({"boolValue": inside} if isinstance(inside, bool) else {"numberValue": inside}))]


# -- laws ----------------------------------------------------------------------------------


@given(objects)
def test_any_object_can_be_streamed(expected: Any) -> None:
    told = streamed(*pieces_of(expected), call())

    assert [done.arguments for done in told.calls] == [expected]
    assert fragments(told) == told.calls[0].arguments_text
    assert told.rules == set()


@given(objects, st.randoms(use_true_random=False))
def test_pieces_in_any_order_give_the_object_or_no_call(expected: Any, chance: Any) -> None:
    """A call that is handed out is right; where an array's elements can't be placed, there is none."""
    pieces = pieces_of(expected, letters=False)
    chance.shuffle(pieces)
    told = streamed(*pieces, call())

    for done in told.calls:
        assert done.arguments == expected
        assert fragments(told) == done.arguments_text


@pytest.mark.parametrize("before", [[], [value("$.a", numberValue=1)]])
def test_pieces_after_the_reason_stop_belong_to_their_call(before: list[Payload]) -> None:
    """A chunk with STOP is not the end: the call is handed out once, with all of its arguments."""
    late = [value("$.b", stringValue="x"), call()]
    begun = [chunk(call("f", willContinue=True)), *[chunk(part) for part in before]]
    told = gemini(*begun, STOP, *[chunk(part) for part in late])

    (done,) = told.calls
    assert ({"a": 1} if before else {}) | {"b": "x"} == done.arguments
    assert "tool_calls" == told.reason
    assert "content_after_finish" in told.rules

"""The elements of an array of a document, each as soon as it is finished."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, TypeAdapter

from tests.stages.test_objects_partials import Named, Step
from tests.support.tables import in_one_test
from tests.support.texts import fragmentations, pieces_of, run
from tokenstream.errors import InvalidJSON, LimitExceeded, OutputIncomplete, OutputInvalid
from tokenstream.stages._objects.items import Items

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass
class Point:
    x: int
    y: int


def _shown(items: list[Any]) -> list[Any]:
    """Return items, invalid ones as their texts and where they are wrong."""
    return [
        (item.text, [error["loc"] for error in item.errors]) if isinstance(item, OutputInvalid) else item
        for item in items
    ]


@in_one_test(
    "type_, at, text, expected",
    [
        (int, "", "[1, 22, 333]", [1, 22, 333]),
        (str, "tags", '{"other": ["no"], "tags": ["a", "b\\n"], "more": ["no"]}', ["a", "b\n"]),
        (int, "r.1.s", '{"r": [{"s": [1]}, {"s": [2, 3]}]}', [2, 3]),
        (int, ("a.b", "*"), '{"a.b": {"c": [1], "d": [2]}}', [1, 2]),
        (int, "a", '{"a": [1], "a": [2, 3]}', [1, 2, 3]),
        (int, "a", '{"a": {"k": 1, "k": 2}}', [1, 2]),
        (int, "a", '{"a": null}', []),
        (int | None, "", "[1, null]", [1, None]),
        (
            Step,
            "",
            '[{"text": "a"}, {"text": "b", "minutes": 2}]',
            [Step(text="a"), Step(text="b", minutes=2)],
        ),
        (Point, "points", '{"points": {"p": {"x": 1, "y": 2}}}', [Point(1, 2)]),
        (Named, "", '[{"name": "\\u00e9\\ud83e\\udd5e"}]', [{"name": "é🥞"}]),
        (TypeAdapter(list[Point]), "", '[[{"x": 1, "y": 2}]]', [[Point(1, 2)]]),
    ],
)
def test_items_are_the_validated_elements_in_order(type_: Any, at: Any, text: str, expected: Any) -> None:
    for pieces in fragmentations(text):
        items = Items[Any](type_, at)

        assert expected == run(items, pieces)
        assert items.error is None
        assert items.complete


def test_an_element_is_returned_when_it_is_finished() -> None:
    items = Items[Any](_ANY, "a")
    given_out = [items.feed(piece) for piece in ['{"a": [{"x": 1', "}", ' , "b', '"', ", 12", "3", "]"]]

    assert [[], [{"x": 1}], [], ["b"], [], [], [123]] == given_out


def test_an_invalid_element_gives_an_error_in_its_place_and_reading_continues() -> None:
    text = '{"r": [{"s": [{"text": "a"}, {"text":  1, "minutes": "x"}]}, {"s": [{"text": "b"}, 3]}]}'
    for pieces in fragmentations(text):
        items = Items(Step, "r.*.s")
        found = run(items, pieces)

        assert [
            Step(text="a"),
            ('{"text":  1, "minutes": "x"}', [("r", 0, "s", 1, "text"), ("r", 0, "s", 1, "minutes")]),
            Step(text="b"),
            ("3", [("r", 1, "s", 1)]),
        ] == _shown(found)
        assert items.error is None
        assert items.stop is None


def test_the_error_of_an_element_says_where_it_is_and_not_what_it_holds() -> None:
    """The model's text may be private, so the error names only the place."""
    text = '{"secret": {"steps": [{"text": "secret", "minutes": "secret"}]}}'
    (error,) = run(Items(Step, "*.steps"), [text])

    assert isinstance(error, OutputInvalid)
    assert "the element at character 22 is no valid Step: at *.steps.0.minutes: Input should be" in str(error)
    assert "secret" not in str(error)


def test_an_exception_of_a_validator_other_than_value_error_ends_the_stage() -> None:
    def look_up(key: int) -> int:
        return {1: 1}[key]

    looked_up: Any = Annotated[int, AfterValidator(look_up)]
    for pieces in fragmentations("[1, 1, 2, 1]"):
        items = Items[Any](looked_up)

        assert [1, 1] == run(items, pieces)
        assert isinstance(items.error, KeyError)
        assert items.stop is None
        with pytest.raises(KeyError):
            items.check()


def test_fail_fast_stops_at_the_first_invalid_element() -> None:
    for pieces in fragmentations('[1, "x", no JSON'):
        items = Items(int, fail_fast=True)

        assert [1] == run(items, pieces)
        assert isinstance(items.error, OutputInvalid)
        assert not isinstance(items.error, InvalidJSON)
        assert items.error.text == '"x"'
        assert items.stop is not None
        assert items.feed("[3]") == []
        with pytest.raises(OutputInvalid):
            items.check()


def test_broken_json_is_an_error_at_the_end_or_at_once_with_fail_fast() -> None:
    for pieces in fragmentations("[1, 2, x, 3]"):
        patient, hasty = Items(int), Items(int, fail_fast=True)
        found = [item for piece in pieces for item in patient.feed(piece)]
        patient.check()

        assert [1, 2] == found == run(hasty, pieces)
        assert patient.end() == []
        assert patient.stop is None
        assert hasty.stop is not None
        for error in (patient.error, hasty.error):
            assert isinstance(error, InvalidJSON)
            assert error.offset == 7


@in_one_test("end", range(21))
def test_a_document_that_is_cut_gives_its_whole_elements(end: int) -> None:
    text = '{"a": ["x", "y", {}]}'[:end]
    items = Items[Any](_ANY, "a")

    assert [value for value, done in (("x", 10), ("y", 15), ({}, 19)) if done <= end] == run(
        items, list(text)
    )
    assert isinstance(items.error, OutputIncomplete)
    assert items.error.offset == end
    assert not items.complete


@pytest.mark.parametrize(
    "at, text, says",
    [
        ("", '"x"', "the document is a string at character 0, where an array or an object was expected"),
        ("", "12", "the document is a number at character 0"),
        ("a", '{"a": 5}', "'a' is a number at character 6"),
        ("a", '{"a": false}', "'a' is true or false"),
        ("a.*.b", '{"a": [{"b": "x"}]}', "'a.*.b' is a string"),
    ],
)
def test_a_path_to_a_value_without_elements_is_an_error(at: str, text: str, says: str) -> None:
    for pieces in fragmentations(text):
        items = Items(int, at)
        (error,) = run(items, pieces)

        assert isinstance(error, OutputInvalid)
        assert says in str(error)
        assert items.error is None


def test_other_arrays_are_read_where_one_of_them_is_none() -> None:
    text = '[{"a": [1]}, {"a": "x"}, {"a": [2]}]'
    found = run(Items(int, "*.a"), [text])
    hasty = Items(int, "*.a", fail_fast=True)

    assert [1, OutputInvalid, 2] == [
        type(item) if isinstance(item, OutputInvalid) else item for item in found
    ]
    assert [1] == run(hasty, [text])
    assert hasty.stop is not None


def test_a_document_that_is_too_deep_is_an_error() -> None:
    patient, hasty = Items(_ANY), Items(_ANY, fail_fast=True)
    assert len(run(Items(_ANY), ["[" * 200 + "]" * 200])) == 1
    patient.feed("[" * 201 + "]" * 201)
    hasty.feed("[" * 201)

    assert patient.error is None
    assert isinstance(hasty.error, LimitExceeded)
    assert patient.end() == []
    assert isinstance(patient.error, LimitExceeded)


@pytest.mark.parametrize(
    "at, before, label, between, after",
    [("", "[", "", ", ", "]"), ("k", '{"k": {', '"{}": ', ", ", "}}"), ("*", "[[", "", "], [", "]]")],
)
def test_a_long_list_takes_no_more_memory_than_a_short_one(
    at: str, before: str, label: str, between: str, after: str
) -> None:
    """Nothing of the elements is held but their places: eight bytes in an array, the key in an object."""
    step = json.dumps({"text": "x" * 500})
    count = 1_000
    items = Items(Step, at)
    items.feed(before)
    tracemalloc.start()
    for number in range(count):
        items.feed(label.format(number) + step)
        items.feed(between)
    held, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < count * 250
    assert items.feed(label + step + after) == [Step(text="x" * 500)]
    assert items.complete


def _selected(document: Any, at: tuple[str, ...]) -> list[Any]:
    """Return the elements at a path, found out by recursion."""
    if not at:
        inner = document.values() if isinstance(document, dict) else document
        return list(inner) if isinstance(document, dict | list) else []
    if isinstance(document, list):
        return [x for each in document for x in _selected(each, at[1:])] if at[0] == "*" else []
    if isinstance(document, dict):
        each_of = document.values() if at[0] == "*" else [document[at[0]]] if at[0] in document else []
        return [x for each in each_of for x in _selected(each, at[1:])]
    return []


@given(
    document=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        max_leaves=15,
    ),
    at=st.lists(st.sampled_from(["a", "b", "*"]), max_size=3).map(tuple),
    size=st.integers(1, 9),
    indent=st.none() | st.just(1),
)
def test_items_equal_the_elements_that_json_loads_reads(
    document: Any, at: Any, size: int, indent: int | None
) -> None:
    items = Items[Any](_ANY, at)
    found = run(items, pieces_of(json.dumps(document, indent=indent), size))

    assert _selected(document, at) == [item for item in found if not isinstance(item, OutputInvalid)]
    assert not isinstance(items.error, InvalidJSON | OutputIncomplete)

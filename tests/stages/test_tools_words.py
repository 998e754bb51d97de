"""What a model is told about a call that cannot be run."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Discriminator, Field, Tag, field_validator

from tests.stages.test_tools import checked
from tests.support.effort import examples
from tests.support.tables import in_one_test
from tokenstream._basics.words import words_for_model


class CatModel(BaseModel):
    kind: Literal["cat"]
    lives: int


class DogModel(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


def _kind_of(value: Any) -> str:
    return "CatModel" if isinstance(value, dict) and "lives" in value else "no kind"


class Booking(BaseModel):
    name: str = Field(default="Ada", min_length=2)
    size: int = 2
    day: date | None = None
    room: Literal["A", "B"] = "A"
    pet: Annotated[CatModel | DogModel, Field(discriminator="kind")] | None = None
    other: CatModel | DogModel | None = None
    told: (
        Annotated[
            Annotated[CatModel, Tag("CatModel")] | Annotated[DogModel, Tag("DogModel")],
            Discriminator(_kind_of),
        ]
        | None
    ) = None
    either: int | bool = 1
    deep: int | dict[str, Literal[1] | list[int]] = 1
    seats: dict[str, list[CatModel]] = {}
    by_number: dict[int, str] = {}

    @field_validator("size")
    @classmethod
    def _even(cls, size: int) -> int:
        if size % 2:
            raise ValueError("only\n  even sizes")
        return size

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        assert name != "Bob", "Bob may not book"
        return name


def lines(arguments: Any) -> list[str]:
    return checked(Booking, arguments).error_for_model.splitlines()[1:-1]


@in_one_test(
    "arguments, expected",
    [
        ({"name": 1}, "name: should be a valid string, not 1"),
        ({"name": "A"}, 'name: should have at least 2 characters, not "A"'),
        ({"name": "Bob"}, "name: Bob may not book"),
        ({"size": 3}, "size: only even sizes"),
        ({"pet": {"kind": "cow"}}, "pet: kind should be one of 'cat', 'dog'"),
        ({"pet": 3}, "pet: should be an object"),
        ({"told": {}}, "told: what tells its kind should be one of 'CatModel', 'DogModel'"),
        ({"seats": []}, "seats: should be an object"),
        ({"seats": {"x": [{"kind": "cat", "lives": "nine"}]}}, "seats.x[0].lives: should be"),
        ([], "the arguments: should be an object"),
        (
            {"other": {"kind": "cat"}},
            "other: lives is missing, or kind should be 'dog', not \"cat\"; tricks is missing",
        ),
        ({"either": []}, "either: should be a valid integer, or should be a valid boolean"),
        ({"deep": {"x": 3}}, "deep: should be a valid integer, or x should be 1, not 3; x should be"),
    ],
)
def test_each_place_is_listed_with_its_problem_and_the_expectation(arguments: Any, expected: str) -> None:
    [line] = lines(arguments)

    assert line.startswith(f"- {expected}")


def test_the_message_says_what_to_do() -> None:
    assert (
        "The arguments of tool are not valid:\n"
        "- name: should be a valid string, not null\n"
        "- pet: lives is missing\n"
        "Call tool again with all of its arguments, corrected."
    ) == checked(Booking, {"name": None, "pet": {"kind": "cat"}}).error_for_model


@pytest.mark.parametrize(
    "text, expected",
    [
        ('{"name": "A', "they end after 11 characters, before they are whole"),
        ('{"name": Ada}', 'they go wrong at character 9, near "{\\"name\\": Ada}"'),
        ('{"name": "Ada"} and', "they go wrong at character 16, near"),
    ],
)
def test_the_message_names_the_place_where_json_is_broken(text: str, expected: str) -> None:
    words = checked(Booking, text).error_for_model

    assert f"The arguments of tool are no valid JSON: {expected}" in words
    assert words.endswith(". Call tool again with one JSON object.")


@pytest.mark.slow
@examples(40)
@given(
    st.dictionaries(
        st.sampled_from([*Booking.model_fields, "more"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=400),
            lambda inner: (
                st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
            ),
            max_leaves=20,
        ),
    )
)
def test_the_message_is_short_and_names_no_class_of_the_program(arguments: dict[str, Any]) -> None:
    words = checked(Booking, arguments).error_for_model

    assert len(words) < 4_500
    assert not [name for name in ("Booking", "pydantic", "http", "function-", "_kind_of") if name in words]


def test_places_beyond_a_dozen_are_counted() -> None:
    """A model corrects what it is told first."""
    call = checked(list[int], ["x"] * 30)

    assert "- [11]: should be" in call.error_for_model
    assert "- and 18 more places\nCall tool again" in call.error_for_model
    assert "[12]" not in call.error_for_model


def test_long_values_and_long_lines_are_cut() -> None:
    """The model knows what it wrote."""
    [line] = lines({"name": ["x" * 500], "size": 2})
    long = checked(Literal["a" * 400], '"b"').error_for_model.splitlines()[1]

    [of_long_key] = lines({"by_number": {"k" * 500: "y"}})

    assert len(line) < 80
    assert 300 < len(long) < 310
    assert of_long_key.startswith("- by_number.kkk")
    assert "k…: should be a valid integer" in of_long_key


def test_errors_of_other_validators_are_reported_unchanged() -> None:
    errors: list[dict[str, Any]] = [
        {"loc": ("a",), "msg": "is odd"},
        {"loc": ("b",)},
        {"loc": ("c",), "msg": "Input should be set", "input": {1, 2}},
        {"msg": "Input should be whole", "input": "x"},
    ]

    assert [
        "- a: is odd",
        "- b: is not valid",
        "- c: should be set, not this",
        '- the arguments: should be whole, not "x"',
    ] == words_for_model("tool", json.dumps({"a": 1, "b": 2, "c": 3}), None, errors).splitlines()[1:-1]
    assert "- the arguments: is odd" in words_for_model("tool", "oops", None, errors)

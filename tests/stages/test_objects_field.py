"""One string of a document, as it is written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tests.support.texts import fragmentations, pieces_of, run
from tokenstream.errors import MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.stages._objects.items import Field


@in_one_test(
    "at, text, expected",
    [
        ("title", '{"title": "Pancakes", "minutes": 20}', "Pancakes"),
        ("title", '{"minutes": 20, "title": "Pan\\ncakes \\u00e9 \\ud83e\\udd5e"}', "Pan\ncakes é 🥞"),
        ("steps.*.text", '{"steps": [{"text": "a"}, {"n": 1, "text": "b"}, {}]}', "ab"),
        ("*", '{"a": "x", "b": "y"}', "xy"),
        (("a.b", 0), '{"a.b": ["x"], "a": {"b": ["no"]}}', "x"),
        ("", '"all of it"', "all of it"),
        ("title", '{"title": null}', ""),
        ("recipe.title", '{"recipe": null}', ""),
        ("*.title", "[]", ""),
        ("*.title", '[null, {"title": "x"}]', "x"),
        ("title", '{"title": "a", "title": "b"}', "ab"),
    ],
)
def test_a_field_returns_its_text(at: Any, text: str, expected: str) -> None:
    for pieces in fragmentations(text):
        field = Field(at)

        assert expected == "".join(map(str, run(field, pieces)))
        assert field.error is None


def test_each_piece_is_returned_when_it_arrives() -> None:
    """Nothing waits for the string's end, but half an escape waits for its other half."""
    field = Field("title")
    given_out = [field.feed(piece) for piece in ['{"tit', 'le": "Pan', "ca", "kes \\", 'n", "x": "y"}']]

    assert [[], ["Pan"], ["ca"], ["kes "], ["\n"]] == given_out


@in_one_test(
    "at, text, offset, says",
    [
        ("title", '{"title": 5}', 10, "'title' is a number at character 10, where a string was expected"),
        ("title", '{"title": ["x"]}', 10, "'title' is an array at character 10"),
        ("", '{"title": "x"}', 0, "the document is an object at character 0"),
        ("title", "{}", None, "nothing at 'title': the document is an object without that key"),
        ("*.title", '[{"x": 1}]', None, "nothing at '*.title': '*' is an object without that key"),
        ("a.b.c", '{"a": {"b": 1}}', None, "nothing at 'a.b.c': 'a.b' is a number"),
        ("a.*.c", '{"a": [{}]}', None, "nothing at 'a.*.c': 'a.*' is an object without that key"),
        (("a.b",), '{"a": {"b": "x"}}', None, "nothing at ('a.b',): the document is an object without"),
    ],
)
def test_a_path_to_no_string_is_an_error(at: Any, text: str, offset: int | None, says: str) -> None:
    for pieces in fragmentations(text):
        field = Field(at)
        given_out = run(field, pieces)

        assert [] == given_out
        assert isinstance(field.error, OutputInvalid)
        assert says in str(field.error)
        assert offset == field.error.offset


def test_of_several_matches_a_value_that_is_no_string_gives_an_error_in_its_place() -> None:
    """Reading goes on behind it, as it does with elements that are invalid, and the error says so."""
    behind = "; a new loop over the same view goes on after it"
    for pieces in fragmentations('[{"t": "a"}, {"t": 1}, {"t": "b"}, {"t": {"t": "no"}}, {"t": "c"}]'):
        field = Field("*.t")
        given_out = [str(each) for each in run(field, pieces)]

        assert [
            "a",
            f"'*.t' is a number at character 19, where a string was expected{behind}",
            "b",
            f"'*.t' is an object at character 41, where a string was expected{behind}",
            "c",
        ] == given_out
        assert field.error is None


@pytest.mark.parametrize("at", ["*.t", "1.t"])
def test_fail_fast_stops_at_the_first_value_that_is_no_string(at: str) -> None:
    for pieces in fragmentations('[{"t": "a"}, {"t": 1}, {"t": "b"}]'):
        field = Field(at, fail_fast=True)
        given_out = [piece for each in pieces for piece in field.feed(each)]

        assert ("a" if at == "*.t" else "") == "".join(map(str, given_out))
        assert isinstance(field.error, OutputInvalid)
        assert "the output is invalid" == field.stop


@pytest.mark.parametrize("cut", ["", " ", '{"a"', '{"a": "x', '{"a": "x"', '"a'])
def test_a_document_that_is_cut_is_incomplete(cut: str) -> None:
    field = Field("a")
    pieces = run(field, list(cut))

    assert ("x" if "x" in cut else "") == "".join(map(str, pieces))
    assert isinstance(field.error, OutputIncomplete)
    assert len(cut) == field.error.offset


def test_an_invalid_path_is_refused_when_the_stage_is_made() -> None:
    with pytest.raises(MisuseError):
        Field("steps[0]")


@given(
    document=st.recursive(
        st.text(max_size=5) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=8,
    ),
    wanted=st.text(max_size=30),
    size=st.integers(1, 7),
    escaped=st.booleans(),
)
def test_the_pieces_of_a_field_add_up_to_its_value(
    document: Any, wanted: str, size: int, escaped: bool
) -> None:
    text = json.dumps({"before": document, "in": [{"side": wanted}], "after": document}, ensure_ascii=escaped)
    field = Field("in.0.side")

    assert wanted == "".join(map(str, run(field, pieces_of(text, size))))
    assert field.error is None

"""Structured output from models that are not held to JSON."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from tests.support.outputs import output_of
from tests.support.tables import in_one_test
from tests.support.texts import fragmentations, pieces_of, run
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid
from tokenstream.stages._objects.items import Field, Items
from tokenstream.stages._objects.partials import Partials

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


class Step(BaseModel):
    text: str
    done: bool = False


class Recipe(BaseModel):
    title: str
    steps: list[Step]


_ALMOST = (
    "Here it is:\n```json\n{title: 'Pan\\'s', // a comment\n \"steps\": [{'text': \"Mix\", 'done': True,},"
    ' {"text": "Bake"},],}\n```\nEnjoy!'
)
_RECIPE = Recipe(title="Pan's", steps=[Step(text="Mix", done=True), Step(text="Bake")])


def test_an_object_its_elements_and_a_field_are_read_from_almost_json() -> None:
    for pieces in fragmentations(_ALMOST):
        drafts, items = Partials(Recipe, lenient=True), Items(Step, "steps", lenient=True)
        field = Field("title", lenient=True)

        assert _RECIPE == run(drafts, pieces)[-1].final()
        assert _RECIPE.steps == run(items, pieces)
        assert "Pan's" == "".join(map(str, run(field, pieces)))
        assert drafts.error is items.error is field.error is None
    assert _RECIPE == output_of(Recipe, _ALMOST, lenient=True)


def test_a_document_without_an_end_is_closed() -> None:
    for pieces in fragmentations('[{"text": "a"}, {"text": "b"'):
        items, drafts = Items(Step, lenient=True), Partials(list[Step], lenient=True)

        assert [Step(text="a"), Step(text="b")] == run(items, pieces) == run(drafts, pieces)[-1].final()
        assert items.error is drafts.error is None


@in_one_test("end", range(0, len(_ALMOST), 3))
def test_what_is_cut_adds_up_to_the_same_whatever_its_pieces(end: int) -> None:
    def read(pieces: list[str]) -> list[Any]:
        items, field = Items(Step, "steps", lenient=True), Field("title", lenient=True)
        drafts = Partials(Recipe, lenient=True)
        elements = [str(item) for item in run(items, pieces)]
        last = repr(run(drafts, pieces)[-1:])
        return [
            elements,
            "".join(map(str, run(field, pieces))),
            last,
            *map(repr, (items.error, field.error, drafts.error)),
        ]

    text = _ALMOST[:end]

    assert read([text]) == read(list(text)) == read([text[:7], text[7:]])


@pytest.mark.parametrize(
    "text, refused",
    [
        ('Here it is: ["a", "b"] as asked', False),
        ('["a", "b"]\n["a", "b"]', False),
        ('["a", "b"]\n["a", null]', True),
        ('["a", "b"]\n["a", "c"]', True),
    ],
)
def test_what_was_given_still_counts_in_what_may_follow_the_document(text: str, *, refused: bool) -> None:
    """Text or a second document after it is judged alike however it came, by all values."""
    for pieces in fragmentations(text):
        items, field = Items(str, lenient=True), Field("*", lenient=True)

        assert ["a", "b"] == run(items, pieces)
        assert "ab" == "".join(map(str, run(field, pieces)))
        assert [isinstance(stage.error, InvalidJSON) for stage in (items, field)] == [refused, refused]


def test_closed_refuses_a_document_without_an_end() -> None:
    for pieces in fragmentations("[{text: 'a'}, {text: 'b'"):
        items, drafts = Items(Step, lenient="closed"), Partials(list[Step], lenient="closed")
        field = Field("0.text", lenient="closed")

        assert [Step(text="a")] == run(items, pieces)
        assert not run(drafts, pieces)[-1].complete
        assert "a" == "".join(map(str, run(field, pieces)))
        assert {OutputIncomplete} == {type(stage.error) for stage in (items, drafts, field)}
        with pytest.raises(OutputIncomplete):
            output_of(list[Step], "".join(pieces), lenient="closed")
    for pieces in fragmentations(_ALMOST):
        assert _RECIPE == run(Partials(Recipe, lenient="closed"), pieces)[-1].final()
    none: Any
    for none in (Items(Step, lenient="closed"), Partials(Step, lenient="closed")):
        run(none, ["I am sorry."])
        assert "no JSON document" in str(none.error)


def test_snapshots_have_the_repairs_so_far() -> None:
    text = "{title: 'Pan', steps: [{text: 'Mix', done: True,}, {text: 'Fry'}]}"
    for pieces in fragmentations(text):
        stage = Partials(Recipe, lenient=True)
        drafts = run(stage, pieces)
        names = [[repair.name for repair in draft.repairs] for draft in drafts]

        assert names == sorted(names, key=len)
        assert names[-1][:2] == ["unquoted_key", "single_quotes"]
        assert drafts[-1].repairs == pickle.loads(pickle.dumps(drafts[-1])).repairs
        assert drafts[-1].repairs == stage.repairs
        assert [text.index("'Pan'")] == [
            each.offset for each in stage.repairs if each.name == "single_quotes"
        ][:1]
    whole = Partials(list[Recipe])
    assert () == run(whole, ['[{"title": "a", "steps": []}]'])[-1].repairs == whole.repairs
    inner = Partials(Recipe, lenient=True).feed("{title: 'Pan', steps: [{text: 'Mi")[-1].steps[0]
    assert ["unquoted_key", "single_quotes"] == [repair.name for repair in inner.repairs]
    items = Items(Step, "steps", lenient=True)
    run(items, [text])
    assert "python_literal" in [repair.name for repair in items.repairs]


@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
        max_leaves=10,
    ),
    size=st.integers(1, 9),
)
def test_json_is_read_as_it_is_written(document: Any, size: int) -> None:
    pieces = pieces_of(json.dumps({"a": document}), size)
    items, drafts = Items(_ANY, lenient=True), Partials(_ANY, lenient=True)

    assert [document] == run(items, pieces)
    assert {"a": document} == run(drafts, pieces)[-1].final()
    assert items.error is drafts.error is None


def test_an_invalid_element_is_an_error_with_the_text_that_was_read() -> None:
    (error,) = run(Items(Step, lenient=True), ["[{'text': 5}]"])

    assert isinstance(error, OutputInvalid)
    assert error.text == '{"text": 5}'


@pytest.mark.parametrize(
    "make", [lambda: Partials(_ANY), lambda: Items(_ANY, "steps"), lambda: Field("title")]
)
def test_nothing_is_repaired_unless_it_is_asked_for(make: Callable[[], Any]) -> None:
    stage = make()
    run(stage, [_ALMOST])

    assert isinstance(stage.error, InvalidJSON)


@pytest.mark.parametrize(
    "stage", [lambda: Partials(Recipe, lenient=True), lambda: Items(Step, "steps", lenient=True)]
)
def test_prose_without_any_json_is_invalid_and_not_incomplete(stage: Callable[[], Any]) -> None:
    for pieces in fragmentations("I am sorry."):
        reading = stage()

        assert [] == run(reading, pieces)
        assert type(reading.error) is OutputInvalid
        assert "no JSON document" in str(reading.error)

"""Typed objects that fill in as their text arrives."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from pydantic_core import SchemaError

from tests.partial_json.typed import STEP, draft_of, drafted, partial_of
from tests.partial_json.typed_models.keys import Aliased, ByName, Extra
from tests.partial_json.typed_models.shapes import Node, Recipe, Step
from tests.partial_json.typed_models.unions import Owner, Unions
from tests.partial_json.typed_models.validators import Before, Fields, Late, LeftOut
from tests.support.texts import pieces_of
from tokenstream.errors import LimitExceeded, OutputInvalid
from tokenstream.partial_json import MISSING
from tokenstream.stages._objects.partials import Partials

# -- what shows while it grows -------------------------------------------------------------


def _drafts(type_: Any, pieces: list[str], **options: Any) -> Iterator[Partials[Any]]:
    draft: Partials[Any] = Partials(type_, **options)
    for piece in pieces:
        draft.feed(piece)
        yield draft


def test_a_field_shows_as_far_as_it_is() -> None:
    """Text grows, objects and arrays fill in; a number shows when its end has been seen."""
    pieces = [
        '{"name": "Pan',
        'cakes", "steps": [{"title": "mi',
        'x", "minutes": 1',
        '2}, {"ti',
        'tle": "fry',
    ]
    shown = [repr(draft.partial()) for draft in _drafts(Recipe, pieces)]
    mix = Step(title="mix", minutes=12)

    assert [
        "Partial[Recipe](name='Pan', …)",
        "Partial[Recipe](name='Pancakes', steps=[Partial[Step](title='mi', …)], …)",
        "Partial[Recipe](name='Pancakes', steps=[Partial[Step](title='mix', …)], …)",
        f"Partial[Recipe](name='Pancakes', steps=[{mix!r}, Partial[Step](…)], …)",
        f"Partial[Recipe](name='Pancakes', steps=[{mix!r}, Partial[Step](title='fry', …)], …)",
    ] == shown


def test_text_that_becomes_something_else_shows_when_it_is_that() -> None:
    """A date, a secret or a literal never shows as half its text."""

    class Day(BaseModel):
        day: dt.date
        name: str

    first, second = (draft.partial() for draft in _drafts(Day, ['{"day": "2020-01', '-02", "name": "x']))

    assert (MISSING, "x") == (first.day, second.name)
    assert dt.date(2020, 1, 2) == second.day


def test_a_null_is_distinguished_from_what_is_missing() -> None:
    draft = partial_of(Step, '{"title": "x", "note": null')

    assert (None, MISSING) == (draft.note, draft.minutes)
    assert ["title", "note"] == list(draft)


def test_a_finished_field_is_wrong_at_once() -> None:
    found = [
        [(error["type"], error["loc"]) for error in draft.partial().errors]
        for draft in _drafts(Recipe, ['{"name": 1, "steps": [{"title": "x", "minutes": "soon', '"', ', "ti'])
    ]
    name = ("string_type", ("name",))

    assert [[name], [name, ("int_parsing", ("steps", 0, "minutes"))]] == [found[0], found[2]]
    assert found[1] == found[2]


def test_an_invalid_value_shows_as_it_came() -> None:
    """What was shown is not taken back because it proves invalid."""
    text = f'{{"name": "much too long for it", "steps": [{{"minutes": 3}}], "best": {STEP}'
    draft = partial_of(Recipe, text)

    assert "much too long for it" == draft.name
    assert "Partial[Step](minutes=3)" == repr(draft.steps[0])
    assert (True, [("steps", 0, "title")]) == (
        draft.steps[0].complete,
        [error["loc"] for error in draft.steps[0].errors],
    )


def test_a_key_that_comes_again_has_its_last_value() -> None:
    text = '{"title": 1, "title": "y'
    first, second, third = _drafts(Step, ['{"title": 1', ', "title": "y', '"}'])

    assert "y" == partial_of(Step, text).title
    assert (Step(title="y"), ()) == (third.partial().final(), third.partial().errors)
    assert first is second is third


def test_other_errors_stay_when_a_key_comes_again() -> None:
    """Only what was wrong with the key's earlier value is forgotten."""
    draft = partial_of(Recipe, '{"name": 1, "tags": {"a": "x"}, "name": "y"')

    assert [("tags", "a")] == [error["loc"] for error in draft.errors]


def test_aliases_are_read_and_names_are_shown() -> None:
    """A draft has a field under its name, whatever key it came with; errors name the key."""
    draft = partial_of(Aliased, '{"A": 1, "b2": "tex')

    assert (1, "tex") == (draft.a, draft.b)
    assert [("A",)] == [error["loc"] for error in partial_of(Aliased, '{"A": "x"').errors]


def test_an_unknown_key_shows_only_where_the_model_keeps_it() -> None:
    kept, ignored = partial_of(Extra, '{"z": [1, {"y": "tex'), partial_of(Step, '{"z": [1, {"y": "tex')
    forbidden = partial_of(ByName, '{"z": [1], ')

    assert [1, {"y": "tex"}] == kept.z
    assert [] == list(ignored)
    assert [("extra_forbidden", ("z",))] == [(error["type"], error["loc"]) for error in forbidden.errors]


def test_a_member_of_a_union_is_known_once_its_tag_is() -> None:
    """Before the discriminator the fields show as they came, behind it validated; later ones at once."""
    pieces = ['{"favourite": {"step": {"title": "x"}, "name": 3', ', "kind": "dog"', ', "name": "d"']
    before, behind, last = (draft.partial().favourite for draft in _drafts(Owner, pieces))

    assert "Partial[Cat | Dog | Bird](step={'title': 'x'}, …)" == repr(before)
    assert (Step(title="x"), 3) == (behind.step, behind.name)
    assert "d" == last.name


def test_an_error_after_a_tag_names_the_member() -> None:
    """The location has the tag, as pydantic's own has."""
    draft = partial_of(Owner, '{"favourite": {"kind": "cat", "lives": "x"')

    assert [("favourite", "cat", "lives")] == [error["loc"] for error in draft.errors]


def test_an_unknown_tag_is_wrong_when_its_object_closes() -> None:
    """Nothing can be read under a tag that no member has; what came shows."""
    draft = partial_of(Owner, '{"favourite": {"kind": "fish", "lives": 3, "steps": [1]}')

    assert {"kind": "fish", "lives": 3} == {name: draft.favourite[name] for name in ("kind", "lives")}
    assert ["union_tag_invalid"] == [error["type"] for error in draft.errors]


def test_a_field_that_looks_at_others_is_read_once_they_are_there() -> None:
    """A validator that is told of earlier fields runs when they are finished, in whatever order they came."""
    pieces = ['{"second": "y', '", "numbers": [1], ', '"first": "x"', "}"]
    found = [[error["loc"] for error in draft.partial().errors] for draft in _drafts(Fields, pieces)]

    assert [[], [], [("second",)], [("second",)]] == found
    assert "x" == partial_of(Fields, '{"first": "x", "second": "x"').second


def test_a_field_that_looks_at_an_invalid_one_waits_for_the_end() -> None:
    draft = partial_of(Late, '{"most": "x", "steps": [{"title": "a"}], "count": 1, ')

    assert [("most",), ("steps",)] == [error["loc"] for error in draft.errors]
    assert 1 == draft.count

    draft = partial_of(Late, '{"most": "x", "steps": [], "count": 1, ')

    assert [("most",)] == [error["loc"] for error in draft.errors]
    assert ([], 1) == (draft.steps, draft.count)


def test_a_model_that_is_read_whole_shows_as_it_is_written() -> None:
    """Where a validator is before the fields, they show as plain data, and the model when it closes."""
    growing, closed = (draft.partial() for draft in _drafts(list[Before], ['[{"a": "1"', "}"]))

    assert "Partial[list[Before]]([Partial[Before](a='1', …)], …)" == repr(growing)
    assert [Before(a=1, b=7)] == closed.value


def test_a_union_whose_member_the_kind_tells_is_typed_at_once() -> None:
    """Where only one member can be an array, or an object, its values are read one by one."""
    draft = partial_of(Unions, f'{{"a": [{STEP}, {{"title": "x')

    assert (Step, "x") == (type(draft.a[0]), draft.a[1].title)


def test_feed_tells_whether_something_shows() -> None:
    draft = Partials(Step)
    pieces = [
        "{",
        ' "ti',
        'tle"',
        ': "',
        "x",
        '",  ',
        '"zz": {"a": [1, "b"]}, ',
        '"minutes": 3',
        "4",
        "}",
        " ",
    ]

    assert [True, False, False, True, True, True, False, False, False, True, False] == [
        bool(draft.feed(piece)) for piece in pieces
    ]


# -- how it ends -------------------------------------------------------------------------------


def test_a_document_that_is_too_deep_is_refused() -> None:
    """A recursive model is bounded by what pydantic reads."""
    draft = draft_of(Node, '{"v": 1, "kids": [' * 101)

    with pytest.raises(OutputInvalid, match="nested more than 200 deep") as caught:
        draft.partial().final()
    assert isinstance(caught.value.__cause__, LimitExceeded)
    draft.end()
    assert draft.error is caught.value.__cause__


def test_a_document_as_deep_as_pydantic_reads_is_read() -> None:
    text = '{"v":1,"kids":[' * 99 + '{"v":2}' + "]}" * 99
    draft = drafted(Node, text, list(range(0, len(text), 7)))

    assert Node.model_validate_json(text) == draft.partial().final()
    assert partial_of(Node, text[:700]) == partial_of(Node, text[:700])
    assert repr(partial_of(Node, text[:700])).count("Partial") <= 40


def test_a_document_that_wants_to_be_left_out_is_the_programs_mistake() -> None:
    left_out: TypeAdapter[int] = TypeAdapter(LeftOut)

    stage = Partials(left_out)

    assert [] == stage.feed("[3]")
    with pytest.raises(SchemaError, match="Omit"):
        stage.check()


# -- what is no JSON --------------------------------------------------------------------------


def test_what_no_json_has_is_reported_as_python_tells_it() -> None:
    """A value that is read whole keeps NaN and infinity; a repeated key has the whole read."""
    draft = draft_of(Extra, "{'a': 1, 'z': [NaN, Infinity], 'a': 2}", lenient=True)
    draft.end()

    assert (2, "[nan, inf]") == (draft.partial().final().a, repr(draft.partial().final().z))


# -- excerpts ------------------------------------------------------------------------------------


@given(
    numbers=st.lists(st.integers(-(10**6), 10**6), max_size=6),
    space=st.text(" \n", max_size=3),
    size=st.integers(1, 9),
    lenient=st.booleans(),
)
def test_a_value_that_is_read_whole_is_read_from_its_own_text(
    numbers: list[int], space: str, size: int, lenient: bool
) -> None:
    """However the text is cut, what is validated is what stands between the value's two ends."""
    objects = [space + json.dumps({"a": number}).replace(" ", space) + space for number in numbers]
    text = f"[{','.join(objects)}]"
    draft: Partials[list[Before]] = Partials(list[Before], lenient=lenient)
    for piece in pieces_of(text, size):
        draft.feed(piece)

    assert [Before(a=number, b=7) for number in numbers] == draft.partial().final()


def test_a_value_that_is_read_whole_and_is_no_json_is_written_anew() -> None:
    draft: Partials[list[Before]] = Partials(list[Before], lenient=True)
    for piece in pieces_of("[{'a': 1, 'c': NaN,}, {a: 2}]", 3):
        draft.feed(piece)

    assert [Before(a=1, b=7), Before(a=2, b=7)] == draft.partial().final()

"""A typed object as far as it has come: its value, what of it is complete, and what it becomes."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from tests.partial_json.typed import STEP, draft_of, partial_of
from tests.partial_json.typed_models.shapes import Recipe, Step
from tests.partial_json.typed_models.unions import Owner
from tokenstream.errors import InvalidJSON, OutputIncomplete, OutputInvalid


def test_what_is_finished_is_complete() -> None:
    """A value is complete when it cannot change; what it stands in may go on growing."""
    draft = partial_of(Recipe, f'{{"name": "x", "steps": [{STEP}, {{"title": "a", "minutes": 3')
    told = [
        draft.is_complete(*path)
        for path in [
            ("name",),
            ("steps",),
            ("steps", 0),
            ("steps", 0, "title"),
            ("steps", -2),
            ("steps", 1),
            ("steps", 1, "title"),
            ("steps", 1, "minutes"),
            ("tags",),
            ("steps", 7),
            ("steps", "no"),
        ]
    ]

    assert [True, False, True, True, True, False, True, False, False, False, False] == told


def test_plain_data_is_in_value() -> None:
    draft = partial_of(Owner, '{"favourite": {"called": "a", "kind": "bi')

    assert {"favourite": {"called": "a", "kind": "bi"}} == draft.value
    assert {"called": "a", "kind": "bi"} == draft.favourite.value
    assert {"title": "x"} == partial_of(Step, '{"title": "x"} ').value


def test_a_dict_grows_as_a_mapping() -> None:
    draft = partial_of(dict[str, int], '{"a": 1, "b": 2, ')

    assert ({"a": 1, "b": 2}, 1, ["a", "b"]) == (draft.value, draft["a"], list(draft))
    assert (1, 1) == (draft.get("a"), draft.a)


def test_the_last_word_is_the_objects() -> None:
    class Doubled(BaseModel):
        a: int

        def model_post_init(self, context: Any, /) -> None:
            self.a *= 2

    growing, whole = partial_of(Doubled, '{"a": 2, '), partial_of(Doubled, '{"a": 2}')

    assert (2, 4, 4) == (growing.a, whole.a, whole.final().a)


def test_final_is_the_validated_object() -> None:
    draft = partial_of(Step, '{"title": "x"}')

    assert (Step(title="x"), True) == (draft.final(), draft.final() is draft.final())


def test_final_of_what_is_not_whole_tells_what_there_is() -> None:
    """OutputIncomplete has the text, where it ends, and the snapshot; one inside has its own."""
    draft = partial_of(Recipe, '{"steps": [{"title": "x')
    with pytest.raises(OutputIncomplete, match="after 23 characters") as caught:
        draft.final()
    with pytest.raises(OutputIncomplete) as inner:
        draft.steps[0].final()

    assert ('{"steps": [{"title": "x', 23, True) == (
        caught.value.text,
        caught.value.offset,
        caught.value.best is draft,
    )
    assert '{"title": "x' == inner.value.text


def test_final_of_what_is_invalid_tells_why() -> None:
    """OutputInvalid has every error, as pydantic tells it, and says where the first is, but no values."""
    draft = partial_of(Recipe, '{"steps": [{"minutes": "private"}]}')
    with pytest.raises(OutputInvalid, match="Recipe: at name: Field required, and 2 more") as caught:
        draft.final()
    with pytest.raises(OutputInvalid, match=r"Step: at steps\.0\.title: Field required"):
        draft.steps[0].final()

    assert ["name", "steps", "steps"] == [error["loc"][0] for error in caught.value.errors]
    assert "private" not in str(caught.value)


def test_final_of_broken_json_says_where_it_breaks() -> None:
    """The offset is on the error, and the message says one error as one."""
    with pytest.raises(InvalidJSON) as caught:
        partial_of(Step, '{"title": 1, ]').final()

    assert (13, 1) == (caught.value.offset, len(caught.value.errors))


class Cat(BaseModel):
    kind: Literal["cat"]
    born: dt.date
    toys: list[dt.date] = []


class Dog(BaseModel):
    kind: Literal["dog"]
    born: str


class Pets(BaseModel):
    tagged: Annotated[Cat | Dog, Field(discriminator="kind")]
    untagged: Cat | Dog
    days: set[dt.date]
    anything: Any


CAT = '{"born": "2020-01-02", "toys": ["2021-01-01"], "kind": "cat"}'


@pytest.mark.parametrize(
    ("start", "end", "path"),
    [
        ('{"tagged": {"born": "2020-01-02", ', '"kind": "cat"', ("tagged", "born")),
        ('{"tagged": {"born": "2020-01-02"', "}", ("tagged", "born")),
        (
            '{"tagged": {"born": "2020-01-02", "toys": ["2021-01-01"], ',
            '"kind": "cat"',
            ("tagged", "toys", 0),
        ),
        ('{"untagged": {"kind": "cat", "born": "2020-01-02", ', '"toys": []}', ("untagged", "born")),
        ('{"untagged": {"toys": ["2020-01-02", ', f'"2021-01-01"], {CAT[1:]}', ("untagged", "toys", 0)),
        ('{"days": ["2020-01-02", ', '"2020-01-03"]', ("days", 0)),
    ],
)
def test_what_may_still_become_another_value_is_not_complete(
    start: str, end: str, path: tuple[Any, ...]
) -> None:
    """A value that shows as it came is complete once it was read as what its type says."""
    draft = draft_of(Pets, start)
    before = draft.partial()
    pickled = pickle.loads(pickle.dumps(before))
    draft.feed(end)

    assert before.get(*path) in {"2020-01-02", "2021-01-01"}
    assert (False, False) == (before.is_complete(*path), pickled.is_complete(*path))


def test_what_is_read_late_is_complete_from_then_on() -> None:
    draft = draft_of(Pets, '{"tagged": {"born": "2020-01-02", "toys": "none", "more": 1, "kind": "cat"')
    told = [draft.partial().is_complete("tagged", name) for name in ("born", "toys", "kind")]

    assert [True, True, True] == told
    assert dt.date(2020, 1, 2) == draft.partial().get("tagged", "born")


def test_plain_data_are_complete_as_they_come() -> None:
    """What may be anything becomes nothing else."""
    partial = partial_of(Pets, '{"anything": {"a": [1, {"b": 2')

    assert partial.is_complete("anything", "a", 0)
    assert not partial.is_complete("anything", "a", 1)

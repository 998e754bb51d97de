"""Fields that show though they have not come: defaults, and what a finished object has."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from functools import partial
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, model_validator
from typing_extensions import TypedDict

from tests.partial_json.typed import partial_of
from tests.support.effort import examples
from tests.support.texts import pieces_of
from tokenstream import Stream
from tokenstream.partial_json import MISSING
from tokenstream.stages._objects.partials import Partials


class Step(BaseModel):
    title: str
    minutes: int = 3
    tags: list[str] = []


class Recipe(BaseModel):
    name: str
    serves: int = 4
    first: Step | None = None
    steps: list[Step] = Field(default_factory=list)
    label: str = Field("plain", alias="Label")


@dataclasses.dataclass
class DataStep:
    title: str
    minutes: int = 3
    tags: list[str] = dataclasses.field(default_factory=list)


class DictStep(TypedDict, total=False):
    title: str


class Filled(BaseModel):
    title: str
    minutes: int = 3

    @model_validator(mode="before")
    @classmethod
    def kept(cls, value: Any) -> Any:
        return value


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Kennel(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


_draft = partial(partial_of, defaults=True)


def test_a_whole_draft_has_every_field_as_its_object_has_it() -> None:
    """What did not come is the outcome's: as attribute, item, path, name, and for `in` and `len`."""
    draft = _draft(Recipe, '{"name": "x", "Label": "l"}', defaults=False)

    assert (4, 4, 4, [], "l") == (
        draft.serves,
        draft["serves"],
        draft.get("serves"),
        draft.steps,
        draft.label,
    )
    assert ["name", "label", "serves", "first", "steps"] == list(draft)
    assert (True, 5, True) == ("first" in draft, len(draft), draft.is_complete("serves"))
    assert draft.steps is draft.final().steps
    assert "Partial[Recipe](name='x', label='l', serves=4, first=None, steps=[])" == repr(draft)


def test_a_whole_draft_that_is_invalid_has_what_came() -> None:
    draft = _draft(Recipe, '{"serves": 5}', defaults=False)

    assert (MISSING, ["serves"]) == (draft.first, list(draft))


@pytest.mark.parametrize("type_", [Step, DataStep])
def test_defaults_show_from_the_start(type_: Any) -> None:
    empty, begun = _draft(type_, ""), _draft(type_, '{"minutes": 1')
    grown = _draft(type_, '{"tags": ["a", "b')

    assert (MISSING, 3, []) == (empty.title, empty.minutes, empty.tags)
    assert (3, False, ["minutes", "tags"]) == (begun.minutes, begun.is_complete("minutes"), list(begun))
    assert (["a", "b"], 3, 2) == (list(grown.tags), grown.minutes, len(grown))
    assert begun == pickle.loads(pickle.dumps(begun))
    assert empty.tags is not _draft(type_, "").tags


def test_defaults_show_inside() -> None:
    """An object that grows inside has its own; a finished one is what it is; a null is a null."""
    draft = _draft(Recipe, '{"first": null, "steps": [{"title": "a"}, {"title": "b')

    assert (None, 4, "plain") == (draft.first, draft.serves, draft["label"])
    assert [(3, True), (3, False)] == [
        (draft.get("steps", place, "minutes"), draft.is_complete("steps", place, "minutes"))
        for place in (0, 1)
    ]
    assert draft.steps[1].tags is not draft.steps[0].tags
    assert {"first": None, "steps": [{"title": "a"}, {"title": "b"}]} == draft.value


def test_types_without_defaults_show_none() -> None:
    """A key of a TypedDict may stay away, a list has no fields."""
    assert (MISSING, []) == (_draft(DictStep, "{").title, list(_draft(list[int], "")))
    assert MISSING is _draft(TypeAdapter(dict[str, int]), "").value


def test_what_is_read_whole_has_defaults_too() -> None:
    """A validator that runs before all others may change everything; until then the type speaks."""
    assert (3, "a") == (
        _draft(Filled, '{"title": "a').minutes,
        _draft(list[Filled], '[{"title": "a')[0].title,
    )


def test_a_member_of_a_union_has_its_defaults_once_it_is_known() -> None:
    before, after = _draft(Kennel, '{"pet": {'), _draft(Kennel, '{"pet": {"kind": "cat", ')

    assert (MISSING, MISSING) == (before.pet.lives, before.pet.tricks)
    assert (9, MISSING) == (after.pet.lives, after.pet.tricks)


def test_a_default_is_made_once_for_each_object_and_never_shared() -> None:
    """All snapshots have the one that was made; another object has another; the type's own stays as it is."""
    count = itertools.count()

    class Numbered(BaseModel):
        number: int = Field(default_factory=lambda: next(count))
        tags: list[str] = ["own"]
        text: str = ""

    draft: Partials[Any] = Partials(list[Numbered], defaults=True)
    seen: list[Any] = []
    for piece in ("[{", '"text": "a', "b", '"', '}, {"text": "', "c"):
        draft.feed(piece)
        seen.append(draft.partial())

    assert [0, 0, 0, 0] == [each[0].number for each in seen[:4]]
    assert 1 == len({id(each[0].tags) for each in seen[:4]})
    assert seen[-1][1].tags is not seen[-1][0].tags
    assert Numbered().tags is not seen[0][0].tags


def test_defaults_that_need_more_than_they_have_do_not_show() -> None:
    """A factory that takes other fields waits for the object; one that does not validate is no value."""

    class Needing(BaseModel):
        a: int = 1
        twice: int = Field(default_factory=lambda data: data["a"] * 2)
        wrong: int = Field("x", validate_default=True)

    class Twice(BaseModel):
        a: int = 1
        twice: int = Field(default_factory=lambda data: data["a"] * 2)

    assert (1, MISSING, MISSING) == tuple(
        getattr(_draft(Needing, "{"), name) for name in ("a", "twice", "wrong")
    )
    assert (MISSING, 6) == (_draft(Twice, '{"a": 3').twice, _draft(Twice, '{"a": 3}').twice)


def test_what_a_factory_raises_comes_out_in_its_place() -> None:
    def broken() -> int:
        raise LookupError("no number")

    class Broken(BaseModel):
        text: str
        number: int = Field(default_factory=broken)

    stage = Partials(list[Broken], defaults=True)
    given = stage.feed('["x", '), stage.feed('{"te')

    assert [1, 0] == [len(each) for each in given]
    with pytest.raises(LookupError):
        stage.check()


@examples(30)
@given(size=st.integers(1, 12), defaults=st.booleans())
def test_every_chunking_ends_with_the_same_draft(size: int, defaults: bool) -> None:
    text = '{"name": "x", "first": {"title": "abc"}, "steps": [{"title": "b", "tags": ["q"]}], "serves": 2}'
    drafts = list(Stream(list(pieces_of(text, size)), format="pieces").partials(Recipe, defaults=defaults))

    assert _draft(Recipe, text) == drafts[-1]
    for earlier, later in itertools.pairwise(drafts):
        assert set(earlier) <= set(later)
        assert all(later.is_complete(name) for name in earlier if earlier.is_complete(name))

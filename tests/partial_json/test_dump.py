"""Drafts as JSON and as plain data: what has come, as its types have it written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import pickle
import time
from typing import Annotated, Any

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    computed_field,
    field_serializer,
    model_serializer,
)
from typing_extensions import TypedDict

from tests.partial_json.typed import CASES, partial_of
from tests.stream.broadcast.support import in_threads
from tests.support.tables import in_one_test
from tokenstream.errors import OutputInvalid
from tokenstream.stages._objects.partials import Partials


def _drafts(type_: Any, text: str, size: int = 1, **options: Any) -> Any:
    draft: Partials[Any] = Partials(type_, **options)
    for start in range(0, len(text), size):
        draft.feed(text[start : start + size])
        yield draft.partial()
    draft.end()
    yield draft.partial()


class Colour(enum.Enum):
    red = "r"


class Step(BaseModel):
    """An object inside, with a method for a field, and an alias."""

    day: dt.date = Field(alias="onDay")
    title: str = ""

    @field_serializer("day")
    def short(self, value: dt.date) -> str:
        return f"{self.title}{value:%d.%m.}"


class Plan(BaseModel):
    """An object with all that a serializer may do."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(alias="theName")
    secret: int = Field(0, exclude=True)
    steps: list[Step] = []
    colour: Colour = Colour.red
    price: Annotated[float, PlainSerializer(lambda value: f"{value:.2f}")] = 0.0

    @computed_field
    def count(self) -> int:
        return len(self.steps)


def test_what_is_finished_is_written_as_its_type_has_it() -> None:
    """Serializers, aliases, exclusions and extra fields count while the object is open, as in the end."""
    text = '{"theName": "n", "secret": 3, "steps": [{"title": "a", "onDay": "2020-01-02"}, '
    text += '{"onDay": "2020-01-03", "ti'
    draft = partial_of(Plan, text)

    # A method that asks for a field which has not come is of no use yet.
    assert draft.to_python() == {
        "name": "n",
        "steps": [{"day": "a02.01.", "title": "a"}, {"day": "2020-01-03"}],
    }
    assert draft.to_json(by_alias=True).startswith('{"theName":"n","steps":[{"onDay":"a02.01.","title":"a"},')

    text += 'tle": "b"}], "colour": "r", "price": 1, "more": {"x": [1.50]}, "rest": "gro'
    wanted = {
        "name": "n",
        "steps": [{"day": "a02.01.", "title": "a"}, {"day": "b03.01.", "title": "b"}],
        "colour": "r",
        "price": "1.00",
        "more": {"x": [1.5]},
    }

    assert partial_of(Plan, text).to_python() == {**wanted, "rest": "gro"}
    assert partial_of(Plan, text + '"}').to_python() == {**wanted, "rest": "gro", "count": 2}


class Whole(BaseModel):
    """An object that is written by a method of its own."""

    a: int
    b: str = "b"

    @model_serializer(mode="wrap")
    def counted(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {**handler(self), "both": f"{self.a}{self.b}"}


def test_an_object_with_a_serializer_is_written_by_its_fields_until_it_is_finished() -> None:
    """A method that needs the whole object is asked once there is one."""
    draft = partial_of(list[Whole], '[{"a": 1, "b": "x"}, {"a": 2, "b": "y')

    assert draft.to_python() == [{"a": 1, "b": "x", "both": "1x"}, {"a": 2, "b": "y"}]


@dataclasses.dataclass
class Data:
    day: dt.date
    more: Annotated[int, Field(serialization_alias="evenMore")] = 0


@dataclasses.dataclass(slots=True)
class Slotted:
    """A dataclass without a dict."""

    day: Annotated[dt.date, PlainSerializer(lambda day: day.year)]
    text: str = ""


class Typed(TypedDict):
    day: dt.date
    text: str


class ByDefault(BaseModel):
    """A model that is written under its aliases where nobody says otherwise."""

    model_config = ConfigDict(serialize_by_alias=True, ser_json_timedelta="float")
    span: dt.timedelta = Field(alias="theSpan")
    text: str


# Before 2.11, pydantic has no such setting.
_SPAN = "theSpan" if "serialize_by_alias" in ConfigDict.__annotations__ else "span"


class Numbers(RootModel[list[dt.date]]):
    """A root model."""


@in_one_test(
    ("type_", "text", "wanted"),
    [
        (Data, '{"day": "2020-01-02", "more": 2', {"day": "2020-01-02"}),
        (Slotted, '{"day": "2020-01-02", "text": "x', {"day": 2020, "text": "x"}),
        (Typed, '{"day": "2020-01-02", "text": "x', {"day": "2020-01-02", "text": "x"}),
        (ByDefault, '{"theSpan": "PT1.5S", "text": "x', {_SPAN: 1.5, "text": "x"}),
        (Numbers, '["2020-01-02", "20', ["2020-01-02"]),
        (dict[str, list[dt.date]], '{"a": ["2020-01-02", "20', {"a": ["2020-01-02"]}),
        (dict[str, Any], '{"a": {"a": 1, "b": [1, "x', {"a": {"a": 1, "b": [1, "x"]}}),
        (str, '"a\\"b', 'a"b'),
        (int, "4", None),
    ],
)
def test_types_of_every_kind_are_written(type_: Any, text: str, wanted: Any) -> None:
    draft = partial_of(type_, text)

    assert draft.to_python() == json.loads(draft.to_json()) == wanted


def test_what_breaks_the_schema_is_written_as_it_came() -> None:
    """A value that is no valid one, in the open and in the whole; half a surrogate pair and NaN, too."""
    text = '{"theName": [1, {"a": null}], "price": "free", "steps": [{"onDay": "soon", "title": 3}, 7], '
    text += '"x": "\\ud800'
    draft = partial_of(Plan, text + '"}')

    assert draft.complete
    assert draft.errors
    assert draft.to_python() == {
        "name": [1, {"a": None}],
        "price": "free",
        "steps": [{"day": "soon", "title": 3}, 7],
        "x": "\ud800",
    }
    assert draft.to_json().isascii()
    assert partial_of(Plan, text, lenient=True).to_json().encode()
    assert (
        partial_of(dict[str, Any], '{"a": [NaN, Infinity], "b": "', lenient=True).to_json()
        == '{"a":[null,null],"b":""}'
    )
    assert partial_of(dict[str, float], '{"a": NaN}', lenient=True).to_json() == '{"a":null}'


def test_defaults_that_show_are_written() -> None:
    """With `defaults` a field that has not come is written as its default is; a serializer counts."""
    first, *_, last = _drafts(Plan, '{"theName": "n", "price": 2}', defaults=True)

    assert first.to_python() == {"steps": [], "colour": "r", "price": "0.00"}
    assert last.to_python() == {"name": "n", "steps": [], "colour": "r", "price": "2.00", "count": 0}


@pytest.mark.parametrize(("by_alias", "defaults"), [(None, False), (True, True)])
def test_json_and_plain_data_say_the_same(by_alias: bool | None, defaults: bool) -> None:
    """Every draft's `to_python` is what its `to_json` says; of a valid whole both are the final object's."""
    for type_, texts in CASES:
        adapter: Any = type_ if isinstance(type_, TypeAdapter) else TypeAdapter(type_)
        for text in texts:
            drafts = list(_drafts(type_, text, defaults=defaults))
            said = [draft.to_json(by_alias=by_alias) for draft in drafts]

            assert [json.loads(each) for each in said] == [
                draft.to_python(by_alias=by_alias) for draft in drafts
            ]
            # A snapshot says the same whenever it is asked, and without others before it.
            again = [draft.to_json(by_alias=by_alias) for draft in _drafts(type_, text, defaults=defaults)]
            assert said[::-1] == [draft.to_json(by_alias=by_alias) for draft in reversed(drafts)]
            assert said == again
            try:
                final = drafts[-1].final()
            except OutputInvalid:
                continue
            assert said[-1] == adapter.dump_json(final, by_alias=bool(by_alias), warnings=False).decode()


def test_what_is_finished_is_written_once() -> None:
    """A serializer runs once for a finished value, for all snapshots; what it made is shared by them."""
    run: list[int] = []
    counted = Annotated[int, PlainSerializer(lambda value: run.append(value) or value)]
    drafts = list(_drafts(list[counted], "[1, 2, 3, [", 1))
    for draft in drafts:
        draft.to_json()
        draft.to_python()

    assert run == [1, 2, 3]
    first, second = [draft.to_python() for draft in _drafts(list[Any], "[[1], [2], 3")][-3:-1]

    assert [one is other for one, other in zip(first, second, strict=True)] == [True, True]


def test_a_pickled_draft_is_written_the_same() -> None:
    """Keys and values are as before; only what one field's own annotation said of it is lost."""
    drafts = [
        partial_of(
            Plan,
            '{"theName": "n", "steps": [{"title": "a", "onDay": "2020-01-02"}], "colour": "r", "more": "x',
        )
    ]
    drafts.append(partial_of(Typed, '{"day": "2020-01-02", "text": "x'))
    for draft in drafts:
        for by_alias in (None, True):
            again = pickle.loads(pickle.dumps(draft))

            assert json.loads(again.to_json(by_alias=by_alias)) == draft.to_python(by_alias=by_alias)


def test_threads_write_one_draft_at_once() -> None:
    text = json.dumps([{"title": f"{n}", "onDay": "2020-01-02"} for n in range(30)])
    drafts = list(_drafts(list[Step], text, 5))
    wanted = [draft.to_json() for draft in _drafts(list[Step], text, 5)]
    told: list[list[str]] = []
    in_threads(*[lambda: told.append([draft.to_json() for draft in drafts])] * 4)

    assert told == [wanted] * 4


def test_depth_is_no_matter() -> None:
    for text in ("[" * 200, "[" * 199 + "{}" + "]" * 199):
        assert json.loads(partial_of(list[Any], text).to_json()) == partial_of(list[Any], text).to_python()
    deep = partial_of(dict[str, int], '{"a":' * 199 + "{")

    assert deep.to_json() == '{"a":' * 199 + "{}" + "}" * 199


@pytest.mark.slow
def test_a_draft_costs_a_copy_of_what_is_finished() -> None:
    """Sixteen times as many finished elements cost no more than their text to copy."""
    costs: list[float] = []
    for count in (200, 3_200):
        text = json.dumps([{"title": f"{n}", "onDay": "2020-01-02"} for n in range(count)])
        draft = partial_of(list[Step], text[:-1])
        draft.to_json()
        begun = time.process_time()
        for _ in range(100):
            draft.to_json()
        costs.append(time.process_time() - begun)

    assert costs[1] < 50 * costs[0]

"""Paths that are functions of a type."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import pickle
from collections.abc import Callable, Sequence
from operator import attrgetter
from random import Random
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter, model_validator
from typing_extensions import TypedDict

from tests.partial_json.typed import damaged, partial_of
from tests.support.effort import examples
from tests.support.tables import in_one_test
from tokenstream.errors import MisuseError
from tokenstream.partial_json import MISSING
from tokenstream.stages._objects.partials import Partials


class Note(TypedDict):
    text: str


class Point(NamedTuple):
    x: int


class Numbers(RootModel[list[int]]):
    pass


@dataclasses.dataclass
class Room:
    seats: int
    rooms: list[Room] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Bill:
    total: float
    lines: list[str] = dataclasses.field(default_factory=list)
    tags: dict[str, int] = dataclasses.field(default_factory=dict)
    near: Bill | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0


class Cat(BaseModel):
    kind: Literal["cat"]
    born: dt.date


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Kept(BaseModel):
    born: dt.date
    title: str

    @model_validator(mode="before")
    @classmethod
    def kept(cls, value: Any) -> Any:
        return value


class Step(BaseModel):
    title: str
    minutes: int = Field(3, alias="Minutes")
    notes: list[Note] = []


class Menu(BaseModel):
    name: Annotated[str, Field(max_length=6)]
    day: dt.date
    price: decimal.Decimal
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    kept: Kept
    anything: Any
    best: Step | None = None
    steps: list[Step] = []
    prices: dict[str, int] = {}
    pair: tuple[int, str] = (0, "")
    numbers: Numbers = Numbers([])
    point: Point = Point(0)
    room: Room | None = None
    opened: Open = Open()
    orders: Sequence[Step] = ()


MENU = (
    '{"pet": {"born": "2020-01-02", "kind": "cat"}, "name": "Lunch", "day": "2026-01-02", "price": "1.50", '
    '"kept": {"born": "2020-01-02", "title": "t"}, "anything": {"a": [1]}, '
    '"best": {"title": "b", "Minutes": 1}, '
    '"steps": [{"title": "Whisk", "notes": [{"text": "well"}]}, {"title": "Bake"}], "prices": {"tea": 2}, '
    '"pair": [1, "one"], "numbers": [4, 5], "point": [7], "room": {"seats": 3, "rooms": [{"seats": 1}]}, '
    '"opened": {"a": 1, "z": "zed"}, "orders": [{"title": "o"}]}'
)

LEAVES: list[tuple[Callable[[Any], Any], tuple[str | int, ...], type | tuple[type, ...], Any]] = [
    (lambda r: r.name, ("name",), str, "Lunch"),
    (lambda r: r.day, ("day",), dt.date, dt.date(2026, 1, 2)),
    (lambda r: r.price, ("price",), decimal.Decimal, decimal.Decimal("1.50")),
    (lambda r: r.pet.born, ("pet", "born"), dt.date, dt.date(2020, 1, 2)),
    (lambda r: r.kept.born, ("kept", "born"), dt.date, dt.date(2020, 1, 2)),
    (lambda r: r.kept.title, ("kept", "title"), str, "t"),
    (lambda r: r.anything["a"][0], ("anything", "a", 0), object, 1),
    (lambda r: r.best.minutes if r.best else None, ("best", "minutes"), int, 1),
    (lambda r: r.steps[0].title, ("steps", 0, "title"), str, "Whisk"),
    (lambda r: r.steps[-1].minutes, ("steps", -1, "minutes"), int, 3),
    (lambda r: r.steps[0].notes[0]["text"], ("steps", 0, "notes", 0, "text"), str, "well"),
    (lambda r: r.prices["tea"], ("prices", "tea"), int, 2),
    (lambda r: r.pair[0], ("pair", 0), int, 1),
    (lambda r: r.pair[1], ("pair", 1), str, "one"),
    (lambda r: r.numbers.root[1], ("numbers", 1), int, 5),
    (lambda r: r.point.x, ("point", "x"), int, 7),
    (lambda r: r.room and r.room.rooms[0].seats, ("room", "rooms", 0, "seats"), int, 1),
    (lambda r: r.opened.z, ("opened", "z"), object, "zed"),
    (lambda r: r.orders[0].title, ("orders", 0, "title"), str, "o"),
]


@in_one_test(("path", "keys", "value"), [(path, keys, value) for path, keys, _, value in LEAVES])
def test_a_function_of_the_type_is_a_path(path: Any, keys: Any, value: Any) -> None:
    whole, empty = partial_of(Menu, MENU), partial_of(Menu, "{")

    assert value == whole.get(path) == whole.get(*keys) == pickle.loads(pickle.dumps(whole)).get(path)
    assert (True, False) == (whole.is_complete(path), empty.is_complete(path))
    assert (None, "none", MISSING) == (
        empty.get(path),
        empty.get(path, default="none"),
        empty.get(path, default=MISSING),
    )


@pytest.mark.slow
@examples(12)
@given(seed=st.integers(0, 10**6))
@example(seed=250)
def test_what_it_gives_is_what_the_annotation_says(seed: int) -> None:
    """At every cut of documents, sound and damaged, a leaf is of its type, or is not given."""
    random = Random(seed)
    text = random.choice([MENU, damaged(MENU, random)])
    draft: Partials[Any] = Partials(Menu)
    for start in range(0, len(text), 17):
        draft.feed(text[start : start + 17])
        partial = draft.partial()
        for path, keys, type_, _ in LEAVES:
            value = partial.get(path, default=MISSING)

            assert value is MISSING or value is None or isinstance(value, type_)
            # With a wrong tag, the type of a union is never known, and what is in it is given by names alone.
            if value is not MISSING and partial.is_complete(path) and not partial.errors:
                assert partial.get(*keys) == value


def test_a_text_is_given_as_far_as_it_has_grown_and_other_values_when_they_are_valid() -> None:
    """What came before its type was known, or is wrong, is given by names alone."""
    grows = partial_of(Menu, '{"pet": {"born": "2020-01-02"}, "name": "Lun')
    wrong = partial_of(
        Menu,
        '{"name": "Luncheon", "day": "soon", "steps": [{"title": 3}], "prices": 4, "best": {"title": [1,',
    )

    assert ("Lun", None, "2020-01-02") == (
        grows.get(lambda r: r.name),
        grows.get(lambda r: r.pet.born),
        grows.get("pet", "born"),
    )
    assert ("Luncheon", None, None, None, None) == (
        wrong.get(lambda r: r.name),
        wrong.get(lambda r: r.day),
        wrong.get(lambda r: r.steps[0].title),
        wrong.get(lambda r: r.prices),
        wrong.get(lambda r: r.best.title),
    )
    assert ("soon", 3, [1]) == (wrong.get("day"), wrong.get("steps", 0, "title"), wrong.get("best", "title"))
    assert wrong.is_complete(lambda r: r.day)


def test_what_holds_others_is_given_as_it_grows() -> None:
    grows, whole = partial_of(Menu, '{"best": {"title": "b'), partial_of(Menu, MENU)

    assert ("b", "b") == (grows.get(lambda r: r.best).title, grows.best.get(lambda r: r.title))
    assert (Step, 2) == (type(whole.get(lambda r: r.best)), len(whole.get(lambda r: r.steps)))
    assert (grows, whole.final()) == (grows.get(lambda r: r), whole.get(lambda r: r))


@pytest.mark.parametrize(
    ("type_", "text", "given"),
    [
        (list[int], "[1, 2", [1]),
        (dict[str, int], '{"a": 1, ', {"a": 1}),
        (int, "42", None),
        (int, '"x"', None),
        (str, '"ab', "ab"),
        (TypeAdapter(list[int]), '"x"', None),
    ],
)
def test_a_document_that_is_no_object_is_given_as_the_argument(type_: Any, text: str, given: Any) -> None:
    """A number has no end before the document's, and text is no number."""
    assert given == partial_of(type_, text).get(lambda r: r)


def test_dataclasses_and_lists_have_paths() -> None:
    bill = partial_of(Bill, '{"total": 1.5, "lines": ["a", "b"], "tags": {"x": 1}, "near": {"total": "wrong"')
    rooms = partial_of(list[Room], '[{"seats": 3, "rooms": [{"seats": 4, ')

    assert (1.5, "b", 1, None) == (
        bill.get(lambda r: r.total),
        bill.get(lambda r: r.lines[1]),
        bill.get(lambda r: r.tags["x"]),
        bill.get(lambda r: r.near.total if r.near else None),
    )
    assert 4 == rooms.get(lambda r: r[0].rooms[0].seats) == rooms[0].get(attrgetter("rooms"))[0].seats
    for path in (lambda r: r.near.tottal, lambda r: r.lines.x, lambda r: r.total[0]):
        with pytest.raises(MisuseError, match="does not exist"):
            bill.get(path)


@in_one_test(
    ("path", "said"),
    [
        (lambda r: r.titel, "Menu has no field 'titel', but name, day, "),
        (lambda r: r.steps[0].titel, r"r\.steps\[0\]\.titel does not exist: Step has no field"),
        (lambda r: r.pet.lives, r"Cat \| Dog has no field 'lives', but kind, born"),
        (lambda r: r["name"], "Menu has its fields as attributes"),
        (lambda r: r.steps.title, "its type has no fields"),
        (lambda r: r.pair[2], "no values under such keys"),
        (lambda r: r.name.upper(), "does not exist"),
        (lambda r: r(), "a call of r cannot be part"),
        (lambda r: r.name == "x", r"a comparison of r\.name"),
        (lambda r: r.price + 1, r"arithmetic of r\.price"),
        (lambda r: len(r.steps), r"len\(…\) of r\.steps"),
        (lambda r: [step.title for step in r.steps], r"a loop of r\.steps"),
        (lambda r: "tea" in r.prices, r"`in` of r\.prices"),
        (lambda r: f"{r.name}", r"a conversion of r\.name"),
        (lambda r: {r.name: 1}, r"a key of r\.name"),
        (lambda r: r.steps[0:1], r"a slice of r\.steps"),
        (lambda r: r.steps[None], r"a key of NoneType of r\.steps"),
        (lambda r: r.pet.born if isinstance(r.pet, Cat) else None, "the type, of r.pet"),
        (lambda r: setattr(r, "name", "x"), "an assignment of r"),
        (lambda r: "x", "returned str"),  # noqa: ARG005 - that is what is wrong
        (lambda r: [r.name], "returned list"),
        (lambda r: r.name or r.day, r"more than what leads to r\.name"),
        (lambda: 1, "takes one argument"),
    ],
)
def test_what_is_no_path_says_so(path: Any, said: str) -> None:
    draft = partial_of(Menu, "{")

    with pytest.raises(MisuseError, match=said):
        draft.get(path)
    with pytest.raises(MisuseError, match=said):
        draft.is_complete(path)


def test_a_recorder_shows_its_path() -> None:
    """A debugger that looks at it is told where it stands."""
    seen: list[str] = []

    def path(menu: Any) -> Any:
        seen.append(repr(menu.steps[0].title))
        return menu.name

    partial_of(Menu, "{").get(path)

    assert ["<path r.steps[0].title>"] == seen

"""A typed object as far as it has come: its fields, and paths into it."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, RootModel
from typing_extensions import TypedDict

from tests.partial_json.typed import STEP, partial_of
from tests.partial_json.typed_models.keys import Extra
from tests.partial_json.typed_models.shapes import Recipe, Step
from tests.support.tables import in_one_test
from tokenstream.errors import MisuseError
from tokenstream.partial_json import MISSING, Partial
from tokenstream.stages._objects.partials import Partials


class Methods(BaseModel):
    get: str = ""
    final: str = ""
    complete: int = 0
    errors: int = 0
    value: int = 0


class Typed(TypedDict):
    x: int


class Holders(BaseModel):
    """An object with a field in every kind of container."""

    listed: list[Step]
    alone: Step
    named: dict[str, Step]
    nested: list[list[Step]]
    data: list[Data]
    typed: list[Typed]
    root: RootModel[list[Step]]
    mixed: list[int | Step]
    pair: tuple[str, Step]
    plain: list[Any]


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Numbers(RootModel[list[int]]):
    pass


class Named(RootModel[dict[str, int]]):
    pass


class All(BaseModel):
    point: Point
    data: Data
    numbers: Numbers
    extra: Extra
    table: dict[str, list[int]]
    text: str
    chosen: set[int]
    by_number: dict[int, str]
    named: Named


ALL = (
    '{"point": [1], "data": {"x": 2}, "numbers": [3, 4], "extra": {"a": 1, "z": 5}, '
    '"table": {"k": [6]}, "text": "seven", "chosen": [8], "by_number": {"1": "one"}, "named": {"a": 9}}'
)


def test_a_field_is_an_attribute_and_an_item() -> None:
    draft = partial_of(Recipe, '{"name": "x", "st')

    assert ("x", "x", MISSING, MISSING) == (draft.name, draft["name"], draft.steps, draft["steps"])
    assert (["name"], True, False) == (list(draft), "name" in draft, "steps" in draft)


def test_an_element_of_a_growing_list_is_read_alike_before_and_after_its_end() -> None:
    draft = partial_of(Recipe, '{"name": "x", "steps": [' + f"{STEP}, {STEP[:-1]}, ")
    closed, growing = draft.steps

    assert (Step, Partial) == (type(closed), type(growing))
    for at, element in enumerate((closed, growing)):
        assert ("t", 3) == (element.title, element.minutes)
        assert ("t", 3) == (draft.get("steps", at, "title"), draft.get("steps", at, "minutes"))
        assert ("t", 3) == (draft.get(lambda r, n=at: r.steps[n].title), draft.steps[at].minutes)


def test_a_name_that_the_type_does_not_have_is_the_callers_mistake() -> None:
    """A typo is an AttributeError or a KeyError, not a field that never comes."""
    draft = partial_of(Recipe, "{")

    with pytest.raises(AttributeError, match="Recipe has no field 'titel'"):
        _ = draft.titel
    with pytest.raises(KeyError):
        _ = draft["titel"]


def test_what_has_no_fields_says_where_its_value_is() -> None:
    """A list has no attributes; the message leads to `value`."""
    draft = partial_of(list[int], "[1, ")

    with pytest.raises(AttributeError, match=r"^list\[int\] is not an object with fields; read its `value`$"):
        _ = draft.steps
    assert False is ("a" in draft)


def test_a_field_named_like_a_method_is_an_item() -> None:
    """Every field can be reached, whatever it is called."""
    draft = partial_of(Methods, '{"get": "g", "final": "f", "complete": 1, "errors": 2, "value": 3, ')

    assert ["g", "f", 1, 2, 3] == [draft[name] for name in ("get", "final", "complete", "errors", "value")]
    assert ("g", False) == (draft.get("get"), draft.complete)


def test_a_path_leads_through_what_grows_and_what_is_finished() -> None:
    draft = partial_of(Recipe, f'{{"name": "x", "tags": {{"a": 1}}, "steps": [{STEP}, {{"title": "la')

    assert ("t", "la", "la") == (
        draft.get("steps", 0, "title"),
        draft.get("steps", 1, "title"),
        draft.get("steps", -1, "title"),
    )
    assert (1, MISSING, None) == (
        draft.get("tags", "a"),
        draft.get("steps", 2, "title"),
        draft.get("steps", 0, "no", default=None),
    )


@in_one_test(
    "path, value",
    [
        (("point", "x"), 1),
        (("point", 0), 1),
        (("data", "x"), 2),
        (("numbers", 1), 4),
        (("numbers", "root", 1), 4),
        (("extra", "z"), 5),
        (("table", "k", 0), 6),
        (("text",), "seven"),
        (("text", 0), MISSING),
        (("chosen", 0), MISSING),
        (("by_number", 1), "one"),
        (("by_number", "1"), "one"),
        (("by_number", "x"), MISSING),
        (("named", "a"), 9),
        (("data", "copy"), MISSING),
        (("extra", "model_dump"), MISSING),
    ],
)
def test_a_path_leads_into_finished_values_of_every_kind(path: tuple[str | int, ...], value: Any) -> None:
    draft = partial_of(All, ALL)

    assert value == draft.get(*path)
    assert (value is not MISSING) == draft.is_complete(*path)


@pytest.mark.parametrize(
    "path", [("by_number", 1), ("by_number", "1"), ("named", "a"), ("numbers", 0), ("data", "x"), ("text",)]
)
def test_what_a_path_has_led_to_stays_there(path: tuple[str | int, ...]) -> None:
    """What is shown and complete is not taken back when what it stands in is finished."""
    draft: Partials[Any] = Partials(All)
    told: list[tuple[Any, bool]] = []
    for character in ALL:
        draft.feed(character)
        partial = draft.partial()
        told.append((partial.get(*path), partial.is_complete(*path)))
    whole = [complete for _, complete in told].index(True)

    assert {True} == {complete for _, complete in told[whole:]}
    assert [told[-1][0]] * (len(told) - whole) == [value for value, _ in told[whole:]]


HELD = f"[{STEP}, {STEP}]"
HOLDERS = (
    f'{{"listed": {HELD}, "alone": {STEP}, "named": {{"k": {STEP}}}, "nested": [[], {HELD}], '
    f'"data": [{{"x": 1}}], "typed": [{{"x": 1}}], "root": {HELD}, "mixed": [1, {STEP}], '
    f'"pair": ["s", {STEP}], "plain": [{{"x": 1}}]}}'
)


@in_one_test(
    "path",
    [
        ("listed", 0, "minutes"),
        ("listed", -1, "minutes"),
        ("alone", "minutes"),
        ("named", "k", "minutes"),
        ("nested", 1, 0, "minutes"),
        ("data", 0, "x"),
        ("typed", 0, "x"),
        ("root", 0, "minutes"),
        ("mixed", 1, "minutes"),
        ("pair", 1, "minutes"),
        ("plain", 0, "x"),
    ],
)
def test_get_works_on_what_it_returns_open_or_closed(path: tuple[str | int, ...]) -> None:
    (first, *keys, field), draft = path, Partials(Holders)
    steps, at_once = list[Any](), list[Any]()
    for character in HOLDERS:
        draft.feed(character)
        partial = draft.partial()
        value: Any = partial.get(first)
        for key in keys:
            there = value is not MISSING and (key in value if isinstance(key, str) else len(value) > key)
            value = value[key] if there and len(value) else MISSING
        steps.append(None if value is MISSING else value.get(field) or None)
        at_once.append(partial.get(*path) or None)

    assert at_once == steps
    assert {None, draft.partial().get(*path)} == set(steps)


def test_a_closed_element_is_a_draft_of_the_finished_object() -> None:
    draft = partial_of(Recipe, '{"name": "x", "steps": [' + f"{STEP}, ")
    element = draft.get("steps")[0]

    assert draft.get("steps") == draft.steps == list(draft.get("steps")) == draft.get("steps")[:]
    assert draft.steps[0] is element.final() is draft.get(lambda r: r.steps[0])
    assert (element, True, True) == (draft.steps[0], element.complete, element.is_complete("title"))
    assert element.model_dump() == element.value == element.to_python() == {**element.value, "title": "t"}
    assert "t" == element.get(lambda step: step.title)
    assert element == pickle.loads(pickle.dumps(element))
    with pytest.raises(AttributeError, match="Step has no field 'titel': did you mean 'title'"):
        _ = element.titel
    named = partial_of(dict[str, Step], f'{{"k": {STEP}, ').get()
    assert ("k", named, repr({"k": draft.steps[0]})) == (
        *named,
        pickle.loads(pickle.dumps(named)),
        repr(named),
    )


def test_a_key_that_becomes_a_number_is_found_as_both() -> None:
    """While a dict grows its keys are text; a path may have the number that they become."""
    draft = partial_of(All, '{"by_number": {"1": "one", "2": "tw')

    assert ("one", "one", "tw") == tuple(draft.get("by_number", key) for key in ("1", 1, 2))
    assert (True, False, False) == tuple(draft.is_complete("by_number", key) for key in (1, 2, 3))


def test_a_path_has_one_key_for_each_step() -> None:
    """Keys in a list are the caller's mistake, and said to be."""
    draft: Any = partial_of(Recipe, "{")

    with pytest.raises(MisuseError, match="one by one"):
        draft.get(["steps", 0])
    with pytest.raises(MisuseError, match="one by one"):
        draft.is_complete(["steps", 0])


def test_without_a_path_it_is_the_whole() -> None:
    draft = partial_of(list[int], "[1, 2")

    assert ([1], False) == (draft.get(), draft.is_complete())
    assert ("none", MISSING) == (Partials(Step).partial().get(default="none"), Partials(Step).partial().value)

"""A typed object as far as it has come."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import pickle
from collections.abc import Hashable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, TypeAdapter

from tests.partial_json.typed import STEP
from tests.partial_json.typed_models import (
    Extra,
    Owner,
    Recipe,
    Step,
    Steps,
)
from tests.support.texts import pieces_of
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json import MISSING, Partial
from tokenstream.partial_json._typed.draft import Draft


class Methods(BaseModel):
    get: str = ""
    final: str = ""
    complete: int = 0
    errors: int = 0
    value: int = 0


class Point(NamedTuple):
    x: int


@dataclasses.dataclass
class Data:
    x: int


class Struct(msgspec.Struct):
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


def _draft(type_: Any, text: str) -> Draft[Any]:
    draft: Draft[Any] = Draft(type_)
    draft.feed(text)
    return draft


def _partial(type_: Any, text: str) -> Any:
    return _draft(type_, text).partial()


def test_a_field_is_an_attribute_and_an_item() -> None:
    """What has come is there both ways; what has not come is MISSING, also for `in` and loops."""
    draft = _partial(Recipe, '{"name": "x", "st')

    assert ("x", "x", MISSING, MISSING) == (draft.name, draft["name"], draft.steps, draft["steps"])
    assert (["name"], True, False) == (list(draft), "name" in draft, "steps" in draft)


def test_a_name_that_the_type_does_not_have_is_the_callers_mistake() -> None:
    """A typo is an AttributeError or a KeyError, not a field that never comes."""
    draft = _partial(Recipe, "{")

    with pytest.raises(AttributeError, match="Recipe has no field 'titel'"):
        _ = draft.titel
    with pytest.raises(KeyError):
        _ = draft["titel"]


def test_what_has_no_fields_says_where_its_value_is() -> None:
    """A list has no attributes; the message leads to `value`."""
    draft = _partial(list[int], "[1, ")

    with pytest.raises(AttributeError, match=r"^list\[int\] is not an object with fields; read its `value`$"):
        _ = draft.steps
    assert False is ("a" in draft)


def test_a_field_named_like_a_method_is_an_item() -> None:
    """Every field can be reached, whatever it is called."""
    draft = _partial(Methods, '{"get": "g", "final": "f", "complete": 1, "errors": 2, "value": 3, ')

    assert ["g", "f", 1, 2, 3] == [draft[name] for name in ("get", "final", "complete", "errors", "value")]
    assert ("g", False) == (draft.get("get"), draft.complete)


def test_a_path_leads_through_what_grows_and_what_is_finished() -> None:
    """`get` walks growing and finished objects, lists, dicts; where nothing is, it gives the default."""
    draft = _partial(Recipe, f'{{"name": "x", "tags": {{"a": 1}}, "steps": [{STEP}, {{"title": "la')

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


@pytest.mark.parametrize(
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
    """Fields of models, dataclasses and named tuples, elements, keys; never a method."""
    draft = _partial(All, ALL)

    assert value == draft.get(*path)
    assert (value is not MISSING) == draft.is_complete(*path)


@pytest.mark.parametrize(
    "path", [("by_number", 1), ("by_number", "1"), ("named", "a"), ("numbers", 0), ("data", "x"), ("text",)]
)
def test_what_a_path_has_led_to_stays_there(path: tuple[str | int, ...]) -> None:
    """What is shown and complete is not taken back when what it stands in is finished."""
    draft: Draft[Any] = Draft(All)
    told: list[tuple[Any, bool]] = []
    for character in ALL:
        draft.feed(character)
        partial = draft.partial()
        told.append((partial.get(*path), partial.is_complete(*path)))
    whole = [complete for _, complete in told].index(True)

    assert {True} == {complete for _, complete in told[whole:]}
    assert [told[-1][0]] * (len(told) - whole) == [value for value, _ in told[whole:]]


def test_a_key_that_becomes_a_number_is_found_as_both() -> None:
    """While a dict grows its keys are text; a path may have the number that they become."""
    draft = _partial(All, '{"by_number": {"1": "one", "2": "tw')

    assert ("one", "one", "tw") == tuple(draft.get("by_number", key) for key in ("1", 1, 2))
    assert (True, False, False) == tuple(draft.is_complete("by_number", key) for key in (1, 2, 3))


def test_a_path_has_one_key_for_each_step() -> None:
    """Keys in a list are the caller's mistake, and said to be."""
    draft: Any = _partial(Recipe, "{")

    with pytest.raises(MisuseError, match="one by one"):
        draft.get(["steps", 0])
    with pytest.raises(MisuseError, match="one by one"):
        draft.is_complete(["steps", 0])


def test_a_path_leads_into_structs() -> None:
    """A msgspec Struct has its fields."""
    assert 1 == _partial(list[Struct], '[{"x": 1}, ').get(0, "x")


def test_without_a_path_it_is_the_whole() -> None:
    """`get()` gives the value, `is_complete()` tells of the document."""
    draft = _partial(list[int], "[1, 2")

    assert ([1], False) == (draft.get(), draft.is_complete())
    assert ("none", MISSING) == (Draft(Step).partial().get(default="none"), Draft(Step).partial().value)


def test_what_is_finished_is_complete() -> None:
    """A value is complete when it cannot change; what it stands in may go on growing."""
    draft = _partial(Recipe, f'{{"name": "x", "steps": [{STEP}, {{"title": "a", "minutes": 3')
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
    """`value` is what the text says so far, as JSON has it: of the document, and of an object inside."""
    draft = _partial(Owner, '{"favourite": {"called": "a", "kind": "bi')

    assert {"favourite": {"called": "a", "kind": "bi"}} == draft.value
    assert {"called": "a", "kind": "bi"} == draft.favourite.value
    assert {"title": "x"} == _partial(Step, '{"title": "x"} ').value


def test_a_dict_grows_as_a_mapping() -> None:
    """A document that is a dict has its keys as items, and its mapping as value."""
    draft = _partial(dict[str, int], '{"a": 1, "b": 2, ')

    assert ({"a": 1, "b": 2}, 1, ["a", "b"]) == (draft.value, draft["a"], list(draft))
    assert (1, 1) == (draft.get("a"), draft.a)


def test_the_last_word_is_the_objects() -> None:
    """Once the document is whole and valid, a field is what its object made of it."""

    class Doubled(BaseModel):
        a: int

        def model_post_init(self, context: Any, /) -> None:
            self.a *= 2

    growing, whole = _partial(Doubled, '{"a": 2, '), _partial(Doubled, '{"a": 2}')

    assert (2, 4, 4) == (growing.a, whole.a, whole.final().a)


def test_final_is_the_validated_object() -> None:
    """A whole, valid document gives its object, each time the same."""
    draft = _partial(Step, '{"title": "x"}')

    assert (Step(title="x"), True) == (draft.final(), draft.final() is draft.final())


def test_final_of_what_is_not_whole_tells_what_there_is() -> None:
    """OutputIncomplete has the text, where it ends, and the snapshot; one inside has its own."""
    draft = _partial(Recipe, '{"steps": [{"title": "x')
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
    draft = _partial(Recipe, '{"steps": [{"minutes": "private"}]}')
    with pytest.raises(OutputInvalid, match="Recipe: at name: Field required, and 2 more") as caught:
        draft.final()
    with pytest.raises(OutputInvalid, match=r"Step: at steps\.0\.title: Field required"):
        draft.steps[0].final()

    assert ["name", "steps", "steps"] == [error["loc"][0] for error in caught.value.errors]
    assert "private" not in str(caught.value)


def test_final_of_broken_json_says_where_it_breaks() -> None:
    """The offset is on the error, and the message says one error as one."""
    with pytest.raises(InvalidJSON) as caught:
        _partial(Step, '{"title": 1, ]').final()

    assert (13, 1) == (caught.value.offset, len(caught.value.errors))


def test_snapshots_are_equal_when_they_show_the_same() -> None:
    """Two snapshots of the same text are equal, however it came, and only then."""
    text = f'{{"name": "x", "steps": [{STEP}, {{"title": "a'
    draft: Draft[Any] = Draft(Recipe)
    for piece in pieces_of(text, 3):
        draft.feed(piece)

    assert _partial(Recipe, text) == draft.partial()
    assert _partial(Recipe, text + "b") != draft.partial()
    assert _partial(Step, "{") != _partial(Recipe, "{")
    assert "other" != draft.partial()


def test_a_snapshot_has_no_hash_and_no_fields_to_set() -> None:
    """It compares by what it shows, and never changes."""
    draft = _partial(Step, '{"title": "x"')

    assert not isinstance(draft, Hashable)
    with pytest.raises(AttributeError):
        draft.title = "y"


@pytest.mark.parametrize(
    "type_, text",
    [
        (Recipe, f'{{"name": 1, "steps": [{STEP}, {{"title": "a'),
        (Recipe, f'{{"name": "x", "steps": [{STEP}]}}'),
        (Step, '{"title": "x", ]'),
        (list[int], "[1, 2"),
        (dict[str, int], '{"a": 1, '),
    ],
)
def test_a_snapshot_can_be_pickled(type_: Any, text: str) -> None:
    """What comes out shows, says and ends as what went in; so errors that hold it can be pickled too."""
    draft = _partial(type_, text)
    kept = pickle.loads(pickle.dumps(draft))

    assert (draft, draft.errors, draft.value, repr(draft)) == (kept, kept.errors, kept.value, repr(kept))
    assert _end(draft) == _end(kept)


def _end(draft: Partial[Any]) -> Any:
    try:
        return draft.final()
    except (OutputInvalid, OutputIncomplete) as error:
        return type(error), str(error), error.text, error.errors


def test_a_copy_is_the_snapshot_itself() -> None:
    """What never changes needs no copy."""
    draft = _partial(Step, '{"title": "x"')

    assert copy.copy(draft) is draft
    assert copy.deepcopy(draft) is draft


def test_a_repr_shows_what_there_is() -> None:
    """Names and values as far as they have come; long lists are cut, and told how long they are."""
    many = _partial(list[int], f"[{', '.join(map(str, range(30)))}, ")

    assert "Partial[Step](title='x', …)" == repr(_partial(Step, '{"title": "x'))
    assert "Partial[Step](…)" == repr(Draft(Step).partial())
    assert repr(many).endswith("18, 19, … 10 more], …)")


def test_rich_shows_names_and_values() -> None:
    """`__rich_repr__` gives the fields, or the value."""
    draft = _partial(Step, '{"title": "x", "minutes": 2, ')

    assert [("title", "x"), ("minutes", 2)] == list(draft.__rich_repr__())
    assert [(None, [1])] == list(_partial(list[int], "[1, ").__rich_repr__())


def test_allowed_extra_fields_are_attributes_once_they_came() -> None:
    """A model that keeps unknown keys shows them."""

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int = 0

    draft = _partial(Open, '{"zz": "tex')

    assert "tex" == draft.zz
    with pytest.raises(AttributeError):
        _ = draft.yy


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
    draft = _draft(Pets, start)
    before = draft.partial()
    pickled = pickle.loads(pickle.dumps(before))
    draft.feed(end)

    assert before.get(*path) in {"2020-01-02", "2021-01-01"}
    assert (False, False) == (before.is_complete(*path), pickled.is_complete(*path))


def test_what_is_read_late_is_complete_from_then_on() -> None:
    """Also where it turns out to be invalid, since it shows as it came then."""
    draft = _draft(Pets, '{"tagged": {"born": "2020-01-02", "toys": "none", "more": 1, "kind": "cat"')
    told = [draft.partial().is_complete("tagged", name) for name in ("born", "toys", "kind")]

    assert [True, True, True] == told
    assert dt.date(2020, 1, 2) == draft.partial().get("tagged", "born")


def test_plain_data_are_complete_as_they_come() -> None:
    """What may be anything becomes nothing else."""
    partial = _partial(Pets, '{"anything": {"a": [1, {"b": 2')

    assert partial.is_complete("anything", "a", 0)
    assert not partial.is_complete("anything", "a", 1)


def test_a_snapshot_that_was_pickled_tells_what_grows() -> None:
    """It is the same afterwards in every respect."""
    partial = _partial(Recipe, f'{{"name": "x", "steps": [{STEP}, {{"title": "a')
    pickled = pickle.loads(pickle.dumps(partial))
    paths = [("name",), ("steps",), ("steps", 0), ("steps", 1), ("steps", 1, "title")]

    assert [partial.is_complete(*path) for path in paths] == [pickled.is_complete(*path) for path in paths]


@pytest.mark.parametrize("type_", [list[Step], tuple[Step, ...], TypeAdapter(list[Step] | None), Steps])
def test_a_draft_of_a_list_is_used_like_one(type_: Any) -> None:
    """Elements, length, indexes from both ends, slices and `in`, while it grows and once it is whole."""
    growing, whole = (
        _partial(type_, f'[{STEP}, {{"title": "la'),
        _partial(type_, f'[{STEP}, {{"title": "last"}}]'),
    )

    assert (2, "la", "la") == (len(growing), growing[1].title, growing[-1].title)
    assert (2, "last", "last") == (len(whole), whole[1].title, whole[-1].title)
    assert [growing[0], growing[1]] == list(growing) == list(growing[:])
    assert (True, False, 1) == (growing[0] in growing, Step(title="no") in growing, len(whole[1:]))
    with pytest.raises(IndexError):
        growing[2]
    with pytest.raises(KeyError):
        growing["title"]


def test_a_draft_is_true_and_what_has_not_come_is_empty() -> None:
    """Nothing there is no elements and no names; an index says so; a draft of an object has none."""
    empty, scalar, fields = Draft(list[int]).partial(), _partial(str, '"abc'), _partial(Step, '{"title": "x')

    assert ([], 0, True, []) == (list(empty), len(empty), bool(empty), empty[:])
    assert ([], 0, 1) == (list(scalar), len(scalar), len(fields))
    assert {1, 2} == set(_partial(set[int], "[1, 2]"))
    with pytest.raises(IndexError, match="no element 0 yet"):
        empty[0]
    with pytest.raises(KeyError):
        fields[0]


def test_what_is_asked_of_what_has_not_come_says_how_to_ask() -> None:
    """MISSING has no attributes and no items; the error names the way; probes of tools find nothing."""
    draft = _partial(Recipe, "{")

    with pytest.raises(AttributeError, match=r"\.title was read .* draft\.get\("):
        _ = draft.best.title
    for name in ("name", "value"):
        # Fields are called so more often than anything else.
        with pytest.raises(AttributeError, match=rf"^\.{name} was read .* draft\.get\(") as told:
            getattr(draft.best, name)
        assert told.value.name == name
    with pytest.raises(AttributeError, match=r"\[0\] was read .* draft\.get\("):
        _ = draft.steps[0]
    with pytest.raises(TypeError, match="not iterable"):
        list(draft.steps)
    assert (0, False, False) == (
        getattr(MISSING, "title", 0),
        bool(MISSING),
        hasattr(MISSING, "__rich_repr__"),
    )
    assert (MISSING, MISSING) == (copy.deepcopy(MISSING), pickle.loads(pickle.dumps(MISSING)))

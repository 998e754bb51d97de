"""A typed object as far as it has come: equality, copies, pickles, and how it is shown and used."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Hashable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter

from tests.partial_json.typed import STEP, partial_of
from tests.partial_json.typed_models.shapes import Recipe, Step, Steps
from tests.support.texts import pieces_of
from tokenstream.errors import OutputIncomplete, OutputInvalid
from tokenstream.partial_json import MISSING, Partial
from tokenstream.stages._objects.partials import Partials


def test_snapshots_are_equal_when_they_show_the_same() -> None:
    text = f'{{"name": "x", "steps": [{STEP}, {{"title": "a'
    draft: Partials[Any] = Partials(Recipe)
    for piece in pieces_of(text, 3):
        draft.feed(piece)

    assert partial_of(Recipe, text) == draft.partial()
    assert partial_of(Recipe, text + "b") != draft.partial()
    assert partial_of(Step, "{") != partial_of(Recipe, "{")
    assert "other" != draft.partial()


def test_a_snapshot_has_no_hash_and_no_fields_to_set() -> None:
    draft = partial_of(Step, '{"title": "x"')

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
    draft = partial_of(type_, text)
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
    draft = partial_of(Step, '{"title": "x"')

    assert copy.copy(draft) is draft
    assert copy.deepcopy(draft) is draft


def test_a_repr_shows_what_there_is() -> None:
    many = partial_of(list[int], f"[{', '.join(map(str, range(30)))}, ")

    assert "Partial[Step](title='x', …)" == repr(partial_of(Step, '{"title": "x'))
    assert "Partial[Step](…)" == repr(Partials(Step).partial())
    assert repr(many).endswith("18, 19, … 10 more], …)")


def test_rich_shows_names_and_values() -> None:
    draft = partial_of(Step, '{"title": "x", "minutes": 2, ')

    assert [("title", "x"), ("minutes", 2)] == list(draft.__rich_repr__())
    assert [(None, [1])] == list(partial_of(list[int], "[1, ").__rich_repr__())


def test_allowed_extra_fields_are_attributes_once_they_came() -> None:
    """A model that keeps unknown keys shows them."""

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")
        a: int = 0

    draft = partial_of(Open, '{"zz": "tex')

    assert "tex" == draft.zz
    with pytest.raises(AttributeError):
        _ = draft.yy


@pytest.mark.parametrize("type_", [list[Step], tuple[Step, ...], TypeAdapter(list[Step] | None), Steps])
def test_a_draft_of_a_list_is_used_like_one(type_: Any) -> None:
    growing, whole = (
        partial_of(type_, f'[{STEP}, {{"title": "la'),
        partial_of(type_, f'[{STEP}, {{"title": "last"}}]'),
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
    empty, scalar, fields = (
        Partials(list[int]).partial(),
        partial_of(str, '"abc'),
        partial_of(Step, '{"title": "x'),
    )

    assert ([], 0, True, []) == (list(empty), len(empty), bool(empty), empty[:])
    assert ([], 0, 1) == (list(scalar), len(scalar), len(fields))
    assert {1, 2} == set(partial_of(set[int], "[1, 2]"))
    with pytest.raises(IndexError, match="no element 0 yet"):
        empty[0]
    with pytest.raises(KeyError):
        fields[0]


def test_what_is_asked_of_what_has_not_come_says_how_to_ask() -> None:
    """MISSING has no attributes and no items; the error names the way; probes of tools find nothing."""
    draft = partial_of(Recipe, "{")

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

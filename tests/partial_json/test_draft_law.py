"""The law of drafts: the end is what pydantic makes of the whole text."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from random import Random
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter, create_model

from tests.partial_json.typed import CASES, damaged, expected, outcome
from tests.support.effort import examples, trials


def _name(case: Any) -> str:
    return str(getattr(case, "__name__", case))


@pytest.mark.slow
@pytest.mark.parametrize("type_, texts", CASES, ids=_name)
def test_the_end_is_what_pydantic_makes_of_the_whole(type_: Any, texts: list[str]) -> None:
    for text in texts:
        cuts = [[], list(range(len(text))), *([cut] for cut in range(len(text)))]

        assert [expected(type_, text)] * len(cuts) == [outcome(type_, text, cut) for cut in cuts]


def _hold_the_law(seed: int) -> None:
    random = Random(seed)
    type_, texts = random.choice(CASES)
    text = damaged(random.choice(texts), random)
    cuts = sorted(random.sample(range(len(text)), min(len(text), random.randrange(8))))
    wanted = expected(type_, text)

    assert wanted == outcome(type_, text, cuts), text
    assert wanted == outcome(type_, text, list(range(len(text)))), text


@pytest.mark.slow
@given(seed=st.integers(0, 10**9))
@examples(400)
def test_the_end_of_a_damaged_document_is_what_pydantic_makes_of_the_whole(seed: int) -> None:
    _hold_the_law(seed)


@pytest.mark.slow
def test_the_ends_of_many_damaged_documents_are_what_pydantic_makes_of_the_whole() -> None:
    for seed in range(trials(100_000, one_in=40)):
        _hold_the_law(seed)


# -- generated models ------------------------------------------------------------------

_LEAVES: list[tuple[Any, Any]] = [
    (str, st.sampled_from(["", "a", "é\n"])),
    (int, st.integers(-3, 3)),
    (float, st.sampled_from([0.5, 1, 1e300])),
    (bool, st.booleans()),
    (dt.date, st.sampled_from(["2020-01-02", "soon"])),
    (Annotated[str, Field(max_length=2)], st.sampled_from(["ab", "abc"])),
    (Any, st.sampled_from([None, 1, [1], {"a": 1}])),
]
_NAMES = ["a", "b", "c"]


@st.composite
def _typed(draw: Callable[[Any], Any], depth: int = 3) -> tuple[Any, Any]:
    """Return a type, and what makes documents that are nearly of it."""
    kind = draw(st.sampled_from(["leaf", "list", "dict", "null", "model", "model"] if depth else ["leaf"]))
    if kind == "leaf":
        leaf: tuple[Any, Any] = draw(st.sampled_from(_LEAVES))
        return leaf
    if kind == "model":
        return _modelled(draw, depth)
    inner: Any
    inner, values = draw(_typed(depth - 1))
    made: dict[str, tuple[Any, Any]] = {
        "list": (_of(list, inner), st.lists(values, max_size=3)),
        "dict": (_of(dict, str, inner), st.dictionaries(st.sampled_from(_NAMES), values, max_size=3)),
        "null": (inner | None if inner is not Any else Any, values | st.none()),
    }
    return made[kind]


def _of(generic: Any, *inner: Any) -> Any:
    return generic[inner]


def _modelled(draw: Callable[[Any], Any], depth: int) -> tuple[Any, Any]:
    fields: dict[str, Any] = {}
    keys: dict[str, Any] = {}
    for name in _NAMES[: draw(st.integers(1, 3))]:
        type_, values = draw(_typed(depth - 1))
        alias = draw(st.sampled_from([None, f"{name}-{name}"]))
        default = draw(st.sampled_from([..., None]))
        fields[name] = type_, Field(default, validation_alias=alias)
        keys[alias or name] = values | st.sampled_from([None, 1, "x"])
    extra = draw(st.sampled_from(["ignore", "allow", "forbid"]))
    model: Any = create_model("Made", __config__={"extra": extra}, **fields)
    return model, st.fixed_dictionaries({}, optional={**keys, "zz": st.integers(0, 1)})


@given(data=st.data())
@examples(60)
def test_the_law_holds_for_models_that_nobody_thought_of(data: st.DataObject) -> None:
    """Models of any shape with aliases, defaults and extra keys end as `validate_json` has them."""
    type_, values = data.draw(_typed())
    text = json.dumps(data.draw(values))
    size = data.draw(st.integers(1, 5))
    cuts = list(range(0, len(text), size))
    adapter: TypeAdapter[Any] = TypeAdapter(type_)

    assert expected(adapter, text) == outcome(adapter, text, cuts)

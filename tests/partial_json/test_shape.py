"""What types look like to a document that grows."""

from __future__ import annotations

import datetime as dt
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from pydantic_core import SchemaValidator

from tests.partial_json.typed import CASES, damaged, expected, outcome
from tests.partial_json.typed_models.keys import Aliased, ByName, Extra
from tests.partial_json.typed_models.shapes import Node, Options, Plain, Recipe, Roots, Step
from tests.partial_json.typed_models.unions import Called, Pet
from tests.partial_json.typed_models.validators import After, Fields
from tests.partial_json.typed_models.values import Configured, Leaves
from tests.support.effort import examples
from tests.support.tables import in_one_test
from tokenstream.partial_json._shapes import assembly as _shape_assembly
from tokenstream.partial_json._shapes import pydantic_shapes as _shape_pydantic
from tokenstream.partial_json._typed.schema import Schema
from tokenstream.stages._objects.partials import Partials


def _is_taken_apart(type_: Any, kind: Any = "object") -> bool:
    schema: Schema[Any] = Schema.of(type_)
    return schema.slot.find_structure(kind) is not None


@in_one_test(
    "type_", [Recipe, After, Fields, Node, Plain, Options, Extra, Configured, Roots, Pet, dict[str, int]]
)
def test_objects_are_read_field_by_field(type_: Any) -> None:
    assert _is_taken_apart(type_)


@pytest.mark.parametrize("type_", [list[int], tuple[int, ...], tuple[int, str], list[Step] | None])
def test_arrays_are_read_element_by_element(type_: Any) -> None:
    assert _is_taken_apart(type_, "array")
    assert not _is_taken_apart(type_)


def test_a_discriminator_that_is_a_function_may_look_at_anything() -> None:
    slot = Schema.of(Called).slot.find_structure("object")
    assert slot is not None
    inner = slot.find_slot("x")
    assert inner is not None

    assert inner.find_structure("object") is None
    assert "Node | Step" == (inner.type_names.title if inner.type_names is not None else None)


@pytest.mark.parametrize(
    "type_, shows",
    [
        (str, True),
        (Any, True),
        (str | int, True),
        (str | None, True),
        (int, False),
        (dt.date, False),
        (list[str], False),
    ],
)
def test_text_shows_where_it_stays_text(type_: Any, shows: bool) -> None:
    """A string that becomes something else shows when it is that."""
    assert shows == Schema.of(type_).slot.shows_text


def test_text_of_leaves_shows_only_where_it_stays_text() -> None:
    """Enums, literals, secrets and JSON in text do not show while they grow; what may be any text does."""
    structure = Schema.of(Leaves).slot.find_structure("object")
    names = list(Leaves.model_fields)
    slots = {name: structure.find_slot(name) for name in names} if structure is not None else {}

    assert {"anything", "union"} == {name for name, slot in slots.items() if slot and slot.shows_text}


# -- where a schema cannot be taken apart --------------------------------------------------


@pytest.mark.parametrize("type_", [int, str])
def test_a_validator_that_is_passed_over_is_noticed(type_: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should pydantic use another validator than the one that was made, nothing is taken apart."""
    other: TypeAdapter[Any] = TypeAdapter(type_)
    monkeypatch.setattr(_shape_assembly, "make_validator", lambda *_: other.validator)
    _shape_assembly.is_assembly_sound.cache_clear()
    sound = _shape_assembly.is_assembly_sound()
    _shape_assembly.is_assembly_sound.cache_clear()

    assert not sound


def test_an_older_pydantic_has_no_option_to_pass_validators_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(schema: Any, config: Any = None) -> Any:
        return SchemaValidator(schema, config)

    monkeypatch.setattr(_shape_assembly, "SchemaValidator", older)
    found = _shape_assembly.make_validator({"type": "int"}, None).validate_json("3")

    assert 3 == found


def test_all_is_read_whole_where_nothing_can_be_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_shape_pydantic, "is_assembly_sound", lambda: False)

    class Own(BaseModel):
        step: Step
        steps: list[Step] = []

    text = '{"step": {"title": "x"}, "steps": [{}]}'

    assert expected(Own, text) == outcome(Own, text, list(range(len(text))))


@given(seed=st.integers(0, 10**9))
@examples(60)
def test_early_errors_are_those_of_the_end(seed: int) -> None:
    """What is reported while a document grows is wrong at its end too, unless its field came again."""
    random = Random(seed)
    type_, texts = random.choice([case for case in CASES if case[0] not in (Aliased, ByName)])
    text = damaged(random.choice(texts), random)
    draft: Partials[Any] = Partials(type_)
    early: set[tuple[Any, ...]] = set()
    for character in text:
        draft.feed(character)
        early |= {error["loc"][:1] for error in draft.partial().errors}
    draft.end()

    assert not early or draft.partial().errors or _repeats_a_key(text)


def _repeats_a_key(text: str) -> bool:
    found: list[bool] = []

    def keyed(pairs: list[tuple[str, Any]]) -> Any:
        found.append(len({key for key, _ in pairs}) < len(pairs))
        return dict(pairs)

    json.loads(text, object_pairs_hook=keyed)
    return any(found)

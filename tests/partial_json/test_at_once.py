"""A document that comes in one piece is validated at once, and shows what it shows piece by piece."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from tests.partial_json.typed import CASES, STEP, damaged, plain
from tests.partial_json.typed_models.shapes import Recipe, Step
from tests.support.effort import examples
from tokenstream.errors import TokenStreamError
from tokenstream.partial_json import Partial
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._patches import Patches

_OPTIONS: list[dict[str, Any]] = [{}, {"defaults": True}, {"show": "words"}, {"show": "values"}]
_ANY: Any = Any


def _read(type_: Any, pieces: Sequence[str], **options: Any) -> Partials[Any]:
    stage: Partials[Any] = Partials(type_, **options)
    for piece in pieces:
        stage.feed(piece)
    stage.end()
    return stage


def _paths(draft: Partial[Any], path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths of a draft, outermost first, to a depth of three."""
    value: Any = draft.get(*path) if path else draft
    keys: list[str | int] = []
    if isinstance(value, Partial | Mapping):
        keys = [key for key in value if isinstance(key, str)]
    if isinstance(value, Partial | Sequence) and not isinstance(value, str | bytes):
        keys += range(len(value))
    if isinstance(value, BaseModel):
        keys = [*type(value).model_fields, *(value.model_extra or ())]
    inner = [_paths(draft, (*path, key)) for key in keys] if len(path) < 3 else []
    return [path, *(each for found in inner for each in found)]


def _outcome(ask: Any) -> Any:
    try:
        return repr(ask())
    except TokenStreamError as error:
        return type(error), str(error)


def _told(stage: Partials[Any]) -> list[Any]:
    """Return all that a user sees of the last draft, and of the stage."""
    draft = stage.partial()
    paths = _paths(draft)
    return [
        (type(stage.error), str(stage.error), stage.complete, stage.repairs),
        (repr(draft), draft.complete, plain(draft.errors), list(map(repr, draft)), len(draft)),
        *map(_outcome, (draft.final, draft.to_python, draft.to_json, lambda: draft.to_json(by_alias=True))),
        repr(draft.value),
        [(path, repr(draft.get(*path)), draft.is_complete(*path)) for path in paths],
        _outcome(lambda: Patches().feed(draft)),
        _outcome(lambda: pickle.loads(pickle.dumps(draft))),
    ]


def _hold(type_: Any, text: str, options: dict[str, Any]) -> None:
    whole, grown, again = (_read(type_, pieces, **options) for pieces in ([text], text, text))
    draft, end = whole.partial(), grown.partial()

    assert _told(grown) == _told(whole), text
    # Exceptions in errors, and NaN, equal no other.
    assert (draft == end) == (again.partial() == end), text


@pytest.mark.parametrize("seed", range(4))
def test_a_document_shows_whole_what_it_shows_by_characters(seed: int) -> None:
    random = Random(seed)
    for type_, texts in CASES[seed::4]:
        for text in texts:
            edges = random.choice([("", ""), (" ", "\n "), ("", " x"), ("\n", text)])
            _hold(type_, text.join(edges), random.choice(_OPTIONS))


@given(seed=st.integers(0, 10**9))
@examples(100)
def test_a_damaged_document_shows_whole_what_it_shows_by_characters(seed: int) -> None:
    """What is not valid is told value by value, in the same order."""
    random = Random(seed)
    type_, texts = random.choice(CASES)

    _hold(type_, damaged(random.choice(texts), random), random.choice(_OPTIONS))


_DEEP = "[" * 200 + "]" * 200
_BROAD = ",".join(["[]"] * 250)


@pytest.mark.parametrize(
    "text",
    [
        _DEEP,
        f"[{_DEEP}]",
        f"[{_DEEP[:200]}1{_DEEP[200:]}]",
        f"[{_BROAD}]",
        f'["]","]",{_BROAD},{_DEEP},"[["]',
        f'[{_BROAD},"\\"[[",{{"]\\\\":[]}},"","é",{_DEEP[:199]}{{}}{_DEEP[201:]}]',
        json.dumps(["[" * 300, "]" * 300]),
        "[NaN]",
        "[1e400, -0, 1E5]",
        f"[{'1' * 4_300}]",
        f"[1.{'1' * 5_000}]",
        "\ufeff[1]",
        '["\\ud800"]',
        '["\ud800"]',
        '{"a": 1, "a": 2}',
        "[1}",
    ],
)
def test_whole_and_by_characters_the_same_is_json_within_the_bounds(text: str) -> None:
    """What pydantic takes beyond what the parser does is no way around it."""
    whole, grown = _read(_ANY, [text]), _read(_ANY, text)

    assert (type(grown.error), str(grown.error)) == (type(whole.error), str(whole.error))
    assert repr(grown.partial()) == repr(whole.partial())


class Counted(BaseModel):
    title: str
    steps: list[Step]

    @field_validator("title")
    @classmethod
    def counted(cls, value: str) -> str:
        _RUN.append(value)
        return value


_RUN: list[str] = []


def test_a_whole_document_is_validated_once() -> None:
    _RUN.clear()
    draft = _read(Counted, [f'{{"steps":[{STEP}],"title":"x"}}']).partial()
    told = draft.title, draft.get("steps", 0, "minutes"), draft.is_complete("steps"), draft.errors

    assert ("x", 3, True, ()) == told
    assert draft.to_python()["title"] == "x" == draft.final().title
    assert ["x"] == _RUN


def test_what_a_whole_document_has_is_what_its_end_has() -> None:
    """One object each, before and after its fields were gone through, and behind more space."""
    stage = Partials(Recipe)
    (draft,) = stage.feed(f'{{"steps":[{STEP}],"name":"x","tags":{{"a":1}}}}')
    steps, before = draft.steps, list(draft)
    stage.feed(" \n")
    later = stage.partial()

    assert ["steps", "name", "tags"] == before[:3]
    assert steps is draft.steps is draft["steps"] is later.steps is stage.partial().final().steps
    patches = Patches()

    assert 1 == len(patches.feed(draft))
    assert [] == patches.feed(later)
    assert draft == later


def test_nothing_of_a_whole_document_waits_for_the_garbage_collector() -> None:
    stage = Partials(Step)
    (draft,) = stage.feed(STEP)
    kept = weakref.ref(draft.final())
    gc.disable()
    try:
        assert repr(draft) == "Partial[Step](title='t', minutes=3, note=None)"
        del stage, draft

        assert kept() is None
    finally:
        gc.enable()

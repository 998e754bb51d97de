"""The law of patches: applied in order, they give what the last draft shows."""

from __future__ import annotations

import json
from random import Random
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field

from tests.partial_json.support import calls_of
from tests.partial_json.test_dump import Plan, Whole
from tests.partial_json.typed import CASES, damaged, draft_of
from tests.support.effort import examples
from tests.support.json_patch import patched
from tests.support.tables import in_one_test
from tokenstream.partial_json import Show
from tokenstream.stages._objects.partials import Partials
from tokenstream.stages._patches import Patches


class Calm(BaseModel):
    """What shows late by its annotations."""

    text: Annotated[str, Show("words")]
    plans: Annotated[list[Plan], Show("values")] = []
    names: list[Annotated[str, Show("values")]] = []


_MORE: list[tuple[Any, list[str]]] = [
    (
        Plan,
        [
            '{"theName": "na\\nme", "steps": [{"title": "a", "onDay": "2020-01-02"}], "a/b~": {"": "x"}}',
            '{"more": [1, {"x": "yz"}], "steps": [{"onDay": "2020-01-02", "title": "abc"}, 3]}',
        ],
    ),
    (list[Whole], ['[{"a": 1, "b": "xyz"}, {"b": "s", "a": "2"}]']),
    (
        Calm,
        [
            '{"names": ["ab", "cd"], "plans": [{"theName": "xyz"}], "text": "ab cd, ef"}',
            '{"text": "ab cd ef", "names": [["a"]], "plans": [{"theName": "xyz", "steps": [{}]}]}',
        ],
    ),
    (list[str], ['["", "abc", "a\\ud83d\\ude00b"]']),
    (dict[str, Any], ['{"a": "xx", "a": "xxy", "b": {"c": [], "d": {}}, "b": [{}]}']),
    (Any, ['[[], {}, [[{"a": [1, "b"]}]]]']),
]


def _hold_the_law(seed: int) -> None:
    random = Random(seed)
    type_, texts = random.choice([*CASES, *_MORE * 4])
    text = random.choice(texts)
    if random.random() < 0.5:
        text = damaged(text, random)
    append, by_alias = random.random() < 0.5, random.choice([None, False, True])
    lenient, defaults = random.random() < 0.2, random.random() < 0.3
    show: Any = random.choice(["characters", "characters", "words", "values"])
    draft: Partials[Any] = Partials(type_, lenient=lenient, defaults=defaults, show=show)
    stage = Patches(append=append, by_alias=by_alias)
    most, often = random.choice([1, 3, 9]), random.choice([0.2, 1])
    at, document = 0, None
    while at <= len(text):
        size = random.randint(1, most)
        draft.feed(text[at : at + size])
        at += size
        if at > len(text) and random.random() < 0.9:
            draft.end()
        elif random.random() > often:
            # Skipped, as a consumer that is slow skips it.
            continue
        partial = draft.partial()
        before = json.dumps(document)
        for patch in stage.feed(partial):
            # What one consumer does with a patch is its own affair.
            document = patched(document, json.loads(json.dumps(patch)), append=append)
            _spoil(patch)
        assert document == partial.to_python(by_alias=by_alias), (seed, text, before)


def _spoil(value: Any) -> None:
    inner = (
        list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
    )
    for each in inner:
        _spoil(each)
    if isinstance(value, dict | list):
        value.clear()


@pytest.mark.not_quick
@given(seed=st.integers(0, 10**9))
@examples(300)
def test_patches_lead_to_each_draft(seed: int) -> None:
    _hold_the_law(seed)


def _each_once(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


class Basket(BaseModel):
    """A list that its validation shortens once it is whole."""

    fruit: Annotated[list[str], AfterValidator(_each_once)]


@in_one_test("append", [True, False])
@in_one_test(
    "words",
    [
        ["fig", "fig"],
        ["fig", "fig", "fig"],
        ["fig", "pear", "fig", "pear", "fig", "plum"],
        ["fig", "fig", "pear", "pear", "plum", "plum"],
        ["fig", "pear"],
    ],
    ids=" ".join,
)
def test_a_list_that_validation_shortens_loses_each_element_that_is_gone(
    words: list[str], append: bool
) -> None:
    """A reader who applies the patches has as many elements as the object, not one more."""
    text = json.dumps({"fruit": words})
    draft, stage = Partials(Basket), Patches(append=append)
    document, lengths = None, set[int]()
    for at in range(0, len(text), 3):
        draft.feed(text[at : at + 3])
        partial = draft.partial()
        for patch in stage.feed(partial):
            document = patched(document, patch, append=append)
        assert document == partial.to_python()
        lengths.add(len(document["fruit"]) if document and "fruit" in document else 0)

    assert document == {"fruit": _each_once(words)}
    assert max(lengths) == len(words)


class Step(BaseModel):
    title: str
    minutes: int = 5


class Recipe(BaseModel):
    name: str = Field(alias="theName")
    steps: list[Step]


_PIECES = [
    '{"theNa',
    'me": "Tea", "steps": [{"title": "Boi',
    'l", "minutes": 3}, {"title": "Ste',
    "e",
    'p"}]}',
]


def _patches(**options: Any) -> list[list[dict[str, Any]]]:
    draft, stage = Partials(Recipe), Patches(**options)
    return [patch for piece in _PIECES if draft.feed(piece) for patch in stage.feed(draft.partial())]


def test_a_patch_tells_what_has_changed() -> None:
    assert _patches() == [
        [{"op": "replace", "path": "", "value": {}}],
        [
            {"op": "add", "path": "/name", "value": "Tea"},
            {"op": "add", "path": "/steps", "value": [{"title": "Boi"}]},
        ],
        [
            {"op": "replace", "path": "/steps/0/title", "value": "Boil"},
            {"op": "add", "path": "/steps/0/minutes", "value": 3},
            {"op": "add", "path": "/steps/1", "value": {"title": "Ste"}},
        ],
        [{"op": "replace", "path": "/steps/1/title", "value": "Stee"}],
        [
            {"op": "replace", "path": "/steps/1/title", "value": "Steep"},
            {"op": "add", "path": "/steps/1/minutes", "value": 5},
        ],
    ]


def test_a_patch_may_send_only_what_a_string_grew_by() -> None:
    """An operation of our own, also where a piece finishes the string, and more."""
    patches = _patches(append=True, by_alias=True)

    assert patches[1][0] == {"op": "add", "path": "/theName", "value": "Tea"}
    assert patches[2][0] == {"op": "append", "path": "/steps/0/title", "value": "l"}
    assert patches[3:] == [
        [{"op": "append", "path": "/steps/1/title", "value": "e"}],
        [
            {"op": "append", "path": "/steps/1/title", "value": "p"},
            {"op": "add", "path": "/steps/1/minutes", "value": 5},
        ],
    ]


def test_another_draft_replaces_the_root() -> None:
    """An answer that began again has nothing in common with the one before."""
    stage = Patches()
    for text, wanted in (("{", {}), ('{"theName": "T', {"name": "T"})):
        draft = draft_of(Recipe, text)

        assert stage.feed(draft.partial()) == [[{"op": "replace", "path": "", "value": wanted}]]
        assert stage.feed(draft.partial()) == []


def test_keys_are_escaped() -> None:
    draft, stage = Partials(dict[str, list[str]]), Patches()
    pieces = ["{", '"": [], ', '"a/b": [], ', '"~1": [], ', '"n": ["a", "b"']
    patches = [patch for piece in pieces for drafted in draft.feed(piece) for patch in stage.feed(drafted)]

    assert [operation["path"] for operation in patches[-1]] == ["/n"]
    assert [patch[0]["path"] for patch in patches] == ["", "/", "/a~1b", "/~01", "/n"]
    (patch,) = (patch for drafted in draft.feed(', "c"') for patch in stage.feed(drafted))
    assert [operation["path"] for operation in patch] == ["/n/2"]


@pytest.mark.slow
def test_a_patch_costs_what_has_changed() -> None:
    looked: list[int] = []
    # The first time, modules load.
    for count in (4, 4, 4_000):
        draft, stage = Partials(list[Step]), Patches(append=True)
        draft.feed("[" + '{"title": "a"},' * count)
        stage.feed(draft.partial())
        draft.feed('{"title": "abc')
        stage.feed(draft.partial())
        draft.feed("def")
        looked.append(calls_of(lambda draft=draft, stage=stage: stage.feed(draft.partial())))

    assert looked[1] == looked[2] < 200

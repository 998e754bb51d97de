"""When strings, and fields whose annotation says so, show."""

from __future__ import annotations

import dataclasses
import itertools
import pickle
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, field_validator, model_validator
from typing_extensions import TypedDict

from tests.support.effort import examples
from tests.support.json_patch import patched
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream import Stream
from tokenstream.errors import MisuseError
from tokenstream.partial_json import MISSING, Partial, Show
from tokenstream.stages import Words
from tokenstream.stages._objects.partials import Partials

Whole = Show("values")
Wordy = Show("words")


class Step(BaseModel):
    title: str
    minutes: int = 3


class Plain(BaseModel):
    title: str = ""
    text: str = ""
    steps: list[Step] = []
    by: dict[str, str] = {}


class Said(BaseModel):
    title: Annotated[str, Whole] = ""
    text: Annotated[str | None, Wordy] = None
    steps: list[Annotated[Step, Whole]] = []
    by: Annotated[dict[str, str], Whole, Field(max_length=9)] = {}


@dataclasses.dataclass
class SaidData:
    title: Annotated[str, Whole] = ""
    text: Annotated[str, Wordy] | None = None
    steps: list[Annotated[Step, Whole]] = dataclasses.field(default_factory=list)
    by: Annotated[dict[str, str], Whole] = dataclasses.field(default_factory=dict)


class SaidDict(TypedDict, total=False):
    title: Annotated[str, Whole]
    text: Annotated[str, Wordy]
    steps: list[Annotated[Step, Whole]]
    by: Annotated[dict[str, str], Whole]


TEXT = (
    '{"title": "Crêpes with lemon", "text": "Stir it  well,\\nthen 你好 wait.", '
    '"steps": [{"title": "Whisk the batter", "minutes": 5}, {"title": "Bake"}], "by": {"a b": "one two"}}'
)


def _data(value: Any) -> Any:
    """Return what shows as plain data, so that drafts can be compared with finished objects."""
    if isinstance(value, Partial):
        return {name: _data(value[name]) for name in value}
    fields: Any = vars(value) if isinstance(value, BaseModel | SaidData) else value
    if isinstance(fields, Mapping):
        return {name: _data(inner) for name, inner in fields.items()}
    if isinstance(fields, Sequence) and not isinstance(fields, str):
        return [_data(inner) for inner in fields]
    return fields


def _is_behind(earlier: Any, later: Any) -> bool:
    """Tell whether what shows goes on to what shows later, or elsewhere: nothing is taken back."""
    if isinstance(earlier, str):
        return isinstance(later, str) and later.startswith(earlier)
    if isinstance(earlier, dict):
        return all(name in later and _is_behind(inner, later[name]) for name, inner in earlier.items())
    if isinstance(earlier, list):
        return len(earlier) <= len(later) and all(map(_is_behind, earlier, later))
    return bool(earlier == later)


def _shown(type_: Any, pieces: list[str], **options: Any) -> list[Any]:
    stage: Partials[Any] = Partials(type_, **options)
    shown: list[Any] = []
    for piece in pieces:
        shown += [_data(draft) for draft in stage.feed(piece)][-1:] or shown[-1:] or [{}]
    return shown


_TYPES: list[Any] = [Plain, Said, SaidData]


@examples(25)
@given(
    type_=st.sampled_from([*_TYPES, SaidDict]),
    how=st.sampled_from(["characters", "words", "values"]),
    size=st.integers(1, 9),
)
def test_nothing_shows_before_its_characters_and_nothing_is_taken_back(
    type_: Any, how: Any, size: int
) -> None:
    """What shows is behind what shows by characters, goes on only, and ends as the same draft."""
    pieces = list(pieces_of(TEXT, size))
    by_characters, shown = _shown(Plain, pieces), _shown(type_, pieces, show=how)

    assert all(map(_is_behind, shown, by_characters))
    assert all(itertools.starmap(_is_behind, itertools.pairwise(shown)))
    assert by_characters[-1] == shown[-1] == _shown(type_, [TEXT])[-1]


@examples(25)
@given(
    type_=st.sampled_from(_TYPES),
    how=st.sampled_from(["characters", "words", "values"]),
    size=st.integers(1, 9),
    defaults=st.booleans(),
    append=st.booleans(),
)
def test_data_and_patches_are_of_what_shows(
    type_: Any, how: Any, size: int, defaults: bool, append: bool
) -> None:
    """`to_python` has what the draft shows, and patches lead from one to the next."""
    pieces = list(pieces_of(TEXT, size))
    drafts: list[Any] = list(Stream(pieces, format="pieces").partials(type_, show=how, defaults=defaults))
    document: Any = None
    befores: list[Any] = [None, *drafts]
    told = [draft for before, draft in zip(befores, drafts, strict=False) if _differ(before, draft)]
    patches = (
        Stream(pieces, format="pieces").partials(type_, show=how, defaults=defaults).patches(append=append)
    )
    for draft, patch in zip(told, patches, strict=True):
        document = patched(document, patch, append=append)

        assert _data(draft) == draft.to_python() == document


def _differ(before: Any, after: Any) -> bool:
    return before is None or bool(before.to_python() != after.to_python())


@pytest.mark.parametrize("type_", [Said, SaidData, SaidDict])
@pytest.mark.parametrize("how", ["characters", "values"])
def test_an_annotation_says_when_its_field_shows(type_: Any, how: Any) -> None:
    shown = _shown(type_, list(TEXT), show=how)

    assert {"Crêpes with lemon"} == {each["title"] for each in shown if "title" in each}
    assert "Stir it  well,\nthen 你" in {each.get("text") for each in shown}
    assert all(each.get("text") in {None, *_words()} for each in shown[:-1])
    steps = [each["steps"] for each in shown if "steps" in each]
    assert [[], ["Whisk the batter"], ["Whisk the batter", "Bake"]] == [
        [step["title"] for step in each] for each, _ in itertools.groupby(steps)
    ]
    assert [{"a b": "one two"}] == [
        each for each, _ in itertools.groupby(e["by"] for e in shown if "by" in e)
    ]


def _words() -> set[str]:
    text = "Stir it  well,\nthen 你好 wait."
    return {text[:end] for end in itertools.accumulate(map(len, Words().feed(text)), initial=0)} | {text}


def test_strings_show_by_words_or_when_they_are_finished() -> None:
    """Words end where `.words()` ends them, when the character behind has come; nothing else is given."""
    by_words: Partials[Any] = Partials(list[str], show="words")
    by_values: Partials[Any] = Partials(list[str], show="values")
    words, text, grown = Words(), "Don't  stir,  你好。wait", ""
    begun = by_words.feed('["')[0], by_values.feed('["')[0]
    for character in text:
        grown += "".join(new := words.feed(character))
        drafts = by_words.feed(character)

        assert (len(new) > 0, []) == (len(drafts) > 0, by_values.feed(character))
        assert [grown] * len(drafts) == [draft[0] for draft in drafts]

    assert ([""], []) == tuple(map(list, begun))
    assert [text] == [*by_words.feed('"')[0]] == [*by_values.feed('"')[0]]


class Kept(BaseModel):
    title: Annotated[str, Whole]
    text: str
    steps: Annotated[list[str], Whole] = []

    @model_validator(mode="before")
    @classmethod
    def kept(cls, value: Any) -> Any:
        return value


class Cat(BaseModel):
    kind: Literal["cat"]
    name: Annotated[str, Whole]
    said: str


class Dog(BaseModel):
    kind: Literal["dog"]
    name: Annotated[str, Whole]
    said: Annotated[str, Wordy]


class Odd(BaseModel):
    kept: Kept | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    checked: Annotated[str, Whole, AfterValidator(str.strip)] = ""
    late: Annotated[str, Whole] = ""
    inner: Annotated[Plain, Wordy] | None = None
    held: Annotated[Step, Whole] | None = None

    @field_validator("late")
    @classmethod
    def with_others(cls, value: str, info: Any) -> str:
        return value + str(len(info.data))[:0]


@in_one_test(
    ("text", "path", "shown"),
    [
        ('{"kept": {"title": "Pan', ("kept", "title"), MISSING),
        ('{"kept": {"title": "Pan", "text": "so m', ("kept", "text"), "so m"),
        ('{"kept": {"steps": ["a", ', ("kept", "steps"), MISSING),
        ('{"kept": {"steps": ["a", "b"], ', ("kept", "steps"), ["a", "b"]),
        ('{"pet": {"name": "Mi', ("pet", "name"), MISSING),
        ('{"pet": {"said": "pu', ("pet", "said"), MISSING),
        ('{"pet": {"kind": "cat", "said": "pu', ("pet", "said"), "pu"),
        ('{"pet": {"kind": "dog", "said": "wau wa', ("pet", "said"), "wau"),
        ('{"checked": " a', ("checked",), MISSING),
        ('{"late": "a', ("late",), MISSING),
        ('{"inner": {"text": "one tw', ("inner", "text"), "one"),
        ('{"inner": {"steps": [{"title": "one tw', ("inner", "steps", 0, "title"), "one"),
        ('{"held": {"title": "a", "minutes": 3', ("held",), MISSING),
        ('{"held": {"title": "a", "minutes": 3}', ("held", "title"), "a"),
        ('{"held": {"minutes": "few"', ("held",), MISSING),
    ],
)
def test_it_holds_wherever_a_field_is(text: str, path: Any, shown: Any) -> None:
    draft = _draft(Odd, text)
    found = draft.get(*path)

    assert shown == (list(found) if isinstance(shown, list) else found)
    assert not (shown is MISSING and draft.is_complete(*path))


def _draft(type_: Any, text: str, **options: Any) -> Any:
    stage: Partials[Any] = Partials(type_, **options)
    stage.feed(text)
    stage.end()
    error: Any = stage.error
    return error.best


def test_what_is_wrong_is_reported_though_it_does_not_show() -> None:
    """An error inside what is held back is in the next draft, which is given for it."""
    stage: Partials[Any] = Partials(Odd)
    drafts = [stage.feed(piece) for piece in ('{"held": {"title": "a", ', '"minutes": "few"', "}}")]

    assert [1, 1, 1] == [len(each) for each in drafts]
    assert [[], [("held", "minutes")], [("held", "minutes")]] == [
        [error["loc"] for error in each[0].errors] for each in drafts
    ]
    assert [MISSING, MISSING, "a"] == [each[0].get("held", "title") for each in drafts]


def test_pieces_that_show_nothing_give_no_draft() -> None:
    """Where a string shows when it is finished, its pieces are no news; neither are those of what is held."""
    assert [1, 0, 0, 1] == [
        len(each)
        for stage in [Partials(Said)]
        for each in map(stage.feed, ('{"title": "a', "b", " c", '", '))
    ]
    assert [1, 0, 0, 1] == [
        len(each)
        for stage in [Partials(Said)]
        for each in map(stage.feed, ('{"by": {"a": "b', '", "c": ', '"d"', "}"))
    ]


def test_a_whole_document_may_be_held() -> None:
    """An adapter's own annotation is that of the document; defaults show all the same."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Step, Whole])
    stage = Partials(adapter, defaults=True)
    given_ = [stage.feed(piece) for piece in ('{"title": "a"', ', "minutes": 1', "}")]

    assert [0, 0, 1] == [len(each) for each in given_]
    assert ("a", 1) == (given_[-1][0].title, given_[-1][0].minutes)
    assert 3 == _draft(adapter, '{"title": "a"', defaults=True).minutes
    assert "one" == _draft(TypeAdapter(Annotated[str, Wordy]), '"one tw').value


def test_a_type_with_annotations_is_what_it_was() -> None:
    assert Plain.model_json_schema()["properties"]["title"] == Said.model_json_schema()["properties"]["title"]
    assert Said.model_validate_json(TEXT).title == Plain.model_validate_json(TEXT).title
    assert (Show("values"), "Show(how='words')") == (pickle.loads(pickle.dumps(Whole)), repr(Wordy))


def test_streams_take_it_and_other_words_are_refused() -> None:
    """`partials(show=…)` is the stage's; a word that says nothing is the caller's mistake at once."""
    drafts = list(Stream(['{"title": "a b', ' c"}'], format="pieces").partials(Plain, show="words"))

    assert ["a", "a b c"] == [draft.title for draft in drafts]
    with pytest.raises(MisuseError, match='"characters", "words" or "values", not'):
        Partials(Plain, show="letters")  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match='"characters", "words" or "values", not'):
        Show("letter")  # type: ignore[arg-type]

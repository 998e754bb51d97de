"""A typed object that fills in while its JSON is written, and a whole one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, model_validator
from typing_extensions import TypedDict

from tests.support.beside import needs_recordings
from tests.support.outputs import output_of
from tests.support.tables import in_one_test
from tests.support.texts import fragmentations, pieces_of, recorded_documents, run
from tokenstream.errors import InvalidJSON, LimitExceeded, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.stages._objects.partials import Partials

_RECORDED = recorded_documents()
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


class Step(BaseModel):
    text: str
    minutes: int = 1


class Recipe(BaseModel):
    title: str
    serves: int | None = None
    steps: list[Step] = []


@dataclass
class Box:
    width: int
    inner: Box | None = None
    tags: list[str] = field(default_factory=list)


class Named(TypedDict):
    name: str


_RECIPE = (
    '{"title": "Pan\\u0063akes", "serves": null, "steps": [{"text": "Mix"}, {"text": "Bake", "minutes": 20}]}'
)


@in_one_test(
    "type_, text",
    [
        (Recipe, _RECIPE),
        (Box, '{"width": 1, "inner": {"width": 2}, "tags": ["a"]}'),
        (Named, '{"name": "x"}'),
        (dict[str, int], '{"a": 1, "a": 2}'),
        (int, "120"),
        (float, " 1.5e3 "),
        (TypeAdapter(int | None), "null"),
        (_ANY, '{"x": [1, {"y": [true, null, -0.5, "\\ud83e\\udd5e"]}]}'),
    ],
)
def test_the_last_snapshot_is_the_whole_object(type_: Any, text: str) -> None:
    adapter = type_ if isinstance(type_, TypeAdapter) else TypeAdapter(type_)
    expected = adapter.validate_json(text)
    for pieces in fragmentations(text):
        drafts = Partials[Any](type_)
        snapshots = [drafts.feed(piece) for piece in pieces]
        snapshots.append(drafts.end())
        flat = [snapshot for each in snapshots for snapshot in each]

        assert max(map(len, snapshots)) == 1
        assert expected == flat[-1].final()
        assert [False] * (len(flat) - 1) + [True] == [snapshot.complete for snapshot in flat]
        assert drafts.error is None
        assert drafts.complete


def test_an_invalid_value_shows_at_once_and_is_raised_at_the_end() -> None:
    text = '{"title": "x", "serves": "many", "steps": [{"text": 5}], "more": 1}'
    for pieces in fragmentations(text):
        drafts = Partials(Recipe)
        seen = [drafts.feed(piece) for piece in pieces]
        drafts.check()
        last = [snapshot for each in seen for snapshot in each][-1]

        assert drafts.end() == []
        assert drafts.stop is None
        error = drafts.error
        assert isinstance(error, OutputInvalid)
        assert not isinstance(error, InvalidJSON)
        assert [("serves",), ("steps", 0, "text")] == [each["loc"] for each in error.errors]
        assert (text, last.errors) == (error.text, error.errors)
        assert error.best == last
        assert "not a valid Recipe: at serves: Input should be a valid integer" in str(error)
        assert str(error).endswith(", and 1 more in `errors`")
        assert "many" not in str(error)


def test_fail_fast_ends_it_at_the_first_invalid_value() -> None:
    drafts = Partials(Recipe, fail_fast=True)
    first = drafts.feed('{"title": "x", "serves": "man')
    second = drafts.feed('y", ')

    assert (1, 1) == (len(first), len(second))
    assert isinstance(drafts.error, OutputInvalid)
    assert drafts.error.best == second[-1]
    assert drafts.stop is not None
    assert drafts.feed('"steps": []}') == drafts.end() == []
    with pytest.raises(OutputInvalid):
        drafts.check()


def test_broken_json_is_an_error_at_the_end_or_at_once_with_fail_fast() -> None:
    text = '{"title": "x", "serves": 2, steps}'
    for pieces in fragmentations(text):
        patient, hasty = Partials(Recipe), Partials(Recipe, fail_fast=True)
        for piece in pieces:
            patient.feed(piece)
            hasty.feed(piece)
        patient.check()
        patient.end()

        assert hasty.stop is not None
        for error in (patient.error, hasty.error):
            assert isinstance(error, InvalidJSON)
            assert error.offset == 28
            assert error.text.startswith(text[:29])
            assert error.best is not None
            assert ("x", 2) == (error.best.title, error.best.serves)


def test_text_after_the_document_is_an_error_after_the_whole_snapshot() -> None:
    for pieces in fragmentations('{"title": "x"} and so on'):
        drafts = Partials(Recipe)

        assert Recipe(title="x") == run(drafts, pieces)[-1].final()
        assert isinstance(drafts.error, InvalidJSON)
        assert drafts.error.offset == 15


@in_one_test("end", range(len(_RECIPE)))
def test_a_document_that_is_cut_is_incomplete_with_the_best_of_it(end: int) -> None:
    drafts = Partials(Recipe)
    snapshots = run(drafts, list(_RECIPE[:end]))
    error = drafts.error

    assert isinstance(error, OutputIncomplete)
    assert (_RECIPE[:end], end) == (error.text, error.offset)
    if snapshots:
        assert error.best == snapshots[-1]
    assert not drafts.complete


@pytest.mark.parametrize("text", ["[" * 201, "[" + "1" * 4_301], ids=["deep", "long number"])
def test_a_document_beyond_the_bounds_is_an_error_that_names_them(text: str) -> None:
    patient, hasty = Partials(_ANY), Partials(_ANY, fail_fast=True)
    patient.feed(text)
    hasty.feed(text)
    patient.check()

    assert isinstance(hasty.error, LimitExceeded)
    assert patient.end() == []
    assert isinstance(patient.error, LimitExceeded)
    with pytest.raises(LimitExceeded):
        output_of(_ANY, text)


def _look_up(key: int) -> int:
    return {1: 1}[key]


def _find(key: int) -> int:
    return next(each for each in [1] if each == key)


@pytest.mark.parametrize("function, raised", [(_look_up, KeyError), (_find, RuntimeError)])
def test_an_exception_of_a_validator_other_than_value_error_ends_the_stage(
    function: Any, raised: type[Exception]
) -> None:
    looked_up: Any = Annotated[int, AfterValidator(function)]
    for pieces in fragmentations("[1, 2, 3]"):
        drafts = Partials[Any](list[looked_up])
        snapshots = run(drafts, pieces)

        assert {()} >= {snapshot.errors for snapshot in snapshots}
        assert isinstance(drafts.error, raised)
        assert drafts.stop is None
        assert drafts.feed("]") == drafts.end() == []
        with pytest.raises(raised):
            drafts.check()


def test_a_validator_may_raise_at_the_end_of_the_text_too() -> None:
    """A number is finished there."""
    looked_up: Any = Annotated[int, AfterValidator(_look_up)]
    drafts = Partials[Any](looked_up)

    assert drafts.feed("2") == drafts.end() == []
    assert isinstance(drafts.error, KeyError)
    with pytest.raises(KeyError):
        output_of(looked_up, "2")


def test_a_piece_that_is_not_text_is_refused_at_once() -> None:
    """Misuse is no fault of the output."""
    drafts = Partials(Recipe)
    piece: Any = b"{}"
    with pytest.raises(MisuseError, match="bytes"):
        drafts.feed(piece)

    assert drafts.error is None


class Range(BaseModel):
    low: int
    high: int = Field(le=9)

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low > self.high:
            raise ValueError("low is more than high")
        return self


def test_an_object_that_its_own_validator_refuses_is_an_error_at_its_end() -> None:
    drafts = Partials(Range)
    snapshots = run(drafts, list('{"low": 5, "high": 3}'))

    assert {()} == {snapshot.errors for snapshot in snapshots[:-1]}
    assert isinstance(drafts.error, OutputInvalid)
    assert [()] == [error["loc"] for error in drafts.error.errors]


@needs_recordings
@pytest.mark.parametrize("name, text", _RECORDED, ids=[name for name, _ in _RECORDED])
def test_recorded_answers_fill_in(name: str, text: str) -> None:
    document = json.loads(text)
    for pieces in ([text], list(text), pieces_of(text, 4)):
        drafts = Partials(_ANY)

        assert document == run(drafts, pieces)[-1].final(), name
        assert drafts.error is None
    assert document == output_of(_ANY, text)


# -- a whole output ---------------------------------------------------------------


def test_a_whole_output_that_breaks_the_schema_is_invalid() -> None:
    text = '{"title": "x", "steps": [{"text": 5}]}'
    with pytest.raises(OutputInvalid) as raised:
        output_of(Recipe, text)

    assert [("steps", 0, "text")] == [error["loc"] for error in raised.value.errors]
    assert text == raised.value.text
    assert raised.value.best is not None
    assert "x" == raised.value.best.title


@pytest.mark.parametrize(
    "text, kind, offset",
    [
        (_RECIPE[:30], OutputIncomplete, 30),
        ("Sorry, I can't.", InvalidJSON, 0),
        ('{"title": NaN}', InvalidJSON, 10),
        ('{"title": -Infinity}', InvalidJSON, 11),
        ('{"title": "x"} ok', InvalidJSON, 15),
    ],
)
def test_a_whole_output_that_is_no_json_or_not_whole_says_where(
    text: str, kind: type[OutputInvalid], offset: int
) -> None:
    """The words that only some readers take for numbers are no JSON."""
    with pytest.raises(kind) as raised:
        output_of(TypeAdapter(dict[str, float] | Recipe), text)

    assert (text, offset) == (raised.value.text, raised.value.offset)


def test_no_output_at_all_is_incomplete() -> None:
    stage = Partials(Recipe)
    stage.end()

    assert isinstance(stage.error, OutputIncomplete)
    assert ("", 0) == (stage.error.text, stage.error.offset)
    with pytest.raises(OutputInvalid, match="the answer has no text"):
        output_of(Recipe, "")

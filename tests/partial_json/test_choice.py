"""One document of several: the first, the last, the one that fits; never without being asked."""

from __future__ import annotations

import pickle
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from tests.partial_json.lenient_texts import SIZES, ended, repairs_of
from tests.partial_json.support import documents, events_of, read, same
from tests.partial_json.typed import draft_of
from tests.support.outputs import output_of
from tests.support.texts import pieces_of
from tokenstream.errors import InvalidJSON, MisuseError, OutputIncomplete, OutputInvalid
from tokenstream.partial_json import PartialJSONParser
from tokenstream.stages._objects.items import Field, Items
from tokenstream.stages._objects.partials import Partials


class _Note(BaseModel):
    title: str
    size: int = 3


_FIRST: list[tuple[str, Any, str]] = [
    ('{"a": 1}{"b": 2}', {"a": 1}, ""),
    ('So: {"a": 1} or {"b": 5 kg}', {"a": 1}, "leading_text@0"),
    ('{"a": 1}} "c": 2}', {"a": 1}, ""),
    ("[1] says the source", [1], ""),
    ('{} is empty, {"a": 1} is not', {}, ""),
    ('{}{"a": 1}{"b": 2}', {"a": 1}, "empty_placeholder@0"),
    ('```json\n{}\n```\n{"a": 1}', {}, "code_fence@0"),
    ("{} ", {}, ""),
    ('"a": 1} {"b": 2}', {"a": 1}, "missing_opener@0"),
    ('{"a": "x', {"a": "x"}, "missing_end@8"),
]
_LAST: list[tuple[str, Any, str]] = [
    ('{"a": 1}{"b": 2}', {"b": 2}, "other_document@0"),
    (
        'I think {"a": 0}.</think>{"a": 1} as asked',
        {"a": 1},
        "leading_text@0 other_document@8 trailing_text@16 trailing_text@34",
    ),
    (
        'x {"a": 1} or ```json\n[1, {"b": 2}\n```',
        [1, {"b": 2}],
        "leading_text@0 other_document@2 trailing_text@11 code_fence@14 missing_end@35",
    ),
    ('{"a": 1,}\n{"a": 2}\n{"a": 3,}', {"a": 3}, "other_document@0 other_document@10 trailing_comma@26"),
    ('{"a": 1}\n{"a": 1}', {"a": 1}, "other_document@0"),
    ('{"a": 1} {"b": "x', {"b": "x"}, "other_document@0 missing_end@17"),
    ('{"a": 1}{}', {}, "other_document@0"),
    ('{}{"a": 1}', {"a": 1}, "empty_placeholder@0"),
    ("42", 42, ""),
    ('"a": 1} {"b": 2}', {"b": 2}, "other_document@0"),
    ('{"b": 2} {"a": "\\alpha"} // c', {"a": "\\alpha"}, "other_document@0 bad_escape@16"),
]
_REFUSED = [
    ("last", '{"a": 1} {"b": 5 kg}', 9),
    ("last", "no", 2),
    ("last", "[1] [2] x", 8),
    ("last", "[1][2] x", 7),
    ("first", "no", 2),
    ("first", '{"a": 5 kg} {"b": 1}', 8),
]


@pytest.mark.parametrize("choice, rows", [("first", _FIRST), ("last", _LAST)])
def test_the_document_that_was_asked_for_is_read(choice: str, rows: list[tuple[str, Any, str]]) -> None:
    for text, value, repairs in rows:
        for size in SIZES:
            parser = ended(text, size, document=choice)

            assert (None, True) == (parser.error, parser.complete), text
            assert (repr(value), repairs) == (repr(parser.value), repairs_of(parser))


@pytest.mark.parametrize("choice, text, offset", _REFUSED)
def test_a_text_that_cannot_be_read_to_its_end_is_refused(choice: str, text: str, offset: int) -> None:
    for size in SIZES:
        error = ended(text, size, document=choice).error

        assert isinstance(error, InvalidJSON)
        assert offset == error.offset


@pytest.mark.slow
@given(st.lists(documents(numbers=False, lone=False), min_size=1, max_size=4), st.sampled_from([0, 1, 7]))
def test_of_objects_one_after_the_other_each_choice_is_the_one_it_says(texts: list[str], size: int) -> None:
    wrapped = [f'{{"a": {text}}}' for text in texts]
    text = "\n".join(wrapped)
    first, last = ended(text, size, document="first"), ended(text, size, document="last")

    assert same(ended(wrapped[0]).value, first.value)
    assert same(ended(wrapped[-1]).value, last.value)
    assert not read(text, size, lenient=True, document="last").has_value
    told = events_of(text, size, lenient=True, document="last")
    alone = events_of(wrapped[-1], lenient=True)
    assert [event.path for event in alone] == [event.path for event in told]
    assert told[0].offset - alone[0].offset == len(text) - len(wrapped[-1])  # type: ignore[union-attr]


@pytest.mark.slow
def test_what_is_held_of_a_text_is_the_document_that_is_read() -> None:
    parser = PartialJSONParser(lenient=True, document="last")
    parser.feed("words ")
    text = "so many words " * 10_000 + ('{"a": "' + "x" * 2_000 + '"} or ') * 100
    tracemalloc.start()
    try:
        for at in range(0, len(text), 7):
            parser.feed(text[at : at + 7])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < len(text) / 2


# -- documents with a type -----------------------------------------------------------


def _read(text: str, size: int, **options: Any) -> tuple[list[Any], Partials[_Note]]:
    stage = Partials(_Note, lenient=True, **options)
    drafts = [draft for piece in pieces_of(text, size) for draft in stage.feed(piece)]
    shown = len(drafts)
    drafts += stage.end()

    assert options["document"] == "first" or not shown
    return drafts, stage


@pytest.mark.parametrize(
    "choice, text, title",
    [
        ("first", '{"title": "A"} {"title": "B"} {"x": 1}', "A"),
        ("last", '{"title": "A"} {"title": "B"}', "B"),
        ("matching", '{"x": 1} {"title": "B"} {"title": 5}', "B"),
        ("matching", 'It is {"title": "B"}. Again: {"title": "B"}', "B"),
        ("matching", '{"title": "B", }', "B"),
    ],
)
def test_a_typed_document_is_chosen(choice: Any, text: str, title: str) -> None:
    """Every draft of it is of it alone: what shows, its plain data, its copy."""
    for size in SIZES:
        drafts, stage = _read(text, size, document=choice)

        assert stage.error is None
        assert title == drafts[-1].final().title == drafts[-1].value["title"]
        assert pickle.loads(pickle.dumps(drafts[-1])) == drafts[-1]
        assert all(draft.value.get("title", "") in title for draft in drafts)
    assert title == output_of(_Note, text, lenient=True, document=choice).title


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "A"}\n{"name": 1}',
        '{"title": "A"} or [1, 2] {"title": 5}',
        '{"title": "A"}\n[]\n{"title": "A"}',
        '[12:30] {"title": "A"}\n["b"]',
        '{"title": "A"} [1]',
    ],
)
def test_without_a_choice_the_first_document_is_kept_if_no_other_fits(text: str) -> None:
    """The drafts show it as it arrives; what does not fit is recorded as another document."""
    for size in SIZES:
        stage = Partials(_Note, lenient=True)
        drafts = [draft for piece in pieces_of(text, size) for draft in stage.feed(piece)]
        drafts += stage.end()

        assert stage.error is None
        assert "A" == drafts[-1].final().title
        assert "other_document" in {repair.name for repair in stage.repairs}
        assert all(draft.value.get("title", "A") in {"", "A"} for draft in drafts)


@pytest.mark.parametrize(
    "text", ['{"name": 1}\n{"title": "A"}', '[1] {"title": "A"}', '{"x": {"y": 1}} [2]\n{"title": "A"}, {}']
)
def test_without_a_choice_a_result_is_the_only_document_that_fits(text: str) -> None:
    """Drafts have shown the first by then, so they are refused."""
    stage = draft_of(_Note, text, lenient=True)
    stage.end()

    assert "A" == output_of(_Note, text, lenient=True).title
    assert isinstance(stage.error, InvalidJSON)


@pytest.mark.parametrize("choice", [None, "matching"])
@pytest.mark.parametrize(
    "text",
    [
        '{"title": "A"}\n{"title": "B"}',
        '{"title": "A"}\n{"size": 4, "ti',
        '{"title": "A"}\n```json\n{"size',
        '{"name": 1}\n{"title": "A"}\n[1',
    ],
)
def test_a_second_document_that_fits_or_might_have_fitted_is_refused(text: str, choice: Any) -> None:
    """One that the end of the text has cut could be a better answer."""
    for size in SIZES:
        stage = Partials(_Note, lenient=True, document=choice)
        for piece in pieces_of(text, size):
            stage.feed(piece)
        stage.end()

        assert isinstance(stage.error, InvalidJSON)
    with pytest.raises(InvalidJSON):
        output_of(_Note, text, lenient=True, document=choice)


def test_two_documents_that_fit_are_refused_unless_they_are_equal() -> None:
    """Which one is meant is not guessed; where none fits, the last tells why."""
    _, two = _read('{"title": "A"} {"title": "B"}', 3, document="matching")
    drafts, none = _read('{"title": 1} {"size": "x"}', 3, document="matching")

    assert isinstance(two.error, InvalidJSON)
    assert 15 == two.error.offset
    assert type(none.error) is OutputInvalid
    assert {("title",), ("size",)} == {error["loc"] for error in drafts[-1].errors}


def test_what_a_validator_raises_while_documents_are_compared_is_raised() -> None:
    class Checked(BaseModel):
        a: int

        @field_validator("a")
        @classmethod
        def check(cls, value: int) -> int:
            raise KeyError(value)

    stage = draft_of(Checked, '{"a": 1} {"b": 1}', lenient=True, document="matching")

    assert isinstance(stage.error, KeyError)


def test_elements_and_strings_are_those_of_the_document() -> None:
    text = 'x {"l": [1, 2], "s": "ab"} y {"l": [3], "s": "cd"}'
    items, last = (
        Items(int, "l", lenient=True, document="first"),
        Items(int, "l", lenient=True, document="last"),
    )
    field = Field("s", lenient=True, document="last")

    assert [1, 2] == items.feed(text)
    assert [] == last.feed(text) == field.feed(text) == items.end()
    assert ([3], ["cd"]) == (last.end(), field.end())
    assert items.error is last.error is field.error is None


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: PartialJSONParser(document="first"), "needs lenient=True"),
        (lambda: Partials(int, document="matching"), "needs lenient=True"),
        (lambda: output_of(int, "1", document="last"), "needs lenient=True"),
        (lambda: PartialJSONParser(lenient=True, document="matching"), "needs the type"),  # type: ignore[arg-type]
        (lambda: Items(int, lenient=True, document="matching"), "needs the type"),  # type: ignore[arg-type]
        (lambda: Field("a", lenient=True, document="matching"), "needs the type"),  # type: ignore[arg-type]
        (lambda: Partials(int, lenient=True, document="any"), "takes 'first', 'last', 'matching'"),  # type: ignore[arg-type]
        (lambda: Field("a", lenient=True, document=1), "takes 'first', 'last' or None"),  # type: ignore[arg-type]
    ],
)
def test_a_choice_that_cannot_be_made_is_misuse(make: Any, says: str) -> None:
    """A JSON text is one document; what matches is told by a type."""
    with pytest.raises(MisuseError, match=says):
        make()


def test_a_last_document_that_was_cut_is_refused_where_that_is_asked_for() -> None:
    text = 'x {"title": "A"} y {"title": "B'
    stage = Partials(_Note, lenient="closed", document="last")
    field = Field("title", lenient="closed", document="last")
    for each in (stage, field):
        each.feed(text)
        each.end()

        assert type(each.error) is OutputIncomplete
    assert "B" == output_of(_Note, text, lenient=True, document="last").title


def test_a_draft_tells_what_was_repaired_around_the_document_too() -> None:
    drafts, _ = _read('x {"title": "A"} y {"title": "B", }', 4, document="last")

    assert ["leading_text", "other_document", "trailing_text", "trailing_comma"] == [
        repair.name for repair in drafts[-1].repairs
    ]

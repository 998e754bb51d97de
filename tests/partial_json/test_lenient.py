"""What holds for every text that is read leniently, and the list of repairs in docs/reports/repairs.md."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.partial_json.lenient_texts import ended
from tests.partial_json.support import cases, documents, events_of, grew, joined, read, same, strings
from tests.project import ROOT
from tests.support.beside import needs_cases
from tests.support.effort import examples
from tests.support.tables import in_one_test
from tokenstream import ToolCall
from tokenstream.errors import InvalidJSON, MisuseError
from tokenstream.events import ToolCallDone
from tokenstream.partial_json import Allow, PartialJSONParser, ValueStart
from tokenstream.partial_json._repairs import Repair, RepairName
from tokenstream.stages import ToolTags, ValidatedCalls

_DAMAGE: list[dict[str, Any]] = cases("invalid_json_cases.json").get("damage", [])
_SIZES = [0, 1, 2, 3, 7]

_PARTS = [
    *("{", "}", "[", "]", "(", ")", '"', "'", "`", "```", "```json\n", "~~~", "\n", " ", ",", ":", ";"),
    *(".", "=", "+", "a", "b", "0", "1", "-", "true", "None", "NaN", "0x1F", "1,000", '"a": 1', '"b"'),
    *("{}", '{"a": 1}', "[1, 2]", "\\", '\\"', "\\n", "&quot;", "&amp;", "“", "”", "’", "//", "/*", "*/"),
    *("#", "<", ">", "<think>", "</think>", "...", "…", "\x1b[0m", "\x1b", "\x00", "\ufeff", "\xa0"),
    *("data: ", "\\ud83d", "\\ude00", "\\u00", '["a"]', "\\beta", "\\alpha", "\\nu", "[TOOL_CALLS]"),
    *("[a](b)", '\n"b"', '"C:\\Users'),
]
_SOUP = st.lists(st.sampled_from(_PARTS), max_size=20).map("".join)


def _damaged(parts: tuple[str, int, int, str]) -> str:
    text, start, length, part = parts
    start %= len(text) + 1
    return text[:start] + part + text[start + length :]


_DAMAGED = st.tuples(
    st.one_of(st.sampled_from([case["input"] for case in _DAMAGE] or ["{}"]), documents()),
    st.integers(0, 99),
    st.integers(0, 3),
    st.sampled_from(_PARTS),
).map(_damaged)
_ANY = st.one_of(_SOUP, _DAMAGED)


def _outcome(parser: PartialJSONParser) -> tuple[object, ...]:
    return repr(parser.value), parser.has_value, parser.repairs, str(parser.error), parser.complete


# -- the cases ---------------------------------------------------------------------


@needs_cases
@pytest.mark.parametrize("size", _SIZES)
def test_damage_comes_out_as_intended_or_with_an_error(size: int) -> None:
    """Of the 75 cases that have an intended value, five are refused: one has two readings."""
    refused, wrong = [], []
    for case in _DAMAGE:
        parser = ended(case["input"], size)
        if "intended" not in case:
            continue
        if parser.error is not None:
            refused.append(case["name"])
        elif not (parser.complete and same(case["intended"], parser.value)):
            wrong.append(case["name"])

    not_read = ["missing_colon", "thousands", "double_escaped", "comment_block", "html_entities"]
    assert (not_read, []) == (refused, wrong)


@needs_cases
@pytest.mark.parametrize("size", _SIZES)
def test_damage_without_an_intended_value_is_an_error(size: int) -> None:
    """Except for what `json.loads` reads, too: its words for what is no number."""
    read_anyway = [
        case["name"]
        for case in _DAMAGE
        if "intended" not in case and ended(case["input"], size).error is None
    ]

    assert ["nan", "infinity"] == read_anyway


@needs_cases
def test_what_is_valid_among_the_damage_needs_no_repair() -> None:
    for case in _DAMAGE:
        parser = ended(case["input"])
        if parser.error is None:
            assert bool(parser.repairs) is (case["strict"] != "complete"), case["name"]


# -- laws --------------------------------------------------------------------------


@given(
    _ANY,
    st.sampled_from([1, 2, 3, 7]),
    st.one_of(st.none(), st.integers(0, 63)),
    st.sampled_from([None, "first", "last"]),
)
def test_the_pieces_do_not_matter(text: str, size: int, allow: int | None, document: str | None) -> None:
    """Value, events, repairs and error depend on the text alone, whichever document is read."""
    options = {"lenient": True, "allow": allow, "document": document}

    assert _outcome(ended(text, 0, **options)) == _outcome(ended(text, size, **options))
    assert repr(events_of(text, 0, **options)) == repr(events_of(text, size, **options))


@given(_ANY, st.integers(0, 99))
def test_a_prefix_shows_the_same_in_any_pieces(text: str, length: int) -> None:
    prefix = text[:length]

    assert _outcome(read(prefix, 0, lenient=True)) == _outcome(read(prefix, 1, lenient=True))


@given(_ANY)
@example("[NaN,[],[]]")
def test_what_shows_is_never_taken_back(text: str) -> None:
    """Objects only gain keys, arrays elements, strings characters, up to the end and whatever goes wrong."""
    parser = PartialJSONParser(lenient=True)
    shown = []
    for character in text:
        parser.feed(character)
        if parser.has_value:
            shown.append(parser.snapshot())
    parser.end()
    if parser.has_value:
        shown.append(parser.snapshot())

    assert _repeats_a_key(text) or all(
        grew(before, after) or repr(before) == repr(after) for before, after in pairwise(shown)
    )


def _repeats_a_key(text: str) -> bool:
    starts = [event.path for event in events_of(text, lenient=True) if isinstance(event, ValueStart)]
    return len(starts) != len(set(starts))


@given(documents(repeat=True), st.sampled_from([0, 1, 3]), st.booleans())
def test_json_is_read_as_the_strict_reading_reads_it(text: str, size: int, decimals: bool) -> None:
    parser = ended(text, size, decimals=decimals)

    assert (None, True, ()) == (parser.error, parser.complete, parser.repairs)
    assert same(read(text, decimals=decimals).value if _is_bracketed(text) else parser.value, parser.value)
    assert decimals or same(json.loads(text), parser.value)
    assert joined(events_of(text)) == joined(events_of(text, size, lenient=True))


_REPEATED = "repeated_document"
_BACKSLASHES = [
    "a",
    "neq",
    "-",
    "C:",
    " ",
    "é",
    r"\b",
    r"\f",
    r"\n",
    r"\t",
    r"\r",
    r"\\",
    r"\"",
    r"\u0008",
    r"\/",
]


@given(st.lists(strings(_BACKSLASHES, most=8), max_size=3), st.integers(0, 3))
def test_the_escapes_of_json_are_never_changed(texts: list[str], size: int) -> None:
    r"""Valid JSON stays what it is, `\b` and `\f` before a letter included, and nothing is repaired."""
    text = f"[{', '.join(texts)}]"
    parser = ended(text, size)

    assert (None, True, ()) == (parser.error, parser.complete, parser.repairs)
    assert json.loads(text) == parser.value


def _is_bracketed(text: str) -> bool:
    return text.lstrip()[0] in "{["


_MAY_BE_A_LABEL: Any = re.compile(r"\s*\[\s*(?:[a-z]+\s*)?").fullmatch


@given(documents(numbers=False).filter(_is_bracketed))
@examples(40)
def test_json_shows_as_soon_as_in_the_strict_reading(text: str) -> None:
    """A number or a literal at most two characters later, and a bracket that begins the text."""
    strict, lenient = PartialJSONParser(), PartialJSONParser(lenient=True)
    shown: list[Any] = []
    for at, character in enumerate(text):
        strict.feed(character)
        lenient.feed(character)
        shown.append(strict.snapshot())
        if _MAY_BE_A_LABEL(text[: at + 1]):
            continue

        assert strict.has_value == lenient.has_value
        assert not strict.has_value or grew(lenient.value, shown[-1])
        assert len(shown) < 3 or shown[-3] is None or grew(shown[-3], lenient.value)


@given(documents())
def test_a_cut_is_closed_at_the_end(text: str) -> None:
    """A prefix of JSON ends as what shows of it, or is refused where a quote may be what is missing."""
    for length in range(1, len(text)):
        shown = read(text[:length], lenient=True)
        closed = ended(text[:length])
        if closed.error is None:
            assert closed.complete
            assert not shown.has_value or grew(shown.value, closed.value)
        else:
            assert isinstance(closed.error, InvalidJSON)


@given(
    st.lists(st.sampled_from(_PARTS), max_size=14).map("".join) | documents(),
    st.integers(0, 40),
    st.integers(0, 5),
)
@example('["a"]["a"]', 1, 0)
@example('{"a": [1, 2]}\n{"a": [1, 2', 0, 1)
@example('"a": 1', 0, 0)
def test_closed_reads_what_is_whole_and_nothing_that_was_cut(text: str, cut: int, size: int) -> None:
    text = text[: len(text) - cut]
    lenient, closed = ended(text, size), ended(text, size, lenient="closed")
    if {"missing_end", "unfinished_value"}.isdisjoint(repair.name for repair in lenient.repairs):
        assert _outcome(lenient) == _outcome(closed)
    else:
        assert isinstance(closed.error, InvalidJSON)
        # What was whole before a repetition that was cut stays whole.
        assert not closed.complete or _REPEATED in [repair.name for repair in lenient.repairs]
        assert {"missing_end", "unfinished_value"}.isdisjoint(repair.name for repair in closed.repairs)
        assert not closed.has_value or grew(closed.value, lenient.value)
    assert closed.repair_count == len(closed.repairs)


@pytest.mark.parametrize("lenient", ["close", 1, None, "True"])
def test_what_lenient_may_be_is_checked(lenient: Any) -> None:
    """A word that is none of them would be taken for True."""
    with pytest.raises(MisuseError, match='True, False or "closed"'):
        PartialJSONParser(lenient=lenient)


# -- the parser as an object ---------------------------------------------------------


def test_the_lenient_reading_is_a_parser_like_the_strict_one() -> None:
    parser: Any = PartialJSONParser(lenient=True)
    piece: Any = b"{}"

    assert isinstance(parser, PartialJSONParser)
    assert () == parser.repairs == PartialJSONParser().repairs
    with pytest.raises(MisuseError, match="takes str"):
        parser.feed(piece)


def test_nothing_is_read_after_the_end() -> None:
    """A second end is none; more text after one is misuse, after a fault it is ignored."""
    parser = ended('{"a": 1')

    assert [] == parser.end()
    with pytest.raises(MisuseError, match="after end"):
        parser.feed("}")

    failed = ended("no JSON")

    assert [] == failed.feed("{}") == failed.end()
    assert not failed.has_value
    with pytest.raises(InvalidJSON):
        failed.check()


def test_numbers_show_as_they_grow_where_that_is_allowed() -> None:
    allow = Allow.NUM | Allow.ARR
    parser = PartialJSONParser(lenient=True, allow=allow)
    shown = []
    for character in "[-12.5e1":
        parser.feed(character)
        shown.append(parser.snapshot())

    assert [None, [], [-1], [-12], [-12], [-12.5], [-12.5], [-125.0]] == shown
    parser.feed("]")
    assert ([-125.0], True) == (parser.value, parser.complete)
    assert [-12] == ended("[-12.", allow=allow).value
    assert ["unfinished_value", "missing_end"] == [
        repair.name for repair in ended("[-12.", allow=allow).repairs
    ]


_PAGE = (ROOT / "docs" / "reports" / "repairs.md").read_text("utf-8")
_ROW = re.compile(r"^\| `(\w+)` \| .+ \| (`{1,4}) ?(.+?) ?\2 \| `(.+)` \|$", re.MULTILINE)
_ROWS = [(name, example, value) for name, _, example, value in _ROW.findall(_PAGE)]


def mix(a: list[int]) -> None:
    """Mix."""


def test_the_page_lists_every_repair() -> None:
    assert list(get_args(RepairName)) == sorted(get_args(RepairName)) == [name for name, _, _ in _ROWS]


@in_one_test("name, example, value", _ROWS)
def test_an_example_takes_its_repair(name: str, example: str, value: str) -> None:
    if name == "json_in_string":
        # Only the schema of a tool tells such a string from a text.
        call = ToolCall(id="c", name="mix", arguments_text=example, complete=True)
        [checked] = ValidatedCalls(mix, lenient=True).feed(call)
        assert ([name], value) == ([repair.name for repair in checked.repairs], repr(checked.arguments))
        return
    if name == "tool_name":
        tags = ToolTags(tools=[value.strip("'")])
        [done] = [
            each for each in tags.feed(f"<tool_call>{example}</tool_call>") if isinstance(each, ToolCallDone)
        ]
        assert ([name], value) == ([repair.name for repair in done.call.repairs], repr(done.call.name))
        return
    options: dict[str, Any] = {"document": "last"} if name == "other_document" else {}
    parser = ended(example.replace("⏎", "\n"), **options)

    assert parser.error is None
    assert name in {repair.name for repair in parser.repairs}
    assert value == repr(parser.value)


def test_a_repair_is_a_pair_of_name_and_offset() -> None:
    (repair,) = ended('{"a": 1,}').repairs
    name, offset = repair

    assert Repair("trailing_comma", 7) == repair == (name, offset)

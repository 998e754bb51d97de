"""The verified cases: each prefix and each text that is no JSON, in pieces of several sizes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.partial_json.support import cases, read, same
from tests.support.beside import needs_cases
from tokenstream.errors import InvalidJSON
from tokenstream.partial_json import Allow, PartialJSONParser

_PARTIAL = cases("partial_json_cases.json")
_INVALID = cases("invalid_json_cases.json")
pytestmark = needs_cases

_SIZES = [0, 1, 2, 3, 7]
_KEEP = Allow.STR | Allow.NUM | Allow.ARR | Allow.OBJ
_GENERATED = {case["name"]: case for case in _PARTIAL.get("generated", [])}


def _value(expected: dict[str, Any]) -> Any:
    if "value_py" in expected:
        return eval(expected["value_py"], {"inf": float("inf")})
    return expected["value"]


def _is_right(parser: PartialJSONParser, expected: dict[str, Any]) -> bool:
    if parser.error is not None or parser.has_value != expected["has_value"]:
        return False
    value = _value(expected) if parser.has_value else None
    snapshot = parser.snapshot()
    return same(value, parser.value) and same(value, snapshot)


@pytest.mark.parametrize("size", _SIZES)
def test_a_prefix_shows_what_the_cases_expect(size: int) -> None:
    """Each of the 330 prefixes, numbers withheld until their end is seen."""
    wrong = [
        case["name"]
        for case in _PARTIAL["cases"]
        if not _is_right(parser := read(case["prefix"], size), case["expect"])
        or parser.complete != case["expect"]["complete"]
    ]

    assert [] == wrong


@pytest.mark.parametrize("size", _SIZES)
def test_a_prefix_shows_its_numbers_where_they_are_allowed(size: int) -> None:
    """Each of the 330 prefixes with `Allow.NUM`: the longest start that is a number."""
    wrong = [
        case["name"]
        for case in _PARTIAL["cases"]
        if not _is_right(read(case["prefix"], size, allow=_KEEP), case.get("expect_keep", case["expect"]))
    ]

    assert [] == wrong


@pytest.mark.parametrize("size", [0, 1])
def test_a_document_may_end_where_json_loads_takes_it(size: int) -> None:
    """`end()` finishes a number that is the document, and refuses what is cut."""
    wrong = []
    for case in _PARTIAL["cases"]:
        parser = read(case["prefix"], size)
        parser.end()
        is_valid = case["expect"]["valid_if_ended"]
        verdict = (parser.error is None) is parser.complete is is_valid
        if not (verdict and (not is_valid or same(json.loads(case["prefix"]), parser.value))):
            wrong.append(case["name"])

    assert [] == wrong


@pytest.mark.parametrize("size", _SIZES)
def test_a_text_that_is_no_json_is_refused_at_its_first_fault(size: int) -> None:
    """Each of the 124 texts; what was read before stays readable."""
    wrong = []
    for case in _INVALID["cases"]:
        parser = read(case["input"], size)
        parser.end()
        offset = getattr(parser.error, "offset", None)
        before = {"has_value": parser.has_value, "value": parser.value}
        if (case["error_char"], case["value_before_error"]) != (offset, before):
            wrong.append(case["name"])

    assert [] == wrong


@pytest.mark.parametrize("size", [0, 1, 5])
def test_the_strict_parser_repairs_nothing(size: int) -> None:
    """What models do to JSON is refused where the cases say that it stops being JSON."""
    damaged = [case for case in _INVALID["damage"] if case["strict"] == "invalid"]
    wrong = []
    for case in damaged:
        error = read(case["input"], size).error
        if not isinstance(error, InvalidJSON) or error.offset != case["error_char"]:
            wrong.append(case["name"])

    assert damaged
    assert [] == wrong


# The generated ones take long in small pieces: by default each is read in one way.


@pytest.mark.parametrize(
    "name, size",
    [
        ("deep_objects_100000", 4096),
        pytest.param("deep_arrays_100000", 7, marks=pytest.mark.slow),
        *(
            pytest.param(name, size, marks=pytest.mark.slow)
            for name in ("deep_arrays_100000", "deep_objects_100000")
            for size in (0, 1, 50)
        ),
    ],
)
def test_a_deep_document_is_read_where_that_is_asked_for(name: str, size: int) -> None:
    """A depth of 100,000 costs no recursion, neither to read nor to copy nor to free."""
    case = _GENERATED[name]
    parser = read(eval(case["prefix_expr"]), size, max_depth=200_000)
    depth, value = 0, parser.snapshot()
    while value:
        value = value["a"] if isinstance(value, dict) else value[0]
        depth += 1

    assert parser.error is None
    # The innermost object has no key yet, and the innermost array no element.
    assert case["expect"]["depth"] == depth + 1


@pytest.mark.parametrize(
    "name, size",
    [
        ("long_string_10MB", 50_000),
        ("escape_run_1M", 4095),
        *(
            pytest.param(name, size, marks=pytest.mark.slow)
            for name in ("long_string_10MB", "escape_run_1M")
            for size in (0, 4, 5)
        ),
    ],
)
def test_a_long_string_is_read(name: str, size: int) -> None:
    case = _GENERATED[name]
    parser = read(eval(case["prefix_expr"]), size)

    assert (None, case["expect"]["length"]) == (parser.error, len(parser.value))


@pytest.mark.parametrize(
    "allow, expected, size",
    [
        (None, "keys_withhold", 4096),
        *(
            pytest.param(allow, expected, size, marks=pytest.mark.slow)
            for allow, expected in ((None, "keys_withhold"), (_KEEP, "keys_keep"))
            for size in (0, 5)
        ),
    ],
)
def test_an_object_of_many_keys_is_read(allow: int | None, expected: str, size: int) -> None:
    """200,000 keys, of which the last one's number is not finished."""
    case = _GENERATED["many_keys_200000"]
    parser = read(eval(case["prefix_expr"]), size, allow=allow)

    assert case["expect"][expected] == len(parser.value)

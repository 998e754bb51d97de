"""Numbers of partial JSON: every start of one, bounds, Decimals."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from decimal import Context, Decimal, localcontext
from time import thread_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.partial_json.support import NUMBERS, read, same
from tests.support.tables import in_one_test
from tokenstream.errors import InvalidJSON, LimitExceeded
from tokenstream.partial_json import Allow, PartialJSONParser

_KEEP = int(Allow.NUM | Allow.ARR)
_HUGE = "9" * 25


@given(NUMBERS, st.integers(0, 3))
def test_a_number_is_what_json_loads_makes_of_it(number: str, size: int) -> None:
    parser = read(f"[{number}]", size)

    assert same(json.loads(f"[{number}]"), parser.value)


@in_one_test("size", [0, 1])
@in_one_test(
    "text, offset",
    [
        *(("[-]", 2), ("[--1", 2), ("[-a", 2), ("[+1", 1), ("[.5", 1), ("[01", 2), ("[-01", 3), ("[1.]", 3)),
        *(("[1.e5", 3), ("[1e]", 3), ("[1e+]", 4), ("[1e5.5", 4), ("[1.5.5", 4), ("[1-2", 2), ("[0x1", 2)),
        *(("[1_0", 2), ("[1e5e5", 4), ("[\N{FULLWIDTH DIGIT ONE}", 1), ("[1\N{FULLWIDTH DIGIT ONE}", 2)),
    ],
)
def test_what_is_no_number_is_refused_where_it_stops_being_one(text: str, offset: int, size: int) -> None:
    """RFC 8259, section 6, character by character."""
    error = read(text, size).error

    assert isinstance(error, InvalidJSON)
    assert offset == error.offset


@pytest.mark.parametrize(
    "number, shown",
    [
        *(
            ("-", []),
            ("-0", [0]),
            ("1", [1]),
            ("1.", [1]),
            ("1.5", [1.5]),
            ("1e", [1]),
            ("1e+", [1]),
            ("1e+2", [100.0]),
        ),
        ("-12.5E-", [-12.5]),
    ],
)
def test_an_unfinished_number_shows_its_longest_start_where_allowed(number: str, shown: list[Any]) -> None:
    """`Allow.NUM`; what showed is not taken back when a character cannot stand at the end."""
    for size in (0, 1, 2):
        assert same(shown, read(f"[{number}", size, allow=_KEEP).value)


@pytest.mark.parametrize("size", [0, 1000])
@pytest.mark.parametrize("number", ["1" * 4301, "-1." + "1" * 4300, "1e" + "0" * 4300, "1" * 10_000])
def test_a_number_of_more_than_4300_digits_is_refused(number: str, size: int) -> None:
    """The bound is named; what showed of it is the same wherever it was cut."""
    parser = read(f"[0, {number}, 2]", size, allow=_KEEP)
    error = parser.error

    assert isinstance(error, LimitExceeded)
    assert ("digits", 4300) == (error.limit, error.value)
    assert "character 4 " in str(error)
    assert same(read(f"[0, {number}", 7, allow=_KEEP).value, parser.value)


@pytest.mark.parametrize("number", ["-" + "1" * 4300, "-1." + "1" * 4296 + "e-123"])
def test_a_number_of_4300_digits_is_read(number: str) -> None:
    for size in (0, 1000):
        assert same(json.loads(f"[{number}]"), read(f"[{number}]", size).value)


@pytest.fixture
def low_limit() -> Iterator[None]:
    """Have Python take no more than 640 digits for an int."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("low_limit")
@pytest.mark.parametrize("sign", [1, -1])
def test_what_a_document_comes_to_does_not_depend_on_the_limit_of_the_process(sign: int) -> None:
    """Where `sys.set_int_max_str_digits` is low, no ValueError comes out of `feed`."""
    text = f"[{'-' if sign < 0 else ''}{'12345' * 800}]"
    expected = sign * sum(12345 * 100_000**power for power in range(800))
    for size in (0, 900):
        parser = read(text, size, allow=_KEEP)

        assert parser.error is None
        assert [expected] == parser.value


@given(NUMBERS, st.integers(0, 3))
def test_decimals_are_the_very_numbers_of_the_text(number: str, size: int) -> None:
    """A number with a fraction or an exponent is a Decimal, whatever the current context rounds to."""
    with localcontext(Context(prec=2)):
        parser = read(f"[{number}]", size, decimals=True)

    assert same(json.loads(f"[{number}]", parse_float=Decimal), parser.value)


@pytest.mark.parametrize("number", [f"1e{_HUGE}", f"-1.5E+{_HUGE}", f"1e-{_HUGE}", f"0e{_HUGE}"])
def test_an_exponent_that_no_decimal_holds_is_an_error_that_names_it(number: str) -> None:
    for size in (0, 1, 5):
        parser = read(f"[7, {number}, 1]", size, decimals=True, allow=_KEEP)
        error = parser.error

        assert isinstance(error, LimitExceeded)
        assert "exponent" == error.limit
        assert "character 4 " in str(error)
        assert same(read(f"[7, {number}", decimals=True, allow=_KEEP).value, parser.value)
        assert same(json.loads(f"[{number}]"), read(f"[{number}]", size).value)


@pytest.mark.parametrize("zeros", [0, 30])
def test_an_exponent_that_never_ends_costs_no_more_than_its_digits(zeros: int) -> None:
    """Where the unfinished number shows, its longest start that a Decimal holds is not searched each time."""
    parser = PartialJSONParser(decimals=True, allow=_KEEP)
    start = thread_time()
    for piece in (f"[1e{'0' * zeros}", *"9" * 4_000):
        parser.feed(piece)

    # A minute, where every start is tried after every digit.
    assert thread_time() - start < 2
    assert [Decimal(f"1e{'9' * 18}")] == parser.value


def test_an_exponent_too_large_at_the_very_end_is_reported_by_the_end() -> None:
    """A number that is the document is made when the text ends."""
    parser = read(f"1e{_HUGE}", decimals=True)
    parser.end()

    assert isinstance(parser.error, LimitExceeded)
    assert not parser.complete

"""A table in one test: all rows are tried, and each that fails is named."""

from __future__ import annotations

import inspect
import json
import re
import unittest
from typing import Any

import pytest

from tests.support.tables import SKIPPED_ROWS, in_one_test
from tests.support.timing import wait_for

SEEN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    SEEN.clear()


@in_one_test("number", range(4))
@in_one_test(("word", "length"), [("one", 3), pytest.param("three", 5, id="long")])
def every_combination(number: int, word: str, length: int) -> None:
    SEEN.append((number, word))
    assert len(word) == length


@in_one_test("number", [1, 0, 3, -1, "?"], ids=lambda number: f"number {number}")
def inverse_is_positive(number: Any) -> None:
    SEEN.append(number)
    assert 1 / number > 0


@in_one_test("word", ["ab", "ac", "bd"], by=lambda word: word[0], slow=["b"])
def begins(word: str) -> None:
    SEEN.append(word)


def test_each_combination_of_rows_is_tried() -> None:
    every_combination()

    assert {(number, word) for number in range(4) for word in ("one", "three")} == set(SEEN)
    assert len(SEEN) == 8


def test_each_row_that_fails_is_named_with_its_error_and_its_place() -> None:
    with pytest.raises(AssertionError) as caught:
        inverse_is_positive()
    told = str(caught.value)

    assert [1, 0, 3, -1, "?"] == SEEN
    assert told.startswith("3 of 5 fail:\nnumber 0 (test_tables.py:")
    assert "    ZeroDivisionError: division by zero\nnumber -1 (test_tables.py:" in told
    assert "\n    assert (1 / -1) > 0" in told
    assert "\nnumber ? (test_tables.py:" in told
    assert "\n    TypeError: unsupported operand" in told
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_row_that_leaves_its_test_is_a_fault() -> None:
    @in_one_test("row", [1, 2])
    def left(row: int) -> None:
        pytest.fail(f"not today, {row}")

    with pytest.raises(AssertionError, match=r"^2 of 2 fail:\n(.|\n)*today, 1(.|\n)*today, 2$"):
        left()


@in_one_test("row", range(4))
def some_skip(row: int, skips: Any, fails: tuple[int, ...]) -> None:
    SEEN.append(row)
    if row % 2:
        skips(f"needs a moon, {row // 3}")
    assert row not in fails


def skip_as_unittest_does(reason: str) -> None:
    raise unittest.SkipTest(reason)


@pytest.mark.parametrize("skips", [pytest.skip, skip_as_unittest_does])
def test_rows_that_are_skipped_keep_the_others_from_nothing(skips: Any) -> None:
    """A machine that lacks a program passes the test; what it has left out is kept for the report."""
    some_skip(skips=skips, fails=())

    assert [0, 1, 2, 3] == SEEN
    assert [("1", "needs a moon, 0"), ("3", "needs a moon, 1")] == SKIPPED_ROWS
    SKIPPED_ROWS.clear()


def test_rows_that_are_skipped_are_listed_apart_from_those_that_fail() -> None:
    with pytest.raises(AssertionError) as caught:
        some_skip(skips=pytest.skip, fails=(2,))
    failed, _, skipped = str(caught.value).partition("\n2 are skipped:\n")

    assert failed.startswith("1 of 4 fail:\n2 (test_tables.py:")
    assert re.sub(r":\d+\)", ":…)", skipped) == (
        "1 (test_tables.py:…):\n    needs a moon, 0\n3 (test_tables.py:…):\n    needs a moon, 1"
    )
    assert SKIPPED_ROWS == []


def test_a_test_whose_rows_are_all_skipped_is_skipped_for_their_reasons() -> None:
    @in_one_test("reason", ["needs a moon", "needs a sun", "needs a moon"])
    def skipping(reason: str) -> None:
        pytest.skip(reason)

    with pytest.raises(pytest.skip.Exception, match=r"^needs a moon; needs a sun$"):
        skipping()


def test_a_row_that_fails_elsewhere_is_reported_with_the_line_of_the_test() -> None:
    """The innermost line is a helper's or a library's, and says nothing about the test."""

    def check(number: str) -> None:
        wait_for(lambda: not number, seconds=0)

    @in_one_test("number", ["one", "two"])
    def converts(number: str) -> None:
        if number == "one":
            json.loads(number)
        else:
            check(number)

    with pytest.raises(AssertionError) as caught:
        converts()
    test, helper = inspect.unwrap(converts).__code__.co_firstlineno, check.__code__.co_firstlineno
    told = str(caught.value)

    assert f"'one' (test_tables.py:{test + 3}):\n    JSONDecodeError: Expecting value" in told
    assert f"'two' (test_tables.py:{test + 5}, {helper + 1}):\n    it did not happen" in told


def test_a_test_that_takes_too_long_ends_at_the_row_that_it_was_at() -> None:
    """The limit is for all rows together: without it, the next one would never end."""

    @in_one_test("row", [1, 2])
    def waits(row: int) -> None:
        SEEN.append(row)
        pytest.fail("Timeout (>300.0s) from pytest-timeout.")

    with pytest.raises(pytest.fail.Exception, match="Timeout"):
        waits()
    assert [1] == SEEN


def test_a_table_that_takes_long_is_a_test_for_each_group() -> None:
    ((name, groups),) = [mark.args for mark in vars(begins)["pytestmark"]]
    run: Any = begins
    run(rows_of="a")

    assert "rows_of" == name
    assert {"a": [], "b": ["slow"]} == {
        group.values[0]: [mark.name for mark in group.marks] for group in groups
    }
    assert ["ab", "ac"] == SEEN


def test_a_table_without_rows_is_reported() -> None:
    @in_one_test("row", [])
    def nothing(row: int) -> None:
        SEEN.append(row)

    assert ["skip"] == [mark.name for mark in vars(nothing)["pytestmark"]]


@pytest.mark.parametrize("rows", [[pytest.param(1, marks=pytest.mark.slow)], [1, (1, 2)]])
def test_a_table_that_would_lose_rows_is_refused(rows: list[Any]) -> None:
    """One that another command is to run, and one of another width."""
    names = "row" if len(rows) < 2 else "one, other"
    with pytest.raises((AssertionError, ValueError, TypeError)):
        in_one_test(names, rows)

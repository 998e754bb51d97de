"""Waiting before the next attempt, and saying where to go on."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream._basics.waits import clamp_reconnect, last_event_id_header, wait_before
from tokenstream.errors import MisuseError, StatusError


def busy(retry_after: float | None) -> StatusError:
    return StatusError("m", status=429, kind="rate_limited", retry_after=retry_after)


@pytest.mark.parametrize(
    "number, random, seconds",
    [
        (0, 1.0, 0.0),
        (1, 1.0, 0.0),
        (2, 0.0, 0.25),
        (2, 1.0, 0.5),
        (3, 0.0, 0.5),
        (3, 0.5, 0.75),
        (4, 1.0, 2.0),
        (5, 1.0, 3.0),
        (1_000_000, 0.0, 1.5),
    ],
)
def test_the_back_off_doubles_and_half_of_it_is_random(number: int, random: float, seconds: float) -> None:
    wait = wait_before(number, error=None, initial=0.5, maximum=3.0, random=random)

    assert seconds == wait


@in_one_test(
    "retry_after, random, seconds",
    [
        (None, 1.0, 0.5),
        (0.0, 1.0, 0.5),
        (math.nan, 1.0, 0.5),
        (0.1, 1.0, 0.5),
        (20.0, 0.0, 20.0),
        (20.0, 1.0, 22.0),
        (60.0, 0.0, 60.0),
        (60.5, 0.0, None),
        (math.inf, 0.0, None),
    ],
)
def test_what_a_server_asks_is_the_least_wait(
    retry_after: float | None, random: float, seconds: float | None
) -> None:
    """The longest back-off does not bound it; beyond a minute the caller decides."""
    wait = wait_before(2, error=busy(retry_after), initial=0.5, maximum=3.0, random=random)

    assert seconds == wait


_SECONDS = st.floats(0, 1e6)
_RANDOM = st.floats(0, 1)


@given(st.integers(2), _SECONDS, _SECONDS, _RANDOM)
def test_a_back_off_is_never_below_half_and_never_above_its_bound(
    number: int, initial: float, maximum: float, random: float
) -> None:
    assume(initial <= maximum)
    wait = wait_before(number, error=None, initial=initial, maximum=maximum, random=random)

    assert wait is not None
    assert initial / 2 <= wait <= maximum


@given(st.integers(1, 10_000), _SECONDS, _SECONDS, _RANDOM)
def test_a_back_off_never_shrinks(number: int, initial: float, maximum: float, random: float) -> None:
    """By the same random number, a later attempt waits at least as long."""
    waits = [
        wait_before(each, error=None, initial=initial, maximum=maximum, random=random) or 0.0
        for each in (number, number + 1)
    ]

    assert sorted(waits) == waits


@given(st.integers(2), st.floats(), _SECONDS, _RANDOM)
def test_no_wait_is_shorter_than_asked_for(number: int, asked: float, most: float, random: float) -> None:
    wait = wait_before(number, error=busy(asked), initial=0.1, maximum=5.0, random=random, maximum_asked=most)

    assert (wait is None) == (asked > 0 and asked > most)
    assert wait is None or not asked > wait
    assert wait is None or 0.05 <= wait <= max(5.0, most * 1.1)


@in_one_test(
    "milliseconds, seconds",
    [
        (None, 3.0),
        (0, 0.1),
        (-5, 0.1),
        (99, 0.1),
        (100, 0.1),
        (2_500, 2.5),
        (300_000, 300.0),
        (300_001, 300.0),
        (10**30, 300.0),
        (10**400, 300.0),
    ],
)
def test_a_reconnect_waits_between_a_tenth_of_a_second_and_five_minutes(
    milliseconds: int | None, seconds: float
) -> None:
    assert seconds == clamp_reconnect(milliseconds)


@pytest.mark.parametrize(
    "value, header",
    [
        ("", b""),
        ("17", b"17"),
        ("a b", b"a b"),
        (" \ta b\t ", b"a b"),
        ("é", b"\xc3\xa9"),
        ("\u3000", b"\xe3\x80\x80"),
        ("\U0001f600", b"\xf0\x9f\x98\x80"),
    ],
)
def test_a_last_event_id_is_sent_in_utf_8(value: str, header: bytes) -> None:
    """Spaces around it cannot survive HTTP."""
    assert header == last_event_id_header(value)


@pytest.mark.parametrize("value", ["a\rb", "a\n", "\0", "x\r\nAuthorization: y", "\ud83d"])
def test_a_last_event_id_that_is_no_header_is_refused(value: str) -> None:
    """An id with a line break would make two headers; the words of the error do not repeat it."""
    with pytest.raises(MisuseError, match="a last event id cannot hold") as caught:
        last_event_id_header(value)

    assert value not in str(caught.value)

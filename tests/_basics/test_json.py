"""Decoding payloads: what is JSON, what is not, and where it goes wrong."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tables import in_one_test
from tokenstream._basics.json import decode, decode_tolerantly, is_deeper, is_one_value
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.limits import Limits

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_value_comes_back(value: Any) -> None:
    text = json.dumps(value)

    assert decode(text) == decode(text.encode()) == decode_tolerantly(text) == json.loads(text)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_clear_error(payload: bytes) -> None:
    try:
        decode(payload)
    except ProtocolError as error:
        assert isinstance(error, LimitExceeded) or 0 <= (error.offset or 0) <= 3 * len(payload)  # noqa: PT017


@pytest.mark.parametrize(
    "payload, offset",
    [(b"", 0), (b"{]", 1), (b'{"a": }', 6), ('{"ä": }'.encode(), 7), (b'{"a": 1} x', 9), (b'"a\nb"', 2)],
)
def test_an_error_tells_where_in_bytes(payload: bytes, offset: int) -> None:
    """The offset is that of the first byte that cannot go on, and the text is not quoted."""
    with pytest.raises(ProtocolError) as caught:
        decode(payload)

    assert caught.value.offset == offset
    assert f"byte {offset}" in str(caught.value)


def test_lone_surrogates_and_invalid_utf8_are_read_as_json_loads_reads_them() -> None:
    """pydantic_core refuses them; servers send them."""
    assert decode(b'"\\ud83d"') == "\ud83d"
    assert decode(b'"a\xffb"') == "a\ufffdb"


def test_depth_is_bounded_and_never_a_recursion_error() -> None:
    assert decode(b"[" * 5 + b"]" * 5, Limits(depth=5)) == [[[[[]]]]]
    for depth in (6, 100_000):
        with pytest.raises(LimitExceeded) as caught:
            decode(b"[" * depth + b"]" * depth, Limits(depth=5))
        assert caught.value.limit == "depth"
    with pytest.raises(LimitExceeded):
        decode(b"[" * 100_000)
    assert decode(b'"' + b"[" * 100_000 + b'"') == "[" * 100_000


def test_integers_are_bounded() -> None:
    """4,300 digits are read, one more is refused; text of digits is text."""
    assert decode(b"1" * 4_300) == int("1" * 4_300)
    for limits, digits in ((Limits(), 4_301), (Limits(digits=3), 4)):
        with pytest.raises(LimitExceeded) as caught:
            decode(b"[" + b"1" * digits + b"]", limits)
        assert caught.value.limit == "digits"
    assert decode(b'"12345"', Limits(digits=3)) == "12345"


def _outgrown(text: str, limits: Limits) -> str | None:
    """Return the bound that a text outgrows first, read character by character."""
    depth = digits = 0
    in_string = escaped = False
    for letter in text:
        digits = digits + 1 if letter in "0123456789" and not in_string else 0
        if in_string:
            in_string = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            in_string = True
        elif letter in "[]{}":
            depth += 1 if letter in "[{" else -1
        if depth > limits.depth:
            return "depth"
        if digits > limits.digits:
            return "digits"
    return None


@given(
    st.lists(
        st.sampled_from([*'[[[]{}"\\, ', "1", "12", "é", '"[', '"\\"', "[]" * 300, '"' + "]" * 150 + '"']),
        max_size=60,
    ).map("".join),
    st.integers(1, 200),
    st.integers(1, 4),
)
def test_the_first_bound_that_a_text_outgrows_is_the_error(text: str, depth: int, digits: int) -> None:
    """Brackets and digits in strings do not count, nor does anything behind the first fault."""
    limits = Limits(depth=depth, digits=digits)
    outgrown, read = None, text
    try:
        decode_tolerantly(text, limits)
    except LimitExceeded as error:
        outgrown = error.limit
    except ProtocolError:
        pass
    try:
        json.loads(text)
    except json.JSONDecodeError as fault:
        read = text[: fault.pos]
    except RecursionError:
        pass

    assert _outgrown(read, limits) == outgrown


@in_one_test(
    "text", ["x" + "{" * 300, "[====" * 300, "{" * 300, '{"a" ' + "[" * 300, '{"a": 1 }' + "[" * 300, "-1x["]
)
def test_brackets_after_the_first_fault_are_no_json(text: str) -> None:
    """A line of a log has any number of brackets, and outgrows nothing."""
    with pytest.raises(ProtocolError) as caught:
        decode(text)

    assert type(caught.value) is ProtocolError


def test_arguments_are_one_whole_value() -> None:
    assert is_one_value('{"a": 1}')
    assert not is_one_value('{"a": 1')
    assert not is_one_value('{}{"a": 1}')


def depth_of(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(depth_of, inner), default=0) if isinstance(inner, list) else 0


@given(VALUES, st.integers(0, 6))
def test_a_decoded_value_is_as_deep_as_it_is(value: Any, depth: int) -> None:
    assert is_deeper(value, depth) == (depth_of(value) > depth)


def test_decoded_payloads_have_the_bound_of_those_that_are_not() -> None:
    narrow = Limits(depth=9)
    inside, beyond = ("[" * levels + "]" * levels for levels in (9, 10))

    assert not is_deeper(decode(inside, narrow), narrow.depth)
    assert is_deeper(json.loads(beyond), narrow.depth)
    with pytest.raises(LimitExceeded):
        decode(beyond, narrow)


HALF = 1_000_000
HUGE = {
    "cut in a string": b'{"a":"' + b"x" * HALF * 2,
    "cut behind a backslash": b'{"a":"' + b"\\n" * HALF + b"\\",
    "malformed": b'{"a":"' + b"x" * HALF * 2 + b'"]',
    "one byte that is no UTF-8": b'{"a":"' + b"x" * HALF * 2 + b'\xff"}',
    "quotes": b'["' + b'\\"' * HALF,
    "digits": b"[" + (b"1" * 4_300 + b",") * (HALF // 2_000),
}


@pytest.mark.parametrize("payload", HUGE.values(), ids=HUGE)
def test_what_is_no_json_takes_little_memory(payload: bytes) -> None:
    """Four bytes for each of its bytes at most, to find out where it is wrong."""
    tracemalloc.start()
    try:
        with suppress(ProtocolError):
            decode(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 4 * len(payload) + 65_536 >= peak


def test_a_place_in_a_long_text_is_reported_in_bytes() -> None:
    start = '{"a":"' + "ä🙂" * 100_000 + '"'

    with pytest.raises(ProtocolError) as caught:
        decode(start + "]")

    assert len(start.encode()) == caught.value.offset

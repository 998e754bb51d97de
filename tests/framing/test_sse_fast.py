"""The short cuts of the event-stream parser change nothing but its speed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunked, event_streams, whole_blocks
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded
from tokenstream.framing import SSEParser
from tokenstream.framing._sse import PlainSSEParser
from tokenstream.limits import Limits

DEFAULT = Limits()
bounds = st.builds(Limits, line=st.integers(0, 24), event=st.integers(0, 24), tail=st.integers(0, 30))


def state(parser: PlainSSEParser) -> tuple[Any, ...]:
    """Return all that can be read off a parser."""
    error = parser.error
    return (
        (error.limit, error.value, error.tail) if isinstance(error, LimitExceeded) else error,
        parser.last_event_id,
        parser.retry,
        parser.comments,
        parser.replaced,
        parser.tail,
        parser.unfinished,
    )


def assert_same(chunks: list[bytes], limits: Limits) -> None:
    """Feed both parsers, and compare after each chunk."""
    fast, plain = SSEParser(limits=limits), PlainSSEParser(limits=limits)
    for chunk in chunks:
        assert plain.frames(chunk) == fast.frames(chunk)
        assert state(plain) == state(fast)


@given(chunked(event_streams), bounds | st.just(DEFAULT))
def test_short_cuts_give_what_the_plain_way_gives(drawn: tuple[bytes, list[bytes]], limits: Limits) -> None:
    assert_same(drawn[1], limits)


@given(whole_blocks, bounds | st.just(DEFAULT))
def test_one_event_to_a_chunk_gives_what_the_plain_way_gives(chunks: list[bytes], limits: Limits) -> None:
    assert_same([b"\n", *chunks], limits)


@given(whole_blocks, st.integers(1, 40))
def test_many_events_to_a_chunk_give_what_the_plain_way_gives(blocks: list[bytes], times: int) -> None:
    assert_same([b"".join(block * times for block in blocks), b"".join(blocks)], DEFAULT)


SHAPES = [
    *(b"data: a\n\n", b"data:a\n\n", b"data:\n\n", b"data: \n\n", b"data:  a\n\n", b"data: \xc3\xa9\n\n"),
    *(b"data: \xff\n\n", b"data: a\r\n\r\n", b"data: a\r\r\n\r\n", b"data: a\rdata: b\r\n\r\n"),
    *(b"data: a\n", b"data: a", b"data: a\n\n\n", b"data: a\ndata: b\n\n", b"data: a\n\ndata: b\n\n"),
    *(b"data: a\n\nevent: n\n\n", b"data: a\n\ndatum: b\n\n", b"data: a\n\n\n\n", b"event: n\ndata: a\n\n"),
    *(b"event: n\ndata: \xff\n\n", b"event: n\ndata: a\r\n\r\n", b"event: n\r\ndata: a\r\n\r\n"),
    *(b"event: n\ndata: a\n\nevent: n\ndata: b\n\n", b"event: n\ndata: a\ndata: b\n\n"),
    *(b"event: n\ndata:a\n\n", b"event: n\ndata: a\n", b"event: n\ndata: ", b"event: n\n\n\n"),
    *(b"event: n\nid: 1\n\n", b"event: other\ndata: a\n\n", b"event: \ndata: a\n\n", b"\n", b"\r", b""),
    *(b"d",),
]


@pytest.mark.parametrize(
    "before", [b"\n", b"id: 7\n\n", b"event: n\ndata: 0\n\n", b"data: 0\r\n\r", b"da", b"id: 8\n"]
)
@in_one_test("shape", SHAPES)
def test_each_shape_of_chunk_gives_what_the_plain_way_gives(before: bytes, shape: bytes) -> None:
    for chunks in (
        [shape],
        [shape * 2],
        [shape, shape],
        [shape[:-1], shape[-1:]],
        [shape[:3], shape[3:] * 2],
    ):
        assert_same([before, *chunks, b"data: z\n\n"], DEFAULT)

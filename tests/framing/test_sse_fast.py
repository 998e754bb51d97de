"""The short cuts of the event-stream parser change nothing but its speed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import event_streams, whole_blocks
from tests.support.chunkings import bytewise, chunked
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded
from tokenstream.framing import SSEParser
from tokenstream.framing._sse import PlainSSEParser
from tokenstream.limits import Limits

DEFAULT = Limits()
bounds = st.builds(Limits, line=st.integers(0, 24), event=st.integers(0, 24), tail=st.integers(0, 30))


def state(parser: PlainSSEParser) -> tuple[Any, ...]:
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


_NAMED = [b'event: delta\ndata: {"a":%d}\n\n' % number for number in range(9)]
_BARE = [b'data: {"a":%d}\n\n' % number for number in range(9)]
_PING = b": ping\n\n"


def _lines_one_by_one(chunks: list[bytes], monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], list[Any]]:
    """Return the lines that no quick way has read, and the frames of all chunks."""
    slow: list[bytes] = []
    take_line = SSEParser._take_line  # noqa: SLF001 - each quick way goes around it

    def noted(parser: SSEParser, line: bytes, frames: list[Any]) -> None:
        slow.append(line)
        take_line(parser, line, frames)

    monkeypatch.setattr(SSEParser, "_take_line", noted)
    parser = SSEParser()
    return slow, [frame for chunk in chunks for frame in parser.frames(chunk)]


@pytest.mark.parametrize(
    "chunk, slow",
    [
        (b"".join(_BARE), []),
        (b"".join(_NAMED), [b"event: delta", b'data: {"a":0}', b""]),
        (_PING.join(_NAMED), [b"event: delta", b'data: {"a":0}', b"", *[b": ping", b""] * 8]),
        (_PING.join(_BARE), [b": ping", b""] * 8),
        (b"".join(_NAMED + _BARE), [b"event: delta", b'data: {"a":0}', b""]),
    ],
    ids=["bare", "named", "named between pings", "bare between pings", "named, then bare"],
)
def test_many_events_in_one_chunk_are_read_without_their_lines(
    chunk: bytes, slow: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first event of a name and what is no event are read line by line; the frames are the same."""
    one_by_one = SSEParser()
    expected = [frame for byte in bytewise(chunk) for frame in one_by_one.frames(byte)]
    read_slowly, frames = _lines_one_by_one([chunk], monkeypatch)

    assert expected == frames
    assert slow == read_slowly


@pytest.mark.parametrize(
    "chunk, whole",
    [(b"".join(_BARE), [True]), (_PING.join(_BARE), [False]), (b"".join(_NAMED), [])],
    ids=["bare", "with pings", "named"],
)
def test_a_chunk_of_nothing_but_lines_of_data_is_read_at_once(
    chunk: bytes, whole: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line of data and a blank one, again and again: no loop looks at them one by one."""
    tried: list[bool] = []
    take_all = SSEParser._take_plain_events  # noqa: SLF001 - the way that is taken

    def noted(parser: SSEParser, lines: list[bytes], frames: list[Any]) -> bool:
        tried.append(take_all(parser, lines, frames))
        return tried[-1]

    monkeypatch.setattr(SSEParser, "_take_plain_events", noted)
    SSEParser().frames(chunk)

    assert whole == tried

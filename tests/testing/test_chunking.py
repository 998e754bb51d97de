"""Chunkings of a replayed recording: no answer depends on them."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.playing import as_played
from tests.support.recordings import Recorded, folder_of, ours
from tests.support.tables import in_one_test
from tokenstream.errors import MisuseError
from tokenstream.testing import Arrival, Recording, Seed

_SMALL = 9_000
"""Bytes of a body that is quickly read byte by byte."""
TIMED = Recording((Arrival(1.0, b"data: a\n"), Arrival(2.0, b"\ndata: b"), Arrival(4.0, b"\n\n")))


@pytest.mark.parametrize(("chunking", "expected"), [
    ("recorded", [(1.0, b"data: a\n"), (2.0, b"\ndata: b"), (4.0, b"\n\n")]),
    ("whole", [(4.0, b"data: a\n\ndata: b\n\n")]),
    ("events", [(2.0, b"data: a\n\n"), (4.0, b"data: b\n\n")]),
    (5, [(1.0, b"data:"), (2.0, b" a\n\nd"), (2.0, b"ata: "), (4.0, b"b\n\n")]),
    (6, [(1.0, b"data: "), (2.0, b"a\n\ndat"), (4.0, b"a: b\n\n")]),
    (99, [(4.0, b"data: a\n\ndata: b\n\n")]),
])  # fmt: skip
def test_a_chunk_comes_when_its_last_byte_came(chunking: Any, expected: list[tuple[float, bytes]]) -> None:
    assert expected == list(as_played(TIMED, pace="recorded", chunking=chunking).arrivals)
    assert [data for _, data in expected] == TIMED.chunks(chunking)


@pytest.mark.slow
@in_one_test("recorded", ours(), ids=lambda recorded: recorded.name, by=folder_of)
def test_every_chunking_of_every_recording_is_the_same_answer(recorded: Recorded) -> None:
    """Message, departures and number of events: chunk boundaries carry no meaning."""
    recording = Recording.of([recorded.body], name=recorded.name)
    expected = recording.stream()
    events = len(list(expected))
    chunkings: list[Any] = ["events", 7, Seed(7)]
    if len(recorded.body) < _SMALL:
        chunkings.append("bytes")

    for chunking in chunkings:
        stream = recording.stream(chunking=chunking)
        assert events == len(list(stream))
        assert expected.messages == stream.messages
        assert list(expected.departures.details) == list(stream.departures.details)


@given(st.lists(st.binary(max_size=9), max_size=6), st.integers(1, 12) | st.integers(0, 99).map(Seed))
def test_no_byte_is_lost_or_moved(pieces: list[bytes], chunking: int | Seed) -> None:
    recording = Recording(tuple(Arrival(float(at), piece) for at, piece in enumerate(pieces)))
    chunks = recording.chunks(chunking)

    assert recording.body == b"".join(chunks)
    assert all(chunks)


@given(st.lists(st.text("ab: \n", min_size=1, max_size=9).map(str.encode), max_size=6), st.integers(1, 12))
def test_times_never_run_backwards(pieces: list[bytes], size: int) -> None:
    """Each chunk comes with its last byte: no earlier than the chunk before it."""
    recording = Recording(tuple(Arrival(float(at), piece) for at, piece in enumerate(pieces)), format="text")
    came = dict(zip(accumulate(map(len, pieces)), range(len(pieces)), strict=True))

    arrivals = as_played(recording, pace="recorded", chunking=size).arrivals
    for (at, _), end in zip(arrivals, accumulate(len(data) for _, data in arrivals), strict=True):
        assert at == min(moment for border, moment in came.items() if border >= end)
    assert all(earlier.at <= later.at for earlier, later in pairwise(arrivals))


def test_a_seed_gives_the_same_chunks_each_time() -> None:
    recording = Recording.of([b"data: Hello\n\n" * 40])

    assert recording.chunks(Seed(7)) == recording.chunks(Seed(7)) != recording.chunks(Seed(8))
    assert len(recording.chunks(Seed(7))) > 3


def test_the_messages_of_a_websocket_have_no_other_borders() -> None:
    sent = [b'{"a": 1}\n{"a": 2}', b'{"b": 1}']

    chunkings: list[Any] = ["recorded", "bytes", "whole", "events", 3, Seed(1)]
    for chunking in chunkings:
        assert sent == Recording.of(sent, messages=True).chunks(chunking)


@pytest.mark.parametrize("chunking", [0, -1, True, False, "lines", 2.5, None])
def test_what_is_no_chunking_is_refused_with_what_there_is(chunking: Any) -> None:
    """A wrong chunking is refused for a WebSocket, too, which has no use for one."""
    for messages in (False, True):
        with pytest.raises(MisuseError, match='is invalid: pass "recorded", "events", "bytes", "whole"'):
            Recording.of([b"data: a\n\n"], messages=messages).chunks(chunking)


@pytest.mark.parametrize("number", [None, "7", 7.5])
def test_a_seed_is_a_whole_number(number: Any) -> None:
    """Seed(None) would give other boundaries each time."""
    with pytest.raises(MisuseError, match="pass a whole number"):
        Seed(number)


def test_a_body_of_no_bytes_has_no_chunks() -> None:
    chunkings: list[Any] = ["whole", "bytes", "events", 4, Seed(1)]
    for chunking in chunkings:
        assert [] == Recording.of([b"", b""]).chunks(chunking) == Recording().chunks(chunking)

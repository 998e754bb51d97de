"""What a framing may hold, and that reading it takes linear time and memory."""

from __future__ import annotations

import pickle
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunkings, event_streams, json_arrays, json_lines
from tests.support.chunkings import chunked
from tests.support.sampling import sampled
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded, MisuseError
from tokenstream.framing import AWSEventStreamParser, NDJSONParser, ServerSentEvent, SSEParser
from tokenstream.framing._json_array import JSONArrayParser
from tokenstream.limits import Limits

MIB = 1024 * 1024

Parser = SSEParser | NDJSONParser | JSONArrayParser

# A row is what is within the bounds to the byte, and what is one byte beyond.
EXACT: dict[str, tuple[type[Parser], Limits, bytes, bytes, str]] = {
    "a data line": (SSEParser, Limits(line=10), b"data: 1234\n\n", b"data: 12345\n\n", "line"),
    "a comment": (SSEParser, Limits(line=10), b": 12345678\n\n", b": 123456789\n\n", "line"),
    "an unknown field": (SSEParser, Limits(line=10), b"1234567890\n\n", b"12345678901\n\n", "line"),
    "a line ended by CRLF": (
        SSEParser,
        Limits(line=10),
        b"data: 1234\r\n\r\n",
        b"data: 12345\r\n\r\n",
        "line",
    ),
    "a line after a byte order mark": (
        SSEParser,
        Limits(line=10),
        b"\xef\xbb\xbfdata: 1234\n\n",
        b"\xef\xbb\xbfdata: 12345\n\n",
        "line",
    ),
    "an unfinished line": (SSEParser, Limits(line=10), b"data: 1234", b"data: 12345", "line"),
    "one line of data": (SSEParser, Limits(event=4), b"data: 1234\n\n", b"data: 12345\n\n", "event"),
    "several lines with the LF between": (
        SSEParser,
        Limits(event=4),
        b"data: 12\ndata: 3\n\n",
        b"data: 12\ndata: 34\n\n",
        "event",
    ),
    "empty lines of data": (
        SSEParser,
        Limits(event=2),
        b"data\ndata\ndata\n\n",
        b"data\ndata\ndata\ndata\n\n",
        "event",
    ),
    "data when nothing may come": (SSEParser, Limits(event=0), b"data: \n\n", b"data: 1\n\n", "event"),
    "both at once": (SSEParser, Limits(event=4, line=10), b"data: 1234\n\n", b"data: 12345\n\n", "line"),
    "a line too short for data": (SSEParser, Limits(event=0, line=3), b"dat\n\n", b"data\ndata\n\n", "line"),
    "a line of JSON": (NDJSONParser, Limits(line=4), b"1234\n", b"12345\n", "line"),
    "a line of JSON ended by CRLF": (NDJSONParser, Limits(line=4), b"1234\r\n", b"12345\r\n", "line"),
    "a line of JSON with a CR in it": (NDJSONParser, Limits(line=4), b"1234\r", b"1234\r5", "line"),
    "a blank line of JSON": (NDJSONParser, Limits(line=4), b"    \n", b"     \n", "line"),
    "a line of JSON after a byte order mark": (
        NDJSONParser,
        Limits(line=4),
        b"\xef\xbb\xbf1234\n",
        b"\xef\xbb\xbf12345\n",
        "line",
    ),
    "a payload of JSON": (NDJSONParser, Limits(event=4), b"1234\n", b"12345\n", "event"),
    "a string in an array": (JSONArrayParser, Limits(line=4), b'["ab"]', b'["abc"]', "line"),
    "an object behind a number": (JSONArrayParser, Limits(line=4), b"[1,{  }]", b"[1,{   }]", "line"),
    "a number in an array": (JSONArrayParser, Limits(line=4), b"[1234]", b"[12345]", "line"),
    "white space between elements, which is not held": (
        JSONArrayParser,
        Limits(event=4),
        b"[1,     [12]     ]",
        b"[1,[123]]",
        "event",
    ),
    "an unfinished string in an array": (JSONArrayParser, Limits(line=4), b'["ab', b'["abcd', "line"),
}


@in_one_test("bound", EXACT)
def test_bounds_are_met_to_the_byte_at_every_chunking(bound: str) -> None:
    framing, limits, within, beyond, limit = EXACT[bound]
    for chunks in chunkings(within):
        parser = framing(limits=limits)
        feed_all(parser, chunks)

        assert None is parser.error
    for chunks in chunkings(beyond):
        parser = framing(limits=limits)

        # The element 1 of an array is before the fault.
        assert feed_all(parser, chunks) in ([], [b"1"])
        assert isinstance(parser.error, LimitExceeded)
        assert (limit, getattr(limits, limit)) == (parser.error.limit, parser.error.value)


@in_one_test(
    ("framing", "bodies"),
    [(SSEParser, event_streams), (NDJSONParser, json_lines), (JSONArrayParser, json_arrays)],
)
@given(
    st.data(), st.builds(Limits, line=st.integers(0, 24), event=st.integers(0, 24), tail=st.integers(0, 40))
)
def test_where_a_bound_is_met_does_not_depend_on_the_chunking(
    framing: type[Parser], bodies: st.SearchStrategy[bytes], data: st.DataObject, limits: Limits
) -> None:
    body, chunks = data.draw(chunked(bodies))
    outcomes: list[object] = []
    for way in ([body], chunks, [body[at : at + 1] for at in range(len(body))]):
        parser = framing(limits=limits)
        frames = feed_all(parser, way)
        error = parser.error
        met = (error.limit, error.value, error.tail) if isinstance(error, LimitExceeded) else error
        left = parser.tail, parser.unfinished, getattr(parser, "last_event_id", None)
        outcomes.append((frames, repr(met), left))

    assert outcomes[0] == outcomes[1] == outcomes[2]


@in_one_test("framing", [SSEParser, NDJSONParser, JSONArrayParser, AWSEventStreamParser])
def test_misuse_says_what_to_do(framing: type[Parser]) -> None:
    parser = framing()
    text: Any = "[1]\n"
    with pytest.raises(MisuseError, match=rf"{framing.__name__}\.feed takes bytes .* not str"):
        parser.feed(text)
    parser.end()
    for chunk in (b"[1]\n", b""):
        with pytest.raises(MisuseError, match=r"after end\(\).*reset\(\)"):
            parser.feed(chunk)


def test_events_before_the_fault_are_handed_out_and_nothing_after() -> None:
    parser = SSEParser(limits=Limits(line=20))
    events = parser.feed(b"data: a\n\ndata: b\n\n" + b"x" * 21 + b"\n\ndata: c\n\n")

    assert [ServerSentEvent(b"a"), ServerSentEvent(b"b")] == events
    assert [] == parser.feed(b"\n\ndata: d\n\n")
    assert [] == parser.end()
    with pytest.raises(LimitExceeded, match=r"Limits\.line = 20"):
        parser.check()


def test_reset_ends_an_error() -> None:
    parser = SSEParser(limits=Limits(line=20))
    parser.feed(b"x" * 21)
    parser.reset()

    assert [ServerSentEvent(b"a")] == parser.feed(b"data: a\n\n")


def test_an_error_carries_the_start_of_what_was_too_long() -> None:
    parser = SSEParser(limits=Limits(line=20, tail=19))
    parser.feed(b"event: n\ndata: " + b"1" * 30)

    assert isinstance(parser.error, LimitExceeded)
    assert b"event: n\ndata: 1111" == parser.error.tail == parser.tail
    assert None is parser.unfinished


def test_a_line_is_refused_before_it_ends() -> None:
    parser = SSEParser(limits=Limits(line=1_000))
    fed = 0
    while parser.error is None:
        parser.feed(b"x" * 64)
        fed += 64

    assert 1_024 == fed


def chunks_of(body: bytes, size: int) -> Iterable[bytes]:
    """Cut a body without holding the pieces."""
    return (body[at : at + size] for at in range(0, len(body), size))


def feed_all(parser: Parser, chunks: Iterable[bytes]) -> list[Any]:
    return [frame for chunk in chunks for frame in parser.feed(chunk)]


def payload_of(frame: bytes | ServerSentEvent) -> bytes:
    return frame.payload if isinstance(frame, ServerSentEvent) else frame


# Each of these copies or scans hundreds of gigabytes where a parser joins or
# searches what it holds for every chunk or line, and would not end in time.
LONG: dict[str, tuple[type[Parser], bytes, int, int]] = {
    "a line of 20 MB in 4 KiB": (SSEParser, b"data: " + b"x" * 20_000_000 + b"\n\n", 4_096, 20_000_000),
    "200,000 data lines": (SSEParser, b"data: abc\n" * 200_000 + b"\n", 4_096, 799_999),
    "200,000 empty data lines": (SSEParser, b"data\n" * 200_000 + b"\n", 1_000, 199_999),
    "a line of JSON of 20 MB in 4 KiB": (NDJSONParser, b"x" * 20_000_000 + b"\n", 4_096, 20_000_000),
    "a string of 20 MB in 16 KiB": (
        JSONArrayParser,
        b'[{"data": "' + b"QUJD" * 5_000_000 + b'"}]',
        16_384,
        20_000_012,
    ),
    "escapes of 2 MB in 4 KiB": (JSONArrayParser, b'["' + b'\\"' * 1_000_000 + b'"]', 4_096, 2_000_002),
    "a string of 400 KB in 5 bytes": (JSONArrayParser, b'["' + b"x" * 400_000 + b'"]', 5, 400_002),
    "200,000 empty objects in one": (JSONArrayParser, b"[[" + b"{}," * 200_000 + b"{}]]", 16_384, 600_004),
    "100,000 brackets deep": (JSONArrayParser, b"[" + b"[" * 100_000 + b"]" * 100_000 + b"]", 999, 200_000),
    "white space in an array": (
        JSONArrayParser,
        b"[" + b" \n" * 2_000_000 + b"{}" + b"\t" * 1_000_000 + b"]",
        777,
        2,
    ),
    "quotes in one chunk": (JSONArrayParser, b"[[" + b'"",' * 500_000 + b'""]]', 2_000_000, 1_500_004),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", LONG)
def test_what_is_long_is_read_in_linear_time(shape: str) -> None:
    """No buffered byte is read again, and fragments are joined once."""
    framing, body, size, expected = LONG[shape]
    frames = feed_all(framing(), chunks_of(body, size))

    assert [expected] == [len(payload_of(frame)) for frame in frames]


def peak_of(parser: Parser, chunks: Iterable[bytes]) -> tuple[int, list[Any]]:
    """Return how much memory reading takes at most, beyond the chunks themselves."""
    tracemalloc.start()
    try:
        events = feed_all(parser, chunks)
        return tracemalloc.get_traced_memory()[1], events
    finally:
        tracemalloc.stop()


@pytest.mark.not_quick
@pytest.mark.slow_rows("7")
@pytest.mark.parametrize("size", [7, 4_096, MIB])
@pytest.mark.parametrize(
    ("framing", "before", "payload", "after"),
    [
        (SSEParser, b"data: ", b"x" * 400_000, b"\n\n"),
        (SSEParser, b"data: ", b"\xf0\x9f\x98\x80" * 100_000, b"\n\n"),
        (NDJSONParser, b"", b"x" * 400_000, b"\r\n"),
        (JSONArrayParser, b"[", b'"' + b"x" * 400_000 + b'"', b"]"),
    ],
    ids=["SSE", "SSE that is no ASCII", "NDJSON", "an array"],
)
def test_a_long_payload_takes_three_times_its_size_at_most(
    framing: type[Parser], before: bytes, payload: bytes, after: bytes, size: int
) -> None:
    peak, frames = peak_of(framing(), chunks_of(before + payload + after, size))

    assert [payload] == [payload_of(frame) for frame in frames]
    assert peak < 3.2 * len(payload)


@pytest.mark.slow
def test_many_short_data_lines_take_three_times_their_size_at_most() -> None:
    peak, events = peak_of(SSEParser(), chunks_of(b"data: ab\n" * 60_000 + b"\n", 512))

    assert [179_999] == [len(event.payload) for event in events]
    assert peak < 3.2 * 180_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", sampled([b": ping\n", b"\n", b"\r", b"x: y\n", b"id: 1\n", b"event: ping\n\n"], one_in=3)
)
def test_what_makes_no_event_takes_constant_memory(line: bytes) -> None:
    for chunks in ([line * (200_000 // len(line))], [line * 100] * 50):
        peak, events = peak_of(SSEParser(), chunks)

        assert [] == events
        assert peak < 1_100_000


def test_comments_for_ever_take_constant_memory() -> None:
    """100,000 of them without a blank line; they are heartbeats, so they are counted."""
    parser = SSEParser()
    feed_all(parser, [b": ping\n" * 100] * 1_000)

    assert 100_000 == parser.comments
    assert len(pickle.dumps(parser)) < 2_000


def test_what_was_too_long_is_let_go() -> None:
    parser = SSEParser(limits=Limits(line=MIB, tail=100))
    feed_all(parser, [b"x" * 4_096] * 300)

    assert isinstance(parser.error, LimitExceeded)
    assert len(pickle.dumps(parser)) < 4_000

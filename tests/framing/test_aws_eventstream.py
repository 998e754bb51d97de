"""Binary event streams of AWS, at every chunking: both checksums, every type of header, every bound."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Literal
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunkings
from tests.support.aws_eventstream import Typed, event, exception, header, message, pack
from tests.support.chunkings import chunked, cut_at
from tests.support.packages import needed
from tests.support.tables import in_one_test
from tokenstream import Limits
from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing import AWSEventStreamParser, EventStreamMessage

FIRST = event("messageStart", {"role": "assistant"})
SECOND = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hé"}})
LAST = exception("throttlingException", {"message": "slow down"})
BODY = FIRST + SECOND + SECOND + LAST


def read(chunks: list[bytes], limits: Limits | None = None) -> tuple[list[EventStreamMessage], str, bytes]:
    parser = AWSEventStreamParser(limits=limits or Limits())
    found: list[EventStreamMessage] = []
    for piece in chunks:
        found += parser.feed(piece)
    found += parser.end()
    return found, repr(parser.error), parser.tail


def test_messages_are_the_same_at_every_chunking() -> None:
    def framed(payload: str, name: str, kind: Literal["event", "exception"] = "event") -> EventStreamMessage:
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
        return EventStreamMessage(payload.encode(), name, kind, headers)

    second = framed('{"contentBlockIndex":0,"delta":{"text":"Hé"}}', "contentBlockDelta")
    last = framed('{"message": "slow down"}', "throttlingException", "exception")
    expected = [framed('{"role":"assistant"}', "messageStart"), second, second, last]

    for chunks in chunkings(BODY):
        assert (expected, "None", b"") == read(chunks)


def test_every_type_of_header_is_read() -> None:
    body = message(
        {
            "yes": Typed(0, None),
            "no": Typed(1, None),
            "int8": Typed(2, -1),
            "int16": Typed(3, -2),
            "int32": Typed(4, 70_000),
            "int64": Typed(5, -(1 << 40)),
            "bytes": Typed(6, b"\xff\x00"),
            "text": "é",
            "time": Typed(8, 1_700_000_000_000),
            "uuid": Typed(9, bytes(range(16))),
        },
        b"x",
    )

    (found,), _, _ = read([body])

    assert found.headers == {
        "yes": True,
        "no": False,
        "int8": -1,
        "int16": -2,
        "int32": 70_000,
        "int64": -(1 << 40),
        "bytes": b"\xff\x00",
        "text": "é",
        "time": 1_700_000_000_000,
        "uuid": bytes(range(16)),
    }


@pytest.mark.parametrize(
    "headers, kind, name",
    [
        ({}, "event", ""),
        ({":message-type": "event"}, "event", ""),
        ({":message-type": "news", ":event-type": "chunk"}, "event", "chunk"),
        ({":message-type": Typed(0, None), ":event-type": "chunk"}, "event", "chunk"),
        ({":message-type": "exception", ":exception-type": "x", ":event-type": "y"}, "exception", "x"),
        ({":message-type": "error", ":error-code": "500", ":error-message": "m"}, "error", "500"),
    ],
)
def test_the_kind_of_a_message_is_in_its_headers(headers: dict[str, object], kind: str, name: str) -> None:
    (found,), _, _ = read([message(headers)])

    assert (kind, name) == (found.kind, found.event)


@given(chunked(st.sampled_from([BODY, BODY[:-1], BODY + FIRST[:11], FIRST[:12]]), most=30))
def test_any_cut_gives_what_the_whole_body_gives(case: tuple[bytes, list[bytes]]) -> None:
    body, chunks = case

    assert read([body]) == read(chunks)


@given(st.integers(0, len(BODY) * 8 - 1), st.data())
def test_a_bit_that_was_flipped_is_never_read_as_content(bit: int, data: st.DataObject) -> None:
    broken = bytearray(BODY)
    broken[bit // 8] ^= 1 << bit % 8
    right, _, _ = read([BODY])
    places = data.draw(st.lists(st.integers(0, len(BODY)), max_size=5))

    found, error, tail = read(cut_at(bytes(broken), places))

    before = [FIRST, SECOND, SECOND, LAST]
    ends = [sum(map(len, before[: count + 1])) for count in range(4)]
    whole = sum(end <= bit // 8 for end in ends)
    assert right[:whole] == found
    assert "wrong CRC" in error
    assert tail


@in_one_test("place", range(len(FIRST)))
def test_a_wrong_byte_is_an_error_that_says_where_and_why(place: int) -> None:
    """A proxy that takes the body for text changes its bytes; the second message is at fault here."""
    broken = bytearray(FIRST)
    broken[place] ^= 0xFF
    parser = AWSEventStreamParser()

    found = parser.feed(FIRST + bytes(broken) + SECOND)

    assert len(found) == 1
    with pytest.raises(ProtocolError, match=rf"the message at byte {len(FIRST)} has a wrong CRC") as caught:
        parser.check()
    assert len(FIRST) == caught.value.offset
    assert "proxy" in str(caught.value)
    assert not caught.value.retryable
    assert parser.feed(SECOND) == []
    assert parser.tail == bytes(broken)[: 12 if place < 12 else None]


def lengths(total: int, of_headers: int) -> bytes:
    """Return a prelude that says so, with the right checksum."""
    start = struct.pack(">II", total, of_headers)
    return start + struct.pack(">I", crc32(start))


@pytest.mark.parametrize(
    "prelude, what",
    [
        (lengths(0, 0), "0 bytes"),
        (lengths(15, 0), "15 bytes"),
        (lengths(16, 1), "1 are headers"),
        (lengths(2**32 - 1, 2**32 - 1), "4294967295 are headers"),
        (lengths(400_000, 131_073), "131073 are headers"),
    ],
)
def test_lengths_that_cannot_be_are_an_error_at_once(prelude: bytes, what: str) -> None:
    """A message has at least 16 bytes, its headers fit into it and have at most 128 KiB: no waiting."""
    found, error, tail = read([prelude])

    assert (found, tail) == ([], prelude)
    assert "has lengths that cannot be" in error
    assert what in error


@pytest.mark.parametrize(
    "headers, what",
    [
        (header("a", "1") + header("a", "2"), "twice"),
        (b"\x05ab", "longer"),
        (b"\x01a\x07\x00\x02x", "longer"),
        (b"\x01a\x09" + bytes(15), "longer"),
        (b"\x01a\x0a", "type 10 does not exist"),
    ],
)
def test_headers_that_cannot_be_read_are_an_error(headers: bytes, what: str) -> None:
    """With right checksums it is the server that sends nonsense; what came before it is delivered."""
    found, error, tail = read([FIRST + pack(headers, b"") + SECOND])

    assert len(found) == 1
    assert "headers that cannot be read" in error
    assert what in error
    assert pack(headers, b"") == tail


@pytest.mark.parametrize(
    "limits, limit",
    [(Limits(event=20), "event"), (Limits(line=len(SECOND) - 1), "line"), (Limits(line=10), "line")],
)
def test_a_message_beyond_a_bound_is_refused_by_its_lengths(limits: Limits, limit: str) -> None:
    whole = read([FIRST + SECOND], limits)

    for chunks in chunkings(FIRST + SECOND):
        assert whole == read(chunks, limits)
    parser = AWSEventStreamParser(limits=limits)
    parser.feed(FIRST + SECOND[:12])
    with pytest.raises(LimitExceeded) as caught:
        parser.check()
    assert limit == caught.value.limit
    assert len(parser.tail) == 12


def test_a_message_of_exactly_the_bound_is_read() -> None:
    """`Limits.event` bounds the payload, `Limits.line` the message."""
    payload = b'{"role":"assistant"}'

    assert len(read([FIRST], Limits(event=len(payload), line=len(FIRST)))[0]) == 1


def test_the_start_of_a_message_that_the_input_ends_in_is_the_tail() -> None:
    parser = AWSEventStreamParser(limits=Limits(tail=20))
    found = parser.feed(FIRST + SECOND[:-1])

    assert len(found) == 1
    assert parser.end() == []
    assert SECOND[:20] == parser.tail
    assert parser.unfinished is None
    assert parser.error is None


def test_headers_that_repeat_are_read_once_and_the_others_each_time() -> None:
    """What a server may fill memory with is bounded: few headers are kept, and no long ones."""
    bodies = [message({":event-type": f"e{number}"}) for number in range(100)]
    long = message({":event-type": "long", "x": "y" * 600})

    found, _, _ = read([b"".join(bodies) * 2 + long * 2])

    names = [f"e{number}" for number in range(100)]
    assert [*names, *names, "long", "long"] == [each.event for each in found]
    assert found[0].headers is found[100].headers
    assert found[99].headers is not found[199].headers
    assert found[-1].headers is not found[-2].headers


def test_a_new_connection_begins_with_reset() -> None:
    parser = AWSEventStreamParser()
    parser.feed(FIRST[:-1] + b"?")
    assert parser.error is not None
    parser.end()

    parser.reset()

    parser.check()
    assert parser.tail == b""
    assert len(parser.feed(FIRST)) == 1


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_other_kinds_of_bytes_are_taken(kind: type) -> None:
    """A transport may deliver what is not `bytes`."""
    parser = AWSEventStreamParser()

    assert len(parser.feed(kind(FIRST))) == 1


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=3),
            st.binary(max_size=40),
        ),
        max_size=4,
    )
)
def test_botocore_reads_the_same(messages: list[tuple[dict[str, str], bytes]]) -> None:
    """AWS's own parser is an oracle for what is well formed."""
    body = b"".join(message(headers, payload) for headers, payload in messages)
    oracle = needed("botocore.eventstream").EventStreamBuffer()
    oracle.add_data(body)

    expected = [(each.headers, each.payload) for each in oracle]

    assert expected == [(each.headers, each.payload) for each in read([body])[0]]


# -- one whole event in a chunk -------------------------------------------------


def _learnt(
    make: Callable[[bytes], Any] = bytes, limits: Limits | None = None
) -> tuple[AWSEventStreamParser, Any]:
    """Return a parser that has read an event, and what reads the next one of its name."""
    parser = AWSEventStreamParser(limits=limits or Limits())
    parser.feed(SECOND)
    look = parser.shortcut("contentBlockDelta", b"", make)
    assert look is not None
    return parser, look


def test_a_message_that_says_it_is_longer_or_shorter_is_no_message() -> None:
    """With right checksums its lengths count, as they do in the plain way."""
    parser, look = _learnt()

    assert look(SECOND) == parser.feed(SECOND)[0].payload
    assert look(SECOND + b"?") is None
    assert look(SECOND[:-1]) is None
    assert look(b"") is None
    assert parser.shortcut("messageStart", b"", bytes) is None
    parser.feed(FIRST)
    assert parser.shortcut("messageStart", b"", bytes) is not None
    parser.feed(SECOND[:-1])
    assert parser.shortcut("contentBlockDelta", b"", bytes) is None


def test_messages_beyond_a_bound_are_none_at_a_glance() -> None:
    """The framing refuses them in its own words."""
    long = event("contentBlockDelta", {"text": "a" * 400})
    for limits in (Limits(event=200), Limits(line=200)):
        parser, look = _learnt(limits=limits)

        assert look(long) is None
        assert [] == parser.feed(long)
        assert parser.error is not None


def test_many_lengths_are_proved_each_time() -> None:
    """Only so many are kept."""
    _, look = _learnt(len)

    for _ in range(2):
        for size in range(600):
            payload = {"delta": "a" * size}
            assert size + 12 == look(event("contentBlockDelta", payload))


def test_a_chunk_that_is_one_event_is_proved_at_a_glance_too() -> None:
    """Any byte that was changed makes it none, and what follows has its place in the body."""
    parser, look = _learnt()

    for _ in range(2):
        for place in range(len(SECOND)):
            broken = bytearray(SECOND)
            broken[place] ^= 1
            assert look(bytes(broken)) is None
        assert look(SECOND) is not None
    parser.feed(FIRST)
    assert parser.shortcut("messageStart", b"", bytes) is not None
    parser.feed(SECOND[:-1] + b"?")
    assert f"at byte {3 * len(SECOND) + len(FIRST)} has" in str(parser.error)
    assert parser.shortcut("contentBlockDelta", b"", bytes) is None


def test_lengths_that_cannot_be_are_none_at_a_glance() -> None:
    _, look = _learnt()
    of_headers = int.from_bytes(SECOND[4:8], "big")

    for total, size in ((12 + of_headers, of_headers), (len(SECOND), 0), (len(SECOND), of_headers + 1)):
        start = lengths(total, size) + SECOND[12:-4]
        body = start + struct.pack(">I", crc32(start))
        assert look(body[:total]) is None

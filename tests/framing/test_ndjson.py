"""Newline-delimited JSON, at every chunking, with bounds, fast and plain."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunkings, json_lines
from tests.support.chunkings import chunked
from tests.support.tables import in_one_test
from tokenstream.errors import LimitExceeded
from tokenstream.framing import NDJSONParser
from tokenstream.framing._ndjson import PlainNDJSONParser
from tokenstream.limits import Limits

DEFAULT = Limits()


def read(chunks: list[bytes]) -> list[bytes]:
    parser = NDJSONParser()
    return [payload for chunk in chunks for payload in parser.feed(chunk)] + parser.end()


# One row per rule: what it says, bytes, payloads.
RULES: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing in, nothing out": (b"", []),
    "LF ends a line": (b'{"a": 1}\n{"b": 2}\n', [b'{"a": 1}', b'{"b": 2}']),
    "CRLF ends a line": (b"1\r\n2\r\n", [b"1", b"2"]),
    "a lone CR is white space": (b"[1,\r2]\n3\r4\n", [b"[1,\r2]", b"3\r4"]),
    "only one CR belongs to the line end": (b"1\r\r\n", [b"1\r"]),
    "U+2028, NEL, VT and FF end no line": (
        '"\u2028\x85\x0b\x0c"\n'.encode(),
        ['"\u2028\x85\x0b\x0c"'.encode()],
    ),
    "one leading byte order mark is stripped": (b"\xef\xbb\xbf1\n", [b"1"]),
    "a second byte order mark is content": (b"\xef\xbb\xbf\xef\xbb\xbf1\n", [b"\xef\xbb\xbf1"]),
    "half a byte order mark is content": (b"\xef\xbb1\n", [b"\xef\xbb1"]),
    "blank lines are skipped": (b"\n\r\n1\n\n \t\r \n2\n\r\n", [b"1", b"2"]),
    "a line that no line end closed is not returned": (b"1\n2", [b"1"]),
    "white space around a payload is kept": (b" 1 \n", [b" 1 "]),
    "what is no JSON is passed on": (b"\xff\ndata: x\n", [b"\xff", b"data: x"]),
}


@in_one_test("rule", RULES)
def test_each_rule_holds_at_every_chunking(rule: str) -> None:
    body, expected = RULES[rule]

    assert all(expected == read(chunks) for chunks in chunkings(body))


@given(chunked(json_lines))
def test_any_body_reads_as_its_lines(drawn: tuple[bytes, list[bytes]]) -> None:
    body, chunks = drawn
    *lines, _ = body.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    expected = [re.sub(rb"\r\Z", b"", line) for line in lines if re.search(rb"[^ \t\r]", line)]

    assert expected == read(chunks)


def state(parser: PlainNDJSONParser) -> tuple[Any, ...]:
    error = parser.error
    met = (error.limit, error.value, error.tail) if isinstance(error, LimitExceeded) else error
    return met, parser.tail, parser.unfinished


@given(
    chunked(json_lines)
    | st.lists(st.sampled_from([b"1\n", b"22\r\n", b"\n", b" 3\n", b"4\n5\n", b"6", b"\r"])),
    st.just(DEFAULT)
    | st.builds(Limits, line=st.integers(0, 9), event=st.integers(0, 9), tail=st.integers(0, 12)),
)
def test_short_cuts_give_what_the_plain_way_gives(
    drawn: tuple[bytes, list[bytes]] | list[bytes], limits: Limits
) -> None:
    fast, plain = NDJSONParser(limits=limits), PlainNDJSONParser(limits=limits)
    for chunk in drawn if isinstance(drawn, list) else drawn[1]:
        assert plain.feed(chunk) == fast.frames(chunk)
        assert state(plain) == state(fast)


def test_payloads_before_the_fault_are_handed_out_and_nothing_after() -> None:
    parser = NDJSONParser(limits=Limits(line=4, tail=3))

    assert [b"1", b"2"] == parser.feed(b"1\n2\n12345\n3\n")
    assert ([], [], b"123", None) == (parser.feed(b"4\n"), parser.end(), parser.tail, parser.unfinished)
    with pytest.raises(LimitExceeded, match=r"Limits\.line = 4"):
        parser.check()


@pytest.mark.parametrize(
    ("body", "unfinished", "tail"),
    [
        (b"1\n", None, b""),
        (b"1\n \r", None, b" \r"),
        (b'1\n{"a"', b'{"a"', b'{"a"'),
        (b"1\n2\r", b"2", b"2\r"),
        (b"\xef\xbb", None, b"\xef\xbb"),
    ],
)
def test_what_was_not_finished_can_be_read_at_every_chunking(
    body: bytes, unfinished: bytes | None, tail: bytes
) -> None:
    for chunks in chunkings(body):
        parser = NDJSONParser()
        for chunk in chunks:
            parser.feed(chunk)
        parser.end()

        assert (unfinished, tail) == (parser.unfinished, parser.tail)


def test_reset_begins_a_new_connection() -> None:
    parser = NDJSONParser()
    parser.feed(b"\xef\xbb\xbf1\n2")
    parser.end()
    parser.reset()

    assert [b"3"] == parser.feed(b"\xef\xbb\xbf3\n")

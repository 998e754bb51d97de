"""A JSON array, element by element, at every chunking, with bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.framing.support import chunkings, json_arrays
from tests.support.chunkings import chunked
from tests.support.tables import in_one_test
from tokenstream.errors import ProtocolError
from tokenstream.framing._json_array import JSONArrayParser
from tokenstream.limits import Limits


def read(chunks: list[bytes]) -> list[bytes]:
    parser = JSONArrayParser()
    elements = [element for chunk in chunks for element in parser.feed(chunk)] + parser.end()
    parser.check()
    return elements


# One row per rule: what it says, bytes, elements.
RULES: dict[str, tuple[bytes, list[bytes]]] = {
    "nothing in, nothing out": (b"", []),
    "an empty array has no elements": (b" [ ] ", []),
    "objects are elements": (b'[{"a": 1},{}]', [b'{"a": 1}', b"{}"]),
    "so are arrays, whatever they hold": (b'[[1,[{"a":[]}]], []]', [b'[1,[{"a":[]}]]', b"[]"]),
    "so are numbers and words": (b"[1,-2.5e+3 ,true\n,null]", [b"1", b"-2.5e+3", b"true", b"null"]),
    "so are strings, with what separates elsewhere": (b'["a,]","\\"]",""]', [b'"a,]"', b'"\\"]"', b'""']),
    "white space around elements is left out, inside it is kept": (
        b'\r\n[\t{ "a" :\r\n1 }\r\n,\r\n2\n]\n',
        [b'{ "a" :\r\n1 }', b"2"],
    ),
    "brackets in strings are text": (b'[{"a": "}]{"}, {"]": "["}]', [b'{"a": "}]{"}', b'{"]": "["}']),
    "an escaped quote ends no string": (b'[{"a": "\\"}"}]', [b'{"a": "\\"}"}']),
    "a leading byte order mark is skipped": (b"\xef\xbb\xbf[1]", [b"1"]),
    "white space may stand before the array": (b" \r\n\t[1]", [b"1"]),
    "bytes that are no UTF-8 are passed on": (b'[{"a": "\xff\xe2"}]', [b'{"a": "\xff\xe2"}']),
    "what is no JSON inside an element is passed on": (b"[{a: x}, 1e]", [b"{a: x}", b"1e"]),
    "brackets are only counted": (b"[{a: ], 1]", [b"{a: ]", b"1"]),
}


@in_one_test("rule", RULES)
def test_each_rule_holds_at_every_chunking(rule: str) -> None:
    body, expected = RULES[rule]

    assert all(expected == read(chunks) for chunks in chunkings(body))


@given(chunked(json_arrays))
def test_any_array_reads_as_its_elements(drawn: tuple[bytes, list[bytes]]) -> None:
    body, chunks = drawn
    text = str(body, "utf-8", "surrogatepass")
    elements = [json.loads(str(element, "utf-8", "surrogatepass")) for element in read(chunks)]

    assert json.loads(text) == elements


@given(chunked(json_arrays))
def test_an_element_is_out_with_its_closing_bracket(drawn: tuple[bytes, list[bytes]]) -> None:
    """Nothing waits for the comma: what is held never is a whole object or array."""
    parser = JSONArrayParser()
    for chunk in drawn[1]:
        parser.feed(chunk)
        held = parser.unfinished or b""

        assert not held.endswith(b"}") or not _is_whole(held)


def _is_whole(text: bytes) -> bool:
    try:
        json.loads(str(text, "utf-8", "surrogatepass"))
    except ValueError:
        return False
    return True


def test_an_object_is_out_at_once_and_a_number_with_what_follows() -> None:
    parser = JSONArrayParser()

    assert [[], [b"{}"], [], [], [b"12"], [b'"a"']] == [
        parser.feed(chunk) for chunk in (b"[{", b"}", b",1", b"2", b" ", b',"a"')
    ]


# One row per fault: bytes, elements before it, offset, what the error says.
FAULTS: dict[str, tuple[bytes, list[bytes], int, str]] = {
    "no array": (b' {"a": 1}', [], 1, r"begins with \["),
    "a word before the array": (b"while(1);[1]", [], 0, r"begins with \["),
    "no comma between elements": (b"[{} {}]", [b"{}"], 4, "a comma or ]"),
    "two commas": (b"[1,,2]", [b"1"], 3, "an element"),
    "a comma after the last element": (b"[1,\n]", [b"1"], 4, "an element"),
    "a colon for an element": (b"[:]", [], 1, "an element"),
    "something after the array": (b"[1]\n\n[2]", [b"1"], 5, "nothing may follow"),
}


@in_one_test("fault", FAULTS)
def test_what_is_no_array_is_an_error_with_its_place(fault: str) -> None:
    body, expected, offset, says = FAULTS[fault]
    for chunks in chunkings(body):
        parser = JSONArrayParser()
        elements = [element for chunk in chunks for element in parser.feed(chunk)]

        assert expected == elements
        assert isinstance(parser.error, ProtocolError)
        assert offset == parser.error.offset
        assert [] == parser.feed(b"[3]")
        with pytest.raises(ProtocolError, match=says):
            parser.check()


def test_the_place_counts_from_the_first_byte_of_the_body() -> None:
    """A byte order mark is three of them, also where it came by itself."""
    for chunks in chunkings(b"\xef\xbb\xbf[1]x"):
        parser = JSONArrayParser()
        for chunk in chunks:
            parser.feed(chunk)

        assert isinstance(parser.error, ProtocolError)
        assert 6 == parser.error.offset


@pytest.mark.parametrize(
    ("body", "unfinished"),
    [
        (b"[{}", None),
        (b'[{}, {"a": "b', b'{"a": "b'),
        (b'[{"a": 1}, 12', b"12"),
        (b'["a\\', b'"a\\'),
        (b"\xef\xbb", None),
    ],
)
def test_what_was_not_finished_can_be_read_at_every_chunking(body: bytes, unfinished: bytes | None) -> None:
    """A cut is in an element, or between two."""
    for chunks in chunkings(body):
        parser = JSONArrayParser()
        for chunk in chunks:
            parser.feed(chunk)
        parser.end()

        assert unfinished == parser.unfinished
        assert (unfinished or (b"\xef\xbb" if body == b"\xef\xbb" else b"")) == parser.tail


def state(parser: JSONArrayParser) -> tuple[Any, ...]:
    error = parser.error
    place = error.offset if isinstance(error, ProtocolError) else None
    return repr(error), place, parser.tail, parser.unfinished


AS_SENT = st.lists(
    st.sampled_from(
        [
            *(b",{}", b' , {"a": [1, "}"]}\r\n', b",[[]]", b",1", b',{"a', b": 1}", b",{},{}", b"{},"),
            *(b'{"a": [1, "}"]}\n,\r\n', b"{}", b",", b"\n", b"]", b"x"),
        ]
    )
).flatmap(lambda chunks: st.sampled_from([[b"[{}", *chunks], [b"[{},", *chunks]]))
"""Chunks as a server sends them: one element each, and now and then something else."""


@given(
    chunked(json_arrays).map(lambda drawn: drawn[1]) | AS_SENT,
    st.just(Limits()) | st.builds(Limits, line=st.integers(2, 20), event=st.integers(2, 20)),
)
def test_short_cuts_give_what_the_plain_way_gives(chunks: list[bytes], limits: Limits) -> None:
    fast, plain = JSONArrayParser(limits=limits), JSONArrayParser(limits=limits)
    for chunk in chunks:
        assert plain.feed(chunk) == fast.frames(chunk)
        assert state(plain) == state(fast)


def digits_between(most: int, before: bytes, after: bytes) -> Callable[[bytes], bytes | None]:
    """Read chunks of one element that is an object with a number, as a format reads what it knows."""
    shape = re.compile(re.escape(before) + rb'(\{"a": [0-9]\})' + re.escape(after))

    def read(chunk: bytes) -> bytes | None:
        found = shape.fullmatch(chunk) if len(chunk) <= most else None
        return None if found is None else found[1]

    return read


ONE_BY_ONE = st.lists(
    st.tuples(
        st.sampled_from([b",", b",\n", b" ,", b""]),
        st.sampled_from([b'{"a": 1}', b'{"a": 2}', b'{"b": 1}', b"7", b'{"a": ', b"3}"]),
        st.sampled_from([b"", b"\n", b",", b"\n,\n", b"]", b"x"]),
    ).map(b"".join),
    max_size=9,
)


@given(ONE_BY_ONE, st.sampled_from([b'[{"a": 1}', b'[{"a": 1},']), st.integers(8, 30))
def test_what_reads_an_element_like_the_last_one_leaves_the_parser_as_the_plain_way_does(
    chunks: list[bytes], first: bytes, bound: int
) -> None:
    limits = Limits(line=bound)
    fast, plain = JSONArrayParser(limits=limits), JSONArrayParser(limits=limits)
    read: Callable[[bytes], bytes | None] | None = None
    for chunk in [first, *chunks]:
        element = None if read is None else read(chunk)
        elements = fast.frames(chunk) if element is None else [element]
        if element is None:
            read = fast.shortcut(digits_between)

        assert plain.feed(chunk) == elements
        assert state(plain) == state(fast)


def test_only_a_chunk_with_one_element_tells_what_the_next_one_looks_like() -> None:
    """Nothing is read so at the start, within an element, after several, or after the end."""
    parser = JSONArrayParser()
    told: list[bool] = []
    for chunk in (b'[{"a": 1}', b',{"a": 2}', b',{"a"', b": 3}", b',{"a": 4},{"a": 5}', b',{"a": 6}', b"]"):
        parser.frames(chunk)
        told.append(parser.shortcut(digits_between) is not None)

    assert [False, True, False, False, False, True, False] == told
    assert JSONArrayParser().shortcut(digits_between) is None
    assert parser.shortcut(lambda most, before, after: None) is None  # noqa: ARG005 - as it is called


def test_reset_begins_a_new_connection() -> None:
    parser = JSONArrayParser()
    parser.feed(b'\xef\xbb\xbf[1, {"a": "\\')
    parser.end()
    parser.reset()

    assert [b"3"] == parser.frames(b"\xef\xbb\xbf[3]")

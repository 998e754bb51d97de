"""JSON bodies: one document, one a line, or an array of them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenstream.errors import LimitExceeded, ProtocolError
from tokenstream.framing._body import JSONBody
from tokenstream.limits import Limits

DOCUMENT = {"id": "x", "choices": [{"text": "a\nb"}], "n": {"m": [1, 2]}}


def read(body: bytes, cuts: list[int], limits: Limits | None = None) -> tuple[list[bytes], bytes | None, Any]:
    parser = JSONBody(limits=limits)
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    documents: list[bytes] = []
    for start, end in pairwise(places):
        documents += parser.feed(body[start:end])
    documents += parser.end()
    return documents, parser.unfinished, parser.error


CUTS = st.lists(st.integers(0, 400), max_size=8)


@given(cuts=CUTS, indent=st.sampled_from([None, 2]), mark=st.booleans(), newline=st.booleans())
def test_a_single_document_is_offered_whole_at_the_end(
    cuts: list[int], indent: int | None, mark: bool, newline: bool
) -> None:
    text = json.dumps(DOCUMENT, indent=indent).encode() + b"\n" * newline
    documents, unfinished, error = read(b"\xef\xbb\xbf" * mark + text, cuts)
    found = [*documents, *([unfinished] if unfinished else [])]

    assert error is None
    assert [json.loads(item) for item in found] == [DOCUMENT]


@pytest.mark.parametrize(
    "text",
    [
        b'{"error": {"message": "a}"}\n}\n',
        b'{"detail": [{"loc": ["\\"{"]}]\n, "n": 1}',
        b'{"a": {"b": [1]\r\n}, "c": 2\r\n}\r\n',
    ],
)
@given(cuts=CUTS)
def test_a_document_whose_first_line_ends_with_a_bracket_is_offered_whole(
    text: bytes, cuts: list[int]
) -> None:
    """Only a line that closes all its brackets is a document by itself."""
    assert ([], text, None) == read(text, cuts)


@given(cuts=CUTS)
def test_lines_of_documents_are_given_one_by_one(cuts: list[int]) -> None:
    """NDJSON: each as soon as its line is whole; the last may lack its newline."""
    line = json.dumps(DOCUMENT).encode()
    documents, unfinished, _ = read(b"\n".join([line, line, line]), cuts)

    assert documents == [line, line]
    assert unfinished == line


def test_a_document_is_bounded() -> None:
    for size in (1, 7, 1000):
        parser = JSONBody(limits=Limits(event=100, line=100, tail=10))
        body = b"{\n" + b'"a": 1,\n' * 40
        for start in range(0, len(body), size):
            parser.feed(body[start : start + size])

        assert isinstance(parser.error, LimitExceeded)
        assert len(parser.tail) <= 10
        with pytest.raises(LimitExceeded):
            parser.check()
        assert parser.feed(b"}") == []


def test_an_empty_body_offers_nothing() -> None:
    """White space is no document."""
    assert read(b" \n ", []) == ([], None, None)
    JSONBody().check()


@given(cuts=CUTS, indent=st.sampled_from([None, 2]), start=st.sampled_from([b"", b"\xef\xbb\xbf", b" \r\n"]))
def test_the_elements_of_an_array_are_given_one_by_one(
    cuts: list[int], indent: int | None, start: bytes
) -> None:
    """A body that begins with a bracket: each element as soon as it is whole."""
    body = start + json.dumps([DOCUMENT, 1, DOCUMENT], indent=indent).encode() + b"\n"
    documents, unfinished, error = read(body, cuts)

    assert [json.loads(item) for item in documents] == [DOCUMENT, 1, DOCUMENT]
    assert (unfinished, error) == (None, None)


def test_an_array_that_was_cut_offers_what_it_had() -> None:
    """The unfinished element is in `unfinished` and, bounded, in `tail`."""
    parser = JSONBody(limits=Limits(tail=4))

    assert parser.feed(b'[{"a": 1},\n{"b": ') == [b'{"a": 1}']
    assert (parser.end(), parser.unfinished, parser.tail) == ([], b'{"b": ', b'{"b"')


def test_what_is_no_array_after_its_bracket_is_an_error() -> None:
    parser = JSONBody()

    assert parser.feed(b"[1}") == [b"1"]
    with pytest.raises(ProtocolError, match="at byte 2 of the body"):
        parser.check()


def test_the_bound_of_the_first_line_does_not_depend_on_the_chunking() -> None:
    """A first line that is too large for one document ends there, with its line end or without."""
    body = b'{"a": "' + b"x" * 90 + b'"}\n{}\n'
    for size in (1, 50, 1000):
        parser = JSONBody(limits=Limits(event=80, line=200))
        for start in range(0, len(body), size):
            assert parser.feed(body[start : start + size]) == []

        assert isinstance(parser.error, LimitExceeded)
        assert parser.error.limit == "event"


def test_lines_may_be_more_in_one_chunk_than_one_of_them_may_be() -> None:
    """The bound is for each document."""
    assert JSONBody(limits=Limits(event=5)).feed(b'{"a"}\n' * 9) == [b'{"a"}'] * 9

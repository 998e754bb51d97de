"""Lines are given with their ends, and only LF, CR LF and CR end one."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tests.support.text_stages import cut
from tests.support.texts import fragmentations, run
from tokenstream.stages import Lines


def test_each_kind_of_end_ends_a_line() -> None:
    for pieces in fragmentations("one\ntwo\r\nthree\r\n\nfour\r\rfive"):
        assert ["one\n", "two\r\n", "three\r\n", "\n", "four\r", "\r", "five"] == run(Lines(), pieces)


def test_nothing_else_ends_a_line() -> None:
    text = "a\x0bb\x0cc\x1cd\x1ee\x85f\u2028g\u2029h"

    assert [text] == run(Lines(), list(text))


def test_a_line_is_returned_with_its_ending() -> None:
    lines = Lines()

    assert [["one\n"], [], ["two\r\n"], [], ["three\r"], []] == [
        lines.feed(piece) for piece in ("one\n", "two\r", "\n", "three\r", "four", "")
    ]
    assert (["four"], []) == (lines.end(), lines.end())


@given(cut())
def test_every_fragmentation_gives_the_same_lines_and_they_are_the_text(drawn: tuple[str, list[str]]) -> None:
    text, pieces = drawn

    assert re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", text) == run(Lines(), pieces)


@given(st.integers(1, 6), cut())
def test_no_line_is_longer_than_its_bound(longest: int, drawn: tuple[str, list[str]]) -> None:
    text, pieces = drawn
    given_ = run(Lines(longest=longest), pieces)

    assert run(Lines(longest=longest), [text]) == given_
    assert (text, True) == ("".join(given_), all(len(line.rstrip("\r\n")) <= longest for line in given_))

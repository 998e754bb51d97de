"""Texts up to a marker, cut into pieces in any way."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cut_texts import any_pieces
from tests.support.texts import run
from tokenstream.errors import MisuseError
from tokenstream.stages import Chain, Redact, Until

_ALPHABET = "ab\n "
_PATTERNS = [
    "ab",
    "a+b",
    r"\bab\b",
    "ab$",
    "(?m)^b",
    "a(?!b)",
    "a(?=bb)",
    "(?<=a)b",
    "ab(?:ba)?",
    "a|ab",
    r"\n\n+",
    "(?i)AB",
    r"ab\Z",
    "(?:..)?+b",
    "(?>a|ab)\n",
    r".(?<=\b)a",
    r"a\n?b",
]


@given(marker=st.text(_ALPHABET, min_size=1, max_size=4), include=st.booleans(), pieces=any_pieces(_ALPHABET))
def test_a_text_ends_at_its_marker(marker: str, include: bool, pieces: list[str]) -> None:
    before, found, _ = "".join(pieces).partition(marker)
    stage = Until(marker, include=include)

    assert (before + found if include else before) == "".join(run(stage, pieces))
    assert ("until" if found else None) == stage.stop


@pytest.mark.few_rows(4)
@pytest.mark.parametrize("pattern", _PATTERNS)
@given(include=st.booleans(), pieces=any_pieces(_ALPHABET))
def test_a_text_ends_where_a_pattern_first_matches(pattern: str, include: bool, pieces: list[str]) -> None:
    text = "".join(pieces)
    found = re.search(pattern, text)
    stage = Until(re.compile(pattern), include=include, max_length=1000)
    expected = text if found is None else text[: found.end() if include else found.start()]

    assert expected == "".join(run(stage, pieces))
    assert (None if found is None else "until") == stage.stop


@given(
    limit=st.integers(1, 8),
    pattern=st.sampled_from(_PATTERNS),
    include=st.booleans(),
    pieces=any_pieces(_ALPHABET, max_size=60),
)
def test_the_hold_back_is_never_above_its_bound(
    limit: int, pattern: str, include: bool, pieces: list[str]
) -> None:
    stage = Until(re.compile(pattern), include=include, max_length=limit)
    taken = given = 0
    for piece in pieces:
        taken += len(piece)
        given += sum(map(len, stage.feed(piece)))

        assert stage.stop == "until" or taken - given <= limit


@pytest.mark.parametrize(
    ("marker", "options", "pieces", "given"),
    [
        ("END", {}, ["a E", "N", "D b", "c"], ["a ", "", "", ""]),
        ("END", {}, ["a E", "N", "O b"], ["a ", "", "ENO b"]),
        ("END", {"include": True}, ["a E", "ND b"], ["a ", "END"]),
        ("aab", {}, ["aaa", "ab"], ["a", "a"]),
        (re.compile(r"\n{2,9}"), {}, ["a\n", "\n"], ["a", ""]),
        (re.compile(r"\n{2,9}"), {"include": True}, ["a\n", "\n", "\n", "b"], ["a", "", "", "\n\n\n"]),
    ],
)
def test_text_is_returned_as_soon_as_it_cannot_become_the_marker(
    marker: Any, options: dict[str, Any], pieces: list[str], given: list[str]
) -> None:
    stage = Until(marker, **options)

    assert given == ["".join(stage.feed(piece)) for piece in pieces]


def test_it_stops_with_the_last_character_of_the_marker() -> None:
    """A marker that may go on counts as soon as it is one, where it is not given itself."""
    stage = Until(re.compile(r"\n\n+"), max_length=100)
    seen = [(stage.feed(piece), stage.stop) for piece in ["a\n", "\n", "b"]]

    assert [(["a"], None), ([], "until"), ([], "until")] == seen
    assert [] == stage.end()


def test_a_marker_longer_than_the_bound_ends_a_text_only_if_its_start_does() -> None:
    for pieces in (["a <xxxxxxxx> b"], [*"a <xxxxxxxx> b"]):
        assert "a <xxxxxxxx> b" == "".join(run(Until(re.compile("<x*>"), max_length=4), pieces))
        assert "a " == "".join(run(Until(re.compile("<x*>?"), max_length=4), pieces))


def test_a_chain_tells_that_no_more_is_needed() -> None:
    chain = Chain(Redact("secret"), Until("END"))

    assert ["a [redacted] "] == chain.feed("a secret END b")
    assert chain.stop == "until"


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("", "has text"),
        (re.compile(""), "the empty text"),
        (re.compile("a+"), "needs max_length="),
        (str.isspace, "not a function"),
        (b"END", "not bytes"),
    ],
)
def test_a_marker_that_cannot_be_found_is_refused(marker: Any, said: str) -> None:
    with pytest.raises(MisuseError, match=said):
        Until(marker)

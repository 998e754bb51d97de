"""Texts without what a model has thought, cut into pieces in any way."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cut_texts import any_pieces
from tests.support.tables import in_one_test
from tests.support.texts import fragmentations
from tokenstream.stages._text.scanning import Passage
from tokenstream.stages._text.tags import TagScanner

_WORDS = ["<think>", "</think>", "<THINK>", "`", "``", "```", "~~~", "\n", " ", "a", "<", "<thi", "nk>", "</"]


def split(scanner: TagScanner, pieces: Iterable[str]) -> tuple[str, str]:
    found = [*[each for piece in pieces for each in scanner.feed(piece)], *scanner.end()]
    outside, inside = (
        "".join([each.text for each in found if isinstance(each, Passage) and each.inside is which])
        for which in (False, True)
    )
    return outside, inside


@in_one_test(
    ("text", "outside", "inside"),
    [
        ("<think>a</think>b", "b", "a"),
        ("<think>\na\n</think>\n\nb", "b", "a\n"),
        ("\n\n<think>a</think>b", "b", "a"),
        ("\n\nb", "\n\nb", ""),
        ("  \n", "  \n", ""),
        ("Hi <think>a</think> b", "Hi b", "a"),
        ("Hi\n<Think>a</tHINK>b", "Hi\nb", "a"),
        ("<think>\n\n</think>\n\nb", "b", ""),
        ("<think>a</think><think>b</think>c", "c", "ab"),
        ("<think>a<think>b</think>c", "c", "a<think>b"),
        ("<think>a", "", "a"),
        ("<think>a</thi", "", "a</thi"),
        ("<think>use `</think>` b", "` b", "use `"),
        ("<thi", "<thi", ""),
        ("a <thi", "a <thi", ""),
        ("a<think>b</think>", "a<think>b</think>", ""),
        ("a</think>b", "a</think>b", ""),
        ("<thinking>a</thinking>", "<thinking>a</thinking>", ""),
        ("<think >a", "<think >a", ""),
        ("1 < 2 <b> <think>a</think>", "1 < 2 <b> ", "a"),
        ("Say `<think>` or ` <think>`.", "Say `<think>` or ` <think>`.", ""),
        ("`` ` <think> ``", "`` ` <think> ``", ""),
        ("a ` stray\n\n<think>b</think>c", "a ` stray\n\nc", "b"),
        ("```\n <think>\n```\n<think>a</think>b", "```\n <think>\n```\nb", "a"),
        ("```\n```  \n <think>a", "```\n```  \n ", "a"),
        ("```\n``` <think>", "```\n``` <think>", ""),
        ("```py\n``` x\n <think>", "```py\n``` x\n <think>", ""),
        ("````\n```\n\n <think>\n````\n<think>a", "````\n```\n\n <think>\n````\n", "a"),
        ("~~~\n```\n<think>\n~~~\n<think>a", "~~~\n```\n<think>\n~~~\n", "a"),
        ("a ~~~ <think>b</think>c", "a ~~~ c", "b"),
        ("```one``` <think>a</think>b", "```one``` b", "a"),
        ("<think>a</think>\n```\n <think>", "```\n <think>", "a"),
    ],
)
def test_text_between_tags_is_left_out(text: str, outside: str, inside: str) -> None:
    """A tag counts at the start or behind white space, in any case, and not in code, at every cut."""
    for pieces in fragmentations(text):
        assert (outside, inside) == split(TagScanner(("think",)), pieces)


@given(
    pieces=any_pieces(st.sampled_from(_WORDS)),
    names=st.sampled_from([("think",), ("think", "thi"), ("a", "harmony")]),
    is_first=st.booleans(),
)
def test_where_a_text_is_cut_makes_no_difference(
    pieces: list[str], names: tuple[str, ...], is_first: bool
) -> None:
    one, other = (TagScanner(names, is_first=is_first) for _ in range(2))
    outside, inside = split(one, pieces)

    assert (outside, inside) == split(other, ["".join(pieces)])
    assert len(outside) + len(inside) <= sum(map(len, pieces))


@pytest.mark.parametrize(
    ("pieces", "given"),
    [
        (["a <b", "> c"], ["a <b", "> c"]),
        (["a <t", "h", "e"], ["a ", "", "<the"]),
        (["a<t"], ["a<t"]),
        (["\n", "a"], ["", "\na"]),
        (["<think>a", "</th", "e", "</think>", "\n", "b"], ["a", "", "</the", "", "", "b"]),
        (["`", " <think>"], ["`", " <think>"]),
    ],
)
def test_only_text_that_may_become_a_tag_is_held_back(pieces: list[str], given: list[str]) -> None:
    """White space is held at the start alone, where a tag may follow it."""
    scanner = TagScanner(("think",))

    assert given == ["".join([each[-1] for each in scanner.feed(piece)]) for piece in pieces]


def test_several_names_end_with_their_own_tags() -> None:
    scanner = TagScanner(("think", "reasoning"))

    assert ("b", "a</think>") == split(scanner, ["<reasoning>a</think></REASONING>b"])


def test_white_space_without_end_is_not_held_for_ever() -> None:
    text = " " * 200 + "<think>a</think>b"
    for pieces in ([text], text):
        assert (" " * 200 + "b", "a") == split(TagScanner(("think",)), pieces)


@pytest.mark.few_rows(3)
@pytest.mark.parametrize("word", ["<", " <", "`", "` ", "<think>", "<think></think>", "~", "\n", " </"])
def test_hostile_texts_are_passed_on(word: str) -> None:
    scanner = TagScanner(("think",), is_first=True)
    given = sum(len(each[-1]) for _ in range(20_000) for each in scanner.feed(word))

    assert given + 100 >= (0 if "think" in word else 20_000 * len(word))

"""Markdown is cut into blocks while it comes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.support.markdown import closed, fragmentations, run
from tests.support.tables import in_one_test
from tokenstream.errors import MisuseError
from tokenstream.stages import MarkdownBlock, MarkdownBlocks

CUTS = {
    "paragraphs": ("a\nb\n\nc", ["paragraph a\nb\n", "paragraph c"]),
    "a heading and its text": ("# a\nb", ["heading # a\n", "paragraph b"]),
    "a line below makes a heading": ("a\n===\nb", ["heading a\n===\n", "paragraph b"]),
    "a rule": ("a\n\n---\n***\n", ["paragraph a\n", "rule ---\n", "rule ***\n"]),
    "a list with blank lines": ("- a\n\n- b\n\n\n- c\n\nd", ["list - a\n\n- b\n\n\n- c\n", "paragraph d"]),
    "another marker begins another list": (
        "- a\n* b\n1. c\n2) d",
        ["list - a\n", "list * b\n", "list 1. c\n", "list 2) d"],
    ),
    "two quotes": ("> a\nb\n\n> c", ["quote > a\nb\n", "quote > c"]),
    "a fence keeps its blank lines": ("```py\na\n\nb\n```\nc", ["fence ```py\na\n\nb\n```\n", "paragraph c"]),
    "a fence that never closes": ("~~~\n\n", ["fence ~~~\n\n"]),
    "indented code without the blank lines behind it": (
        "    a\n\n    b\n\n\nc",
        ["code     a\n\n    b\n", "paragraph c"],
    ),
    "a comment over blank lines": ("<!-- a\n\nb --> c\nd", ["html <!-- a\n\nb --> c\n", "paragraph d"]),
    "html up to a blank line": ("<div>\na\n\nb", ["html <div>\na\n", "paragraph b"]),
    "a table": ("|a|\n|-|\n|b|\n\nc", ["table |a|\n|-|\n|b|\n", "paragraph c"]),
    "a table takes its first row from a paragraph": (
        "a\n|b|c|\n|-|-|\n|d|e|\n",
        ["paragraph a\n", "table |b|c|\n|-|-|\n|d|e|\n"],
    ),
    "definitions": ("[a]: /u\n[b]: /v 't'\n\nc", ["definitions [a]: /u\n[b]: /v 't'\n", "paragraph c"]),
    "an item that holds nothing ends, its list does not": ("-\n\n- a\n\n  b", ["list -\n\n- a\n\n  b"]),
    "a number cannot interrupt a paragraph, but a lazy one": (
        "a\n2. b\n\n- a\n2. b",
        ["paragraph a\n2. b\n", "list - a\n", "list 2. b"],
    ),
    "line endings of three kinds": ("a\r\rb\r\n\r\nc", ["paragraph a\r", "paragraph b\r\n", "paragraph c"]),
    "no line endings": ("a\x0cb\u2028\x85c\n\xa0\nd", ["paragraph a\x0cb\u2028\x85c\n\xa0\nd"]),
}


@in_one_test("text, expected", CUTS.values(), ids=CUTS)
def test_a_text_is_cut_into_its_blocks(text: str, expected: list[str]) -> None:
    cuts = [
        [f"{block.kind} {block.source}" for block in closed(run(pieces))] for pieces in fragmentations(text)
    ]

    assert [expected] * 5 == cuts


def test_a_block_is_returned_again_when_it_has_changed() -> None:
    blocks = MarkdownBlocks()
    given = [
        [(block.id, block.closed, block.source) for block in blocks.feed(piece)]
        for piece in ["One", " two", "\n\nThree", "\n\nfour\n\nfive"]
    ]

    assert [
        [(0, False, "One")],
        [(0, False, "One two")],
        [(0, True, "One two\n"), (1, False, "Three")],
        [(1, True, "Three\n"), (2, True, "four\n"), (3, False, "five")],
    ] == given


def test_a_snapshot_never_changes() -> None:
    blocks = MarkdownBlocks()
    (first,) = blocks.feed("- a *b\n- c")
    (second,) = blocks.feed(" d\n  e")
    blocks.feed("\n\nf\n")

    assert ("- a *b\n- c", "- a *b\n- c d\n  e") == (first.source, second.source)
    assert ("- a *b\n- c", "- a *b\n- c d\n  e") == (first.text, second.text)


def test_a_snapshot_can_be_pickled() -> None:
    blocks = MarkdownBlocks()
    blocks.feed("[a]: /u\n\nA ")
    (block,) = blocks.feed("**b [a]")
    copy: MarkdownBlock = pickle.loads(pickle.dumps(block))

    assert block == copy
    assert (block.stable, block.settled, block.definitions) == (copy.stable, copy.settled, copy.definitions)
    assert repr(copy) == "MarkdownBlock(1, 'paragraph', open, text='A **b**')"


def test_a_fence_has_its_language() -> None:
    (block,) = MarkdownBlocks().feed("```python title=x \nprint()")

    assert ("python title=x", "```python title=x \nprint()\n```") == (block.info, block.text)


def test_the_stage_has_all_members_of_a_stage() -> None:
    blocks = MarkdownBlocks()
    blocks.check()

    assert ([], [], None, None) == (blocks.feed(""), blocks.end(), blocks.error, blocks.stop)


def test_a_kind_of_formulas_that_there_is_not_is_refused() -> None:
    kind: Any = "tex"
    with pytest.raises(MisuseError, match="math= is"):
        MarkdownBlocks(math=kind)


def test_blocks_are_compared_by_their_content() -> None:
    (one,), (other,) = MarkdownBlocks().feed("a *b"), MarkdownBlocks().feed("a *b")

    assert (one, 1) == (other, len({one, other}))
    assert one != "a *b*"

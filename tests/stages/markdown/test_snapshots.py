"""A block says what of it is new, what stays, and which definitions it needs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.support.markdown import lines_of, pieces_at_random, run
from tests.support.markdown_documents import made_up
from tests.support.tables import in_one_test
from tests.support.texts import pieces_of
from tokenstream.stages import MarkdownBlock, MarkdownBlocks

CODE = "def f(x):\n    return x + 1\n\n"

ANSWER = (
    "# Title\n\nSee [docs] and *this*:\n\n- one\n- two `x`\n\n```py\nx = 1\n\ny = 2\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n> a\n> b\n\n[docs]: /u\n\n<div>\nx\n</div>\n\n    code\n\n    b\n\nx"
)


def _given(text: str) -> list[MarkdownBlock]:
    return run(pieces_of(text, 3))


def _hold(given: list[MarkdownBlock]) -> list[str]:
    wrong: list[str] = []
    before: dict[int, MarkdownBlock] = {}
    for block in given:
        last = before.get(block.id)
        text = block.text
        if last is None and block.stable:
            wrong.append(f"{block!r} is given first, and {block.stable} characters are as before")
        if last is not None:
            same = len(last.text) if text.startswith(last.text) else block.stable
            if text[:same] != last.text[:same] or block.stable != same:
                wrong.append(f"{block!r} has {block.stable} characters that stay")
            if last.closed or last.id != block.id:
                wrong.append(f"{block!r} is given again")
            if text[: last.settled] != last.text[: last.settled] or block.settled < last.settled:
                wrong.append(f"{block!r} is not settled as {last!r} was")
        if last is None and not block.closed and not text:
            wrong.append(f"{block!r} is given, and shows nothing")
        before[block.id] = block
    return wrong


def test_what_a_block_says_of_itself_holds() -> None:
    """`stable` compares with the snapshot before; `settled` characters never change and only grow."""
    assert [] == _hold(_given(ANSWER))


@pytest.mark.slow
def test_what_made_up_blocks_say_of_themselves_holds() -> None:
    chance = random.Random(11)
    documents = [made_up(chance) for _ in range(300)]

    assert [] == [wrong for text in documents for wrong in _hold(run(pieces_at_random(text, text)))]


def test_a_snapshot_read_late_says_the_same() -> None:
    late = _given(ANSWER)
    early = []
    blocks = MarkdownBlocks()
    for piece in pieces_of(ANSWER, 3):
        early += [_read(block) for block in blocks.feed(piece)]
    early += [_read(block) for block in blocks.end()]

    assert early == [_read(block) for block in late]


def _read(block: MarkdownBlock) -> tuple[object, ...]:
    return (
        block.stable,
        block.text,
        block.source,
        block.settled,
        block.definitions,
        block.unresolved,
        block.closed,
    )


def test_a_highlighter_sees_each_line_of_code_once() -> None:
    """Lines are highlighted when they are settled, the rest when it is closed: at most twice in all."""
    text = f"```py\n{CODE * 400}```\n\nend"
    highlighted = lines = 0
    for block in run(pieces_of(text, 4)):
        if block.kind == "fence":
            end = len(block.text) if block.closed else block.settled
            highlighted += len(block.text[lines:end])
            lines = end

    assert len(CODE * 400) >= 11_000
    assert highlighted <= 2 * len(text)


def test_a_page_appends_to_code() -> None:
    """Of a long code block, only the last line and the closing fence change."""
    text = f"```py\n{CODE * 400}```\n"
    changed = sum(len(block.text) - block.stable for block in run(pieces_of(text, 4)))

    assert changed < 10 * len(text)


def test_a_block_carries_the_definitions_that_it_uses() -> None:
    text = "[a]: /first\n[b]: /b\n\n[a]: /second\n\n[A] and [c]\n\nnone"
    found = {block.id: block for block in run([text])}

    assert ["", "", "[a]: /first", ""] == [found[place].definitions for place in range(4)]
    assert [(), (), ("c",), ()] == [found[place].unresolved for place in range(4)]


def test_all_definitions_can_be_asked_for_at_the_end() -> None:
    blocks = MarkdownBlocks()
    given = run(["Use [late] or `[no]`.\n\n", "> [late]: /u\n> 'title'\n"], blocks)

    assert ("late", "no") == given[0].unresolved
    assert {"late": "[late]: /u\n    'title'"} == blocks.definitions


@in_one_test(
    "text", ["-", "#", "``", "| a | b |\n", "[a]: /u", "[a]: /u\n", "<div cla", "<script src", "**", "- ["]
)
def test_a_block_without_visible_text_is_not_returned(text: str) -> None:
    assert [] == MarkdownBlocks().feed(text)


def test_lines_end_as_in_commonmark() -> None:
    """A carriage return at the end of a piece may be half an ending, so it waits."""
    blocks = MarkdownBlocks()
    given = [block.source for piece in ["a\r", "\nb\r", "\r", "\nc"] for block in blocks.feed(piece)]

    assert ["a", "a\r\nb", "a\r\nb\r", "a\r\nb\r", "c"] == given
    assert ["a\r\n", "b\r", "\r\n", "c"] == lines_of("a\r\nb\r\r\nc")


LONG = {
    "one code block": lambda size: "```\n" + "x = 1\n" * (size // 6),
    "one line": lambda size: "word " * (size // 5),
    "one line at once": lambda size: "x" * size,
    "items": lambda size: "- an item\n\n" * (size // 11),
    "rows": lambda size: "|a|b|\n|-|-|\n" + "|c|d|\n" * (size // 6),
    "a first row of many columns": lambda size: "|a" * (size // 4) + "\n" + "|-" * (size // 4) + "\n",
    "a paragraph": lambda size: "some words\n" * (size // 11),
    "quotes in quotes, lazy lines": lambda size: "> " * (size // 8) + "a\n" + "b\n" * (size // 8),
    "items in items, blank lines": lambda size: "- " * (size // 4) + "a\n" + "\n" * (size // 4),
    "items in items, lazy lines": lambda size: "- " * (size // 8) + "a\n" + "b\n" * (size // 8),
    "a line of dashes": lambda size: "- " * (size // 2),
    "definitions": lambda size: "".join(f"[a{number}]: /u\n" for number in range(size // 10)),
    "a label that never ends": lambda size: "[a\n" + "b\n" * (size // 2),
    "a title that never ends": lambda size: "[a]: /u\n'\n" + "b\n" * (size // 2),
    "a target that never ends": lambda size: "[a]: " + "x" * size,
    "an image that never ends": lambda size: "![" + "x" * size,
    "a tag that never ends": lambda size: "<a " + "x=1 " * (size // 4),
    "a comment that never ends": lambda size: "<!-- " + "x\n" * (size // 2),
    "blank lines": lambda size: "- a\n" + "\n" * size,
    "blanks": lambda size: "- a\n" + " " * size,
    "blocks that use a definition": lambda size: "[a]: /u\n\n" + "[a] b\n\n" * (size // 7),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", LONG.values(), ids=LONG)
@pytest.mark.parametrize("size", [4, 0], ids=["pieces", "whole"])
def test_the_cost_is_linear(make: Callable[[int], str], size: int) -> None:
    """Ten times the text takes less than thirty times the time, and the square of it a hundred times."""
    short, long = (pieces_of(make(length), size) for length in (10_000, 100_000))
    most = max(30 * min(_seconds(short) for _ in range(3)), 0.05)

    # A busy machine may be slow once.
    assert any(_seconds(long) < most for _ in range(3))


@pytest.mark.slow
def test_formulas_that_never_end_cost_no_square() -> None:
    """The lines before the last formula that was opened are joined once, and not for each snapshot."""

    def measure(length: int) -> float:
        begun = time.process_time()
        blocks = run(pieces_of("\\[\n" * length, 4), MarkdownBlocks(math="brackets"))
        assert all(block.text is not None for block in blocks)
        return time.process_time() - begun

    most = max(30 * min(measure(3_000) for _ in range(3)), 0.05)

    # A busy machine may be slow once.
    assert any(measure(30_000) < most for _ in range(3))


@pytest.mark.slow
def test_what_is_settled_of_a_long_block_costs_no_text() -> None:
    """A highlighter that asks each snapshot of 100,000 lines how much is new pays for no square."""
    pieces = pieces_of("```py\n" + "x = 1 + 2\n" * 100_000, 64)
    blocks = MarkdownBlocks()
    begun = time.process_time()
    settled = [block.settled for piece in pieces for block in blocks.feed(piece)]

    assert len(pieces) - 1 <= len(settled)
    assert sorted(settled) == settled
    assert time.process_time() - begun < 3


def _seconds(pieces: list[str]) -> float:
    begun = time.process_time()
    run(pieces)
    return time.process_time() - begun

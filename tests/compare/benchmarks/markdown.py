"""Markdown blocks beside one parse of the finished text: what cutting costs, with previews and without."""

from __future__ import annotations

import gc
from time import process_time
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from tests.compare.benchmarks.tables import Table
from tests.support.previews import recorded_answers
from tests.support.texts import pieces_of
from tokenstream.stages import MarkdownBlocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.compare.benchmarks.timing import Plan

_PIECE = 4
_MEGABYTE = 1_000_000
_BY_HAND = (
    "## A heading\n\nSome text with **marks**, `code` and [a link](https://example.com), that goes on.\n\n"
    "- one item\n- another **item**\n  that goes on\n\n```py\ndef f(x):\n    return x + 1\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n1. first\n2. second\n\n> quoted\n\n"
) * 40
_HARD: dict[str, Callable[[int], str]] = {
    "one code block": lambda size: "```\n" + "x = f(y) + 1\n" * (size // 13),
    "one line": lambda size: "word " * (size // 5),
    "items": lambda size: "- an item\n" * (size // 10),
    "rows": lambda size: "| a | b |\n|---|---|\n" + "| c | d |\n" * (size // 10),
    "one paragraph": lambda size: "some more words\n" * (size // 16),
    "quotes in quotes": lambda size: "> " * (size // 50) + "a\n" + "lazy\n" * (size // 50),
    "items in items": lambda size: "- " * (size // 50) + "a\n" + "\n" * (size // 50),
}


def _feed(texts: list[list[str]]) -> None:
    for pieces in texts:
        feed = MarkdownBlocks().feed
        for piece in pieces:
            feed(piece)


def _preview(texts: list[list[str]]) -> None:
    for pieces in texts:
        feed = MarkdownBlocks().feed
        for piece in pieces:
            for block in feed(piece):
                _ = block.text


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    begun = process_time()
    work()
    return process_time() - begun


def markdown(plan: Plan) -> list[Table]:
    """Compare, on the texts of recorded answers, or on one by hand where there are none."""
    texts = recorded_answers() or [_BY_HAND]
    size = sum(map(len, texts))
    pieces = [pieces_of(text, _PIECE) for text in texts]
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    works: dict[str, Callable[[], object]] = {
        "markdown-it-py, one parse": lambda: [parser.parse(text) for text in texts],
        "MarkdownBlocks, fed": lambda: _feed(pieces),
        "MarkdownBlocks, every preview read": lambda: _preview(pieces),
    }
    # They take turns, so that what else the machine does costs all of them.
    rounds = [{name: _seconds(work) for name, work in works.items()} for _ in range(plan.rounds)]
    best = {name: min(each[name] for each in rounds) for name in works}
    parse = best["markdown-it-py, one parse"]
    rows = [
        [name, f"{seconds * 1e3:.0f}", f"{seconds / size * _MEGABYTE:.2f}", f"{seconds / parse:.2f}"]
        for name, seconds in best.items()
    ]
    title = f"Markdown: {len(texts)} texts, {size:,} characters in pieces of {_PIECE}"
    return [Table(title, ["", "ms", "s/MB", "parses"], rows), _growth(plan)]


def _growth(plan: Plan) -> Table:
    """Return what a character costs in a text, and in one that is eight times as long."""
    long = min(plan.documents[-1], _MEGABYTE)
    rows: list[list[str]] = []
    for name, make in _HARD.items():
        costs: list[float] = []
        for size in (long // 8, long):
            pieces = [pieces_of(make(size), _PIECE)]
            costs.append(min(_seconds(lambda: _feed(pieces)) for _ in range(2)) / size * _MEGABYTE)  # noqa: B023
        short, full = costs
        rows.append([name, f"{short:.2f}", f"{full:.2f}"])
    return Table(
        f"Markdown: s/MB by the length of the text, {long:,} characters and an eighth",
        ["", "1/8", "whole"],
        rows,
    )

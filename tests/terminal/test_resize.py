"""A terminal that is resized while an answer is being written."""

from __future__ import annotations

import random

import pytest

from tests.support.sampling import sampled
from tests.support.terminals import Terminal, TerminalConsole, by_wcwidth, narrow_emoji, wide_symbols
from tests.terminal.blocks import ANSWER, Written, blocks_of
from tokenstream.terminal import MarkdownPrinter

pytestmark = pytest.mark.not_quick


@pytest.mark.slow
@pytest.mark.parametrize("reflows", [True, False], ids=["reflows", "does not reflow"])
@pytest.mark.parametrize("seed", sampled(range(8), one_in=8, slow_one_in=2))
def test_a_resize_loses_nothing_and_doubles_nothing(seed: int, *, reflows: bool) -> None:
    """The rows are those that finished blocks alone leave on a terminal that is resized as often."""
    made_up = random.Random(seed)
    widths = made_up.choice([by_wcwidth, narrow_emoji, wide_symbols])
    live, finished = (Terminal(40, 10, reflows=reflows, widths=widths) for _ in range(2))
    for terminal in (live, finished):
        terminal.feed("$ ask\n" * 3)

    assert _show_and_resize(live, finished, made_up, [3, 5, 10, 24], [15, 20, 40, 80]) > 3
    assert finished.texts == live.texts


def _show_and_resize(
    live: Terminal, finished: Terminal, made_up: random.Random, lines: list[int], columns: list[int]
) -> int:
    """Show an answer on one terminal, and its finished blocks alone on the other; count the resizes."""
    resizes = 0
    with (
        MarkdownPrinter(TerminalConsole(live)) as printer,
        MarkdownPrinter(TerminalConsole(finished)) as plain,
    ):
        for block in blocks_of(ANSWER, 9):
            printer.show(block)
            if block.closed:
                plain.show(block)
            if made_up.random() < 0.06:
                size = made_up.choice(lines), made_up.choice(columns)
                live.resize(*size)
                finished.resize(*size)
                resizes += 1
    return resizes


@pytest.mark.slow
@pytest.mark.parametrize("seed", sampled(range(4), one_in=4))
def test_half_a_screen_has_room_where_a_terminal_loses_the_cursor(seed: int) -> None:
    live, finished = (Terminal(80, 12, keeps_end=True) for _ in range(2))
    _show_and_resize(live, finished, random.Random(seed), [12], [40, 60, 80])

    assert finished.texts == live.texts


def test_a_preview_that_is_empty_after_a_resize_leaves_nothing_behind() -> None:
    terminal = Terminal(40, 10)
    printer = MarkdownPrinter(TerminalConsole(terminal))
    printer.show(Written(0, "paragraph", "maybe", closed=False))
    terminal.resize(columns=30)
    printer.show(Written(0, "paragraph", "", closed=False))

    assert [] == terminal.texts


@pytest.mark.slow
@pytest.mark.parametrize("seed", sampled(range(4), one_in=4))
def test_a_size_that_is_reported_late_does_no_harm(seed: int) -> None:
    made_up = random.Random(seed)
    live, finished = Terminal(60, 10), Terminal(60, 10)
    told = Terminal(60, 10)
    console = TerminalConsole(told)
    console.file = TerminalConsole(live).file
    with MarkdownPrinter(console) as printer, MarkdownPrinter(TerminalConsole(finished)) as plain:
        for block in blocks_of(ANSWER, 9):
            if not block.closed and made_up.random() < 0.2:
                live.resize(columns=made_up.choice([30, 45, 60, 80]))
            elif live.columns != told.columns and (block.closed or made_up.random() < 0.5):
                told.resize(columns=live.columns)
                finished.resize(columns=live.columns)
            printer.show(block)
            if block.closed:
                plain.show(block)

    assert finished.texts == live.texts

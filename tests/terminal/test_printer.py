"""Markdown printed while it is written, on an emulated terminal with a scrollback."""

from __future__ import annotations

import asyncio
import sys
from io import BytesIO, StringIO, TextIOWrapper
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.support.terminals import Terminal, TerminalConsole, by_wcwidth, narrow_emoji, wide_symbols
from tests.terminal.blocks import ANSWER, WHOLE, Written, blocks_of, rows_at_once, shown_on
from tokenstream import AsyncStream, Stream
from tokenstream.errors import MisuseError
from tokenstream.terminal import MarkdownPrinter

if TYPE_CHECKING:
    from tests.support.terminals import Widths


def _at_once(terminal: Terminal, text: str) -> Terminal:
    for row in rows_at_once(text, TerminalConsole(terminal)):
        terminal.feed(f"{row}\n")
    return terminal


@pytest.mark.slow
@pytest.mark.parametrize("widths", [by_wcwidth, narrow_emoji, wide_symbols])
@pytest.mark.parametrize("columns", [20, 80])
@pytest.mark.parametrize("size", [pytest.param(5, marks=pytest.mark.slow), 40, WHOLE])
def test_in_the_end_all_rows_are_those_of_rendering_at_once(columns: int, size: int, widths: Widths) -> None:
    """Ten lines high, in any pieces, however wide the terminal takes its letters to be."""
    shown = shown_on(Terminal(columns, 10, widths=widths), blocks_of(ANSWER, size))

    assert _at_once(Terminal(columns, 10, widths=widths), ANSWER).rows == shown.rows


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 80])
def test_what_scrolls_away_is_never_of_a_block_that_is_being_written(columns: int) -> None:
    """With rich's own `Live` each frame leaves a copy once an answer is taller than the screen."""
    terminal = Terminal(columns, 10)
    at_once = _at_once(Terminal(columns, 10), ANSWER).texts
    with MarkdownPrinter(TerminalConsole(terminal)) as printer:
        for block in blocks_of(ANSWER, 11):
            printer.show(block)
            scrolled = len(terminal.history.top)

            assert at_once[:scrolled] == terminal.texts[:scrolled]


@pytest.mark.slow
def test_what_is_printed_of_a_finished_block_never_changes() -> None:
    terminal = Terminal(40, 10)
    closed: list[list[object]] = []
    with MarkdownPrinter(TerminalConsole(terminal)) as printer:
        for block in blocks_of(ANSWER, 11):
            printer.show(block)
            if block.closed:
                closed.append([*terminal.rows])

    assert len(closed) > 6
    assert closed == [terminal.rows[: len(rows)] for rows in closed]


def test_a_block_that_is_taller_than_the_screen_shows_its_end() -> None:
    """Half of the screen, so that a smaller one has room for it as well."""
    terminal = Terminal(40, 10)
    printer = MarkdownPrinter(TerminalConsole(terminal))
    for block in [
        Written(0, "paragraph", "Before.", closed=True),
        Written(1, "list", "".join(f"- item {number}\n" for number in range(30)), closed=False),
    ]:
        printer.show(block)

    assert ["Before.", *(f" • item {number}" for number in range(26, 30))] == terminal.texts


class Counted(Terminal):
    """Keeps what is written, and draws nothing."""

    def feed(self, text: str) -> None:
        self.fed.append(text)


@pytest.mark.slow
def test_an_answer_of_many_lines_of_code_costs_a_screen_for_each() -> None:
    """Twice the code costs twice the bytes, and no frame is more than a screen with its colours."""

    def written(lines: int) -> list[str]:
        # Not drawn, which would take long.
        terminal = Counted(80, 10)
        code = "```python\n" + "soup(1)\n" * lines + "```\n"
        return shown_on(terminal, blocks_of(code, 17)).fed

    some, twice = written(120), written(240)

    assert sum(map(len, twice)) < 2.1 * sum(map(len, some))
    assert max(map(len, twice[:-2])) < 6000


def test_only_what_changed_is_written() -> None:
    """Four rows stand and are not written again, the last one grows; where nothing changed, nothing is."""
    terminal = Terminal(40, 10)
    printer = MarkdownPrinter(TerminalConsole(terminal))
    items = "- a row that nobody touches\n" * 3
    for text in [f"{items}- gr", f"{items}- grows", f"{items}- grows", f"{items}- grows on"]:
        printer.show(Written(0, "list", text, closed=False))
    _, first, second = terminal.fed

    assert [0, 0] == [first.count("touches"), second.count("touches")]
    assert [1, 1] == [first.count("grows"), second.count("grows on")]
    assert 4 == len(terminal.texts)


def test_a_preview_may_become_shorter_and_grow_again() -> None:
    """Rows that are no longer there are erased, whatever stays above them."""
    terminal = Terminal(40, 20)
    printer = MarkdownPrinter(TerminalConsole(terminal))
    for text in ["a", "a\n\nb\n\nc", "a\n\nb", "", "a\n\nb", "a\n\nb\n\nc\n\nd"]:
        printer.show(Written(0, "list", text, closed=False))

        assert text.split("\n") == (terminal.texts or [""])
        assert (0, 0) == (terminal.cursor.x, terminal.cursor.y)


@pytest.mark.slow
def test_a_frame_is_one_write_that_terminals_show_at_once() -> None:
    """A frame begins and ends with the marks of a synchronized update; the cursor is hidden meanwhile."""
    terminal = Terminal(40, 10)
    with MarkdownPrinter(TerminalConsole(terminal)) as printer:
        for block in blocks_of(ANSWER, 40):
            before = len(terminal.fed)
            printer.show(block)

            assert len(terminal.fed) <= before + 1
            assert terminal.fed[-1].startswith("\x1b[?2026h")
            assert terminal.fed[-1].endswith("\x1b[?2026l")
            assert terminal.cursor_is_hidden or block.id == 0

    assert not terminal.cursor_is_hidden


def test_ctrl_c_loses_nothing_of_what_came() -> None:
    """The open block stays, as far as it was written, and the cursor is seen again below it."""
    terminal = Terminal(40, 10)
    code = "```\n" + "".join(f"line {number}\n" for number in range(20))
    printer = MarkdownPrinter(TerminalConsole(terminal))
    with pytest.raises(KeyboardInterrupt), printer:
        printer.show(Written(0, "paragraph", "Before.", closed=True))
        printer.show(Written(1, "fence", f"{code}```", closed=False))
        raise KeyboardInterrupt
    printer.close()
    terminal.feed("$ ")

    assert ["Before.", "", "", *(f" line {number}" for number in range(20)), "", "$"] == terminal.texts
    assert not terminal.cursor_is_hidden


def test_an_open_block_that_is_given_up_is_printed_before_the_next() -> None:
    terminal = Terminal(40, 10)
    given = [Written(0, "paragraph", "Half", closed=False), Written(1, "paragraph", "Next", closed=True)]

    assert ["Half", "", "Next"] == shown_on(terminal, given).texts


async def _shown_by(stream: AsyncStream, console: Console) -> None:
    async with stream:
        with MarkdownPrinter(console) as printer:
            async for block in stream.text.markdown_blocks():
                printer.show(block)


def test_either_kind_of_loop_may_show_blocks() -> None:
    """`for` and `async for` print the same; a link leads where an earlier block says."""
    text = "[here]: https://example.org\n\n# Where\n\n- look [here]\n"
    pieces = [text[at : at + 4] for at in range(0, len(text), 4)]
    one, other = Terminal(60, 10), Terminal(60, 10)
    with MarkdownPrinter(TerminalConsole(one)) as printer:
        for block in Stream(pieces, format="pieces").text.markdown_blocks():
            printer.show(block)
    asyncio.run(_shown_by(AsyncStream(pieces, format="pieces"), TerminalConsole(other)))

    assert one.texts == other.texts
    assert " • look here (https://example.org)" == one.texts[-1]


def test_a_printer_serves_one_answer_after_another() -> None:
    terminal = Terminal(40, 10)
    printer = MarkdownPrinter(TerminalConsole(terminal))
    for question in ("one", "two"):
        terminal.feed(f"> {question}\n")
        with printer:
            printer.show(Written(0, "paragraph", question.upper(), closed=True))

    assert ["> one", "ONE", "> two", "TWO"] == terminal.texts


@pytest.mark.slow
def test_a_screen_of_one_line_will_do() -> None:
    """What is being written has at least one row."""
    shown = shown_on(Terminal(20, 1), blocks_of(ANSWER, 40))

    assert _at_once(Terminal(20, 1), ANSWER).rows == shown.rows


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "legacy_windows": True}, {"dumb": True}])
def test_where_nothing_can_be_redrawn_finished_blocks_alone_are_printed(
    options: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    if options.pop("dumb", False):
        monkeypatch.setenv("TERM", "dumb")
        options = {"force_terminal": True}
    console = Console(file=(output := StringIO()), width=30, color_system=None, **options)  # type: ignore[arg-type]
    with MarkdownPrinter(console) as printer:
        for block in blocks_of("Soup\n\n~~~\ncode\n~~~\n\n- an onion\n", 3):
            printer.show(block)

    assert "Soup\n\n\n code\n\n\n • an onion\n" == output.getvalue()


def test_what_a_terminal_would_obey_is_shown() -> None:
    """Raw or as an entity, in prose, code, tables, links and images; joiners are parts of emoji."""
    text = (
        "a\x1b[31m&#x202e;b `c\x1b` [d](/e&#x200f; 'f') ![g\x07](h\u2066)\n\n"
        "~~~\n\x1b]0;title\x07 👩‍👩‍👧\n~~~\n\n| i\x9b |\n|---|\n| &rlm; |\n"
    )
    shown = "\n".join(shown_on(terminal := Terminal(80, 20), blocks_of(text, 4)).texts)

    for escape in (
        "a\\u001b[31m\\u202eb",
        "c\\u001b",
        "g\\u0007",
        "\\u001b]0;title\\u0007",
        "i\\u009b",
        "\\u200f",
    ):
        assert escape in shown
    assert "👩‍👩‍👧" in shown
    assert terminal.title == ""


def test_letters_that_the_output_lacks_are_no_reason_to_break_off() -> None:
    output = TextIOWrapper(raw := BytesIO(), encoding="ascii")
    with MarkdownPrinter(Console(file=output, width=30)) as printer:
        printer.show(Written(0, "paragraph", "naïve", closed=True))

    assert b"na\\xefve\n" == raw.getvalue().replace(b"\r", b"")


def test_a_formula_is_shown_as_it_was_written() -> None:
    formula = "$$\na_1 * b_2\n=\nc_1 * d_2\n$$\n"
    shown = shown_on(Terminal(40, 10), [Written(0, "math", formula, closed=True)])

    assert ["", " $$", " a_1 * b_2", " =", " c_1 * d_2", " $$", ""] == shown.texts


def test_links_may_be_the_terminals_own() -> None:
    terminal = Terminal(40, 10)
    with MarkdownPrinter(TerminalConsole(terminal), hyperlinks=True) as printer:
        printer.show(Written(0, "paragraph", "see [a](/u)", closed=True))

    assert ["see a"] == terminal.texts
    assert ";/u\x1b\\" in "".join(terminal.fed)


def test_without_rich_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)

    with pytest.raises(MisuseError, match=r'pip install "rich>=\d'):
        MarkdownPrinter()

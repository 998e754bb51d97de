"""Screens on which the demo prints: plain text, or a terminal with rich."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

_MAX_WIDTH = 80
"""Largest number of columns to use, since longer lines are hard to read."""
_FREE_COLUMNS = 5
"""Number of columns left free after a word, since the next piece may continue the word."""
_WORD = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")

_STYLES = {"title": "bold cyan", "dim": "dim", "good": "green", "bad": "bold red", "strong": "bold"}


class Screen:
    """A screen for plain text without control sequences, which is flushed after each piece."""

    console: Console | None = None
    """rich's `Console`; None for plain text."""

    def __init__(self) -> None:
        self._width = min(shutil.get_terminal_size((_MAX_WIDTH, 24)).columns, _MAX_WIDTH)
        self._column = 0

    def print_piece(self, text: str, style: str = "") -> None:
        """Print the next piece of a text, and begin a new line before a word that does not fit."""
        self._print(text, style, free_columns=_FREE_COLUMNS)

    def print_line(self, text: str = "", style: str = "") -> None:
        """Print a text on lines of its own, and begin a new line before a word that does not fit."""
        self.end_line()
        self._print(f"{text}\n", style, free_columns=0)

    def end_line(self) -> None:
        """End the current line, unless it is empty."""
        if self._column:
            self._print("\n", "", free_columns=0)

    def print_title(self, text: str) -> None:
        """Print a heading across the screen."""
        self.end_line()
        heading = f"-- {text} ".ljust(self._width, "-")
        self._write(f"\n{heading}\n\n", "title")

    def print_table(self, heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> None:
        """Print a table.

        Args:
            heads: The column heads, each of one or two lines.
            rows: Rows of cells; a cell is a text and its style.
        """
        # Pairs of the upper line of a head, which may be empty, and the lower one.
        head_lines = [head.rpartition("\n")[::2] for head in heads]
        rows_of_text = [[first for first, _ in head_lines], [last for _, last in head_lines]]
        rows_of_text += [[text for text, _ in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*rows_of_text, strict=True)]
        rows_of_text.insert(2, ["-" * width for width in widths])
        self.print_line()
        for cells in rows_of_text:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            self._write("  ".join(padded).rstrip() + "\n", "")

    def _print(self, text: str, style: str, *, free_columns: int) -> None:
        """Print a text, and begin a new line before a word that does not fit.

        Args:
            text: The text.
            style: Name of a style.
            free_columns: Number of columns to leave free after each word.
        """
        wrapped: list[str] = []
        for word in _WORD.findall(text):
            has_space_before = word[0] == " "
            if word == "\n":
                self._column = 0
            elif has_space_before and self._column + len(word) + free_columns > self._width:
                stripped = word.lstrip(" ")
                wrapped.append(f"\n{stripped}")
                self._column = len(stripped)
                continue
            else:
                self._column += len(word)
            wrapped.append(word)
        self._write("".join(wrapped), style)

    def _write(self, text: str, style: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class RichScreen(Screen):
    """A screen on a terminal, which rich draws.

    Args:
        console: rich's `Console`.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = self._console = console

    def print_title(self, text: str) -> None:
        """Print a heading across the screen."""
        from rich.rule import Rule
        from rich.text import Text

        self.print_line()
        style = _STYLES["title"]
        self._console.print(Rule(Text(text, style), align="left", style=style), width=self._width)
        self.print_line()

    def print_table(self, heads: Sequence[str], rows: Sequence[Sequence[tuple[str, str]]]) -> None:
        """Print a table.

        Args:
            heads: The column heads, each of one or two lines.
            rows: Rows of cells; a cell is a text and its style.
        """
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style=_STYLES["strong"]
        )
        for head in heads:
            table.add_column(head, vertical="bottom", overflow="fold")
        for row in rows:
            table.add_row(*(Text(text, _STYLES.get(style, "")) for text, style in row))
        self.print_line()
        self._console.print(table)

    def _write(self, text: str, style: str) -> None:
        self._console.out(text, style=_STYLES.get(style), end="", highlight=False)


def open_screen() -> Screen:
    """Return a screen: with rich on a terminal, if rich is installed; otherwise for plain text."""
    if not sys.stdout.isatty():
        return Screen()
    try:
        from rich.console import Console
    except ImportError:
        screen = Screen()
        screen.print_line("(in colour with rich: pip install 'llm-tokenstream[rich]')")
        return screen
    return RichScreen(Console())

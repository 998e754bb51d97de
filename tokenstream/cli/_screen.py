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
"""Largest number of columns to use unless told otherwise, since longer lines are hard to read."""
_FREE_COLUMNS = 5
"""Number of columns left free after a word of an answer, which the next piece of the answer may continue."""
_WORD = re.compile(r"\n|[^\S\n]*\S+|[^\S\n]+")
_CAPTION = "# "
"""Text before each line of the demo's own remarks, to tell them apart from the output of a model."""
_PROMPT = ">>> "

_STYLES = {
    "title": "bold cyan",
    "code": "bold yellow",
    "dim": "dim",
    "good": "green",
    "bad": "bold red",
    "strong": "bold",
}


class Screen:
    """A screen for plain text without control sequences, which is flushed after each piece."""

    console: Console | None = None
    """rich's `Console`; None for plain text."""
    answer_margin = "| "
    """Margin of each line of an answer, which tells it apart from captions where there are no colours."""

    def __init__(self, max_width: int = _MAX_WIDTH) -> None:
        self.width = min(shutil.get_terminal_size((max_width, 24)).columns, max_width)
        """Number of columns to use."""
        self._column = 0
        """Column at which the next text begins, from 0."""

    def print_answer(self, text: str, style: str = "") -> None:
        """Print the next piece of an answer, and begin a new line before a word that does not fit."""
        self._print(text, style, margin=self.answer_margin, free_columns=_FREE_COLUMNS)

    def print_line(self, text: str = "", style: str = "") -> None:
        """Print a text on lines of its own, and begin a new line before a word that does not fit."""
        self.end_line()
        self._print(f"{text}\n", style)

    def print_caption(self, text: str) -> None:
        """Print a remark of the demo on lines of its own, marked so that it is not taken for an answer."""
        self.end_line()
        self._print(f"{text}\n", "dim", margin=_CAPTION)

    def print_code(self, code: str) -> None:
        """Print a line of code as it is, after a prompt."""
        self.end_line()
        self._write(f"{_PROMPT}{code}\n", "code")

    def end_line(self) -> None:
        """End the current line, unless it is empty."""
        if self._column:
            self._print("\n", style="")

    def print_title(self, text: str) -> None:
        """Print a heading across the screen."""
        self.end_line()
        heading = f"-- {text} ".ljust(self.width, "-")
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
            self._write("  ".join(padded).rstrip() + "\n", style="")

    def _print(self, text: str, style: str, *, margin: str = "", free_columns: int = 0) -> None:
        """Print a text, and begin a new line before a word that does not fit.

        Args:
            margin: Text to put before each line.
            free_columns: Number of columns to leave free after each word.
        """
        wrapped: list[str] = []
        for word in _WORD.findall(text):
            if word == "\n":
                # An empty line has a margin, too, but no space at its end.
                wrapped.append("\n" if self._column else f"{margin.rstrip()}\n")
                self._column = 0
                continue
            exceeds_width = self._column + len(word) + free_columns > self.width
            if word[0] == " " and self._column and exceeds_width:
                wrapped.append("\n")
                self._column = 0
                word = word.lstrip(" ")  # noqa: PLW2901 - the space has become the new line
            if not self._column:
                wrapped.append(margin)
                self._column = len(margin)
            self._column += len(word)
            wrapped.append(word)
        self._write("".join(wrapped), style)

    def _write(self, text: str, style: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class RichScreen(Screen):
    """A screen on a terminal, which rich draws."""

    answer_margin = ""
    """Empty: colours tell an answer apart from captions."""

    def __init__(self, console: Console, max_width: int = _MAX_WIDTH) -> None:
        super().__init__(max_width)
        # The public attribute of a `Screen` may be None; this one never is, as type checkers see.
        self.console = self._console = console

    def print_title(self, text: str) -> None:
        """Print a heading across the screen."""
        from rich.rule import Rule
        from rich.text import Text

        self.print_line()
        style = _STYLES["title"]
        self._console.print(Rule(Text(text, style), align="left", style=style), width=self.width)
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


def open_screen(max_width: int = _MAX_WIDTH) -> Screen:
    """Return a screen: drawn by rich on a terminal with styles, or else plain text."""
    if not sys.stdout.isatty():
        return Screen(max_width)
    try:
        from rich.console import Console
    except ImportError:
        screen = Screen(max_width)
        screen.print_caption("In colour with rich: pip install rich")
        return screen
    console = Console()
    # A terminal without styles, such as one of TERM=dumb, cannot be drawn on either.
    return Screen(max_width) if console.color_system is None else RichScreen(console, max_width)

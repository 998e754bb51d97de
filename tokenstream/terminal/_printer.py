"""The printing of markdown block by block: finished blocks once, the open block again and again."""

from __future__ import annotations

import os
import re
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal, Self

from tokenstream._basics.elsewhere import needing
from tokenstream.errors import MisuseError

if TYPE_CHECKING:
    from rich.console import Console

    from tokenstream.stages import MarkdownBlock
    from tokenstream.terminal._document import MarkdownDocument

_ITEM = re.compile(r"^(?:[-+*]|\d{1,9}[.)])[ \t]", re.MULTILINE)
"""Matches the start of a top-level list item."""


def cut_to_recent(kind: str, text: str, *, rows: int, columns: int) -> str:
    r"""Return markdown that is a few screens long at most, and is drawn with the same last rows as `text`.

    The place at which the text is cut moves only once for each screenful of new text, so that
    the colours of code seldom change.

    Example:
        >>> cut_to_recent("fence", "~~~\n" + "a line\n" * 1000 + "~~~", rows=2, columns=10)
        '~~~\na line\na line\na line\n~~~'
    """
    cells = rows * columns
    if kind == "fence":
        return _cut_code(text, rows, cells)
    if len(text) <= 4 * cells:
        return text
    start = _cut_offset(text, cells)
    if kind == "table":
        # The first two lines are the head, and the line below it.
        head = text.find("\n", text.find("\n") + 1) + 1
        return text[:head] + text[max(head, _next_line_start(text, start)) :]
    # A list is cut at an item, any other block wherever the offset is.
    if kind == "list" and (item := _ITEM.search(text, _next_line_start(text, start))):
        start = item.start()
    return text[start:]


def _cut_code(text: str, rows: int, cells: int) -> str:
    """Return a long fenced block as its first line, which has the language, and its last screens."""
    opening_end, lines = text.find("\n") + 1, text.count("\n")
    if lines <= 3 * rows and len(text) <= 4 * cells:
        return text
    # At least a screen, and the lines since the last multiple of a screen: so the cut seldom moves.
    start = _find_line_from_end(text, lines % rows + rows)
    if len(text) - start > 4 * cells:
        # The lines are long, and wrap: cut inside a line.
        start = max(start, _cut_offset(text, cells))
    return text[:opening_end] + text[max(start, opening_end) :]


def _cut_offset(text: str, cells: int) -> int:
    """Return the offset at which to cut a text: a multiple of a screen's size, two screens from the end."""
    return (len(text) // cells - 2) * cells


def _next_line_start(text: str, start: int) -> int:
    """Return the start of the line after an offset; the offset itself in the last line."""
    return text.find("\n", start) + 1 or start


def _find_line_from_end(text: str, lines: int) -> int:
    """Return the offset at which the last lines of a text begin; 0 if the text has fewer lines."""
    position = len(text)
    # One more line end precedes these lines.
    for _ in range(lines + 1):
        position = text.rfind("\n", 0, position)
        if position < 0:
            return 0
    return position + 1


_ERASE_ROW = "\x1b[2K"
# Erases the row, then everything from its second column on. If the screen were erased from its very
# first cell on, tmux would copy the erased text into its scrollback.
_ERASE_BELOW = "\x1b[2K\x1b[C\x1b[J\r"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
# Synchronized output: a terminal that supports these codes displays the text between them at once.
_BEGIN_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"

_FENCE = "~" * 20


class MarkdownPrinter:
    r"""Prints the blocks of an answer in a terminal while it arrives, drawn by rich.

    A finished block is printed once and never changed: it scrolls and can be copied like any
    output. The open block is drawn below the finished ones, and drawn again whenever it grows;
    only the rows that have changed are written. If the block is taller than half of the screen,
    only its last rows are drawn. Printing begins at the cursor, which must be at the start of a
    line.

    In a pipe or a file, only finished blocks are printed, without colours. Control characters,
    and characters that change the direction of writing, are printed as escapes. At the end of
    the `with` block, or when `close` is called, the open block is printed as far as it has
    arrived.

    Args:
        console: rich's `Console`; None for a new one on standard output.
        code_theme: The pygments style of code blocks.
        hyperlinks: True to make links hyperlinks of the terminal, which hide the address; False
            to print the address after the text of the link.

    Raises:
        MisuseError: rich is not installed.

    Example:
        >>> from tokenstream.stages import MarkdownBlocks
        >>> blocks = MarkdownBlocks()
        >>> with MarkdownPrinter() as printer:
        ...     for block in [*blocks.feed("For the **soup**:\n\n- an onion\n"), *blocks.end()]:
        ...         printer.show(block)
        For the soup:
        <BLANKLINE>
         • an onion
    """

    def __init__(
        self, console: Console | None = None, *, code_theme: str = "monokai", hyperlinks: bool = False
    ) -> None:
        with needing("rich", "MarkdownPrinter"):
            from rich.console import Console as NewConsole

            from tokenstream.terminal._document import MarkdownDocument
        self._document_class = MarkdownDocument
        self._console = NewConsole(file=sys.stdout) if console is None else console
        self._code_theme = code_theme
        self._hyperlinks = hyperlinks
        self._open_block: MarkdownBlock | None = None
        self._needs_space = False
        """True if an empty line must precede the next block."""
        self._rows: list[str] = []
        """The rows that were drawn for the open block, below the cursor.

        Between two frames, the cursor is hidden at the start of the first row. It stays there
        when the screen is resized, even if the terminal wraps the rows below it again. While
        rows are drawn, line wrap is off, so that each row takes one row of the screen, even if
        the terminal draws some characters wider than expected.
        """
        self._size = (0, 0)
        """The size of the screen when the rows were drawn."""
        self._cursor_hidden = False

    def show(self, block: MarkdownBlock) -> None:
        """Print a finished block, or draw an open block again.

        Args:
            block: The next block from a loop over `markdown_blocks()`.
        """
        given: object = block
        if isinstance(given, str):
            raise MisuseError("show() takes a block of a loop over stream.text.markdown_blocks(), not a str")
        if self._open_block is not None and self._open_block.id != block.id:
            # Another block begins, and the last one was never closed. Its `text` is a preview; it is printed
            # for good as the model wrote it.
            self._print_block(self._open_block, self._open_block.source)
        self._open_block = block
        if block.closed:
            self._print_block(block, block.text)
        elif self._can_draw:
            self._draw_block(block)

    def close(self) -> None:
        """Print the open block as far as it has arrived, and make the cursor visible again.

        A second call does nothing. A block that is passed to `show` later begins another answer.
        """
        try:
            if self._open_block is not None:
                # Its `text` is a preview; it is printed for good as the model wrote it.
                self._print_block(self._open_block, self._open_block.source)
        finally:
            self._needs_space = False
            if self._cursor_hidden:
                self._cursor_hidden = False
                self._write(_SHOW_CURSOR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def _can_draw(self) -> bool:
        """True if printed rows can be drawn again: in a terminal that moves its cursor on request."""
        console = self._console
        return console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows

    def _make_document(self, block: MarkdownBlock, text: str) -> MarkdownDocument:
        """Return a block as a document for rich, with the link definitions that it uses."""
        if block.kind == "math":
            # rich does not know formulas and would read their characters as markdown.
            text = f"{_FENCE}latex\n{text}\n{_FENCE}"
        # The definitions precede the text, since an open code fence would include all text after it.
        text = f"{block.definitions}\n\n{text}" if block.definitions else text
        return self._document_class(
            text, code_theme=self._code_theme, hyperlinks=self._hyperlinks, space_before=self._needs_space
        )

    def _print_block(self, block: MarkdownBlock, text: str) -> None:
        """Print a block for good, in place of the rows that were drawn for it; `text` is the Markdown."""
        document = self._make_document(block, text)
        rows = document.rows(self._console, self._get_screen_size()[0])
        if self._can_draw:
            # Line wrap is on here, so that a line wider than rich expects continues on the next row.
            printed = "".join(f"{row}\r\n" for row in rows)
            if printed or self._rows:
                self._write(f"{_BEGIN_FRAME}{_ERASE_BELOW}{printed}{_END_FRAME}")
            self._rows = []
        elif rows:
            self._write("".join(f"{row}\n" for row in rows))
        # If nothing is printed, as for link definitions, the need for an empty line stays as it was.
        if not document.empty:
            self._needs_space = document.space_after
        self._open_block = None

    def _draw_block(self, block: MarkdownBlock) -> None:
        """Draw the last rows of the open block, and leave the cursor at the first of them."""
        columns, lines = size = self._get_screen_size()
        # Half of the screen stays free: if the screen becomes smaller, the terminal may need twice as
        # many rows, and rows that move into the scrollback cannot be erased.
        max_rows = max((lines - 1) // 2, 1)
        text = cut_to_recent(block.kind, block.text, rows=max_rows, columns=columns)
        rows = self._make_document(block, text).rows(self._console, columns)[-max_rows:]
        if self._get_screen_size() != size:
            # The screen was resized while the rows were made.
            self._draw_block(block)
            return
        # With the same size and no more rows than before, only the rows that differ are written.
        if size == self._size and len(rows) <= len(self._rows):
            drawn = self._write_changes(rows)
        else:
            all_rows = "\r\n".join(rows)
            drawn = f"{_ERASE_BELOW}{_WRAP_OFF}{all_rows}{_WRAP_ON}\r{_move_cursor(len(rows) - 1, 'A')}"
        # Nothing is written as long as the block is empty.
        if drawn and (rows or self._rows):
            hide_cursor = "" if self._cursor_hidden else _HIDE_CURSOR
            self._cursor_hidden = True
            self._write(f"{_BEGIN_FRAME}{hide_cursor}{drawn}{_END_FRAME}")
        if size == self._size:
            # If there are fewer rows than before, the others are erased, but still count as drawn.
            rows = rows + [""] * (len(self._rows) - len(rows))
        self._rows = rows
        self._size = size

    def _write_changes(self, rows: list[str]) -> str:
        """Return the output that changes the drawn rows to new rows, which must not be more than before.

        The output never scrolls the screen, and it restores the cursor. So even if the screen was
        resized in the meantime, the next frame overwrites exactly these rows.
        """
        changes: list[str] = []
        cursor_row = 0
        for number, (old, new) in enumerate(zip_longest(self._rows, rows, fillvalue="")):
            if old != new:
                changes.append(f"{_move_cursor(number - cursor_row, 'B')}\r{_ERASE_ROW}{new}")
                cursor_row = number
        return f"{_SAVE}{_WRAP_OFF}{''.join(changes)}{_WRAP_ON}{_RESTORE}" if changes else ""

    def _get_screen_size(self) -> tuple[int, int]:
        """Return the numbers of the terminal's columns and lines.

        The size that rich reports may be outdated, since it comes from COLUMNS and LINES if these
        are set.
        """
        try:
            columns, lines = os.get_terminal_size(self._console.file.fileno())
        except (AttributeError, OSError, ValueError):
            # The console's file is no terminal, or has no descriptor: what rich reports is used.
            columns = lines = 0
        size = self._console.size
        return columns or size.width, lines or size.height

    def _write(self, text: str) -> None:
        file = self._console.file
        encoding = getattr(file, "encoding", None) or "utf-8"
        # A character that the terminal's encoding lacks must not raise.
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
        file.flush()


def _move_cursor(rows: int, direction: Literal["A", "B"]) -> str:
    """Return the escape that moves the cursor up (A) or down (B); "" for no rows: terminals take 0 for 1."""
    return f"\x1b[{rows}{direction}" if rows > 0 else ""

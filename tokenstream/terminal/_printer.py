"""Printing of markdown block by block: finished ones once, the open one redrawn at the screen's end."""

from __future__ import annotations

import os
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.terminal._recent import cut_to_recent

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from tokenstream.stages import MarkdownBlock
    from tokenstream.terminal._document import MarkdownDocument

_ERASE_ROW = "\x1b[2K"
# Erases the row, then everything from its second column on: tmux would copy into the
# scrollback what is erased from the screen's very first cell on.
_ERASE_BELOW = "\x1b[2K\x1b[C\x1b[J\r"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
# Synchronized output: terminals that support it show everything in between at once.
_BEGIN_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"

_FENCE = "~" * 20


class MarkdownPrinter:
    r"""Prints the blocks of an answer in a terminal while it arrives, drawn by rich.

    A finished block is printed once and then left alone: it scrolls and can be copied like
    any output. The open block is redrawn below it, only its last lines if it is taller than
    half of the screen, and only changed rows are written. Printing begins at the cursor,
    which must be at the start of a line.

    In a pipe or a file, only finished blocks are printed, without colours. Control
    characters, and those that change the direction of writing, are shown as escapes. At the
    end of `with`, or at `close`, the open block is printed as far as it arrived.

    Args:
        console: rich's `Console`; None for a new one on standard output.
        code_theme: The pygments style of code blocks.
        hyperlinks: Whether links are terminal hyperlinks, which hide their address;
            otherwise the address follows the text.

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
        try:
            from rich.console import Console as NewConsole

            from tokenstream.terminal._document import MarkdownDocument
        except ImportError:
            raise MisuseError(
                'MarkdownPrinter needs rich: install it with pip install "llm-tokenstream[rich]"'
            ) from None
        self._new_document = MarkdownDocument
        self._console = NewConsole(file=sys.stdout) if console is None else console
        self._code_theme = code_theme
        self._hyperlinks = hyperlinks
        self._open: MarkdownBlock | None = None
        """The block being written; None between blocks."""
        self._spaced = False
        """True if an empty line goes before the next block."""
        self._rows: list[str] = []
        """Rows drawn for the open block, below the cursor.

        Between two frames the cursor is hidden at the start of the first row. It stays there
        when the screen is resized, even if the terminal rewraps the rows below. Line wrap is
        off while rows are drawn, so that each takes one row, however wide the terminal draws
        its letters.
        """
        self._size = (0, 0)
        """The screen's size when the rows were drawn."""
        self._hidden = False
        """True while the cursor is hidden."""

    def show(self, block: MarkdownBlock) -> None:
        """Print a finished block, or redraw an open one.

        Args:
            block: The next block of a loop over `markdown_blocks()`.
        """
        if self._open is not None and self._open.id != block.id:
            self._finish(self._open, self._open.source)
        self._open = block
        if block.closed:
            self._finish(block, block.text)
        elif self._can_draw:
            self._draw(block)

    def close(self) -> None:
        """Print the open block as far as it arrived, and show the cursor again; closing twice is fine.

        A block shown later begins another answer.
        """
        try:
            if self._open is not None:
                self._finish(self._open, self._open.source)
        finally:
            self._spaced = False
            if self._hidden:
                self._hidden = False
                self._write(_SHOW_CURSOR)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _can_draw(self) -> bool:
        console = self._console
        return console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows

    def _document(self, block: MarkdownBlock, text: str) -> MarkdownDocument:
        if block.kind == "math":
            # rich does not know formulas and would read their characters as markdown.
            text = f"{_FENCE}latex\n{text}\n{_FENCE}"
        # Before the text: an open fence would swallow definitions after it.
        text = f"{block.definitions}\n\n{text}" if block.definitions else text
        return self._new_document(
            text, code_theme=self._code_theme, hyperlinks=self._hyperlinks, spaced=self._spaced
        )

    def _finish(self, block: MarkdownBlock, text: str) -> None:
        document = self._document(block, text)
        rows = document.rows(self._console, self._screen()[0])
        if self._can_draw:
            # With line wrap on: a line wider than rich expects continues on the next row.
            printed = "".join(f"{row}\r\n" for row in rows)
            if printed or self._rows:
                self._write(f"{_BEGIN_FRAME}{_ERASE_BELOW}{printed}{_END_FRAME}")
            self._rows = []
        elif rows:
            self._write("".join(f"{row}\n" for row in rows))
        if not document.empty:
            self._spaced = document.spaced
        self._open = None

    def _draw(self, block: MarkdownBlock) -> None:
        columns, lines = size = self._screen()
        # Half of the screen stays free, because a smaller or rewrapped screen may need twice the
        # rows, and rows pushed into the scrollback cannot be erased.
        most = max((lines - 1) // 2, 1)
        text = cut_to_recent(block.kind, block.text, rows=most, columns=columns)
        rows = self._document(block, text).rows(self._console, columns)[-most:]
        if self._screen() != size:
            self._draw(block)
            return
        if size == self._size and len(rows) <= len(self._rows):
            drawn = self._changes(rows)
        else:
            below = "\r\n".join(rows)
            drawn = f"{_ERASE_BELOW}{_WRAP_OFF}{below}{_WRAP_ON}\r{_cursor_up(len(rows) - 1)}"
        if drawn and (rows or self._rows):
            hidden = "" if self._hidden else _HIDE_CURSOR
            self._hidden = True
            self._write(f"{_BEGIN_FRAME}{hidden}{drawn}{_END_FRAME}")
        # Rows that went away were erased but still take their place.
        self._rows = rows + [""] * (len(self._rows) - len(rows) if size == self._size else 0)
        self._size = size

    def _changes(self, rows: list[str]) -> str:
        """Return the output that turns the drawn rows into `rows`, which must not be more.

        It never scrolls the screen, and restores the cursor. So if the screen was resized
        without our noticing yet, the next frame overwrites exactly these rows.
        """
        changed: list[str] = []
        at = 0
        for number, (old, new) in enumerate(zip_longest(self._rows, rows, fillvalue="")):
            if old != new:
                changed.append(f"{_cursor_down(number - at)}\r{_ERASE_ROW}{new}")
                at = number
        return f"{_SAVE}{_WRAP_OFF}{''.join(changed)}{_WRAP_ON}{_RESTORE}" if changed else ""

    def _screen(self) -> tuple[int, int]:
        """Return the terminal's columns and lines; rich trusts COLUMNS and LINES, which may be outdated."""
        try:
            columns, lines = os.get_terminal_size(self._console.file.fileno())
        except (AttributeError, OSError, ValueError):
            columns = lines = 0
        size = self._console.size
        return columns or size.width, lines or size.height

    def _write(self, text: str) -> None:
        file = self._console.file
        encoding = getattr(file, "encoding", None) or "utf-8"
        # A character that the terminal cannot show must not end the answer.
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
        file.flush()


def _cursor_up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows > 0 else ""


def _cursor_down(rows: int) -> str:
    return f"\x1b[{rows}B" if rows else ""

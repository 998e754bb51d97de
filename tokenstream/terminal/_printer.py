"""Prints markdown block by block: what is finished once, what is being written at the screen's end."""

from __future__ import annotations

import os
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

from tokenstream.errors import MisuseError
from tokenstream.terminal._recent import recent

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from tokenstream.stages import MarkdownBlock
    from tokenstream.terminal._document import Document

__all__ = ["MarkdownPrinter"]

_ERASE_ROW = "\x1b[2K"
# The row, and all from its second column on: tmux keeps in the scrollback what is erased
# from the screen's first column and row on.
_ERASE_BELOW = "\x1b[2K\x1b[C\x1b[J\r"
_SAVE, _RESTORE = "\x1b7", "\x1b8"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
# Terminals that know these show all that stands between them at once; others ignore them.
_BEGIN_FRAME, _END_FRAME = "\x1b[?2026h", "\x1b[?2026l"

_FENCE = "~" * 20


class MarkdownPrinter:
    r"""Prints the blocks of an answer in a terminal while it arrives, drawn by rich.

    A finished block is printed once, and is the terminal's from then on: it scrolls, it
    can be copied, and nothing touches it again. The block that is being written is drawn
    below, its last lines where it is taller than half of the screen, and only what changed
    is written. It begins where the cursor is, at the start of a line.

    Where nobody watches, as in a pipe or a file, finished blocks alone are printed, without
    colours. Control characters, and those that turn the direction of writing, are shown as
    escapes. At the end of `with`, or at `close`, what is still open is printed as far as it came.

    Args:
        console: rich's `Console`; None for a new one on standard output.
        code_theme: The pygments style of code blocks.
        hyperlinks: Whether links are the terminal's own, which hide where they lead;
            otherwise the address stands beside the text.

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

            from tokenstream.terminal._document import Document
        except ImportError:
            raise MisuseError(
                'MarkdownPrinter takes rich: install it with pip install "llm-tokenstream[rich]"'
            ) from None
        self._new_document = Document
        self._console = NewConsole(file=sys.stdout) if console is None else console
        self._code_theme = code_theme
        self._hyperlinks = hyperlinks
        self._open: MarkdownBlock | None = None
        """What is being written."""
        self._spaced = False
        """A line is left free before the next block."""
        self._rows: list[str] = []
        """What stands below the cursor.

        Between two frames it is at the start of the first of these rows, and hidden. There it
        stays when the screen is resized, whatever the terminal makes of the rows below it.
        While they are drawn, lines are not wrapped, so that each is one row, however wide the
        terminal takes its letters to be.
        """
        self._size = (0, 0)
        """The screen's size when they were drawn."""
        self._hidden = False
        """The cursor is."""

    def show(self, block: MarkdownBlock) -> None:
        """Print a block that is finished, or draw what there is of one that is not.

        Args:
            block: The next one that a loop over `markdown_blocks()` gives.
        """
        if self._open is not None and self._open.id != block.id:
            self._finish(self._open, self._open.source)
        self._open = block
        if block.closed:
            self._finish(block, block.text)
        elif self._draws:
            self._draw(block)

    def close(self) -> None:
        """Print what is still open as far as it came, and show the cursor again; closing twice is fine.

        The next block that is shown is the first of another answer.
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
    def _draws(self) -> bool:
        console = self._console
        return console.is_terminal and not console.is_dumb_terminal and not console.legacy_windows

    def _document(self, block: MarkdownBlock, text: str) -> Document:
        if block.kind == "math":
            # rich knows no formulas, and would take their marks for its own.
            text = f"{_FENCE}latex\n{text}\n{_FENCE}"
        # Behind the text, an open fence would swallow them.
        text = f"{block.definitions}\n\n{text}" if block.definitions else text
        return self._new_document(
            text, code_theme=self._code_theme, hyperlinks=self._hyperlinks, spaced=self._spaced
        )

    def _finish(self, block: MarkdownBlock, text: str) -> None:
        document = self._document(block, text)
        rows = document.rows(self._console, self._screen()[0])
        if self._draws:
            # A line that the terminal takes for wider than rich does goes on in the next one.
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
        # A terminal that is made smaller, or that wraps rows anew, finds room for as many again:
        # what it has to push into the scrollback is there for good.
        most = max((lines - 1) // 2, 1)
        text = recent(block.kind, block.text, rows=most, columns=columns)
        rows = self._document(block, text).rows(self._console, columns)[-most:]
        if self._screen() != size:
            self._draw(block)
            return
        if size == self._size and len(rows) <= len(self._rows):
            drawn = self._changes(rows)
        else:
            below = "\r\n".join(rows)
            drawn = f"{_ERASE_BELOW}{_WRAP_OFF}{below}{_WRAP_ON}\r{_up(len(rows) - 1)}"
        if drawn and (rows or self._rows):
            hidden = "" if self._hidden else _HIDE_CURSOR
            self._hidden = True
            self._write(f"{_BEGIN_FRAME}{hidden}{drawn}{_END_FRAME}")
        # Those that are gone were erased, and their places are still there.
        self._rows = rows + [""] * (len(self._rows) - len(rows) if size == self._size else 0)
        self._size = size

    def _changes(self, rows: list[str]) -> str:
        """Return what turns the rows on the screen into others, which are no more than they.

        Nothing in it makes the screen scroll, and the cursor gets back by itself. So what is
        drawn on a screen that was resized, and has not said so yet, is drawn over by the next
        frame, and nothing else is.
        """
        changed: list[str] = []
        at = 0
        for number, (old, new) in enumerate(zip_longest(self._rows, rows, fillvalue="")):
            if old != new:
                changed.append(f"{_down(number - at)}\r{_ERASE_ROW}{new}")
                at = number
        return f"{_SAVE}{_WRAP_OFF}{''.join(changed)}{_WRAP_ON}{_RESTORE}" if changed else ""

    def _screen(self) -> tuple[int, int]:
        """Return the terminal's columns and lines; rich believes COLUMNS and LINES, which may be old."""
        try:
            columns, lines = os.get_terminal_size(self._console.file.fileno())
        except (AttributeError, OSError, ValueError):
            columns = lines = 0
        size = self._console.size
        return columns or size.width, lines or size.height

    def _write(self, text: str) -> None:
        file = self._console.file
        encoding = getattr(file, "encoding", None) or "utf-8"
        # An answer is not to break off because a terminal lacks a letter.
        file.write(text.encode(encoding, "backslashreplace").decode(encoding))
        file.flush()


def _up(rows: int) -> str:
    return f"\x1b[{rows}A" if rows > 0 else ""


def _down(rows: int) -> str:
    return f"\x1b[{rows}B" if rows else ""

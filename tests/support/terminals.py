"""An emulated terminal with a scrollback and adjustable widths of letters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeAlias

import pyte
import pyte.modes
from pyte.screens import Char
from rich.console import Console, ConsoleDimensions
from wcwidth import wcwidth

if TYPE_CHECKING:
    from collections.abc import Callable

    Widths: TypeAlias = Callable[[str], int]
    Row: TypeAlias = tuple[Char, ...]

_BLANK = Char(" ")
_GOES_ON = -1
"""Mark of a row that the terminal wrapped."""


def by_wcwidth(letter: str) -> int:
    """Return a letter's width in most terminals, each part of an emoji alone."""
    return max(wcwidth(letter), 0)


def narrow_emoji(letter: str) -> int:
    """Return a letter's width in an old terminal, which knows no emoji."""
    return 1 if ord(letter) > 0x1F000 else by_wcwidth(letter)


def wide_symbols(letter: str) -> int:
    """Return a letter's width in a terminal set to an East Asian locale."""
    return 2 if by_wcwidth(letter) == 1 and ord(letter) > 0x2000 else by_wcwidth(letter)


class Terminal(pyte.HistoryScreen):
    """The screen of a user, with the scrollback.

    Args:
        reflows: True if it wraps its rows anew when it is resized, as most do; xterm and the
            console of Linux do not.
        keeps_end: True if it then shows the end of the text even when the cursor is elsewhere,
            as tmux does.
        widths: Returns the width of a letter.
    """

    def __init__(
        self,
        columns: int,
        lines: int,
        *,
        reflows: bool = True,
        keeps_end: bool = False,
        widths: Widths = by_wcwidth,
    ) -> None:
        super().__init__(columns, lines, history=1_000_000)
        self.reflows = reflows
        self.keeps_end = keeps_end
        self._widths = widths
        self._stream = pyte.Stream(self)
        # A terminal's driver puts a CR before each LF.
        self.set_mode(pyte.modes.LNM)
        self.fed: list[str] = []

    def feed(self, text: str) -> None:
        self.fed.append(text)
        self._stream.feed(text)

    def draw(self, data: str) -> None:
        for letter in data:
            self._draw(letter, self._widths(letter))

    def _draw(self, letter: str, width: int) -> None:
        if width and self.cursor.x + width > self.columns:
            if pyte.modes.DECAWM in self.mode:
                self.buffer[self.cursor.y][_GOES_ON] = Char("wrapped")
                self.carriage_return()
                self.linefeed()
            else:
                self.cursor.x = max(self.columns - width, 0)
        line = self.buffer[self.cursor.y]
        if not width:
            at = max(self.cursor.x - 1, 0)
            line[at] = line[at]._replace(data=line[at].data + letter)
            return
        line[self.cursor.x] = self.cursor.attrs._replace(data=letter)
        for stub in range(1, width):
            line[self.cursor.x + stub] = self.cursor.attrs._replace(data="")
        self.cursor.x += width

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        super().erase_in_line(how, private)
        line = self.buffer[self.cursor.y]
        if how != 1:
            # Nor does the row continue, or keep text hidden by a narrower screen.
            for at in [at for at in line if at == _GOES_ON or at >= self.columns]:
                del line[at]

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        if how == 0 and (self.cursor.x, self.cursor.y) == (0, 0):
            # tmux keeps the text that is erased from there on.
            self.history.top.extend(self.buffer.pop(y) for y in range(self.lines))
        super().erase_in_display(how, *args, **kwargs)

    @property
    def rows(self) -> list[Row]:
        """All rows with their colours, the scrollback first, without blank ones at the end."""
        rows = [_row(line) for line in [*self.history.top, *(self.buffer[y] for y in range(self.lines))]]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    @property
    def texts(self) -> list[str]:
        """The rows without their colours."""
        return ["".join(cell.data for cell in row).rstrip() for row in self.rows]

    @property
    def cursor_is_hidden(self) -> bool:
        return pyte.modes.DECTCEM not in self.mode

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Resize as terminals do: the cursor stays on its letter, and on the screen."""
        lines, columns = lines or self.lines, columns or self.columns
        rows = [*self.history.top, *(self.buffer[y] for y in range(self.lines))]
        row, column = len(self.history.top) + self.cursor.y, self.cursor.x
        used = max([row, *(at for at, line in enumerate(rows) if _row(line))]) + 1
        rows, top = rows[:used], len(self.history.top)
        if self.reflows:
            rows, row, column = _reflowed(rows, row, column, self.columns, columns)
            # It shows as much of its end as possible.
            top = max(len(rows) - lines, 0)
            if self.keeps_end and row < top:
                row, column = top, 0
        top = max(min(top, row), row - lines + 1)
        self.history.top.clear()
        self.history.top.extend(rows[:top])
        self.buffer.clear()
        for y, line in enumerate(rows[top : top + lines]):
            self.buffer[y] = line
        self.lines, self.columns = lines, columns
        self.margins = None
        self.cursor.y, self.cursor.x = row - top, min(column, columns - 1)


def _row(line: Any) -> Row:
    cells = [line[at] for at in range(max((at for at in line), default=-1) + 1)]
    while cells and cells[-1] == _BLANK:
        cells.pop()
    return tuple(cells)


def _reflowed(rows: list[Any], row: int, column: int, width: int, columns: int) -> tuple[list[Any], int, int]:
    """Return the rows wrapped at `columns` instead of `width`, and the cursor's place in them."""
    blank = partial(pyte.screens.StaticDefaultDict, _BLANK)
    made: list[Any] = []
    place = 0, 0
    line: list[Char] = []
    cursor: int | None = None
    for y, old in enumerate(rows):
        if y == row:
            cursor = len(line) + column
        goes_on = old.get(_GOES_ON, _BLANK).data == "wrapped"
        if goes_on and y + 1 < len(rows):
            line += (old[at] for at in range(width))
            continue
        line += _row(old)
        first = len(made)
        for start in range(0, max(len(line), 1), columns):
            made.append(blank())
            made[-1].update(enumerate(line[start : start + columns]))
            if start + columns < len(line):
                made[-1][_GOES_ON] = Char("wrapped")
        if cursor is not None:
            below, beside = divmod(cursor, columns)
            place = (min(first + below, len(made) - 1), beside)
        line, cursor = [], None
    return made, place[0], place[1]


class TerminalConsole(Console):
    """rich's console on an emulated terminal, whose size it asks for each time."""

    def __init__(self, terminal: Terminal, **options: Any) -> None:
        super().__init__(file=_Writer(terminal), force_terminal=True, color_system="truecolor", **options)
        self._terminal = terminal

    @property
    def size(self) -> ConsoleDimensions:
        return ConsoleDimensions(self._terminal.columns, self._terminal.lines)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        raise AssertionError(new_size)


@dataclass(eq=False)
class _Writer(StringIO):
    """A file that a terminal reads, at each flush."""

    terminal: Terminal
    held: list[str] = field(default_factory=list)

    def write(self, text: str, /) -> int:
        self.held.append(text)
        return len(text)

    def flush(self) -> None:
        text = "".join(self.held)
        self.held.clear()
        if text:
            self.terminal.feed(text)

"""The first two rows of tables, by which a table is recognised."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.openings import LineKind
from tokenstream.stages._markdown.starts import BLANKS, CODE_INDENT, MORE_NEEDED

if TYPE_CHECKING:
    from tokenstream.stages._markdown.openings import MatchedLine, Opening

_TRIMMED = (
    " \t\n\v\f\r\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
NOWHERE = 1 << 60
"""A start beyond the end of any line."""
_DELIMITER_CELL = re.compile(r":?-+:?")
_DELIMITER = re.compile(r"(?:[|:][-:|]|-[-:|]|[|:][ \t])[-:| \t]*|[-:|]")


class PossibleRow(NamedTuple):
    """A line that may be the first row of a table, at one of several levels of containers."""

    level: int
    """The lowest possible level: the number of containers around the table."""
    content_starts: list[int]
    """The start of the row if the table begins at `level`, one level deeper, and so on."""
    text: str = ""
    """The whole line."""

    @property
    def deepest_level(self) -> int:
        """The number of containers around a table that begins in the innermost possible container."""
        return self.level + len(self.content_starts) - 1

    def find_table_level(self, second_row: MatchedLine, *, complete: bool) -> int | None:
        """Return the number of containers around the table that begins with this row.

        The result is None if no table begins there, and MORE_NEEDED if only the whole second row decides.

        Args:
            second_row: The line after this row.
            complete: True if `second_row` is the whole line.
        """
        text, content_at = second_row.text, second_row.content_at
        if not may_be_delimiter(text, content_at):
            return None
        for level in range(self.level, min(second_row.level, self.deepest_level) + 1):
            level_start = second_row.content_starts[level]
            is_after_mark = bool(text[level_start:content_at].strip(BLANKS))
            if is_after_mark or content_at - level_start >= CODE_INDENT:
                # The mark of a deeper container, or the indentation of code, precedes the row.
                continue
            if not complete:
                return MORE_NEEDED
            columns = count_delimiter_columns(text, content_at)
            # The starts of this row begin with the one for the level `self.level`.
            first_row = self.text[self.content_starts[level - self.level] :]
            if columns and columns == count_columns(first_row):
                return level
        return None


def make_possible_row(opening: Opening, level: int, *, is_next_item: bool) -> PossibleRow:
    """Return a line as a possible first row of a table, with the positions at which the table may begin.

    The line may begin other blocks, but markdown-it (a renderer) looks for tables first.

    Args:
        opening: The blocks that the line begins.
        level: Number of the containers that the line continues.
        is_next_item: True if the line begins another item of an open list; a table is then in that item.
    """
    content_starts = opening.content_starts
    if opening.kind == LineKind.CODE:
        # Indented code is not the row of a table.
        content_starts[-1] = NOWHERE
    if is_next_item:
        return PossibleRow(level + 1, content_starts[1:])
    return PossibleRow(level, content_starts)


def trim(text: str) -> str:
    """Return a text without the white space that is ignored around a table's cells."""
    return text.strip(_TRIMMED)


def may_be_delimiter(text: str, position: int) -> bool:
    """Return True if the text from a position on may become the second row of a table."""
    return _DELIMITER.fullmatch(text, position) is not None


def count_delimiter_columns(text: str, position: int) -> int:
    """Return the number of columns in the second row of a table; 0 if the text is not a second row."""
    if len(text) - position < 2 or _DELIMITER.fullmatch(text, position) is None:
        return 0
    cells = [cell.strip(BLANKS) for cell in text[position:].split("|")]
    # A pipe at the start or at the end of the row is not between two cells.
    if not cells[0]:
        del cells[0]
    if cells and not cells[-1]:
        del cells[-1]
    return len(cells) if all(map(_DELIMITER_CELL.fullmatch, cells)) else 0


def count_columns(text: str) -> int:
    """Return the number of cells in a row; 0 for a line without a pipe."""
    row = trim(text)
    pipes = row.count("|")
    if not pipes:
        return 0
    escaped_pipes = row.count("\\|")
    count = pipes - escaped_pipes + 1
    # A pipe at the start or at the end of the row is not between two cells.
    if row[0] == "|":
        count -= 1
    if count and row[-1] == "|" and row[-2:-1] != "\\":
        count -= 1
    return count

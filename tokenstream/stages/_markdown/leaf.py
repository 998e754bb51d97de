"""Leaf blocks of Markdown: tables by their first two rows, displayed formulas, and blocks of HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.definitions import DefinitionReader
from tokenstream.stages._markdown.openings import LineKind, MatchedLine, Opening
from tokenstream.stages._markdown.starts import BLANKS, CODE_INDENT, HTML_ENDS, MORE_NEEDED

if TYPE_CHECKING:
    from tokenstream.stages._markdown.inline import Math

_TRIMMED = (
    " \t\n\v\f\r\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
NOWHERE = 1 << 60
"""A start beyond the end of any line."""
_DELIMITER_CELL = re.compile(r":?-+:?")
_DELIMITER = re.compile(r"(?:[|:][-:|]|-[-:|]|[|:][ \t])[-:| \t]*|[-:|]")
MARKS: dict[Math | None, str] = {None: "", "dollar": "$$", "brackets": "\\["}
"""Maps the option `math` to the mark that opens a displayed formula."""
MOST_MATH = 10_000
"""The most characters of an unfinished formula; a longer one counts as text."""

_LABEL = re.compile(r"\$\$[ \t]*\([^)$]+\)\Z")
"""The end of a formula with a label after it, such as `$$ (1)`."""


class PossibleRow(NamedTuple):
    """A line that may be the first row of a table, at one of several levels of containers."""

    level: int
    """The lowest possible level: the number of containers around the table."""
    content_starts: list[int]
    """The start of the row if the table begins at `level`, one level deeper, and so on."""
    text: str = ""

    @property
    def deepest_level(self) -> int:
        """The number of containers around a table that begins in the innermost possible container."""
        return self.level + len(self.content_starts) - 1

    def find_table_level(self, second_row: MatchedLine, *, complete: bool) -> int | None:
        """Return the number of containers around the table that begins with this row.

        The result is None if no table begins there, and MORE_NEEDED if only the whole second row decides.
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


def continues_formula(mark: str, line: str, size: int) -> bool | None:
    """Return whether a formula continues after a line; None if it is not a formula."""
    continues = _continues_brackets if mark == "\\[" else _continues_dollars
    result = continues(line.strip(" \t"), is_first_line=not size)
    is_too_long = size + len(line) > MOST_MATH
    return None if result and is_too_long else result


def _continues_brackets(text: str, *, is_first_line: bool) -> bool | None:
    r"""Return True if a formula that began with `\[` continues after a line; None if it is not a formula."""
    # The end may be followed by other text.
    if "\\]" not in text:
        return True
    # Some renderers treat an empty formula as text; the mark takes the first two characters.
    is_empty = is_first_line and "\\]" not in text[3:]
    return None if is_empty else False


def _continues_dollars(text: str, *, is_first_line: bool) -> bool | None:
    """Return True if a formula that began with `$$` continues after a line; None if it is not a formula."""
    if is_first_line and len(text) <= 3:
        # The line has nothing but the opening mark, so the end is on a later one.
        return True
    # A label such as `(1)` may follow the end.
    if text.endswith("$$") or _LABEL.search(text):
        return False
    # An end in the middle of the first line: then the formula is part of a text, and not displayed.
    return None if is_first_line and "$$" in text[2:] else True


_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*\Z")
_FIRST_KIND_ENDED_BY_BLANK = 6
"""The first of the two kinds of HTML blocks in CommonMark that end at a blank line."""


class Leaf:
    """The open leaf: the innermost open block, which contains only lines, such as a paragraph or a fence.

    Args:
        kind: The kind of the leaf, from `LineKind`.
        text: The leaf's first line, with expanded tabs.
        content_at: The offset of the leaf's content in `text`.
        line: The original line; only needed for a paragraph, a heading, HTML or a formula, whose `offsets`
            refer to it.
        size: The fence's length, the heading's level, or the kind of HTML block; 0 for other leaves.
    """

    __slots__ = ("first_line", "kind", "mark", "offsets", "reader", "size", "start")

    def __init__(self, kind: str, text: str, content_at: int, *, line: str = "", size: int = 0) -> None:
        self.kind = kind
        self.size = size
        """The fence's length, the heading's level, the kind of HTML block, or the formula's length so far."""
        self.mark = text[content_at] if kind == LineKind.FENCE else ""
        """The character of which a fence consists; "" for any other leaf."""
        self.offsets: list[int] = []
        """The offset of the content in each line of a paragraph, in a heading, or in HTML's last line."""
        self.reader: DefinitionReader | None = None
        """Reads the link definitions at the start of a paragraph; None if it does not begin with `[`."""
        self.first_line = -1
        """Index of the leaf's first line in the block."""
        self.start = 0
        """Offset of the leaf's first line in the block, in characters."""
        if kind in {LineKind.TEXT, LineKind.HEADING, LineKind.HTML, LineKind.MATH}:
            self.offsets.append(content_offset(line, text, content_at))
        if kind == LineKind.TEXT and text[content_at] == "[":
            self.reader = DefinitionReader()

    @property
    def defines(self) -> bool:
        """True while the paragraph contains only definitions; the last one may be unfinished."""
        # A paragraph that cannot begin with a definition has no reader for definitions.
        return self.reader is not None and self.reader.state != "text"

    @property
    def keeps_blanks(self) -> bool:
        """True if blank lines are part of the leaf."""
        if self.kind == LineKind.HTML:
            return self.size < _FIRST_KIND_ENDED_BY_BLANK
        return self.kind in {LineKind.FENCE, LineKind.MATH}

    def closes_fence(self, line_match: MatchedLine, *, complete: bool) -> bool | None:
        """Return True if a line is the closing fence; None if more of the line is needed."""
        text, content_at = line_match.text, line_match.content_at
        if line_match.indent >= CODE_INDENT or text[content_at] != self.mark:
            return False
        end = len(text) - len(text[content_at:].lstrip(self.mark))
        if text[end:].strip(" \t"):
            return False
        is_long_enough = end - content_at >= self.size
        if complete:
            return is_long_enough
        # The rest of the line may lengthen the mark, or add text, after which it is not a closing fence.
        may_close = is_long_enough or end == len(text)
        return None if may_close else False

    def may_be_second_row(self, line: str) -> bool:
        """Return True if a paragraph's line, other than its first, could be the second row of a table."""
        is_later_line = self.kind == LineKind.TEXT and len(self.offsets) > 1
        return is_later_line and may_be_delimiter(line, self.offsets[-1])

    def ends_html(self, line: str) -> bool:
        """Return True if a line ends an HTML block of a kind that may contain blank lines."""
        if self.size >= _FIRST_KIND_ENDED_BY_BLANK:
            return False
        # `offsets[-1]` is the offset of the content in this line, after the marks of containers.
        return HTML_ENDS[self.size].search(line, self.offsets[-1]) is not None


def is_underline(line_match: MatchedLine) -> bool:
    """Return True if the line so far may be the underline of a heading."""
    return (
        line_match.text[line_match.content_at] in "=-"
        and line_match.indent < CODE_INDENT
        and _UNDERLINE.match(line_match.text, line_match.content_at) is not None
    )


def content_offset(line: str, text: str, content_at: int) -> int:
    """Convert an offset in the line with expanded tabs to the offset in the original line."""
    if len(line) == len(text):
        # No tab was expanded to several spaces.
        return content_at
    column = 0
    for offset, character in enumerate(line):
        if column >= content_at:
            return offset
        column += 4 - column % 4 if character == "\t" else 1
    return len(line)

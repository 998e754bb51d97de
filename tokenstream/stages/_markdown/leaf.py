"""The open leaf: lines of a paragraph, of code or of HTML, or rows of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.stages._markdown.definitions import DefinitionReader
from tokenstream.stages._markdown.openings import LineKind
from tokenstream.stages._markdown.starts import HTML_ENDS, may_be_delimiter

if TYPE_CHECKING:
    from tokenstream.stages._markdown.containers import Matched

_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*\Z")
_NO_PLACE = 1 << 60


class Leaf:
    """The open leaf block in the innermost container."""

    __slots__ = ("first", "kind", "mark", "offsets", "reader", "size", "start")

    def __init__(self, kind: str, text: str, seen: int, *, line: str = "", size: int = 0) -> None:
        self.kind = kind
        self.size = size
        """The fence's length, the heading's level, the kind of HTML block, or the formula's length so far."""
        self.mark = text[seen] if kind == LineKind.FENCE else ""
        """The character of which a fence consists; "" for any other leaf."""
        self.offsets: list[int] = []
        """The offset of the content in each line of a paragraph, in a heading, or in HTML's last line."""
        self.reader: DefinitionReader | None = None
        """Reads the link definitions at the start of a paragraph; None if it does not begin with `[`."""
        self.first = -1
        """Index of the leaf's first line in the block."""
        self.start = 0
        """Offset of the leaf's first line in the block, in characters."""
        if kind in {LineKind.TEXT, LineKind.HEADING, LineKind.HTML, LineKind.MATH}:
            self.offsets.append(content_offset(line, text, seen))
        if kind == LineKind.TEXT and text[seen] == "[":
            self.reader = DefinitionReader()

    @property
    def defines(self) -> bool:
        """True while the paragraph contains only definitions; the last one may be unfinished."""
        return self.reader is not None and self.reader.state != "text"

    @property
    def keeps_blanks(self) -> bool:
        """True if blank lines are part of the leaf."""
        return self.kind in {LineKind.FENCE, LineKind.MATH} or (self.kind == LineKind.HTML and self.size < 6)

    def closes_fence(self, matched: Matched, *, complete: bool) -> bool | None:
        """Return True if a line is the closing fence; None if more of the line is needed."""
        text, seen = matched.text, matched.seen
        if matched.indent > 3 or text[seen] != self.mark:
            return False
        end = len(text) - len(text[seen:].lstrip(self.mark))
        if text[end:].strip(" \t"):
            return False
        long = end - seen >= self.size
        if complete:
            return long
        return None if long or end == len(text) else False

    def is_row(self, line: str) -> bool:
        """Return True if a paragraph's line, other than its first, could be the second row of a table."""
        return (
            self.kind == LineKind.TEXT and len(self.offsets) > 1 and may_be_delimiter(line, self.offsets[-1])
        )

    def ends_html(self, line: str) -> bool:
        """Return True if a line ends an HTML block of a kind that may contain blank lines."""
        return self.size < 6 and HTML_ENDS[self.size].search(line, self.offsets[-1]) is not None

    def note_html_offset(self, offset: int = _NO_PLACE) -> None:
        """Record the offset of the content in a line of HTML, after the marks of containers."""
        self.offsets = [offset]


def is_underline(matched: Matched) -> bool:
    """Return True if the line so far may be the underline of a heading."""
    return (
        matched.text[matched.seen] in "=-"
        and matched.indent < 4
        and _UNDERLINE.match(matched.text, matched.seen) is not None
    )


def content_offset(line: str, text: str, seen: int) -> int:
    """Convert an offset in the line with expanded tabs to the offset in the original line.

    Args:
        line: The original line.
        text: The line with expanded tabs.
        seen: The offset of the content in `text`.
    """
    if len(line) == len(text):
        return seen
    column = 0
    for place, character in enumerate(line):
        if column >= seen:
            return place
        column += 4 - column % 4 if character == "\t" else 1
    return len(line)

"""The leaf that is open: lines of a paragraph, of code or of HTML, rows of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.stages._markdown.definitions import DefinitionReader
from tokenstream.stages._markdown.openings import What
from tokenstream.stages._markdown.starts import HTML_ENDS, may_be_delimiter

if TYPE_CHECKING:
    from tokenstream.stages._markdown.containers import Matched

_UNDERLINE = re.compile(r"(?:=+|-+)[ \t]*\Z")
_NO_PLACE = 1 << 60


class Leaf:
    """What the innermost container holds while it is open."""

    __slots__ = ("first", "kind", "mark", "offsets", "reader", "size", "start")

    def __init__(self, kind: str, text: str, seen: int, *, line: str = "", size: int = 0) -> None:
        self.kind = kind
        self.size = size
        """How long the fence is, how deep the heading, which kind of HTML it is, or how much of a formula."""
        self.mark = text[seen] if kind == What.FENCE else ""
        """The character of a fence."""
        self.offsets: list[int] = []
        """Where the content of each line of a paragraph begins, of a heading, or of the last line of HTML."""
        self.reader: DefinitionReader | None = None
        """Reads the link definitions with which a paragraph may begin."""
        self.first = -1
        """The line of the block with which it begins."""
        self.start = 0
        """The character of the block with which that line begins."""
        if kind in {What.TEXT, What.HEADING, What.HTML, What.MATH}:
            self.offsets.append(content_offset(line, text, seen))
        if kind == What.TEXT and text[seen] == "[":
            self.reader = DefinitionReader()

    @property
    def defines(self) -> bool:
        """The paragraph has only definitions so far, whole ones or not."""
        return self.reader is not None and self.reader.state != "text"

    @property
    def keeps_blanks(self) -> bool:
        """Blank lines are lines of it like others."""
        return self.kind in {What.FENCE, What.MATH} or (self.kind == What.HTML and self.size < 6)

    def closes_fence(self, matched: Matched, *, complete: bool) -> bool | None:
        """Whether a line is the closing fence; None if more of it is needed to tell."""
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
        """Whether a line of a paragraph, not its first one, could be the second row of a table."""
        return self.kind == What.TEXT and len(self.offsets) > 1 and may_be_delimiter(line, self.offsets[-1])

    def ends_html(self, line: str) -> bool:
        """Whether a line ends a block of HTML that runs over blank lines."""
        return self.size < 6 and HTML_ENDS[self.size].search(line, self.offsets[-1]) is not None

    def take_html(self, offset: int = _NO_PLACE) -> None:
        """Note where the content of a line of HTML begins; marks of containers are none of it."""
        self.offsets = [offset]


def is_underline(matched: Matched) -> bool:
    """Whether what has come of a line may stand below a heading."""
    return (
        matched.text[matched.seen] in "=-"
        and matched.indent < 4
        and _UNDERLINE.match(matched.text, matched.seen) is not None
    )


def content_offset(line: str, text: str, seen: int) -> int:
    """Return where in a line its content begins, from where it begins with tabs as spaces."""
    if len(line) == len(text):
        return seen
    column = 0
    for place, character in enumerate(line):
        if column >= seen:
            return place
        column += 4 - column % 4 if character == "\t" else 1
    return len(line)

"""Leaf blocks of Markdown, and the tags that begin a block of HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokenstream.stages._markdown.definitions import DefinitionReader
from tokenstream.stages._markdown.openings import LineKind
from tokenstream.stages._markdown.starts import CODE_INDENT, HTML_ENDS
from tokenstream.stages._markdown.tables import NOWHERE, may_be_delimiter

if TYPE_CHECKING:
    from tokenstream.stages._markdown.openings import MatchedLine

_OPENED = re.compile(r"<([A-Za-z][A-Za-z0-9-]*)")
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())  # noqa: SIM905


class OpenTag:
    """The outermost tag that an HTML block leaves open, and its nesting depth."""

    __slots__ = ("_depth", "_tag_pattern")

    def __init__(self) -> None:
        self._depth = 0
        self._tag_pattern: re.Pattern[str] | None = None
        """Finds the tag's opening and closing tags; None without an open tag."""

    @property
    def open(self) -> bool:
        """True while the tag is not closed."""
        return self._depth > 0

    def begin(self, line: str) -> None:
        """Read the first line of an HTML block; if its first tag is left open, remember it."""
        opened = _OPENED.match(line.lstrip(" \t"))
        if opened is not None and opened[1].lower() not in _VOID:
            self._tag_pattern = re.compile(
                rf"<(/?){opened[1]}(?=[\s/>]|\Z)[^<>]*?(/?)(?:>|\Z)", re.IGNORECASE
            )
            self.read(line)

    def read(self, line: str) -> None:
        """Count the opening and closing tags of this name in a line; forget the tag once it is closed."""
        if self._tag_pattern is None:
            return
        for slash, lone in self._tag_pattern.findall(line):
            if slash:
                self._depth -= 1
            elif not lone:
                # A lone tag, such as `<p/>`, opens nothing.
                self._depth += 1
            if self._depth <= 0:
                self._depth, self._tag_pattern = 0, None
                return


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

    def note_html_offset(self, offset: int = NOWHERE) -> None:
        """Record the offset of the content in the last line of HTML, after the marks of containers.

        Args:
            offset: The offset; by default, the line has no content.
        """
        self.offsets = [offset]


def is_underline(line_match: MatchedLine) -> bool:
    """Return True if the line so far may be the underline of a heading."""
    return (
        line_match.text[line_match.content_at] in "=-"
        and line_match.indent < CODE_INDENT
        and _UNDERLINE.match(line_match.text, line_match.content_at) is not None
    )


def content_offset(line: str, text: str, content_at: int) -> int:
    """Convert an offset in the line with expanded tabs to the offset in the original line.

    Args:
        line: The original line.
        text: The line with expanded tabs.
        content_at: The offset of the content in `text`.
    """
    if len(line) == len(text):
        # No tab was expanded to several spaces.
        return content_at
    column = 0
    for offset, character in enumerate(line):
        if column >= content_at:
            return offset
        column += 4 - column % 4 if character == "\t" else 1
    return len(line)

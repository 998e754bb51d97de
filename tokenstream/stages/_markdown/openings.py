"""The quotes and list items that are open, and the containers and the leaf that a line opens in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.starts import (
    BLANKS,
    CODE_INDENT,
    MORE_NEEDED,
    find_fence_length,
    find_heading_level,
    find_html_kind,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_NOT_BLANK = re.compile(r"[^ \t]|\Z")

_ORDERED = re.compile(r"([0-9]{1,9})([.)])")
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_NOT_MARK = {mark: re.compile(rf"[^{re.escape(mark)} \t]|\Z") for mark in "*-_"}


def skip_blanks(text: str, position: int) -> int:
    """Return the position of the next character that is neither a space nor a tab, or the end."""
    match = _NOT_BLANK.search(text, position)
    return match.start() if match else len(text)


class Container:
    """An open quote or list item.

    Args:
        marker: The character that identifies the list; ">" for a quote.
        indent: Number of columns before the content of a list item.
        label: What is written before a list item: a bullet, or its number with the mark after it.
        is_empty: True for a list item that began with an empty line.
    """

    __slots__ = ("indent", "is_empty", "label", "marker", "quote")

    def __init__(self, marker: str, indent: int, *, label: str = "", is_empty: bool = False) -> None:
        self.quote = marker == ">"
        self.marker = marker
        self.label = label
        """The text before a list item: a bullet, or its number with the mark after it."""
        self.indent = indent
        """Number of columns before the content of a list item."""
        self.is_empty = is_empty
        """True for a list item that began with an empty line and has no content yet."""


class MatchedLine(NamedTuple):
    """A line and the open containers that it continues."""

    text: str
    """The line, with tabs among its marks replaced by spaces."""
    content_starts: list[int]
    """The start of the content at each level: outside of all containers, and in each continued container."""
    content_at: int
    """The position of the first character after the containers' marks that is not blank."""
    level: int
    """Number of containers that the line continues."""
    indent: int
    """Number of blanks before the content."""
    in_doubt: bool = False
    """True if a container's mark is indented so far that some parsers do not accept it."""


class Containers:
    """The open containers (quotes and list items), as a stack: the innermost one is the last."""

    def __init__(self) -> None:
        self.items: list[Container] = []
        self._frozen: tuple[Container, ...] | None = ()
        """The stack as a tuple; None if it has changed since the last `freeze`."""
        self.outermost_quote = -1
        """Index of the outermost quote; -1 if there is none."""
        self.open_list_marker: str | None = None
        """The marker of the open top-level list, even between its items; None if no list is open."""

    def match(self, text: str, content_at: int, *, complete: bool) -> MatchedLine | None:
        """Match a line against the open containers; return None if more of the line is needed."""
        start, in_doubt, size = 0, False, len(text)
        content_starts = [0]
        for container in self.items:
            if container.quote:
                if content_at == size or text[content_at] != ">":
                    break
                # markdown-it continues a quote no matter how far its mark is indented; other parsers do not.
                in_doubt = in_doubt or content_at - start > 3
                start = skip_quote_mark(text, content_at)
                content_at = skip_blanks(text, start)
                if content_at == size and not complete:
                    # The rest of the line decides how far its content is indented.
                    return None
            elif content_at - start >= container.indent:
                # The line is indented far enough to be content of this list item.
                start += container.indent
            elif content_at == size and not container.is_empty:
                # A blank line continues a list item that has content.
                start = content_at
            else:
                break
            content_starts.append(start)
        return MatchedLine(
            text, content_starts, content_at, len(content_starts) - 1, content_at - start, in_doubt
        )

    def close_inner(self, count: int) -> None:
        """Close all but the outermost `count` containers."""
        if count < len(self.items):
            del self.items[count:]
            self._frozen = None
            if self.outermost_quote >= count:
                self.outermost_quote = -1

    def enter(self, opened: list[Container]) -> None:
        if self.outermost_quote < 0:
            for index, container in enumerate(opened, len(self.items)):
                if container.quote:
                    self.outermost_quote = index
                    break
        if opened:
            self.items += opened
            # The cached tuple of the stack is out of date.
            self._frozen = None

    def freeze(self) -> tuple[Container, ...]:
        if self._frozen is None:
            self._frozen = tuple(self.items)
        return self._frozen

    def continues_list(self, opened: list[Container], level: int) -> bool:
        """Return True if the first container that a line opens is the next item of an open list."""
        if not opened or opened[0].quote:
            return False
        if level == 0:
            return self.open_list_marker == opened[0].marker
        return level < len(self.items) and self.items[level].marker == opened[0].marker


def skip_quote_mark(text: str, position: int) -> int:
    return position + 2 if text[position + 1 : position + 2] == " " else position + 1


class LineKind:
    """Kinds of content that a line can begin or continue."""

    UNDECIDED = "undecided"
    """The kind of the line is not decided yet: more of the line is needed."""
    TEXT = "paragraph"
    NOTHING = "nothing"
    """A line that is blank, except for the marks of quotes and list items."""
    CODE = "code"
    """Indented code."""
    FENCE = "fence"
    HTML = "html"
    HEADING = "heading"
    RULE = "rule"
    """A horizontal rule, such as `---`."""
    MATH = "math"
    """A displayed formula."""
    TABLE = "table"


class Opening(NamedTuple):
    """The containers and the leaf that a line opens."""

    kind: str
    containers: list[Container]
    content_starts: list[int]
    """The start of the content at each level: in the continued containers, and in each opened container."""
    content_at: int
    """The position in the line at which the leaf's content starts."""
    size: int = 0
    """The fence's length, the heading's level, or the kind of HTML block."""


_WAIT = Opening(LineKind.UNDECIDED, containers=[], content_starts=[], content_at=0)


class _OpeningLine:
    """A line that is read from left to right, to find the containers and the leaf that it opens.

    Each `read_…` method reads the mark at the current position. It returns what the line opens, or
    `_WAIT` (undecided) if more of the line is needed. None means that the mark belongs to a container,
    in which the line has to be read on. The arguments are those of `read_opening`.
    """

    def __init__(
        self, line_match: MatchedLine, math: str, *, complete: bool, same_level: bool, would_interrupt: bool
    ) -> None:
        self.text = line_match.text
        self.container_at = line_match.content_starts[-1]
        """The start of the content of the innermost container."""
        self.content_at = line_match.content_at
        """The position of the first character in the innermost container that is not blank."""
        self.math = math
        """The opening mark of displayed formulas; "" if they are not recognised."""
        self.complete = complete
        self.same_level = same_level
        """True if a paragraph is open directly in the containers that the line continues."""
        self.would_interrupt = would_interrupt
        """True if a block that begins here would interrupt a paragraph or a table."""
        self.containers: list[Container] = []
        self.content_starts = [self.container_at]
        """The start of the content before the opened containers, and within each of them."""
        self.rule_ends: dict[str, int] = {}
        """For each character that thematic breaks consist of, the end of the text that could be a break."""

    def make_opening(self, kind: str, size: int = 0) -> Opening:
        """Return the line's opening; `size` is a fence's length, a heading's level or a kind of HTML."""
        return Opening(kind, self.containers, self.content_starts, self.content_at, size)

    def enter(self, container: Container, container_at: int) -> None:
        """Add a container (quote or list item) that the line opens; its content starts at `container_at`."""
        self.containers.append(container)
        self.container_at = container_at
        self.content_starts.append(container_at)

    # Each of the following methods reads the mark at `content_at`. It returns what the line opens,
    # _WAIT if more of the line is needed, or None if it has entered a container, to read on in it.

    def read_quote(self) -> Opening | None:
        """Enter a quote; return None if its content follows, the opening if the line is over, or `_WAIT`."""
        container_at = skip_quote_mark(self.text, self.content_at)
        self.enter(Container(">", 0), container_at)
        self.content_at = skip_blanks(self.text, container_at)
        if self.content_at < len(self.text):
            return None
        return self.make_opening(LineKind.NOTHING) if self.complete else _WAIT

    def read_heading(self) -> Opening | None:
        """Read `#` marks: return the opening of a heading, or of text if the marks do not begin one."""
        level = find_heading_level(self.text, self.content_at, complete=self.complete)
        return self._make_opening_of_size(LineKind.HEADING, level)

    def read_fence(self) -> Opening | None:
        """Read backticks or tildes: return the opening of a code block, or of text if they are too few."""
        size = find_fence_length(self.text, self.content_at, complete=self.complete)
        return self._make_opening_of_size(LineKind.FENCE, size)

    def read_html(self) -> Opening | None:
        """Read `<`: return the opening of an HTML block, or of text if `<` does not begin one."""
        # In a container that this line opens, there is no paragraph or table yet.
        would_interrupt = self.would_interrupt and not self.containers
        kind = find_html_kind(
            self.text, self.content_at, complete=self.complete, would_interrupt=would_interrupt
        )
        return self._make_opening_of_size(LineKind.HTML, kind)

    def read_formula(self) -> Opening | None:
        """Return an opening of a formula, of text if its mark is missing, or an undecided one."""
        # `math` is the opening mark, of two characters; "" if formulas are not recognised.
        mark, written = self.math, self.text[self.content_at : self.content_at + 2]
        # In a container that this line opens, there is no paragraph or table yet.
        interrupts = self.would_interrupt and not self.containers
        if not mark or interrupts:
            # Formulas are not recognised, or would interrupt a paragraph or a table, which they must not do.
            return self.make_opening(LineKind.TEXT)
        if written == mark[0] and not self.complete:
            return _WAIT
        return self.make_opening(LineKind.MATH if written == mark else LineKind.TEXT)

    def _make_opening_of_size(self, kind: str, size: int) -> Opening:
        """Convert the result of a recogniser, such as `find_fence_length`, to an opening."""
        if size == MORE_NEEDED:
            return _WAIT
        return self.make_opening(kind, size) if size else self.make_opening(LineKind.TEXT)

    def read_rule(self) -> Opening | None:
        """Read a possible thematic break, such as `---`: return it, text, or `_WAIT` while it is undecided.

        The result is None if there is no break, but there may be a list item. No character is read twice: the
        end of the possible break is remembered.
        """
        mark = self.text[self.content_at]
        rule_end = self.rule_ends.get(mark, -1)
        if rule_end < self.content_at:
            match = _NOT_MARK[mark].search(self.text, self.content_at)
            rule_end = self.rule_ends[mark] = match.start() if match else len(self.text)
        if rule_end == len(self.text):
            if not self.complete:
                return _WAIT
            if self.text.count(mark, self.content_at) >= 3:
                return self.make_opening(LineKind.RULE)
        # An underscore, unlike a hyphen or an asterisk, is not a bullet.
        return self.make_opening(LineKind.TEXT) if mark == "_" else None

    def read_bullet(self) -> Opening | None:
        """Read `-`, `+` or `*`: return a thematic break or text, or enter a list item and return None."""
        if self.text[self.content_at] != "+" and (rule := self.read_rule()) is not None:
            return rule
        return self.read_item(self.text[self.content_at], self.content_at + 1, limited=False)

    def read_number(self) -> Opening | None:
        """Read the number of a list item and the mark after it, and enter the item.

        The result is None if the item's content is still to be read; otherwise the opening, which is text if
        no item begins here, or `_WAIT`. Only an item with the number 1 can interrupt a paragraph.
        """
        match = _ORDERED.match(self.text, self.content_at)
        if match is None:
            may_be_number = _DIGITS.match(self.text, self.content_at) is not None
            return _WAIT if may_be_number and not self.complete else self.make_opening(LineKind.TEXT)
        return self.read_item(match[2], match.end(), limited=int(match[1]) != 1)

    def read_item(self, marker: str, marker_end: int, *, limited: bool) -> Opening | None:
        """Enter a list item, whose marker was found; or find out that no item begins here.

        The result is None once the item is entered, `_WAIT` while more of the line is needed, and else the
        opening of an empty item or of text. A `limited` item's number bars it from interrupting a paragraph.
        """
        text = self.text
        if marker_end == len(text) and not self.complete:
            return _WAIT
        # At the end of the line, the slice is "", which counts as a blank.
        if text[marker_end : marker_end + 1] not in BLANKS:
            return self.make_opening(LineKind.TEXT)
        label = text[self.content_at : marker_end]
        content_start = skip_blanks(text, marker_end)
        is_empty = content_start == len(text)
        if is_empty and not self.complete:
            return _WAIT
        interrupts = self.same_level and not self.containers
        if interrupts and (is_empty or limited):
            # An empty item cannot interrupt a paragraph either.
            return self.make_opening(LineKind.TEXT)
        if is_empty:
            # The content may follow on the next lines, at least one column after the marker.
            indent = marker_end - self.container_at + 1
            self.enter(Container(marker, indent, label=label, is_empty=True), content_start)
            self.content_at = content_start
            return self.make_opening(LineKind.NOTHING)
        blanks = content_start - marker_end
        # After more blanks, the content is indented code, which begins after the first blank.
        container_at = content_start if blanks <= CODE_INDENT else marker_end + 1
        self.enter(Container(marker, container_at - self.container_at, label=label), container_at)
        self.content_at = content_start
        return None


_OPENERS: dict[str, Callable[[_OpeningLine], Opening | None]] = {
    "#": _OpeningLine.read_heading,
    ">": _OpeningLine.read_quote,
    "-": _OpeningLine.read_bullet,
    "+": _OpeningLine.read_bullet,
    "*": _OpeningLine.read_bullet,
    "_": _OpeningLine.read_rule,
    "`": _OpeningLine.read_fence,
    "~": _OpeningLine.read_fence,
    "<": _OpeningLine.read_html,
    "$": _OpeningLine.read_formula,
    "\\": _OpeningLine.read_formula,
    **dict.fromkeys("0123456789", _OpeningLine.read_number),
}


def read_opening(
    line_match: MatchedLine,
    *,
    complete: bool,
    math: str,
    in_paragraph: bool = False,
    same_level: bool = False,
    would_interrupt: bool = False,
) -> Opening:
    """Return the containers and the leaf that a line opens, after the containers that it continues."""
    text, content_at = line_match.text, line_match.content_at
    if text[content_at] not in _OPENERS and line_match.indent < CODE_INDENT:
        # Most lines: text, which opens no containers.
        return Opening(LineKind.TEXT, [], [line_match.content_starts[-1]], content_at)
    line = _OpeningLine(
        line_match, math, complete=complete, same_level=same_level, would_interrupt=would_interrupt
    )
    while True:
        if line.content_at - line.container_at >= CODE_INDENT:
            # Indented code cannot interrupt a paragraph.
            continues_paragraph = in_paragraph and not line.containers
            return line.make_opening(LineKind.TEXT if continues_paragraph else LineKind.CODE)
        read_mark = _OPENERS.get(text[line.content_at])
        if read_mark is None:
            return line.make_opening(LineKind.TEXT)
        # None means that a container was entered, in which the line may open more blocks.
        opening = read_mark(line)
        if opening is not None:
            return opening

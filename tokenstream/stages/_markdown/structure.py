"""The block structure of a Markdown text, line by line, as in CommonMark: containers and a leaf."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.containers import Containers, Matched, skip_blanks
from tokenstream.stages._markdown.html_tags import OpenTag
from tokenstream.stages._markdown.leaf import Leaf, content_offset, is_underline
from tokenstream.stages._markdown.math import MARKS, continues_formula
from tokenstream.stages._markdown.openings import LineKind, read_opening
from tokenstream.stages._markdown.starts import (
    count_columns,
    count_delimiter_columns,
    expand_tabs,
    may_be_delimiter,
)

if TYPE_CHECKING:
    from tokenstream.stages._markdown.definitions import Definition
    from tokenstream.stages._markdown.inline import Math
    from tokenstream.stages._markdown.openings import Opening

UNDECIDED, SAME, NEW, SPLIT, BLANK = range(5)
"""The effects of a line on the blocks.

| effect | meaning |
|---|---|
| `UNDECIDED` | more of the line is needed |
| `SAME` | the line continues the open block |
| `NEW` | the line begins a block |
| `SPLIT` | the line and the line before it begin a block; the line before leaves the open block |
| `BLANK` | the line is blank, and belongs to the open block only if that block continues |
"""

_ODD = frozenset("#>-+*_=0123456789`~<|:")
_ITEMS = frozenset("-+*0123456789")
_NO_PLACE = 1 << 60


class _Head(NamedTuple):
    """A line that may be the first row of a table, at one of several levels of containers."""

    level: int
    places: list[int]
    """The start of the row if the table begins at `level`, one level deeper, and so on."""
    text: str = ""


class BlockStructure:
    """Assigns each line to a top-level block, as early in the line as the assignment is certain.

    Pass a growing line to `take` until that decides, and to `finish` when the line is whole.
    If parsers disagree about a line, no block ends before the next blank line: fewer, longer
    blocks are always right, since each parser then sees the same text as in the whole document.
    """

    def __init__(self, *, tables: bool, math: Math | None = None, merge_html: bool = False) -> None:
        self.containers = Containers()
        self.leaf: Leaf | None = None
        self.open = False
        """True while a block is open."""
        self.kind = ""
        self.kind_before = ""
        """The kind of the block that ended with the last decided line."""
        self.defined: list[Definition] = []
        """Whole link definitions that the caller has not taken yet."""
        self._tables = tables
        self._mark = MARKS[math]
        """The opening mark of displayed formulas."""
        self._tag = OpenTag() if merge_html else None
        self._doubt = False
        """True while parsers disagree on the ends of blocks."""
        self._doubt_ends = False
        """True after a blank line: the doubt ends unless the next line can be part of a list."""
        self._row: _Head | None = None
        """The open line, if it may be the first row of a table."""
        self._head: _Head | None = None
        """The previous line, if it may be the first row of a table."""
        self._odd_row = False
        """True if parsers disagree on whether the open line can be the first row of a table."""

    @property
    def heads(self) -> bool:
        """True if the last line may be the first row of a table."""
        return self._tables and (self._head is not None or self._row is not None)

    # -- a line ------------------------------------------------------------

    def take(self, line: str, *, complete: bool) -> int:
        """Decide on a line, or on the part of it that has arrived; return the effect."""
        text = expand_tabs(line)
        seen = skip_blanks(text, 0)
        if seen == len(text):
            return self._take_blank(line) if complete else UNDECIDED
        if self._doubt_ends:
            # Another parser may have seen a list, which a blank line does not end.
            self._doubt = seen > 0 or text[seen] in _ITEMS
            self._doubt_ends = False
        if self.containers.items:
            matched = self.containers.match(text, seen, complete=complete)
            if matched is None:
                return UNDECIDED
            if matched.seen == len(text):
                return self._take_blank_within(matched.level)
        else:
            matched = Matched(text, [0], seen, 0, seen)
        decided = self._decide(line, matched, complete=complete)
        if matched.odd and decided != UNDECIDED:
            self._doubt = True
        return decided

    def finish(self, line: str) -> None:
        """Update the state at the end of the line that was decided last."""
        leaf, row = self.leaf, self._row
        self._head = self._row = None
        if self._tables and "|" in line:
            self._head = row and row._replace(text=expand_tabs(line))
            self._doubt = self._doubt or self._odd_row
        if leaf is not None and leaf.is_row(line):
            # In cmark, the first row of a one-column table needs no pipe.
            self._doubt = True
        self._odd_row = False
        if self.containers.quote_at >= 0 and "\t" in line and line.count(">") > 1:
            # markdown-it counts a tab's columns from the inner one of two quotes.
            self._doubt = True
        if leaf is not None:
            if leaf.kind in {LineKind.TABLE, LineKind.MATH}:
                # In markdown-it, a row of no-break spaces or form feeds counts as blank, and ends the table.
                self._doubt = self._doubt or not line.strip("> \t").strip()
            if leaf.kind == LineKind.MATH:
                self._finish_formula(leaf, line)
            elif leaf.kind == LineKind.TEXT and leaf.defines:
                self._read_definitions(leaf, line)
            elif leaf.kind == LineKind.HEADING or (leaf.kind == LineKind.HTML and leaf.ends_html(line)):
                self.leaf = None
        if self._tag is not None:
            self._read_tags(self._tag, line)
        self.open = self.leaf is not None or self._is_open() or self._doubt or self._head is not None

    def end(self) -> None:
        """Close all blocks at the end of the text."""
        self._close_leaf()
        self.open = False

    def _is_open(self) -> bool:
        containers = self.containers
        return (
            self.leaf is not None or bool(containers.items) or containers.listed is not None or self._merges
        )

    @property
    def _merges(self) -> bool:
        """True while raw HTML is open, and the following blocks are merged into it."""
        return self._tag is not None and self._tag.open

    # -- blank lines -------------------------------------------------------

    def _take_blank(self, line: str) -> int:
        """Take a line that is blank outside of all containers; return the effect."""
        containers = self.containers
        self._doubt_ends = self._doubt
        within = containers.quote_at if containers.quote_at >= 0 else len(containers.items)
        if self._end_paragraph(within):
            return SAME
        if within == len(containers.items) and containers.items and containers.items[-1].bare:
            containers.close_inner(within - 1)
            # In cmark, a line of blanks alone begins the content of the item.
            self._doubt = self._doubt_ends = self._doubt or bool(line)
        self.open = self._is_open() or self._doubt
        return BLANK

    def _take_blank_within(self, matched: int) -> int:
        """Take a line that is blank after its quote marks; return the effect.

        Args:
            matched: Number of the containers that the line continues.
        """
        if self._end_paragraph(matched) and self.leaf is not None and self.leaf.kind == LineKind.HTML:
            self.leaf.note_html_offset()
        return SAME

    def _end_paragraph(self, matched: int) -> bool:
        """Close the blocks that a blank line ends; return True if the line belongs to the open leaf instead.

        Args:
            matched: Number of the containers that the line continues.
        """
        self._head = self._row = None
        leaf = self.leaf
        whole = matched == len(self.containers.items)
        if whole and leaf is not None and leaf.keeps_blanks:
            if leaf.kind == LineKind.MATH:
                # In some renderers, a formula cannot contain a blank line.
                self._doubt, self._doubt_ends = True, False
                leaf.offsets.append(0)
            return True
        if leaf is not None and not (whole and leaf.kind == LineKind.CODE):
            self._close_leaf()
        self.containers.close_inner(matched)
        return False

    # -- tables ------------------------------------------------------------

    def _try_second_row(self, head: _Head, matched: Matched, *, complete: bool) -> int | None:
        """Begin a table if this line is its second row and the previous line its first.

        Returns the effect of the line; None if there is no table.
        """
        text, seen = matched.text, matched.seen
        if not may_be_delimiter(text, seen):
            return None
        deepest = head.level + len(head.places) - 1
        for level in range(head.level, min(matched.level, deepest) + 1):
            at = matched.places[level]
            # A mark of a container before the row means that this is no row of a table at this level.
            if seen - at > 3 or text[at:seen].strip(" \t"):
                continue
            if not complete:
                return UNDECIDED
            columns = count_delimiter_columns(text, seen)
            if columns and columns == count_columns(head.text[head.places[level - head.level] :]):
                return self._begin_table(level, matched, alone=level < deepest)
        return None

    def _begin_table(self, level: int, matched: Matched, *, alone: bool) -> int:
        """Begin a table at a level of containers; return the effect of its second row.

        Args:
            level: The number of containers around the table.
            matched: The second row.
            alone: Whether the table could also begin at a deeper level.
        """
        leaf = self.leaf
        text = leaf is not None and leaf.kind == LineKind.TEXT
        lines = len(leaf.offsets) if leaf is not None and text else 0
        # Parsers disagree if the table begins with the mark of a container or of a heading, or if its
        # second row may also be the underline of a heading of several lines.
        unsure = alone or not text or (lines > 1 and is_underline(matched))
        outside = not self.containers.items
        merged = self._doubt or self._merges
        split = lines > 1 and outside and not merged and not unsure
        self._doubt = self._doubt or unsure
        self._close_leaf()
        self.kind_before = self.kind
        self.containers.close_inner(level)
        self.leaf = Leaf(LineKind.TABLE, matched.text, matched.seen)
        self._row = None
        if level == 0:
            self.containers.listed = None
            if split or (lines < 2 and not merged):
                self.kind = "table"
        return SPLIT if split else SAME

    # -- everything else ---------------------------------------------------

    def _decide(self, line: str, matched: Matched, *, complete: bool) -> int:
        """Decide on a line that is not blank; return the effect."""
        if self._head is not None and matched.text[matched.seen] in "|-:":
            found = self._try_second_row(self._head, matched, complete=complete)
            if found is not None:
                return found
        leaf = self.leaf
        if leaf is None:
            return self._begin(read_opening(matched, math=self._mark, complete=complete), line, matched)
        if matched.level == len(self.containers.items):
            found = self._continue_leaf(leaf, line, matched, complete=complete)
            if found is not None:
                return found
        if leaf.kind == LineKind.MATH:
            # A formula in a list may end on a line outside of the list; a formula in a quote may not.
            self._doubt = True
            if self.containers.quote_at < 0:
                leaf.offsets.append(content_offset(line, matched.text, matched.seen))
                return SAME
            leaf.kind = LineKind.TEXT
        if leaf.kind == LineKind.TEXT:
            return self._take_with_paragraph(leaf, line, matched, complete=complete)
        return self._begin(read_opening(matched, math=self._mark, complete=complete), line, matched)

    def _continue_leaf(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int | None:
        """Let the open leaf take a line; return the effect, or None if the leaf leaves it to other rules."""
        kind = leaf.kind
        if kind == LineKind.FENCE:
            closes = leaf.closes_fence(matched, complete=complete)
            if closes is None:
                return UNDECIDED
            if closes:
                self.leaf = None
            return SAME
        if kind == LineKind.HTML:
            leaf.note_html_offset(content_offset(line, matched.text, matched.seen))
            return SAME
        if kind == LineKind.MATH:
            leaf.offsets.append(content_offset(line, matched.text, matched.seen))
            return SAME
        if kind == LineKind.CODE:
            return SAME if matched.indent >= 4 else None
        if kind == LineKind.TABLE:
            opening = read_opening(matched, math=self._mark, complete=complete, interrupts=True)
            if opening.what == LineKind.TEXT and not opening.containers:
                return SAME
            return self._begin(opening, line, matched)
        return self._take_underline(leaf, matched, complete=complete) if is_underline(matched) else None

    def _take_underline(self, leaf: Leaf, matched: Matched, *, complete: bool) -> int | None:
        """Make a paragraph a heading if this line is its underline; return the effect, or None if not."""
        if not complete:
            return UNDECIDED
        if leaf.reader is not None and leaf.reader.fresh:
            return None
        # Some parsers continue an open definition with this line, others see a heading's underline.
        self._doubt = self._doubt or leaf.defines
        self._close_leaf()
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "heading"
        return SAME

    def _take_with_paragraph(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int:
        """Take a line while a paragraph is open, in the containers that the line continues or deeper."""
        whole = matched.level == len(self.containers.items)
        opening = read_opening(
            matched, math=self._mark, complete=complete, para=True, direct=whole, interrupts=True
        )
        if opening.what != LineKind.TEXT or opening.containers:
            return self._begin(opening, line, matched)
        if self._mark and whole and self._may_open_formula(matched):
            if not complete:
                return UNDECIDED
            if matched.text.endswith(self._mark, 0, len(matched.text.rstrip(" \t"))):
                return self._open_formula(line, matched)
        character = matched.text[matched.seen]
        odd = character in _ODD
        reader = leaf.reader
        if reader is not None and leaf.defines:
            if whole and not reader.may_continue(character):
                return self._take_after_definitions(leaf, line, matched, complete=complete)
            self._doubt = self._doubt or odd or not whole
        # Some parsers let a lone tag end the paragraph if the line does not continue all containers.
        self._doubt = self._doubt or (odd and not whole and (matched.indent >= 4 or character == "<"))
        leaf.offsets.append(content_offset(line, matched.text, matched.seen))
        if whole and matched.indent < 4:
            self._row = _Head(matched.level, [matched.seen])
        else:
            self._odd_row = True
        return SAME

    def _take_after_definitions(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int:
        """Take a line after definitions.

        Some parsers begin a block here; if the line opens a block, none ends before a blank line.
        """
        opening = read_opening(matched, math=self._mark, complete=complete)
        if opening.what == LineKind.TEXT and not opening.containers:
            leaf.offsets.append(content_offset(line, matched.text, matched.seen))
            self._row = _Head(matched.level, [matched.seen])
            return SAME
        if opening.what != LineKind.UNDECIDED:
            self._doubt = True
        return self._begin(opening, line, matched)

    def _begin(self, opening: Opening, line: str, matched: Matched) -> int:
        """Close the blocks that the line does not continue, and open the blocks that it begins."""
        what, new = opening.what, opening.containers
        if what == LineKind.UNDECIDED:
            return UNDECIDED
        self._close_leaf()
        containers, count = self.containers, matched.level
        sibling = containers.continues_list(new, count)
        same = self.open and (count > 0 or sibling or self._doubt or self._merges)
        if containers.items and count == len(containers.items):
            containers.items[-1].bare = False
        containers.close_inner(count)
        containers.enter(new)
        if count == 0:
            containers.listed = new[0].marker if new and not new[0].quote else None
        self._row = self._possible_row(opening, count, sibling=sibling)
        if what not in {LineKind.NOTHING, LineKind.RULE}:
            self.leaf = Leaf(what, matched.text, opening.seen, line=line, size=opening.size)
        self.open = True
        if same:
            return SAME
        self.kind_before = self.kind
        self.kind = what if not new else "quote" if new[0].quote else "list"
        return NEW

    def _possible_row(self, opening: Opening, level: int, *, sibling: bool) -> _Head:
        """Return the places in a line at which a table may begin; markdown-it looks for tables first."""
        places = opening.places
        if opening.what == LineKind.CODE:
            places[-1] = _NO_PLACE
        return _Head(level + 1, places[1:]) if sibling else _Head(level, places)

    # -- formulas and raw HTML ---------------------------------------------

    def _may_open_formula(self, matched: Matched) -> bool:
        return matched.indent < 4 and self._mark.startswith(matched.text[matched.seen :].rstrip(" \t"))

    def _open_formula(self, line: str, matched: Matched) -> int:
        """Open a formula directly below text; for some renderers, it is part of the paragraph."""
        self._close_leaf()
        self._doubt = True
        self.leaf = Leaf(LineKind.MATH, matched.text, matched.seen, line=line)
        return SAME

    def _finish_formula(self, leaf: Leaf, line: str) -> None:
        """Let a formula take a whole line: it goes on, ends, or turns out to be text."""
        goes_on = continues_formula(self._mark, line[leaf.offsets[0] :] if not leaf.size else line, leaf.size)
        if goes_on:
            leaf.size += len(line) + 1
            return
        if goes_on is None:
            self._doubt = True
            if not leaf.size:
                text = Leaf(LineKind.TEXT, line, leaf.offsets[0], line=line)
                text.first, text.start = leaf.first, leaf.start
                self.leaf = text
                if not self.containers.items and self.kind == "math":
                    self.kind = "paragraph"
                return
        self.leaf = None

    def _read_tags(self, tag: OpenTag, line: str) -> None:
        """Track the tag that an HTML block leaves open if a blank line ends the block."""
        leaf = self.leaf
        if tag.open:
            if leaf is None or leaf.kind not in {LineKind.FENCE, LineKind.CODE}:
                tag.read(line)
        elif self.kind == "html" and leaf is not None and leaf.kind == LineKind.HTML and leaf.size > 5:
            tag.begin(line)

    # -- definitions -------------------------------------------------------

    def _read_definitions(self, leaf: Leaf, line: str) -> None:
        """Pass a whole line of a paragraph to the reader of link definitions."""
        reader = leaf.reader
        if reader is None:
            return
        reader.read(line[leaf.offsets[-1] :])
        self._doubt = self._doubt or reader.doubtful
        self._take_definitions(leaf)

    def _close_leaf(self) -> None:
        """Close the open leaf, and take the definitions that its end completes."""
        leaf = self.leaf
        self.leaf = None
        if leaf is not None and leaf.reader is not None:
            leaf.reader.close()
            self._take_definitions(leaf)

    def _take_definitions(self, leaf: Leaf) -> None:
        """Move whole definitions from the leaf to `defined`."""
        reader = leaf.reader
        if reader is None:
            return
        self.defined += reader.done
        reader.done = []
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "definitions" if reader.fresh else "paragraph"

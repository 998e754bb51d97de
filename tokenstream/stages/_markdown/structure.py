"""The structure of a Markdown text, line by line, as CommonMark keeps it: containers and a leaf."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.containers import Containers, Matched, skip_blanks
from tokenstream.stages._markdown.html_tags import OpenTag
from tokenstream.stages._markdown.leaf import Leaf, content_offset, is_underline
from tokenstream.stages._markdown.math import MARKS, reads_on
from tokenstream.stages._markdown.openings import What, starts_at
from tokenstream.stages._markdown.starts import (
    columns_of,
    delimiter_columns,
    expand_tabs,
    may_be_delimiter,
)

if TYPE_CHECKING:
    from tokenstream.stages._markdown.definitions import Definition
    from tokenstream.stages._markdown.inline import Math
    from tokenstream.stages._markdown.openings import Opening

UNDECIDED, SAME, NEW, SPLIT, BLANK = range(5)
"""Names for what a line does to the blocks.

More of it is needed to tell; it goes on with the open block; it begins a block;
it begins one together with the line before, which leaves the open block; it is
blank, and belongs to the open block only if that goes on.
"""

_ODD = frozenset("#>-+*_=0123456789`~<|:")
_ITEMS = frozenset("-+*0123456789")
_NO_PLACE = 1 << 60


class _Head(NamedTuple):
    """A line that may be the first row of a table, seen from several levels of containers."""

    level: int
    places: list[int]
    """Where the row begins, if the table begins at `level`, one level deeper, …"""
    text: str = ""


class Structure:
    """Says of each line, as soon as that is sure, to which top-level block it belongs.

    A line is given to `take` until that decides, then, when it is whole, to
    `finish`. Where parsers do not agree on a line, no cut is made until the next
    blank line: a missing cut is always right, since the same parser then sees the
    same text.
    """

    def __init__(self, *, tables: bool, math: Math | None = None, merge_html: bool = False) -> None:
        self.containers = Containers()
        self.leaf: Leaf | None = None
        self.open = False
        """A block is open."""
        self.kind = ""
        self.kind_before = ""
        """The kind of the block that the line ended which was decided last."""
        self.defined: list[Definition] = []
        """Link definitions that have become whole, and are not yet taken."""
        self._tables = tables
        self._mark = MARKS[math]
        """What displayed formulas begin with."""
        self._tag = OpenTag() if merge_html else None
        self._doubt = False
        """Parsers do not agree on where blocks end here."""
        self._doubt_ends = False
        """A blank line has come, so that all agree again if the next line can be no part of a list."""
        self._row: _Head | None = None
        """The line that is open, if it may be the first row of a table."""
        self._head: _Head | None = None
        """The line before, likewise."""
        self._odd_row = False
        """Parsers do not agree on whether the line that is open can be the first row of a table."""

    @property
    def heads(self) -> bool:
        """The last line may be the first row of a table."""
        return self._tables and (self._head is not None or self._row is not None)

    # -- a line ------------------------------------------------------------

    def take(self, line: str, *, complete: bool) -> int:
        """Decide on a line, or on as much of it as has come."""
        text = expand_tabs(line)
        seen = skip_blanks(text, 0)
        if seen == len(text):
            return self._blank(line) if complete else UNDECIDED
        if self._doubt_ends:
            # In the other reading a list may be open, which a blank line does not end.
            self._doubt = seen > 0 or text[seen] in _ITEMS
            self._doubt_ends = False
        if self.containers.items:
            matched = self.containers.match(text, seen, complete=complete)
            if matched is None:
                return UNDECIDED
            if matched.seen == len(text):
                return self._blank_within(matched.level)
        else:
            matched = Matched(text, [0], seen, 0, seen)
        decided = self._decide(line, matched, complete=complete)
        if matched.odd and decided != UNDECIDED:
            self._doubt = True
        return decided

    def finish(self, line: str) -> None:
        """Take note that the line is whole which was decided last."""
        leaf, row = self.leaf, self._row
        self._head = self._row = None
        if self._tables and "|" in line:
            self._head = row and row._replace(text=expand_tabs(line))
            self._doubt = self._doubt or self._odd_row
        if leaf is not None and leaf.is_row(line):
            # cmark has the second row of a table of one column follow a first row without a pipe.
            self._doubt = True
        self._odd_row = False
        if self.containers.quote_at >= 0 and "\t" in line and line.count(">") > 1:
            # markdown-it counts the columns of a tab from the inner of two quotes.
            self._doubt = True
        if leaf is not None:
            if leaf.kind in {What.TABLE, What.MATH}:
                # To markdown-it a row of no-break spaces or form feeds is blank, and ends the table.
                self._doubt = self._doubt or not line.strip("> \t").strip()
            if leaf.kind == What.MATH:
                self._finish_formula(leaf, line)
            elif leaf.kind == What.TEXT and leaf.defines:
                self._read_definitions(leaf, line)
            elif leaf.kind == What.HEADING or (leaf.kind == What.HTML and leaf.ends_html(line)):
                self.leaf = None
        if self._tag is not None:
            self._read_tags(self._tag, line)
        self.open = self.leaf is not None or self._is_open() or self._doubt or self._head is not None

    def end(self) -> None:
        """Close everything at the end of the text."""
        self._close_leaf()
        self.open = False

    def _is_open(self) -> bool:
        containers = self.containers
        return (
            self.leaf is not None or bool(containers.items) or containers.listed is not None or self._merges
        )

    @property
    def _merges(self) -> bool:
        """Raw HTML is open, and what comes is merged into its block."""
        return self._tag is not None and self._tag.open

    # -- blank lines -------------------------------------------------------

    def _blank(self, line: str) -> int:
        containers = self.containers
        self._doubt_ends = self._doubt
        within = containers.quote_at if containers.quote_at >= 0 else len(containers.items)
        if self._end_paragraph(within):
            return SAME
        if within == len(containers.items) and containers.items and containers.items[-1].bare:
            containers.keep(within - 1)
            # cmark has a line of blanks alone begin the content of the item.
            self._doubt = self._doubt_ends = self._doubt or bool(line)
        self.open = self._is_open() or self._doubt
        return BLANK

    def _blank_within(self, matched: int) -> int:
        """Take a line that is blank behind the marks of quotes."""
        if self._end_paragraph(matched) and self.leaf is not None and self.leaf.kind == What.HTML:
            self.leaf.take_html()
        return SAME

    def _end_paragraph(self, matched: int) -> bool:
        """Close what a blank line closes; return whether it is a line of the open leaf instead."""
        self._head = self._row = None
        leaf = self.leaf
        whole = matched == len(self.containers.items)
        if whole and leaf is not None and leaf.keeps_blanks:
            if leaf.kind == What.MATH:
                # To some no formula holds a blank line.
                self._doubt, self._doubt_ends = True, False
                leaf.offsets.append(0)
            return True
        if leaf is not None and not (whole and leaf.kind == What.CODE):
            self._close_leaf()
        self.containers.keep(matched)
        return False

    # -- tables ------------------------------------------------------------

    def _second_row(self, head: _Head, matched: Matched, *, complete: bool) -> int | None:
        """Begin a table if this line is its second row, and the line before its first."""
        text, seen = matched.text, matched.seen
        if not may_be_delimiter(text, seen):
            return None
        deepest = head.level + len(head.places) - 1
        for level in range(head.level, min(matched.level, deepest) + 1):
            at = matched.places[level]
            # Marks of containers stand between: it is no row of a table at this level.
            if seen - at > 3 or text[at:seen].strip(" \t"):
                continue
            if not complete:
                return UNDECIDED
            columns = delimiter_columns(text, seen)
            if columns and columns == columns_of(head.text[head.places[level - head.level] :]):
                return self._begin_table(level, matched, alone=level < deepest)
        return None

    def _begin_table(self, level: int, matched: Matched, *, alone: bool) -> int:
        leaf = self.leaf
        text = leaf is not None and leaf.kind == What.TEXT
        lines = len(leaf.offsets) if leaf is not None and text else 0
        # A table that begins with the mark of a container or of a heading, or whose second row may as well
        # stand below a heading of several lines, is not a table to all parsers.
        unsure = alone or not text or (lines > 1 and is_underline(matched))
        outside = not self.containers.items
        merged = self._doubt or self._merges
        split = lines > 1 and outside and not merged and not unsure
        self._doubt = self._doubt or unsure
        self._close_leaf()
        self.kind_before = self.kind
        self.containers.keep(level)
        self.leaf = Leaf(What.TABLE, matched.text, matched.seen)
        self._row = None
        if level == 0:
            self.containers.listed = None
            if split or (lines < 2 and not merged):
                self.kind = "table"
        return SPLIT if split else SAME

    # -- everything else ---------------------------------------------------

    def _decide(self, line: str, matched: Matched, *, complete: bool) -> int:
        if self._head is not None and matched.text[matched.seen] in "|-:":
            found = self._second_row(self._head, matched, complete=complete)
            if found is not None:
                return found
        leaf = self.leaf
        if leaf is None:
            return self._begin(starts_at(matched, math=self._mark, complete=complete), line, matched)
        if matched.level == len(self.containers.items):
            found = self._go_on(leaf, line, matched, complete=complete)
            if found is not None:
                return found
        if leaf.kind == What.MATH:
            # In a list the end of a formula is found wherever it stands, in a quote only there.
            self._doubt = True
            if self.containers.quote_at < 0:
                leaf.offsets.append(content_offset(line, matched.text, matched.seen))
                return SAME
            leaf.kind = What.TEXT
        if leaf.kind == What.TEXT:
            return self._beside_text(leaf, line, matched, complete=complete)
        return self._begin(starts_at(matched, math=self._mark, complete=complete), line, matched)

    def _go_on(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int | None:
        """Take a line that the open leaf claims before any other, or return None."""
        kind = leaf.kind
        if kind == What.FENCE:
            closes = leaf.closes_fence(matched, complete=complete)
            if closes is None:
                return UNDECIDED
            if closes:
                self.leaf = None
            return SAME
        if kind == What.HTML:
            leaf.take_html(content_offset(line, matched.text, matched.seen))
            return SAME
        if kind == What.MATH:
            leaf.offsets.append(content_offset(line, matched.text, matched.seen))
            return SAME
        if kind == What.CODE:
            return SAME if matched.indent >= 4 else None
        if kind == What.TABLE:
            opening = starts_at(matched, math=self._mark, complete=complete, interrupts=True)
            if opening.what == What.TEXT and not opening.containers:
                return SAME
            return self._begin(opening, line, matched)
        return self._underline(leaf, matched, complete=complete) if is_underline(matched) else None

    def _underline(self, leaf: Leaf, matched: Matched, *, complete: bool) -> int | None:
        if not complete:
            return UNDECIDED
        if leaf.reader is not None and leaf.reader.fresh:
            return None
        # To some a definition that is open goes on, to others this is the line below a heading.
        self._doubt = self._doubt or leaf.defines
        self._close_leaf()
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "heading"
        return SAME

    def _beside_text(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int:
        """Take a line while a paragraph is open, in the containers that it continues or deeper."""
        whole = matched.level == len(self.containers.items)
        opening = starts_at(
            matched, math=self._mark, complete=complete, para=True, direct=whole, interrupts=True
        )
        if opening.what != What.TEXT or opening.containers:
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
                return self._after_definitions(leaf, line, matched, complete=complete)
            self._doubt = self._doubt or odd or not whole
        # A lone tag ends the paragraph to some where the line continues not all containers.
        self._doubt = self._doubt or (odd and not whole and (matched.indent >= 4 or character == "<"))
        leaf.offsets.append(content_offset(line, matched.text, matched.seen))
        if whole and matched.indent < 4:
            self._row = _Head(matched.level, [matched.seen])
        else:
            self._odd_row = True
        return SAME

    def _after_definitions(self, leaf: Leaf, line: str, matched: Matched, *, complete: bool) -> int:
        """Take a line behind definitions: to some parsers everything begins afresh, so the block goes on."""
        opening = starts_at(matched, math=self._mark, complete=complete)
        if opening.what == What.TEXT and not opening.containers:
            leaf.offsets.append(content_offset(line, matched.text, matched.seen))
            self._row = _Head(matched.level, [matched.seen])
            return SAME
        if opening.what != What.UNDECIDED:
            self._doubt = True
        return self._begin(opening, line, matched)

    def _begin(self, opening: Opening, line: str, matched: Matched) -> int:
        """Close what the line does not continue, and open what it begins."""
        what, new = opening.what, opening.containers
        if what == What.UNDECIDED:
            return UNDECIDED
        self._close_leaf()
        containers, count = self.containers, matched.level
        sibling = containers.begins_beside(new, count)
        same = self.open and (count > 0 or sibling or self._doubt or self._merges)
        if containers.items and count == len(containers.items):
            containers.items[-1].bare = False
        containers.keep(count)
        containers.enter(new)
        if count == 0:
            containers.listed = new[0].marker if new and not new[0].quote else None
        self._row = self._possible_row(opening, count, sibling=sibling)
        if what not in {What.NOTHING, What.RULE}:
            self.leaf = Leaf(what, matched.text, opening.seen, line=line, size=opening.size)
        self.open = True
        if same:
            return SAME
        self.kind_before = self.kind
        self.kind = what if not new else "quote" if new[0].quote else "list"
        return NEW

    def _possible_row(self, opening: Opening, level: int, *, sibling: bool) -> _Head:
        """Return where a table may have begun in a line; markdown-it looks for tables before all else."""
        places = opening.places
        if opening.what == What.CODE:
            places[-1] = _NO_PLACE
        return _Head(level + 1, places[1:]) if sibling else _Head(level, places)

    # -- formulas and raw HTML ---------------------------------------------

    def _may_open_formula(self, matched: Matched) -> bool:
        return matched.indent < 4 and self._mark.startswith(matched.text[matched.seen :].rstrip(" \t"))

    def _open_formula(self, line: str, matched: Matched) -> int:
        """Open a formula that stands below text: to some it is part of the paragraph."""
        self._close_leaf()
        self._doubt = True
        self.leaf = Leaf(What.MATH, matched.text, matched.seen, line=line)
        return SAME

    def _finish_formula(self, leaf: Leaf, line: str) -> None:
        goes_on = reads_on(self._mark, line[leaf.offsets[0] :] if not leaf.size else line, leaf.size)
        if goes_on:
            leaf.size += len(line) + 1
            return
        if goes_on is None:
            self._doubt = True
            if not leaf.size:
                text = Leaf(What.TEXT, line, leaf.offsets[0], line=line)
                text.first, text.start = leaf.first, leaf.start
                self.leaf = text
                if not self.containers.items and self.kind == "math":
                    self.kind = "paragraph"
                return
        self.leaf = None

    def _read_tags(self, tag: OpenTag, line: str) -> None:
        leaf = self.leaf
        if tag.open:
            if leaf is None or leaf.kind not in {What.FENCE, What.CODE}:
                tag.read(line)
        elif self.kind == "html" and leaf is not None and leaf.kind == What.HTML and leaf.size > 5:
            tag.begin(line)

    # -- definitions -------------------------------------------------------

    def _read_definitions(self, leaf: Leaf, line: str) -> None:
        reader = leaf.reader
        if reader is None:
            return
        reader.read(line[leaf.offsets[-1] :])
        self._doubt = self._doubt or reader.doubtful
        self._take_definitions(leaf)

    def _close_leaf(self) -> None:
        leaf = self.leaf
        self.leaf = None
        if leaf is not None and leaf.reader is not None:
            leaf.reader.close()
            self._take_definitions(leaf)

    def _take_definitions(self, leaf: Leaf) -> None:
        reader = leaf.reader
        if reader is None:
            return
        self.defined += reader.done
        reader.done = []
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "definitions" if reader.fresh else "paragraph"

"""The block structure of a Markdown text, line by line, as in CommonMark: containers and a leaf."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokenstream.stages._markdown.leaf import (
    MARKS,
    NOWHERE,
    Leaf,
    PossibleRow,
    content_offset,
    continues_formula,
    is_underline,
    make_possible_row,
)
from tokenstream.stages._markdown.openings import Containers, LineKind, MatchedLine, read_opening, skip_blanks
from tokenstream.stages._markdown.starts import CODE_INDENT, MORE_NEEDED, expand_tabs

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

_MAY_BEGIN_BLOCK = frozenset("#>-+*_=0123456789`~<|:")
_MAY_BEGIN_ITEM = frozenset("-+*0123456789")


class BlockStructure:
    """Assigns each line to a top-level block, as early in the line as the assignment is certain.

    Pass a growing line to `decide_line` until that decides, and to `finish_line` when the line is whole.
    If parsers disagree about a line, no block ends before the next blank line: fewer, longer
    blocks are always right, since each parser then sees the same text as in the whole document.
    The options are those of `MarkdownBlocks`. In the methods, `line` is the original line, and
    `line_match` is the line with tabs expanded, together with the containers that it continues.
    """

    def __init__(self, *, tables: bool, math: Math | None = None) -> None:
        self.containers = Containers()
        self.leaf: Leaf | None = None
        """The open paragraph, heading, fence or other block with text; None if there is none."""
        self.open = False
        self.kind = ""
        """The kind of the open block; see `MarkdownBlock.kind`."""
        self.kind_before = ""
        """The kind of the block that ended with the last decided line."""
        self.new_definitions: list[Definition] = []
        """Whole link definitions that the caller has not taken yet."""
        self._tables = tables
        self._math_mark = MARKS[math]
        self._in_doubt = False
        """True while parsers disagree on the ends of blocks; the open block then takes every line."""
        self._doubt_may_end = False
        """True after a blank line: the doubt ends unless the next line can be part of a list."""
        self._open_row: PossibleRow | None = None
        """The open line, if it may be the first row of a table."""
        self._previous_row: PossibleRow | None = None
        """The previous line, if it may be the first row of a table."""
        self._row_in_doubt = False
        """True if parsers disagree on whether the open line can be the first row of a table."""

    @property
    def may_begin_table(self) -> bool:
        """True if the last line may be the first row of a table."""
        return self._tables and (self._previous_row is not None or self._open_row is not None)

    # -- a line ------------------------------------------------------------

    def decide_line(self, line: str, *, complete: bool) -> int:
        """Assign a line, or what has arrived of it, to a block; return the effect, such as `SPLIT`."""
        text = expand_tabs(line)
        content_at = skip_blanks(text, 0)
        if content_at == len(text):
            return self._take_blank(line) if complete else UNDECIDED
        if self._doubt_may_end:
            # Another parser may have seen a list, which a blank line does not end.
            self._in_doubt = content_at > 0 or text[content_at] in _MAY_BEGIN_ITEM
            self._doubt_may_end = False
        if self.containers.items:
            line_match = self.containers.match(text, content_at, complete=complete)
            if line_match is None:
                return UNDECIDED
            if line_match.content_at == len(text):
                return self._take_blank_within(line_match.level)
        else:
            line_match = MatchedLine(text, [0], content_at, 0, content_at)  # a line in no container
        effect = self._decide_content(line, line_match, complete=complete)
        if line_match.in_doubt and effect != UNDECIDED:
            self._in_doubt = True
        return effect

    def finish_line(self, line: str) -> None:
        """Update the state at the end of the line that was decided last, and close a leaf that ends here."""
        leaf, row = self.leaf, self._open_row
        self._previous_row = self._open_row = None
        if self._tables and "|" in line:
            # The next line decides whether this one is the first row of a table.
            self._previous_row = row and row._replace(text=expand_tabs(line))
            self._in_doubt = self._in_doubt or self._row_in_doubt
        if leaf is not None and leaf.may_be_second_row(line):
            # In cmark, the first row of a one-column table needs no pipe.
            self._in_doubt = True
        self._row_in_doubt = False
        if self.containers.outermost_quote >= 0 and "\t" in line and line.count(">") > 1:
            # markdown-it counts a tab's columns from the inner one of two quotes.
            self._in_doubt = True
        if leaf is not None:
            if leaf.kind in {LineKind.TABLE, LineKind.MATH}:
                # In markdown-it, a row of no-break spaces or form feeds counts as blank, and ends the table.
                self._in_doubt = self._in_doubt or not line.strip("> \t").strip()
            if leaf.kind == LineKind.MATH:
                self._finish_formula(leaf, line)
            elif leaf.kind == LineKind.TEXT and leaf.defines:
                self._read_definitions(leaf, line)
            elif leaf.kind == LineKind.HEADING or (leaf.kind == LineKind.HTML and leaf.ends_html(line)):
                self.leaf = None
        self.open = self._is_open() or self._in_doubt or self._previous_row is not None

    def end(self) -> None:
        self._close_leaf()
        self.open = False

    def _is_open(self) -> bool:
        containers = self.containers
        return self.leaf is not None or bool(containers.items) or containers.open_list_marker is not None

    # -- blank lines -------------------------------------------------------

    def _take_blank(self, line: str) -> int:
        """Take a wholly blank line; return `SAME` if open code, HTML or math contains it, else `BLANK`."""
        containers = self.containers
        self._doubt_may_end = self._in_doubt
        # A blank line ends a quote, but not a list item.
        count = containers.outermost_quote if containers.outermost_quote >= 0 else len(containers.items)
        if self._close_at_blank(count):
            return SAME
        if count == len(containers.items) and containers.items and containers.items[-1].is_empty:
            # An item that began with an empty line ends at a second one.
            containers.close_inner(count - 1)
            # In cmark, a line of blanks alone begins the content of the item.
            self._in_doubt = self._doubt_may_end = self._in_doubt or bool(line)
        self.open = self._is_open() or self._in_doubt
        return BLANK

    def _take_blank_within(self, level: int) -> int:
        """Take a line that is blank after its quote marks; return `SAME`: it continues the open block."""
        if self._close_at_blank(level) and self.leaf is not None and self.leaf.kind == LineKind.HTML:
            # The line belongs to the HTML, but has no content of it.
            self.leaf.offsets = [NOWHERE]
        return SAME

    def _close_at_blank(self, level: int) -> bool:
        """Close the blocks that a blank line ends; return True if it belongs to the open leaf instead."""
        self._previous_row = self._open_row = None
        leaf = self.leaf
        continues_all = level == len(self.containers.items)
        if continues_all and leaf is not None and leaf.keeps_blanks:
            if leaf.kind == LineKind.MATH:
                # In some renderers, a formula cannot contain a blank line.
                self._in_doubt, self._doubt_may_end = True, False
                leaf.offsets.append(0)
            return True
        # Indented code may go on after the blank line; every other leaf ends here.
        if leaf is not None and not (continues_all and leaf.kind == LineKind.CODE):
            self._close_leaf()
        self.containers.close_inner(level)
        return False

    # -- tables ------------------------------------------------------------

    def _begin_table(self, level: int, line_match: MatchedLine, *, has_deeper: bool) -> int:
        """Begin a table at a level of containers; return `SPLIT` if it begins a block, else `SAME`."""
        leaf = self.leaf
        is_text = leaf is not None and leaf.kind == LineKind.TEXT
        # The lines of the open paragraph, the last of which is the first row.
        line_count = len(leaf.offsets) if leaf is not None and is_text else 0
        # Parsers disagree if the table begins with the mark of a container or of a heading, or if its
        # second row may also be the underline of a heading of several lines.
        disputed = has_deeper or not is_text or (line_count > 1 and is_underline(line_match))
        is_top_level = not self.containers.items
        # The other lines of the paragraph stay a block of their own, before the table.
        splits_block = line_count > 1 and is_top_level and not (self._in_doubt or disputed)
        # There are no other lines, so the open block becomes the table.
        becomes_table = line_count < 2 and not self._in_doubt
        self._in_doubt = self._in_doubt or disputed
        self._close_leaf()
        self.kind_before = self.kind
        self.containers.close_inner(level)
        self.leaf = Leaf(LineKind.TABLE, line_match.text, line_match.content_at)
        self._open_row = None
        if level == 0:
            self.containers.open_list_marker = None
            if splits_block or becomes_table:
                self.kind = "table"  # otherwise, the table is only a part of the open block
        return SPLIT if splits_block else SAME

    # -- everything else ---------------------------------------------------

    def _decide_content(self, line: str, line_match: MatchedLine, *, complete: bool) -> int:
        """Assign a line that is not blank to a block; return the line's effect, such as `NEW`."""
        # The second row of a table begins with one of three characters.
        if self._previous_row is not None and line_match.text[line_match.content_at] in "|-:":
            level = self._previous_row.find_table_level(line_match, complete=complete)
            if level == MORE_NEEDED:
                return UNDECIDED
            if level is not None:
                has_deeper = level < self._previous_row.deepest_level
                return self._begin_table(level, line_match, has_deeper=has_deeper)
        leaf = self.leaf
        if leaf is None:
            return self._open_blocks(line, line_match, complete=complete)
        if line_match.level == len(self.containers.items):
            effect = self._continue_leaf(leaf, line, line_match, complete=complete)
            if effect is not None:
                return effect
        if leaf.kind == LineKind.MATH:
            # A formula in a list may end on a line outside of the list; a formula in a quote may not.
            self._in_doubt = True
            if self.containers.outermost_quote < 0:
                leaf.offsets.append(content_offset(line, line_match.text, line_match.content_at))
                return SAME
            # In a quote, the lines so far are a paragraph after all.
            leaf.kind = LineKind.TEXT
        if leaf.kind == LineKind.TEXT:
            return self._take_with_paragraph(leaf, line, line_match, complete=complete)
        return self._open_blocks(line, line_match, complete=complete)

    def _continue_leaf(self, leaf: Leaf, line: str, line_match: MatchedLine, *, complete: bool) -> int | None:
        """Continue the open leaf with a line, and return the line's effect; None if other rules decide."""
        kind = leaf.kind
        if kind == LineKind.FENCE:
            closes = leaf.closes_fence(line_match, complete=complete)
            if closes is None:
                return UNDECIDED
            if closes:
                self.leaf = None
            return SAME
        if kind == LineKind.HTML:
            leaf.offsets = [content_offset(line, line_match.text, line_match.content_at)]
            return SAME
        if kind == LineKind.MATH:
            leaf.offsets.append(content_offset(line, line_match.text, line_match.content_at))
            return SAME
        if kind == LineKind.CODE:
            return SAME if line_match.indent >= CODE_INDENT else None
        if kind == LineKind.TABLE:
            opening = read_opening(line_match, math=self._math_mark, complete=complete, would_interrupt=True)
            # A line that opens no block is another row.
            if opening.kind == LineKind.TEXT and not opening.containers:
                return SAME
            return self._begin_blocks(opening, line, line_match)
        return self._take_underline(leaf, complete=complete) if is_underline(line_match) else None

    def _take_underline(self, leaf: Leaf, *, complete: bool) -> int | None:
        """Turn a paragraph into a heading at its underline; return the effect, or None if it has no text."""
        if not complete:
            return UNDECIDED
        if leaf.reader is not None and leaf.reader.only_definitions:
            return None  # there is no text that could be a heading
        # Some parsers continue an open definition with this line, others see a heading's underline.
        self._in_doubt = self._in_doubt or leaf.defines
        self._close_leaf()
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "heading"
        return SAME

    def _take_with_paragraph(self, leaf: Leaf, line: str, line_match: MatchedLine, *, complete: bool) -> int:
        """Take a line while a paragraph is open, perhaps in deeper containers; return the line's effect."""
        continues_all = line_match.level == len(self.containers.items)
        opening = read_opening(
            line_match,
            math=self._math_mark,
            complete=complete,
            in_paragraph=True,
            same_level=continues_all,
            would_interrupt=True,  # the paragraph, which some kinds of blocks must not
        )
        if opening.kind != LineKind.TEXT or opening.containers:
            return self._begin_blocks(opening, line, line_match)
        if self._math_mark and continues_all and self._may_open_formula(line_match):
            if not complete:
                return UNDECIDED
            # The mark is whole, and alone on the line.
            if line_match.text.endswith(self._math_mark, 0, len(line_match.text.rstrip(" \t"))):
                # For some renderers, a formula directly below a text is in the same block.
                self._close_leaf()
                self._in_doubt = True
                self.leaf = Leaf(LineKind.MATH, line_match.text, line_match.content_at, line=line)
                return SAME
        reader, character = leaf.reader, line_match.text[line_match.content_at]
        if reader is not None and leaf.defines and continues_all and not reader.may_continue(character):
            return self._take_after_definitions(leaf, line, line_match, complete=complete)
        self._continue_paragraph(leaf, line, line_match, continues_all=continues_all)
        return SAME

    def _continue_paragraph(
        self, leaf: Leaf, line: str, line_match: MatchedLine, *, continues_all: bool
    ) -> None:
        """Add a line to the open paragraph, and note if some parsers see another block in the line."""
        character = line_match.text[line_match.content_at]
        may_begin_block = character in _MAY_BEGIN_BLOCK
        if leaf.reader is not None and leaf.defines:
            # In an unfinished definition, some parsers see a block in this line.
            self._in_doubt = self._in_doubt or may_begin_block or not continues_all
        if may_begin_block and not continues_all and (line_match.indent >= CODE_INDENT or character == "<"):
            # Some parsers let indented code or a lone tag end the paragraph here.
            self._in_doubt = True
        leaf.offsets.append(content_offset(line, line_match.text, line_match.content_at))
        if continues_all and line_match.indent < CODE_INDENT:
            self._open_row = PossibleRow(line_match.level, [line_match.content_at])
        else:
            self._row_in_doubt = True

    def _take_after_definitions(
        self, leaf: Leaf, line: str, line_match: MatchedLine, *, complete: bool
    ) -> int:
        """Take the first line after a paragraph's link definitions; return its effect, such as `NEW`.

        If the line opens a block, parsers disagree about it.
        """
        opening = read_opening(line_match, math=self._math_mark, complete=complete)
        if opening.kind == LineKind.TEXT and not opening.containers:
            leaf.offsets.append(content_offset(line, line_match.text, line_match.content_at))
            self._open_row = PossibleRow(line_match.level, [line_match.content_at])
            return SAME
        if opening.kind != LineKind.UNDECIDED:
            self._in_doubt = True
        return self._begin_blocks(opening, line, line_match)

    def _open_blocks(self, line: str, line_match: MatchedLine, *, complete: bool) -> int:
        """Read the blocks that a line begins, and open them; return the line's effect, such as `NEW`."""
        opening = read_opening(line_match, math=self._math_mark, complete=complete)
        return self._begin_blocks(opening, line, line_match)

    def _begin_blocks(self, opening: Opening, line: str, line_match: MatchedLine) -> int:
        """Close the blocks that a line ends, and open those that it begins; return the line's effect."""
        kind, opened = opening.kind, opening.containers
        if kind == LineKind.UNDECIDED:
            return UNDECIDED
        self._close_leaf()
        containers, level = self.containers, line_match.level
        is_next_item = containers.continues_list(opened, level)
        # In each of these cases, the line is part of the open top-level block.
        is_same_block = self.open and (level > 0 or is_next_item or self._in_doubt)
        if containers.items and level == len(containers.items):
            # The innermost item has content now.
            containers.items[-1].is_empty = False
        containers.close_inner(level)
        containers.enter(opened)
        if level == 0:
            containers.open_list_marker = opened[0].marker if opened and not opened[0].quote else None
        self._open_row = make_possible_row(opening, level, is_next_item=is_next_item)
        if kind not in {LineKind.NOTHING, LineKind.RULE}:
            self.leaf = Leaf(kind, line_match.text, opening.content_at, line=line, size=opening.size)
        self.open = True
        if is_same_block:
            return SAME
        self.kind_before = self.kind
        if opened:
            self.kind = "quote" if opened[0].quote else "list"
        else:
            self.kind = kind
        return NEW

    # -- formulas ----------------------------------------------------------

    def _may_open_formula(self, line_match: MatchedLine) -> bool:
        """Return True if a line so far consists of the first characters of a formula's mark."""
        content = line_match.text[line_match.content_at :].rstrip(" \t")
        return line_match.indent < CODE_INDENT and self._math_mark.startswith(content)

    def _finish_formula(self, leaf: Leaf, line: str) -> None:
        """Let the open formula take a line, which continues or ends it, or shows that it is not a formula."""
        is_first_line = not leaf.size  # `size` is the formula's length so far
        new_content = line[leaf.offsets[0] :] if is_first_line else line
        continues = continues_formula(self._math_mark, new_content, leaf.size)
        if continues:
            leaf.size += len(line) + 1
            return
        if continues is None:
            # It is not a formula, at least not for some parsers.
            self._in_doubt = True
            if is_first_line:
                # The line begins a paragraph instead.
                paragraph = Leaf(LineKind.TEXT, line, leaf.offsets[0], line=line)
                paragraph.first_line, paragraph.start = leaf.first_line, leaf.start
                self.leaf = paragraph
                if not self.containers.items and self.kind == "math":
                    self.kind = "paragraph"
                return
        self.leaf = None

    # -- definitions -------------------------------------------------------

    def _read_definitions(self, leaf: Leaf, line: str) -> None:
        reader = leaf.reader
        if reader is None:
            return
        reader.read(line[leaf.offsets[-1] :])
        self._in_doubt = self._in_doubt or reader.in_doubt
        self._take_definitions(leaf)

    def _close_leaf(self) -> None:
        """Close the open leaf, and take the definitions that its end completes."""
        leaf = self.leaf
        self.leaf = None
        if leaf is not None and leaf.reader is not None:
            leaf.reader.close()
            self._take_definitions(leaf)

    def _take_definitions(self, leaf: Leaf) -> None:
        reader = leaf.reader
        if reader is None:
            return
        self.new_definitions += reader.finished
        reader.finished = []
        if not self.containers.items and self.kind in {"paragraph", "definitions"}:
            self.kind = "definitions" if reader.only_definitions else "paragraph"

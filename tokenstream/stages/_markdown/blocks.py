"""The stage that takes Markdown in pieces and returns its blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._markdown.block import CLOSED, BlockShape, BlockState, KnownDefinition, MarkdownBlock
from tokenstream.stages._markdown.leaf import MARKS
from tokenstream.stages._markdown.openings import LineKind
from tokenstream.stages._markdown.preview import Completion
from tokenstream.stages._markdown.structure import BLANK, NEW, SPLIT, UNDECIDED, BlockStructure
from tokenstream.stages._text import SoundStage

if TYPE_CHECKING:
    from tokenstream.stages._markdown.inline import Math

_ENDING = re.compile(r"\r\n|\r|\n")
_FENCE = re.compile(r"[`~]{3,}[ \t]*([^\r\n]*)")
_MAX_SHORT = 64


class _OpenBlock:
    """The block that is still open, with its lines."""

    def __init__(self, number: int, start: int, math: Math | None) -> None:
        self.id = number
        self.start = start
        self.lines: list[str] = []
        self.chars = 0
        """Number of characters in `lines`."""
        self.info = ""
        """The words after the opening fence."""
        self.was_returned = False
        """True once a snapshot of the block has been returned."""
        self.retry_at = 0
        """The length, in characters, at which to check again whether the block has visible text."""
        self.last_state: BlockState | None = None
        self.last_text: list[Any] = []
        """The state of a snapshot and its text, from the last time that a text was built; empty at first."""
        self.completion = Completion(math)
        """A cache for the previews of the block, so that each preview reads only the new text."""

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.chars += len(line)

    def split_off_last_line(self) -> str:
        *lines, last = self.lines
        # Earlier snapshots refer to the old list, which must not change.
        self.lines = lines
        self.chars -= len(last)
        return last

    def note_snapshot(self, state: BlockState) -> None:
        self.was_returned = True
        self.retry_at = 0
        self.last_state = state

    def put_off(self, length: int) -> None:
        """Put off the next check for visible text, as the block has none at this length."""
        # Checking a long block at every piece would take quadratic time.
        self.retry_at = length + length // 4 if length > _MAX_SHORT else 0


class MarkdownBlocks(SoundStage):
    r"""A stage that cuts Markdown into its top-level blocks while it arrives.

    Each block is returned as soon as it has visible text, again when more of it has
    arrived, and for the last time when it is closed. Rendering the blocks one by one gives
    the same result as rendering the whole text, however the text is cut into pieces.
    docs/guides/ui/details.md has the rules.

    Args:
        math: The syntax of displayed mathematics that the renderer knows: "dollar" for `$$`, "brackets"
            for `\[` and `\]`; None if the renderer knows none.
        tables: True if the renderer knows tables.

    Example:
        >>> blocks = MarkdownBlocks()
        >>> [(block.id, block.kind, block.text) for block in blocks.feed("# Title\n\nSome *te")]
        [(0, 'heading', '# Title\n'), (1, 'paragraph', 'Some *te*')]
        >>> [(block.id, block.closed, block.text) for block in blocks.end()]
        [(1, True, 'Some *te')]
    """

    error: None = None
    """Always None: any text is Markdown."""

    def __init__(self, *, math: Math | None = None, tables: bool = True) -> None:
        if math not in MARKS:
            raise MisuseError(f'math= is "dollar", "brackets" or None, and not {math!r}')
        self._structure = BlockStructure(tables=tables, math=math)
        self._math: Math | None = math

        # The blocks.
        self._block: _OpenBlock | None = None
        """The open block, of which lines may still arrive; None between blocks."""
        self._next_id = 0
        self._has_changed = False
        """True if the open block has changed since its last snapshot."""
        self._shape: BlockShape | None = None
        """The cached state of the open block at this line; None if it has to be made again."""
        self._shortcut: tuple[BlockShape, list[str], _OpenBlock] | None = None
        """The state, line and block to which a piece without a line end is appended unread; else None."""
        self._registry: dict[str, KnownDefinition] = {}
        """Link definitions by label."""
        self._definition_count = 0

        # The line that is being read, and the blank lines before it.
        self._offset = 0
        """Number of characters before the line that is being read."""
        self._undecided: list[str] = []
        """Pieces of a line whose block is not decided yet."""
        self._undecided_size = 0
        self._retry_at = 0
        """The number of characters of the undecided line at which to try to decide again."""
        self._decided: list[str] | None = None
        """Pieces of a line whose block is decided; None if there is no such line."""
        self._decided_size = 0
        self._blank_lines: list[str] = []
        """Blank lines that belong to the open block only if the block continues."""
        self._holds_cr = False
        """True if the last piece ended with CR, which is held back."""

    @property
    def definitions(self) -> dict[str, str]:
        """The Markdown of each link definition so far, by label.

        A block whose label was `unresolved` can be rendered again with the definition of that label.
        """
        return {label: known.text for label, known in self._registry.items()}

    # -- as a stage --------------------------------------------------------

    def feed(self, item: str, /, *, now: float = 0.0) -> list[MarkdownBlock]:
        """Return the blocks that have changed; only the last of them may still be open.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        # Within a line whose block is decided, a piece only makes the block longer.
        shortcut = self._shortcut
        if shortcut is not None and item and "\n" not in item and "\r" not in item:
            shape, line_pieces, block = shortcut
            line_pieces.append(item)
            previous = block.last_state
            # The same shape, and the pieces of the unfinished line, with their number at this moment.
            block.last_state = state = (shape, line_pieces, len(line_pieces))
            return [MarkdownBlock(state, previous)]
        return self._feed_lines(item)

    def end(self, *, now: float = 0.0) -> list[MarkdownBlock]:
        """Return the blocks that the end of the text closes; the text of each is the same as its source.

        Args:
            now: A clock reading, in seconds.
        """
        out: list[MarkdownBlock] = []
        self._shortcut = None
        ending = "\r" if self._holds_cr else ""
        self._holds_cr = False
        if ending or self._decided is not None or self._undecided:
            # The last line has no line feed, but it is whole now.
            self._end_line("", ending, out)
        self._structure.end()
        self._take_definitions()
        self._close_block(out)
        self._blank_lines.clear()
        return out

    # -- pieces and lines --------------------------------------------------

    def _feed_lines(self, text: str) -> list[MarkdownBlock]:
        """Cut a piece of the text into lines, take the lines, and return the blocks that have changed.

        A CR at the end of the piece waits for a possible LF.
        """
        if self._holds_cr and text:
            text = "\r" + text
            self._holds_cr = False
        if text.endswith("\r"):
            text = text[:-1]
            self._holds_cr = True
        out: list[MarkdownBlock] = []
        # `_snapshot_open_block` sets it again if the next piece, too, may only make the open block longer.
        self._shortcut = None
        if "\n" not in text and "\r" not in text:
            # The piece ends no line.
            if text:
                self._take_line_piece(text, out)
            return out + self._snapshot_open_block()
        start = 0
        for match in _ENDING.finditer(text):
            self._end_line(text[start : match.start()], match[0], out)
            start = match.end()
        if start < len(text):
            self._take_line_piece(text[start:] if start else text, out)
        return out + self._snapshot_open_block()

    def _take_line_piece(self, piece: str, out: list[MarkdownBlock]) -> None:
        if self._decided is not None:
            self._decided.append(piece)
            self._decided_size += len(piece)
            self._has_changed = True
            return
        self._undecided.append(piece)
        self._undecided_size += len(piece)
        if self._undecided_size < self._retry_at:
            return
        line = "".join(self._undecided)
        effect = self._structure.decide_line(line, complete=False)
        if effect == UNDECIDED:
            self._undecided = [line]
            # Checking a long undecided line at every piece would take quadratic time.
            self._retry_at = (
                self._undecided_size + self._undecided_size // 4 if self._undecided_size > _MAX_SHORT else 0
            )
            return
        self._apply_effect(effect, out)
        self._undecided.clear()
        self._undecided_size = self._retry_at = 0
        self._decided = [line]
        self._decided_size = len(line)

    def _end_line(self, piece: str, ending: str, out: list[MarkdownBlock]) -> None:
        """Take the rest of a line, and assign the line to a block if that has not been done yet."""
        if self._decided is not None:
            self._decided.append(piece)
            line = "".join(self._decided)
            self._decided = None
        else:
            line = "".join(self._undecided) + piece if self._undecided else piece
            self._undecided.clear()
            self._undecided_size = self._retry_at = 0
            leaf = self._structure.leaf
            effect = self._structure.decide_line(line, complete=True)
            if effect == BLANK:
                # The end of a paragraph may reveal text that was held back.
                self._has_changed = self._has_changed or leaf is not self._structure.leaf
                self._take_blank_line(line + ending, out)
                return
            self._apply_effect(effect, out)
            self._store_fence_info(line)
        # The shape of the open block must be made again for the next line.
        self._shape = None
        self._has_changed = True
        block = self._block
        full_line = line + ending
        if block is not None:
            block.add(full_line)
        self._offset += len(full_line)
        self._structure.finish_line(line)
        self._take_definitions()
        if not self._structure.open:
            self._close_block(out)

    def _take_blank_line(self, line: str, out: list[MarkdownBlock]) -> None:
        """Take a blank line: it closes the open block, or it is kept until the block continues or ends."""
        self._offset += len(line)
        # The cached state of the open block is out of date: it was made at the line before.
        self._shape = None
        self._take_definitions()
        if not self._structure.open:
            self._close_block(out)
            self._blank_lines.clear()
        elif self._block is not None:
            self._blank_lines.append(line)

    def _apply_effect(self, effect: int, out: list[MarkdownBlock]) -> None:
        """Continue the open block, begin a new block, or split the open block, because of a line."""
        self._has_changed = True
        self._shape = None
        structure = self._structure
        if effect == SPLIT:
            self._split_off_table(out)
        elif effect == NEW:
            self._take_definitions()
            self._close_block(out, structure.kind_before)
            self._blank_lines.clear()
            self._block = _OpenBlock(self._next_id, self._offset, self._math)
            self._next_id += 1
        elif self._blank_lines and self._block is not None:
            # The block continues, so the blank lines belong to it.
            for line in self._blank_lines:
                self._block.add(line)
            self._blank_lines.clear()
        leaf, block = structure.leaf, self._block
        # A leaf that this line begins does not know its position in the block yet.
        if leaf is not None and leaf.first_line < 0 and block is not None:
            leaf.first_line = len(block.lines)
            leaf.start = block.chars

    def _store_fence_info(self, line: str) -> None:
        leaf, block = self._structure.leaf, self._block
        if (
            leaf is None
            or block is None
            or leaf.kind != LineKind.FENCE
            or leaf.first_line != len(block.lines)
        ):
            # There is no fence, or a line within it.
            return
        # Within a list or quote, the block is that list or quote, which has no such words.
        if self._structure.kind == "fence" and (match := _FENCE.search(line)) is not None:
            block.info = match[1].rstrip(" \t")

    def _split_off_table(self, out: list[MarkdownBlock]) -> None:
        """Make the last line of the open paragraph the first row of a new table block."""
        block = self._block
        if block is None:
            return
        first_row = block.split_off_last_line()
        # The end of the paragraph may have completed a link definition in its other lines.
        self._take_definitions()
        # The structure's own kind is that of the table already.
        self._close_block(out, self._structure.kind_before)
        self._block = _OpenBlock(self._next_id, self._offset - len(first_row), self._math)
        self._next_id += 1
        self._block.add(first_row)

    # -- snapshots ---------------------------------------------------------

    def _close_block(self, out: list[MarkdownBlock], kind: str = "") -> None:
        """Close the open block, if there is one, and append its last snapshot to `out`."""
        block = self._block
        if block is None:
            return
        self._block = self._shape = None
        self._has_changed = False
        shape = BlockShape(
            block.id, kind or self._structure.kind, block.info, block.start, block.last_text,
            block.completion, block.lines, len(block.lines), block.chars, self._registry,
            self._definition_count, CLOSED,
        )  # fmt: skip
        # A closed block has no pieces of an unfinished line.
        out.append(MarkdownBlock((shape, [], 0), block.last_state))

    def _snapshot_open_block(self) -> list[MarkdownBlock]:
        block = self._block
        if block is None or not self._has_changed:
            return []
        # A line that is still arriving counts once it is decided that it belongs to this block.
        line_pieces = self._decided
        length = block.chars + (0 if line_pieces is None else self._decided_size)
        if length < block.retry_at:
            return []
        shape = self._shape or self._make_shape(block)
        pieces = [] if line_pieces is None else line_pieces
        state = (shape, pieces, len(pieces))
        snapshot = MarkdownBlock(state, block.last_state)
        if not block.was_returned and not self._certainly_has_text() and not snapshot.text:
            block.put_off(length)
            return []
        block.note_snapshot(state)
        self._has_changed = False
        # After a CR that is held back, the next piece begins a new line.
        if line_pieces is not None and not self._holds_cr:
            self._shortcut = (shape, line_pieces, block)
        return [snapshot]

    def _make_shape(self, block: _OpenBlock) -> BlockShape:
        """Return the state of the open block at this line, from which its snapshots are built."""
        structure = self._structure
        leaf = structure.leaf
        # Without an open leaf, all lines are shown unchanged. `settled` is the number of leading characters
        # that no later snapshot changes.
        kind, leaf_first_line, closing_fence, html_kind = "", 0, "", 0
        offsets: list[int] = []
        settled = block.chars
        if leaf is not None:
            kind, leaf_first_line, offsets = leaf.kind, leaf.first_line, leaf.offsets
            if kind == LineKind.FENCE:
                closing_fence = leaf.mark * leaf.size
            elif kind == LineKind.HTML:
                html_kind = leaf.size
            # In CommonMark, these kinds of HTML are comments, instructions, declarations and CDATA.
            is_comment_or_the_like = html_kind in {2, 3, 4, 5}
            shows_whole_lines = kind in {LineKind.FENCE, LineKind.CODE, LineKind.TABLE}
            if not (shows_whole_lines or is_comment_or_the_like):
                # The text shown for the leaf may still change.
                settled = leaf.start
        text_from, may_define = 0, False
        if leaf is not None and leaf.reader is not None:
            # A paragraph that begins with `[` may be a link definition, which the line that is arriving may
            # continue; `content` is the first piece of that line.
            content = self._decided[0][leaf.offsets[-1] :] if self._decided else ""
            text_from, may_define = leaf.reader.shown_from, leaf.reader.may_continue(content)
        self._shape = shape = BlockShape(
            block.id, structure.kind, block.info, block.start, block.last_text, block.completion, block.lines,
            len(block.lines), settled, self._registry, self._definition_count, kind, leaf_first_line, offsets,
            text_from, may_define, closing_fence, structure.containers.freeze(), structure.may_begin_table,
            html_kind,
        )  # fmt: skip
        return shape

    def _certainly_has_text(self) -> bool:
        """Return True if the open block certainly has visible text, found without building that text."""
        leaf, line_pieces = self._structure.leaf, self._decided
        if leaf is None:
            return False
        if leaf.kind == LineKind.FENCE:
            return True
        # The first line of a paragraph that begins with a letter, and so with no definition (no `reader`).
        is_first_line = leaf.kind == LineKind.TEXT and leaf.reader is None and len(leaf.offsets) == 1
        return is_first_line and bool(line_pieces and line_pieces[0][leaf.offsets[0]].isalpha())

    def _take_definitions(self) -> None:
        """Store the new link definitions, numbered, by label; of several with one label, only the first."""
        structure = self._structure
        if not structure.new_definitions:
            return
        # -1 stands for no block.
        block = self._block.id if self._block is not None else -1
        for label, text in structure.new_definitions:
            if label not in self._registry:
                self._registry[label] = KnownDefinition(self._definition_count, block, text)
                self._definition_count += 1
        structure.new_definitions = []

"""The stage that takes Markdown in pieces and returns its blocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.errors import MisuseError
from tokenstream.stages._markdown.block import CLOSED, BlockShape, KnownDefinition, MarkdownBlock, State
from tokenstream.stages._markdown.math import MARKS
from tokenstream.stages._markdown.openings import LineKind
from tokenstream.stages._markdown.preview import Completion
from tokenstream.stages._markdown.structure import BLANK, NEW, SPLIT, UNDECIDED, BlockStructure

if TYPE_CHECKING:
    from tokenstream.stages._markdown.inline import Math

_ENDING = re.compile(r"\r\n|\r|\n")
_FENCE = re.compile(r"[`~]{3,}[ \t]*([^\r\n]*)")
_SMALL = 64


class _OpenBlock:
    """The block that is still open, with its lines."""

    __slots__ = ("chars", "completion", "id", "info", "last", "lines", "memo", "retry", "shown", "start")

    def __init__(self, number: int, start: int, math: Math | None) -> None:
        self.id = number
        self.start = start
        self.lines: list[str] = []
        """Whole lines with their endings."""
        self.chars = 0
        self.info = ""
        self.shown = False
        """True once a snapshot of the block has been returned."""
        self.retry = 0
        """The length, in characters, at which to check again whether the block has visible text."""
        self.last: State | None = None
        """The state of the snapshot that was returned last."""
        self.memo: list[Any] = []
        self.completion = Completion(math)

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.chars += len(line)


class MarkdownBlocks:
    r"""A stage that cuts Markdown into its top-level blocks while it arrives.

    Each block is returned as soon as it has visible text, again when more of it has
    arrived, and for the last time when it is closed. Rendering the blocks one by one gives
    the same result as rendering the whole text, however the text is cut into pieces.
    docs/markdown.md has the rules.

    Args:
        math: The syntax of displayed mathematics that the renderer knows: "dollar" for `$$`, "brackets"
            for `\[` and `\]`; None if the renderer knows none.
        tables: Whether the renderer knows tables.
        merge_html: Whether an HTML block continues until its outermost tag is closed.

    Example:
        >>> blocks = MarkdownBlocks()
        >>> [(block.id, block.kind, block.text) for block in blocks.feed("# Title\n\nSome *te")]
        [(0, 'heading', '# Title\n'), (1, 'paragraph', 'Some *te*')]
        >>> [(block.id, block.closed, block.text) for block in blocks.end()]
        [(1, True, 'Some *te')]
    """

    error: None = None
    """Always None: any text is Markdown."""
    stop: str | None = None

    def __init__(
        self,
        *,
        math: Math | None = None,
        tables: bool = True,
        merge_html: bool = False,
    ) -> None:
        if math not in MARKS:
            raise MisuseError(f'math= is "dollar", "brackets" or None, and not {math!r}')
        self._structure = BlockStructure(tables=tables, math=math, merge_html=merge_html)
        self._math: Math | None = math
        self._block: _OpenBlock | None = None
        self._count = 0
        self._offset = 0
        """Number of characters before the open line."""
        self._head: list[str] = []
        """Pieces of an undecided line."""
        self._head_size = 0
        self._retry = 0
        """The number of characters of the undecided line at which to try to decide again."""
        self._tail: list[str] | None = None
        """Pieces of a decided line."""
        self._tail_size = 0
        self._pending: list[str] = []
        """Blank lines that belong to the open block only if that continues."""
        self._carriage = False
        """True if the last piece ended with CR, which is held back."""
        self._flow: tuple[BlockShape, list[str], _OpenBlock] | None = None
        """A shortcut for a block that was returned: the next piece is merely appended to its decided line."""
        self._shape: BlockShape | None = None
        self._changed = False
        self._registry: dict[str, KnownDefinition] = {}
        self._defined = 0

    @property
    def definitions(self) -> dict[str, str]:
        """All link definitions so far, by label; for blocks with labels that were still `unresolved`."""
        return {label: known.text for label, known in self._registry.items()}

    # -- as a stage --------------------------------------------------------

    def check(self) -> None:
        """Do nothing: `error` is always None."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[MarkdownBlock]:
        """Return the blocks that have changed; only the last of them may still be open.

        Args:
            item: The next piece of the text.
            now: A clock reading, in seconds.
        """
        flow = self._flow
        if flow is not None and item and "\n" not in item and "\r" not in item:
            shape, tail, block = flow
            tail.append(item)
            before = block.last
            block.last = state = (shape, tail, len(tail))
            return [MarkdownBlock(state, before)]
        return self._feed(item)

    def end(self, *, now: float = 0.0) -> list[MarkdownBlock]:
        """Return the open block as a closed block, whose text is the same as its source.

        Args:
            now: A clock reading, in seconds.
        """
        given: list[MarkdownBlock] = []
        self._flow = None
        ending = "\r" if self._carriage else ""
        self._carriage = False
        if ending or self._tail is not None or self._head:
            self._end_line("", ending, given)
        self._structure.end()
        self._take_definitions()
        self._close(given)
        self._pending.clear()
        return given

    # -- pieces and lines --------------------------------------------------

    def _feed(self, text: str) -> list[MarkdownBlock]:
        """Cut a piece into lines and take them; a CR at its end waits for a possible LF."""
        if self._carriage and text:
            text = "\r" + text
            self._carriage = False
        if text.endswith("\r"):
            text = text[:-1]
            self._carriage = True
        given: list[MarkdownBlock] = []
        self._flow = None
        if "\n" not in text and "\r" not in text:
            if text:
                self._take_part(text, given)
            return given + self._show_open()
        begin = 0
        for match in _ENDING.finditer(text):
            self._end_line(text[begin : match.start()], match[0], given)
            begin = match.end()
        if begin < len(text):
            self._take_part(text[begin:] if begin else text, given)
        return given + self._show_open()

    def _take_part(self, piece: str, given: list[MarkdownBlock]) -> None:
        """Take a piece without a line ending, and decide on its line if enough of it has arrived."""
        if self._tail is not None:
            self._tail.append(piece)
            self._tail_size += len(piece)
            self._changed = True
            return
        self._head.append(piece)
        self._head_size += len(piece)
        if self._head_size < self._retry:
            return
        line = "".join(self._head)
        decided = self._structure.take(line, complete=False)
        if decided == UNDECIDED:
            self._head = [line]
            # Checking a long undecided line at every piece would take quadratic time.
            self._retry = self._head_size + self._head_size // 4 if self._head_size > _SMALL else 0
            return
        self._apply(decided, given)
        self._head.clear()
        self._head_size = self._retry = 0
        self._tail = [line]
        self._tail_size = len(line)

    def _end_line(self, piece: str, ending: str, given: list[MarkdownBlock]) -> None:
        """Take the rest of a line, and its ending."""
        tail = self._tail
        if tail is not None:
            tail.append(piece)
            line = "".join(tail)
            self._tail = None
        else:
            line = "".join(self._head) + piece if self._head else piece
            self._head.clear()
            self._head_size = self._retry = 0
            leaf = self._structure.leaf
            decided = self._structure.take(line, complete=True)
            if decided == BLANK:
                # The end of a paragraph may reveal text that was held back.
                self._changed = self._changed or leaf is not self._structure.leaf
                self._take_blank(line + ending, given)
                return
            self._apply(decided, given)
            self._name_fence(line)
        self._shape = None
        self._changed = True
        block = self._block
        whole = line + ending
        if block is not None:
            block.add(whole)
        self._offset += len(whole)
        self._structure.finish(line)
        self._take_definitions()
        if not self._structure.open:
            self._close(given)

    def _take_blank(self, line: str, given: list[MarkdownBlock]) -> None:
        """Take a blank line: it closes the block, or is kept in case the block continues."""
        self._offset += len(line)
        self._shape = None
        self._take_definitions()
        if not self._structure.open:
            self._close(given)
            self._pending.clear()
        elif self._block is not None:
            self._pending.append(line)

    def _apply(self, decided: int, given: list[MarkdownBlock]) -> None:
        """Continue, begin or split blocks as decided for a line."""
        self._changed = True
        self._shape = None
        structure = self._structure
        if decided == SPLIT:
            self._split(given)
        elif decided == NEW:
            self._take_definitions()
            self._close(given, structure.kind_before)
            self._pending.clear()
            self._block = _OpenBlock(self._count, self._offset, self._math)
            self._count += 1
        elif self._pending and self._block is not None:
            for line in self._pending:
                self._block.add(line)
            self._pending.clear()
        leaf, block = structure.leaf, self._block
        if leaf is not None and leaf.first < 0 and block is not None:
            leaf.first = len(block.lines)
            leaf.start = block.chars

    def _name_fence(self, line: str) -> None:
        """If this line is an opening fence, store the words after the fence."""
        leaf, block = self._structure.leaf, self._block
        if leaf is None or block is None or leaf.kind != LineKind.FENCE or leaf.first != len(block.lines):
            return
        if self._structure.kind == "fence" and (match := _FENCE.search(line)) is not None:
            block.info = match[1].rstrip(" \t")

    def _split(self, given: list[MarkdownBlock]) -> None:
        """Make the last line of the open paragraph the first row of a new table block."""
        block = self._block
        if block is None:
            return
        *lines, first = block.lines
        # Earlier snapshots refer to the old list, which must not change.
        block.lines = lines
        block.chars -= len(first)
        self._take_definitions()
        self._close(given, self._structure.kind_before)
        self._block = _OpenBlock(self._count, self._offset - len(first), self._math)
        self._count += 1
        self._block.add(first)

    # -- snapshots ---------------------------------------------------------

    def _close(self, given: list[MarkdownBlock], kind: str = "") -> None:
        """Append the closed block to `given`.

        Args:
            given: The blocks to return.
            kind: The kind of the block; by default, the current kind of the structure.
        """
        block = self._block
        if block is None:
            return
        self._block = self._shape = None
        self._changed = False
        shape = BlockShape(
            block.id, kind or self._structure.kind, block.info, block.start, block.memo, block.completion,
            block.lines, len(block.lines), block.chars, self._registry, self._defined, CLOSED,
        )  # fmt: skip
        given.append(MarkdownBlock((shape, [], 0), block.last))

    def _show_open(self) -> list[MarkdownBlock]:
        """Return a snapshot of the open block if it has changed and has visible text."""
        block = self._block
        if block is None or not self._changed:
            return []
        tail = self._tail
        length = block.chars + (0 if tail is None else self._tail_size)
        if length < block.retry:
            return []
        shape = self._shape or self._make_shape(block)
        pieces = [] if tail is None else tail
        state = (shape, pieces, len(pieces))
        given = MarkdownBlock(state, block.last)
        if not block.shown and not self._certainly_shows() and not given.text:
            # Checking a long block without visible text at every piece would take quadratic time.
            block.retry = length + length // 4 if length > _SMALL else 0
            return []
        block.shown = True
        block.retry = 0
        self._changed = False
        block.last = state
        if tail is not None and not self._carriage:
            self._flow = (shape, tail, block)
        return [given]

    def _make_shape(self, block: _OpenBlock) -> BlockShape:
        """Return the state of the open block at this line, from which its snapshots are built."""
        structure = self._structure
        leaf = structure.leaf
        if leaf is None:
            kind, first, offsets, mark, start = "", 0, [], "", block.chars
        else:
            kind, first, offsets, start = leaf.kind, leaf.first, leaf.offsets, leaf.start
            mark = leaf.mark * leaf.size if kind == LineKind.FENCE else str(leaf.size)
            if kind in {LineKind.FENCE, LineKind.CODE, LineKind.TABLE} or (
                kind == LineKind.HTML and leaf.size in {2, 3, 4, 5}
            ):
                start = block.chars
        shown, pending = 0, False
        if leaf is not None and leaf.reader is not None:
            content = self._tail[0][leaf.offsets[-1] :] if self._tail else ""
            shown, pending = leaf.reader.shown_from, leaf.reader.may_continue(content or " ")
        self._shape = shape = BlockShape(
            block.id, structure.kind, block.info, block.start, block.memo, block.completion, block.lines,
            len(block.lines), start, self._registry, self._defined, kind, first, offsets, shown, pending,
            mark, structure.containers.freeze(), structure.heads,
        )  # fmt: skip
        return shape

    def _certainly_shows(self) -> bool:
        """Return True if the open block certainly has visible text; a quick check that suits most blocks."""
        leaf, tail = self._structure.leaf, self._tail
        if leaf is None or leaf.kind == LineKind.FENCE:
            return leaf is not None
        first = leaf.kind == LineKind.TEXT and leaf.reader is None and len(leaf.offsets) == 1
        return first and bool(tail and tail[0][leaf.offsets[0]].isalpha())

    def _take_definitions(self) -> None:
        """Number the link definitions that are complete, and store the first one of each label."""
        structure = self._structure
        if not structure.defined:
            return
        block = self._block.id if self._block is not None else -1
        for label, text in structure.defined:
            if label not in self._registry:
                self._registry[label] = KnownDefinition(self._defined, block, text)
                self._defined += 1
        structure.defined = []

"""Previews: the text of an open block, completed so that no half-open syntax is visible."""

from __future__ import annotations

import re
from operator import add
from typing import TYPE_CHECKING

from tokenstream.stages._markdown.inline import InlineCompleter, Math
from tokenstream.stages._markdown.openings import Container, LineKind
from tokenstream.stages._markdown.starts import HTML_ENDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.stages._markdown.block import BlockShape

_MAY_DEFINE = re.compile(r"\[(?:[^\\\[\]]|\\.)*+\\?(?:\Z|\](?::|\Z))")
_CELL_END = re.compile(r"(?<!\\)\|")
_OPEN_TAG = re.compile(r"<[^<>]*\Z")
_HTML_ENDINGS = {2: "-->", 3: "?>", 4: ">", 5: "]]>"}
"""The text that ends an HTML block, by its kind in CommonMark; the other kinds have no fixed end."""
_SCRIPT_OR_THE_LIKE = 1
"""The kind of the HTML blocks that end with the closing tag of a script, of preformatted text or the like."""
_RAW_NAME = re.compile(r"<(script|pre|style|textarea)[^>]*>?", re.IGNORECASE | re.ASCII)
_RAW_END = re.compile(r"</?[A-Za-z]*\Z")

MOST_TAG = 300
"""The most characters of an unfinished tag in an HTML block that are held back."""


class _JoinedLines:
    """The first lines of a block as one text; more of the same lines are added to it."""

    def __init__(self) -> None:
        self._lines: list[str] | None = None
        self._count = 0
        self._text = ""

    def join(self, lines: list[str], count: int) -> str:
        """Return the text of the first `count` of the lines; the list of a block only grows."""
        if lines is not self._lines or count < self._count:
            self._lines, self._count, self._text = lines, 0, ""
        if count > self._count:
            self._text += "".join(lines[self._count : count])
            self._count = count
        return self._text


class _ParagraphLines:
    """The whole lines of a paragraph, without its link definitions and without an unfinished last line."""

    def __init__(self, lines: list[str], begin: int) -> None:
        self._lines = lines
        self.begin = begin
        self.content = ""
        self.full = ""
        """The same, with the part of each line before its content, such as quote marks."""
        self.prefixes: list[str] = []
        """The part of each line before its content."""
        self._ends: list[int] = [0]
        """The ends of the lines in `full`, after 0."""

    def is_of(self, shape: BlockShape) -> bool:
        """Return True if these are the first lines of the paragraph that is open in a block."""
        begin = shape.leaf_first_line + shape.text_from
        count = max(shape.size - begin, 0)
        return shape.lines is self._lines and begin == self.begin and count >= len(self.prefixes)

    def extend(self, shape: BlockShape) -> None:
        """Add the lines that have arrived since the last call."""
        known = len(self.prefixes)
        lines = self._lines[self.begin + known : shape.size]
        if not lines:
            return
        first = shape.text_from + known
        contents: list[str] = []
        parts: list[str] = []
        length = len(self.full)
        for line, offset in zip(lines, shape.offsets[first : first + len(lines)], strict=True):
            prefix, content = line[:offset], line[offset:].rstrip("\r\n") + "\n"
            self.prefixes.append(prefix)
            contents.append(content)
            parts += prefix, content
            length += len(prefix) + len(content)
            self._ends.append(length)
        self.content += "".join(contents)
        self.full += "".join(parts)

    @property
    def has_no_prefixes(self) -> bool:
        """True if all of `prefixes` are empty."""
        return len(self.full) == len(self.content)

    def restore_prefixes(self, shown: str, last_prefix: str) -> str:
        """Return the text to show with the marks before each line, which it had in the block."""
        # Most lines are shown as they are: they are taken as a whole, with their marks.
        same = (
            len(self.content) if shown.startswith(self.content) else count_common_prefix(self.content, shown)
        )
        line_start = shown.rfind("\n", 0, same) + 1
        count = len(self.prefixes) - self.content.count("\n", line_start)
        prefixes = [*self.prefixes[count:], last_prefix]
        return self.full[: self._ends[count]] + "\n".join(map(add, prefixes, shown[line_start:].split("\n")))


class Completion:
    """A cache of the parts of the last preview, so that the next preview reads only the new text.

    Args:
        math: The syntax of formulas that the renderer knows.
    """

    def __init__(self, math: Math | None = None) -> None:
        self._math: Math | None = math
        self._completer: InlineCompleter | None = None
        """Completed the content of the last preview, and can read on from there; None before that."""
        self._options: tuple[bool, ...] = ()
        self._line_pieces: list[str] | None = None
        self._piece_count = 0
        self._line = ""
        """The first `_piece_count` of the line's pieces, joined."""
        self._paragraph = _ParagraphLines([], 0)
        """The whole lines of the paragraph that was read last."""
        self.lines = _JoinedLines()
        self.before = _JoinedLines()
        """The lines before the paragraph or formula."""

    def join_line(self, pieces: list[str], count: int) -> str:
        # The list only grows, so the pieces that were joined last are the start of the result.
        if pieces is self._line_pieces and count >= self._piece_count:
            self._line += "".join(pieces[self._piece_count : count])
        else:
            self._line = "".join(pieces[:count])
        self._line_pieces, self._piece_count = pieces, count
        return self._line

    def read_paragraph(self, shape: BlockShape) -> _ParagraphLines:
        """Return the lines of a paragraph that have arrived whole, without its link definitions."""
        if not self._paragraph.is_of(shape):
            # The definitions at the paragraph's beginning are not part of its text.
            self._paragraph = _ParagraphLines(shape.lines, shape.leaf_first_line + shape.text_from)
        self._paragraph.extend(shape)
        return self._paragraph

    def complete(self, content: str, *, references: bool, item: bool = False, one_line: bool = False) -> str:
        """Return the preview of a leaf's content; for the options, see `InlineCompleter`."""
        options = (references, item, one_line)
        completer = self._completer
        # The completer can continue only if it has read the beginning of this content.
        if completer is None or options != self._options or not content.startswith(completer.text):
            self._options = options
            self._completer = completer = InlineCompleter(
                item=item, one_line=one_line, references=references, math=self._math
            )
        completer.feed(content[len(completer.text) :])
        return completer.preview()


def build_preview(shape: BlockShape, tail: str) -> str:
    """Return the preview of an open block, whose unfinished last line is `tail`, without half-open syntax."""
    leaf = shape.leaf
    if leaf == LineKind.TEXT:
        return _preview_paragraph(shape, tail)
    if leaf == LineKind.MATH:
        # A formula is shown only once it is whole.
        return shape.completion.before.join(shape.lines, shape.leaf_first_line)
    before = shape.completion.lines.join(shape.lines, shape.size)
    if leaf == LineKind.FENCE:
        # A last line closes the code, in the same containers.
        source = before + tail
        newline = "" if source.endswith(("\n", "\r")) else "\n"
        return f"{source}{newline}{_container_prefix(shape.containers)}{shape.closing_fence}"
    if leaf == LineKind.HTML:
        return _preview_html(shape, before, tail)
    if leaf == LineKind.HEADING and tail:
        return before + _preview_heading(shape, tail)
    if leaf == LineKind.TABLE and tail:
        return before + _preview_row(shape, tail)
    return before + tail


def count_common_prefix(text: str, other_text: str) -> int:
    """Return the number of leading characters that two texts share, by bisection."""
    low, high = 0, min(len(text), len(other_text))
    if text[:high] == other_text[:high]:
        return high
    # The first `low` characters are the same, and the first `high` characters are not.
    while low + 1 < high:
        middle = (low + high) // 2
        if text[low:middle] == other_text[low:middle]:
            low = middle
        else:
            high = middle
    return low


def _container_prefix(containers: Sequence[Container]) -> str:
    """Return the start of a line within these containers: quote marks and indentation."""
    return "".join("> " if container.quote else " " * container.indent for container in containers)


def _preview_paragraph(shape: BlockShape, tail: str) -> str:
    """Return the preview of a block whose open leaf is a paragraph.

    While the paragraph has no visible text, the preview ends before the paragraph.
    """
    paragraph = shape.completion.read_paragraph(shape)
    before = shape.completion.before.join(shape.lines, min(paragraph.begin, shape.size))
    # If the paragraph is all of the block, only definitions are before its text, and they render to nothing.
    without_paragraph = "" if shape.leaf_first_line == 0 else before
    if shape.may_define:
        # The last lines may still turn out to be a definition.
        return without_paragraph
    # The start of the content in the last line, after quote marks or indentation; it follows the offsets of
    # the definitions and of the whole lines.
    tail_offset = shape.offsets[shape.text_from + len(paragraph.prefixes)] if tail else 0
    content = _find_content_to_show(shape, paragraph, tail, tail_offset)
    if content is None:
        return without_paragraph
    # The innermost container may be a list item, in which `[ ]` is a checkbox.
    in_container = bool(shape.containers)
    shown = shape.completion.complete(content, references=shape.definition_count > 0, item=in_container)
    if not shown or shown.isspace():
        return without_paragraph
    if paragraph.has_no_prefixes and not tail_offset:
        return before + shown
    # Each line gets its quote marks or its indentation again.
    return before + paragraph.restore_prefixes(shown, tail[:tail_offset])


def _find_content_to_show(
    shape: BlockShape, paragraph: _ParagraphLines, tail: str, tail_offset: int
) -> str | None:
    """Return the content of a paragraph, without a last line that may be the first row of a table.

    Such a line is shown once the second row has arrived. The result is None if nothing can be shown, because
    the paragraph may begin with a link definition.
    """
    content = paragraph.content
    if not tail:
        # Without its last line ending.
        content = content[:-1]
        last_line = content.rfind("\n") + 1
        may_be_row = shape.may_begin_table and content.startswith("|", last_line)
        return content[: max(last_line - 1, 0)] if may_be_row else content
    if shape.may_begin_table and tail.startswith("|", tail_offset):
        # The row is still being written.
        return content[:-1]
    is_first_line = not paragraph.prefixes
    if is_first_line and _MAY_DEFINE.match(tail, tail_offset):
        return None
    return content + tail[tail_offset:]


def _preview_heading(shape: BlockShape, tail: str) -> str:
    """Return the preview of a heading; "" while it has no text."""
    hashes_start = shape.offsets[-1]
    hashes_end = len(tail) - len(tail[hashes_start:].lstrip("#"))
    content = _without_closing_hashes(tail[hashes_end:]).lstrip(" \t")
    shown = shape.completion.complete(content, references=shape.definition_count > 0, one_line=True)
    return f"{tail[:hashes_end]} {shown}" if shown.strip() else ""


def _without_closing_hashes(heading: str) -> str:
    """Return a heading without its closing hashes, and without blanks at its end."""
    heading = heading.rstrip(" \t")
    bare = heading.rstrip("#")
    # Hashes that directly follow a word belong to the heading.
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else heading


def _preview_row(shape: BlockShape, tail: str) -> str:
    """Return the last row of a table with its last cell completed; "" while the row has no text."""
    cell_start = max((match.end() for match in _CELL_END.finditer(tail)), default=0)
    cell = shape.completion.complete(tail[cell_start:], references=shape.definition_count > 0, one_line=True)
    row = tail[:cell_start] + cell
    # The bars between cells, quote marks before the row and white space are not text.
    return row if row.strip(" \t|>").strip() else ""


def _preview_html(shape: BlockShape, before: str, tail: str) -> str:
    """Return the preview of an HTML block, in which no tag and no comment is half-open.

    A half-open tag at the end is left out. If the block must end with `-->`, `</script>` or the like,
    and that is missing, it is added.
    """
    source = before + tail
    kind = shape.html_kind
    end_pattern = HTML_ENDS.get(kind)
    if end_pattern is None:
        # This kind of block ends at a blank line, but its last tag may be half-open.
        match = _OPEN_TAG.search(source, max(0, len(source) - MOST_TAG))
        return source[: match.start()] if match else source
    if end_pattern.search(tail.lstrip(" \t>")):
        # The end is in the last line.
        return source
    if kind == _SCRIPT_OR_THE_LIKE:
        opening = _RAW_NAME.search(source, shape.settled)
        if opening is None or not opening[0].endswith(">"):
            # The opening tag is not whole.
            return source[: shape.settled]
        # The beginning of the closing tag is replaced by the whole tag.
        partial = _RAW_END.search(source, max(0, len(source) - MOST_TAG))
        source = source[: partial.start()] if partial else source
        ending = f"</{opening[1]}>"
    else:
        ending = _HTML_ENDINGS[kind]
    at_line_start = source.endswith(("\n", "\r"))
    return source + (_container_prefix(shape.containers) if at_line_start else "") + ending

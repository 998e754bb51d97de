"""Previews: the text of an open block, completed so that it renders whole."""

from __future__ import annotations

import re
from operator import add
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.inline import InlineCompleter
from tokenstream.stages._markdown.openings import What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenstream.stages._markdown.block import Shape
    from tokenstream.stages._markdown.containers import Container
    from tokenstream.stages._markdown.inline import Math

_MAY_DEFINE = re.compile(r"\[(?:[^\\\[\]]|\\.)*+\\?(?:\Z|\](?::|\Z))")
_CELL_END = re.compile(r"(?<!\\)\|")
_OPEN_TAG = re.compile(r"<[^<>]*\Z")
_HTML_ENDINGS = {"2": "-->", "3": "?>", "4": ">", "5": "]]>"}
_HTML_ENDS = {kind: re.compile(re.escape(end)) for kind, end in _HTML_ENDINGS.items()} | {
    "1": re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE)
}
_RAW_NAME = re.compile(r"<(script|pre|style|textarea)[^>]*>?", re.IGNORECASE | re.ASCII)
_RAW_END = re.compile(r"</?[A-Za-z]*\Z")

MOST_TAG = 300
"""Characters of a tag of an HTML block that are withheld until it is whole."""


class _Lines(NamedTuple):
    """The whole lines of a paragraph."""

    before: str
    """The text before it."""
    content: str
    """Their content, each with a newline."""
    heads: list[str]
    """What stands before the content of each."""
    plain: bool
    """Nothing does."""


_NO_LINES = _Lines("", "", [], plain=True)


class Completion:
    """What the preview that was built last was built from, so that the next one reads only what is new.

    Args:
        math: The marks of formulas that the renderer knows.
    """

    __slots__ = (
        "_completer",
        "_count",
        "_line",
        "_lines",
        "_math",
        "_options",
        "_pieces",
        "_shape",
        "_size",
        "_whole",
        "_wholes",
    )

    def __init__(self, math: Math | None = None) -> None:
        self._math: Math | None = math
        self._options: tuple[bool, ...] = ()
        self._completer: InlineCompleter | None = None
        self._pieces: list[str] | None = None
        self._size = 0
        self._line = ""
        self._shape: Shape | None = None
        self._lines = _NO_LINES
        self._wholes: list[str] | None = None
        self._count = 0
        self._whole = ""

    def whole(self, lines: list[str], count: int) -> str:
        """Return the text of the first whole lines of a block."""
        if lines is self._wholes and count >= self._count:
            if count > self._count:
                self._whole += "".join(lines[self._count : count])
        else:
            self._whole = "".join(lines[:count])
        self._wholes, self._count = lines, count
        return self._whole

    def line(self, pieces: list[str], size: int) -> str:
        """Return the line that the first of its pieces make."""
        if pieces is self._pieces and size >= self._size:
            self._line += "".join(pieces[self._size : size])
        else:
            self._line = "".join(pieces[:size])
        self._pieces, self._size = pieces, size
        return self._line

    def lines(self, shape: Shape) -> _Lines:
        """Return the whole lines of a paragraph."""
        if shape is not self._shape:
            begin = shape.first + shape.shown
            lines = shape.lines[begin : shape.size]
            offsets = shape.offsets[shape.shown : shape.shown + len(lines)]
            heads = [line[:offset] for line, offset in zip(lines, offsets, strict=True)]
            contents = [
                line[offset:].rstrip("\r\n") + "\n" for line, offset in zip(lines, offsets, strict=True)
            ]
            before = "".join(shape.lines[: min(begin, shape.size)])
            self._lines = _Lines(before, "".join(contents), heads, plain=not any(heads))
            self._shape = shape
        return self._lines

    def preview(self, content: str, *, references: bool, item: bool = False, one_line: bool = False) -> str:
        """Return what to show of the content of a leaf."""
        options = (references, item, one_line)
        completer = self._completer
        if completer is None or options != self._options or not content.startswith(completer.text):
            self._options = options
            self._completer = completer = InlineCompleter(
                item=item, one_line=one_line, references=references, math=self._math
            )
        completer.feed(content[len(completer.text) :])
        return completer.preview()


def preview_of(shape: Shape, tail: str) -> str:
    """Return the text of an open block that renders whole.

    Args:
        shape: The block.
        tail: As much of its last line as has come.
    """
    leaf = shape.leaf
    if leaf == What.TEXT:
        return _paragraph(shape, tail)
    if leaf == What.MATH:
        return "".join(shape.lines[: shape.first])
    before = shape.completion.whole(shape.lines, shape.size)
    if leaf == What.FENCE:
        return _fence(shape, before + tail)
    if leaf == What.HTML:
        return _html(shape, before, tail)
    if leaf == What.HEADING and tail:
        return before + _heading(shape, tail)
    if leaf == What.TABLE and tail:
        return before + _row(shape, tail)
    return before + tail


def _prefix(containers: Sequence[Container]) -> str:
    """Return what a line begins with that stands in these containers."""
    return "".join("> " if container.quote else " " * container.indent for container in containers)


def _fence(shape: Shape, source: str) -> str:
    newline = "" if source.endswith(("\n", "\r")) else "\n"
    return f"{source}{newline}{_prefix(shape.containers)}{shape.mark}"


def _paragraph(shape: Shape, tail: str) -> str:
    before, content, heads, plain = shape.completion.lines(shape)
    # Definitions alone show nothing, so there is nothing to render yet.
    nothing = "" if shape.first == 0 else before
    if shape.pending:
        return nothing
    offset = shape.offsets[shape.shown + len(heads)] if tail else 0
    if not tail:
        content = content[:-1]
        last = content.rfind("\n") + 1
        if shape.heads and content.startswith("|", last):
            content = content[: max(last - 1, 0)]
    elif shape.heads and tail.startswith("|", offset):
        content = content[:-1]
    elif not heads and _MAY_DEFINE.match(tail, offset):
        return nothing
    else:
        content += tail[offset:]
    done = shape.completion.preview(content, references=shape.defined > 0, item=bool(shape.containers))
    if not done or done.isspace():
        return nothing
    if plain and not offset:
        return before + done
    return before + "\n".join(map(add, [*heads, tail[:offset]], done.split("\n")))


def _heading(shape: Shape, tail: str) -> str:
    begin = shape.offsets[-1]
    hashes = len(tail) - len(tail[begin:].lstrip("#"))
    content = _without_closing_hashes(tail[hashes:]).lstrip(" \t")
    done = shape.completion.preview(content, references=shape.defined > 0, one_line=True)
    return f"{tail[:hashes]} {done}" if done.strip() else ""


def _without_closing_hashes(heading: str) -> str:
    """Return a heading without the hashes behind its last blank, and without blanks at its end."""
    heading = heading.rstrip(" \t")
    bare = heading.rstrip("#")
    return bare.rstrip(" \t") if not bare or bare[-1] in " \t" else heading


def _row(shape: Shape, tail: str) -> str:
    """Return the last row of a table with its last cell completed, or nothing while it has no text."""
    begin = max((match.end() for match in _CELL_END.finditer(tail)), default=0)
    done = shape.completion.preview(tail[begin:], references=shape.defined > 0, one_line=True)
    row = tail[:begin] + done
    return row if row.strip(" \t|>").strip() else ""


def _html(shape: Shape, before: str, tail: str) -> str:
    source = before + tail
    kind = shape.mark
    if kind in {"6", "7"}:
        match = _OPEN_TAG.search(source, max(0, len(source) - MOST_TAG))
        return source[: match.start()] if match else source
    if _HTML_ENDS[kind].search(tail.lstrip(" \t>")):
        return source
    ending = _HTML_ENDINGS.get(kind, "")
    if kind == "1":
        opened = _RAW_NAME.search(source, shape.settled)
        if opened is None or not opened[0].endswith(">"):
            return source[: shape.settled]
        partial = _RAW_END.search(source, max(0, len(source) - MOST_TAG))
        source = source[: partial.start()] if partial else source
        ending = f"</{opened[1]}>"
    newline = source.endswith(("\n", "\r"))
    return source + (_prefix(shape.containers) if newline else "") + ending

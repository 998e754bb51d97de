"""The open quotes and list items, from the outermost to the innermost."""

from __future__ import annotations

import re
from typing import NamedTuple

_NOT_BLANK = re.compile(r"[^ \t]|\Z")


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

    __slots__ = ("_frozen", "items", "open_list_marker", "outermost_quote")

    def __init__(self) -> None:
        self.items: list[Container] = []
        self._frozen: tuple[Container, ...] | None = ()
        """The stack as a tuple; None if it has changed since the last `freeze`."""
        self.outermost_quote = -1
        """Index of the outermost quote; -1 if there is none."""
        self.open_list_marker: str | None = None
        """The marker of the open top-level list, even between its items; None if no list is open."""

    def match(self, text: str, content_at: int, *, complete: bool) -> MatchedLine | None:
        """Match a line against the open containers; return None if more of the line is needed.

        Args:
            text: The line so far.
            content_at: The position of the first character that is not blank; there must be one.
            complete: True if this is the whole line.
        """
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
        """Add the containers that a line opens to the stack, within the innermost one."""
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
        """Return an immutable copy of the stack."""
        if self._frozen is None:
            self._frozen = tuple(self.items)
        return self._frozen

    def continues_list(self, opened: list[Container], level: int) -> bool:
        """Return True if a line continues an open list: its first new container is the next item of the list.

        Args:
            opened: The containers that the line opens.
            level: Number of containers around the list.
        """
        if not opened or opened[0].quote:
            return False
        if level == 0:
            return self.open_list_marker == opened[0].marker
        return level < len(self.items) and self.items[level].marker == opened[0].marker


def skip_quote_mark(text: str, position: int) -> int:
    """Return the start of the content after the quote mark at a position."""
    return position + 2 if text[position + 1 : position + 2] == " " else position + 1

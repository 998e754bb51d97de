"""The open quotes and list items, from the outermost to the innermost."""

from __future__ import annotations

import re
from typing import NamedTuple

_NOT_BLANK = re.compile(r"[^ \t]|\Z")


def skip_blanks(text: str, at: int) -> int:
    """Return the position of the next character that is neither a space nor a tab, or the end."""
    match = _NOT_BLANK.search(text, at)
    return match.start() if match else len(text)


class Container:
    """An open quote or list item."""

    __slots__ = ("bare", "indent", "marker", "quote")

    def __init__(self, marker: str, indent: int, *, bare: bool = False) -> None:
        self.quote = marker == ">"
        self.marker = marker
        self.indent = indent
        """Number of columns before the content of a list item."""
        self.bare = bare
        """True for a list item that began with an empty line and has no content yet."""


class Matched(NamedTuple):
    """A line and the open containers that it continues."""

    text: str
    """The line, with tabs among its marks replaced by spaces."""
    places: list[int]
    """The start of the content at each level: outside of all containers, and in each continued container."""
    seen: int
    """The position of the first character after the containers' marks that is not blank."""
    level: int
    """Number of containers that the line continues."""
    indent: int
    """Number of blanks before the content."""
    odd: bool = False
    """True if a container's mark is indented so far that some parsers do not accept it."""


class Containers:
    """The stack of open containers."""

    __slots__ = ("_frozen", "items", "listed", "quote_at")

    def __init__(self) -> None:
        self.items: list[Container] = []
        self._frozen: tuple[Container, ...] | None = ()
        self.quote_at = -1
        """Index of the outermost quote; -1 if there is none."""
        self.listed: str | None = None
        """The marker of the open top-level list, even between its items; None if no list is open."""

    def match(self, text: str, seen: int, *, complete: bool) -> Matched | None:
        """Match a line against the open containers; return None if more of the line is needed.

        Args:
            text: The line so far.
            seen: The position of the first character that is not blank; there must be one.
            complete: Whether this is the whole line.
        """
        at, odd, size = 0, False, len(text)
        places = [0]
        for container in self.items:
            if container.quote:
                if seen == size or text[seen] != ">":
                    break
                # markdown-it continues a quote no matter how far its mark is indented.
                odd = odd or seen - at > 3
                at = skip_quote_mark(text, seen)
                seen = skip_blanks(text, at)
                if seen == size and not complete:
                    return None
            elif seen - at >= container.indent:
                at += container.indent
            elif seen == size and not container.bare:
                at = seen
            else:
                break
            places.append(at)
        return Matched(text, places, seen, len(places) - 1, seen - at, odd)

    def close_inner(self, count: int) -> None:
        """Close all but the outermost `count` containers."""
        if count < len(self.items):
            del self.items[count:]
            self._frozen = None
            if self.quote_at >= count:
                self.quote_at = -1

    def enter(self, new: list[Container]) -> None:
        """Open containers within the innermost one."""
        if self.quote_at < 0:
            for place, container in enumerate(new, len(self.items)):
                if container.quote:
                    self.quote_at = place
                    break
        if new:
            self.items += new
            self._frozen = None

    def freeze(self) -> tuple[Container, ...]:
        """Return an immutable copy of the stack."""
        if self._frozen is None:
            self._frozen = tuple(self.items)
        return self._frozen

    def continues_list(self, new: list[Container], level: int) -> bool:
        """Return True if the first of the new containers is the next item of the list open at a level."""
        if not new or new[0].quote:
            return False
        if level == 0:
            return self.listed == new[0].marker
        return level < len(self.items) and self.items[level].marker == new[0].marker


def skip_quote_mark(text: str, at: int) -> int:
    """Return the start of the content after the quote mark at a position."""
    return at + 2 if text[at + 1 : at + 2] == " " else at + 1

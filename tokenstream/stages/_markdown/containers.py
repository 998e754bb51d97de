"""The quotes and items of lists that are open, from the outermost to the innermost."""

from __future__ import annotations

import re
from typing import NamedTuple

_NOT_BLANK = re.compile(r"[^ \t]|\Z")


def skip_blanks(text: str, at: int) -> int:
    """Return the place of the next character that is neither a space nor a tab, or the end."""
    match = _NOT_BLANK.search(text, at)
    return match.start() if match else len(text)


class Container:
    """A quote, or an item of a list, that is open."""

    __slots__ = ("bare", "indent", "marker", "quote")

    def __init__(self, marker: str, indent: int, *, bare: bool = False) -> None:
        self.quote = marker == ">"
        self.marker = marker
        self.indent = indent
        """Columns before the content of an item."""
        self.bare = bare
        """An item that has begun with a line without content, and has none yet."""


class Matched(NamedTuple):
    """What is left of a line behind the marks of the containers that it continues."""

    text: str
    """The line with the tabs of its marks as spaces."""
    places: list[int]
    """Where the line goes on at each level: outside, and in each container that it continues."""
    seen: int
    """The first character behind the marks that is no blank."""
    level: int
    """How many containers the line continues."""
    indent: int
    """How many blanks stand before the content."""
    odd: bool = False
    """A mark stands so far in that not all parsers take it for one."""


class Containers:
    """The containers that are open."""

    __slots__ = ("_frozen", "items", "listed", "quote_at")

    def __init__(self) -> None:
        self.items: list[Container] = []
        self._frozen: tuple[Container, ...] | None = ()
        self.quote_at = -1
        """The outermost quote; -1 without one."""
        self.listed: str | None = None
        """The marker of the open list at the top level, which may have no open item."""

    def match(self, text: str, seen: int, *, complete: bool) -> Matched | None:
        """Return which containers a line continues; None if more of it is needed to tell.

        Args:
            text: The line, or as much of it as has come.
            seen: Its first character that is no blank; there is one.
            complete: This is the whole line.
        """
        at, odd, size = 0, False, len(text)
        places = [0]
        for container in self.items:
            if container.quote:
                if seen == size or text[seen] != ">":
                    break
                # markdown-it goes on with a quote however far its mark is indented.
                odd = odd or seen - at > 3
                at = behind_quote(text, seen)
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

    def keep(self, count: int) -> None:
        """Close all but the outer ones."""
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

    def frozen(self) -> tuple[Container, ...]:
        """Return the containers as they are now, for keeps."""
        if self._frozen is None:
            self._frozen = tuple(self.items)
        return self._frozen

    def begins_beside(self, new: list[Container], level: int) -> bool:
        """Whether the first of new containers is the next item of the list at a level."""
        if not new or new[0].quote:
            return False
        if level == 0:
            return self.listed == new[0].marker
        return level < len(self.items) and self.items[level].marker == new[0].marker


def behind_quote(text: str, at: int) -> int:
    """Return where the content begins behind the mark of a quote."""
    return at + 2 if text[at + 1 : at + 2] == " " else at + 1

"""The containers and the leaf that a line opens, after the containers that it continues."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.containers import Container, skip_blanks, skip_quote_mark
from tokenstream.stages._markdown.starts import BLANKS, UNDECIDED, fence_at, heading_at, html_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._markdown.containers import Matched

_ORDERED = re.compile(r"([0-9]{1,9})([.)])")
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_OTHER = {mark: re.compile(rf"[^{re.escape(mark)} \t]|\Z") for mark in "*-_"}


class LineKind:
    """Kinds of content that a line can begin or continue."""

    UNDECIDED = "undecided"
    TEXT = "paragraph"
    NOTHING = "nothing"
    CODE = "code"
    FENCE = "fence"
    HTML = "html"
    HEADING = "heading"
    RULE = "rule"
    MATH = "math"
    TABLE = "table"


class Opening(NamedTuple):
    """The containers and the leaf that a line opens."""

    what: str
    containers: list[Container]
    places: list[int]
    """The start of the content at each level: in the continued containers, and in each opened container."""
    seen: int
    """The start of the leaf's content."""
    size: int = 0
    """The fence's length, the heading's level, or the kind of HTML block."""


_WAIT = Opening(LineKind.UNDECIDED, [], [], 0)


class _OpeningLine:
    """A line that is read from left to right, to find the containers and the leaf that it opens."""

    __slots__ = (
        "at",
        "complete",
        "containers",
        "direct",
        "interrupts",
        "math",
        "para",
        "places",
        "seen",
        "stops",
        "text",
    )

    def __init__(
        self, matched: Matched, math: str, *, complete: bool, para: bool, direct: bool, interrupts: bool
    ) -> None:
        self.text = matched.text
        self.at = matched.places[-1]
        self.seen = matched.seen
        self.math = math
        self.complete = complete
        self.para = para
        self.direct = direct
        self.interrupts = interrupts
        self.containers: list[Container] = []
        self.places = [self.at]
        self.stops: dict[str, int] = {}
        """For each character that thematic breaks consist of, the end of the text that could be a break."""

    def make_opening(self, what: str, size: int = 0) -> Opening:
        return Opening(what, self.containers, self.places, self.seen, size)

    def enter(self, container: Container, at: int) -> None:
        self.containers.append(container)
        self.at = at
        self.places.append(at)

    def read_quote(self) -> Opening | None:
        """Enter a quote; return None to go on in it, or the opening that ends the line."""
        at = skip_quote_mark(self.text, self.seen)
        self.enter(Container(">", 0), at)
        self.seen = skip_blanks(self.text, at)
        if self.seen < len(self.text):
            return None
        return self.make_opening(LineKind.NOTHING) if self.complete else _WAIT

    def read_heading(self) -> Opening | None:
        level = heading_at(self.text, self.seen, complete=self.complete)
        return self._make_found(LineKind.HEADING, level)

    def read_fence(self) -> Opening | None:
        size = fence_at(self.text, self.seen, complete=self.complete)
        return self._make_found(LineKind.FENCE, size)

    def read_html(self) -> Opening | None:
        interrupts = self.interrupts and not self.containers
        kind = html_at(self.text, self.seen, complete=self.complete, interrupts=interrupts)
        return self._make_found(LineKind.HTML, kind)

    def read_formula(self) -> Opening | None:
        """Return a formula if the mark at this place opens one, and text otherwise."""
        mark, rest = self.math, self.text[self.seen : self.seen + 2]
        if not mark or (self.interrupts and not self.containers):
            return self.make_opening(LineKind.TEXT)
        if rest == mark[0] and not self.complete:
            return _WAIT
        return self.make_opening(LineKind.MATH if rest == mark else LineKind.TEXT)

    def _make_found(self, what: str, size: int) -> Opening:
        """Return the result of a recogniser as an opening; `size` is its number, 0 or UNDECIDED."""
        if size == UNDECIDED:
            return _WAIT
        return self.make_opening(what, size) if size else self.make_opening(LineKind.TEXT)

    def read_rule(self) -> Opening | None:
        """Return a thematic break; None if there is no break here, but there may be a list item.

        No character is read twice: the end of the possible break is remembered.
        """
        mark = self.text[self.seen]
        stop = self.stops.get(mark, -1)
        if stop < self.seen:
            match = _OTHER[mark].search(self.text, self.seen)
            stop = self.stops[mark] = match.start() if match else len(self.text)
        if stop == len(self.text):
            if not self.complete:
                return _WAIT
            if self.text.count(mark, self.seen) >= 3:
                return self.make_opening(LineKind.RULE)
        return self.make_opening(LineKind.TEXT) if mark == "_" else None

    def read_bullet(self) -> Opening | None:
        if self.text[self.seen] != "+" and (rule := self.read_rule()) is not None:
            return rule
        return self.read_item(self.text[self.seen], self.seen + 1, limited=False)

    def read_number(self) -> Opening | None:
        """Read the number of a list item; only an item with the number 1 can interrupt a paragraph."""
        match = _ORDERED.match(self.text, self.seen)
        if match is None:
            waits = not self.complete and _DIGITS.match(self.text, self.seen)
            return _WAIT if waits else self.make_opening(LineKind.TEXT)
        return self.read_item(match[2], match.end(), limited=int(match[1]) != 1)

    def read_item(self, marker: str, after: int, *, limited: bool) -> Opening | None:
        """Enter a list item; return None to go on in it, or the opening that ends the line.

        Args:
            marker: The character that identifies the list.
            after: The position after the marker.
            limited: Whether the item cannot interrupt a paragraph at the same level.
        """
        text = self.text
        if after == len(text) and not self.complete:
            return _WAIT
        if text[after : after + 1] not in BLANKS:
            return self.make_opening(LineKind.TEXT)
        begin = skip_blanks(text, after)
        bare = begin == len(text)
        if bare and not self.complete:
            return _WAIT
        if self.direct and not self.containers and (bare or limited):
            return self.make_opening(LineKind.TEXT)
        if bare:
            self.enter(Container(marker, after - self.at + 1, bare=True), begin)
            self.seen = begin
            return self.make_opening(LineKind.NOTHING)
        blanks = begin - after
        at = after + (blanks if blanks <= 4 else 1)
        self.enter(Container(marker, at - self.at), at)
        self.seen = begin
        return None


_OPENERS: dict[str, Callable[[_OpeningLine], Opening | None]] = {
    "#": _OpeningLine.read_heading,
    ">": _OpeningLine.read_quote,
    "-": _OpeningLine.read_bullet,
    "+": _OpeningLine.read_bullet,
    "*": _OpeningLine.read_bullet,
    "_": _OpeningLine.read_rule,
    "`": _OpeningLine.read_fence,
    "~": _OpeningLine.read_fence,
    "<": _OpeningLine.read_html,
    "$": _OpeningLine.read_formula,
    "\\": _OpeningLine.read_formula,
    **dict.fromkeys("0123456789", _OpeningLine.read_number),
}


def read_opening(
    matched: Matched,
    *,
    complete: bool,
    math: str = "",
    para: bool = False,
    direct: bool = False,
    interrupts: bool = False,
) -> Opening:
    """Return the containers and the leaf that a line opens, after the containers that it continues.

    Args:
        matched: The line so far.
        complete: Whether this is the whole line.
        math: The opening mark of displayed formulas; "" if they are not recognised.
        para: Whether a paragraph is open, in the continued containers or deeper.
        direct: Whether that paragraph is directly in the continued containers.
        interrupts: Whether a block that begins here would interrupt a paragraph or a table, which
            a lone HTML tag and a displayed formula must not do.
    """
    text, seen = matched.text, matched.seen
    if text[seen] not in _OPENERS and matched.indent < 4:
        return Opening(LineKind.TEXT, [], [matched.places[-1]], seen)
    line = _OpeningLine(matched, math, complete=complete, para=para, direct=direct, interrupts=interrupts)
    while True:
        if line.seen - line.at >= 4:
            return line.make_opening(LineKind.TEXT if para and not line.containers else LineKind.CODE)
        opener = _OPENERS.get(text[line.seen])
        if opener is None:
            return line.make_opening(LineKind.TEXT)
        found = opener(line)
        if found is not None:
            return found

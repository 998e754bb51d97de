"""The containers and the leaf that a line opens, beginning behind those that it continues."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream.stages._markdown.containers import Container, behind_quote, skip_blanks
from tokenstream.stages._markdown.starts import BLANKS, UNDECIDED, fence_at, heading_at, html_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.stages._markdown.containers import Matched

_ORDERED = re.compile(r"([0-9]{1,9})([.)])")
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_OTHER = {mark: re.compile(rf"[^{re.escape(mark)} \t]|\Z") for mark in "*-_"}


class What:
    """Names of what a line can begin or go on with."""

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
    """What a line opens."""

    what: str
    containers: list[Container]
    places: list[int]
    """Where the line goes on at each level: outside, and in each container that it opens."""
    seen: int
    """Where the content begins."""
    size: int = 0
    """How long the fence is, how deep the heading, or which kind of HTML it is."""


_WAIT = Opening(What.UNDECIDED, [], [], 0)


class _Line:
    """A line that is looked at from left to right."""

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
        """For each character of thematic breaks, how far a line could be one."""

    def opening(self, what: str, size: int = 0) -> Opening:
        return Opening(what, self.containers, self.places, self.seen, size)

    def enter(self, container: Container, at: int) -> None:
        self.containers.append(container)
        self.at = at
        self.places.append(at)

    def quote(self) -> Opening | None:
        at = behind_quote(self.text, self.seen)
        self.enter(Container(">", 0), at)
        self.seen = skip_blanks(self.text, at)
        if self.seen < len(self.text):
            return None
        return self.opening(What.NOTHING) if self.complete else _WAIT

    def heading(self) -> Opening | None:
        level = heading_at(self.text, self.seen, complete=self.complete)
        return self._found(What.HEADING, level)

    def fence(self) -> Opening | None:
        size = fence_at(self.text, self.seen, complete=self.complete)
        return self._found(What.FENCE, size)

    def html(self) -> Opening | None:
        interrupts = self.interrupts and not self.containers
        kind = html_at(self.text, self.seen, complete=self.complete, interrupts=interrupts)
        return self._found(What.HTML, kind)

    def formula(self) -> Opening | None:
        mark, rest = self.math, self.text[self.seen : self.seen + 2]
        if not mark or (self.interrupts and not self.containers):
            return self.opening(What.TEXT)
        if rest == mark[0] and not self.complete:
            return _WAIT
        return self.opening(What.MATH if rest == mark else What.TEXT)

    def _found(self, what: str, size: int) -> Opening:
        if size == UNDECIDED:
            return _WAIT
        return self.opening(what, size) if size else self.opening(What.TEXT)

    def rule(self) -> Opening | None:
        """Return a thematic break, or None where it is none; each character is looked at once a line."""
        mark = self.text[self.seen]
        stop = self.stops.get(mark, -1)
        if stop < self.seen:
            match = _OTHER[mark].search(self.text, self.seen)
            stop = self.stops[mark] = match.start() if match else len(self.text)
        if stop == len(self.text):
            if not self.complete:
                return _WAIT
            if self.text.count(mark, self.seen) >= 3:
                return self.opening(What.RULE)
        return self.opening(What.TEXT) if mark == "_" else None

    def bullet(self) -> Opening | None:
        if self.text[self.seen] != "+" and (rule := self.rule()) is not None:
            return rule
        return self.item(self.text[self.seen], self.seen + 1, limited=False)

    def number(self) -> Opening | None:
        match = _ORDERED.match(self.text, self.seen)
        if match is None:
            waits = not self.complete and _DIGITS.match(self.text, self.seen)
            return _WAIT if waits else self.opening(What.TEXT)
        return self.item(match[2], match.end(), limited=int(match[1]) != 1)

    def item(self, marker: str, after: int, *, limited: bool) -> Opening | None:
        """Enter an item of a list; `limited` ones cannot interrupt a paragraph that stands beside them."""
        text = self.text
        if after == len(text) and not self.complete:
            return _WAIT
        if text[after : after + 1] not in BLANKS:
            return self.opening(What.TEXT)
        begin = skip_blanks(text, after)
        bare = begin == len(text)
        if bare and not self.complete:
            return _WAIT
        if self.direct and not self.containers and (bare or limited):
            return self.opening(What.TEXT)
        if bare:
            self.enter(Container(marker, after - self.at + 1, bare=True), begin)
            self.seen = begin
            return self.opening(What.NOTHING)
        blanks = begin - after
        at = after + (blanks if blanks <= 4 else 1)
        self.enter(Container(marker, at - self.at), at)
        self.seen = begin
        return None


_OPENERS: dict[str, Callable[[_Line], Opening | None]] = {
    "#": _Line.heading,
    ">": _Line.quote,
    "-": _Line.bullet,
    "+": _Line.bullet,
    "*": _Line.bullet,
    "_": _Line.rule,
    "`": _Line.fence,
    "~": _Line.fence,
    "<": _Line.html,
    "$": _Line.formula,
    "\\": _Line.formula,
    **dict.fromkeys("0123456789", _Line.number),
}


def starts_at(
    matched: Matched,
    *,
    complete: bool,
    math: str = "",
    para: bool = False,
    direct: bool = False,
    interrupts: bool = False,
) -> Opening:
    """Return what a line opens behind the containers that it continues.

    Args:
        matched: The line, or as much of it as has come.
        complete: This is the whole line.
        math: What displayed formulas begin with; "" where they are text.
        para: A paragraph is open, in the containers that it continues or deeper.
        direct: That paragraph stands directly in them.
        interrupts: A paragraph or a table is open, which a lone tag does not interrupt.
    """
    text, seen = matched.text, matched.seen
    if text[seen] not in _OPENERS and matched.indent < 4:
        return Opening(What.TEXT, [], [matched.places[-1]], seen)
    line = _Line(matched, math, complete=complete, para=para, direct=direct, interrupts=interrupts)
    while True:
        if line.seen - line.at >= 4:
            return line.opening(What.TEXT if para and not line.containers else What.CODE)
        opener = _OPENERS.get(text[line.seen])
        if opener is None:
            return line.opening(What.TEXT)
        found = opener(line)
        if found is not None:
            return found

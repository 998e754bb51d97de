"""Runs of `*`, `_` and `~`: which open emphasis, which close it, and what is open."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import NamedTuple

WHITE = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
"""White space, as CommonMark and markdown-it know it."""
MOST_OPEN = 16
"""Runs that are remembered as open; where there are more, the outermost stays as it is."""

_NOTHING_TO_EMPHASIZE = frozenset(".,;:!?)]}/")
_FIRST_IDEOGRAPH = "\u2e80"


class Run(NamedTuple):
    """A run of one mark."""

    mark: str
    at: int
    """Where it begins in the text."""
    length: int
    opens: bool
    closes: bool
    bare: bool = False
    """The marks are most likely meant as characters: `2*3`, `*.py`."""


class Opener:
    """What is left of a run that may still be closed."""

    __slots__ = ("count", "run")

    def __init__(self, run: Run, count: int) -> None:
        self.run = run
        self.count = count

    @property
    def end(self) -> int:
        """Where what it may open begins, if nothing of the run has been closed."""
        return self.run.at + self.count

    @property
    def marks(self) -> str:
        """What closes it."""
        return self.run.mark * self.count


def run_at(text: str, at: int, length: int) -> Run:
    """Return the run at a place of a text, by the characters on both sides of it.

    Example:
        >>> run_at("a *b", 2, 1).opens, run_at("a*", 1, 1).opens, run_at("snake_case", 5, 1).opens
        (True, False, False)
    """
    end = at + length
    mark = text[at]
    return _run(mark, at, length, text[at - 1] if at else " ", text[end] if end < len(text) else " ")


def _run(mark: str, at: int, length: int, before: str, after: str) -> Run:
    white_before, white_after = before in WHITE, after in WHITE
    marked_before, marked_after = _is_punctuation(before), _is_punctuation(after)
    left = not white_after and (not marked_after or white_before or marked_before)
    right = not white_before and (not marked_before or white_after or marked_after)
    inside = _in_word(before) and _in_word(after)
    bare = (length == 1 and (inside or after in _NOTHING_TO_EMPHASIZE)) or (length > 3 and inside)
    opens, closes = left, right
    if mark == "_":
        opens, closes = left and (not right or marked_before), right and (not left or marked_after)
    return Run(mark, at, length, opens, closes, bare)


def _is_punctuation(character: str) -> bool:
    if character.isalnum() or character == " ":
        return False
    return unicodedata.category(character)[0] in "PS"


def _in_word(character: str) -> bool:
    # Where words are written without spaces between them, emphasis begins inside of them.
    return character.isalnum() and character < _FIRST_IDEOGRAPH


def take(openers: list[Opener], run: Run) -> bool:
    """Let a run close what it can, and open something with what is left of it.

    Returns False for a run that might close something, but finds nothing to close.

    Args:
        openers: What is open, outermost first; is changed.
        run: The next run of the text.
    """
    left = _close_with(openers, run, run.length) if run.closes and openers else run.length
    if run.opens and left >= _least(run.mark):
        openers.append(Opener(run, left))
        if len(openers) > MOST_OPEN:
            del openers[0]
    return run.opens or not run.closes or left == 0


def _least(mark: str) -> int:
    return 2 if mark == "~" else 1


def _close_with(openers: list[Opener], run: Run, left: int) -> int:
    """Close what the last `left` marks of a run close; return how many are left then."""
    least = _least(run.mark)
    while left >= least:
        index = next((at for at in range(len(openers) - 1, -1, -1) if _match(openers[at].run, run)), -1)
        if index < 0:
            break
        opener = openers[index]
        used = 2 if left > 1 and opener.count > 1 else 1
        left -= used
        opener.count -= used
        del openers[index + (opener.count >= least) :]
    return left


def _match(opener: Run, closer: Run) -> bool:
    if opener.mark != closer.mark:
        return False
    if closer.mark == "~" or not (opener.closes or closer.opens):
        return True
    # The rule of three: `*a**b*` is one emphasis around `a**b`.
    together = opener.length + closer.length
    return together % 3 != 0 or (opener.length % 3 == 0 and closer.length % 3 == 0)


def close(openers: list[Opener], before: str, end: int) -> tuple[str, list[int]]:
    """Return the marks that close what is open, from inner to outer, and the places to escape.

    What is bare is not closed; where it would take a mark that is meant for
    what stands around it, it has to be escaped.

    Args:
        openers: What is open, outermost first.
        before: The last characters before the marks.
        end: Where in the text they end.
    """
    wanted: list[Opener] = []
    escaped: list[Opener] = []
    for opener in openers:
        if not opener.run.bare:
            wanted.append(opener)
        elif wanted:
            escaped.append(opener)
    if not wanted:
        return "", []
    places: list[int] = []
    start = len(before.rstrip(wanted[-1].run.mark))
    if start < len(before) and before[:start][-1:] in WHITE:
        # Marks that close nothing would make one run with those that do.
        places += range(end + start - len(before), end)
        before = "\\"
    elif len(openers) == 1 and not openers[0].run.closes:
        return openers[0].marks, places
    while True:
        marks = "".join(opener.marks for opener in reversed(wanted))
        unclosed = _left_open(wanted, marks, before)
        if unclosed is None:
            places += [opener.run.at + n for opener in escaped for n in range(opener.count)]
            return marks, sorted(places)
        # By the rule of three no closing marks that could be appended here would close these two.
        escaped.append(wanted.pop(unclosed))


def _left_open(wanted: list[Opener], marks: str, before: str) -> int | None:
    """Return which opener the marks leave open; None where they close all."""
    openers = [Opener(opener.run, opener.count) for opener in wanted]
    for mark, group in groupby(marks):
        added = len(list(group))
        # Marks that stand there already make one run with those that are added.
        start = len(before.rstrip(mark))
        before += mark * added
        marks = marks[added:]
        run = _run(mark, start, len(before) - start, before[start - 1 : start] or " ", marks[:1] or " ")
        if run.closes:
            _close_with(openers, run, added)
    return len(openers) - 1 if openers else None

"""Runs of `*`, `_` and `~` that open and close emphasis, by the rules of CommonMark."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import NamedTuple

WHITE = "\t\n\v\f\r \xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u202f\u205f\u3000"
"""White space characters in CommonMark and markdown-it."""
MOST_OPEN = 16
"""The most runs that are tracked as open; if there are more, the outermost run is treated as text."""

_NOTHING_TO_EMPHASIZE = frozenset(".,;:!?)]}/")
_FIRST_IDEOGRAPH = "\u2e80"


class DelimiterRun(NamedTuple):
    """A run of one delimiter character."""

    mark: str
    at: int
    """The position of the run in the text."""
    length: int
    opens: bool
    closes: bool
    bare: bool = False
    """True if the marks are most likely ordinary characters: `2*3`, `*.py`."""


class OpenRun:
    """A run of which some marks are still open."""

    __slots__ = ("count", "run")

    def __init__(self, run: DelimiterRun, count: int) -> None:
        self.run = run
        self.count = count

    @property
    def end(self) -> int:
        """The position after the run, as long as none of its marks has been closed."""
        return self.run.at + self.count

    @property
    def marks(self) -> str:
        """The marks that close the run."""
        return self.run.mark * self.count


def run_at(text: str, at: int, length: int) -> DelimiterRun:
    """Return the run at a position, classified by the characters on both sides.

    Example:
        >>> run_at("a *b", 2, 1).opens, run_at("a*", 1, 1).opens, run_at("snake_case", 5, 1).opens
        (True, False, False)
    """
    end = at + length
    mark = text[at]
    return _make_run(mark, at, length, text[at - 1] if at else " ", text[end] if end < len(text) else " ")


def _make_run(mark: str, at: int, length: int, before: str, after: str) -> DelimiterRun:
    """Return a run, classified by CommonMark's rules for left-flanking and right-flanking runs.

    Args:
        mark: The character of the run.
        at: The position of the run.
        length: The number of marks.
        before: The character before the run, or a space.
        after: The character after the run, or a space.
    """
    white_before, white_after = before in WHITE, after in WHITE
    marked_before, marked_after = _is_punctuation(before), _is_punctuation(after)
    left = not white_after and (not marked_after or white_before or marked_before)
    right = not white_before and (not marked_before or white_after or marked_after)
    inside = _in_word(before) and _in_word(after)
    bare = (length == 1 and (inside or after in _NOTHING_TO_EMPHASIZE)) or (length > 3 and inside)
    opens, closes = left, right
    if mark == "_":
        opens, closes = left and (not right or marked_before), right and (not left or marked_after)
    return DelimiterRun(mark, at, length, opens, closes, bare)


def _is_punctuation(character: str) -> bool:
    if character.isalnum() or character == " ":
        return False
    return unicodedata.category(character)[0] in "PS"


def _in_word(character: str) -> bool:
    # In scripts without spaces between words, emphasis may begin inside of a word.
    return character.isalnum() and character < _FIRST_IDEOGRAPH


def take_run(openers: list[OpenRun], run: DelimiterRun) -> bool:
    """Close open runs with a run, and open what is left of that run.

    Returns False if the run could only close other runs, and some of its marks closed nothing.

    Args:
        openers: The open runs, outermost first; modified.
        run: The next run of the text.
    """
    left = _close_with(openers, run, run.length) if run.closes and openers else run.length
    if run.opens and left >= _least(run.mark):
        openers.append(OpenRun(run, left))
        if len(openers) > MOST_OPEN:
            del openers[0]
    return run.opens or not run.closes or left == 0


def _least(mark: str) -> int:
    return 2 if mark == "~" else 1


def _close_with(openers: list[OpenRun], run: DelimiterRun, left: int) -> int:
    """Close open runs with the last `left` marks of a run; return the number of unused marks."""
    least = _least(run.mark)
    while left >= least:
        index = next((at for at in range(len(openers) - 1, -1, -1) if _may_pair(openers[at].run, run)), -1)
        if index < 0:
            break
        opener = openers[index]
        # Two marks on both sides make strong emphasis.
        used = 2 if left > 1 and opener.count > 1 else 1
        left -= used
        opener.count -= used
        del openers[index + (opener.count >= least) :]
    return left


def _may_pair(opener: DelimiterRun, closer: DelimiterRun) -> bool:
    """Return True if one run can close the other, by CommonMark's rules."""
    if opener.mark != closer.mark:
        return False
    if closer.mark == "~" or not (opener.closes or closer.opens):
        return True
    # CommonMark's "rule of three": `*a**b*` is one emphasis around `a**b`.
    together = opener.length + closer.length
    return together % 3 != 0 or (opener.length % 3 == 0 and closer.length % 3 == 0)


def closing_marks(openers: list[OpenRun], before: str, end: int) -> tuple[str, list[int]]:
    """Return the marks that close all open runs, innermost first, and the positions to escape.

    Bare runs (marks that are most likely ordinary characters) are not closed. A bare run
    that would take a mark meant for a run around it has to be escaped.

    Args:
        openers: The open runs, outermost first.
        before: The last characters before the closing marks.
        end: The position in the text after the characters in `before`.
    """
    wanted: list[OpenRun] = []
    escaped: list[OpenRun] = []
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
        # Marks at the end that close nothing would merge with the closing marks into one run.
        places += range(end + start - len(before), end)
        before = "\\"
    elif len(openers) == 1 and not openers[0].run.closes:
        return openers[0].marks, places
    while True:
        marks = "".join(opener.marks for opener in reversed(wanted))
        unclosed = _find_left_open(wanted, marks, before)
        if unclosed is None:
            places += [opener.run.at + n for opener in escaped for n in range(opener.count)]
            return marks, sorted(places)
        # By the rule of three, no closing marks appended here would close both runs.
        escaped.append(wanted.pop(unclosed))


def _find_left_open(wanted: list[OpenRun], marks: str, before: str) -> int | None:
    """Return the index of a run that the marks leave open; None if the marks close all runs."""
    openers = [OpenRun(opener.run, opener.count) for opener in wanted]
    for mark, group in groupby(marks):
        added = len(list(group))
        # Marks at the end of the text form one run with the appended ones.
        start = len(before.rstrip(mark))
        before += mark * added
        marks = marks[added:]
        run = _make_run(mark, start, len(before) - start, before[start - 1 : start] or " ", marks[:1] or " ")
        if run.closes:
            _close_with(openers, run, added)
    return len(openers) - 1 if openers else None

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
_MAY_BEGIN_A_PHRASE = frozenset(".!?")
"""Marks that may begin an emphasized phrase after a blank or dash: `*...he whispers*`, `*![a](i.png) b*`.

After a bracket or a quote, as in `(*.py, *.md)`, they are more often part of a file name.
"""
_DASHES = frozenset("–—")
_FIRST_IDEOGRAPH = "\u2e80"


class DelimiterRun(NamedTuple):
    """A run of the same mark, such as `**`, that may open or close emphasis."""

    mark: str
    position: int
    """The position of the run in the text."""
    length: int
    opens: bool
    closes: bool
    bare: bool = False
    """True if the marks are most likely ordinary characters: `2*3`, `*/`."""


class OpenRun:
    """A run of marks that are not all closed yet."""

    __slots__ = ("count", "run")

    def __init__(self, run: DelimiterRun, count: int) -> None:
        self.run = run
        self.count = count
        """The number of marks that are still open; the run's last marks are closed first."""

    @property
    def end(self) -> int:
        """The position after the marks that are still open."""
        return self.run.position + self.count

    @property
    def marks(self) -> str:
        """The marks that would close the run: as many as are still open."""
        return self.run.mark * self.count


def classify_run(text: str, position: int, length: int) -> DelimiterRun:
    """Return the run at a position, classified by the characters on both sides.

    Example:
        >>> classify_run("a *b", 2, 1).opens, classify_run("snake_case", 5, 1).opens
        (True, False)
    """
    end = position + length
    before = text[position - 1] if position else " "
    after = text[end] if end < len(text) else " "
    return _make_run(text[position], position, length, before, after)


def _make_run(mark: str, position: int, length: int, before: str, after: str) -> DelimiterRun:
    """Return a run, classified by CommonMark's rules for left-flanking and right-flanking runs.

    Args:
        mark: The character of the run.
        length: The number of marks.
        before: The character before the run, or a space.
        after: The character after the run, or a space.
    """
    space_before, space_after = before in WHITE, after in WHITE
    punctuation_before, punctuation_after = _is_punctuation(before), _is_punctuation(after)
    left_flanking = not space_after and (not punctuation_after or space_before or punctuation_before)
    right_flanking = not space_before and (not punctuation_before or space_after or punctuation_after)
    opens, closes = left_flanking, right_flanking
    if mark == "_":
        # Underscores inside a word are text.
        opens = left_flanking and (not right_flanking or punctuation_before)
        closes = right_flanking and (not left_flanking or punctuation_after)
    in_word = _is_in_word(before) and _is_in_word(after)
    # Bare runs are most likely ordinary characters, as in `2*3` and `*/`.
    begins_phrase = after in _MAY_BEGIN_A_PHRASE and (space_before or before in _DASHES)
    emphasizes_nothing = length == 1 and (in_word or (after in _NOTHING_TO_EMPHASIZE and not begins_phrase))
    bare = emphasizes_nothing or (length > 3 and in_word)
    return DelimiterRun(mark, position, length, opens, closes, bare)


def _is_punctuation(character: str) -> bool:
    """Return True for punctuation and symbols, also those outside of ASCII."""
    if character.isalnum() or character == " ":
        return False
    return unicodedata.category(character)[0] in "PS"


def _is_in_word(character: str) -> bool:
    """Return True for a letter or digit of a script that separates words by spaces."""
    # In scripts without spaces between words, emphasis may begin inside of a word.
    return character.isalnum() and character < _FIRST_IDEOGRAPH


def apply_run(openers: list[OpenRun], run: DelimiterRun) -> bool:
    """Take the next run of the text: it closes open runs, and its other marks become an open run.

    Args:
        openers: The open runs, outermost first; modified.
        run: The next run of the text.

    Returns:
        False if the run could only close other runs, and some of its marks closed nothing.
    """
    unused = _close_with(openers, run, run.length) if run.closes and openers else run.length
    if run.opens and unused >= _min_marks(run.mark):
        openers.append(OpenRun(run, unused))
        if len(openers) > MOST_OPEN:
            # The outermost run becomes text, which bounds the work for each run.
            del openers[0]
    return run.opens or not run.closes or unused == 0


def _min_marks(mark: str) -> int:
    """Return the smallest number of marks that opens or closes a span: two for `~~`, else one."""
    return 2 if mark == "~" else 1


def _close_with(openers: list[OpenRun], run: DelimiterRun, count: int) -> int:
    """Close open runs with marks of a run; return the number of marks that closed nothing.

    Args:
        openers: The open runs, outermost first; modified.
        run: The closing run.
        count: The number of its marks to use: the last ones.
    """
    min_marks = _min_marks(run.mark)
    while count >= min_marks:
        index = len(openers) - 1
        while index >= 0 and not _may_pair(openers[index].run, run):
            index -= 1
        if index < 0:
            break
        opener = openers[index]
        # Two marks on both sides make strong emphasis.
        used = 2 if count > 1 and opener.count > 1 else 1
        count -= used
        opener.count -= used
        # Runs inside the emphasis stay text; so do too few unused marks of the opener.
        del openers[index + 1 if opener.count >= min_marks else index :]
    return count


def _may_pair(opener: DelimiterRun, closer: DelimiterRun) -> bool:
    """Return True if `closer` can close `opener`, by CommonMark's rules."""
    if opener.mark != closer.mark:
        return False
    if closer.mark == "~" or not (opener.closes or closer.opens):
        return True
    # CommonMark's "rule of three", which `~` does not have: `*a**b*` is one emphasis around `a**b`.
    together = opener.length + closer.length
    return together % 3 != 0 or (opener.length % 3 == 0 and closer.length % 3 == 0)


def find_closing_marks(openers: list[OpenRun], before: str, end: int) -> tuple[str, list[int]]:
    """Return the marks that close all open runs, innermost first, and the positions to escape.

    Bare runs (marks that are most likely ordinary characters) are not closed. A bare run
    that would take a mark meant for a run around it has to be escaped.

    Args:
        openers: The open runs, outermost first.
        before: The last characters before the closing marks.
        end: The position in the text after the characters in `before`.
    """
    to_close: list[OpenRun] = []
    to_escape: list[OpenRun] = []
    # A bare run inside a run that is closed could take the closing mark.
    for opener in openers:
        if not opener.run.bare:
            to_close.append(opener)
        elif to_close:
            to_escape.append(opener)
    if not to_close:
        return "", []
    positions: list[int] = []
    marks_start = len(before.rstrip(to_close[-1].run.mark))
    ends_with_loose_marks = marks_start < len(before) and before[:marks_start][-1:] in WHITE
    if ends_with_loose_marks:
        # They close nothing, but would merge with the closing marks into one run: so they are escaped.
        positions += range(end + marks_start - len(before), end)
        # An escaped mark counts as punctuation before the closing marks, like this backslash.
        before = "\\"
    elif len(openers) == 1 and not openers[0].run.closes:
        # The common case, in which the rule of three (see `_may_pair`) does not apply.
        return openers[0].marks, positions
    while True:
        marks = "".join(opener.marks for opener in reversed(to_close))
        left_open = _find_left_open(to_close, marks, before)
        if left_open is None:
            # All runs are closed.
            positions += [opener.run.position + n for opener in to_escape for n in range(opener.count)]
            return marks, sorted(positions)
        # By the rule of three, no closing marks appended here would close both runs.
        to_escape.append(to_close.pop(left_open))


def _find_left_open(to_close: list[OpenRun], marks: str, before: str) -> int | None:
    """Return the index of a run that the marks leave open; None if the marks close all runs.

    Args:
        to_close: The open runs, outermost first.
        marks: The marks that are appended to the text.
        before: The last characters of the text.
    """
    openers = [OpenRun(opener.run, opener.count) for opener in to_close]
    for mark, group in groupby(marks):
        count = len(list(group))
        # Marks at the end of the text form one run with the appended ones.
        start = len(before.rstrip(mark))
        before += mark * count
        marks = marks[count:]
        run = _make_run(mark, start, len(before) - start, before[start - 1 : start] or " ", marks[:1] or " ")
        if run.closes:
            _close_with(openers, run, count)
    return len(openers) - 1 if openers else None

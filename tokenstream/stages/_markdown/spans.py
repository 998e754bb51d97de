"""The marks of emphasis, by the rules of CommonMark, and the spans in which marks mean nothing."""

from __future__ import annotations

import re
import unicodedata
from itertools import groupby
from typing import Final, NamedTuple

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

LONGEST: Final = 300
"""The most characters of an unfinished link, image, tag or formula; a longer one is text."""
UNFINISHED: Final = -1
"""Returned for a span whose end has not arrived."""

_NAME = r"[A-Za-z][A-Za-z0-9-]*"
_KEY = r"[A-Za-z_:][A-Za-z0-9_.:-]*"
# The repeats are possessive, so nothing is read twice. The end of the text may cut the last value.
_VALUE = r"[^\s\"'=<>`]++|'[^']*+'|\"[^\"]*+\""
_ATTRIBUTES = rf"(?:(?>\s++{_KEY}(?:(?>\s*+=\s*+(?:{_VALUE})))?+))*+"
_HALF_ATTRIBUTES = rf"(?:(?>\s++{_KEY}(?:(?>\s*+=\s*+(?:{_VALUE}|(?:'[^']*+|\"[^\"]*+)?\Z)))?+))*+"
_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{1,31}"
_WHOLE_TAG = re.compile(
    rf"<{_NAME}{_ATTRIBUTES}\s*/?>"
    rf"|</{_NAME}\s*>"
    r"|<!--(?:>|->|.*?-->)"
    r"|<\?.*?\?>"
    r"|<![A-Za-z][^>]*>"
    r"|<!\[CDATA\[.*?\]\]>"
    rf"|<{_SCHEME}:[^\s<>\x00-\x20]*>"
    rf"|<{_LOCAL}+@[A-Za-z0-9.-]+>",
    re.DOTALL,
)
_HALF_TAG = re.compile(
    rf"<{_NAME}{_HALF_ATTRIBUTES}\s*+/?"
    rf"|</(?:{_NAME}\s*)?"
    r"|<!(?:-(?:-.*)?|[A-Za-z][^>]*|\[[A-Z]*(?:\[.*)?)?"
    r"|<\?.*"
    rf"|<{_SCHEME}:[^\s<>\x00-\x20]*"
    rf"|<[A-Za-z]{_LOCAL}*(?:@[A-Za-z0-9.-]*)?"
    r"|<",
    re.DOTALL,
)
_SWITCHES = (
    "allowfullscreen|async|autofocus|autoplay|checked|controls|default|defer|disabled|hidden|inert|ismap|loop"
    "|multiple|muted|nomodule|novalidate|open|playsinline|readonly|required|reversed|selected"
)
# "if a <b and c is less" could become a tag, but is prose: three words without a value, then a fourth word.
_PROSE = re.compile(rf"<{_NAME}(?:\s+(?!(?:{_SWITCHES})\s){_KEY}(?=\s+[^\s=/>])){{3}}")
_HALF_ENTITY = re.compile(r"&(?:#(?:[xX][0-9a-fA-F]{0,6}|[0-9]{0,7})|[A-Za-z][A-Za-z0-9]{0,31})?")

_DEST_MARK = re.compile(r"[()\\\x00-\x20\x7f]")
_ANGLED = re.compile(r"<(?:[^<>\n\\]|\\[^\n])*+(>?)")
_TITLES = {
    '"': re.compile(r'"(?:[^"\\]|\\.)*+("?)', re.DOTALL),
    "'": re.compile(r"'(?:[^'\\]|\\.)*+('?)", re.DOTALL),
    "(": re.compile(r"\((?:[^()\\]|\\.)*+(\)?)", re.DOTALL),
}
_BLANKS = re.compile(r"[ \t\n]*+")
_DEEPEST = 32

_FORMULA_ENDS = {
    "$": re.compile(r"(?<![\s\\])\$(?=[^0-9])"),
    "$$": re.compile(r"(?<!\\)\$\$"),
    r"\(": re.compile(r"\\\)"),
    r"\[": re.compile(r"\\\]"),
}


class DelimiterRun(NamedTuple):
    """A run of the same mark, such as `**`, that may open or close emphasis."""

    mark: str
    position: int
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
    """Return the run at a position, classified by the characters on both sides."""
    end = position + length
    before = text[position - 1] if position else " "
    after = text[end] if end < len(text) else " "
    return _make_run(text[position], position, length, before, after)


def _make_run(mark: str, position: int, length: int, before: str, after: str) -> DelimiterRun:
    """Return a run, classified by CommonMark's rules for left-flanking and right-flanking runs."""
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
    """Take the next run, which closes or opens runs; return False if some of its marks do neither."""
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
    """Close open runs with marks of a run; return the number of marks that closed nothing."""
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
    """Return the index of a run that the marks leave open; None if the marks close all runs."""
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


def find_tag_end(text: str, position: int) -> int | None:
    """Return the end of a tag, comment or autolink; UNFINISHED if it has not arrived, None if none begins."""
    if _PROSE.match(text, position, position + LONGEST):
        # Several words without values, as in "if a <b and c is less": a tag is unlikely.
        return None
    tag = _WHOLE_TAG.match(text, position, position + LONGEST)
    if tag is not None:
        return tag.end()
    if len(text) - position <= LONGEST and _HALF_TAG.fullmatch(text, position):
        return UNFINISHED
    return None


def is_unfinished_entity(text: str, position: int) -> bool:
    """Return True if the text ends in a possible character reference."""
    # No character reference has 40 characters.
    return len(text) - position < 40 and _HALF_ENTITY.fullmatch(text, position) is not None


def find_formula_end(text: str, position: int, mark: str) -> int | None:
    """Return the end of the formula that a mark begins; UNFINISHED if it is not there yet, None if none."""
    start = position + len(mark)
    if mark == "$" and text[start : start + 1].isspace():
        # A lone dollar before white space is not the mark of a formula.
        return None
    # A formula has at least one character.
    end = _FORMULA_ENDS[mark].search(text, start + 1, position + LONGEST)
    if end is not None:
        return end.end()
    return UNFINISHED if len(text) - position <= LONGEST else None


def find_dest_end(text: str, position: int, state: list[int]) -> int | None:
    """Return the end of a link's `(destination "title")`; `state`, empty at first, spares a second scan.

    The result is UNFINISHED if the end has not arrived, and None if the text is something else.

    Example:
        >>> find_dest_end("(u)", 1, []), find_dest_end("(u 'a", 1, []), find_dest_end("(a b", 1, [])
        (3, -1, None)
    """
    size = len(text)
    position = _skip_span_blanks(text, position)
    if position == size:
        return UNFINISHED
    if text[position] == "<":
        match = _ANGLED.match(text, position)
        # The group is the closing mark; without it, the mark may still arrive.
        if match is None or not match[1]:
            return _unfinished_or_none(text, position, match)
        return _find_link_end(text, match.end())
    end = _find_bare_end(text, position, state)
    return end if end is None or end == UNFINISHED else _find_link_end(text, end)


def _find_link_end(text: str, position: int) -> int | None:
    """Return the position after a link's `)`; UNFINISHED if it may still arrive, None if it cannot."""
    start = _skip_span_blanks(text, position)
    # White space must precede a title.
    title = _TITLES.get(text[start : start + 1]) if start > position else None
    if title is not None:
        match = title.match(text, start)
        # The group is the closing quote or parenthesis, which may still arrive.
        if match is None or not match[1]:
            return _unfinished_or_none(text, start, match)
        start = _skip_span_blanks(text, match.end())
    if start == len(text):
        return UNFINISHED
    return start + 1 if text[start] == ")" else None


def _unfinished_or_none(text: str, position: int, match: re.Match[str] | None) -> int | None:
    """Return UNFINISHED if the text ends inside a span; otherwise None."""
    if match is None or len(text) - position > LONGEST:
        return None
    # A backslash at the end waits for the character that it escapes.
    return UNFINISHED if text[match.end() :] in {"", "\\"} else None


def _find_bare_end(text: str, position: int, state: list[int]) -> int | None:
    """Return the end of a destination without brackets; UNFINISHED if it may go on, None if it is invalid."""
    index, depth = state or (position, 0)
    while mark := _DEST_MARK.search(text, index):
        index = mark.start()
        character = text[index]
        if character == "(":
            depth += 1
            if depth > _DEEPEST:
                return None
        elif character == ")":
            if not depth:
                return index
            depth -= 1
        elif character != "\\":
            # White space ends the destination; another control character makes it invalid.
            return index if not depth and character in " \t\n" else None
        elif index + 1 == len(text):
            return UNFINISHED
        elif text[index + 1] not in " \t\n":
            # The backslash escapes the next character.
            index += 1
        index += 1
        state[:] = index, depth
    state[:] = len(text), depth
    return UNFINISHED


def _skip_span_blanks(text: str, position: int) -> int:
    """Return the position after the blanks that begin at a position; the same one if there are none."""
    match = _BLANKS.match(text, position)
    return match.end() if match else position

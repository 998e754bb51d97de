"""Common ground of scanners of an arriving text: the search for texts, and the code between marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_BLANK = 64
"""The most white space that is held back: at the start of a text, and around the names of calls."""
_SPACE = re.compile(r"\s*")

# The set before the runs lets the engine skip all other characters.
_search_marks = re.compile(r"[`~\n](?:(?<=`)`*+|(?<=~)~*+|)").search
# Possessive, so that no text is read twice. A span at the end may go on with another backtick. A tilde would
# be a second character to stop at, and a set of two takes six times as long.
_match_plain = re.compile(r"(?:[^`]++|(?>`[^`\n]++`(?=[^`])))*+").match
_match_fenced = re.compile(r"[^`]*+").match
_match_span = re.compile(r"(?:[^`\n]++|(?>\n(?![^\S\n]*+(?:\n|\Z))))*+").match
_MANY = 9
"""The number of texts from which a search tests their beginnings first."""
_FENCE = 3
"""The fewest marks of a fence; inline code with as many also continues across blank lines, like a fence."""


class Passage(NamedTuple):
    """A piece of a text."""

    inside: bool
    """True if it is reasoning, inside of a tag."""
    text: str


def passages(text: str, *, inside: bool) -> list[Passage]:
    """Return a text as the only piece of a list; an empty list if there is no text."""
    return [Passage(inside, text)] if text else []


class TextSearch:
    """A search for the next of several texts, or for the beginning of one at the end of the text so far.

    Args:
        texts: The texts, of which the longest counts where several begin; without any, nothing is found.
        ignores_case: True to find texts that begin with a mark in upper case, too; all are in lower case.
    """

    def __init__(self, texts: Iterable[str], *, ignores_case: bool = False) -> None:
        ordered = sorted(texts, key=len, reverse=True)
        flags = re.ASCII | re.IGNORECASE if ignores_case else 0
        # No text that begins with a letter begins like one that begins with a mark.
        words = [text for text in ordered if text[0].isalpha()]
        marks = [text for text in ordered if not text[0].isalpha()]

        def compile_texts(write: Callable[[list[str]], str]) -> re.Pattern[str]:
            exact = f"(?-i:{write(words)})" if words and ignores_case else write(words)
            return re.compile("|".join(filter(None, (exact, write(marks)))) or r"(?!)", flags)

        self.pattern = compile_texts(_alternatives)
        self.firsts = frozenset(text[0] for text in ordered)
        self._beginnings = frozenset(text[:end] for text in ordered for end in range(1, len(text)))
        self.starts = compile_texts(_heads).search
        """Finds where one of the texts may begin, by its first characters: `begins_in` needs no call then."""
        self._longest = max(map(len, ordered), default=0)
        self._ignores_case = ignores_case

    def begins_in(self, text: str) -> bool:
        """Return True if one of the texts is in a text, or may begin at its end."""
        start = self.starts(text)
        if start is None:
            return False
        position = start.start()
        return (
            # Of the three characters that were compared, one is yet to come.
            position > len(text) - 3
            or self.pattern.search(text, position) is not None
            or self.find_unfinished(text, position) < len(text)
        )

    def find(self, text: str, position: int) -> tuple[int, re.Match[str] | None]:
        """Return the position and match of the next one; no match for a beginning at the end, or the end."""
        first = self.starts(text, position)
        if first is None:
            return len(text), None
        found = self.pattern.search(text, first.start())
        return (self.find_unfinished(text, first.start()), None) if found is None else (found.start(), found)

    def may_begin(self, text: str, position: int) -> bool:
        """Return True if the end of a text, from `position` on, may become one of the texts."""
        return self.find_unfinished(text, position) == position < len(text)

    def may_be(self, text: str) -> bool:
        """Return True for one of the texts, or the beginning of one, as they are given."""
        return text in self._beginnings or self.pattern.fullmatch(text) is not None

    def find_unfinished(self, text: str, position: int) -> int:
        """Return the start of an unfinished one at the end of a text; the text's length if there is none."""
        size = len(text)
        found = self.starts(text, max(position, size - self._longest + 1))
        while found is not None:
            start = found.start()
            tail = text[start:]
            is_loose = self._ignores_case and not tail[0].isalpha()
            if (tail.lower() if is_loose else tail) in self._beginnings:
                return start
            found = self.starts(text, start + 1)
        return size


def _heads(texts: Iterable[str], depth: int = 2) -> str:
    """Return a pattern of the first characters of texts; the two after the first refute most beginnings."""
    groups: dict[str, set[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], set()).add(text[1:])
    heads: list[str] = []
    for first, rest in sorted(groups.items()):
        behind = "" if "" in rest else "".join(sorted({re.escape(text[0]) for text in rest}))
        # All that may follow is tested at once, before each of them.
        head = re.escape(first) + (rf"(?=\Z|[{behind}])" if behind else "")
        heads.append(rf"{head}(?=\Z|{_heads(rest, depth - 1)})" if behind and depth > 1 else head)
    return "|".join(heads)


def _alternatives(texts: list[str], depth: int = 3) -> str:
    """Return a pattern of texts, the longest first; those with the same beginning share the test of it."""
    if depth == 0 or len(texts) < _MANY:
        return "|".join(map(re.escape, texts))
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], []).append(text[1:])
    return "|".join(
        [f"{re.escape(first)}(?:{_alternatives(rest, depth - 1)})" for first, rest in groups.items()]
    )


@cache
def search_for_texts(texts: tuple[str, ...]) -> TextSearch:
    """Return the search for several texts; it is made once."""
    return TextSearch(texts)


def end_of_space(text: str, position: int) -> int:
    """Return the position after the white space that begins at a position; the same one if there is none."""
    return end_of_match(_SPACE, text, position)


def end_of_match(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Return the end of the pattern's match at `position`; `position` itself if there is no match."""
    match = pattern.match(text, position)
    return position if match is None else match.end()


@dataclass(slots=True, eq=False)
class CodeMarks:
    r"""Tracks whether a text is in code: between backticks, or between fences.

    A run of backticks is closed by a run of the same length. A run of one or two is also
    closed by a blank line, since a stray backtick must not turn the rest into code. A fence
    (at least three backticks or tildes at the start of a line) is closed by a fence that is
    at least as long.

    Example:
        >>> marks = CodeMarks()
        >>> marks.feed("Write `"), marks.is_code(), marks.feed("<b>`"), marks.is_code()
        (None, True, None, False)
    """

    line_is_blank: bool = True
    opened_by: str = ""
    """The character that opened the code, a backtick or a tilde; "" outside of code."""
    length: int = 0
    is_fence: bool = False
    may_close: bool = False
    """True if the fence closes at the end of this line, unless more than white space follows."""
    on_opening_line: bool = False
    """True on the line of an opening fence; more backticks on that line mean that it is not a fence."""
    pending_marks: int = 0
    """Number of marks at the end of the text so far; more of them may follow."""
    pending_mark: str = ""
    """The character of the marks at the end of the text so far."""
    pending_at_line_start: bool = False

    def feed(self, text: str) -> None:
        """Read the next piece of the text; `is_code` then answers for the character after it."""
        position, size, tilde = 0, len(text), -1
        while position < size:
            if tilde < position:
                found = text.find("~", position)
                tilde = size if found < 0 else found
            if self.pending_marks and text[position] != self.pending_mark:
                self._interpret_marks()
            if not self.pending_marks:
                position = self._skip_plain(text, position, tilde)
                if position == size:
                    break
            marks = _search_marks(text, position)
            end = size if marks is None else marks.start()
            self._take_text(text[position:end])
            position = end
            if marks is not None:
                position = marks.end()
                if marks[0] == "\n":
                    self._end_line()
                else:
                    self._take_marks(marks[0])

    def _skip_plain(self, text: str, start: int, tilde: int) -> int:
        """Read text in which no code begins or ends, of which only the last line matters; return its end."""
        match = _match_plain
        if self.opened_by:
            # The line of a closing fence, and a blank line, are read by themselves.
            if self.may_close if self.is_fence else self.line_is_blank:
                return start
            match = _match_fenced if self.is_fence else _match_span
        found = match(text, start, tilde)
        end = start if found is None else found.end()
        line = text.rfind("\n", start, end) + 1
        is_blank = self.line_is_blank or line > 0
        self.on_opening_line = self.on_opening_line and not line
        self.line_is_blank = is_blank and not text[line or start : end].strip()
        return end

    def is_code(self) -> bool:
        """Return True if the next character of the text is in code.

        Do not ask before a backtick or a tilde, which may itself begin or end code.
        """
        self._interpret_marks()
        return bool(self.opened_by)

    def _take_text(self, text: str) -> None:
        """Read text without backticks, tildes and line endings."""
        if text:
            self._interpret_marks()
            # With text in it, the line is not blank, and the fence on it closes nothing.
            if (self.line_is_blank or self.may_close) and not text.isspace():
                self.line_is_blank = self.may_close = False

    def _end_line(self) -> None:
        """Read a line ending: it may close a fence, and a blank line may close inline code."""
        self._interpret_marks()
        # `may_close`: the line is a closing fence. A run of three or more (`_FENCE`) survives a blank line.
        if self.may_close or (self.line_is_blank and not self.is_fence and self.length < _FENCE):
            self.opened_by = ""  # the code has ended
        self.line_is_blank, self.on_opening_line, self.may_close = True, False, False

    def _take_marks(self, marks: str) -> None:
        """Read a run of backticks or tildes; its meaning is decided later, since more may follow."""
        if marks[0] != self.pending_mark:
            # Marks of another kind end the run before them.
            self._interpret_marks()
        if not self.pending_marks:
            self.pending_mark, self.pending_at_line_start = marks[0], self.line_is_blank
        self.pending_marks += len(marks)

    def _interpret_marks(self) -> None:
        """Interpret the backticks or tildes that ended the text so far.

        Another character has arrived, so no more of them can follow, and their number is known.
        """
        count, mark = self.pending_marks, self.pending_mark
        if not count:
            return
        self.pending_marks, self.line_is_blank, self.may_close = 0, False, False
        if not self.opened_by:
            is_fence = self.pending_at_line_start and count >= _FENCE
            # Tildes open code only as a fence.
            if is_fence or mark == "`":
                self.opened_by, self.length = mark, count
                self.is_fence = self.on_opening_line = is_fence
        elif mark != self.opened_by:
            # Other marks are part of the code.
            return
        elif not self.is_fence or (self.on_opening_line and mark == "`"):
            # Inline code, even if it is at the start of a line and opened by as many marks as a fence.
            if count == self.length:
                self.opened_by = ""
        else:
            self.may_close = self.pending_at_line_start and count >= self.length

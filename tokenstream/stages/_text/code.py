"""Detects code in Markdown text that is still arriving, judged by its backticks and tildes alone."""

from __future__ import annotations

import re

_MARKS = re.compile(r"`+|~+|\n")
_FENCE = 3
"""The fewest marks of a fence; inline code with as many also continues across blank lines, like a fence."""


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

    __slots__ = (
        "_blank",
        "_closing",
        "_fenced",
        "_info",
        "_length",
        "_run",
        "_run_blank",
        "_run_sign",
        "_sign",
    )

    def __init__(self) -> None:
        self._blank = True
        """True while the line contains only white space."""
        self._sign = ""
        """The character that opened the code, a backtick or a tilde; "" outside of code."""
        self._length = 0
        """Number of marks that opened the code."""
        self._fenced = False
        """True if the marks that opened the code are a fence."""
        self._closing = False
        """True if the fence closes at the end of this line, unless more than white space follows."""
        self._info = False
        """True on the line of an opening fence; more backticks on that line mean that it is not a fence."""
        self._run = 0
        """Number of marks at the end of the text so far; more of them may follow."""
        self._run_sign = ""
        self._run_blank = False
        """True if the marks at the end are at the start of a line."""

    def feed(self, text: str) -> None:
        """Take the next piece of the text."""
        at = 0
        if self._sign or self._run or "`" in text or "~" in text:
            for found in _MARKS.finditer(text):
                self._pass(text[at : found.start()])
                at = found.end()
                if found[0] == "\n":
                    self._end_line()
                else:
                    self._mark(found[0])
        else:
            # Without marks, only the last line matters.
            at = text.rfind("\n") + 1
            self._blank = self._blank or at > 0
        self._pass(text[at:])

    def is_code(self) -> bool:
        """Return True if the next character is in code; it must not be a backtick or a tilde."""
        self._settle()
        return bool(self._sign)

    def _pass(self, text: str) -> None:
        """Take text without marks or line endings."""
        if text:
            self._settle()
            if (self._blank or self._closing) and not text.isspace():
                self._blank = self._closing = False

    def _end_line(self) -> None:
        """Take a line ending: it may close a fence, and a blank line may close inline code."""
        self._settle()
        if self._closing or (self._blank and not self._fenced and self._length < _FENCE):
            self._sign = ""
        self._blank, self._info, self._closing = True, False, False

    def _mark(self, marks: str) -> None:
        """Take a run of marks; the next piece may add to it."""
        if marks[0] != self._run_sign:
            self._settle()
        if not self._run:
            self._run_sign, self._run_blank = marks[0], self._blank
        self._run += len(marks)

    def _settle(self) -> None:
        """Interpret the marks at the end: another character follows, so their number is known."""
        length, sign, blank = self._run, self._run_sign, self._run_blank
        if not length:
            return
        self._run, self._blank, self._closing = 0, False, False
        if not self._sign:
            fence = blank and length >= _FENCE
            if fence or sign == "`":
                self._sign, self._length, self._fenced, self._info = sign, length, fence, fence
        elif sign != self._sign:
            return
        elif not self._fenced or (self._info and sign == "`"):
            if length == self._length:
                self._sign = ""
        else:
            self._closing = blank and length >= self._length

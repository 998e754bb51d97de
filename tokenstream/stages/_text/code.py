"""Where in a markdown text code stands, as far as marks tell while it still comes."""

from __future__ import annotations

import re

_MARKS = re.compile(r"`+|~+|\n")
_FENCE = 3
"""Marks that make a fence; as many within a line are closed like one, though blank lines stand between."""


class CodeMarks:
    r"""Tells whether a text is in code: between backticks, or between fences.

    A run of backticks is closed by one of the same length, and one or two of them also by
    a blank line, since a stray one must not last for ever. A fence, at least three
    backticks or tildes at the start of a line, is closed by one that is as long.

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
        """The line has nothing but white space."""
        self._sign = ""
        """The sign of the code that is open; "" where none is."""
        self._length = 0
        """How many of them opened it."""
        self._fenced = False
        """They are a fence."""
        self._closing = False
        """It is closed with the line, if nothing follows but white space."""
        self._info = False
        """The line of the fence goes on: with more backticks, it is none."""
        self._run = 0
        """How many marks came last: the next character may be another one."""
        self._run_sign = ""
        self._run_blank = False
        """These stand at the start of a line."""

    def feed(self, text: str) -> None:
        """Go on behind a piece of the text."""
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
            at = text.rfind("\n") + 1
            self._blank = self._blank or at > 0
        self._pass(text[at:])

    def is_code(self) -> bool:
        """Tell whether the next character, which is no backtick or tilde, stands in code."""
        self._settle()
        return bool(self._sign)

    def _pass(self, text: str) -> None:
        if text:
            self._settle()
            if (self._blank or self._closing) and not text.isspace():
                self._blank = self._closing = False

    def _end_line(self) -> None:
        self._settle()
        if self._closing or (self._blank and not self._fenced and self._length < _FENCE):
            self._sign = ""
        self._blank, self._info, self._closing = True, False, False

    def _mark(self, marks: str) -> None:
        if marks[0] != self._run_sign:
            self._settle()
        if not self._run:
            self._run_sign, self._run_blank = marks[0], self._blank
        self._run += len(marks)

    def _settle(self) -> None:
        """Take the marks that came last, whose number is known with what follows them."""
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

"""Escapes in lenient strings, and unescaped backslashes, as in LaTeX and paths, that begin none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tokenstream.partial_json._lenient.peek import OPENING_QUOTES, QuoteKind
from tokenstream.partial_json._strict.strings import LONGEST_ESCAPE, SIMPLE, is_undecided, unescape

if TYPE_CHECKING:
    from tokenstream.partial_json._lenient.quotes import StringContext
    from tokenstream.partial_json._repairs import RepairLog

CONTROLS = frozenset("bfnrt")
"""The letters of the escapes of control characters."""
ALWAYS_KEPT = frozenset("bf")
"""The letters of escapes whose control characters occur in no text."""

_MOST_PATH = 260
"""Maximum length of a Windows path, in characters."""
# No quotes and no character that begins one, because any of them may end the string.
_SEGMENT = r'[^\s<>:"|?*/\\\x00-\x1f\'`\u2018-\u201e]'
PROVES_RAW: Any = re.compile(r"[^\W_]|[()\[\]{}]").match
"""Matches a character that proves that the backslash before it was not escaped; `\\$` proves nothing."""
_PATH_ROOT: Any = re.compile(r"[A-Za-z]:|\.{1,2}").fullmatch
_PATH: Any = re.compile(rf"(?:\\|{_SEGMENT})*+").fullmatch
_PATH_REST: Any = re.compile(rf"(?:{_SEGMENT}|\\{_SEGMENT})*+").match
_LETTERS: Any = re.compile("[A-Za-z]*").match

# LaTeX commands that begin with the letter of an escape, except those that are a word
# without that letter: `\nless` may be a line break and "less".
_NAMES = (
    "nabla natural ncong nearrow neg neq newcommand newline newpage nexists ngeq nleq nobreak noindent "
    "nolimits nonumber normalsize not notag notin nparallel nrightarrow nsubseteq nsupseteq nu nwarrow "
    "raggedright raisebox rangle rbrace rbrack rceil ref relax renewcommand rfloor rho right rightarrow "
    "rightharpoonup rightleftharpoons rm rotatebox rowcolor rtimes rule rvert "
    "tableofcontents tag tan tanh tau text textbf textcolor textit textrm textsc textsf textstyle texttt "
    "textwidth tfrac therefore theta thickspace thinspace tilde times tiny title to top toprule triangle "
    "trianglelefteq trianglerighteq tt twoheadrightarrow"
)
_COMMANDS = frozenset(_NAMES.split())
_COMMAND_STARTS = frozenset(name[:length] for name in _COMMANDS for length in range(1, len(name) + 1))
_LONGEST_COMMAND = max(map(len, _COMMANDS))


def is_command(text: str, position: int) -> bool | None:
    r"""Return True if the name of a LaTeX command is at a position; None if that depends on later text."""
    end: int = _LETTERS(text, position, position + _LONGEST_COMMAND + 1).end()
    name = text[position:end]
    if end == len(text) and name in _COMMAND_STARTS:
        return None
    return name in _COMMANDS


def is_rest_of_path(text: str, position: int, before: str, quotes: str) -> bool | None:
    r"""Return True if a file path extends from a position to the closing quote; None if later text decides.

    After a file name, such as `a.txt`, a backslash may begin a line break instead.
    """
    if "." in before.rpartition("\\")[2].lstrip("."):
        # The name of a file, which ends a path; `..` is a directory.
        return False
    end: int = _PATH_REST(text, position, position + _MOST_PATH).end()
    if end == position + _MOST_PATH:
        # Too long for a path.
        return False
    # A backslash at the end of the text may escape the quote.
    if text[end : end + 2] in {"", "\\"}:
        return None
    return text[end] in quotes


KEPT = 32
"""Number of a string's last characters to keep, for decisions on a quote or on the end of the text."""
MORE_NEEDED = -1
"""Returned in place of a position if the decision needs later text."""


class EscapeReader:
    """Read the escapes in a string, and the backslashes that begin none, while the string is being read.

    Args:
        kind: The kind of the quotes around the string.
        repair_log: Receives the repairs.
    """

    __slots__ = (
        "_is_mixed",
        "_seems_closed",
        "ending",
        "has_doubtful_escape",
        "has_raw_backslash",
        "in_path",
        "kind",
        "may_have_ended",
        "repair_log",
    )

    def __init__(self, kind: QuoteKind, repair_log: RepairLog) -> None:
        self.kind = kind
        self.repair_log = repair_log
        self.ending = ""
        """The last characters of the string so far, at most `KEPT`."""
        self.may_have_ended = False
        """True after an escaped quote or a line break: a bracket that follows may close the document."""
        self._seems_closed = False
        """True once a closing bracket or fence has followed a place where the string may have ended."""
        self.has_raw_backslash = False
        """True once a backslash was kept, which proves that this string's backslashes are not escaped."""
        self.has_doubtful_escape = False
        """True once an escape was decoded that may be an unescaped backslash instead."""
        self._is_mixed = False
        """True once a mixture of unescaped backslashes and doubtful escapes was recorded as a repair."""
        self.in_path = False
        """True while the whole string so far is a file path with unescaped backslashes."""

    def add(self, piece: str, pieces: list[str], context: StringContext) -> None:
        """Add a piece to the string; record if the whole may still be a file path, or seems to have ended."""
        pieces.append(piece)
        self.remember_end(piece)
        if self.in_path:
            self.in_path = _PATH(piece) is not None
        if self.may_have_ended:
            # The next visible character shows if the string seems to have ended.
            visible = piece.lstrip()
            if visible:
                self.may_have_ended = False
                if visible[0] in "}]" or (context.fenced and visible[0] in "`~"):
                    self._seems_closed = True

    def remember_end(self, piece: str) -> None:
        self.ending = piece[-KEPT:] if len(piece) >= KEPT else (self.ending + piece)[-KEPT:]

    def read_escape(self, text: str, position: int, pieces: list[str], context: StringContext) -> int:
        """Add what a backslash stands for to `pieces`; return the position after it, or `MORE_NEEDED`."""
        escape = text[position : position + LONGEST_ESCAPE]
        if is_undecided(escape):
            # More text decides; an escape that the end of the text has cut is dropped.
            return len(text) if context.text_ended else MORE_NEEDED
        decoded, length = unescape(escape)
        # A length of 0 means that this is not an escape of JSON.
        if length == 2 and escape[1] in CONTROLS:
            return self._read_control(text, position, pieces, context, end=position + 2)
        if length:
            if decoded == "\\":
                self._note_doubtful_escape(context.base + position)
            self.add(decoded, pieces, context)
            # An escaped quote may be meant as the closing quote; the text after it decides.
            self.may_have_ended = decoded == '"'
            return position + length
        if OPENING_QUOTES.get(escape[1]) is not None:
            # A quote that needs no escape, unless it is the string's own quote.
            if OPENING_QUOTES[escape[1]] is not self.kind:
                self.repair_log.note("bad_escape", context.base + position)
            self.add(escape[1], pieces, context)
            return position + 2
        return self._keep_backslash(escape, position, pieces, context)

    def _read_control(
        self, text: str, position: int, pieces: list[str], context: StringContext, *, end: int
    ) -> int:
        """Read the escape of a control character; it may also be an unescaped backslash and a letter.

        The result is `end` or, if later text decides, `MORE_NEEDED`; the text's end if no more text comes.
        """
        letter = text[end - 1]
        is_raw = self._is_raw_backslash(text, end - 1)
        if is_raw is None:
            # More text decides; at the end of the text, the escape is dropped.
            return len(text) if context.text_ended else MORE_NEEDED
        offset = context.base + position
        if is_raw:
            self.repair_log.note("kept_escape", offset)
            self._note_raw_backslash(offset)
            self.add("\\" + letter, pieces, context)
        else:
            self._note_doubtful_escape(offset)
            self.add(SIMPLE[letter], pieces, context)
            # An escape shows that the string goes on, even if it stands for white space.
            self.may_have_ended = False
        return end

    def _is_raw_backslash(self, text: str, position: int) -> bool | None:
        """Return True if the backslash before a letter is a character; None if later text decides."""
        if text[position] in ALWAYS_KEPT:
            # `\b` or `\f`: valid JSON is read as it is. But after an unescaped backslash in this string they
            # are never meant, and after one in another string of the document not before a letter.
            if self.has_raw_backslash:
                return True
            if not self.repair_log.has_raw_backslash:
                return False
            following = text[position + 1 : position + 2]
            return following.isalpha() if following else None
        if not self.has_raw_backslash:
            # So far, nothing shows that the author of this string left backslashes unescaped.
            return False
        if self.in_path:
            is_path = is_rest_of_path(text, position - 1, self.ending, self.kind.quotes)
            if is_path is not False:
                return is_path
        # A LaTeX command, such as `\nabla`.
        return is_command(text, position)

    def _keep_backslash(self, escape: str, position: int, pieces: list[str], context: StringContext) -> int:
        """Add a backslash that begins no escape to the string, as a repair; return the next position."""
        self.repair_log.note("bad_escape", context.base + position)
        # A letter, digit or bracket after it shows that backslashes are not escaped in this string.
        if PROVES_RAW(escape, 1) is not None:
            self._note_raw_backslash(context.base + position)
        self.add("\\", pieces, context)
        return position + 1

    def _note_raw_backslash(self, offset: int) -> None:
        if not self.has_raw_backslash:
            self.has_raw_backslash = self.repair_log.has_raw_backslash = True
            # `ending` is the text before the backslash.
            self.in_path = _PATH_ROOT(self.ending) is not None
            self._note_mixture(offset)

    def _note_doubtful_escape(self, offset: int) -> None:
        self.has_doubtful_escape = True
        self._note_mixture(offset)

    def _note_mixture(self, offset: int) -> None:
        """Record the repair "mixed_escapes", once, for unescaped backslashes and doubtful escapes.

        If some of the string's backslashes are not escaped, the escapes that were decoded may be such
        backslashes, too.
        """
        if self.has_raw_backslash and self.has_doubtful_escape and not self._is_mixed:
            self._is_mixed = True
            self.repair_log.note("mixed_escapes", offset)

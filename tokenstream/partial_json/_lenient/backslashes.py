r"""Unescaped backslashes, as in LaTeX and in paths, which JSON reads as escapes that nobody meant.

For JSON, `\frac` is a form feed and `rac`, and `\name` is a line break and `ame`. Valid
JSON is read so. Once a string contains a backslash that cannot be an escape, the text is
not JSON: then a form feed or a backspace is not meant in the rest of this string, nor
before a letter in later strings. A line break, a tab or a carriage return may be meant,
and is read as one, unless two things are true: the same string contains an earlier
backslash that cannot be an escape; and this backslash begins a LaTeX command, or the whole
string is a path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROLS = frozenset("bfnrt")
"""The letters of the escapes of control characters."""
ALWAYS_KEPT = frozenset("bf")
"""The letters of escapes whose control characters occur in no text."""

_MOST_PATH = 260
"""Maximum length of a Windows path, in characters."""
# No quotes and no character that begins one, because any of them may end the string.
_SEGMENT = r'[^\s<>:"|?*/\\\x00-\x1f\'`&\u2018-\u201e]'
PROVES_RAW: Any = re.compile(r"[^\W_]|[()\[\]{}]").match
"""Matches a character that proves that the backslash before it was not escaped; `\\$` proves nothing."""
_PATH_ROOT: Any = re.compile(r"[A-Za-z]:|\.{1,2}").fullmatch
_PATH: Any = re.compile(rf"(?:\\|{_SEGMENT})*+").fullmatch
_PATH_REST: Any = re.compile(rf"(?:\\?{_SEGMENT})*+").match
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
    r"""Return True if the name of a LaTeX command is at a position; None if that depends on later text.

    Example:
        >>> is_command("nabla f", 0), is_command("nab", 0), is_command("nThen", 0)
        (True, None, False)
    """
    end: int = _LETTERS(text, position, position + _LONGEST_COMMAND + 1).end()
    name = text[position:end]
    if end == len(text) and name in _COMMAND_STARTS:
        return None
    return name in _COMMANDS


def begins_path(before: str) -> bool:
    r"""Return True if a string that begins with `before` and then a backslash is a file path.

    Example:
        >>> begins_path("C:"), begins_path(".."), begins_path("see C:")
        (True, True, False)
    """
    return _PATH_ROOT(before) is not None


def continues_path(piece: str) -> bool:
    """Return True if a piece of a string may be part of a file path."""
    return _PATH(piece) is not None


def is_rest_of_path(
    text: str, position: int, before: str, is_quote: Callable[[str, int], Any]
) -> bool | None:
    r"""Return True if a file path extends from a position to the closing quote; None if later text decides.

    After a file name, such as `a.txt`, a backslash may begin a line break instead.

    Args:
        text: The unread text.
        position: Position of the backslash.
        before: The last characters of the string before the backslash.
        is_quote: Matches the quote that would end the string.
    """
    segment = before.rpartition("\\")[2]
    if "." in segment.lstrip("."):
        # The name of a file, which ends a path; `..` is a directory.
        return False
    end: int = _PATH_REST(text, position, position + _MOST_PATH).end()
    if end == position + _MOST_PATH:
        # Too long for a path.
        return False
    # A backslash at the end of the text may escape the quote.
    if text[end : end + 2] in {"", "\\"}:
        return None
    return is_quote(text, end) is not None

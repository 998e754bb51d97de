"""Escapes untrusted text for display in a terminal."""

from __future__ import annotations

import json
import re

# Control characters, half surrogates, line separators, and characters that are invisible
# or change the writing direction: a terminal would obey them, or a reader would miss them.
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
)
# Escaped only in a single line: joiners and tags belong to emoji and words, tabs and line ends to texts.
_ESCAPED_IN_LINES = re.compile(f"[{_HIDDEN}\t\n\u200c\u200d\U000e0000-\U000e007f]")
_ESCAPED_IN_TEXTS = re.compile(f"[{_HIDDEN}]")


def _escape(found: re.Match[str]) -> str:
    r"""Return the JSON escape of the character that was found, such as `\u001b`."""
    return json.dumps(found[0])[1:-1]


def one_line(text: str) -> str:
    r"""Return `text` on one line, with JSON escapes for invisible and control characters.

    Example:
        >>> print(one_line("a\x1b[31m\nb"))
        a\u001b[31m\nb
    """
    return _ESCAPED_IN_LINES.sub(_escape, text)


def several_lines(text: str) -> str:
    r"""Return `text` escaped as by `one_line`, except that line ends, tabs and joiners are kept.

    Example:
        >>> print(several_lines("a\x1b[31m\nb"))
        a\u001b[31m
        b
    """
    return _ESCAPED_IN_TEXTS.sub(_escape, text)

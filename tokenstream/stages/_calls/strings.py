"""The strings in arguments that are nearly JSON: escapes what JSON does not have in a string."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tokenstream._basics.json import is_one_value

if TYPE_CHECKING:
    from tokenstream.partial_json._repairs import RepairName

_ESCAPE = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
# Possessive: backtracking would store a position for each escape of a long string.
_PLAIN = r'[^"\\\x00-\x1f]*+'
_match_text = re.compile(f"{_PLAIN}(?:{_ESCAPE}{_PLAIN})*+").match
_match_unfinished = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z").match
# A string without an end goes to the end of the text, so that none of its quotes is tried as a beginning.
_find_strings = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Mended(NamedTuple):
    """The beginning of a text as JSON."""

    text: str
    size: int
    """The number of characters of the text that it stands for."""
    repair: RepairName


def end_of_string_text(text: str, position: int) -> int:
    """Return the end of what JSON may have in a string; the position of anything else, such as a quote."""
    found = _match_text(text, position)
    return position if found is None else found.end()


def is_escape_unfinished(text: str, position: int) -> bool:
    """Return True at the end of a text, and before an escape that ends with it and may go on."""
    return _match_unfinished(text, position) is not None


def mend_escape(text: str) -> Mended:
    r"""Return as JSON what is not JSON at the start of a text that continues a string.

    Args:
        text: A control character, or a backslash and another character.

    Example:
        >>> mend_escape("\n").text, mend_escape(r"\d").text, mend_escape(r"\'").text
        ('\\n', '\\\\', "'")
    """
    if text[0] != "\\":
        return Mended(_CONTROLS.get(text[0], f"\\u{ord(text[0]):04x}"), 1, "raw_control")
    # A backslash that begins no escape is kept, except before a quote of another language.
    return Mended("'", 2, "bad_escape") if text == "\\'" else Mended("\\\\", 1, "bad_escape")


def mend_json(text: str) -> tuple[str, tuple[RepairName, ...]]:
    r"""Return a text with its strings mended if it is JSON then, and the repairs; else the text itself.

    Example:
        >>> mend_json('{"at": "x\ty"}')
        ('{"at": "x\\ty"}', ('raw_control',))
        >>> mend_json('{"at": ')
        ('{"at": ', ())
    """
    if is_one_value(text):
        return text, ()
    repairs: dict[RepairName, None] = {}

    def mend_string(found: re.Match[str]) -> str:
        string, position = found[0], 1
        pieces = [string[:1]]
        while True:
            end = end_of_string_text(string, position)
            pieces.append(string[position:end])
            if end >= len(string) - 1:
                return "".join([*pieces, string[end:]])
            mended = mend_escape(string[end : end + 2])
            pieces.append(mended.text)
            repairs[mended.repair] = None
            position = end + mended.size

    mended = _find_strings.sub(mend_string, text)
    return (mended, tuple(repairs)) if is_one_value(mended) else (text, ())

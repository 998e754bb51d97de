r"""Displayed formulas: from `$$` or `\[` to their end, even across blank lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.stages._markdown.inline import Math

MARKS: dict[Math | None, str] = {None: "", "dollar": "$$", "brackets": "\\["}
"""Maps the option `math` to the mark that opens a displayed formula."""
MOST_MATH = 10_000
"""The most characters of an unfinished formula; a longer one counts as text."""

_LABEL = re.compile(r"\$\$[ \t]*\([^)$]+\)\Z")
"""The end of a formula with a label after it, such as `$$ (1)`."""


def continues_formula(mark: str, line: str, size: int) -> bool | None:
    """Return True if a formula continues after a line, False if it ends there, None if it is not a formula.

    Args:
        mark: The formula's opening mark.
        line: The line; for the formula's first line, only the part from the mark on.
        size: Number of the formula's characters before this line.
    """
    continues = _continues_brackets if mark == "\\[" else _continues_dollars
    result = continues(line.strip(" \t"), is_first_line=not size)
    is_too_long = size + len(line) > MOST_MATH
    return None if result and is_too_long else result


def _continues_brackets(text: str, *, is_first_line: bool) -> bool | None:
    r"""Return True if a formula that began with `\[` continues after a line; None if it is not a formula."""
    # The end may be followed by other text.
    if "\\]" not in text:
        return True
    # Some renderers treat an empty formula as text; the mark takes the first two characters.
    is_empty = is_first_line and "\\]" not in text[3:]
    return None if is_empty else False


def _continues_dollars(text: str, *, is_first_line: bool) -> bool | None:
    """Return True if a formula that began with `$$` continues after a line; None if it is not a formula."""
    if is_first_line and len(text) <= 3:
        # After the opening mark, there is no room for an end.
        return True
    # A label such as `(1)` may follow the end.
    if text.endswith("$$") or _LABEL.search(text):
        return False
    # An end in the middle of the first line: then the formula is part of a text, and not displayed.
    return None if is_first_line and "$$" in text[2:] else True

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
    text = line.strip(" \t")
    is_first_line = not size
    if mark == "\\[":
        # The end may be followed by other text.
        if "\\]" in text:
            # Some renderers treat an empty formula as text; the mark takes the first two characters.
            is_empty = is_first_line and "\\]" not in text[3:]
            return None if is_empty else False
    # With `$$`, a first line of up to three characters has an opening mark, and no room for an end.
    elif not is_first_line or len(text) > 3:
        # A label such as `(1)` may follow the end.
        if text.endswith("$$") or _LABEL.search(text):
            return False
        if is_first_line and "$$" in text[2:]:
            # The formula ends in the middle of the line, so it is not displayed.
            return None
    return True if size + len(line) <= MOST_MATH else None

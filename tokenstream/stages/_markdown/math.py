r"""Displayed formulas: from `$$` or `\[` to their end, over blank lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenstream.stages._markdown.inline import Math

MARKS: dict[Math | None, str] = {None: "", "dollar": "$$", "brackets": "\\["}
"""What a formula begins with."""
MOST_MATH = 10_000
"""Characters of a formula that has not ended; with more it is taken for text."""

_LABEL = re.compile(r"\$\$[ \t]*\([^)$]+\)\Z")


def reads_on(mark: str, line: str, size: int) -> bool | None:
    """Whether a formula goes on behind a line of it; None where it turns out to be none.

    Args:
        mark: What the formula begins with.
        line: The line; the first one from that mark on.
        size: Characters of the formula before it.
    """
    text = line.strip(" \t")
    if mark == "\\[":
        if "\\]" in text:
            # To some an empty formula is text.
            return None if not size and "\\]" not in text[3:] else False
    elif size or len(text) > 3:
        if text.endswith("$$") or _LABEL.search(text):
            return False
        if not size and "$$" in text[2:]:
            return None
    return True if size + len(line) <= MOST_MATH else None

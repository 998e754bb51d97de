"""The end of a block that is still being written, as much of it as a screen can show."""

from __future__ import annotations

import re

__all__ = ["recent"]

_ITEM = re.compile(r"^(?:[-+*]|\d{1,9}[.)])[ \t]", re.MULTILINE)
"""Where an item of a list begins that stands in no other one."""


def recent(kind: str, text: str, *, rows: int, columns: int) -> str:
    r"""Return markdown whose last rows are those of `text`, and that is no longer than a few screens.

    It begins at the same place for a screenful of new text, so that colours seldom change.

    Args:
        kind: The block's kind.
        text: Its text so far.
        rows: Rows of the screen.
        columns: Columns of the screen.

    Example:
        >>> recent("fence", "~~~\n" + "a line\n" * 1000 + "~~~", rows=2, columns=10)
        '~~~\na line\na line\na line\n~~~'
    """
    cells = rows * columns
    if kind == "fence":
        opening, lines = text.find("\n") + 1, text.count("\n")
        if lines <= 3 * rows and len(text) <= 4 * cells:
            return text
        start = _line_from_end(text, lines % rows + rows)
        if len(text) - start > 4 * cells:
            start = max(start, _step(text, cells))
        return text[:opening] + text[max(start, opening) :]
    if len(text) <= 4 * cells:
        return text
    start = _step(text, cells)
    if kind == "table":
        head = text.find("\n", text.find("\n") + 1) + 1
        return text[:head] + text[max(head, _next_line(text, start)) :]
    if kind == "list" and (item := _ITEM.search(text, _next_line(text, start))):
        start = item.start()
    return text[start:]


def _step(text: str, cells: int) -> int:
    """Return a place that is two screens or more before the end, and moves by whole screens."""
    return (len(text) // cells - 2) * cells


def _next_line(text: str, start: int) -> int:
    return text.find("\n", start) + 1 or start


def _line_from_end(text: str, lines: int) -> int:
    """Return where the line begins that has so many line ends behind its beginning."""
    at = len(text)
    for _ in range(lines + 1):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return 0
    return at + 1

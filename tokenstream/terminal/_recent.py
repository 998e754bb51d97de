"""The cutting of a long open block to its end, since only the last rows fit on the screen."""

from __future__ import annotations

import re

_ITEM = re.compile(r"^(?:[-+*]|\d{1,9}[.)])[ \t]", re.MULTILINE)
"""Matches the start of a top-level list item."""


def cut_to_recent(kind: str, text: str, *, rows: int, columns: int) -> str:
    r"""Return markdown that is a few screens long at most, and is drawn with the same last rows as `text`.

    The place at which the text is cut moves only once for each screenful of new text, so that
    the colours of code seldom change.

    Args:
        kind: The kind of the block.
        text: The text of the block so far.
        rows: Rows of the screen.
        columns: Columns of the screen.

    Example:
        >>> cut_to_recent("fence", "~~~\n" + "a line\n" * 1000 + "~~~", rows=2, columns=10)
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
    """Return an offset at least two screens before the end, which is a multiple of a screen's cells."""
    return (len(text) // cells - 2) * cells


def _next_line(text: str, start: int) -> int:
    return text.find("\n", start) + 1 or start


def _line_from_end(text: str, lines: int) -> int:
    """Return the start of the line that has `lines` line ends after its start; 0 if there are fewer."""
    at = len(text)
    for _ in range(lines + 1):
        at = text.rfind("\n", 0, at)
        if at < 0:
            return 0
    return at + 1

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
        text: The text of the block so far.
        rows: Rows of the screen.
        columns: Columns of the screen.

    Example:
        >>> cut_to_recent("fence", "~~~\n" + "a line\n" * 1000 + "~~~", rows=2, columns=10)
        '~~~\na line\na line\na line\n~~~'
    """
    cells = rows * columns
    if kind == "fence":
        return _cut_code(text, rows, cells)
    if len(text) <= 4 * cells:
        return text
    start = _cut_offset(text, cells)
    if kind == "table":
        # The first two lines are the head, and the line below it.
        head = text.find("\n", text.find("\n") + 1) + 1
        return text[:head] + text[max(head, _next_line_start(text, start)) :]
    # A list is cut at an item, any other block wherever the offset is.
    if kind == "list" and (item := _ITEM.search(text, _next_line_start(text, start))):
        start = item.start()
    return text[start:]


def _cut_code(text: str, rows: int, cells: int) -> str:
    """Return a fenced block of code without its middle: its first line, and the last screens of its code.

    The first line names the language. A block of a few screens is returned whole.

    Args:
        rows: Rows of the screen.
        cells: Number of characters that fit on a screen.
    """
    opening_end, lines = text.find("\n") + 1, text.count("\n")
    if lines <= 3 * rows and len(text) <= 4 * cells:
        return text
    # At least a screen, and the lines since the last multiple of a screen: so the cut seldom moves.
    start = _find_line_from_end(text, lines % rows + rows)
    if len(text) - start > 4 * cells:
        # The lines are long, and wrap: cut inside a line.
        start = max(start, _cut_offset(text, cells))
    return text[:opening_end] + text[max(start, opening_end) :]


def _cut_offset(text: str, cells: int) -> int:
    """Return the offset at which to cut a text: at least two screens of text follow the offset.

    The offset is a multiple of a screen's size, so that it moves only once for each screen of new text.

    Args:
        cells: Number of characters that fit on a screen.
    """
    return (len(text) // cells - 2) * cells


def _next_line_start(text: str, start: int) -> int:
    """Return the start of the line after an offset; the offset itself in the last line."""
    return text.find("\n", start) + 1 or start


def _find_line_from_end(text: str, lines: int) -> int:
    """Return the offset at which the last lines of a text begin; 0 if the text has fewer lines.

    Args:
        lines: Number of line ends that these lines contain.
    """
    position = len(text)
    # One more line end precedes these lines.
    for _ in range(lines + 1):
        position = text.rfind("\n", 0, position)
        if position < 0:
            return 0
    return position + 1

"""Printing of an answer as it arrives."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

from tokenstream._basics.visible import several_lines
from tokenstream.events import ReasoningDelta

if TYPE_CHECKING:
    from tokenstream._answer_log import Delta

_DIM_ON, _DIM_OFF = "\x1b[2m", "\x1b[22m"


class Printer:
    """Prints deltas, with an empty line between parts, and with dimmed reasoning in a terminal.

    Args:
        file: The file to which to print; None for standard output.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = sys.stdout if file is None else file
        self._encoding = getattr(self._file, "encoding", None) or "utf-8"
        self._may_dim = _can_dim(self._file)
        self._part: int | None = None
        """Index of the part that is being printed; None at the start and at the end."""
        self._dimmed = False
        """True while the terminal dims the text."""
        self._at_line_start = True

    def show(self, delta: Delta) -> None:
        """Print a delta."""
        prefix = ""
        if delta.part != self._part:
            if self._part is not None:
                # An empty line separates the parts.
                prefix = "\n" if self._at_line_start else "\n\n"
            self._part = delta.part
        is_dimmed = self._may_dim and isinstance(delta, ReasoningDelta)
        if is_dimmed is not self._dimmed:
            prefix = (_DIM_ON if is_dimmed else _DIM_OFF) + prefix
            self._dimmed = is_dimmed
        # Control characters become escapes.
        text = several_lines(delta.text)
        self._at_line_start = text.endswith("\n")
        self._write(prefix + text)

    def end(self) -> None:
        """End the line, and switch off dimming."""
        suffix = _DIM_OFF if self._dimmed else ""
        if self._part is not None and not self._at_line_start:
            suffix += "\n"
        self._part, self._dimmed = None, False
        if suffix:
            self._write(suffix)

    def _write(self, text: str) -> None:
        # A character that the encoding lacks is printed as an escape, so that it does not raise an error.
        self._file.write(text.encode(self._encoding, "backslashreplace").decode(self._encoding))
        self._file.flush()


def _can_dim(file: TextIO) -> bool:
    """Return True if the file is a terminal in which text may be dimmed."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    is_terminal = getattr(file, "isatty", None)
    return is_terminal is not None and bool(is_terminal())

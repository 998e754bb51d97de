"""The lines of a text."""

from __future__ import annotations

import re

from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import last_border

_END = re.compile(r"\r\n?|\n")


class Lines(TextStage):
    r"""A stage that gives a text line by line, each with its end.

    A line ends with LF, CR LF or CR, and with nothing else: form feeds and the
    separators of Unicode stand within lines. A CR at the end of a piece waits for
    what comes next, and the last line for the end of the text, unless it has an
    end of its own. The pieces joined are the text.

    Args:
        longest: The longest line, in characters without its end; a longer one is
            cut between two letters, and comes in pieces.

    Example:
        >>> lines = Lines()
        >>> [lines.feed(piece) for piece in ("one\r", "\ntwo\nth", "ree")]
        [[], ['one\r\n', 'two\n'], []]
        >>> lines.end()
        ['three']
    """

    __slots__ = ("_held", "_length", "_longest")

    def __init__(self, *, longest: int = 1_000_000) -> None:
        self._longest = check_whole("longest", longest)
        self._held: list[str] = []
        """The line that may go on, in pieces: joined once, or a long one would cost quadratic time."""
        self._length = 0

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the lines whose end has come.

        Args:
            item: The next piece of the text.
            now: Unused; every stage takes it.
        """
        held = self._held
        length = self._length + len(item)
        if not item:
            return []
        held.append(item)
        if (
            length <= self._longest
            and "\n" not in item
            and "\r" not in item
            and not (len(held) > 1 and held[-2][-1] == "\r")
        ):
            self._length = length
            return []
        text = "".join(held)
        # What was held has no end, but for a CR at its own end.
        return self._cut(text, max(self._length - 1, 0))

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last line, where it has no end.

        Args:
            now: Unused; every stage takes it.
        """
        text = "".join(self._held)
        self._held, self._length = [], 0
        return [text] if text else []

    def _cut(self, text: str, place: int) -> list[str]:
        out: list[str] = []
        start = 0
        for match in _END.finditer(text, place):
            if match.end() == len(text) and match[0] == "\r":
                break
            start = self._shorten(text, start, match.start(), out)
            out.append(text[start : match.end()])
            start = match.end()
        start = self._shorten(text, start, len(text) - text.endswith("\r"), out)
        self._held = [text[start:]] if start < len(text) else []
        self._length = len(text) - start
        return out

    def _shorten(self, text: str, start: int, end: int, out: list[str]) -> int:
        """Cut pieces off while what is left is too long; return where it begins."""
        while end - start > self._longest:
            cut = last_border(text, start, start + self._longest)
            out.append(text[start:cut])
            start = cut
        return start

"""A stage that returns the lines of a text."""

from __future__ import annotations

import re

from tokenstream._basics.members import show_members
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import cut_overlong

_END = re.compile(r"\r\n?|\n")


@show_members
class Lines(TextStage):
    r"""A stage that returns a text line by line, each with its line ending.

    A line ends with LF, CR LF or CR, and with nothing else: form feeds and the separators
    of Unicode are ordinary characters. A CR at the end of a piece waits for the next
    piece, and a last line without an ending waits for the end of the text. The pieces
    joined are the text.

    Args:
        longest: The longest line, in characters without its ending; a longer one is cut
            between two letters and returned in pieces.

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
        """The pieces of the line that may go on; joined only once: repeated joins take quadratic time."""
        self._length = 0
        """The number of characters in `_held`."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the lines whose ending has arrived.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        if not item:
            return []
        held = self._held
        held.append(item)
        length = self._length + len(item)
        if (
            "\n" not in item
            and "\r" not in item
            and length <= self._longest
            # A CR at the end of the piece before is a whole line ending now.
            and not (len(held) > 1 and held[-2][-1] == "\r")
        ):
            self._length = length
            return []
        # The held text has no line ending, except perhaps a CR as its last character.
        return self._cut("".join(held), max(self._length - 1, 0))

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last line, if it has no ending.

        Args:
            now: Unused; every stage has this parameter.
        """
        text = "".join(self._held)
        self._held, self._length = [], 0
        return [text] if text else []

    def _cut(self, text: str, search_from: int) -> list[str]:
        """Return the lines of a text whose ending is certain, and keep the rest.

        Args:
            text: The held text and the new piece.
            search_from: The first position at which a line ending is possible.
        """
        out: list[str] = []
        start = 0
        for match in _END.finditer(text, search_from):
            if match.end() == len(text) and match[0] == "\r":
                # An LF may follow, which belongs to the same line ending.
                break
            start = cut_overlong(text, start, match.start(), self._longest, out)
            out.append(text[start : match.end()])
            start = match.end()
        # The length of a line does not include its ending.
        end = len(text) - 1 if text.endswith("\r") else len(text)
        start = cut_overlong(text, start, end, self._longest, out)
        self._held = [text[start:]] if start < len(text) else []
        self._length = len(text) - start
        return out

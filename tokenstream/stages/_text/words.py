"""The words of a text, none of them cut."""

from __future__ import annotations

from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import WORD_CUT, last_border


class Words(TextStage):
    """A stage that gives a text word by word.

    A piece is a word with the white space before it and the punctuation around
    it. It is given as soon as its end is sure: at the blank behind it, which goes
    to the next word. Where words are written without blanks, as in Thai, Chinese
    or Japanese, a piece ends where UAX #29 has a border of words, or of letters
    where it has none of words. The pieces joined are the text.

    Args:
        longest: The longest piece, in characters; what is longer is cut between two letters.

    Example:
        >>> words = Words()
        >>> [words.feed(piece) for piece in ("Hel", "lo, wor", "ld!", " 3.14", " 你好。")]
        [[], ['Hello,'], [], [' world!'], [' 3.14', ' 你']]
        >>> words.end()
        ['好。']
    """

    __slots__ = ("_held", "_longest")

    def __init__(self, *, longest: int = 4_096) -> None:
        self._longest = check_whole("longest", longest)
        self._held = ""
        """The word that may go on: begun at a border, and without one."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the words whose end is sure.

        Args:
            item: The next piece of the text.
            now: Unused; every stage takes it.
        """
        held = self._held
        text = held + item
        if text.isascii() and len(text) <= self._longest and item.isprintable():
            # Of most pieces all that the pattern would find is their one blank.
            blanks = item.count(" ")
            if blanks < 2:
                border = text.find(" ", len(held)) if blanks else 0
                if border < 1 or text[border - 1].isspace():
                    self._held = text
                    return []
                self._held = text[border:]
                return [text[:border]]
        return self._cut(text, len(held) or 1)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last word.

        Args:
            now: Unused; every stage takes it.
        """
        held, self._held = self._held, ""
        return [held] if held else []

    def _cut(self, text: str, place: int) -> list[str]:
        """Return the words of a text whose end is sure, and keep the rest.

        Args:
            text: What was held, and what has come.
            place: Where the next border may be; there is none before it.
        """
        out: list[str] = []
        start = 0
        for match in WORD_CUT.finditer(text, place):
            border = match.start()
            # The end of a text is decided by what comes next.
            if border < len(text):
                start = self._shorten(text, start, border, out)
                out.append(text[start:border])
                start = border
        start = self._shorten(text, start, len(text), out)
        self._held = text[start:]
        return out

    def _shorten(self, text: str, start: int, border: int, out: list[str]) -> int:
        """Cut pieces off while what is left is too long; return where it begins."""
        while border - start > self._longest:
            cut = last_border(text, start, start + self._longest)
            out.append(text[start:cut])
            start = cut
        return start

"""A stage that returns a text in whole words."""

from __future__ import annotations

from tokenstream._basics.members import show_members
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import WORD_CUT, cut_overlong


@show_members
class Words(TextStage):
    """A stage that returns a text word by word.

    A piece is a word with the white space before it and the punctuation around it.
    It is returned as soon as its end is certain: at the blank after it, which belongs
    to the next word. In scripts without blanks, such as Thai, Chinese or Japanese, a
    piece ends at a word boundary of UAX #29, or, where UAX #29 defines none, at a
    boundary between letters. The pieces joined are the text.

    Args:
        longest: The longest piece, in characters; a longer one is cut between two letters.

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
        """The word that may still go on; it contains no boundary."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the words whose end is certain.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        held = self._held
        text = held + item
        if text.isascii() and len(text) <= self._longest and item.isprintable():
            # Shortcut: in most pieces, the only boundary is at their only blank.
            blanks = item.count(" ")
            if blanks == 0:
                self._held = text
                return []
            if blanks == 1:
                boundary = text.find(" ", len(held))
                ends_word = boundary > 0 and not text[boundary - 1].isspace()
                if not ends_word:
                    # The blank begins the text, or follows white space: it belongs to the word to come.
                    self._held = text
                    return []
                self._held = text[boundary:]
                return [text[:boundary]]
        # No word ends before the held text does, nor at the start of the text.
        return self._cut(text, len(held) or 1)

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last word.

        Args:
            now: Unused; every stage has this parameter.
        """
        held, self._held = self._held, ""
        return [held] if held else []

    def _cut(self, text: str, search_from: int) -> list[str]:
        """Return the words of a text whose end is certain, and keep the rest.

        Args:
            text: The held text and the new piece.
            search_from: The first position at which a boundary is possible.
        """
        out: list[str] = []
        start = 0
        for match in WORD_CUT.finditer(text, search_from):
            boundary = match.start()
            # Only the next piece decides if the end of the text is a boundary.
            if boundary < len(text):
                start = cut_overlong(text, start, boundary, self._longest, out)
                out.append(text[start:boundary])
                start = boundary
        start = cut_overlong(text, start, len(text), self._longest, out)
        self._held = text[start:]
        return out

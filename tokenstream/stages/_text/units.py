"""Stages that return a text in whole units: letters (grapheme clusters), words or lines."""

from __future__ import annotations

import re

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import WORD_CUT, cut_overlong, graphemes_pattern

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


@show_members
class Graphemes(TextStage):
    r"""A stage that never returns half a letter: no split emoji, flag, syllable or combining mark.

    A piece is all text that has arrived, in whole letters (grapheme clusters of UAX #29),
    except the last letter, which the next piece may still change. The pieces joined are
    the text. This stage needs the package `regex`, which the extra `shape` installs.

    Args:
        longest: The longest letter to wait for, in characters; a longer one, which exists in no
            language, is cut.

    Raises:
        MisuseError: `regex` is not installed.

    Example:
        >>> graphemes = Graphemes()
        >>> [graphemes.feed(piece) for piece in ("Good", " \U0001f44d", "\U0001f3fd!")]
        [['Goo'], ['d '], ['👍🏽']]
        >>> graphemes.end()
        ['!']
    """

    __slots__ = ("_held", "_longest", "_match")

    def __init__(self, *, longest: int = 256) -> None:
        self._longest = check_whole("longest", longest)
        pattern = graphemes_pattern()
        if pattern is None:
            raise MisuseError(
                "boundaries between letters need the package regex: install it with "
                'pip install "llm-tokenstream[shape]"'
            )
        self._match = pattern.match
        self._held = ""
        """The last letter so far."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return the letters that no later text can change.

        Args:
            item: The next piece of the text.
            now: Unused; every stage has this parameter.
        """
        text = self._held + item
        if not text:
            return []
        if text[-1] == "\n":
            # A character after a line feed cannot belong to the same letter.
            boundary = len(text)
        elif text.isascii():
            # Only the last character may still get a combining mark, or an LF after a CR.
            boundary = len(text) - 1
        else:
            # The pattern matches all letters except the last.
            match = self._match(text)
            boundary = match.end() if match is not None else 0
        if len(text) - boundary > self._longest:
            # No more characters than that are held back, even if this splits a letter.
            boundary = len(text)
        self._held = text[boundary:]
        return [text[:boundary]] if boundary else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last letter.

        Args:
            now: Unused; every stage has this parameter.
        """
        held, self._held = self._held, ""
        return [held] if held else []

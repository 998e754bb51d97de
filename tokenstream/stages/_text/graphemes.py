"""The letters of a text, none of them cut."""

from __future__ import annotations

from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import graphemes_pattern


class Graphemes(TextStage):
    r"""A stage that never gives half a letter: no split emoji, flag, syllable or combining mark.

    A piece is whatever has come, in whole letters (grapheme clusters of UAX #29);
    the last letter waits for what comes next, since that may still be of it. The
    pieces joined are the text. It needs the package `regex`, which the extra
    `shape` installs.

    Args:
        longest: The longest letter to wait for, in characters; a longer one, which no
            language has, is cut.

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
                "borders of letters take the package regex: install it with "
                'pip install "llm-tokenstream[shape]"'
            )
        self._match = pattern.match
        self._held = ""
        """The letter that came last."""

    def feed(self, item: str, /, *, now: float = 0.0) -> list[str]:
        """Return all whole letters.

        Args:
            item: The next piece of the text.
            now: Unused; every stage takes it.
        """
        text = self._held + item
        if not text:
            return []
        if text[-1] == "\n":
            # Nothing is added to a line's end.
            border = len(text)
        elif text.isascii():
            border = len(text) - 1
        else:
            match = self._match(text)
            border = match.end() if match is not None else 0
        if len(text) - border > self._longest:
            border = len(text)
        self._held = text[border:]
        return [text[:border]] if border else []

    def end(self, *, now: float = 0.0) -> list[str]:
        """Return the last letter.

        Args:
            now: Unused; every stage takes it.
        """
        held, self._held = self._held, ""
        return [held] if held else []

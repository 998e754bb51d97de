"""A stage that returns a text in whole letters (grapheme clusters)."""

from __future__ import annotations

from tokenstream._basics.members import show_members
from tokenstream.errors import MisuseError
from tokenstream.limits import check_whole
from tokenstream.stages._text.base import TextStage
from tokenstream.stages._text.letters import graphemes_pattern


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

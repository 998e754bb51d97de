"""Looking ahead in text that is not quite JSON: what a word or a quote means is told by what follows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._repairs import RepairName

__all__ = [
    "ESCAPED",
    "HTML",
    "MOST_HELD",
    "OPENING",
    "PLAIN",
    "SPACES",
    "SPACES_TWICE",
    "TRIPLE",
    "Kind",
    "MoreNeeded",
    "Peek",
    "TooFar",
]

MOST_HELD = 1_024
"""Characters that are held at most until what follows decides what they mean."""

# White space of any alphabet, and what is written for none: NUL, byte order marks, joiners of no width.
_ODD = r"\s\x00\ufeff\u200b-\u200d\u2060"
SPACES: Any = re.compile(rf"[{_ODD}]*").match
SPACES_TWICE: Any = re.compile(rf"(?:[{_ODD}]++|\\[nrt])*+").match
_WORD: Any = re.compile(r"[\w$][\w$.+-]*|").match
_HTML_QUOTE: Any = re.compile("&(?:quot|#34|#x22);").match
_DOUBLE = "\u201c\u201d\u201e"
_SINGLE = "\u2018\u2019\u201a"
_HTML_QUOTES = ("&quot;", "&#34;", "&#x22;")


class Kind(NamedTuple):
    """A way to quote a string.

    Args:
        run: Matches the characters that mean nothing special in it.
        quote: Matches a quote that may end it.
        spaces: Matches the white space behind one.
        repair: The name of the repair that it takes; None for JSON's own quotes.
    """

    run: Any
    quote: Any
    spaces: Any = SPACES
    repair: RepairName | None = None


def _kind(quotes: str, repair: RepairName | None) -> Kind:
    run = re.compile(rf"[^{quotes}\\\x00-\x1f]*").match
    return Kind(run, re.compile(f"[{quotes}]").match, SPACES, repair)


PLAIN = _kind('"', None)
ESCAPED = Kind(re.compile(r"[^\\\x00-\x1f]*").match, re.compile(r'\\"').match, SPACES_TWICE, "escaped_twice")
HTML = Kind(re.compile(r"[^&\\\x00-\x1f]*").match, _HTML_QUOTE, SPACES, "html_entities")
OPENING: dict[str, Kind] = {
    '"': PLAIN,
    "'": _kind("'", "single_quotes"),
    "`": _kind("`", "backticks"),
    **dict.fromkeys(_DOUBLE, _kind(_DOUBLE, "smart_quotes")),
    **dict.fromkeys(_SINGLE, _kind(_SINGLE, "smart_quotes")),
    "\\": ESCAPED,
    "&": HTML,
}
"""The kinds of quotes by their first character."""
TRIPLE: dict[str, Kind] = {
    quote: Kind(OPENING[quote].run, re.compile(f"{quote}+").match, SPACES, "triple_quotes") for quote in "\"'"
}
"""Strings between three quotes, as in Python: one or two quotes are characters of theirs."""


class MoreNeeded(Exception):
    """The text that decides has not come."""


class TooFar(Exception):
    """What decides does not come within `MOST_HELD` characters."""


class Peek:
    """The text that follows a position, as far as it may be looked at.

    Args:
        text: All that has come and is not read.
        start: The position.
        final: Whether nothing comes behind `text`.
    """

    __slots__ = ("_bound", "_final", "_text")

    def __init__(self, text: str, start: int, *, final: bool) -> None:
        self._text = text
        self._bound = start + MOST_HELD
        self._final = final

    def char(self, position: int) -> str:
        """Return one character; "" behind the end of the text.

        Raises:
            MoreNeeded: It has not come.
            TooFar: It is behind the bound.
        """
        if position >= self._bound:
            raise TooFar
        if position < len(self._text):
            return self._text[position]
        if self._final:
            return ""
        raise MoreNeeded

    def _run(self, match: Callable[[str, int, int], Any], position: int) -> int:
        end: int = match(self._text, position, self._bound).end()
        self.char(end)
        return end

    def spaces(self, position: int, match: Callable[[str, int, int], Any] = SPACES) -> int:
        """Return where white space ends."""
        end = self._run(match, position)
        if match is SPACES_TWICE and self.char(end) == "\\":
            # Half of a line break that is written as an escape.
            self.char(end + 1)
        return end

    def word(self, position: int) -> int:
        """Return where a word or a number ends."""
        return self._run(_WORD, position)

    def between(self, start: int, end: int) -> str:
        """Return what stands between two positions."""
        return self._text[start:end]

    def starts(self, words: tuple[str, ...], position: int) -> bool:
        """Return whether one of some words stands at a position."""
        for word in words:
            for index, letter in enumerate(word):
                if self.char(position + index) != letter:
                    break
            else:
                return True
        return False

    def quote(self, position: int) -> Kind | None:
        """Return the kind of string that a quote at a position would open."""
        kind = OPENING.get(self.char(position))
        if kind is ESCAPED:
            return kind if self.char(position + 1) == '"' else None
        if kind is HTML:
            return kind if self.starts(_HTML_QUOTES, position) else None
        return kind

    def quoted(self, position: int) -> int:
        """Return where a string ends whose opening quote stands at a position; the same if none does."""
        kind = self.quote(position)
        if kind is None:
            return position
        quote: Any = kind.quote(self._text, position)
        end: int = quote.end()
        while True:
            end = self._run(kind.run, end)
            char = self.char(end)
            if not char:
                return end
            if self.quote(end) is kind:
                closing: Any = kind.quote(self._text, end)
                behind: int = closing.end()
                return behind
            end += self._special(kind, char, end)

    def _special(self, kind: Kind, char: str, position: int) -> int:
        """Return how long something is that is no quote, but no ordinary character either."""
        if char != "\\":
            return 1
        if kind is ESCAPED and self.char(position + 1) == "\\":
            return 4 if self.char(position + 2) == "\\" else 3
        return 2

    def key(self, position: int) -> bool:
        """Return whether a key and its colon stand at a position."""
        end = self.quoted(position)
        if end == position:
            end = self.word(position)
        return end > position and self.char(self.spaces(end, SPACES_TWICE)) == ":"

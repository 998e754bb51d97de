"""Lookahead in lenient JSON, where the meaning of a word or a quote depends on the text after it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tokenstream.partial_json._repairs import RepairName

MOST_HELD = 1_024
"""Maximum characters to hold back until later text decides what they mean."""

# White space of any script, and invisible characters: NUL, byte order marks, zero-width joiners.
_ODD = r"\s\x00\ufeff\u200b-\u200d\u2060"
SPACES: Any = re.compile(rf"[{_ODD}]*").match
# White space, also as escapes such as `\n`, which stand for it in JSON that was escaped twice.
SPACES_TWICE: Any = re.compile(rf"(?:[{_ODD}]++|\\[nrt])*+").match
_WORD: Any = re.compile(r"[\w$][\w$.+-]*|").match
_HTML_QUOTE: Any = re.compile("&(?:quot|#34|#x22);").match
_DOUBLE = "\u201c\u201d\u201e"
_SINGLE = "\u2018\u2019\u201a"
_HTML_QUOTES = ("&quot;", "&#34;", "&#x22;")


class QuoteKind(NamedTuple):
    """A kind of quotes around a string, with the patterns that read such a string.

    Args:
        run: Matches ordinary characters in the string.
        quote: Matches a quote of this kind.
        spaces: Matches the white space that may follow the string.
        repair: The name of the repair; None for the quotes of JSON.
    """

    run: Any
    quote: Any
    spaces: Any = SPACES
    repair: RepairName | None = None


def _make_quote_kind(quotes: str, repair: RepairName | None) -> QuoteKind:
    """Return the kind of strings that begin and end with one of `quotes`."""
    run = re.compile(rf"[^{quotes}\\\x00-\x1f]*").match
    return QuoteKind(run, re.compile(f"[{quotes}]").match, repair=repair)


PLAIN = _make_quote_kind('"', None)
ESCAPED = QuoteKind(
    re.compile(r"[^\\\x00-\x1f]*").match, re.compile(r'\\"').match, SPACES_TWICE, "escaped_twice"
)
HTML = QuoteKind(re.compile(r"[^&\\\x00-\x1f]*").match, _HTML_QUOTE, SPACES, "html_entities")
OPENING_QUOTES: dict[str, QuoteKind] = {
    '"': PLAIN,
    "'": _make_quote_kind("'", "single_quotes"),
    "`": _make_quote_kind("`", "backticks"),
    **dict.fromkeys(_DOUBLE, _make_quote_kind(_DOUBLE, "smart_quotes")),
    **dict.fromkeys(_SINGLE, _make_quote_kind(_SINGLE, "smart_quotes")),
    "\\": ESCAPED,
    "&": HTML,
}
"""Maps the first character of an opening quote to the kind of quotes."""
TRIPLE: dict[str, QuoteKind] = {
    quote: QuoteKind(OPENING_QUOTES[quote].run, re.compile(f"{quote}+").match, SPACES, "triple_quotes")
    for quote in "\"'"
}
"""Triple-quoted strings, as in Python; in them, one or two quotes are part of the string."""


class MoreTextNeeded(Exception):
    """The text that is needed for a decision has not arrived."""


class LookaheadExceeded(Exception):
    """The next `MOST_HELD` characters are not enough for a decision."""


class Lookahead:
    """A view of the text after a position, which reaches `MOST_HELD` characters ahead.

    Args:
        text: The unread text.
        start: The position.
        text_ended: True if no text follows `text`.
    """

    __slots__ = ("_bound", "_text", "_text_ended")

    def __init__(self, text: str, start: int, *, text_ended: bool) -> None:
        self._text = text
        self._bound = start + MOST_HELD
        self._text_ended = text_ended

    def get_char(self, position: int) -> str:
        """Return one character, or "" at the end of the text.

        Raises:
            MoreTextNeeded: The character has not arrived.
            LookaheadExceeded: The character is too far away.
        """
        if position >= self._bound:
            raise LookaheadExceeded
        if position < len(self._text):
            return self._text[position]
        if self._text_ended:
            return ""
        raise MoreTextNeeded

    def _skip_run(self, match: Callable[[str, int, int], Any], position: int) -> int:
        """Return the end of the run of characters that `match` matches at a position.

        The character after the run must have arrived, because the run may be longer otherwise;
        `get_char` raises if the character has not arrived.
        """
        end: int = match(self._text, position, self._bound).end()
        self.get_char(end)
        return end

    def skip_spaces(self, position: int, match: Callable[[str, int, int], Any] = SPACES) -> int:
        """Return the end of the white space at a position; the position itself if there is none."""
        end = self._skip_run(match, position)
        if match is SPACES_TWICE and self.get_char(end) == "\\":
            # This may be half of a line break that is written as an escape; `get_char` raises if the other
            # half has not arrived.
            self.get_char(end + 1)
        return end

    def skip_word(self, position: int) -> int:
        """Return the end of the word or number at a position; the position itself if there is none."""
        return self._skip_run(_WORD, position)

    def get_text(self, start: int, end: int) -> str:
        """Return the text between two positions."""
        return self._text[start:end]

    def starts_with(self, words: tuple[str, ...], position: int) -> bool:
        """Return True if the text at a position begins with one of the words."""
        # Letter by letter, so that `get_char` raises only if a letter that has not arrived decides.
        for word in words:
            for index, letter in enumerate(word):
                if self.get_char(position + index) != letter:
                    break
            else:
                return True
        return False

    def find_quote(self, position: int) -> QuoteKind | None:
        """Return the kind of the quote at a position; None if there is no quote."""
        kind = OPENING_QUOTES.get(self.get_char(position))
        # The first character of these two kinds is not always part of a quote: it is a backslash or "&".
        if kind is ESCAPED:
            return kind if self.get_char(position + 1) == '"' else None
        if kind is HTML:
            return kind if self.starts_with(_HTML_QUOTES, position) else None
        return kind

    def skip_quoted(self, position: int) -> int:
        """Return the end of the string that begins at a position; the position itself if there is none."""
        kind = self.find_quote(position)
        if kind is None:
            return position
        # `quote` matches a quote, which may be several characters; `run` matches ordinary characters.
        quote: Any = kind.quote(self._text, position)
        end: int = quote.end()
        while True:
            end = self._skip_run(kind.run, end)
            char = self.get_char(end)
            if not char:
                # The text has ended inside the string.
                return end
            if self.find_quote(end) is kind:
                closing: Any = kind.quote(self._text, end)
                after: int = closing.end()
                return after
            end += self._measure_special(kind, char, end)

    def _measure_special(self, kind: QuoteKind, char: str, position: int) -> int:
        """Return the length of the escape at a position; 1 for any special character but a backslash."""
        if char != "\\":
            return 1
        # Escaped twice, a backslash is written as four of them; any other escape begins with two.
        if kind is ESCAPED and self.get_char(position + 1) == "\\":
            return 4 if self.get_char(position + 2) == "\\" else 3
        return 2

    def is_key(self, position: int) -> bool:
        """Return True if there is a key with its colon at a position."""
        end = self.skip_quoted(position)
        if end == position:
            end = self.skip_word(position)
        # In JSON that was escaped twice, escapes such as `\n` stand for white space.
        return end > position and self.get_char(self.skip_spaces(end, SPACES_TWICE)) == ":"
